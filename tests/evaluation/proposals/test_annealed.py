"""Annealing from the proposal of `laplace`: closed forms, quadrature, and chains that depend on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.estimates import check_against_prior, check_same
from tests.helpers.oracles import CurvedBernoulli, LinearGaussian, TwoModes
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.importance import Estimates, estimate
from tfp_vae.evaluation.proposals import AnnealedLaplace, Laplace
from tfp_vae.evaluation.proposals.base import Joint, Proposal
from tfp_vae.evaluation.proposals.laplace import MOST_DIMENSIONS

SETTINGS: dict[str, Any] = {"seed": (1, 1), "execution": "graph"}


def shifted(model: LinearGaussian, n: int) -> tuple[Joint, Proposal]:
    """Return n copies of an example, and a proposal whose start is neither at the mode nor of its width."""
    x = np.repeat(model.data(1), n, axis=0)
    joint = Joint(model.vae(), x, 100)
    modes = joint.vae.encoder(x).mean()[:, tf.newaxis] + 0.5
    scales = tf.linalg.diag(tf.repeat(np.sqrt(model.variance)[np.newaxis], n, axis=0))
    spread = 1.5 * scales[:, tf.newaxis]
    return joint, (modes, tf.linalg.inv(spread), spread, tf.zeros([n, 1], tf.float64), scales)


def log_weights(refinement: AnnealedLaplace, joint: Joint, proposal: Proposal, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples of z and their log-weights, with other seeds for each example."""
    seeds = tf.stack([tf.range(len(proposal[0])), tf.range(len(proposal[0])) + 7], axis=-1)
    z, log_q = tf.function(lambda: refinement.draw_each(joint, proposal, n, seeds), autograph=False)()
    return z.numpy(), (joint.log_prob(z) - log_q).numpy()


def test_mean_weight_of_a_poor_start_is_the_evidence_and_weighted_samples_have_the_exact_mean() -> None:
    model = LinearGaussian("float64")
    joint, proposal = shifted(model, 250)
    z, log_w = log_weights(AnnealedLaplace(steps=4, starts=1), joint, proposal, 8)
    x = model.data(1)
    w = np.exp(log_w - model.log_evidence(x))
    each = w.mean(axis=0)
    assert abs(each.mean() - 1) < 3.5 * each.std(ddof=1) / np.sqrt(250)
    away = (w[..., np.newaxis] * (z - model.vae().encoder(x).mean().numpy())).mean(axis=0)
    np.testing.assert_array_less(np.abs(away.mean(axis=0)), 3.5 * away.std(axis=0, ddof=1) / np.sqrt(250))
    assert 0.02 < w.std() < 2


@pytest.mark.slow
def test_more_steps_make_the_weights_more_even() -> None:
    joint, proposal = shifted(LinearGaussian("float64"), 40)
    found = [log_weights(AnnealedLaplace(steps=steps, starts=1), joint, proposal, 20)[1] for steps in (2, 16)]
    few, many = (np.var(np.exp(log_w - log_w.mean())) for log_w in found)
    assert many < few / 5


@pytest.mark.slow
def test_steps_that_are_too_long_are_rejected() -> None:
    """Then the weights are those of importance sampling from the start, whatever the temperature."""
    joint, proposal = shifted(LinearGaussian("float64"), 2)
    *start, scales = proposal
    z, log_w = log_weights(AnnealedLaplace(steps=5, starts=1), joint, (*start, 1e200 * scales), 5)
    expected = joint.log_prob(tf.constant(z)) - Laplace(starts=1).log_prob(tuple(start), tf.constant(z))
    np.testing.assert_allclose(log_w, expected, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("latent_dim", [1, 2])
def test_agrees_with_quadrature_for_curved_posteriors(latent_dim: int) -> None:
    model = CurvedBernoulli(latent_dim)
    x = model.data(20)
    found = estimate(model.vae(), x, refine="annealed:steps=5,degrees=3", iw_samples=1_000, **SETTINGS)
    difference = found.log_likelihood - model.log_evidence(x)
    assert np.mean(np.abs(difference) < 3 * found.spread + 1e-3) > 0.8  # of several modes, the searches may miss one
    assert abs(difference.mean()) < 0.05
    assert np.isnan(found.refined_elbo).all()


@pytest.mark.slow
def test_several_searches_cover_both_modes() -> None:
    model = TwoModes()
    found = estimate(model.vae(0.5), model.x, refine="annealed:starts=8,steps=5", iw_samples=1_000, **SETTINGS)
    assert abs(found.log_likelihood[0] - model.log_evidence) < 4 * found.spread[0]
    assert found.spread[0] < 0.03


@pytest.mark.slow
def test_estimate_does_not_depend_on_batch_and_chunk_sizes() -> None:
    model = CurvedBernoulli(2)
    vae, x = model.vae(), model.data(5)
    settings = {"iw_samples": 20, "seed": (8, 8), "refine": "annealed:steps=3", "execution": "graph"}
    whole = estimate(vae, x, **settings)
    check_same(estimate(vae, x, batch_size=3, chunk_size=2, **settings), whole)
    rows = np.array([1, 4])
    part = estimate(vae, x[rows], places=rows, batch_size=1, **settings)
    check_same(part, Estimates(*(column[rows] for column in whole)))


REFINE = "annealed:steps=4"


@pytest.mark.slow
@pytest.mark.parametrize(("posterior", "prior", "likelihood"), builders.EACH_MEMBER)
def test_every_member_agrees_with_samples_of_the_prior(posterior: str, prior: str, likelihood: str) -> None:
    check_against_prior(builders.model(posterior, prior, likelihood), builders.data(likelihood, 3), REFINE)


@pytest.mark.slow
def test_xla_agrees_with_samples_of_the_prior() -> None:
    check_against_prior(builders.model(), builders.data("bernoulli", 3), REFINE, "xla")


def test_refuses_the_latent_spaces_that_laplace_refuses() -> None:
    vae = builders.model(latent_dim=MOST_DIMENSIONS + 1)
    with pytest.raises(UsageError, match=f"`refine=annealed` needs .* at most {MOST_DIMENSIONS} dimensions"):
        estimate(vae, builders.data("bernoulli", 1), iw_samples=2, seed=(0, 0), refine="annealed")


@pytest.mark.parametrize("setting", ["steps=0", "step_size=0", "step_size=3", "starts=0", "degrees=0", "step=3"])
def test_refuses_settings_out_of_range(setting: str, linear: LinearGaussian) -> None:
    with pytest.raises(UsageError, match="refinement annealed"):
        estimate(linear.vae(), linear.data(1), iw_samples=2, seed=(0, 0), refine=f"annealed:{setting}")
