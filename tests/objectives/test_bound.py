"""The abstract objective: its terms, its loss, its checks of the model, and sums of weights."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.gradients import examples, linear_model
from tests.helpers.oracles import LinearGaussian
from tfp_vae import VAE, Batch, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.model.distributions.mixtures import EvenMixture
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.objectives import (
    ELBO,
    IWAE,
    OBJECTIVES,
    Bound,
    DReG,
    MonteCarloELBO,
    Objective,
    Weighted,
)
from tfp_vae.objectives.bound import log_mean_exp, mean_terms
from tfp_vae.training.loop import Trainer
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return examples()


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_terms_are_always_those_of_the_unweighted_elbo(name: str, x: np.ndarray) -> None:
    draws, vae = 300 if name == "total-correlation" else 2_000, linear_model(0.4)  # it compares all pairs
    objective, many = OBJECTIVES.build(OBJECTIVES.member(name)), np.repeat(x, draws, axis=0)
    bound, plain = (o.bound(vae, many, seed=(8, 9)) for o in (objective, ELBO(mc_samples=20)))
    for term in ("distortion", "rate"):
        a, b = (getattr(each, term).numpy().reshape(len(x), draws) for each in (bound, plain))
        error = np.hypot(a.std(axis=1), b.std(axis=1)) / np.sqrt(draws)
        np.testing.assert_array_less(np.abs(a.mean(axis=1) - b.mean(axis=1)), 4 * error + 1e-12)


@final
class UpperBound(Objective):
    """An upper bound, which training must refuse."""

    sense = "upper"

    def _bound(self, vae: VAE, x: Any, seed: Any, step: Any) -> Bound:
        bound = ELBO().bound(vae, x, seed=seed)
        return bound._replace(value=-bound.value)


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_bound_of_a_float64_model_takes_float32_examples(name: str, linear: LinearGaussian) -> None:
    x, objective = linear.data(3).astype(np.float32), OBJECTIVES.build(OBJECTIVES.member(name))
    found, expected = (objective.bound(linear.vae(), each, seed=0) for each in (x, x.astype(np.float64)))
    np.testing.assert_array_equal(found.value, expected.value)
    assert found.value.dtype == tf.float64


def test_trainer_refuses_an_upper_bound_before_its_first_step() -> None:
    vae, x = builders.model(), builders.data("bernoulli")
    before = [variable.numpy() for variable in vae.variables]
    with pytest.raises(UsageError, match="UpperBound is an upper bound"):
        Trainer(
            vae,
            UpperBound(),
            OPTIMIZERS["adam"](1e-3),
            SCHEDULES["constant"](1e-3, 1),
            x,
            transform=lambda batch, seed: batch,
            run_seed=0,
            execution="graph",
        )
    for variable, value in zip(vae.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@final
class Detached:
    """A diagonal Normal that does not declare its samples as differentiable."""

    def __init__(self) -> None:
        family = DiagonalNormal(3)
        self.params_size, self.latent, self.latent_dim, self.learned = family.params_size, family.latent, 3, ()
        self.capabilities = family.capabilities._replace(reparameterized=False)
        self._family = family

    def __call__(self, params: Any) -> Any:
        return self._family(params)


@pytest.mark.parametrize(
    "objective", [ELBO(), IWAE(), DReG(), Weighted(ELBO(), beta=2.0)], ids=lambda each: type(each).__name__
)
def test_training_refuses_a_posterior_without_differentiable_samples(objective: Objective) -> None:
    model = builders.model()
    detached = VAE(Encoder(model.encoder.network, Detached()), model.decoder, model.prior)
    objective.check(model)
    with pytest.raises(UsageError, match=r"needs a reparameterized posterior, but Detached does not declare"):
        objective.check(detached)
    x = np.zeros((3, *model.decoder.likelihood.event_shape), np.float32)
    value = ELBO().bound(detached, x, seed=(0, 0)).value  # a value needs no gradient
    np.testing.assert_array_equal(value, ELBO().bound(model, x, seed=(0, 0)).value)


@final
class Claimed:
    """A mixture that declares its samples as differentiable, which they are not."""

    def __init__(self) -> None:
        family = DiagonalNormal(3)
        self.params_size, self.latent, self.latent_dim, self.learned = family.params_size, family.latent, 3, ()
        self.capabilities = Capabilities(reparameterized=True)
        self._family = family

    def __call__(self, params: Any) -> Any:
        return EvenMixture(self._family(params))


def test_training_refuses_a_posterior_that_wrongly_declares_differentiable_samples() -> None:
    model = builders.model()
    claimed = VAE(Encoder(model.encoder.network, Claimed()), model.decoder, model.prior)
    with pytest.raises(UsageError, match=r"Claimed claims to be one, but TFP has no gradient .* of its EvenMixture"):
        MonteCarloELBO().check(claimed)


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_loss_is_the_negative_mean_of_the_values(name: str, x: np.ndarray) -> None:
    vae, objective = linear_model(0.4), OBJECTIVES.build(OBJECTIVES.member(name))
    value = objective.bound(vae, x, seed=(1, 2)).value
    np.testing.assert_allclose(objective.loss(vae, x, seed=(1, 2)), -np.mean(value), rtol=1e-12)


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_seed_decides_the_bound(name: str, x: np.ndarray) -> None:
    vae, objective = linear_model(0.4), OBJECTIVES.build(OBJECTIVES.member(name))
    first, again, other = (objective.bound(vae, x, seed=(0, i)).value.numpy() for i in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_batches_and_tensors_equal_arrays(name: str, x: np.ndarray) -> None:
    vae, objective = linear_model(0.4), OBJECTIVES.build(OBJECTIVES.member(name))
    expected = objective.bound(vae, x, seed=(1, 2)).value
    for given in (Batch(x), tf.constant(x)):
        np.testing.assert_array_equal(objective.bound(vae, given, seed=(1, 2)).value, expected)


@pytest.mark.parametrize("field", ["observed", "context"])
def test_refuses_missing_cells_and_context(field: str, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match=rf"The objective IWAE does not support `{field}`"):
        IWAE().loss(linear_model(0.4), Batch(x, **{field: np.ones(x.shape, bool)}), seed=(0, 0))


def test_log_mean_exp_does_not_overflow() -> None:
    log_w = np.array([[1_000.0, -1_000.0], [1_000.0 + np.log(3), -1_000.0]])
    np.testing.assert_allclose(log_mean_exp(tf.constant(log_w), 2), [1_000 + np.log(2), -1_000], rtol=1e-12)


def test_mean_terms_average_over_samples(rng: np.random.Generator) -> None:
    log_px, log_ratio = rng.normal(size=(2, 5, 3))
    distortion, rate = mean_terms(tf.constant(log_px), tf.constant(log_ratio))
    np.testing.assert_allclose(distortion, -log_px.mean(axis=0))
    np.testing.assert_allclose(rate, log_ratio.mean(axis=0))


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_every_objective_is_a_lower_bound_on_the_evidence(name: str, linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4, widen=1.4), linear.data(800 if name == "total-correlation" else 4_000)
    gap = OBJECTIVES.build(OBJECTIVES.member(name)).bound(vae, x, seed=(3, 3)).value.numpy() - linear.log_evidence(x)
    assert gap.mean() < -0.01


def test_an_integer_seed_stands_for_a_pair(x: np.ndarray) -> None:
    vae = linear_model(0.4)
    np.testing.assert_array_equal(IWAE().loss(vae, x, seed=3), IWAE().loss(vae, x, seed=(0, 3)))
