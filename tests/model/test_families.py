"""Posteriors, priors and likelihoods: densities against independent statements of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from pydantic import ValidationError
from scipy import special, stats

from tfp_vae.model.distributions.bernoulli import IndependentBernoulli
from tfp_vae.model.likelihoods import Bernoulli
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal

tfd = tfp.distributions


class TestDiagonalNormal:
    """q(z|x) = N(loc, diag(scale^2))."""

    def test_density_is_that_of_independent_normals(self, rng: np.random.Generator) -> None:
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

    def test_params_size_counts_a_loc_and_a_scale(self) -> None:
        assert DiagonalNormal(3).params_size == 6

    @pytest.mark.parametrize(("latent_dim", "scale_floor"), [(0, 1e-4), (-1, 1e-4), (2, 0.0), (2, -1.0)])
    def test_refuses_what_does_not_fit(self, latent_dim: int, scale_floor: float) -> None:
        with pytest.raises(ValidationError):
            DiagonalNormal(latent_dim, scale_floor=scale_floor)


class TestStandardNormal:
    """p(z) = N(0, I)."""

    def test_density(self, rng: np.random.Generator) -> None:
        z = rng.normal(size=(9, 4))
        np.testing.assert_allclose(StandardNormal(4, "float64")().log_prob(z), stats.norm.logpdf(z).sum(-1), rtol=1e-12)

    def test_temperature_scales_the_spread(self) -> None:
        np.testing.assert_allclose(StandardNormal(3)(0.5).stddev(), [0.5] * 3)

    def test_kl_of_itself_is_zero(self) -> None:
        p = StandardNormal(3)()
        assert isinstance(p, tfd.MultivariateNormalDiag)
        assert p.kl_divergence(p) == 0


class TestBernoulli:
    """p(x|z) = prod Bernoulli(sigmoid(logits))."""

    def test_density_is_the_cross_entropy_summed_over_the_event(self, rng: np.random.Generator) -> None:
        logits, x = 5 * rng.normal(size=(3, 2, 12)), rng.integers(0, 2, (2, 2, 3, 2)).astype(float)
        p = Bernoulli((2, 3, 2))(tf.constant(logits))
        on = special.log_expit(logits.reshape(3, 2, 2, 3, 2))
        off = special.log_expit(-logits.reshape(3, 2, 2, 3, 2))
        np.testing.assert_allclose(p.log_prob(x), np.where(x == 1, on, off).sum((2, 3, 4)), rtol=1e-9)

    def test_stays_finite_at_large_logits(self) -> None:
        p = Bernoulli((2,))(tf.constant([[800.0, -800.0]]))
        np.testing.assert_allclose(p.log_prob([[1.0, 0.0]]), 0.0)
        np.testing.assert_allclose(p.log_prob([[0.0, 1.0]]), -1600.0)

    def test_sums_to_one(self, rng: np.random.Generator) -> None:
        every = np.array(list(np.ndindex(2, 2, 2, 2)), float)
        p = Bernoulli((4,))(tf.constant(rng.normal(size=4)))
        assert np.exp(p.log_prob(every)).sum() == pytest.approx(1, abs=1e-12)

    def test_is_independent_bernoullis(self) -> None:
        p = Bernoulli((8, 8, 1))(tf.zeros([5, 3, 64]))
        assert isinstance(p, IndependentBernoulli)
        assert p.batch_shape == [5, 3]
        assert p.event_shape == [8, 8, 1]

    def test_samples_agree_with_the_mean(self) -> None:
        p = Bernoulli((3,))(tf.constant([-1.0, 0.0, 2.0]))
        x = p.sample(20_000, seed=(0, 1)).numpy()
        error = x.std(axis=0) / np.sqrt(len(x))
        np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean().numpy()), 4 * error)

    def test_starts_at_the_data_mean(self, rng: np.random.Generator) -> None:
        mean = rng.uniform(0.01, 0.99, (2, 3))
        np.testing.assert_allclose(Bernoulli((2, 3))(Bernoulli((2, 3)).initial_params(mean)).mean(), mean, rtol=1e-5)

    def test_a_pixel_that_never_varies_is_not_certain(self) -> None:
        assert np.isfinite(Bernoulli((2,)).initial_params([0.0, 1.0])).all()
