"""Convolutional networks, down and up."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Tensor
from tfp_vae.model.networks.conv import conv
from tfp_vae.model.networks.resnet import resnet

SHAPES = [(8, 8, 1), (7, 5, 2), (9, 4, 3)]
SMALL = {"channels": (3, 4), "dense": (8,)}


@pytest.mark.parametrize("network", [conv, resnet])
@pytest.mark.parametrize("shape", SHAPES)
def test_down_and_up_fit_images_of_any_size(network: object, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    down, size = network(shape, 5, **SMALL), int(np.prod(shape))
    up = network((5,), 2 * size, image_shape=shape, **SMALL)
    code = down(rng.normal(size=(3, *shape)).astype(np.float32))
    assert code.shape == (3, 5)
    assert up(code).shape == (3, 2 * size)


def test_each_layer_down_halves_the_sides() -> None:
    network = conv((9, 4, 3), 5, channels=(2, 4), dense=())
    sizes = [network.get_layer(f"down_{i}").output.shape[1:] for i in (0, 1)]
    assert [tuple(size) for size in sizes] == [(5, 2, 2), (3, 1, 4)]


def test_each_layer_up_doubles_the_sides_in_the_opposite_order() -> None:
    network = conv((2,), 9 * 4, image_shape=(9, 4, 1), channels=(2, 4), dense=())
    sizes = [network.get_layer(f"up_{i}").output.shape[1:] for i in (0, 1)]
    assert [tuple(size) for size in sizes] == [(6, 2, 4), (12, 4, 2)]


@pytest.mark.parametrize("network", [conv, resnet])
def test_output_up_has_a_bias_for_each_element(network: object) -> None:
    bias = np.arange(2 * 8 * 8, dtype=np.float32)
    up = network((3,), 2 * 8 * 8, output_bias=bias, image_shape=(8, 8, 1), **SMALL)
    kernel = up.get_layer("output").kernel
    kernel.assign(tf.zeros_like(kernel))
    np.testing.assert_array_equal(up(tf.ones([1, 3]))[0], bias)


def test_values_of_one_pixel_are_next_to_each_other() -> None:
    up = conv((3,), 2 * 4 * 4, image_shape=(4, 4, 1), channels=(3,), dense=())
    last = up.get_layer("output")
    last.kernel.assign(tf.zeros_like(last.kernel))
    last.bias.assign([1.0, 2.0])
    np.testing.assert_array_equal(up(tf.ones([1, 3]))[0], np.tile([1.0, 2.0], 16))


@pytest.mark.parametrize("network", [conv, resnet])
def test_error_names_the_shape_that_is_not_an_image(network: object) -> None:
    with pytest.raises(UsageError, match=r"expected a shape \[H, W, C\], found \[10\]. Use an `mlp`"):
        network((10,), 4)
    with pytest.raises(UsageError, match=r"expected a shape \[H, W, C\], found \[7\]. Use an `mlp`"):
        network((2,), 7, image_shape=(7,))


def test_down_is_equivariant_to_shifts_by_its_stride(rng: np.random.Generator) -> None:
    network = conv((16, 16, 1), 4, channels=(3,), dense=())
    first = network.get_layer("down_0")
    x = np.zeros((1, 16, 16, 1), np.float32)
    x[0, 4:8, 4:8, 0] = rng.normal(size=(4, 4))

    def features(image: np.ndarray) -> Tensor:
        return first(tf.constant(image))

    np.testing.assert_allclose(features(np.roll(x, 2, axis=1)), np.roll(features(x), 1, axis=1), atol=1e-6)


def test_every_variable_receives_a_gradient(rng: np.random.Generator) -> None:
    up = conv((3,), 64, image_shape=(8, 8, 1), **SMALL)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(up(rng.normal(size=(4, 3)).astype(np.float32)) ** 2)
    for variable, gradient in zip(up.trainable_variables, tape.gradient(value, up.trainable_variables), strict=True):
        assert np.abs(gradient).max() > 0, variable.name


def test_a_misspelt_setting_suggests_the_right_name() -> None:
    with pytest.raises(UsageError, match=r"conv has no setting `chanels`. Did you mean `channels`\?"):
        conv((8, 8, 1), 4, chanels=(2,))
