"""Your own networks: check that `tf.Module` tracks the variables they should learn.

`Encoder` and `Decoder` call `checked`, so a network that could never learn raises an error.
"""

from __future__ import annotations

from typing import Any, final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.model.networks import Network

__all__ = ["Fixed", "checked"]


@final
class Fixed:
    """A function that learns nothing, on purpose, as a network.

    ```python
    posterior = tv.posteriors.DiagonalNormal(1)
    encoder = tv.Encoder(tv.networks.Fixed(lambda x: x[:, :1, 0, 0] * np.float32([[1.0, -3.0]])), posterior)
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
        "Keras 3 model in tv.interop.Keras3, build a layer before use, make a function a tf.Module, or wrap what shall "
        "not learn in adapters.Fixed."
    )


def _name(network: Any) -> str:
    return str(getattr(network, "name", None) or getattr(network, "__name__", None) or type(network).__name__)
