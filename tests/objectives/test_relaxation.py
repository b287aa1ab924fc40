"""The Gumbel-softmax relaxation, against the enumeration of all codes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.codes import SPACES, USUAL_PRIORS, Exact
from tests.helpers.gradients import flat_gradient
from tests.helpers.gradients import gradients as gradients_of
from tfp_vae.model.vae import Decoder
from tfp_vae.objectives import ELBO, GumbelSoftmax
from tfp_vae.training import fit


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


@pytest.mark.parametrize(("straight_through", "passes"), [(False, 2), (True, 1)])
def test_straight_through_decodes_once(straight_through: bool, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    exact, decoded = Exact.make("2x4 codes", "autoregressive"), []
    decode = Decoder.__call__
    monkeypatch.setattr(Decoder, "__call__", lambda self, z: decoded.append(len(z)) or decode(self, z))
    GumbelSoftmax(mc_samples=3, straight_through=straight_through).loss(exact.vae, exact.x, seed=(1, 2))
    assert decoded == [3] * passes


def test_temperature_falls_geometrically_and_stays() -> None:
    objective = GumbelSoftmax(temperature=2.0, final_temperature=0.5, annealing_steps=100)
    found = [float(objective.temperature_at(step)) for step in (0, 50, 100, 10**6, 2**31 - 1)]
    np.testing.assert_allclose(found, [2, 1, 0.5, 0.5, 0.5], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("posterior", "prior", "objective"),
    [("categorical", "uniform", "gumbel-softmax"), ("bernoulli", "autoregressive", "disarm")],
)
def test_training_compiles_under_xla(posterior: str, prior: str, objective: str) -> None:
    history = fit(
        builders.model(posterior, prior), builders.data("bernoulli"), objective, epochs=1, steps_per_epoch=3,
        execution="xla",
    )  # fmt: skip
    assert np.isfinite(history[-1].elbo)
