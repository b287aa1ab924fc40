"""Distributions of counts, at small and very large counts."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tfp_vae.model.distributions.counts import MOST, Inflated, NegativeBinomial, Poisson

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


def test_density_agrees_with_tfp_at_small_counts() -> None:
    rate, x = tf.constant(7.3, tf.float64), tf.range(20, dtype=tf.float64)
    stock = tfp.distributions.Poisson(rate)
    np.testing.assert_allclose(Poisson(rate).log_prob(x), stock.log_prob(x), rtol=1e-10)


def negative_binomials() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return counts, total counts and logits from rare events to nearly Poisson counts in millions."""
    rows = [
        (x, total, np.log(mean / total))
        for total in np.float32([1e-6, 1e-3, 0.3, 7.9, 8.1, 100, 1e4, 1e6, 1e8])
        for mean in (1e-3, 0.5, 3, 20, 1e3, 1e5, 1e6)
        for x in (0, 1, 7, 8, *np.round(mean + np.sqrt(mean + mean**2 / total) * np.array([-4, -1, 0, 2, 20])))
        if 0 <= x < 2**24
    ]
    x, total, logits = np.float32(rows).T
    return x, total, logits


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
def test_negative_binomial_is_accurate_in_float32(compiled: bool) -> None:
    x, total, logits = negative_binomials()

    def log_prob(x: tf.Tensor, total: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return NegativeBinomial(total, logits=logits).log_prob(x)

    found = (tf.function(log_prob, jit_compile=True) if compiled else log_prob)(*map(tf.constant, (x, total, logits)))
    x, total, logits = (each.astype(np.float64) for each in (x, total, logits))
    expected = stats.nbinom(total, special.expit(-logits)).logpmf(x)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-4)
    ordinary = total < 1e7
    np.testing.assert_allclose(found[ordinary], expected[ordinary], rtol=1e-5, atol=2e-5)


def test_negative_binomial_in_float64_agrees_with_scipy() -> None:
    x, total, logits = (each.astype(np.float64) for each in negative_binomials())
    found = NegativeBinomial(tf.constant(total), logits=tf.constant(logits)).log_prob(x)
    expected = stats.nbinom(total, special.expit(-logits)).logpmf(x)  # scipy itself loses 1e-7 at total counts of 1e8
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


def test_negative_binomial_of_deep_nearly_poisson_counts_loses_no_nats() -> None:
    rate, total = 2e4, np.float32(1e7)
    x = np.random.default_rng(0).poisson(rate, 500).astype(np.float32)
    logits = np.float32(np.log(rate / total))
    found = NegativeBinomial(total, logits=logits).log_prob(x)
    expected = stats.nbinom(np.float64(total), special.expit(-np.float64(logits))).logpmf(x)
    assert abs(np.sum(found, dtype=np.float64) - expected.sum()) < 1e-2  # of 500 elements, together


def test_gradients_of_the_negative_binomial_agree_with_their_closed_form() -> None:
    x, total, logits = map(tf.constant, negative_binomials())
    with tf.GradientTape() as tape:
        tape.watch([total, logits])
        value = NegativeBinomial(total, logits=logits).log_prob(x)
    by_total, by_logits = tape.gradient(value, [total, logits])
    n, r, at = (np.asarray(each, np.float64) for each in (x, total, logits))
    share = special.expit(at)
    np.testing.assert_allclose(by_logits, n * (1 - share) - r * share, rtol=1e-4, atol=0.2)  # a rounding of 10^6
    expected = special.digamma(n + r) - special.digamma(r) + special.log_expit(-at)
    np.testing.assert_allclose(by_total, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("logit", [-MOST - 1, -300.0, MOST + 1, 300.0])
@pytest.mark.parametrize("count", [0.0, 1.0, 30.0])
def test_negative_binomial_is_exact_at_extreme_logits(logit: float, count: float) -> None:
    logits, r, total = tf.constant(logit), tf.constant(2.5), 2.5
    with tf.GradientTape() as tape:
        tape.watch([logits, r])
        value = NegativeBinomial(r, logits=logits).log_prob(count)
    by_logits, by_total = tape.gradient(value, [logits, r])
    choose = special.gammaln(count + total) - special.gammaln(total) - special.gammaln(count + 1)
    expected = choose + total * special.log_expit(-logit) + (count * special.log_expit(logit) if count else 0.0)
    assert float(value) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    slope = count * special.expit(-logit) - total * special.expit(logit)
    assert float(by_logits) == pytest.approx(slope, rel=1e-6, abs=1e-12)
    slope = special.digamma(count + total) - special.digamma(total) + special.log_expit(-logit)
    assert float(by_total) == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_inflated_counts_are_a_mixture_of_the_distribution_and_single_values() -> None:
    weights, rate = np.float32([0.5, 0.2, 0.3]), np.float32(3.0)
    p, x = Inflated(Poisson(rate), np.log(weights), [0, 7]), np.arange(60, dtype=np.float32)
    expected = weights[0] * stats.poisson(3.0).pmf(x) + 0.2 * (x == 0) + 0.3 * (x == 7)
    np.testing.assert_allclose(p.prob(x), expected, rtol=2e-6, atol=1e-9)
    mean = x @ expected
    assert float(p.mean()) == pytest.approx(mean, rel=1e-5)
    assert float(p.variance()) == pytest.approx((x - mean) ** 2 @ expected, rel=1e-5)
    assert float(p.mode()) == x[np.argmax(expected)] == 7


def test_weights_of_inflated_counts_learn_the_shares_of_single_values() -> None:
    logits, x = tf.constant([0.3, -0.2, 0.5]), np.float32([0, 0, 7, 30])  # 30 is out of reach of the Poisson
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(Inflated(Poisson(np.float32(1e-6)), logits, [7, 50]).log_prob(x))
    weights = special.softmax([0.3, -0.2, 0.5])
    np.testing.assert_allclose(tape.gradient(value, logits), [3, 1, 0] - 4 * weights, atol=1e-5)


def test_inflated_counts_broadcast_over_batches_of_examples() -> None:
    p = Inflated(Poisson(np.float32([1.0, 9.0])), np.zeros([2, 2], np.float32), [4])
    assert (p.batch_shape, p.event_shape) == ((2,), ())
    assert p.log_prob(np.zeros([5, 1, 2], np.float32)).shape == (5, 1, 2)
    np.testing.assert_array_equal(p.mode(), [4, 4])
    x = p.sample(4_000, seed=(3, 4)).numpy()
    error = np.sqrt(p.variance().numpy() / len(x))
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean()), 4.5 * error)
