"""The interface of posteriors: seeds of single examples, and defaults."""

from __future__ import annotations

from typing import final

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers import builders
from tests.helpers.densities import stir
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Distribution
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.posteriors import CodePosterior, NormalMixture, SemiImplicit
from tfp_vae.model.posteriors.base import NormalNoisePosterior, Posterior

SEEDS = np.array([[0, 1], [2, 3], [4, 5]], np.int32)


@final
@record
class Uniform(Posterior):
    """The smallest posterior that a user may write: uniform within 1 of loc."""

    latent_dim: int

    @property
    def params_size(self) -> int:
        return self.latent_dim

    def __call__(self, params: Array) -> Distribution:
        return tfp.distributions.Independent(tfp.distributions.Uniform(params - 1, params + 1), 1)


def test_a_new_posterior_needs_two_members() -> None:
    family = Uniform(2)
    assert family.latent == Latent.vector(2)
    assert family.capabilities == Capabilities()
    assert family.learned == ()
    np.testing.assert_array_equal(family.mean(tf.ones([3, 2]), seed=(0, 0)), np.ones([3, 2]))


@pytest.mark.parametrize(
    "family", [Uniform(2), *(builders.posterior(name, 2) for name in builders.EXPLICIT_POSTERIORS)], ids=str
)
def test_samples_of_an_example_do_not_depend_on_its_batch(family: Posterior, rng: np.random.Generator) -> None:
    params = tf.constant(rng.normal(size=(3, family.params_size)), tf.float32)
    z, log_q = family.draw_each(params, 4, SEEDS)
    assert (z.shape, log_q.shape) == ((4, 3, family.latent.size), (4, 3))
    for i in range(3):
        alone, log_q_alone = family.draw_each(params[i : i + 1], 4, SEEDS[i : i + 1])
        np.testing.assert_allclose(z[:, i], alone[:, 0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(log_q[:, i], log_q_alone[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
def test_densities_of_the_samples_agree_with_the_family(name: str, rng: np.random.Generator) -> None:
    family = builders.posterior(name, 3)
    stir(family.learned, rng)
    params = tf.constant(rng.normal(size=(3, family.params_size)), tf.float32)
    z, log_q = family.draw_each(params, 5, SEEDS)
    np.testing.assert_allclose(log_q, family(params).log_prob(tf.identity(z)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", builders.EXPLICIT_POSTERIORS)
def test_sampling_all_examples_at_once_equals_sampling_one_at_a_time(name: str, rng: np.random.Generator) -> None:
    family = builders.posterior(name, 3)
    assert isinstance(family, NormalNoisePosterior | CodePosterior | NormalMixture | SemiImplicit)
    params = tf.constant(rng.normal(size=(3, family.params_size)), tf.float32)
    for found, expected in zip(
        family.draw_each(params, 4, SEEDS), Posterior.draw_each(family, params, 4, SEEDS), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_samples_of_two_seeds_differ() -> None:
    z, _ = builders.posterior("diagonal-normal", 2).draw_each(tf.zeros([3, 4]), 4, SEEDS)
    assert (z[:, 0] != z[:, 1]).numpy().all()
