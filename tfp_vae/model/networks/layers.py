"""Keras layers with stateless seeds. Importing this module imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike

from tfp_vae.core.lazy import keras, tf
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import FloatType, Tensor, TensorShape
from tfp_vae.model.networks.dropout import DROPPING

__all__ = ["Dropout", "Layer", "OutputBias", "convolution", "dense", "initializer", "output"]

Layer: TypeAlias = Callable[[Tensor], Tensor]
"""A `tf_keras` layer, as far as networks use it."""


@final
class Dropout(keras.layers.Layer):
    """Dropout with masks from the seed of `dropping`, because those of Keras are not stateless.

    Args:
      rate: share of the units that are dropped. The others are multiplied by 1 / (1 - rate).
      network: an integer that differs between networks, so that they drop different units.
      position: index of the layer in its network.
      dtype: type of the values. Keras' default type if None.
    """

    def __init__(self, rate: float, network: int, position: int, dtype: FloatType | None = None) -> None:
        super().__init__(name=f"dropout_{position}", dtype=dtype)
        self.rate, self.network, self.position = rate, network, position

    def call(self, x: Tensor) -> Tensor:
        """Return x with some units dropped, or x itself outside `dropping`."""
        seed = DROPPING.get()
        if seed is None:
            return x
        return tf.nn.experimental.stateless_dropout(x, self.rate, fold(seed, self.network, self.position))


@final
class OutputBias(keras.layers.Layer):
    """A bias for each output [B, P]. A convolution has one bias per channel only.

    Args:
      start: its initial values, a scalar or [P]. None means zero.
      dtype: type of the bias. Keras' default type if None.
    """

    def __init__(self, start: ArrayLike | None, dtype: FloatType | None = None) -> None:
        super().__init__(name="output_bias", dtype=dtype)
        self.start = start

    def build(self, shape: TensorShape) -> None:
        """Create the bias."""
        constant = keras.initializers.Constant(0.0 if self.start is None else np.asarray(self.start))
        self.bias = self.add_weight("bias", shape[-1:], initializer=constant)

    def call(self, x: Tensor) -> Tensor:
        """Return x + bias."""
        return x + self.bias


def initializer(activation: str | None, seed: int) -> Callable[..., Tensor]:
    """Return the initializer of the weights before an activation: He uniform for a relu, else Glorot uniform."""
    family = keras.initializers.HeUniform if activation == "relu" else keras.initializers.GlorotUniform
    start: Callable[..., Tensor] = family(seed)
    return start


def dense(width: int, activation: str, seed: int, name: str, dtype: FloatType | None = None) -> Layer:
    """Return a dense layer, h -> activation(W h + b)."""
    start = initializer(activation, seed)
    layer: Layer = keras.layers.Dense(width, activation, kernel_initializer=start, name=name, dtype=dtype)
    return layer


def convolution(
    family: Callable[..., Layer],
    channels: int,
    stride: int,
    activation: str | None,
    seed: int,
    name: str,
    dtype: FloatType | None = None,
) -> Layer:
    """Return a layer of 3x3 convolutions, padded so that a stride of 1 keeps the size of the image.

    Args:
      family: `tf_keras.layers.Conv2D`, or `Conv2DTranspose` to enlarge the image.
      channels: number of output channels.
      stride: factor by which the sides shrink or grow.
      activation: name of the activation, or None for a linear layer.
      seed: seed of the initial weights.
      name: the layer's name.
      dtype: type of the weights. Keras' default type if None.
    """
    start = initializer(activation, seed)
    return family(channels, 3, stride, "same", activation=activation, kernel_initializer=start, name=name, dtype=dtype)


def output(size: int, bias: ArrayLike | None, seed: int, dtype: FloatType | None = None) -> Layer:
    """Return the linear last layer of a network, whose bias starts at `bias` or at zero."""
    layer: Layer = keras.layers.Dense(
        size,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        bias_initializer=keras.initializers.Constant(0.0 if bias is None else np.asarray(bias)),
        name="output",
        dtype=dtype,
    )
    return layer
