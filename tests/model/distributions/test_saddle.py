"""Terms of saddle-point densities."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfp_vae.model.distributions.saddle import (
    FEW,
    NEAR,
    SERIES,
    binomial_deviance,
    deviance,
    stirling_remainder,
)


def test_series_agrees_with_the_area_hyperbolic_tangent() -> None:
    w = NEAR**2
    # artanh(v) / v = 1 + sum_j v^(2j) / (2 j + 1)
    assert np.polyval(SERIES, w) == pytest.approx(np.arctanh(NEAR) / NEAR - 1, rel=1e-12)


@pytest.mark.parametrize("x", [1e-6, 0.3, 1.0, FEW - 1e-3, FEW, 20.0, 1e3])
def test_stirling_remainder_agrees_with_the_log_gamma_function(x: float) -> None:
    expected = special.gammaln(x) - (x - 0.5) * np.log(x) + x - np.log(2 * np.pi) / 2
    assert float(stirling_remainder(tf.constant(x, tf.float64))) == pytest.approx(expected, rel=1e-9, abs=1e-11)
    assert float(stirling_remainder(tf.constant(x))) == pytest.approx(expected, rel=1e-5, abs=3e-6)


def test_stirling_remainder_has_a_finite_gradient_on_both_sides_of_its_limit() -> None:
    x = tf.constant([1e-6, 0.5, FEW, 1e7], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = stirling_remainder(x)
    expected = special.digamma(x) - np.log(x) + 0.5 / np.array(x)
    np.testing.assert_allclose(tape.gradient(value, x), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("ratio", [1e-6, 0.5, 1 - 1e-3, 1.0, 1 + 1e-5, 1.2, 1.3, 50.0])
def test_deviance_agrees_with_float64(ratio: float) -> None:
    x, mean = np.float32(1e4 * ratio), np.float32(1e4)
    found = deviance(tf.constant(x), tf.constant(mean), tf.constant(x - mean), tf.constant(np.log(x / mean)))
    v = (np.float64(x) - mean) / (np.float64(x) + mean)
    expected = (np.float64(x) - mean) * v + 2 * x * v * (np.arctanh(v) / v - 1 if v else 0.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_deviance_is_zero_at_the_mean_and_positive_elsewhere() -> None:
    x = tf.constant([1.0, 50.0, 99.0, 100.0, 101.0, 1e4])
    found = deviance(x, tf.constant(100.0), x - 100, tf.math.log(x / 100)).numpy()
    assert found[3] == 0
    assert (np.delete(found, 3) > 0).all()


def test_binomial_deviance_is_a_sum_of_two_logarithms() -> None:
    a, b, p = tf.constant(3.0, tf.float64), tf.constant([0.01, 2.0, 900.0], tf.float64), tf.constant(0.2, tf.float64)
    log_ratios = tf.math.log(a / ((a + b) * p)), tf.math.log(b / ((a + b) * (1 - p)))
    found = binomial_deviance(a, b, (p, 1 - p), log_ratios)
    np.testing.assert_allclose(found, a * log_ratios[0] + b * log_ratios[1], rtol=1e-10)
