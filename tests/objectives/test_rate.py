"""The rate: its closed forms, its parts, and their costs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.oracles import LinearGaussian
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS
from tfp_vae.objectives import (
    has_closed_form_rate,
    has_separate_rates,
)
from tfp_vae.objectives.rate import BY_DIMENSION, WHOLE, RateCost, marginals, unweighted_cost


def test_closed_form_kl_agrees_with_monte_carlo(linear: LinearGaussian) -> None:
    vae = linear.vae(shift=0.3, widen=1.5)
    q, p = vae.encoder(linear.data(6)), vae.prior()
    z = q.sample(50_000, seed=(4, 4))
    ratio = (q.log_prob(z) - p.log_prob(z)).numpy()
    error = ratio.std(axis=0, ddof=1) / np.sqrt(len(ratio))
    np.testing.assert_array_less(np.abs(ratio.mean(axis=0) - q.kl_divergence(p).numpy()), 4 * error)


@pytest.mark.parametrize(
    ("posterior", "prior", "closed", "separate"),
    [
        ("diagonal-normal", "standard-normal", True, True),
        ("full-covariance-normal", "standard-normal", True, False),
        ("householder-flow", "standard-normal", True, False),
        ("real-nvp", "standard-normal", False, False),
        ("inverse-autoregressive-flow", "standard-normal", False, False),
        ("diagonal-normal", "normal-mixture", False, False),
        ("diagonal-normal", "vamp", False, False),
        ("bottom-up", "hierarchical", False, True),
        ("categorical", "uniform", True, True),
        ("bernoulli", "learned", True, True),
        ("categorical", "autoregressive", False, False),
        ("categorical", "standard-normal", False, False),
    ],
)
def test_closed_forms_exist_between_normals_and_codes(posterior: str, prior: str, closed: bool, separate: bool) -> None:
    families = POSTERIORS[posterior], PRIORS[prior]
    assert has_closed_form_rate(*families) is closed
    assert has_separate_rates(*families) is separate


def test_parts_of_diagonal_normals_add_up_to_the_whole(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.3, widen=1.5), linear.data(6)
    q, p = vae.encoder(x), vae.prior()
    parts = BY_DIMENSION.kl_divergence(q, p)
    assert parts.shape == (6, linear.latent_dim)
    np.testing.assert_allclose(tf.reduce_sum(parts, axis=-1), WHOLE.kl_divergence(q, p)[:, 0], rtol=1e-12)
    z = q.sample(4, seed=(0, 1))
    np.testing.assert_allclose(tf.reduce_sum(BY_DIMENSION.log_prob(q, z), axis=-1), q.log_prob(z), rtol=1e-12)
    np.testing.assert_allclose(WHOLE.log_prob(q, z)[..., 0], q.log_prob(z), rtol=1e-12)


@pytest.mark.parametrize("name", builders.CODE_POSTERIORS)
def test_parts_of_codes_add_up_to_the_whole(name: str) -> None:
    vae, x = builders.model(name, "learned"), builders.data("bernoulli")
    q, p = vae.encoder(x), vae.prior()
    parts, z = BY_DIMENSION.kl_divergence(q, p), q.sample(4, seed=(0, 1))
    assert parts.shape == (6, 3)
    np.testing.assert_allclose(tf.reduce_sum(parts, axis=-1), WHOLE.kl_divergence(q, p)[:, 0], rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(BY_DIMENSION.log_prob(q, z), axis=-1), q.log_prob(z), rtol=1e-5)


def test_rates_of_dimensions_have_the_closed_form(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.3, widen=1.5), linear.data(6)
    q = vae.encoder(x)
    loc, scale = q.mean().numpy(), q.stddev().numpy()
    by_hand = (loc**2 + scale**2 - 1) / 2 - np.log(scale)
    np.testing.assert_allclose(BY_DIMENSION.kl_divergence(q, vae.prior()), by_hand, rtol=1e-10)


def test_marginals_have_the_moments_of_each_dimension(linear: LinearGaussian) -> None:
    q = linear.vae(shift=0.3, widen=1.5).encoder(linear.data(6))
    found = marginals(q)
    assert found.batch_shape == (6, linear.latent_dim)
    np.testing.assert_array_equal(found.mean(), q.mean())
    np.testing.assert_array_equal(found.stddev(), q.stddev())


def test_cost_weighs_each_part() -> None:
    cost = RateCost(BY_DIMENSION, tf.constant([2.0, 0.5]), 3.0)
    np.testing.assert_allclose(cost.weighted_sum(tf.constant([[1.0, 4.0], [0.0, 2.0]])), [4, 1])


def test_unweighted_cost_is_the_rate_itself(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.3, widen=1.5), linear.data(6)
    q, p = vae.encoder(x), vae.prior()
    z = q.sample(4, seed=(0, 1))
    cost = unweighted_cost(q, p, z)
    assert cost.constant == 0
    log_ratio = cost.weighted_sum(cost.parts.log_ratio(q, p, z))
    np.testing.assert_allclose(log_ratio, q.log_prob(z) - p.log_prob(z), rtol=1e-12)
