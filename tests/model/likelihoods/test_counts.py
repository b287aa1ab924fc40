"""Likelihoods for counts."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers.densities import softplus
from tfp_vae.model.likelihoods.counts import RATE_FLOOR, NegativeBinomial, Poisson


@pytest.mark.parametrize("mean", [1e-2, 1.0, 30.0, 800.0, 1e3, 1e6])
@pytest.mark.parametrize("family", [Poisson, NegativeBinomial])
def test_counts_start_at_the_mean_of_the_data_of_any_size(
    family: type[Poisson] | type[NegativeBinomial], mean: float
) -> None:
    start = family((1,)).initial_params([mean])
    assert np.isfinite(start).all()
    assert float(family((1,))(tf.constant(start)).mean()[0]) == pytest.approx(mean, rel=2e-4)


def test_a_count_that_never_occurs_starts_at_a_rate_of_one_hundredth() -> None:
    for family in (Poisson, NegativeBinomial):
        mean = float(family((1,))(tf.constant(family((1,)).initial_params([0.0]))).mean()[0])
        assert mean == pytest.approx(1e-2, rel=1e-3)


def test_variance_of_a_poisson_is_its_mean() -> None:
    p = Poisson((3,))(tf.constant([-1.0, 0.5, 40.0]))
    np.testing.assert_array_equal(p.mean(), p.variance())
    np.testing.assert_allclose(p.mean(), RATE_FLOOR + softplus([-1.0, 0.5, 40.0]), rtol=1e-6)


def test_negative_binomial_varies_more_than_its_mean() -> None:
    params = np.float32([1.0, 0.7])
    p, r = NegativeBinomial((1,))(tf.constant(params)), RATE_FLOOR + softplus(1.0)
    mean = r * np.exp(np.float64(params[1]))
    np.testing.assert_allclose(p.mean(), mean, rtol=1e-5)
    np.testing.assert_allclose(p.variance(), mean + mean**2 / r, rtol=1e-5)


def test_negative_binomial_approaches_poisson_as_its_total_count_grows() -> None:
    x, r, mean = np.arange(12, dtype=np.float32)[:, np.newaxis], 1e4, 4.0
    p = NegativeBinomial((1,))(tf.constant([r, np.log(mean / r)], tf.float32))
    np.testing.assert_allclose(np.exp(p.log_prob(x)), stats.poisson(mean).pmf(x[:, 0]), atol=1e-3)


def test_negative_binomial_is_a_poisson_whose_rate_is_gamma() -> None:
    generator, r, logit = np.random.default_rng(0), 2.0, 0.3
    rates = generator.gamma(r, np.exp(logit), size=40_000)
    counts = generator.poisson(rates)
    p = NegativeBinomial((1,))(tf.constant([np.log(np.expm1(r)), logit], tf.float32))
    for k in range(5):
        probability = float(np.exp(p.log_prob([float(k)])))
        assert abs((counts == k).mean() - probability) < 4 * np.sqrt(probability / 40_000)


def test_density_of_a_rare_count_is_finite() -> None:
    for family, params in ((Poisson, [-200.0]), (NegativeBinomial, [-200.0, -200.0])):
        assert np.isfinite(family((1,))(tf.constant(params)).log_prob([5.0]))
