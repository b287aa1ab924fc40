"""Posteriors that are normalizing flows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.densities import stir
from tfp_vae.core.errors import UsageError
from tfp_vae.model.posteriors.flows import MEAN_SAMPLES, FlowPosterior, InverseAutoregressiveFlow, RealNVP

NAMES = ["inverse-autoregressive-flow", "real-nvp"]


@pytest.mark.parametrize("name", NAMES)
def test_density_agrees_with_the_jacobian(name: str) -> None:
    d, family = 4, builders.posterior(name, 4)
    stir(family.learned, np.random.default_rng(0))
    q = family(tf.constant(np.random.default_rng(1).normal(size=(1, family.params_size)), tf.float32))
    start = q.distribution.sample(1, seed=(3, 3))
    with tf.GradientTape() as tape:
        tape.watch(start)
        z = q.bijector.forward(start)
    jacobian = tf.reshape(tape.jacobian(z, start), [d, d])
    expected = q.distribution.log_prob(start) - np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(q.log_prob(tf.constant(z.numpy())), expected, atol=2e-4)


@pytest.mark.parametrize("name", NAMES)
def test_density_of_a_sample_equals_that_of_its_copy(name: str) -> None:
    family = builders.posterior(name, 3)
    q = family(tf.zeros([2, family.params_size]))
    z = q.sample(5, seed=(4, 4))
    np.testing.assert_allclose(q.log_prob(z), q.log_prob(tf.constant(z.numpy())), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_mean_is_the_average_of_seeded_samples(name: str) -> None:
    family = builders.posterior(name, 3)
    params = tf.ones([2, family.params_size])
    expected = family(params).sample(MEAN_SAMPLES, seed=(1, 2)).numpy().mean(axis=0)
    np.testing.assert_allclose(family.mean(params, seed=(1, 2)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_context_changes_the_map_and_receives_a_gradient(name: str, rng: np.random.Generator) -> None:
    family = builders.posterior(name, 3)
    stir(family.learned, rng)
    params = tf.constant(rng.normal(size=(2, family.params_size)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(params)
        value = tf.reduce_sum(family(params).sample(4, seed=(0, 1)) ** 2)
    assert (np.abs(tape.gradient(value, params)[:, 6:]) > 0).all()


@pytest.mark.parametrize("family", [InverseAutoregressiveFlow, RealNVP])
def test_params_size_counts_the_base_and_the_context(family: type[FlowPosterior]) -> None:
    assert family(4, context=7).params_size == 15
    assert family(4).params_size == 72


@pytest.mark.parametrize("family", [InverseAutoregressiveFlow, RealNVP])
def test_one_value_has_one_set_of_weights(family: type[FlowPosterior]) -> None:
    first, second = family(2, hidden=8), family(2, hidden=8)
    assert first.learned is first.learned
    assert not {id(network) for network in first.learned} & {id(network) for network in second.learned}
    assert len(family(2, hidden=8, depth=3).learned) == 3


@pytest.mark.parametrize("family", [InverseAutoregressiveFlow, RealNVP])
@pytest.mark.parametrize("settings", [{"depth": 0}, {"depth": 101}, {"hidden": 0}, {"context": 0}, {"hidden": 65_537}])
def test_settings_have_limits(family: type[FlowPosterior], settings: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        family(2, **settings)


def test_coupling_needs_two_dimensions() -> None:
    with pytest.raises(UsageError, match="expected a number of at least 2"):
        RealNVP(1)
