"""Multivariate Normals with this package's noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from tfp_vae.core.types import Distribution
from tfp_vae.model.distributions import normals

tfd = tfp.distributions
LOC = np.float32([0.5, -1.0, 2.0])
LOWER = np.float32([[0.5, 0, 0], [0.3, 1.2, 0], [-0.4, 0.1, 0.8]])

PAIRS = {
    "diag": lambda family: family.MultivariateNormalDiag(LOC, np.diag(LOWER)),
    "tril": lambda family: family.MultivariateNormalTriL(LOC, LOWER),
    "operator": lambda family: family.MultivariateNormalLinearOperator(
        LOC, tf.linalg.LinearOperatorLowerTriangular(LOWER, is_non_singular=True)
    ),
}
Pair = Callable[[object], Distribution]


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_density_agrees_with_tfp_and_scipy(make: Pair, rng: np.random.Generator) -> None:
    z, q = rng.normal(size=(8, 3)).astype(np.float32), make(normals)
    np.testing.assert_array_equal(q.log_prob(z), make(tfd).log_prob(z))
    expected = stats.multivariate_normal(LOC, q.covariance()).logpdf(z)
    np.testing.assert_allclose(q.log_prob(z), expected, rtol=1e-4)


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_samples_have_the_mean_and_the_covariance(make: Pair) -> None:
    q, n = make(normals), 20_000
    z = q.sample(n, seed=(0, 1)).numpy().astype(np.float64)
    assert z.shape == (n, 3)
    covariance = q.covariance().numpy()
    np.testing.assert_array_less(np.abs(z.mean(axis=0) - LOC), 4.5 * np.sqrt(np.diag(covariance) / n))
    variances = np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2
    np.testing.assert_array_less(np.abs(np.cov(z.T) - covariance), 4.5 * np.sqrt(variances / n))


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_kl_has_the_closed_form_of_tfp_and_agrees_with_samples(make: Pair) -> None:
    q, p = make(normals), normals.MultivariateNormalDiag(tf.zeros(3), tf.ones(3))
    found = float(q.kl_divergence(p))
    covariance = q.covariance().numpy().astype(np.float64)
    expected = 0.5 * (np.trace(covariance) + LOC @ LOC - 3 - np.linalg.slogdet(covariance)[1])
    assert found == pytest.approx(expected, rel=1e-5)
    z = q.sample(20_000, seed=(2, 3))
    estimates = (q.log_prob(z) - p.log_prob(z)).numpy()
    assert abs(estimates.mean() - expected) < 4 * estimates.std() / np.sqrt(20_000)


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_equal_seeds_give_equal_samples_and_others_differ(make: Pair) -> None:
    q = make(normals)
    first, again, other = (q.sample(4, seed=seed).numpy() for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_sample_and_log_prob_agree_with_separate_calls(make: Pair) -> None:
    q = make(normals)
    z, log_q = q.experimental_sample_and_log_prob(5, seed=(1, 2))
    np.testing.assert_array_equal(z, q.sample(5, seed=(1, 2)))
    np.testing.assert_allclose(log_q, q.log_prob(z), rtol=1e-5)


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_samples_are_differentiable_in_the_params(make: Pair) -> None:
    loc = tf.Variable(LOC)
    with tf.GradientTape() as tape:
        z = normals.MultivariateNormalTriL(loc, LOWER).sample(2, seed=(0, 1))
        value = tf.reduce_sum(z)
    np.testing.assert_array_equal(tape.gradient(value, loc), [2, 2, 2])
    assert make(normals).reparameterization_type == tfd.FULLY_REPARAMETERIZED


def test_float64_params_give_float64_samples() -> None:
    q = normals.MultivariateNormalDiag(tf.zeros([2, 3], tf.float64), tf.ones([2, 3], tf.float64))
    assert q.sample(4, seed=(0, 1)).dtype == tf.float64
    assert q.sample(4, seed=(0, 1)).shape == (4, 2, 3)


def test_supports_an_unknown_batch_size() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def sample(loc: tf.Tensor) -> tf.Tensor:
        return normals.MultivariateNormalDiag(loc, tf.ones_like(loc)).sample(4, seed=(0, 1))

    assert sample(tf.zeros([5, 3])).shape == (4, 5, 3)
