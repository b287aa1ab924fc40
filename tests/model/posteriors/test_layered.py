"""Models with a z in layers: densities, bounds and gradients against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.gradients import gradients
from tests.helpers.layered import LayeredGaussian, moved
from tfp_vae.core.errors import UsageError
from tfp_vae.model.latent import Latent
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.objectives import OBJECTIVES

tfd = tfp.distributions
EXACT = LayeredGaussian()
KINDS = [name.replace("-", "_") for name in builders.LAYERED_POSTERIORS]


class TestExactModel:
    """A linear-Gaussian model of two layers with its exact posterior."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        "objective", ["monte-carlo-elbo", "iwae:mc_samples=1", "iwae:mc_samples=7", "dreg", "rloo"]
    )
    def test_every_bound_is_log_p_of_x(self, kind: str, objective: str) -> None:
        x = EXACT.examples()
        bound = OBJECTIVES.resolve(objective).bound(EXACT.vae(kind), x, seed=(0, 1))
        np.testing.assert_allclose(bound.value, EXACT.log_evidence(x), atol=1e-9)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("objective", ["sticking-the-landing", "dreg"])
    def test_path_gradient_of_the_encoder_is_zero(self, kind: str, objective: str) -> None:
        vae = EXACT.vae(kind)
        found = gradients(OBJECTIVES.resolve(objective), vae, EXACT.examples(), vae.encoder.network)
        np.testing.assert_allclose(found, 0, atol=1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_rate_is_that_of_the_joint_posterior(self, kind: str) -> None:
        vae, x = EXACT.vae(kind), EXACT.examples(1)
        q, p = vae.encoder(x), vae.prior()
        z = q.sample(4_000, seed=(0, 2))
        log_ratio = (q.log_prob(z) - p.log_prob(z)).numpy()
        distortion = -vae.decoder(z).log_prob(x).numpy()
        np.testing.assert_allclose(-distortion - log_ratio, EXACT.log_evidence(x), atol=1e-9)
        joint = np.block([[EXACT.a @ EXACT.a.T + EXACT.s**2 * np.eye(3), EXACT.a], [EXACT.a.T, np.eye(2)]])
        pull = np.zeros((5, 5))
        pull[:3, :3] = EXACT.w.T @ EXACT.w / EXACT.t**2
        covariance = np.linalg.inv(np.linalg.inv(joint) + pull)
        mean = covariance @ np.concatenate([EXACT.w.T @ x[0] / EXACT.t**2, np.zeros(2)])
        exact = tfd.MultivariateNormalFullCovariance(mean, covariance)
        rate = exact.kl_divergence(tfd.MultivariateNormalFullCovariance(np.zeros(5), joint)).numpy()
        assert abs(log_ratio.mean() - rate) < 4 * log_ratio.std() / np.sqrt(log_ratio.size)
        np.testing.assert_allclose(q.log_prob(z)[:, 0], exact.log_prob(z[:, 0]), atol=1e-9)

    @pytest.mark.parametrize("kind", KINDS)
    def test_importance_sampling_has_no_variance(self, kind: str) -> None:
        x = EXACT.examples(3)
        found = tv.log_likelihood(EXACT.vae(kind), x, iw_samples=3, execution="eager")
        np.testing.assert_allclose(found.values, EXACT.log_evidence(x), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["sticking-the-landing", "dreg:mc_samples=3"])
def test_path_gradients_have_the_expectation_of_the_reparameterized_ones(objective: str) -> None:
    """All variables, among them those that posterior and prior share."""
    vae, x = moved(EXACT.vae("top_down")), EXACT.examples(2)
    plain = "monte-carlo-elbo" if objective == "sticking-the-landing" else "iwae:mc_samples=3"
    estimators = [OBJECTIVES.resolve(name) for name in (objective, plain)]

    @tf.function
    def both(seed: tf.Tensor) -> tf.Tensor:
        flat = []
        for each in estimators:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(each.bound(vae, x, seed=seed).value)
            flat.append(tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, vae.trainable_variables)], axis=0))
        return flat[0] - flat[1]

    seeds = tf.constant([[3, i] for i in range(1_000)], tf.int32)
    difference = np.asarray(tf.vectorized_map(both, seeds))
    error = difference.std(axis=0) / np.sqrt(len(difference))
    np.testing.assert_array_less(np.abs(difference.mean(axis=0)), 4.5 * error + 1e-9)


@pytest.mark.parametrize("name", builders.LAYERED_POSTERIORS)
def test_more_than_two_layers(name: str) -> None:
    q = POSTERIORS.build(POSTERIORS.member(f"{name}:layers=4,3,2,hidden=5"), 9)
    p = tv.priors.Hierarchical(9, q)
    assert q.latent == p.latent == Latent.layers((4, 3, 2))
    z = q(tf.zeros([2, q.params_size])).sample(3, seed=(0, 0))
    assert p().log_prob_by_layer(z).shape == (3, 2, 3)


class TestSizes:
    """The sizes of the layers."""

    def test_two_layers_by_default(self) -> None:
        assert [tv.posteriors.BottomUp(d).latent.blocks for d in (2, 3, 6, 24)] == [(1, 1), (2, 1), (4, 2), (16, 8)]

    @pytest.mark.parametrize(("latent_dim", "layers"), [(1, ()), (6, (6,)), (6, (4, 3))])
    def test_must_add_up_to_the_latent_dimension(self, latent_dim: int, layers: tuple[int, ...]) -> None:
        with pytest.raises(UsageError, match="layers"):
            tv.posteriors.BottomUp(latent_dim, layers=layers)
