"""Networks of the user's own: what they learn is shown to `tf.Module`, or they are refused.

TFP 0.25 works with Keras 2, which lives on as `tf_keras`; a `tf.Module` sees the variables of its layers, but none of a
Keras 3 model's, silently. `checked` stands at the door of `Encoder` and `Decoder`, so that a network which would never
learn is an error and not a bad result.
"""

from __future__ import annotations

from typing import Any, final

from tfp_vae._lazy import tf
from tfp_vae.errors import UsageError
from tfp_vae.networks import Network

__all__ = ["Fixed", "Keras3", "checked"]


@final
class Keras3(tf.Module):
    """A Keras 3 model as a network: its variables are tracked, which `tf.Module` alone does not do.

    All of them, so that a checkpoint holds moving statistics and frozen layers too; those learn that Keras calls
    trainable when the adapter is made. The model is called as for inference.

    ```python notest
    import keras  # version 3, with KERAS_BACKEND=tensorflow

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    encoder = tv.Encoder(tv.adapters.Keras3(model), tv.posteriors.DiagonalNormal(2))
    ```

    Args:
      model: a built `keras.Model` or layer, on the TensorFlow backend.

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


@final
class Fixed:
    """A function that learns nothing, on purpose, as a network.

    ```python
    posterior = tv.posteriors.DiagonalNormal(1)
    encoder = tv.Encoder(tv.adapters.Fixed(lambda x: x[:, :1, 0, 0] * np.float32([[1.0, -3.0]])), posterior)
    encoder(x).mean()  # [16, 1], of which training changes nothing
    ```

    Args:
      function: tensor -> tensor.
    """

    def __init__(self, function: Network) -> None:
        self.function = function

    def __call__(self, x: Any) -> Any:
        """Return function(x)."""
        return self.function(x)


def checked(network: Network, role: str) -> Network:
    """Return the network, refusing one of which no variable would be trained.

    Args:
      network: tensor -> tensor.
      role: what it is to be, for the message.

    Raises:
      UsageError: a network that shows no trainable variable: a Keras 3 model without its adapter, a plain function,
        or a layer that is not built.
    """
    if isinstance(network, Fixed) or (isinstance(network, tf.Module) and network.trainable_variables):
        return network
    raise UsageError(
        f"the {role}'s network {_name(network)} shows no trainable variable to tf.Module and would not learn; wrap a "
        "Keras 3 model in adapters.Keras3, build a layer before use, make a function a tf.Module, or wrap what shall "
        "not learn in adapters.Fixed."
    )


def _name(network: Any) -> str:
    return str(getattr(network, "name", None) or getattr(network, "__name__", None) or type(network).__name__)
