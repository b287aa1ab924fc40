"""Objectives: values and gradients against what theory says of them."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers import builders
from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal
from tfp_vae.objectives import (
    ELBO,
    IWAE,
    MIWAE,
    OBJECTIVES,
    Bound,
    DReG,
    MonteCarloELBO,
    Objective,
    Renyi,
    StickingTheLanding,
    Weighted,
)
from tfp_vae.runs.config import ModelConfig, TrainingConfig, check_rate
from tfp_vae.training.loop import Trainer
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES

D, M, SCALE = 2, 3, 0.8


class Linear(tf.Module):
    """A linear network in float64."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.weights, self.bias = tf.Variable(weights), tf.Variable(bias)

    def __call__(self, x: Any) -> Any:
        return tf.matmul(x, self.weights) + self.bias


class ShiftedNormal:
    """p(z) = N(z; shift, I), the shift learned."""

    capabilities = Capabilities(normal=True, diagonal=True)
    latent = Latent.vector(D)
    latent_dim = D

    def __init__(self) -> None:
        self.learned = (tf.Variable([0.3, -0.2], dtype=tf.float64),)

    def __call__(self, temperature: float = 1.0) -> Any:
        return tfp.distributions.MultivariateNormalDiag(self.learned[0], tf.ones([D], tf.float64))


def exact_or_not(shift: float) -> VAE:
    """A linear-Gaussian model with learned weights; with shift 0 the encoder is its exact posterior."""
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(M, D)))
    weights = (basis * [1.5, 0.7]).T  # [D, M]
    variance = 1 / (1 + np.sum(weights**2, axis=1) / SCALE**2)
    posterior = DiagonalNormal(D)
    s = np.log(np.expm1(np.sqrt(variance) * (1 + shift) - posterior.scale_floor))
    gain = np.concatenate([weights.T * variance / SCALE**2, np.zeros((M, D))], axis=1)
    bias = np.concatenate([np.full(D, shift), s])
    return VAE(
        Encoder(Linear(gain, bias), posterior),
        Decoder(Linear(weights, np.zeros(M)), FixedNormal(M, SCALE)),
        StandardNormal(D, "float64") if shift == 0 else ShiftedNormal(),
    )


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(4, M))


def gradients(objective: Any, vae: VAE, x: np.ndarray, part: Any, seed: Any = (0, 0)) -> np.ndarray:
    """The gradient of the loss with respect to a part's variables, flat."""
    variables = part.trainable_variables if isinstance(part, tf.Module) else part.learned
    with tf.GradientTape() as tape:
        loss = objective.loss(vae, x, seed=seed)
    return np.concatenate([np.ravel(gradient) for gradient in tape.gradient(loss, variables)])


@pytest.mark.parametrize("objective", [StickingTheLanding(mc_samples=3), DReG(mc_samples=4)])
def test_path_gradients_vanish_at_the_exact_posterior(objective: Any, x: np.ndarray) -> None:
    vae = exact_or_not(0)
    np.testing.assert_allclose(gradients(objective, vae, x, vae.encoder), 0, atol=1e-13)


@pytest.mark.parametrize("objective", [ELBO(mc_samples=3), MonteCarloELBO(mc_samples=3), IWAE(mc_samples=4)])
def test_other_gradients_do_not(objective: Any, x: np.ndarray) -> None:
    vae = exact_or_not(0)
    assert np.abs(gradients(objective, vae, x, vae.encoder)).max() > 1e-3


PAIRS = [
    (ELBO(), MonteCarloELBO()),
    (MonteCarloELBO(), StickingTheLanding()),
    (MonteCarloELBO(mc_samples=3), StickingTheLanding(mc_samples=3)),
    (IWAE(mc_samples=3), DReG(mc_samples=3)),
    (IWAE(mc_samples=8), DReG(mc_samples=8)),
]
"""Estimators of one bound."""


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def differences(request: pytest.FixtureRequest, x: np.ndarray) -> dict[str, np.ndarray]:
    """By how much the gradients of a pair differ on 400 draws, for each part of the model."""
    vae, many = exact_or_not(0.4), np.repeat(x, 50, axis=0)
    parts = {
        "encoder": vae.encoder.trainable_variables,
        "decoder": vae.decoder.trainable_variables,
        "prior": vae.prior.learned,
    }

    @tf.function
    def drawn(seed: Any) -> Any:
        found = []
        for objective in request.param:
            with tf.GradientTape() as tape:
                loss = objective.loss(vae, many, seed=seed)
            slopes = tape.gradient(loss, parts)
            found.append({part: tf.concat([tf.reshape(g, [-1]) for g in slopes[part]], axis=0) for part in parts})
        return {part: found[0][part] - found[1][part] for part in parts}

    draws = [drawn(tf.constant([7, i])) for i in range(400)]
    return {part: np.array([draw[part] for draw in draws]) for part in parts}


@pytest.mark.parametrize("part", ["encoder", "decoder", "prior"])
def test_estimators_of_a_bound_have_the_same_expected_gradient(part: str, differences: dict[str, np.ndarray]) -> None:
    difference = differences[part]
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    np.testing.assert_array_less(np.abs(difference.mean(axis=0)), 4 * error + 1e-12)


@pytest.mark.parametrize("part", ["decoder", "prior"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(IWAE(mc_samples=5), DReG(mc_samples=5)), (MonteCarloELBO(mc_samples=5), StickingTheLanding(mc_samples=5))],
)
def test_the_models_gradient_is_the_same_on_the_same_draws(first: Any, second: Any, part: str, x: np.ndarray) -> None:
    vae = exact_or_not(0.4)
    found = [gradients(objective, vae, x, getattr(vae, part)) for objective in (first, second)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10)
    assert np.abs(found[0]).max() > 1e-3


def flat_gradient(loss: Any, variables: Any, tape: tf.GradientTape) -> np.ndarray:
    return np.concatenate([np.ravel(gradient) for gradient in tape.gradient(loss, variables)])


def test_encoder_gradient_of_dreg_is_the_one_by_hand(x: np.ndarray) -> None:
    vae, seed = exact_or_not(0.4), (3, 4)

    def of_z(z: Any) -> Any:
        """The sum of v_k^2 log w_k at z, with v and q's parameters held."""
        q = vae.encoder.posterior(tf.stop_gradient(vae.encoder.network(x)))
        log_w = vae.decoder(z).log_prob(x) + vae.prior().log_prob(z) - q.log_prob(z)
        v = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
        return -tf.reduce_mean(tf.reduce_sum(v**2 * log_w, axis=0))

    with tf.GradientTape() as tape:
        loss = of_z(vae.encoder(x).sample(5, seed=seed))
    by_hand = flat_gradient(loss, vae.encoder.trainable_variables, tape)
    np.testing.assert_allclose(gradients(DReG(mc_samples=5), vae, x, vae.encoder, seed), by_hand, rtol=1e-9)


def test_encoder_gradient_of_dreg_is_that_of_tfp(x: np.ndarray) -> None:
    """On the same draws: TFP takes the first half of its seed for them. Its decoder's gradient is not the right one."""
    vae, seed = exact_or_not(0.4), (3, 4)
    with tf.GradientTape() as tape:
        params = vae.encoder.network(x)
        losses = tfp.vi.monte_carlo_variational_loss(
            lambda z: vae.decoder(z).log_prob(x) + vae.prior().log_prob(z),
            vae.encoder.posterior(params),
            importance_sample_size=5,
            gradient_estimator=tfp.vi.GradientEstimators.DOUBLY_REPARAMETERIZED,
            stopped_surrogate_posterior=vae.encoder.posterior(tf.stop_gradient(params)),
            seed=seed,
        )
        loss = tf.reduce_mean(losses)
    by_tfp = flat_gradient(loss, vae.encoder.trainable_variables, tape)
    ours = gradients(DReG(mc_samples=5), vae, x, vae.encoder, tfp.random.split_seed(seed, 2)[0])
    np.testing.assert_allclose(ours, by_tfp, rtol=1e-9)


def value(objective: Any, vae: VAE, x: np.ndarray) -> np.ndarray:
    return objective.bound(vae, x, seed=(5, 6)).value.numpy()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MIWAE(outer_samples=6, inner_samples=1), MonteCarloELBO(mc_samples=6)),
        (MIWAE(outer_samples=1, inner_samples=6), IWAE(mc_samples=6)),
        (Renyi(alpha=0, mc_samples=6), IWAE(mc_samples=6)),
        (Renyi(alpha=1, mc_samples=6), MonteCarloELBO(mc_samples=6)),
        (DReG(mc_samples=6), IWAE(mc_samples=6)),
        (StickingTheLanding(mc_samples=6), MonteCarloELBO(mc_samples=6)),
        (IWAE(mc_samples=1), MonteCarloELBO(mc_samples=1)),
    ],
)
def test_identities_of_values(first: Any, second: Any, x: np.ndarray) -> None:
    vae = exact_or_not(0.4)
    np.testing.assert_allclose(value(first, vae, x), value(second, vae, x), rtol=1e-10)


def test_renyi_falls_with_alpha_and_reaches_the_elbo_smoothly(x: np.ndarray) -> None:
    vae = exact_or_not(0.4)
    values = [value(Renyi(alpha=alpha, mc_samples=50), vae, x) for alpha in (0, 0.3, 0.7, 0.999, 1, 1.001, 2)]
    assert (np.diff(values, axis=0) < 0).all()
    np.testing.assert_allclose(values[3], values[4], atol=5e-3)
    np.testing.assert_allclose(values[5], values[4], atol=5e-3)


def test_bounds_are_ordered(x: np.ndarray) -> None:
    vae, many = exact_or_not(0.4), np.repeat(x, 500, axis=0)
    elbo, miwae, iwae = (
        value(o, vae, many).mean()
        for o in (MonteCarloELBO(mc_samples=6), MIWAE(outer_samples=3, inner_samples=2), IWAE(mc_samples=6))
    )
    assert elbo < miwae < iwae


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_the_terms_are_always_the_plain_elbos(name: str, x: np.ndarray) -> None:
    draws, vae = 2_000, exact_or_not(0.4)
    objective, many = OBJECTIVES.build(OBJECTIVES.member(name)), np.repeat(x, draws, axis=0)
    bound, plain = (o.bound(vae, many, seed=(8, 9)) for o in (objective, ELBO(mc_samples=20)))
    for term in ("distortion", "rate"):
        a, b = (getattr(each, term).numpy().reshape(len(x), draws) for each in (bound, plain))
        error = np.hypot(a.std(axis=1), b.std(axis=1)) / np.sqrt(draws)
        np.testing.assert_array_less(np.abs(a.mean(axis=1) - b.mean(axis=1)), 4 * error + 1e-12)


WEIGHING = [name for name, objective in OBJECTIVES.items() if objective.weighs_rate]


def rates_by_hand(vae: VAE, x: np.ndarray) -> np.ndarray:
    """KL(q(z_d|x) || p(z_d)), [B, D]."""
    q, p = vae.encoder(x), vae.prior()
    variance, shift = q.variance().numpy(), q.mean().numpy() - p.mean().numpy()
    return (variance + shift**2 - 1 - np.log(variance)) / 2


def weighed(name: str, vae: VAE, x: np.ndarray, **weight: float) -> Any:
    return Weighted(OBJECTIVES.build(OBJECTIVES.member(name)), **weight).bound(vae, x, seed=(0, 1))


@pytest.mark.parametrize("name", WEIGHING)
class TestBeta:
    """Another weight of the rate."""

    def test_value(self, name: str, x: np.ndarray) -> None:
        bound = weighed(name, exact_or_not(0.4), x, beta=3.0)
        np.testing.assert_allclose(bound.value, -bound.distortion - 3 * bound.rate, rtol=1e-10)

    def test_beta_zero_leaves_the_distortions_gradient(self, name: str, x: np.ndarray) -> None:
        vae = exact_or_not(0.4)
        with tf.GradientTape(persistent=True) as tape:
            value = weighed(name, vae, x, beta=0.0).value
            distortion = MonteCarloELBO().bound(vae, x, seed=(0, 1)).distortion
        for variable in vae.encoder.trainable_variables:
            np.testing.assert_allclose(tape.gradient(value, variable), -tape.gradient(distortion, variable), atol=1e-9)


@pytest.mark.parametrize("name", WEIGHING)
class TestFreeBits:
    """sum_d max(lambda, mean KL_d), lambda = floor / D."""

    def test_a_dimension_is_free_up_to_its_own_share(self, name: str, x: np.ndarray) -> None:
        vae, many = exact_or_not(0.4), np.repeat(x, 5_000, axis=0)
        means = rates_by_hand(vae, x).mean(axis=0)
        assert np.ptp(means) > 0.05
        for free in (means.min() / 2, means.mean(), means.max() + 0.1):  # none, one, both free
            bound = weighed(name, vae, many, beta=2.0, free_bits=free)
            cost = -bound.value.numpy() - bound.distortion.numpy()
            error = np.sqrt(cost.reshape(len(x), -1).var(axis=1).mean() / len(cost))
            assert abs(cost.mean() - 2 * np.maximum(free, means).sum()) < 4 * error + 1e-9

    def test_the_terms_stay_the_plain_ones(self, name: str, x: np.ndarray) -> None:
        vae = exact_or_not(0.4)
        free, plain = (weighed(name, vae, x, free_bits=floor / D) for floor in (0.7, 0.0))
        np.testing.assert_allclose(free.rate, plain.rate, rtol=1e-10)
        np.testing.assert_allclose(free.distortion, plain.distortion, rtol=1e-10)

    def test_what_is_free_is_not_pushed(self, name: str, x: np.ndarray) -> None:
        """Where no dimension counts, encoder and prior learn from the distortion alone."""
        vae = exact_or_not(0.4)
        variables = [*vae.encoder.trainable_variables, *vae.prior.learned]
        with tf.GradientTape(persistent=True) as tape:
            value = weighed(name, vae, x, free_bits=1e3 / D).value
            distortion = MonteCarloELBO().bound(vae, x, seed=(0, 1)).distortion
        options = {"unconnected_gradients": tf.UnconnectedGradients.ZERO}
        for variable in variables:
            expected = -tape.gradient(distortion, variable, **options)
            np.testing.assert_allclose(tape.gradient(value, variable, **options), expected, atol=1e-9)

    def test_a_floor_that_is_never_reached_changes_nothing(self, name: str, x: np.ndarray) -> None:
        vae = exact_or_not(0.4)
        found = []
        for floor in (1e-9, 0.0):
            with tf.GradientTape() as tape:
                value = weighed(name, vae, x, free_bits=floor / D).value
            found.append(flat_gradient(value, [*vae.trainable_variables, *vae.prior.learned], tape))
        np.testing.assert_allclose(found[0], found[1], rtol=1e-9)

    @pytest.mark.parametrize(
        ("posterior", "prior"), [("full-covariance-normal", "standard-normal"), ("householder-flow", "standard-normal")]
    )
    def test_needs_a_rate_for_each_dimension(self, name: str, posterior: str, prior: str) -> None:
        vae, x = builders.model(posterior, prior), builders.data("bernoulli")
        with pytest.raises(UsageError, match=r"Free bits need .* expected a diagonal-normal .* leave out `free_bits`"):
            weighed(name, vae, x, free_bits=0.5)

    @pytest.mark.parametrize(
        ("posterior", "prior"), [("real-nvp", "standard-normal"), ("diagonal-normal", "normal-mixture")]
    )
    def test_is_refused_before_training(self, name: str, posterior: str, prior: str) -> None:
        model, training = ModelConfig(posterior=posterior, prior=prior), {"objective": name, "free_bits": 0.5}
        with pytest.raises(UsageError, match="monte-carlo-elbo" if name == "elbo" else f"{posterior} and {prior}"):
            check_rate(model, TrainingConfig(**training))
        check_rate(ModelConfig(), TrainingConfig(**training))


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in WEIGHING])
def test_an_objective_without_a_rate_cannot_be_weighted(name: str) -> None:
    with pytest.raises(UsageError, match=r"has no rate to weigh. Choose an estimator of the ELBO"):
        Weighted(OBJECTIVES.build(OBJECTIVES.member(name)))


@final
class UpperBound(Objective):
    """A bound from above, which training must refuse."""

    sense = "upper"

    def _bound(self, vae: VAE, x: Any, seed: Any, step: Any) -> Bound:
        bound = ELBO().bound(vae, x, seed=seed)
        return bound._replace(value=-bound.value)


def test_a_trainer_refuses_an_upper_bound_before_its_first_step() -> None:
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
    """The diagonal Normal as a family that does not declare its samples differentiable."""

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
    with pytest.raises(UsageError, match=r"needs a reparameterized posterior, but no gradient flows .* of Detached"):
        objective.check(detached)
    x = np.zeros((3, *model.decoder.likelihood.event_shape), np.float32)
    value = ELBO().bound(detached, x, seed=(0, 0)).value  # a value needs no gradient
    np.testing.assert_array_equal(value, ELBO().bound(model, x, seed=(0, 0)).value)
