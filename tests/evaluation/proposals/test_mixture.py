"""The defensive mixture: its density, its shares, and models whose posterior has two modes."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.oracles import CurvedBernoulli, LinearGaussian, TwoModes, evidence_from_prior
from tfp_vae import VAE, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.evaluation.importance import estimate
from tfp_vae.evaluation.proposals import Joint, Mixture
from tfp_vae.evaluation.proposals.mixture import SHARES
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.posteriors import Posterior


def one_dimension() -> tuple[Joint, tuple[tf.Tensor, ...]]:
    """Return a model with D = 1 for one example, and a proposal whose components are far apart."""
    model = CurvedBernoulli(1)
    params = tf.constant([[-20.0, 0.0]], tf.float64), tf.constant([[20.0, 0.0]], tf.float64)
    return Joint(model.vae(), model.data(1), 100), (*params, params[1][:, :1])


def test_samples_follow_the_shares_and_their_density() -> None:
    joint, proposal = one_dimension()
    z, log_q = Mixture().draw_each(joint, proposal, 10_000, tf.constant([[3, 4]]))
    assert np.mean(z < 0) == pytest.approx(SHARES[0], abs=2e-3)
    own, refined = (joint.vae.encoder.posterior(params) for params in proposal[:2])
    scale = np.log(2) + 1e-4
    wide = np.exp(-(((z - 20) / (2 * scale)) ** 2) / 2) / (2 * scale * np.sqrt(2 * np.pi))
    expected = SHARES[0] * own.prob(z) + SHARES[1] * refined.prob(z) + SHARES[2] * wide[..., 0]
    np.testing.assert_allclose(log_q, np.log(expected), rtol=1e-9)
    far = np.asarray(z)[np.asarray(z) > 0] - 20
    assert np.var(far) == pytest.approx(scale**2 * (SHARES[1] + 4 * SHARES[2]) / (SHARES[1] + SHARES[2]), rel=0.05)


def test_density_of_the_mixture_integrates_to_one() -> None:
    """The mean of f / q over samples of q is the integral of f, here of a Normal density over both components."""
    joint, proposal = one_dimension()
    z, log_q = Mixture().draw_each(joint, proposal, 20_000, tf.constant([[3, 5]]))
    f = sum(0.5 * np.exp(-((np.asarray(z)[..., 0] - c) ** 2)) / np.sqrt(np.pi) for c in (-20, 20))
    ratio = f / np.exp(log_q)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(ratio.size)


def test_choices_of_examples_depend_on_their_own_seeds() -> None:
    joint, proposal = one_dimension()
    pair = tuple(tf.repeat(part, 2, axis=0) for part in proposal)
    seeds = tf.constant([[3, 4], [9, 4]])
    both, _ = Mixture().draw_each(joint, pair, 50, seeds)
    for i in (0, 1):
        alone, _ = Mixture().draw_each(joint, proposal, 50, seeds[i : i + 1])
        np.testing.assert_array_equal(both[:, i], alone[:, 0])
    assert ((both[:, 0] < 0).numpy() != (both[:, 1] < 0).numpy()).any()


@pytest.mark.slow
def test_mixture_covers_both_modes() -> None:
    model = TwoModes()
    settings = {"iw_samples": 4_000, "seed": (1, 1), "execution": "graph"}
    found = estimate(model.vae(0.3), model.x, refine="mixture:steps=100", **settings)
    assert abs(found.log_likelihood - model.log_evidence) < 4 * found.spread
    assert found.spread < 0.1
    assert found.ess > 100


@pytest.mark.slow
@pytest.mark.parametrize("posterior", builders.REAL_POSTERIORS)
def test_every_posterior_agrees_with_samples_of_the_prior(posterior: str) -> None:
    vae, x = builders.model(posterior), builders.data("bernoulli", 5)
    truth, variance = evidence_from_prior(vae, x)
    settings = {"iw_samples": 1_000, "seed": (8, 9), "execution": "graph", "refine": "mixture:steps=10"}
    found = estimate(vae, x, **settings)
    error = np.sqrt(variance + found.spread**2)
    assert (np.abs(found.log_likelihood - truth) < 5 * error).all()


@pytest.mark.slow
def test_estimate_does_not_depend_on_batch_and_chunk_sizes() -> None:
    vae, x = builders.model("real-nvp"), builders.data("bernoulli", 5)
    settings = {"iw_samples": 1_000, "seed": (8, 9), "execution": "graph", "refine": "mixture:steps=10"}
    found = estimate(vae, x, **settings)
    in_parts = estimate(vae, x, batch_size=3, chunk_size=7, **settings)
    np.testing.assert_allclose(in_parts.log_likelihood, found.log_likelihood, rtol=0, atol=2e-3)


@final
@record
class SamplesOnly(Posterior):
    """A family that has samples but no density at other points."""

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True)
    latent_dim: int

    @property
    def params_size(self) -> int:
        return 2 * self.latent_dim

    def __call__(self, params: Tensor) -> Distribution:
        raise NotImplementedError


def test_refuses_a_family_without_a_density(linear: LinearGaussian) -> None:
    vae = linear.vae()
    other = VAE(Encoder(vae.encoder.network, SamplesOnly(3)), vae.decoder, vae.prior)
    with pytest.raises(UsageError, match="`refine=mixture` needs the density of a posterior at any z, but SamplesOnly"):
        estimate(other, linear.data(1), iw_samples=2, seed=(0, 0), refine="mixture")
