"""The beta distribution at small and very large concentrations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tfp_vae.model.distributions.beta import Beta

CONCENTRATIONS = [1e-3, 0.1, 1.0, 2.0, 7.9, 50.0, 1e3, 1e4, 1e6]


def betas() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values and concentrations over a wide grid."""
    pairs = [(a, b) for a in CONCENTRATIONS for b in CONCENTRATIONS]
    rows = [(x, a, b) for a, b in pairs for x in (*stats.beta(a, b).ppf([1e-3, 0.1, 0.5, 0.99]), 1e-6, 0.01, 0.3, 0.99)]
    x, a, b = np.float32(rows).T
    inside = (x > 1e-30) & (x < 1)
    return x[inside], a[inside], b[inside]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("float64", 3e-8)])
def test_density_agrees_with_scipy_at_all_concentrations(dtype: str, tolerance: float) -> None:
    x, a, b = (each.astype(np.float64) for each in betas())
    found = Beta(*(tf.constant(each, dtype) for each in (a, b))).log_prob(tf.constant(x, dtype))
    np.testing.assert_allclose(found, stats.beta(a, b).logpdf(x), rtol=tolerance, atol=tolerance)


def test_density_at_concentrations_of_ten_thousand_is_accurate_in_float32() -> None:
    a, b = np.float32([1e4, 1.2e4])
    x = stats.beta(a, b).ppf(np.linspace(0.01, 0.99, 200)).astype(np.float32)
    expected = stats.beta(np.float64(a), np.float64(b)).logpdf(x.astype(np.float64))
    np.testing.assert_allclose(Beta(a, b).log_prob(x), expected, atol=3e-5)


def test_gradients_agree_with_their_closed_form() -> None:
    x, a, b = map(tf.constant, betas())
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        value = Beta(a, b).log_prob(x)
    by_a, by_b = tape.gradient(value, [a, b])
    u, v, w = (np.asarray(each, np.float64) for each in (a, b, x))
    both = special.digamma(u + v)
    np.testing.assert_allclose(by_a, np.log(w) - special.digamma(u) + both, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(by_b, np.log1p(-w) - special.digamma(v) + both, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("a", "b"), [(0.5, 2.0), (1.0, 1.0), (1.0, 3.0), (2.0, 0.5), (3.0, 1.0)])
def test_density_at_the_ends_is_that_of_tfp(a: float, b: float) -> None:
    ends = [0.0, 1.0]
    np.testing.assert_allclose(Beta(a, b).log_prob(ends), tfp.distributions.Beta(a, b).log_prob(ends), atol=1e-6)
