"""Objectives for a discrete z, against the enumeration of all of its values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.codes import PRIORS, SCALE, SPACES, USUAL_PRIORS, Exact, M
from tests.helpers.gradients import Linear
from tests.helpers.gradients import gradients as gradients_of
from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import fold
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal
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


UNBIASED = [RLOO(mc_samples=3), VIMCO(mc_samples=2)]


@pytest.mark.parametrize(
    ("space", "objective"), [*itertools.product(SPACES, UNBIASED), ("4 bits", DisARM(mc_samples=2))], ids=str
)
def test_score_function_gradients_equal_the_exact_gradient(space: str, objective: Objective) -> None:
    exact = Exact.make(space, USUAL_PRIORS[space])
    found, expected = exact.estimates(objective), exact.gradient(objective)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected), 4 * error + 1e-9)


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
