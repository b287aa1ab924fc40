"""Keras 3 models as networks of an encoder or a decoder.

TFP 0.25 works with Keras 2, which lives on as `tf_keras`. A `tf.Module` tracks the variables of a `tf_keras` layer, but
not those of a Keras 3 model, so a Keras 3 model needs this adapter.
"""

from __future__ import annotations

from typing import Any, final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf

__all__ = ["Keras3"]


@final
class Keras3(tf.Module):
    """A Keras 3 model as a network: its variables are tracked, which `tf.Module` alone does not do.

    All of them, so that a checkpoint holds moving statistics and frozen layers too; those learn that Keras calls
    trainable when the adapter is made. The model is called as for inference.

    ```python notest
    import keras  # version 3, with KERAS_BACKEND=tensorflow

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    encoder = tv.Encoder(tv.interop.Keras3(model), tv.posteriors.DiagonalNormal(2))
    ```

    Args:
      model: a built Keras model or layer, on the TensorFlow backend.

    Raises:
      UsageError: a model on another backend.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self._variables = tuple(_tracked(variable) for variable in model.variables)

    def __call__(self, x: Any) -> Any:
        """Return model(x)."""
        return self.model(x)


def _tracked(variable: Any) -> tf.Variable:
    """Return the variable behind one of Keras 3's."""
    inner = variable.value
    if not isinstance(inner, tf.Variable):
        raise UsageError("expected a Keras 3 model on the TensorFlow backend; set KERAS_BACKEND=tensorflow.")
    inner._trainable = variable.trainable  # noqa: SLF001 - what Keras freezes is still trainable to TensorFlow
    return inner
