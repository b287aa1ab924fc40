"""Even mixtures of the members of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from tests.helpers import builders
from tests.helpers.densities import check_density_against_samples, stir
from tfp_vae.model.distributions.mixtures import EvenMixture

tfd = tfp.distributions


@pytest.fixture
def members(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Locs and scales [5, 2]."""
    return rng.normal(size=(5, 2)).astype(np.float32), rng.uniform(0.3, 1.0, (5, 2)).astype(np.float32)


def test_density_is_the_mean_of_the_members(members: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> None:
    mixture, z = EvenMixture(tfd.MultivariateNormalDiag(*members)), rng.normal(size=(3, 7, 2)).astype(np.float32)
    each = [stats.norm(loc, scale).pdf(z).prod(axis=-1) for loc, scale in zip(*members, strict=True)]
    found = np.exp(mixture.log_prob(z))
    assert found.shape == (3, 7)
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-4)


def test_a_mixture_of_one_member_is_that_member(rng: np.random.Generator) -> None:
    member, z = tfd.MultivariateNormalDiag(tf.ones([1, 3])), rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(EvenMixture(member).log_prob(z), member.log_prob(z), rtol=1e-6)


def test_samples_follow_the_density(members: tuple[np.ndarray, np.ndarray]) -> None:
    check_density_against_samples(EvenMixture(tfd.MultivariateNormalDiag(*members)), 2)


def test_members_are_chosen_evenly() -> None:
    locs = 100.0 * np.arange(4, dtype=np.float32)[:, np.newaxis]
    samples = EvenMixture(tfd.MultivariateNormalDiag(locs, np.ones([4, 1], np.float32))).sample(8_000, seed=(0, 1))
    shares = np.bincount(np.round(samples.numpy()[:, 0] / 100).astype(int), minlength=4) / 8_000
    np.testing.assert_array_less(np.abs(shares - 0.25), 4 * np.sqrt(0.25 * 0.75 / 8_000))


@pytest.mark.parametrize("name", ["inverse-autoregressive-flow", "real-nvp"])
def test_flows_with_a_context_can_be_members(name: str, rng: np.random.Generator) -> None:
    family, z = builders.posterior(name, 2), rng.normal(size=(6, 2)).astype(np.float32)
    stir(family.learned, rng)
    params = tf.constant(rng.normal(size=(3, family.params_size)), tf.float32)
    each = [np.exp(family(params[i : i + 1]).log_prob(z[:, np.newaxis]))[:, 0] for i in range(3)]
    np.testing.assert_allclose(np.exp(EvenMixture(family(params)).log_prob(z)), np.mean(each, axis=0), rtol=1e-3)


def test_shapes_are_those_of_one_member(members: tuple[np.ndarray, np.ndarray]) -> None:
    mixture = EvenMixture(tfd.MultivariateNormalDiag(*members))
    assert (mixture.batch_shape, mixture.event_shape) == ((), (2,))
    assert tuple(mixture.event_shape_tensor()) == (2,)
    assert mixture.batch_shape_tensor().shape == (0,)
    assert mixture.sample([3, 4], seed=(0, 1)).shape == (3, 4, 2)
    assert mixture.reparameterization_type == tfd.NOT_REPARAMETERIZED
