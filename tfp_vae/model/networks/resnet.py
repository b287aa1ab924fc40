"""Convolutional networks with residual or gated blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from numpy.typing import ArrayLike

from tfp_vae.core.lazy import keras
from tfp_vae.core.registry import Depth, Widths, check_keywords
from tfp_vae.core.types import FloatType, Tensor
from tfp_vae.model.networks.base import Activation, Channels, Network
from tfp_vae.model.networks.conv import ImageNetwork

__all__ = ["resnet"]


@check_keywords
def resnet(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    image_shape: Sequence[int] | None = None,
    dtype: FloatType | None = None,
    *,
    channels: Channels = (32, 64),
    blocks: Depth = 1,
    block: Literal["residual", "gated"] = "residual",
    dense: Widths = (256,),
    activation: Activation = "gelu",
) -> Network:
    """Convolutions as in `conv`, with residual or gated blocks at each size of the image.

    residual: h + W_2 * a(W_1 * a(h));  gated: h + (W_1 * a(h)) sigmoid(W_2 * a(h)), with 3x3 convolutions W.

    No activation is applied to the sums, so a signal can pass all blocks unchanged. Each block adds two convolutions
    with 18 C^2 weights. This is four times the cost of the convolution before it if that one doubles the channels.

    ```python
    network = tv.networks.resnet((8, 8, 1), 4, channels=(8,), blocks=2, block="gated", dense=(16,))
    network(x)  # [16, 4]
    ```

    Args:
      input_shape: [H, W, C] of an image (down), or [D] of a vector (up).
      output_size: P, the number of values per output. Up, a multiple of H W.
      output_bias: initial bias of the output, a scalar or [P]. Zero if None.
      seed: seed of the initial weights.
      image_shape: [H, W, C] of the image to make. Needed up.
      dtype: type of the weights. Keras' default type if None, which is float32.
      channels: number of channels at each size, the largest image first.
      blocks: number of blocks at each size.
      block: the type of the blocks.
      dense: widths of the dense layers.
      activation: a, the function after each layer except the last.

    Returns:
      A `tf_keras.Model`, [B, *input_shape] -> [B, P].

    Raises:
      UsageError: neither the input nor `image_shape` is an image [H, W, C], or a keyword is unknown.

    References:
      He et al. (2016), Identity mappings in deep residual networks.
      van den Oord et al. (2016), Conditional image generation with PixelCNN decoders.
    """

    def add_blocks(h: Tensor, seeds: Iterator[int], name: str) -> Tensor:
        from tfp_vae.model.networks.layers import convolution

        for i in range(blocks):
            first, second = (
                convolution(keras.layers.Conv2D, h.shape[-1], 1, None, next(seeds), f"{name}_block_{i}_{part}", dtype)
                for part in "ab"
            )
            a = keras.layers.Activation(activation, dtype=dtype)
            if block == "residual":
                h = h + second(a(first(a(h))))
            else:
                h = h + first(a(h)) * keras.layers.Activation("sigmoid", dtype=dtype)(second(a(h)))
        return h

    builder = ImageNetwork(output_size, output_bias, seed, channels, dense, activation, add_blocks, dtype)
    return builder.build(input_shape, image_shape)
