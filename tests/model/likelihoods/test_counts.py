"""Likelihoods for counts."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tests.helpers.densities import softplus
from tfp_vae.core.errors import UsageError
from tfp_vae.model.likelihoods.counts import RATE_FLOOR, InflatedNegativeBinomial, NegativeBinomial, Poisson


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


def test_inflated_counts_start_at_the_shares_of_the_frequent_values_and_the_spread_of_the_others() -> None:
    generator = np.random.default_rng(0)
    x = generator.negative_binomial(4, 0.1, size=(20_000, 1)).astype(float) + 1
    x[:12_000], x[12_000:14_000] = 0, np.nan
    family = InflatedNegativeBinomial((1,), at=(0,))
    start = family.initial_marginal(x)[0]
    p = family(tf.constant(start, tf.float32))
    assert special.softmax([0, start[2]])[1] == pytest.approx(2 / 3, abs=1e-3)
    assert float(p.mean()[0]) == pytest.approx(np.nanmean(x), rel=1e-3)
    assert float(p.variance()[0]) == pytest.approx(np.nanvar(x), rel=1e-2)


def test_inflated_counts_start_from_columns_that_hold_only_frequent_values() -> None:
    family = InflatedNegativeBinomial((1,), at=(3,))
    start = family.initial_marginal(np.full([50, 1], 3.0))
    assert np.isfinite(start).all()
    assert float(np.exp(family(tf.constant(start[0], tf.float32)).log_prob([3.0]))) > 0.9


def test_the_encoder_sees_which_frequent_value_a_count_is() -> None:
    features = InflatedNegativeBinomial((1,), at=(0, 40)).features(tf.constant([0.0, 40.0, 7.0]))
    np.testing.assert_allclose(features, [[0, 1, 0], [np.log(41), 0, 1], [np.log(8), 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("at", [(), (0, 0), (-1,), (2**24,), "0,x"])
def test_frequent_values_are_different_counts(at: object) -> None:
    with pytest.raises(UsageError, match="at"):
        InflatedNegativeBinomial((1,), at=at)
