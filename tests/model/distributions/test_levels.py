"""Distributions over levels and over their grid."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfp_vae.model.distributions.levels import CategoricalLevels, OnGrid, RoundedLogistic

SCALES = [0.05, 1.0, 5.0, 20.0, 100.0, 1e4, 1e7]


def log_mass(k: np.ndarray, loc: float, scale: float, count: int) -> np.ndarray:
    """Return log P(k) of a rounded logistic in float64, from the tail in which it does not cancel."""
    low, high = (np.where(k == 0, -np.inf, k - 0.5) - loc) / scale, (np.where(k == count - 1, np.inf, k + 0.5) - loc)
    high = high / scale
    upper = low > 0
    a, b = np.where(upper, -high, low), np.where(upper, -low, high)
    log_a, log_b = special.log_expit(a), special.log_expit(b)
    return np.asarray(log_b + np.log(-np.expm1(log_a - log_b)))


class TestRoundedLogistic:
    """P(k) = sigmoid(b) - sigmoid(a)."""

    @pytest.mark.parametrize("scale", SCALES)
    def test_fine_levels_keep_their_mass_in_float32(self, scale: float) -> None:
        count, loc = 65_536, 32_767.25
        k = np.unique(np.clip(np.round(loc + scale * np.array([-30, -8, -3, -1, 0, 0.5, 2, 5, 20])), 0, count - 1))
        k = np.union1d(k, [0, 1, count - 2, count - 1])
        p = RoundedLogistic(tf.constant(np.float32(loc)), tf.constant(np.float32(scale)), count)
        expected = log_mass(k, loc, np.float64(np.float32(scale)), count)
        np.testing.assert_allclose(p.log_prob(np.float32(k)), expected, rtol=1e-5, atol=1e-4)

    def test_masses_of_fine_levels_sum_to_one(self) -> None:
        k = np.arange(65_536, dtype=np.float32)
        p = RoundedLogistic(tf.constant(20_000.0), tf.constant(300.0), 65_536)
        assert np.exp(p.log_prob(k), dtype=np.float64).sum() == pytest.approx(1, abs=1e-5)

    def test_gradients_of_fine_levels_are_finite(self) -> None:
        params = tf.Variable([[32_767.25] * 7, SCALES])
        with tf.GradientTape() as tape:
            k = np.float32([[0], [1], [32_767], [65_535]])
            value = tf.reduce_sum(RoundedLogistic(params[0], params[1], 65_536).log_prob(k))
        assert np.isfinite(tape.gradient(value, params)).all()

    @pytest.mark.parametrize("loc", [-3.0, 0.0, 2.2, 7.0, 30.0])
    def test_mean_is_the_sum_over_the_levels(self, loc: float) -> None:
        p, k = RoundedLogistic(tf.constant(loc), tf.constant(1.3), 8), np.arange(8, dtype=np.float32)
        expected = np.sum(k * np.exp(p.log_prob(k)))
        assert float(p.mean()) == pytest.approx(float(expected), abs=1e-4)

    def test_samples_have_the_frequencies_of_the_levels(self) -> None:
        p = RoundedLogistic(tf.constant(1.2), tf.constant(0.8), 4)
        samples = p.sample(20_000, seed=(0, 1)).numpy()
        for k in range(4):
            probability = float(np.exp(p.log_prob(float(k))))
            assert abs((samples == k).mean() - probability) < 4 * np.sqrt(probability / 20_000)

    def test_ends_take_the_tails(self) -> None:
        far = RoundedLogistic(tf.constant([-50.0, 50.0]), tf.constant(1.0), 4)
        np.testing.assert_allclose(far.log_prob([0.0, 3.0]), 0, atol=1e-6)


class TestCategoricalLevels:
    """P(k) = softmax(logits)_k, with a mean."""

    def test_mean_weights_the_levels_by_their_probability(self, rng: np.random.Generator) -> None:
        logits = rng.normal(size=(2, 3, 5)).astype(np.float32)
        found = CategoricalLevels(logits=logits).mean()
        np.testing.assert_allclose(found, special.softmax(logits, axis=-1) @ np.arange(5), rtol=1e-5)


class TestOnGrid:
    """A distribution over levels, on {0, 1/(L-1), ..., 1}."""

    def test_values_are_rounded_to_the_nearest_level(self) -> None:
        p = OnGrid(CategoricalLevels(logits=tf.math.log([0.1, 0.2, 0.7])), 3)
        np.testing.assert_allclose(np.exp(p.log_prob([0.0, 0.49, 0.51, 0.99])), [0.1, 0.2, 0.2, 0.7], rtol=1e-5)

    def test_mean_and_samples_are_on_the_scale_of_the_grid(self) -> None:
        p = OnGrid(CategoricalLevels(logits=tf.math.log([0.1, 0.2, 0.7])), 3)
        assert float(p.mean()) == pytest.approx(0.8, rel=1e-5)
        samples = p.sample(10_000, seed=(0, 1)).numpy()
        assert set(np.unique(samples)) == {0.0, 0.5, 1.0}
        assert abs(samples.mean() - 0.8) < 4 * samples.std() / 100

    def test_shapes_are_those_of_the_levels(self) -> None:
        p = OnGrid(CategoricalLevels(logits=tf.zeros([2, 3, 4])), 4)
        assert (p.batch_shape, p.event_shape) == ((2, 3), ())
        assert tuple(p.batch_shape_tensor()) == (2, 3)
        assert p.event_shape_tensor().shape == (0,)
