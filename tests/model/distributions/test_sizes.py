"""Rows of counts with a common size factor: densities against integrals on a grid, samples and limits."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfp_vae.model.distributions.sizes import SizeFactorCounts, SizeFactorNegativeBinomial, SizeFactorPoisson

LOGITS = np.array([0.3, -1.2, 1.0, 0.0])
TOTAL_COUNT = np.array([0.4, 2.0, 9.0, 1.0])
FAMILIES = ["poisson", "negative-binomial"]


def distribution(family: str, log_size: float, size_scale: float, dtype: str = "float64") -> SizeFactorCounts:
    logits = tf.constant(LOGITS, dtype)
    if family == "poisson":
        return SizeFactorPoisson(logits, log_size, size_scale)
    return SizeFactorNegativeBinomial(logits, tf.constant(TOTAL_COUNT, dtype), log_size, size_scale)


def integral(family: str, x: np.ndarray, log_size: float, size_scale: float, logits: np.ndarray = LOGITS) -> float:
    """Return log p(x) of one row by a sum over a grid of log l."""
    grid = np.linspace(log_size - 9 * size_scale, log_size + 9 * size_scale, 8_001)
    mean = np.exp(grid)[:, np.newaxis] * special.softmax(logits)
    by_element = stats.poisson(mean) if family == "poisson" else stats.nbinom(TOTAL_COUNT, 1 / (1 + mean / TOTAL_COUNT))
    terms = by_element.logpmf(x).sum(axis=1) + stats.norm(log_size, size_scale).logpdf(grid)
    return float(special.logsumexp(terms) + np.log(grid[1] - grid[0]))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("log_size", "size_scale"), [(0.0, 0.5), (3.0, 0.1), (5.0, 0.8)])
def test_density_is_the_integral_over_the_size(family: str, log_size: float, size_scale: float) -> None:
    p = distribution(family, log_size, size_scale)
    x = np.concatenate([p.sample(4, seed=(1, 2)).numpy(), np.zeros([1, 4])])
    expected = [integral(family, row, log_size, size_scale) for row in x]
    np.testing.assert_allclose(p.log_prob(x), expected, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_density_in_float32_agrees_with_float64(family: str) -> None:
    wide, narrow = distribution(family, 7.0, 0.6), distribution(family, 7.0, 0.6, "float32")
    x = wide.sample(20, seed=(3, 4)).numpy()
    np.testing.assert_allclose(narrow.log_prob(x.astype(np.float32)), wide.log_prob(x), atol=2e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_density_of_a_row_far_from_its_usual_size_is_the_integral(family: str) -> None:
    x = np.array([[4_000.0, 900.0, 8_000.0, 3_000.0], [0.0, 0.0, 1.0, 0.0]])
    expected = [integral(family, row, 5.0, 1.5) for row in x]
    np.testing.assert_allclose(distribution(family, 5.0, 1.5).log_prob(x), expected, atol=5e-3)


def test_probabilities_sum_to_one() -> None:
    pairs = np.stack(np.meshgrid(np.arange(60.0), np.arange(60.0)), axis=-1).reshape(-1, 2)
    logits, total_count = tf.constant([0.4, 0.0], tf.float64), tf.constant([1.5, 3.0], tf.float64)
    for p in (SizeFactorPoisson(logits, 1.0, 0.4), SizeFactorNegativeBinomial(logits, total_count, 1.0, 0.4)):
        assert float(tf.reduce_sum(tf.exp(p.log_prob(pairs)))) == pytest.approx(1, abs=1e-5)


def test_poisson_rows_of_one_total_are_multinomial() -> None:
    x = np.array([[3.0, 1.0, 9.0, 2.0], [0.0, 0.0, 15.0, 0.0], [4.0, 4.0, 4.0, 3.0]])
    found = distribution("poisson", 3.0, 0.7).log_prob(x).numpy()
    expected = stats.multinomial(15, special.softmax(LOGITS)).logpmf(x)
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-9)


def test_narrow_sizes_give_independent_counts() -> None:
    mean, x = 20 * special.softmax(LOGITS), np.array([2.0, 1.0, 10.0, 6.0])
    poisson = stats.poisson(mean).logpmf(x).sum()
    assert float(distribution("poisson", np.log(20), 1e-4).log_prob(x)) == pytest.approx(poisson, abs=1e-5)
    binomial = stats.nbinom(TOTAL_COUNT, TOTAL_COUNT / (TOTAL_COUNT + mean)).logpmf(x).sum()
    assert float(distribution("negative-binomial", np.log(20), 1e-4).log_prob(x)) == pytest.approx(binomial, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_samples_have_the_mean_and_the_variance(family: str) -> None:
    p = distribution(family, 3.0, 0.3)
    x = p.sample(20_000, seed=(5, 6)).numpy()
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean()), 4.5 * x.std(axis=0) / np.sqrt(len(x)))
    squares = (x - x.mean(axis=0)) ** 2
    error = squares.std(axis=0) / np.sqrt(len(x))
    np.testing.assert_array_less(np.abs(squares.mean(axis=0) - p.variance()), 4.5 * error)


def test_totals_share_the_size() -> None:
    x = distribution("poisson", 6.0, 0.5).sample(4_000, seed=(7, 8)).numpy()
    logs = np.log(x.sum(axis=1))
    assert logs.mean() == pytest.approx(6.0, abs=0.04)
    assert logs.std() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_is_that_of_the_integral(family: str) -> None:
    x, logits = np.array([5.0, 1.0, 22.0, 4.0]), tf.constant(LOGITS)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        more = (3.0, 0.5) if family == "poisson" else (tf.constant(TOTAL_COUNT), 3.0, 0.5)
        made = SizeFactorPoisson if family == "poisson" else SizeFactorNegativeBinomial
        log_p = made(logits, *more).log_prob(x)
    found = tape.gradient(log_p, logits).numpy()
    for j, step in enumerate(1e-4 * np.eye(4)):
        ends = [integral(family, x, 3.0, 0.5, LOGITS + sign * step) for sign in (1, -1)]
        assert found[j] == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=2e-4)


def test_batches_broadcast_over_leading_axes() -> None:
    logits = tf.random.stateless_normal([5, 3, 4], (1, 1))
    p = SizeFactorNegativeBinomial(logits, tf.ones([5, 3, 4]), 2.0, 0.5)
    assert p.batch_shape == (5, 3)
    assert p.event_shape == (4,)
    x = p.sample(7, seed=(1, 2))
    assert x.shape == (7, 5, 3, 4)
    assert p.log_prob(x[0, 0]).shape == (5, 3)
