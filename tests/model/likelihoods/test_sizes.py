"""Likelihoods for rows of counts whose totals vary."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.core.errors import UsageError
from tfp_vae.core.supports import COUNTS
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.model.likelihoods.sizes import (
    LEAST_SCALE,
    SIZE_FACTORS,
    SizeFactorLikelihood,
    SizeFactorNegativeBinomial,
    SizeFactorPoisson,
)


def test_the_table_names_all_likelihoods_with_a_size() -> None:
    assert tuple(name for name in LIKELIHOODS if issubclass(LIKELIHOODS[name], SizeFactorLikelihood)) == SIZE_FACTORS


@pytest.mark.parametrize("family", [SizeFactorPoisson, SizeFactorNegativeBinomial])
def test_start_has_the_mean_of_the_data(family: type[SizeFactorPoisson] | type[SizeFactorNegativeBinomial]) -> None:
    mean, scale = np.array([1.0, 20.0, 300.0]), 0.4
    likelihood = family((3,), log_size=np.log(mean.sum()) - scale**2 / 2, size_scale=scale)
    p = likelihood(tf.constant(likelihood.initial_params(mean)))
    np.testing.assert_allclose(p.mean(), mean, rtol=1e-4)
    assert likelihood.support is COUNTS
    assert likelihood.discrete


def test_a_size_without_data_is_one_count_for_each_element() -> None:
    likelihood = SizeFactorPoisson((8,))
    p = likelihood(np.zeros([2, 5, likelihood.params_size], np.float32))
    assert p.batch_shape == (2, 5)
    np.testing.assert_allclose(p.mean(), np.full([2, 5, 8], np.exp(0.5)), rtol=1e-5)


def test_settings_of_the_size_come_from_the_totals_unless_you_set_them() -> None:
    settings = LIKELIHOODS.member("size-factor-poisson").settings
    assert SizeFactorPoisson.settings_from_sizes(settings, (6.9, 0.6)) == {"log_size": 6.9, "size_scale": 0.6}
    assert SizeFactorPoisson.settings_from_sizes(settings, (6.9, 0.0))["size_scale"] == LEAST_SCALE
    mine = {"log_size": 2.0, "size_scale": 0.5}
    assert SizeFactorPoisson.settings_from_sizes(mine, (6.9, 0.6)) == mine


def test_images_have_no_size() -> None:
    with pytest.raises(UsageError, match="event_shape"):
        SizeFactorPoisson((8, 8, 1))


def test_twice_the_depth_leaves_the_most_likely_shares_unchanged() -> None:
    likelihood = SizeFactorPoisson((3,), log_size=5.0, size_scale=1.0)
    params = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    x = np.float32([20, 70, 10])
    once, twice = likelihood(params).log_prob(x).numpy(), likelihood(params).log_prob(2 * x).numpy()
    assert np.argmax(once) == np.argmax(twice)
    np.testing.assert_allclose(twice - twice[0], 2 * (once - once[0]), rtol=1e-4, atol=1e-3)
