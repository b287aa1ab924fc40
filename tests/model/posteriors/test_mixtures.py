"""Posteriors that are mixtures: bounds and gradients against closed forms and quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.oracles import FixedNormal, TwoModes
from tfp_vae.core.errors import UsageError
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import DiagonalNormal, NormalMixture
from tfp_vae.objectives import OBJECTIVES

tfd = tfp.distributions
BY_COMPONENT = [name for name, objective in OBJECTIVES.items() if objective.samples_components and name != "elbo"]


class FixedMixture:
    """p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)) in two dimensions."""

    capabilities = Capabilities()
    latent, latent_dim, learned = Latent.vector(2), 2, ()
    weights, locs, scales = (
        [0.5, 0.3, 0.2],
        [[1.0, -1.0], [-2.0, 0.5], [0.0, 2.0]],
        [[0.5, 1.0], [0.8, 0.3], [1.0, 0.6]],
    )

    def __call__(self, temperature: float = 1.0) -> Any:
        normals = tfd.MultivariateNormalDiag(*(tf.constant(each, tf.float64) for each in (self.locs, self.scales)))
        return tfd.MixtureSameFamily(tfd.Categorical(probs=tf.constant(self.weights, tf.float64)), normals)


class ExactMixture:
    """z ~ `FixedMixture` and x|z ~ N(W z, t^2 I) with orthogonal columns in W, so p(z|x) is a mixture, too."""

    gains, t, x = np.array([1.5, 0.6]), 0.7, np.array([[0.3, -0.4], [1.0, 2.0], [-2.0, 0.1]])

    def log_parts(self) -> np.ndarray:
        """Return log w_k p(x|k) of the examples, [B, K]."""
        p = FixedMixture()
        spread = np.sqrt((self.gains * np.array(p.scales)) ** 2 + self.t**2)
        each = stats.norm(self.gains * np.array(p.locs), spread).logpdf(self.x[:, np.newaxis]).sum(axis=-1)
        return np.asarray(np.log(p.weights) + each)

    def vae(self) -> tv.VAE:
        """Return the model with its exact posterior."""
        p, posterior = FixedMixture(), NormalMixture(2, components=3)
        variances = 1 / (1 / np.array(p.scales) ** 2 + (self.gains / self.t) ** 2)  # [K, D]
        pull = self.x[:, np.newaxis] * self.gains / self.t**2 + np.array(p.locs) / np.array(p.scales) ** 2
        s = np.broadcast_to(np.log(np.expm1(np.sqrt(variances) - posterior.scale_floor)), pull.shape)
        flat = [self.log_parts(), (pull * variances).reshape(3, -1), s.reshape(3, -1)]
        params = tf.constant(np.concatenate(flat, axis=1))
        return tv.VAE(
            tv.Encoder(Fixed(lambda x: params), posterior),
            tv.Decoder(Fixed(lambda z: z * self.gains), FixedNormal(2, self.t)),
            p,
        )


@pytest.mark.parametrize("name", [*BY_COMPONENT, "rloo", "vimco"])
def test_every_bound_of_an_exact_mixture_is_log_p_of_x(name: str) -> None:
    exact = ExactMixture()
    found = OBJECTIVES.resolve(name).bound(exact.vae(), exact.x, seed=(0, 1)).value
    np.testing.assert_allclose(found, special.logsumexp(exact.log_parts(), axis=1), atol=1e-9)


def test_importance_sampling_from_an_exact_mixture_has_no_variance() -> None:
    exact = ExactMixture()
    found = tv.log_likelihood(exact.vae(), exact.x, iw_samples=3, execution="eager")
    np.testing.assert_allclose(found.values, special.logsumexp(exact.log_parts(), axis=1), atol=1e-6)


class TestBentPosterior:
    """The posterior of `TwoModes`, and a mixture of two Normals in one dimension that is not exact."""

    start = np.array([[0.4, -0.3, -1.1, 1.6, -1.0, 0.2]])
    """Logits, locs and s of both components."""

    def vae(self, params: Any) -> tv.VAE:
        encoder = tv.Encoder(Fixed(lambda x: params), NormalMixture(1, components=2))
        model = TwoModes().vae(0.0)
        return tv.VAE(encoder, model.decoder, model.prior)

    def elbo_and_gradient(self) -> tuple[float, np.ndarray]:
        """Return E_q[log p(x, z) - log q(z)] and its gradient in the parameters, by quadrature."""
        grid = np.linspace(-8, 8, 40_001)[:, np.newaxis, np.newaxis]
        params = tf.constant(self.start)
        with tf.GradientTape() as tape:
            tape.watch(params)
            vae = self.vae(params)
            log_q = vae.encoder(TwoModes.x).log_prob(grid)
            log_w = vae.decoder(grid).log_prob(TwoModes.x) + vae.prior().log_prob(grid) - log_q
            elbo = tf.reduce_sum(tf.exp(log_q) * log_w) * float(grid[1, 0, 0] - grid[0, 0, 0])
        return float(elbo), tape.gradient(elbo, params).numpy()[0]

    @pytest.mark.parametrize("name", ["monte-carlo-elbo:mc_samples=3", "sticking-the-landing", "rloo"])
    def test_value_and_gradient_are_unbiased(self, name: str) -> None:
        many = 20_000
        params, x = tf.constant(np.repeat(self.start, many, axis=0)), np.repeat(TwoModes.x, many, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(params)
            values = OBJECTIVES.resolve(name).bound(self.vae(params), x, seed=(0, 3)).value
        slopes = tape.gradient(values, params).numpy()
        elbo, gradient = self.elbo_and_gradient()
        assert abs(values.numpy().mean() - elbo) < 4 * values.numpy().std() / np.sqrt(many)
        np.testing.assert_array_less(np.abs(slopes.mean(axis=0) - gradient), 4 * slopes.std(axis=0) / np.sqrt(many))

    def test_more_samples_of_each_component_tighten_the_bound(self) -> None:
        many = 20_000
        params, x = tf.constant(np.repeat(self.start, many, axis=0)), np.repeat(TwoModes.x, many, axis=0)
        names = ["monte-carlo-elbo", "iwae:mc_samples=1", "miwae:outer_samples=2,inner_samples=4", "iwae:mc_samples=8"]
        means = [float(np.mean(OBJECTIVES.resolve(n).bound(self.vae(params), x, seed=(0, 4)).value)) for n in names]
        assert sorted(means) == means
        assert means[-1] < TwoModes().log_evidence + 0.01

    def test_refinement_finds_both_modes(self) -> None:
        vae = self.vae(tf.constant([[0.5, -0.5, -1.2, 1.3, -0.5, -1.0]], tf.float64))
        found = tv.evaluation.estimate(
            vae, TwoModes.x, iw_samples=200, seed=(0, 5), refine="local:steps=100", execution="graph"
        )
        assert found.refined_elbo[0] > found.elbo[0] + 1
        assert TwoModes().log_evidence - 0.15 < found.refined_elbo[0] < TwoModes().log_evidence + 0.05


def test_one_component_is_a_diagonal_normal(rng: np.random.Generator) -> None:
    params, z = rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=(5, 4, 3)).astype(np.float32)
    found = NormalMixture(3, components=1)(tf.concat([tf.zeros([4, 1]), params], axis=1))
    q = DiagonalNormal(3)(tf.constant(params))
    for each in ("mean", "stddev"):
        np.testing.assert_allclose(getattr(found, each)(), getattr(q, each)(), rtol=1e-5)
    np.testing.assert_allclose(found.log_prob(z), q.log_prob(z), rtol=1e-4, atol=1e-5)


def test_moments_are_those_of_tfp(rng: np.random.Generator) -> None:
    family = builders.posterior("normal-mixture", 2)
    params = tf.constant(rng.normal(size=(4, family.params_size)), tf.float32)
    q = family(params)
    logits, locs, s = tf.split(params, [3, 6, 6], axis=1)
    normals = tfd.MultivariateNormalDiag(*(tf.reshape(each, [4, 3, 2]) for each in (locs, 1e-4 + tf.nn.softplus(s))))
    expected = tfd.MixtureSameFamily(tfd.Categorical(logits=logits), normals)
    np.testing.assert_allclose(q.mean(), expected.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.variance(), expected.variance(), rtol=1e-4)
    np.testing.assert_allclose(q.log_prob(locs[:, :2]), expected.log_prob(locs[:, :2]), rtol=1e-4, atol=1e-5)


def test_reconstructions_decode_the_largest_component() -> None:
    family = NormalMixture(1, components=2)
    params = tf.constant([[0.0, 1.0, -3.0, 3.0, 0.0, 0.0], [1.0, 0.0, -3.0, 3.0, 0.0, 0.0]])
    np.testing.assert_array_equal(family.typical(params, seed=(0, 0)), [[3.0], [-3.0]])


def test_objectives_without_samples_of_each_component_are_refused() -> None:
    vae = builders.model("normal-mixture")
    with pytest.raises(UsageError, match="DReG cannot train NormalMixture, because the choice of a component has no"):
        OBJECTIVES.resolve("dreg").loss(vae, builders.data("bernoulli"), seed=(0, 0))


@pytest.mark.parametrize("components", [0, 1_001])
def test_components_have_limits(components: int) -> None:
    with pytest.raises(UsageError, match="components: expected"):
        NormalMixture(2, components=components)
