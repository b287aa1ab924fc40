"""Priors that are normalizing flows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.densities import stir
from tfp_vae.core.errors import UsageError
from tfp_vae.model.priors.flows import AutoregressiveFlow, FlowPrior, RealNVP

FAMILIES = [AutoregressiveFlow, RealNVP]


def random_flow(family: type[FlowPrior], d: int = 4) -> FlowPrior:
    prior = family(d, hidden=8)
    stir(prior.learned, np.random.default_rng(0))
    return prior


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_density_agrees_with_the_jacobian(family: type[FlowPrior], rng: np.random.Generator) -> None:
    p, u = random_flow(family)(), tf.constant(rng.normal(size=(1, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(u)
        z = p.bijector.forward(tf.identity(u))
    determinant = np.linalg.slogdet(tf.reshape(tape.jacobian(z, u), [4, 4]))[1]
    expected = -np.sum(u**2) / 2 - 2 * np.log(2 * np.pi) - determinant
    np.testing.assert_allclose(p.log_prob(tf.identity(z)), [expected], atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_temperature_scales_the_base(family: type[FlowPrior]) -> None:
    prior = random_flow(family)
    cold, warm = (prior(temperature).sample(3, seed=(0, 1)) for temperature in (0.5, 1.0))
    flow = prior().bijector
    halves = 0.5 * flow.inverse(tf.identity(warm))
    np.testing.assert_allclose(flow.forward(halves), cold, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_value_has_one_set_of_weights(family: type[FlowPrior]) -> None:
    prior = family(2, hidden=8, depth=3)
    assert prior.learned is prior.learned
    assert len(prior.learned) == 3
    assert not {id(each) for each in prior.learned} & {id(each) for each in family(2, hidden=8, depth=3).learned}


@pytest.mark.parametrize("family", FAMILIES)
def test_seed_decides_the_weights(family: type[FlowPrior]) -> None:
    z = tf.ones([1, 2])
    first, again, other = (float(family(2, seed, hidden=8)().log_prob(z)[0]) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("settings", [{"depth": 0}, {"depth": 101}, {"hidden": 0}, {"hidden": 65_537}])
def test_settings_have_limits(family: type[FlowPrior], settings: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        family(2, **settings)


def test_coupling_needs_two_dimensions() -> None:
    with pytest.raises(UsageError, match="expected a number of at least 2"):
        RealNVP(1)
