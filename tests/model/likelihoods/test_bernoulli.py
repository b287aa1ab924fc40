"""Bernoulli likelihoods, discrete and continuous."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, special

from tfp_vae.model.distributions.bernoulli import IndependentBernoulli
from tfp_vae.model.likelihoods.bernoulli import Bernoulli, ContinuousBernoulli


class TestBernoulli:
    """p(x|z) = prod Bernoulli(sigmoid(logits))."""

    def test_density_is_the_cross_entropy_summed_over_the_event(self, rng: np.random.Generator) -> None:
        logits, x = 5 * rng.normal(size=(3, 2, 12)), rng.integers(0, 2, (2, 2, 3, 2)).astype(float)
        p = Bernoulli((2, 3, 2))(tf.constant(logits))
        on = special.log_expit(logits.reshape(3, 2, 2, 3, 2))
        off = special.log_expit(-logits.reshape(3, 2, 2, 3, 2))
        np.testing.assert_allclose(p.log_prob(x), np.where(x == 1, on, off).sum((2, 3, 4)), rtol=1e-9)

    def test_density_is_finite_at_large_logits(self) -> None:
        p = Bernoulli((2,))(tf.constant([[800.0, -800.0]]))
        np.testing.assert_allclose(p.log_prob([[1.0, 0.0]]), 0.0)
        np.testing.assert_allclose(p.log_prob([[0.0, 1.0]]), -1600.0)

    def test_sums_to_one_over_all_images(self, rng: np.random.Generator) -> None:
        every = np.array(list(np.ndindex(2, 2, 2, 2)), float)
        p = Bernoulli((4,))(tf.constant(rng.normal(size=4)))
        assert np.exp(p.log_prob(every)).sum() == pytest.approx(1, abs=1e-12)

    def test_returns_independent_bernoullis(self) -> None:
        p = Bernoulli((8, 8, 1))(tf.zeros([5, 3, 64]))
        assert isinstance(p, IndependentBernoulli)
        assert p.batch_shape == [5, 3]
        assert p.event_shape == [8, 8, 1]

    def test_samples_agree_with_the_mean(self) -> None:
        p = Bernoulli((3,))(tf.constant([-1.0, 0.0, 2.0]))
        x = p.sample(20_000, seed=(0, 1)).numpy()
        error = x.std(axis=0) / np.sqrt(len(x))
        np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean().numpy()), 4 * error)

    def test_initial_params_give_the_mean_exactly(self, rng: np.random.Generator) -> None:
        mean = rng.uniform(0.01, 0.99, (2, 3))
        np.testing.assert_allclose(Bernoulli((2, 3))(Bernoulli((2, 3)).initial_params(mean)).mean(), mean, rtol=1e-5)

    def test_a_constant_pixel_starts_uncertain(self) -> None:
        start = Bernoulli((2,)).initial_params([0.0, 1.0])
        np.testing.assert_allclose(special.expit(start), [0.001, 0.999], rtol=1e-4)

    def test_float64_params_give_a_float64_density(self) -> None:
        assert Bernoulli((2,))(tf.zeros([2], tf.float64)).log_prob([0.0, 1.0]).dtype == tf.float64


class TestContinuousBernoulli:
    """p(x|z) = C(l) l^x (1 - l)^(1 - x)."""

    @pytest.mark.parametrize("logit", [-60.0, -15.0, -1e-2, -1e-4, 0.0, 1e-4, 1e-2, 0.3, 15.0, 60.0])
    @pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
    def test_density_is_accurate_near_one_half_and_at_large_logits(self, logit: float, x: float) -> None:
        found = ContinuousBernoulli((1,))(tf.constant([logit])).log_prob([x]).numpy()
        # p(x) = logit exp(logit x) / (exp(logit) - 1), in a form that is stable at both ends
        if logit == 0:
            exact = 0.0
        elif logit < 30:
            exact = np.log(logit / np.expm1(logit)) + logit * x
        else:
            exact = np.log(logit) + logit * (x - 1)
        assert found == pytest.approx(exact, rel=1e-3, abs=1e-3)

    @pytest.mark.parametrize("logit", [-20.0, -2.0, 0.5, 3.0, 20.0])
    def test_mean_is_the_integral_of_x(self, logit: float) -> None:
        expected, _ = integrate.quad(lambda x: x * logit * np.exp(logit * (x - 1)) / -np.expm1(-logit), 0, 1)
        found = float(ContinuousBernoulli((1,))(tf.constant([logit])).mean()[0])
        assert found == pytest.approx(expected, rel=1e-3)

    def test_mean_lies_between_one_half_and_the_sigmoid(self) -> None:
        logits = np.array([-6.0, -1.0, 1.0, 6.0], np.float32)
        mean, probability = ContinuousBernoulli((4,))(tf.constant(logits)).mean().numpy(), special.expit(logits)
        assert (np.abs(mean - 0.5) < np.abs(probability - 0.5)).all()
        assert (np.sign(mean - 0.5) == np.sign(logits)).all()

    def test_density_grows_without_limit_on_black_and_white(self) -> None:
        values = [float(ContinuousBernoulli((1,))(tf.constant([logit])).log_prob([1.0])) for logit in (10.0, 1e2, 1e3)]
        np.testing.assert_allclose(np.diff(values), np.log(10), rtol=1e-2)
