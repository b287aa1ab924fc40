"""Weights of the rate: beta, warm-up and free bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.gradients import D, examples, flat_gradient, linear_model
from tests.helpers.layered import LayeredGaussian, moved
from tfp_vae import VAE
from tfp_vae.core.errors import UsageError
from tfp_vae.objectives import (
    ELBO,
    OBJECTIVES,
    MonteCarloELBO,
    Weighted,
)
from tfp_vae.runs.config import ModelConfig, TrainingConfig, check_rate


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return examples()


ADDS_A_TERM = "total-correlation"
"""The objective whose value has a term besides distortion and rate, unless its weights are 1."""

WEIGHING = [
    f"{name}:beta=1" if name == ADDS_A_TERM else name
    for name in builders.REAL_OBJECTIVES
    if OBJECTIVES[name].weighs_rate and name != "rloo"
]


def rates_by_hand(vae: VAE, x: np.ndarray) -> np.ndarray:
    """KL(q(z_d|x) || p(z_d)), [B, D]."""
    q, p = vae.encoder(x), vae.prior()
    variance, shift = q.variance().numpy(), q.mean().numpy() - p.mean().numpy()
    return (variance + shift**2 - 1 - np.log(variance)) / 2


def weighted_bound(name: str, vae: VAE, x: np.ndarray, **weight: float) -> Any:
    return Weighted(OBJECTIVES.build(OBJECTIVES.member(name)), **weight).bound(vae, x, seed=(0, 1))


@pytest.mark.parametrize("name", WEIGHING)
class TestBeta:
    """Beta multiplies the rate."""

    def test_value_is_the_weighted_sum(self, name: str, x: np.ndarray) -> None:
        bound = weighted_bound(name, linear_model(0.4), x, beta=3.0)
        np.testing.assert_allclose(bound.value, -bound.distortion - 3 * bound.rate, rtol=1e-10)

    def test_beta_zero_leaves_the_gradient_of_the_distortion(self, name: str, x: np.ndarray) -> None:
        vae = linear_model(0.4)
        with tf.GradientTape(persistent=True) as tape:
            value = weighted_bound(name, vae, x, beta=0.0).value
            distortion = MonteCarloELBO().bound(vae, x, seed=(0, 1)).distortion
        for variable in vae.encoder.trainable_variables:
            np.testing.assert_allclose(tape.gradient(value, variable), -tape.gradient(distortion, variable), atol=1e-9)


def reason(name: str, posterior: str, usual: str) -> str:
    """Why free bits are refused: the usual reason, or that the objective does not support the posterior either."""
    unsupported = name.startswith(ADDS_A_TERM) and posterior != "diagonal-normal"
    return "whose dimensions are independent Normals" if unsupported else usual


@pytest.mark.parametrize("name", WEIGHING)
class TestFreeBits:
    """sum_d max(lambda, mean KL_d), lambda = floor / D."""

    def test_each_dimension_costs_at_least_its_free_nats(self, name: str, x: np.ndarray) -> None:
        vae, many = linear_model(0.4), np.repeat(x, 5_000, axis=0)
        means = rates_by_hand(vae, x).mean(axis=0)
        assert np.ptp(means) > 0.05
        for free in (means.min() / 2, means.mean(), means.max() + 0.1):  # none, one, both free
            bound = weighted_bound(name, vae, many, beta=2.0, free_bits=free)
            cost = -bound.value.numpy() - bound.distortion.numpy()
            error = np.sqrt(cost.reshape(len(x), -1).var(axis=1).mean() / len(cost))
            assert abs(cost.mean() - 2 * np.maximum(free, means).sum()) < 4 * error + 1e-9

    def test_terms_have_no_weights(self, name: str, x: np.ndarray) -> None:
        vae = linear_model(0.4)
        free, plain = (weighted_bound(name, vae, x, free_bits=floor / D) for floor in (0.7, 0.0))
        np.testing.assert_allclose(free.rate, plain.rate, rtol=1e-10)
        np.testing.assert_allclose(free.distortion, plain.distortion, rtol=1e-10)

    def test_free_dimensions_get_no_gradient(self, name: str, x: np.ndarray) -> None:
        """If all dimensions are free, encoder and prior learn from the distortion alone."""
        vae = linear_model(0.4)
        variables = [*vae.encoder.trainable_variables, *vae.prior.learned]
        with tf.GradientTape(persistent=True) as tape:
            value = weighted_bound(name, vae, x, free_bits=1e3 / D).value
            distortion = MonteCarloELBO().bound(vae, x, seed=(0, 1)).distortion
        options = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
        for variable in variables:
            expected = -tape.gradient(distortion, variable, **options)
            np.testing.assert_allclose(tape.gradient(value, variable, **options), expected, atol=1e-9)

    def test_free_bits_below_every_rate_change_nothing(self, name: str, x: np.ndarray) -> None:
        vae = linear_model(0.4)
        found = []
        for floor in (1e-9, 0.0):
            with tf.GradientTape() as tape:
                value = weighted_bound(name, vae, x, free_bits=floor / D).value
            found.append(flat_gradient(value, [*vae.trainable_variables, *vae.prior.learned], tape))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-9)

    @pytest.mark.parametrize(
        ("posterior", "prior"), [("full-covariance-normal", "standard-normal"), ("householder-flow", "standard-normal")]
    )
    def test_refuses_models_without_separate_rates(self, name: str, posterior: str, prior: str) -> None:
        vae, x = builders.model(posterior, prior), builders.data("bernoulli")
        usual = r"Free bits need .* expected a diagonal-normal .* leave out `free_bits`"
        with pytest.raises(UsageError, match=reason(name, posterior, usual)):
            weighted_bound(name, vae, x, free_bits=0.5)

    @pytest.mark.parametrize(
        ("posterior", "prior"), [("real-nvp", "standard-normal"), ("diagonal-normal", "normal-mixture")]
    )
    def test_refuses_configs_without_separate_rates(self, name: str, posterior: str, prior: str) -> None:
        model, training = ModelConfig(posterior=posterior, prior=prior), {"objective": name, "free_bits": 0.5}
        usual = "monte-carlo-elbo" if name == "elbo" else f"{posterior} and {prior}"
        with pytest.raises(UsageError, match=reason(name, posterior, usual)):
            check_rate(model, TrainingConfig(**training))
        check_rate(ModelConfig(), TrainingConfig(**training))


@pytest.mark.parametrize("name", [name for name, each in OBJECTIVES.items() if not each.weighs_rate])
def test_refuses_objectives_without_a_rate(name: str) -> None:
    with pytest.raises(UsageError, match=r"has no rate to weigh. Choose an estimator of the ELBO"):
        Weighted(OBJECTIVES.build(OBJECTIVES.member(name)))


@pytest.mark.parametrize("name", WEIGHING)
def test_warm_up_raises_beta_linearly(name: str, x: np.ndarray) -> None:
    vae = linear_model(0.4)
    objective = Weighted(OBJECTIVES.build(OBJECTIVES.member(name)), beta=2.0, warmup_steps=4)
    for step, beta in ((0, 0.5), (1, 1.0), (3, 2.0), (4, 2.0), (1_000, 2.0)):
        bound = objective.bound(vae, x, seed=(0, 1), step=step)
        np.testing.assert_allclose(bound.value, -bound.distortion - beta * bound.rate, rtol=1e-6)


@pytest.mark.parametrize("name", WEIGHING)
def test_default_weights_give_the_objective_itself(name: str, x: np.ndarray) -> None:
    vae, plain = linear_model(0.4), OBJECTIVES.build(OBJECTIVES.member(name))
    for given, expected in zip(weighted_bound(name, vae, x), plain.bound(vae, x, seed=(0, 1)), strict=True):
        np.testing.assert_array_equal(given, expected)


@pytest.mark.parametrize(
    "weights", [{"beta": -1.0}, {"beta": np.inf}, {"beta": np.nan}, {"warmup_steps": -1}, {"free_bits": -0.1}]
)
def test_refuses_weights_out_of_range(weights: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=rf"`{next(iter(weights))}` must be a finite number of at least 0"):
        Weighted(ELBO(), **weights)


def test_weighted_objectives_cannot_be_weighted_again() -> None:
    with pytest.raises(UsageError, match="has no rate to weigh"):
        Weighted(Weighted(ELBO(), beta=2.0), beta=2.0)


def test_closed_form_still_needs_normals() -> None:
    with pytest.raises(UsageError, match="`objective=monte-carlo-elbo`"):
        Weighted(ELBO(), beta=2.0).bound(builders.model("real-nvp"), builders.data("bernoulli"), seed=(0, 0))


class TestLayers:
    """Free bits of a z in layers, whose rates are estimates."""

    @pytest.mark.parametrize("name", ["monte-carlo-elbo", "sticking-the-landing", "rloo"])
    def test_a_layer_costs_its_rate_or_its_free_nats(self, name: str) -> None:
        vae, x = moved(LayeredGaussian().vae("bottom_up")), LayeredGaussian().examples(50)
        plain = OBJECTIVES.resolve(f"{name}:mc_samples=3").bound(vae, x, seed=(0, 1))
        q = vae.encoder(x)
        z = q.sample(3, seed=(0, 1))
        rates = tf.reduce_mean(q.log_prob_by_layer(z) - vae.prior().log_prob_by_layer(z), axis=0)
        np.testing.assert_allclose(tf.reduce_sum(rates, axis=-1), plain.rate, rtol=1e-9)
        first, second = tf.reduce_mean(rates, axis=0).numpy() / [3, 2]
        assert first != second
        for free_bits in (0.0, (first + second) / 2, 1.1 * max(first, second)):
            cost = np.maximum(free_bits * np.array([3, 2]), tf.reduce_mean(rates, axis=0))
            expected = np.sum(cost) if free_bits else np.mean(plain.rate)
            value = weighted_bound(f"{name}:mc_samples=3", vae, x, free_bits=free_bits).value
            np.testing.assert_allclose(np.mean(value), -np.mean(plain.distortion) - expected, rtol=1e-9)
