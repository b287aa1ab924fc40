"""Your own networks: check that training can use them, and explain shapes that do not fit.

`Encoder` and `Decoder` call `require_variables` and `require_active_layers`, so a network that could not be trained as
it is written raises an error.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator
from dis import get_instructions
from inspect import getsource, signature
from types import FunctionType
from typing import NamedTuple, final

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.networks.base import Network
from tfp_vae.model.networks.context import call_network

__all__ = [
    "HANDICAPS",
    "Fixed",
    "Handicap",
    "adds_loss",
    "has_constraint",
    "has_regularizer",
    "has_statistics",
    "is_random",
    "keras_family",
    "network_output",
    "own_functions",
    "require_active_layers",
    "require_variables",
    "uses_training",
]


@final
@check_keywords
class Fixed:
    """A network that is meant to learn nothing.

    ```python
    posterior = tv.posteriors.DiagonalNormal(1)
    encoder = tv.Encoder(tv.networks.Fixed(lambda x: x[:, :1, 0, 0] * np.float32([[1.0, -3.0]])), posterior)
    encoder(x).mean()  # [16, 1], unchanged by training
    ```

    Args:
      function: tensor -> tensor.
    """

    def __init__(self, function: Network) -> None:
        self.function = function

    def __call__(self, x: Array, *context: Array) -> Tensor:
        """Return function(x), or function(x, context) in a conditional model."""
        function: Callable[..., Tensor] = self.function
        return function(x, *context)


def require_variables(network: Network, role: str) -> Network:
    """Return the network, or raise an error if training could not change any of its variables.

    Args:
      network: tensor -> tensor.
      role: the part of the model that uses the network, for the message.

    Raises:
      UsageError: the network has no trainable variable that `tf.Module` can see. It may be a Keras 3 model without its
        adapter, a plain function, or a layer that is not built.
    """
    if isinstance(network, Fixed) or (isinstance(network, tf.Module) and network.trainable_variables):
        return network
    name = getattr(network, "name", None) or getattr(network, "__name__", None) or type(network).__name__
    raise UsageError(
        f"The {role}'s network {name} shows no trainable variable to tf.Module and would not learn. Wrap a Keras 3 "
        "model in tv.interop.Keras3, build a layer before use, or make a function a tf.Module. If the network should "
        "stay fixed, wrap it in tv.networks.Fixed."
    )


def keras_family(layer: object) -> list[str]:
    """Return the names of the classes of a layer whose `call` Keras wrote, the most specific one first.

    The list is empty for other objects, and for a layer of your own with its own `call`.
    """
    classes = type(layer).__mro__
    author = next((each.__module__.partition(".")[0] for each in classes if "call" in vars(each)), "")
    return [each.__name__ for each in classes] if author in {"keras", "tf_keras"} else []


def has_statistics(layer: object) -> bool:
    """Return whether a layer has statistics that only Keras' own training updates. A frozen layer may keep its own."""
    family = {*keras_family(layer)}
    keeps_state = "RNN" in family and getattr(layer, "stateful", False)  # from one batch to the next
    learns = family & {"BatchNormalization", "SpectralNormalization"} and getattr(layer, "trainable", True)
    return bool(keeps_state or learns)


def is_random(layer: object) -> bool:
    """Return whether a Keras layer adds noise in Keras' own training, and at no other time."""
    family = keras_family(layer)
    rates = [getattr(layer, name, 0) for name in ("rate", "stddev", "dropout", "recurrent_dropout", "_dropout")]
    noisy = {"Dropout", "GaussianNoise", "GaussianDropout", "AlphaDropout", "RNN", "MultiHeadAttention", "Attention"}
    if noisy & {*family} or any(name.endswith("Cell") for name in family):
        return any(isinstance(rate, int | float) and rate > 0 for rate in rates)
    return bool(family) and family[0].startswith("Random") and family[0] != "RandomFourierFeatures"


def has_regularizer(layer: object) -> bool:
    """Return whether a Keras layer has a penalty on its weights or outputs."""
    return _has_setting(layer, "regularizer", {"keras", "tf_keras"})


def has_constraint(layer: object) -> bool:
    """Return whether a Keras 3 layer has a constraint on its weights. Optimizers apply those of Keras 2 only."""
    return _has_setting(layer, "constraint", {"keras"})


def _has_setting(layer: object, ending: str, libraries: set[str]) -> bool:
    """Return whether a layer of one of these libraries has an attribute with this ending that is not empty."""
    if not libraries & {each.__module__.partition(".")[0] for each in type(layer).__mro__}:
        return False
    return any(name.endswith(ending) and bool(value) for name, value in vars(layer).items())


def own_functions(layer: object) -> Iterator[FunctionType]:
    """Yield the functions of a layer's classes that neither Keras nor TensorFlow wrote."""
    for each in type(layer).__mro__:
        if each.__module__.partition(".")[0] not in {"keras", "tf_keras", "tensorflow", "builtins"}:
            for value in vars(each).values():
                function = getattr(value, "python_function", value)  # `tf.function` has one
                if isinstance(function, FunctionType):
                    yield function
    if isinstance(within := getattr(layer, "function", None), FunctionType):  # of a Lambda layer
        yield within


def uses_training(layer: object) -> bool:
    """Return whether a layer of your own behaves differently in Keras' training, by its argument `training`.

    A layer may pass the argument on to its inner layers, which are checked themselves.
    """
    return any("training" in signature(function).parameters and _uses(function) for function in own_functions(layer))


def _uses(function: FunctionType) -> bool:
    """Return whether a function uses its argument `training`, other than to pass it on to layers by name."""
    try:
        tree = ast.parse(textwrap.dedent(getsource(function)))
    except (OSError, SyntaxError):  # no source, as in Python's console, or part of a longer line
        return "training" in {name for each in get_instructions(function) for name in each.argrepr.split(", ")}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "training"]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    to_layers = [call for call in calls if not re.search(r"\bsuper\(|in_train_phase", ast.unparse(call.func))]
    passed = [each.value for call in to_layers for each in call.keywords if each.arg == "training"]
    return not {*names} <= {*passed}


def adds_loss(layer: object) -> bool:
    """Return whether a layer or a model has losses of its own, see `add_loss` of Keras."""
    written = any("add_loss" in function.__code__.co_names for function in own_functions(layer))
    return written or bool(getattr(layer, "losses", ()))


class Handicap(NamedTuple):
    """A property of Keras layers that has no effect outside of Keras' own training.

    applies: whether a layer has it.
    effect: completes the sentence "The encoder's network has ...".
    remedy: what to use instead.
    """

    applies: Callable[[object], bool]
    effect: str
    remedy: str


HANDICAPS = (
    Handicap(
        has_statistics,
        "statistics that only Keras' own training updates",
        "Use LayerNormalization instead, or freeze a trained layer with `trainable=False`.",
    ),
    Handicap(
        is_random,
        "noise that is active in Keras' own training only, so it would do nothing",
        "Use `tv.networks.mlp` with `dropout`, or the layer `tfp_vae.model.networks.layers.Dropout`.",
    ),
    Handicap(
        has_regularizer,
        "a regularizer, which would do nothing because training maximizes the objective alone",
        "Remove it, or decay the weights with `optimizer=adamw`.",
    ),
    Handicap(
        has_constraint,
        "a constraint of Keras 3, which our optimizers do not apply",
        "Remove it, or build the network from `tf_keras` layers.",
    ),
    Handicap(
        uses_training,
        "a `call` that uses `training`, which would do nothing because networks are called as for inference",
        "Remove that use, or take `tv.networks.mlp` with `dropout`.",
    ),
    Handicap(
        adds_loss,
        "losses of its own, which would do nothing because training maximizes the objective alone",
        "Remove `add_loss`, or write an objective that has this term.",
    ),
)
"""The properties that `require_active_layers` refuses, in this order."""


def require_active_layers(network: Network, role: str) -> Network:
    """Return the network, or raise an error if it has layers that do their work in Keras' own training only.

    Networks are called as for inference, and they may be called more than once per step. So moving statistics would
    keep their initial values, dropout would drop nothing, and losses from `add_loss` would be lost.

    Args:
      network: tensor -> tensor. An adapter lists the layers that `tf.Module` cannot see as `inner_layers`.
      role: the part of the model that uses the network, for the message.

    Raises:
      UsageError: a layer at any depth has one of `HANDICAPS`.
    """
    layers = list(_layers(network))
    for handicap in HANDICAPS:
        found = [
            f"{type(layer).__name__} {getattr(layer, 'name', '')!r}" for layer in layers if handicap.applies(layer)
        ]
        if found:
            raise UsageError(f"The {role}'s network has {handicap.effect}: {list_names(found)}. {handicap.remedy}")
    return network


def _layers(network: Network) -> Iterator[object]:
    """Yield the network and the layers within it, at any depth."""
    find_layers = getattr(network, "_flatten_layers", None)  # Keras has no public name for it
    modules = find_layers() if find_layers else (network, *getattr(network, "submodules", ()))
    for module in modules:
        yield module
        yield from getattr(module, "inner_layers", ())


def network_output(network: Network, x: Array, *, role: str, size: int, context: Array | None = None) -> Tensor:
    """Return network(x), or raise an error that names the part of the model and the expected shapes.

    Args:
      network: [B, *input_shape] -> [B, size].
      x: [B, ...].
      role: the part of the model that uses the network, for the message.
      size: number of values that its family takes.
      context: the second input of the network of a conditional model, [B, C].

    Raises:
      UsageError: the network does not take inputs of this shape, or it returns another number of values.
    """
    try:
        y = call_network(network, x, context)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        text = str(error).lower()
        if "incompatible" not in text and "must be equal" not in text:
            raise
        known = getattr(network, "input_shape", None)
        expected = f"takes inputs of shape {_shape(known)}" if isinstance(known, tuple) else "does not take its input"
        raise UsageError(f"The {role}'s network {expected}, found {_shape(x.shape)}.") from error
    if not hasattr(y, "shape"):
        raise UsageError(f"The {role}'s network must return one tensor [B, {size}], found a {type(y).__name__}.")
    if y.shape[-1:] not in ((size,), (None,)):
        raise UsageError(
            f"The {role}'s network must return shape [B, {size}], as its family needs, found {_shape(y.shape)}. "
            "Give its last layer the `params_size` of the family."
        )
    return y


def _shape(shape: tuple[int | None, ...]) -> str:
    """Return a shape as text, with B for an axis of unknown size."""
    return f"[{', '.join('B' if size is None else str(size) for size in shape)}]"
