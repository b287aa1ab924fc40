"""The evidence lower bound against closed forms in a linear-Gaussian model."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.gradients import examples, linear_model
from tests.helpers.oracles import LinearGaussian
from tfp_vae.core.errors import UsageError
from tfp_vae.objectives import (
    ELBO,
    MonteCarloELBO,
    Objective,
    elbo_for,
    has_closed_form_rate,
)
from tfp_vae.objectives.elbo import elbo_of
from tfp_vae.objectives.rate import BY_DIMENSION, RateCost

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


@pytest.mark.parametrize("samples", [1, 5, 250])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sampled_elbo_is_the_evidence_at_the_exact_posterior(dtype: str, samples: int) -> None:
    model = LinearGaussian(dtype)
    x = model.data(20)
    elbo = MonteCarloELBO(mc_samples=samples).bound(model.vae(), x, seed=(0, samples)).value
    np.testing.assert_allclose(elbo, model.log_evidence(x), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("samples", [1, 5])
def test_closed_form_elbo_is_the_evidence_in_expectation(linear: LinearGaussian, samples: int) -> None:
    x = linear.data(1).repeat(20_000, axis=0)
    values = ELBO(mc_samples=samples).bound(linear.vae(), x, seed=(2, samples)).value.numpy()
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - linear.log_evidence(x[:2])[0]) < 4 * error


def test_both_elbos_have_the_same_expectation(linear: LinearGaussian) -> None:
    vae = linear.vae(shift=0.3, widen=1.5)
    x = linear.data(1).repeat(40_000, axis=0)
    values = [objective.bound(vae, x, seed=(5, 5)).value.numpy() for objective in (ELBO(), MonteCarloELBO())]
    difference = values[0] - values[1]
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.std() > 0.01


@pytest.mark.parametrize("objective", [ELBO(mc_samples=3), MonteCarloELBO(mc_samples=3)])
def test_value_is_minus_distortion_minus_rate(objective: Objective) -> None:
    bound = objective.bound(linear_model(0.4), examples(), seed=(0, 1))
    np.testing.assert_allclose(bound.value, -bound.distortion - bound.rate, rtol=1e-12)


def test_gap_to_the_evidence_is_the_divergence_from_the_exact_posterior(linear: LinearGaussian) -> None:
    """E[ELBO] = log p(x) - KL(q(z|x) || p(z|x)), between Normals with known parameters."""
    vae, exact = linear.vae(shift=0.3, widen=1.5), linear.vae()
    x = linear.data(1)
    gap = vae.encoder(x).kl_divergence(exact.encoder(x)).numpy()[0]
    many = x.repeat(40_000, axis=0)
    values = ELBO().bound(vae, many, seed=(2, 2)).value.numpy()
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - (linear.log_evidence(many[:2])[0] - gap)) < 4 * error
    assert gap > 10 * error


def test_rate_of_the_closed_form_has_no_noise(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.3, widen=1.5), linear.data(5)
    first, second = (ELBO().bound(vae, x, seed=(0, i)).rate.numpy() for i in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, vae.encoder(x).kl_divergence(vae.prior()), rtol=1e-12)


def test_elbo_of_sums_the_parts_of_the_rate() -> None:
    distortion, rates = tf.constant([1.0, 2.0]), tf.constant([[0.5, 0.25], [1.0, 3.0]])
    bound = elbo_of(distortion, rates, RateCost(BY_DIMENSION, tf.constant([2.0, 0.0]), 0.75))
    np.testing.assert_allclose(bound.value, [-1 - 1 - 0.75, -2 - 2 - 0.75])
    np.testing.assert_allclose(bound.rate, [0.75, 4])


@pytest.mark.parametrize("prior", builders.REAL_PRIORS)
@pytest.mark.parametrize("posterior", builders.REAL_POSTERIORS)
def test_elbo_for_uses_the_closed_form_if_there_is_one(posterior: str, prior: str) -> None:
    vae = builders.model(posterior, prior)
    closed = has_closed_form_rate(vae.encoder.posterior, vae.prior)
    assert isinstance(elbo_for(vae), ELBO if closed else MonteCarloELBO)
    if not closed:
        with pytest.raises(UsageError, match="`objective=monte-carlo-elbo`"):
            ELBO().bound(vae, builders.data("bernoulli"), seed=(0, 0))
