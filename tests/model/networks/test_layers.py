"""Keras layers with stateless seeds."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_vae.model.networks.dropout import dropping
from tfp_vae.model.networks.layers import Dropout, OutputBias, convolution, dense, initializer, output


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_of_its_input(rate: float) -> None:
    with dropping((0, 1)):
        y = Dropout(rate, network=0, position=0)(tf.ones([200, 100])).numpy()
    assert set(np.unique(y.round(4))) == {0.0, np.float32(1 / (1 - rate)).round(4)}
    error = np.sqrt(rate / (1 - rate) / y.size)
    assert abs(y.mean() - 1) < 4 * error


def test_dropout_returns_its_input_outside_dropping() -> None:
    x = tf.ones([2, 3])
    np.testing.assert_array_equal(Dropout(0.5, network=0, position=0)(x), x)


def test_dropout_layers_have_no_variables() -> None:
    assert not Dropout(0.5, network=0, position=0).variables


@pytest.mark.parametrize("start", [None, 2.0, [1.0, 2.0, 3.0]])
def test_output_bias_starts_at_its_value_and_learns(start: object) -> None:
    layer = OutputBias(start)
    np.testing.assert_array_equal(layer(tf.zeros([2, 3])), np.broadcast_to(0.0 if start is None else start, (2, 3)))
    assert [tuple(variable.shape) for variable in layer.trainable_variables] == [(3,)]


@pytest.mark.parametrize(("activation", "limit"), [("relu", np.sqrt(6 / 50)), ("tanh", np.sqrt(6 / 80)), (None, 0.274)])
def test_initializer_is_he_before_a_relu_and_glorot_otherwise(activation: str | None, limit: float) -> None:
    kernel = initializer(activation, 0)([50, 30]).numpy()
    assert 0.95 * limit < np.abs(kernel).max() <= limit * 1.001


def test_dense_applies_its_activation(rng: np.random.Generator) -> None:
    layer, x = dense(4, "tanh", 0, "layer"), rng.normal(size=(3, 5)).astype(np.float32)
    y = layer(x)
    np.testing.assert_allclose(y, np.tanh(x @ layer.kernel.numpy()), rtol=1e-5)


@pytest.mark.parametrize(("family", "stride", "side"), [("Conv2D", 1, 7), ("Conv2D", 2, 4), ("Conv2DTranspose", 2, 14)])
def test_convolution_changes_the_sides_by_its_stride(family: str, stride: int, side: int) -> None:
    layer = convolution(getattr(tf_keras.layers, family), 3, stride, None, 0, "layer")
    assert layer(tf.ones([2, 7, 7, 5])).shape == (2, side, side, 3)


def test_convolution_agrees_with_a_loop_over_pixels(rng: np.random.Generator) -> None:
    layer, x = convolution(tf_keras.layers.Conv2D, 2, 1, None, 0, "layer"), rng.normal(size=(1, 4, 5, 3))
    found, padded = layer(tf.constant(x, tf.float32)).numpy(), np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    kernel = layer.kernel.numpy()
    for i in range(4):
        for j in range(5):
            expected = np.tensordot(padded[0, i : i + 3, j : j + 3], kernel, axes=3)
            np.testing.assert_allclose(found[0, i, j], expected, atol=1e-5)


def test_output_is_linear_with_its_bias() -> None:
    layer = output(3, [1.0, 2.0, 3.0], 0)
    np.testing.assert_array_equal(layer(tf.zeros([1, 4])), [[1, 2, 3]])
    np.testing.assert_allclose(
        layer(2 * tf.ones([1, 4])) - layer(tf.ones([1, 4])), [layer.kernel.numpy().sum(axis=0)], rtol=1e-5
    )
