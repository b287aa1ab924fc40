"""A network of one input as a network of x and a context. The tables do without this module, which needs TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.networks.base import Network

__all__ = ["WithContext"]


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
