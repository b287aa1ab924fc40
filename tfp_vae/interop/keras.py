"""Keras 3 models as networks of an encoder or a decoder.

TFP 0.25 works with Keras 2, which lives on as `tf_keras`. A `tf.Module` tracks the variables of a `tf_keras` layer, but
not those of a Keras 3 model, so a Keras 3 model needs this adapter.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor

__all__ = ["Keras3", "KerasModel"]


class KerasModel(Protocol):
    """A Keras 3 model or layer, as far as the adapter uses it."""

    @property
    @abc.abstractmethod
    def variables(self) -> Sequence[Any]:
        """Its Keras variables, trainable and frozen."""

    @abc.abstractmethod
    def _flatten_layers(self) -> Iterable[object]:
        """Return the model and the layers within it, at any depth."""

    @abc.abstractmethod
    def __call__(self, x: Array, /) -> Tensor:
        """Return the output for x."""


@final
@check_keywords
class Keras3(tf.Module):
    """A Keras 3 model whose variables `tf.Module` can track, so that they are trained and saved.

    The adapter tracks all variables, so a checkpoint also holds moving statistics and frozen layers. Training changes
    those that are trainable in Keras when you create the adapter. The model is always called as for inference, so an
    encoder or decoder refuses layers that need Keras' own training, such as `BatchNormalization` and `Dropout`.

    ```python notest
    import keras  # version 3, with KERAS_BACKEND=tensorflow

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    encoder = tv.Encoder(tv.interop.Keras3(model), tv.posteriors.DiagonalNormal(2))
    ```

    Args:
      model: a built Keras model or layer, on the TensorFlow backend.

    Raises:
      UsageError: the model is on another backend.
    """

    def __init__(self, model: KerasModel) -> None:
        super().__init__()
        self.model = model
        inner = [variable.value for variable in model.variables]
        if not all(isinstance(variable, tf.Variable) for variable in inner):
            raise UsageError(
                "The adapter needs a Keras 3 model on the TensorFlow backend. Set KERAS_BACKEND=tensorflow before you "
                "import keras."
            )
        for variable, outer in zip(inner, model.variables, strict=True):
            variable._trainable = outer.trainable  # noqa: SLF001  # TensorFlow does not know which layers Keras froze
        self._variables = tuple(inner)

    @property
    def inner_layers(self) -> tuple[object, ...]:
        """The layers of the model at any depth, which `tf.Module` cannot see."""
        return tuple(self.model._flatten_layers())  # noqa: SLF001  # Keras has no public name for it

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape of the model's input, if Keras knows it."""
        return getattr(self.model, "input_shape", None)

    @property
    def inputs(self) -> list[object] | None:
        """The inputs of the model, if Keras knows them."""
        return getattr(self.model, "inputs", None)

    def __call__(self, x: Array | list[Array], *context: Array) -> Tensor:
        """Return model(x), or the output for x and a context in a conditional model."""
        model: Callable[..., Tensor] = self.model
        return model(x, *context)
