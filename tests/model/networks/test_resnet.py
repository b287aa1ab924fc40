"""Residual and gated blocks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.model.networks.conv import conv
from tfp_vae.model.networks.resnet import resnet

SHAPE = (8, 8, 1)


@pytest.mark.parametrize("block", ["residual", "gated"])
def test_blocks_with_zero_weights_change_nothing(block: str, rng: np.random.Generator) -> None:
    network = resnet(SHAPE, 4, channels=(3, 5), blocks=2, block=block, dense=(8,))
    plain = conv(SHAPE, 4, channels=(3, 5), dense=(8,))
    for layer in network.layers:
        if "block" in layer.name:
            layer.kernel.assign(tf.zeros_like(layer.kernel))
    for name in ("down_0", "down_1", "dense_0", "output"):
        for variable, other in zip(plain.get_layer(name).variables, network.get_layer(name).variables, strict=True):
            variable.assign(other)
    x = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(network(x), plain(x), atol=1e-6)


@pytest.mark.parametrize("blocks", [1, 3])
def test_each_block_has_two_convolutions_at_each_size(blocks: int) -> None:
    network = resnet(SHAPE, 4, channels=(3, 5), blocks=blocks, dense=(8,))
    added = [layer for layer in network.layers if "block" in layer.name]
    assert len(added) == 2 * 2 * blocks
    kernels = [layer.kernel for layer in added]
    assert {tuple(kernel.shape) for kernel in kernels} == {(3, 3, 3, 3), (3, 3, 5, 5)}


def test_gated_and_residual_blocks_differ(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, *SHAPE)).astype(np.float32)
    outputs = [resnet(SHAPE, 4, channels=(3,), block=block, dense=())(x).numpy() for block in ("residual", "gated")]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4


def test_residual_block_follows_the_equation(rng: np.random.Generator) -> None:
    network = resnet(SHAPE, 4, channels=(3,), blocks=1, dense=(), activation="tanh")
    x = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    h = network.get_layer("down_0")(x)
    first, second = (network.get_layer(f"down_0_block_0_{part}") for part in "ab")
    h = h + second(tf.tanh(first(tf.tanh(h))))
    expected = network.get_layer("output")(tf.reshape(h, [2, -1]))
    np.testing.assert_allclose(network(x), expected, atol=1e-6)
