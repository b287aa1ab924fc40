"""Your own networks: check that `tf.Module` tracks the variables they should learn.

`Encoder` and `Decoder` call `require_variables`, so a network that could never learn raises an error.
"""

from __future__ import annotations

from typing import final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.networks.base import Network

__all__ = ["Fixed", "require_variables"]


@final
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

    def __call__(self, x: Array) -> Tensor:
        """Return function(x)."""
        return self.function(x)


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
