"""The interface of networks, the settings that several of them share, and how to call one with any leading axes."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import Annotated, Literal, Protocol, TypeAlias

import numpy as np
import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Width, check_keywords, split_numbers
from tfp_vae.core.types import Array, Tensor

__all__ = ["Activation", "Channels", "Network", "apply_to_last_axis", "layer_seeds"]


class Network(Protocol):
    """A callable from tensors [B, *input_shape] to tensors [B, output_size] that shows its weights as variables."""

    @abc.abstractmethod
    def __call__(self, x: Array, /) -> Tensor:
        """Return the output for x."""


Activation: TypeAlias = Literal["gelu", "relu", "tanh", "elu", "silu", "softplus"]
"""The function after each hidden layer."""

Channels: TypeAlias = Annotated[
    tuple[Annotated[Width, pydantic.Field(le=4_096)], ...],
    pydantic.Field(min_length=1, max_length=16),
    pydantic.BeforeValidator(split_numbers),
]
"""Channels at each size of an image, at least one. 16 of them halve 65,536 pixels to one."""


@check_keywords
def apply_to_last_axis(network: Network, x: Array) -> Tensor:
    """Return network(x) for x [..., M] with any leading axes, by folding them into the batch axis of the network.

    Args:
      network: [N, M] -> [N, P].
      x: [..., M].

    Returns:
      [..., P].
    """
    leading = tf.shape(x)[:-1]
    y = network(tf.reshape(x, [-1, x.shape[-1]]))
    return tf.reshape(y, tf.concat([leading, [y.shape[-1]]], axis=0))


def layer_seeds(seed: int) -> Iterator[int]:
    """Yield an integer seed for the first layer of a network, for the second, and so on.

    A layer's seed depends only on its position, so adding a layer at the end changes no weights before it.
    """
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**31))
