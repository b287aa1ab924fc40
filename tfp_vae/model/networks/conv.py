"""Convolutional networks, from an image to a vector or from a vector to an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import final

from numpy.typing import ArrayLike

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import keras
from tfp_vae.core.registry import Widths, check_keywords
from tfp_vae.core.types import FloatType, Tensor
from tfp_vae.model.networks.base import Activation, Channels, Network, layer_seeds

__all__ = ["ImageNetwork", "conv"]


@check_keywords
def conv(
    input_shape: Sequence[int],
    output_size: int,
    output_bias: ArrayLike | None = None,
    seed: int = 0,
    image_shape: Sequence[int] | None = None,
    dtype: FloatType | None = None,
    *,
    channels: Channels = (32, 64),
    dense: Widths = (256,),
    activation: Activation = "gelu",
) -> Network:
    """Convolutions: down from an image to a vector, or up from a vector to an image.

    Down, h_l = a(W_l * h_{l-1} + b_l) with 3x3 convolutions of stride 2, which halve height and width. Dense layers
    follow. Up, the dense layers come first. Transposed convolutions then double height and width, and the result is
    cropped to the image. The output has a bias for each element, so it can start at the mean image of the data.

    A layer costs 9 H W C_in C_out multiplications per image. Sides need not be powers of two, because odd sides are
    rounded up. On a CPU, run it as a graph, because XLA has no fast convolution there (see `execution.choose`).

    ```python
    encoder = tv.networks.conv((8, 8, 1), 4, channels=(8,), dense=(16,))  # down: [B, 8, 8, 1] -> [B, 4]
    decoder = tv.networks.conv((2,), 64, image_shape=(8, 8, 1), channels=(8,), dense=(16,))  # up: [B, 2] -> [B, 64]
    decoder(encoder(x)[:, :2])  # [16, 64]
    ```

    Args:
      input_shape: [H, W, C] of an image (down), or [D] of a vector (up).
      output_size: P, the number of values per output. Up, a multiple of H W, with the values of one pixel next to
        each other.
      output_bias: initial bias of the output, a scalar or [P]. Zero if None.
      seed: seed of the initial weights.
      image_shape: [H, W, C] of the image to make. Needed up.
      dtype: type of the weights. Keras' default type if None, which is float32.
      channels: number of channels of each layer, the largest image first.
      dense: widths of the dense layers.
      activation: a, the function after each layer except the last.

    Returns:
      A `tf_keras.Model`, [B, *input_shape] -> [B, P].

    Raises:
      UsageError: neither the input nor `image_shape` is an image [H, W, C], or a keyword is unknown.

    References:
      Radford, Metz and Chintala (2016), Unsupervised representation learning with deep convolutional generative
      adversarial networks.
    """
    builder = ImageNetwork(output_size, output_bias, seed, channels, dense, activation, dtype=dtype)
    return builder.build(input_shape, image_shape)


@final
class ImageNetwork:
    """Builds the networks of `conv` and `resnet`.

    Args:
      output_size: number of values per output.
      output_bias: initial bias of the output. Zero if None.
      seed: seed of the initial weights.
      channels: number of channels at each size, the largest image first.
      dense: widths of the dense layers.
      activation: name of the activation.
      add_blocks: (h, seeds, name) -> h, the layers that follow each change of size. None for `conv`.
      dtype: type of the weights. Keras' default type if None.
    """

    def __init__(
        self,
        output_size: int,
        output_bias: ArrayLike | None,
        seed: int,
        channels: Sequence[int],
        dense: Sequence[int],
        activation: str,
        add_blocks: Callable[[Tensor, Iterator[int], str], Tensor] | None = None,
        dtype: FloatType | None = None,
    ) -> None:
        self.output_size, self.output_bias, self.seed = output_size, output_bias, seed
        self.channels, self.dense, self.activation, self.dtype = channels, dense, activation, dtype
        self.add_blocks = add_blocks or (lambda h, seeds, name: h)

    def build(self, input_shape: Sequence[int], image_shape: Sequence[int] | None) -> Network:
        """Return the network down from an image [H, W, C], or up from a vector [D] to an image of `image_shape`.

        Raises:
          UsageError: there is no image on either side.
        """
        if len(input_shape) == 3:
            return self._down(input_shape)
        if image_shape is None or len(image_shape) != 3:
            raise UsageError(
                subject="convolutions need images",
                expected="a shape [H, W, C]",
                found=str([*(input_shape if image_shape is None else image_shape)]),
                remedy="Use an `mlp` for other data.",
            )
        return self._up(input_shape, image_shape)

    def _down(self, input_shape: Sequence[int]) -> Network:
        from tfp_vae.model.networks.layers import convolution, dense, output

        seeds = layer_seeds(self.seed)
        x = h = keras.Input(tuple(input_shape), dtype=self.dtype)
        for i, width in enumerate(self.channels):
            h = convolution(keras.layers.Conv2D, width, 2, self.activation, next(seeds), f"down_{i}", self.dtype)(h)
            h = self.add_blocks(h, seeds, f"down_{i}")
        h = keras.layers.Flatten(dtype=self.dtype)(h)
        for i, width in enumerate(self.dense):
            h = dense(width, self.activation, next(seeds), f"dense_{i}", self.dtype)(h)
        network: Network = keras.Model(x, output(self.output_size, self.output_bias, next(seeds), self.dtype)(h))
        return network

    def _up(self, input_shape: Sequence[int], image_shape: Sequence[int]) -> Network:
        from tfp_vae.model.networks.layers import OutputBias, convolution, dense

        height, width, seeds = *image_shape[:2], layer_seeds(self.seed)
        small = [math.ceil(side / 2 ** len(self.channels)) for side in (height, width)]
        z = h = keras.Input(tuple(input_shape), dtype=self.dtype)
        for i, size in enumerate((*self.dense, math.prod(small) * self.channels[-1])):
            h = dense(size, self.activation, next(seeds), f"dense_{i}", self.dtype)(h)
        h = keras.layers.Reshape((*small, self.channels[-1]), dtype=self.dtype)(h)
        for i, size in enumerate(reversed(self.channels)):
            h = self.add_blocks(h, seeds, f"up_{i}")
            family, name = keras.layers.Conv2DTranspose, f"up_{i}"
            h = convolution(family, size, 2, self.activation, next(seeds), name, self.dtype)(h)
        channels = self.output_size // (height * width)
        last = convolution(keras.layers.Conv2D, channels, 1, None, next(seeds), "output", self.dtype)
        cropped = h if h.shape[1:3] == (height, width) else h[:, :height, :width]  # a full slice would copy h
        image = keras.layers.Flatten(dtype=self.dtype)(last(cropped))
        network: Network = keras.Model(z, OutputBias(self.output_bias, self.dtype)(image))
        return network
