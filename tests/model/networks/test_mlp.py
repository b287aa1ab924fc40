"""The multilayer perceptron."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.models import SHAPE
from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Tensor
from tfp_vae.model.networks import dropping
from tfp_vae.model.networks.mlp import mlp

ACTIVATIONS = {
    "gelu": tf.nn.gelu,
    "relu": tf.nn.relu,
    "tanh": tf.tanh,
    "elu": tf.nn.elu,
    "silu": tf.nn.silu,
    "softplus": tf.nn.softplus,
}


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(6, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_output_follows_the_equation(activation: str, x: np.ndarray) -> None:
    network = mlp(SHAPE, 4, output_bias=[1.0, 2.0, 3.0, 4.0], hidden=(8, 5), activation=activation)
    first, first_bias, second, second_bias, last, bias = network.get_weights()
    h = ACTIVATIONS[activation](x.reshape(6, -1) @ first + first_bias)
    h = ACTIVATIONS[activation](h @ second + second_bias)
    np.testing.assert_allclose(network(x), h @ last + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(bias, [1, 2, 3, 4])


def test_no_hidden_layer_means_a_linear_map(x: np.ndarray) -> None:
    network = mlp(SHAPE, 4, hidden=())
    kernel, bias = network.get_weights()
    np.testing.assert_allclose(network(x), x.reshape(6, -1) @ kernel + bias, atol=1e-5)


def test_normalization_gives_each_hidden_layer_mean_zero_and_variance_one(x: np.ndarray) -> None:
    network = mlp(SHAPE, 4, hidden=(32,), normalization="layer")
    h = x.reshape(6, -1) @ network.get_layer("hidden_0").kernel.numpy()
    normal = network.get_layer("normalization_0")(h).numpy()
    np.testing.assert_allclose(normal.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(normal.std(axis=1), 1, atol=1e-2)


@pytest.mark.parametrize(("activation", "variance"), [("relu", 2 / 12), ("gelu", 2 / (12 + 4_000))])
def test_initial_weights_have_the_variance_of_their_activation(activation: str, variance: float) -> None:
    kernel = mlp(SHAPE, 4, hidden=(4_000,), activation=activation).get_weights()[0]
    assert kernel.var() == pytest.approx(variance, rel=0.05)
    assert np.abs(kernel.mean()) < 4 * np.sqrt(variance / kernel.size)


def test_dropout_changes_the_output_only_within_dropping(x: np.ndarray) -> None:
    network = mlp(SHAPE, 4, hidden=(64,), dropout=0.5, normalization="layer")
    np.testing.assert_array_equal(network(x), network(x))
    outputs = []
    for seed in ((0, 1), (0, 1), (0, 2)):
        with dropping(seed):
            outputs.append(network(x).numpy())
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert (outputs[0] != outputs[2]).any()
    assert (outputs[0] != network(x).numpy()).any()


def masks(network: Tensor, size: int) -> np.ndarray:
    """Return which units of the last hidden layer are dropped, for 50 rows."""
    with dropping((0, 1)):
        return network.layers[-2](tf.ones([50, size])).numpy() == 0


def test_networks_of_other_seeds_or_sizes_drop_other_units() -> None:
    def dropout(seed: int, size: int) -> np.ndarray:
        return masks(mlp(SHAPE, size, seed=seed, hidden=(64,), dropout=0.5), 64)

    first, again, seed, size = dropout(0, 4), dropout(0, 4), dropout(1, 4), dropout(0, 5)
    np.testing.assert_array_equal(first, again)
    for other in (seed, size):
        assert 0.4 < np.mean(first == other) < 0.6  # as two independent masks would be
    assert 0.45 < first.mean() < 0.55


def test_layers_of_one_network_drop_different_units() -> None:
    network = mlp((64,), 4, hidden=(64, 64), dropout=0.5)
    with dropping((0, 1)):
        first, second = (network.get_layer(f"dropout_{i}")(tf.ones([50, 64])).numpy() for i in (0, 1))
    assert 0.4 < np.mean(first == second) < 0.6


def test_a_misspelt_setting_suggests_the_right_name() -> None:
    with pytest.raises(UsageError, match=r"mlp has no setting `hiden`. Did you mean `hidden`\?"):
        mlp((2,), 1, hiden=(3,))
