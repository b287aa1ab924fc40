"""The Poisson distribution at small and very large counts."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from tfp_vae.model.distributions.counts import FEW, SERIES, Poisson

RATES = [0.01, 1.0, 15.0, 17.0, 300.0, 1e4, 1e5, 1e6, 1e7]


def counts_near(rate: float) -> np.ndarray:
    """Return counts around a rate, from likely to extreme. Float32 can hold all of them."""
    deviations = np.array([-200, -30, -5, -1, -0.1, 0, 0.3, 1, 4, 40, 300])
    return np.unique(np.maximum(0, np.round(rate + np.sqrt(rate) * deviations))).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-9)])
def test_density_is_accurate_at_large_counts(rate: float, dtype: str, tolerance: float) -> None:
    x, rate = counts_near(rate), np.dtype(dtype).type(rate)
    found = Poisson(tf.constant(rate, dtype)).log_prob(tf.constant(x, dtype))
    expected = stats.poisson(np.float64(rate)).logpmf(x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=100 * tolerance)


@pytest.mark.parametrize("rate", RATES)
def test_gradient_in_the_rate_is_the_relative_excess_of_the_count(rate: float) -> None:
    x, constant = counts_near(rate), tf.constant(np.float32(rate))
    with tf.GradientTape() as tape:
        tape.watch(constant)
        value = Poisson(constant).log_prob(x)
    expected = (x.astype(np.float64) - np.float64(np.float32(rate))) / np.float64(np.float32(rate))
    np.testing.assert_allclose(tape.jacobian(value, constant), expected, rtol=1e-5, atol=1e-6)


def test_statistics_and_samples_agree_with_a_poisson() -> None:
    rate = np.float32([0.5, 7.0, 2e4])
    p = Poisson(tf.constant(rate))
    for statistic in (p.mean(), p.variance()):
        np.testing.assert_array_equal(statistic, rate)
    np.testing.assert_array_equal(p.mode(), np.floor(rate))
    assert p.batch_shape == (3,)
    assert p.event_shape == ()
    x = p.sample(4_000, seed=(1, 2)).numpy()
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - rate), 4.5 * np.sqrt(rate / len(x)))


@pytest.mark.parametrize("rate", [0.3, 15.5, 40.0])
def test_probabilities_sum_to_one_across_both_forms(rate: float) -> None:
    x = np.arange(200, dtype=np.float32)
    assert np.exp(Poisson(tf.constant(np.float32(rate))).log_prob(x)).sum() == pytest.approx(1, abs=1e-5)


def test_both_forms_agree_where_they_meet() -> None:
    rate, x = tf.constant(16.3, tf.float64), tf.constant([FEW - 1, FEW, FEW + 1], tf.float64)
    stock = tfp.distributions.Poisson(rate)
    np.testing.assert_allclose(Poisson(rate).log_prob(x), stock.log_prob(x), rtol=1e-10)


def test_series_agrees_with_the_area_hyperbolic_tangent() -> None:
    w = 0.01
    # artanh(v) / v = 1 + sum_j v^(2j) / (2 j + 1)
    v = np.sqrt(w)
    assert np.polyval(SERIES, w) == pytest.approx(np.arctanh(v) / v - 1, rel=1e-12)
