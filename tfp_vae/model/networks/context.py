"""How a conditional model passes y to its parts. Networks of encoder and decoder get it as the second of two inputs."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Sequence
from typing import Any, TypeVar

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor

__all__ = ["ContextNetwork", "bind", "call_network", "require_context", "shape_with_context"]

T = TypeVar("T")

ContextNetwork = Any
"""A network of one input, or one of two inputs: x and the context [B, C]. Keras models have no narrower type."""


@check_keywords
def shape_with_context(input_shape: Sequence[int], context_size: int, *, maps: bool) -> tuple[int, ...]:
    """Return the shape of the input of a network within `WithContext`.

    ```python
    tv.networks.context.shape_with_context((28, 28, 1), 10, maps=False)  # (794,)
    tv.networks.context.shape_with_context((28, 28, 1), 10, maps=True)  # (28, 28, 11)
    ```

    Args:
      input_shape: shape of one input without context.
      context_size: C.
      maps: see `WithContext`.
    """
    if maps:
        return (*input_shape[:-1], input_shape[-1] + context_size)
    return (math.prod(input_shape) + context_size,)


def call_network(network: ContextNetwork, x: Array, context: Array | None) -> Tensor:
    """Return network(x), or the output for x and a context. A Keras model of two inputs gets them as a list."""
    if context is None:
        return network(x)
    if number_of_inputs(network) == 2:
        return network([tf.convert_to_tensor(x), tf.cast(context, x.dtype)])
    return network(x, tf.cast(context, x.dtype))


def number_of_inputs(network: ContextNetwork) -> int | None:
    """Return the number of inputs of a Keras model, if Keras knows it."""
    inputs = getattr(network, "inputs", None)
    return len(inputs) if isinstance(inputs, list | tuple) else None


def require_context(network: ContextNetwork, role: str) -> ContextNetwork:
    """Return the network, or raise an error if it does not take a context as its second input.

    Args:
      network: a network of x and a context.
      role: the part of the model that uses the network, for the message.

    Raises:
      UsageError: the network takes one input only.
    """
    inputs = number_of_inputs(network)
    layer = getattr(network, "model", network)
    function = getattr(network, "function", None) or getattr(layer, "call", None) or network
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        takes = False
    except ValueError:  # some functions of other languages have no signature
        takes = True
    else:
        takes = True
    if inputs == 2 or (inputs is None and takes):
        return network
    raise UsageError(
        f"The {role} has a context, but its network takes one input only. Give it a second input for the context "
        "[B, C], or wrap it in `tv.networks.WithContext`, which appends the context to the first."
    )


def bind(module: T, **changes: object) -> T:
    """Return a copy of a module with other attributes, which shares everything else.

    TensorFlow's own `__setattr__` would also change the variables that the original tracks.
    """
    made = copy.copy(module)
    vars(made).update(changes)
    return made
