"""Parts that all networks share."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.models import SHAPE
from tfp_vae.model.networks import NETWORKS, mlp, needs_images
from tfp_vae.model.networks.base import apply_to_last_axis, layer_seeds


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 1, 3)])
def test_apply_to_last_axis_keeps_leading_axes(leading: tuple[int, ...], rng: np.random.Generator) -> None:
    network, x = mlp((5,), 3, hidden=(4,)), rng.normal(size=(*leading, 5)).astype(np.float32)
    found = apply_to_last_axis(network, tf.constant(x))
    assert found.shape == (*leading, 3)
    each = [network(row[np.newaxis])[0] for row in x.reshape(-1, 5)]
    np.testing.assert_allclose(tf.reshape(found, [-1, 3]), each, atol=1e-6)


def test_seed_of_a_layer_depends_only_on_its_position() -> None:
    first, longer = (list(itertools.islice(layer_seeds(3), count)) for count in (3, 6))
    assert longer[:3] == first
    assert len(set(longer)) == 6
    assert first != list(itertools.islice(layer_seeds(4), 3))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_seed_decides_the_initial_weights(name: str) -> None:
    first, again, other = (NETWORKS[name](SHAPE, 5, seed=seed).get_weights() for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or (a != c).any()


@pytest.mark.parametrize("name", list(NETWORKS))
def test_output_of_zero_weights_is_the_bias(name: str, rng: np.random.Generator) -> None:
    bias = np.arange(5, dtype=np.float32)
    network = NETWORKS[name](SHAPE, 5, output_bias=bias)
    network.get_layer("output").kernel.assign(tf.zeros_like(network.get_layer("output").kernel))
    np.testing.assert_array_equal(network(rng.normal(size=(3, *SHAPE)).astype(np.float32)), np.tile(bias, (3, 1)))


@pytest.mark.parametrize(("name", "images"), [("mlp", False), ("conv", True), ("resnet", True)])
def test_only_convolutions_need_images(name: str, images: bool) -> None:
    assert needs_images(name) == images
