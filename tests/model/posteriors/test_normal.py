"""Posteriors that are multivariate Normals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from tests.helpers import builders
from tests.helpers.densities import softplus
from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Tensor
from tfp_vae.model.posteriors.normal import DiagonalNormal, FullCovarianceNormal, HouseholderFlow
from tfp_vae.model.priors import StandardNormal
from tfp_vae.objectives import ELBO

tfd = tfp.distributions


class TestDiagonalNormal:
    """q(z|x) = N(loc, diag(scale^2))."""

    def test_density_agrees_with_independent_normals(self, rng: np.random.Generator) -> None:
        params, z = rng.normal(size=(4, 6)), rng.normal(size=(7, 4, 3))
        q = DiagonalNormal(3)(tf.constant(params))
        loc, scale = params[:, :3], 1e-4 + np.log1p(np.exp(params[:, 3:]))
        np.testing.assert_allclose(q.log_prob(z), stats.norm(loc, scale).logpdf(z).sum(-1), rtol=1e-9)

    def test_is_a_multivariate_normal_with_batch_and_event(self) -> None:
        q = DiagonalNormal(3)(tf.zeros([4, 6]))
        assert isinstance(q, tfd.MultivariateNormalDiag)
        assert q.batch_shape == [4]
        assert q.event_shape == [3]

    def test_integrates_to_one(self) -> None:
        q = DiagonalNormal(1)(tf.constant([[0.3, -0.5]], tf.float64))
        z = np.linspace(-12, 12, 20_001)
        assert np.trapezoid(np.exp(q.log_prob(z[:, np.newaxis, np.newaxis])[:, 0]), z) == pytest.approx(1, abs=1e-8)

    def test_scale_has_a_floor(self) -> None:
        q = DiagonalNormal(2, scale_floor=0.01)(tf.constant([[0.0, 0.0, -200.0, -200.0]]))
        np.testing.assert_allclose(q.stddev(), 0.01, rtol=1e-6)
        assert np.isfinite(q.log_prob([[5.0, 5.0]])).all()

    def test_mean_is_that_of_the_distribution(self, rng: np.random.Generator) -> None:
        family, params = DiagonalNormal(3), tf.constant(rng.normal(size=(4, 6)), tf.float32)
        np.testing.assert_array_equal(family.mean(params, seed=(0, 0)), family(params).mean())

    def test_params_size_counts_a_loc_and_a_scale(self) -> None:
        assert DiagonalNormal(3).params_size == 6

    def test_kl_to_the_standard_normal_is_a_sum_over_dimensions(self, rng: np.random.Generator) -> None:
        params = rng.normal(size=(5, 6))
        loc, scale = params[:, :3], 1e-4 + softplus(params[:, 3:])
        expected = np.sum((loc**2 + scale**2 - 1) / 2 - np.log(scale), axis=1)
        q = DiagonalNormal(3)(tf.constant(params))
        np.testing.assert_allclose(q.kl_divergence(StandardNormal(3, "float64")()), expected, rtol=1e-9)

    @pytest.mark.parametrize(("latent_dim", "scale_floor"), [(0, 1e-4), (-1, 1e-4), (2, 0.0), (2, -1.0)])
    def test_settings_have_limits(self, latent_dim: int, scale_floor: float) -> None:
        with pytest.raises(UsageError):
            DiagonalNormal(latent_dim, scale_floor=scale_floor)


class TestFullCovarianceNormal:
    """q(z|x) = N(loc, L L^T)."""

    def test_density_agrees_with_scipy_and_has_correlations(self) -> None:
        params = np.random.default_rng(0).normal(size=(1, 9)).astype(np.float32)
        q = FullCovarianceNormal(3)(tf.constant(params))
        z = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
        expected = stats.multivariate_normal(params[0, :3], q.covariance()[0]).logpdf(z)
        np.testing.assert_allclose(np.ravel(q.log_prob(z[:, np.newaxis])), expected, rtol=1e-4)
        assert np.abs(q.covariance()[0].numpy()[~np.eye(3, dtype=bool)]).min() > 1e-3

    def test_diagonal_of_the_triangle_is_positive(self) -> None:
        q = FullCovarianceNormal(3, scale_floor=0.01)(tf.fill([1, 9], -200.0))
        diagonal = tf.linalg.diag_part(q.scale.to_dense())[0]
        np.testing.assert_allclose(diagonal, 0.01, rtol=1e-4)

    def test_zero_entries_give_a_diagonal_normal(self) -> None:
        q, diagonal = FullCovarianceNormal(3)(tf.zeros([1, 9])), DiagonalNormal(3)(tf.zeros([1, 6]))
        np.testing.assert_allclose(q.covariance()[0], np.diag(diagonal.variance()[0]), atol=1e-7)

    @pytest.mark.parametrize(("d", "size"), [(1, 2), (3, 9), (10, 65)])
    def test_params_size_counts_a_loc_and_a_triangle(self, d: int, size: int) -> None:
        assert FullCovarianceNormal(d).params_size == size

    def test_kl_agrees_with_samples(self, rng: np.random.Generator) -> None:
        q = FullCovarianceNormal(3)(tf.constant(rng.normal(size=(4, 9)), tf.float32))
        p, z = StandardNormal(3)(), q.sample(20_000, seed=(3, 4))
        estimates = (q.log_prob(z) - p.log_prob(z)).numpy()
        error = 4.5 * estimates.std(axis=0) / np.sqrt(20_000)
        np.testing.assert_array_less(np.abs(estimates.mean(axis=0) - q.kl_divergence(p)), error)


def reflect(params: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance of z = H_K ... H_1 z_0 in float64."""
    loc, s, *vectors = params.astype(np.float64).reshape(-1, d)
    turn = np.eye(d)
    for v in vectors:  # the first vector is applied first
        turn = (np.eye(d) - 2 * np.outer(v, v) / (v @ v)) @ turn
    return turn @ loc, turn @ np.diag((1e-4 + softplus(s)) ** 2) @ turn.T


class TestHouseholderFlow:
    """z = H_K ... H_1 z_0."""

    @pytest.mark.parametrize("reflections", [1, 2, 5])
    def test_is_the_normal_of_its_reflections(self, reflections: int) -> None:
        family, d = HouseholderFlow(4, reflections=reflections), 4
        params = np.random.default_rng(reflections).normal(size=(3, family.params_size)).astype(np.float32)
        q, z = family(tf.constant(params)), np.random.default_rng(1).normal(size=(6, 3, d)).astype(np.float32)
        for i, row in enumerate(params):
            mean, covariance = reflect(row, d)
            np.testing.assert_allclose(q.mean()[i], mean, atol=1e-5)
            np.testing.assert_allclose(family.mean(params, seed=(0, 0))[i], mean, atol=1e-5)
            np.testing.assert_allclose(q.covariance()[i], covariance, atol=1e-5)
            np.testing.assert_allclose(q.stddev()[i], np.sqrt(np.diag(covariance)), atol=1e-5)
            expected = stats.multivariate_normal(mean, covariance).logpdf(z[:, i])
            np.testing.assert_allclose(q.log_prob(z)[:, i], expected, rtol=1e-4, atol=1e-4)

    def test_kl_equals_that_of_the_normal_before_the_rotation(self) -> None:
        family, prior = HouseholderFlow(3, reflections=4), StandardNormal(3)()
        params = np.random.default_rng(2).normal(size=(5, family.params_size)).astype(np.float32)
        loc, scale = params[:, :3].astype(np.float64), 1e-4 + softplus(params[:, 3:6])
        expected = np.sum((loc**2 + scale**2 - 1) / 2 - np.log(scale), axis=1)
        q = family(tf.constant(params))
        np.testing.assert_allclose(q.kl_divergence(prior), expected, rtol=1e-5)
        z = q.sample(20_000, seed=(3, 4))
        estimates = (q.log_prob(z) - prior.log_prob(z)).numpy()
        np.testing.assert_array_less(np.abs(estimates.mean(axis=0) - expected), 4.5 * estimates.std(axis=0) / 141)

    def test_a_vector_of_zeros_still_gives_a_rotation(self) -> None:
        q = HouseholderFlow(3, reflections=2)(tf.zeros([1, 12]))
        eigenvalues = np.linalg.eigvalsh(q.covariance()[0])
        np.testing.assert_allclose(eigenvalues, (1e-4 + np.log(2)) ** 2, rtol=1e-4)

    @pytest.mark.parametrize("jit", [pytest.param(True, marks=pytest.mark.slow), False])
    def test_every_variable_receives_a_gradient_of_the_elbo(self, jit: bool) -> None:
        vae, x = builders.model("householder-flow"), builders.data("bernoulli")

        def gradients() -> list[Tensor]:
            with tf.GradientTape() as tape:
                loss = ELBO().loss(vae, x, seed=(0, 1))
            return tape.gradient(loss, vae.trainable_variables)

        found = tf.function(gradients, jit_compile=True)() if jit else gradients()
        for variable, gradient in zip(vae.trainable_variables, found, strict=True):
            assert np.isfinite(gradient).all(), variable.name
            assert np.abs(gradient).max() > 0, variable.name

    @pytest.mark.parametrize("reflections", [0, 101])
    def test_number_of_reflections_has_limits(self, reflections: int) -> None:
        with pytest.raises(UsageError):
            HouseholderFlow(3, reflections=reflections)
