"""Networks that change the input of another network. The tables do without this module, which needs TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.networks.base import Network
from tfp_vae.model.networks.context import ContextNetwork, call_network

__all__ = ["LowestLayer", "WithContext"]


@final
@check_keywords
class WithContext(tf.Module):
    """A network of one input as a network of x and a context: the context is appended to x.

    For vectors, and for images in a dense network, the input is vec(x) followed by y. For images with `maps=True`, each
    value of y is a further channel of the image that is constant over its pixels.

    ```python
    network = tv.networks.WithContext(tv.networks.mlp((64 + 3,), 4, hidden=(16,)))
    network(x, np.eye(3, dtype=np.float32)[[0, 1] * 8])  # [16, 4], for images of 8x8 and a context of 3 values
    ```

    Args:
      network: tensor -> tensor, [B, M + C] -> [B, P], or [B, H, W, channels + C] -> [B, P] with `maps`.
      maps: whether the context becomes channels of images.
    """

    def __init__(self, network: Network, *, maps: bool = False) -> None:
        super().__init__()
        self.network, self.maps = network, maps

    @property
    def layers(self) -> Sequence[object]:
        """The layers of the network, if it is made of layers."""
        return getattr(self.network, "layers", ())

    def __call__(self, x: Array, context: Array) -> Tensor:
        """Return the output for x [B, ...] and a context [B, C]."""
        context = tf.cast(context, x.dtype)
        if self.maps:
            context = tf.tile(context[:, tf.newaxis, tf.newaxis], [1, *x.shape[1:3], 1])
        else:
            x = tf.reshape(x, [-1, math.prod(x.shape[1:])])
        return self.network(tf.concat([x, context], axis=-1))


@final
@check_keywords
class LowestLayer(tf.Module):
    """A network of z_1 as a network of z = (z_1, ..., z_L), for the decoder p(x|z_1) of a model with layers.

    ```python
    network = tv.networks.LowestLayer(tv.networks.mlp((4,), 64, hidden=(16,)), 4)
    network(np.zeros([16, 6], np.float32))  # [16, 64], for layers of 4 and 2 dimensions
    ```

    Args:
      network: tensor -> tensor, [B, D_1] -> [B, P]. It may take a context [B, C] as its second input.
      size: D_1, the number of dimensions of z_1.
    """

    def __init__(self, network: ContextNetwork, size: int) -> None:
        super().__init__()
        self.network, self.size = network, size

    @property
    def layers(self) -> Sequence[object]:
        """The layers of the network, if it is made of layers."""
        return getattr(self.network, "layers", ())

    def __call__(self, z: Array, context: Array | None = None) -> Tensor:
        """Return the output for z [B, D] and perhaps a context [B, C]."""
        return call_network(self.network, z[:, : self.size], context)
