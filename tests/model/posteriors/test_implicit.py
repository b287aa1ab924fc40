"""Semi-implicit posteriors: samples, densities and bounds against a Gaussian mixing distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.densities import density, quadrature_points
from tests.helpers.mixing import MARGINAL, gaussian
from tests.helpers.oracles import FixedNormal, evidence_from_prior
from tfp_vae.core.errors import UsageError
from tfp_vae.model.distributions.implicit import SemiImplicit as Distribution
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import SemiImplicit
from tfp_vae.model.priors import StandardNormal
from tfp_vae.objectives import OBJECTIVES


class TestBound:
    """x|z ~ N(z, 1), z ~ N(0, 1), at x = 0.4. The ELBO of the marginal has a closed form."""

    x = np.array([[0.4]])

    def values(self, components: int, objective: str, many: int = 20_000) -> np.ndarray:
        """Return independent values of a bound."""
        vae = tv.VAE(
            tv.Encoder(Fixed(lambda x: tf.zeros([tf.shape(x)[0], 1], tf.float64)), _Family(components)),
            tv.Decoder(Fixed(lambda z: z), FixedNormal(1, 1.0)),
            StandardNormal(1, "float64"),
        )
        return np.asarray(OBJECTIVES.resolve(objective).bound(vae, np.repeat(self.x, many, axis=0), seed=(0, 4)).value)

    @property
    def elbo(self) -> float:
        """E_q[log p(x|z) + log p(z)] + H(q) of the marginal q."""
        mean, variance = MARGINAL.stats("mv")
        fit = -0.5 * ((0.4 - mean) ** 2 + variance + np.log(2 * np.pi))
        prior = -0.5 * (mean**2 + variance + np.log(2 * np.pi))
        return float(fit + prior + MARGINAL.entropy())

    def test_grows_with_the_components_towards_the_elbo_of_the_marginal(self) -> None:
        counts = (1, 2, 4, 16, 64)
        values = [self.values(count, "monte-carlo-elbo") for count in counts]
        means, errors = ([f(each) for each in values] for f in (np.mean, lambda v: np.std(v) / np.sqrt(len(v))))
        assert sorted(means) == means
        assert self.elbo - 0.05 < means[-1] < self.elbo + 4 * errors[-1]
        assert means[0] < self.elbo - 0.5

    def test_of_many_samples_is_at_most_the_evidence(self) -> None:
        values = self.values(8, "iwae:mc_samples=20", 5_000)
        evidence = stats.norm(0, np.sqrt(2)).logpdf(0.4)
        assert evidence - 0.05 < values.mean() < evidence + 4 * values.std() / np.sqrt(len(values))

    def test_weights_estimate_the_evidence_without_bias(self) -> None:
        weights = np.exp(self.values(3, "monte-carlo-elbo"))
        evidence = stats.norm(0, np.sqrt(2)).pdf(0.4)
        assert abs(weights.mean() - evidence) < 4 * weights.std() / np.sqrt(len(weights))


class _Family:
    """The posterior of `gaussian`."""

    capabilities, params_size, learned = SemiImplicit.capabilities, 1, ()
    latent, latent_dim = SemiImplicit(1).latent, 1

    def __init__(self, components: int) -> None:
        self.components = components

    def __call__(self, params: Any) -> Distribution:
        return gaussian(self.components, params.shape[0])


def test_density_integrates_to_one(rng: np.random.Generator) -> None:
    family = builders.posterior("semi-implicit", 2)
    q = family(tf.constant(rng.normal(size=(1, family.params_size)), tf.float32))
    points, cell = quadrature_points(q, 2)
    assert abs(density(q, points).sum() * cell - 1) < 2e-3


@pytest.mark.parametrize("name", [n for n in builders.REAL_OBJECTIVES if n not in builders.OF_DIAGONALS])
def test_learns_by_every_objective(name: str) -> None:
    vae, x = builders.model("semi-implicit"), builders.data("bernoulli")
    with tf.GradientTape() as tape:
        loss = OBJECTIVES.resolve(name).loss(vae, x, seed=(0, 1))
    assert np.isfinite(loss)
    for gradient in tape.gradient(loss, vae.trainable_variables):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_mean_is_that_of_many_samples(rng: np.random.Generator) -> None:
    family = builders.posterior("semi-implicit", 3)
    params = tf.constant(np.repeat(rng.normal(size=(1, family.params_size)), 2_000, axis=0), tf.float32)
    samples, means = family(params).sample(1, seed=(0, 1)).numpy()[0], family.mean(params, seed=(0, 2)).numpy()
    error = np.sqrt((samples.var(axis=0) + means.var(axis=0)) / 2_000)
    np.testing.assert_array_less(np.abs(samples.mean(axis=0) - means.mean(axis=0)), 4.5 * error)


@pytest.mark.slow
def test_estimates_agree_with_samples_of_the_prior_and_refinement_helps() -> None:
    vae, x = builders.model("semi-implicit"), builders.data("bernoulli", 4)
    settings = {"iw_samples": 300, "seed": (8, 9), "execution": "graph"}
    plain = tv.evaluation.estimate(vae, x, **settings)
    refined = tv.evaluation.estimate(vae, x, refine="local:steps=30", **settings)
    truth, variance = evidence_from_prior(vae, x)
    error = np.sqrt(variance + refined.spread**2)
    np.testing.assert_array_less(np.abs(refined.log_likelihood - truth), 5 * error + 0.05)
    assert refined.refined_elbo.mean() > plain.elbo.mean()


def test_refuses_what_needs_densities_at_other_points() -> None:
    vae, x = builders.model("semi-implicit"), builders.data("bernoulli")
    with pytest.raises(UsageError, match="`refine=mixture` needs the density"):
        tv.evaluation.estimate(vae, x, iw_samples=2, seed=(0, 0), refine="mixture")
    with pytest.raises(UsageError, match="has one for its own samples only"):
        tv.evaluation.decomposition(vae, x, seed=(0, 0))
    with pytest.raises(UsageError, match="a vamp prior needs the density"):
        builders.model("semi-implicit", "vamp")
