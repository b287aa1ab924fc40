"""Objectives for a discrete z, against the enumeration of all of its values."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.gradients import Linear, flat_gradient
from tests.helpers.gradients import gradients as gradients_of
from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Tensor
from tfp_vae.model.posteriors import Bernoulli, Categorical, DiagonalNormal, Posterior
from tfp_vae.model.priors import Autoregressive, Learned, StandardNormal, Uniform
from tfp_vae.objectives import (
    ELBO,
    IWAE,
    OBJECTIVES,
    RLOO,
    VIMCO,
    DisARM,
    GumbelSoftmax,
    MonteCarloELBO,
    Objective,
    Weighted,
)
from tfp_vae.objectives.bound import log_mean_exp

M, SCALE, REPEATS = 3, 0.8, 2_000

SPACES: dict[str, Posterior] = {
    "one 10-way code": Categorical(1, codes=10),
    "2x4 codes": Categorical(2, codes=4),
    "4 bits": Bernoulli(4),
}

PRIORS = {"uniform": Uniform, "learned": Learned, "autoregressive": Autoregressive}


class Exact(NamedTuple):
    """A discrete model with a linear encoder and a linear decoder, whose z can be enumerated.

    vae: the model.
    z: all values of z, [V, D].
    x: two examples.
    """

    vae: VAE
    z: np.ndarray
    x: np.ndarray

    @classmethod
    def make(cls, space: str, prior: str) -> Exact:
        """Return a model with fixed weights."""
        posterior, draw = SPACES[space], np.random.default_rng(3)
        size, codes = posterior.latent.size, posterior.latent.codes
        encoder = Linear(0.7 * draw.normal(size=(M, size)), 0.5 * draw.normal(size=size))
        decoder = Linear(draw.normal(size=(size, M)), 0.3 * draw.normal(size=M))
        more = {"hidden": 6} if prior == "autoregressive" else {}
        made = PRIORS[prior](posterior.latent_dim, codes, dtype="float64", **more)
        for variable in (v for part in made.learned for v in getattr(part, "trainable_variables", [part])):
            variable.assign_add(0.5 * draw.normal(size=variable.shape))
        parts = [[0.0], [1.0]] if codes == 1 else np.eye(codes).tolist()
        z = [np.concatenate(each) for each in itertools.product(parts, repeat=posterior.latent_dim)]
        vae = VAE(Encoder(encoder, posterior), Decoder(decoder, FixedNormal(M, SCALE)), made)
        return cls(vae, np.array(z), draw.normal(size=(2, M)))

    def terms(self) -> tuple[Tensor, Tensor]:
        """Return log q(z|x) and log p(x, z) of all z, [V, B] each."""
        z = tf.constant(np.repeat(self.z[:, np.newaxis], len(self.x), axis=1))
        log_joint = self.vae.decoder(z).log_prob(self.x) + self.vae.prior().log_prob(z)
        return self.vae.encoder(self.x).log_prob(z), log_joint

    def elbo(self) -> Tensor:
        """Return the exact ELBO, [B]."""
        log_q, log_joint = self.terms()
        return tf.reduce_sum(tf.exp(log_q) * (log_joint - log_q), axis=0)

    def iwae(self, samples: int) -> Tensor:
        """Return the exact expectation of the importance-weighted bound, [B], over all tuples of z."""
        log_q, log_joint = self.terms()
        index = np.array(list(itertools.product(range(len(self.z)), repeat=samples)))  # [V^K, K]
        mass = tf.reduce_sum(tf.gather(log_q, index), axis=1)
        bounds = log_mean_exp(tf.transpose(tf.gather(log_joint - log_q, index), [1, 0, 2]), samples)
        return tf.reduce_sum(tf.exp(mass) * bounds, axis=0)

    def gradient(self, of: Objective) -> np.ndarray:
        """Return the exact gradient of the loss whose estimate an objective has, flat."""
        with tf.GradientTape() as tape:
            exact = self.iwae(of.mc_samples) if isinstance(of, VIMCO) else self.elbo()
            loss = -tf.reduce_mean(exact)
        return flat_gradient(loss, self.vae.trainable_variables, tape)

    def estimates(self, objective: Objective) -> np.ndarray:
        """Return estimates of the gradient of the loss from different seeds, [REPEATS, P]."""
        variables = self.vae.trainable_variables

        def one(seed: Tensor) -> Tensor:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(objective.bound(self.vae, self.x, seed=seed).value)
            return tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, variables)], axis=0)

        seeds = tf.constant([[7, i] for i in range(REPEATS)], tf.int32)
        return np.asarray(tf.function(lambda: tf.vectorized_map(one, seeds))())


@pytest.mark.parametrize(("space", "prior"), list(zip(SPACES, PRIORS, strict=True)))
def test_bounds_agree_with_enumeration(space: str, prior: str) -> None:
    exact = Exact.make(space, prior)
    evidence = tf.reduce_logsumexp(exact.terms()[1], axis=0).numpy()
    x = np.repeat(exact.x, 5_000, axis=0)
    for objective, expected in (
        (RLOO(mc_samples=2), exact.elbo().numpy()),
        (VIMCO(mc_samples=2), exact.iwae(2).numpy()),
        (GumbelSoftmax(), exact.elbo().numpy()),
    ):
        value = objective.bound(exact.vae, x, seed=(1, 2)).value.numpy().reshape(2, -1)
        error = 4 * value.std(axis=1) / np.sqrt(value.shape[1])
        np.testing.assert_array_less(np.abs(value.mean(axis=1) - expected), error + 1e-9)
        assert (expected < evidence).all()


USUAL_PRIORS = {"one 10-way code": "uniform", "2x4 codes": "autoregressive", "4 bits": "learned"}

UNBIASED = [RLOO(mc_samples=3), VIMCO(mc_samples=2)]


@pytest.mark.parametrize(
    ("space", "objective"), [*itertools.product(SPACES, UNBIASED), ("4 bits", DisARM(mc_samples=2))], ids=str
)
def test_score_function_gradients_equal_the_exact_gradient(space: str, objective: Objective) -> None:
    exact = Exact.make(space, USUAL_PRIORS[space])
    found, expected = exact.estimates(objective), exact.gradient(objective)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected), 4 * error + 1e-9)


@pytest.mark.parametrize("space", list(SPACES))
def test_relaxed_gradients_approach_the_exact_gradient_as_the_temperature_falls(space: str) -> None:
    exact = Exact.make(space, USUAL_PRIORS[space])
    expected, gaps, x = exact.gradient(ELBO()), [], np.repeat(exact.x, 20_000, axis=0)
    for temperature in (4.0, 1.0, 0.3):
        objective = GumbelSoftmax(temperature=temperature, final_temperature=temperature)
        gaps.append(np.linalg.norm(gradients_of(objective, exact.vae, x, exact.vae) - expected))
    assert gaps[0] > 1.5 * gaps[1] > 2 * gaps[2]


def test_decoder_and_prior_learn_from_the_codes_at_any_temperature() -> None:
    exact, many = Exact.make("2x4 codes", "learned"), 5_000
    variables = [*exact.vae.decoder.trainable_variables, *exact.vae.prior.learned]
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(exact.elbo())
    expected = flat_gradient(loss, variables, tape)
    for straight_through in (False, True):
        objective = GumbelSoftmax(temperature=5.0, straight_through=straight_through)
        with tf.GradientTape() as tape:
            loss = objective.loss(exact.vae, np.repeat(exact.x, many, axis=0), seed=(1, 2))
        np.testing.assert_allclose(flat_gradient(loss, variables, tape), expected, atol=0.05)


ESTIMATORS: list[Objective] = [RLOO(), VIMCO(), GumbelSoftmax(), GumbelSoftmax(straight_through=True, mc_samples=2)]


@pytest.mark.parametrize("prior", ["uniform", "autoregressive"])
@pytest.mark.parametrize("objective", ESTIMATORS, ids=str)
def test_value_is_the_bound_of_the_codes_themselves(objective: Objective, prior: str) -> None:
    exact = Exact.make("2x4 codes", prior)
    plain = {
        RLOO: (ELBO if prior == "uniform" else MonteCarloELBO)(mc_samples=4),
        VIMCO: IWAE(mc_samples=5),
    }.get(type(objective))
    found = objective.bound(exact.vae, exact.x, seed=(3, 4), step=5)
    if plain is not None:
        expected = plain.bound(exact.vae, exact.x, seed=(3, 4))
        for name in expected._fields:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10)
        return
    assert isinstance(objective, GumbelSoftmax)
    q, p = exact.vae.encoder(exact.x), exact.vae.prior()
    z, _ = q.relaxed(objective.mc_samples, 1.0, fold((3, 4)))
    rate = q.kl_divergence(p) if prior == "uniform" else tf.reduce_mean(q.log_prob(z) - p.log_prob(z), axis=0)
    expected_value = tf.reduce_mean(exact.vae.decoder(z).log_prob(exact.x), axis=0) - rate
    np.testing.assert_allclose(found.value, expected_value, rtol=1e-10)


def test_rloo_has_the_exact_gradient_for_normals_too() -> None:
    draw = np.random.default_rng(0)
    encoder = Encoder(Linear(0.3 * draw.normal(size=(M, 4)), np.zeros(4)), DiagonalNormal(2))
    decoder = Decoder(Linear(draw.normal(size=(2, M)), np.zeros(M)), FixedNormal(M, SCALE))
    vae = VAE(encoder, decoder, StandardNormal(2, "float64"))
    x = np.repeat(draw.normal(size=(1, M)), 40_000, axis=0)
    found, expected = (gradients_of(o, vae, x, vae.encoder, (1, 2)) for o in (RLOO(mc_samples=4), ELBO(mc_samples=4)))
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def test_weights_of_the_rate_apply_to_every_estimator() -> None:
    exact = Exact.make("4 bits", "uniform")
    for objective in (RLOO(), DisARM(), GumbelSoftmax()):
        found = Weighted(objective, beta=3.0).bound(exact.vae, exact.x, seed=(1, 2))
        np.testing.assert_allclose(found.value, -found.distortion - 3 * found.rate, rtol=1e-10)
        free = Weighted(objective, free_bits=0.5).bound(exact.vae, exact.x, seed=(1, 2))
        np.testing.assert_array_less(free.value, -free.distortion - 4 * 0.5 + 1e-9)


def test_temperature_falls_geometrically_and_stays() -> None:
    objective = GumbelSoftmax(temperature=2.0, final_temperature=0.5, annealing_steps=100)
    found = [float(objective.temperature_at(step)) for step in (0, 50, 100, 10**6, 2**31 - 1)]
    np.testing.assert_allclose(found, [2, 1, 0.5, 0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_objectives_for_a_reparameterized_posterior_refuse_codes(name: str) -> None:
    exact, objective = Exact.make("2x4 codes", "uniform"), OBJECTIVES.build(OBJECTIVES.member(name))
    if name in ("rloo", "vimco", "gumbel-softmax"):
        objective.check(exact.vae)
        return
    with pytest.raises(UsageError, match=r"posterior=bernoulli|objective=gumbel-softmax"):
        objective.check(exact.vae)


@pytest.mark.parametrize("objective", [DisARM(), GumbelSoftmax()], ids=str)
def test_objectives_for_codes_refuse_normals(objective: Objective) -> None:
    exact = Exact.make("4 bits", "uniform")
    posterior = DiagonalNormal(2)
    encoder = Encoder(Linear(np.zeros((M, 4)), np.zeros(4)), posterior)
    decoder = Decoder(Linear(np.zeros((2, M)), np.zeros(M)), FixedNormal(M, SCALE))
    vae = VAE(encoder, decoder, StandardNormal(2, "float64"))
    with pytest.raises(UsageError, match=r"needs a posterior over (bits|codes), found DiagonalNormal"):
        objective.bound(vae, exact.x, seed=(0, 0))
