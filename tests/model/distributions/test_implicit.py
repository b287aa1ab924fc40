"""Distributions of a network's function of noise: those without a density, and Normals with a known marginal."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers import builders
from tests.helpers.mixing import MARGINAL, SCALE, gaussian
from tfp_vae.core.errors import UsageError


def test_samples_follow_the_marginal() -> None:
    z = gaussian(4, batch=4_000).sample(1, seed=(0, 1)).numpy().ravel()
    assert stats.kstest(z, MARGINAL.cdf).pvalue > 0.01


def test_density_is_that_of_the_mixture_that_was_sampled() -> None:
    q = gaussian(5, batch=3)
    z = q.sample(7, seed=(0, 2))
    locs = q.mixing(5, tf.constant([0, 2])).loc.numpy()  # [5, 3, 1]
    each = stats.norm(locs, SCALE).pdf(z.numpy()[:, np.newaxis])[..., 0]
    np.testing.assert_allclose(q.log_prob(z), np.log(each.mean(axis=1)), rtol=1e-10)


def test_more_components_approach_the_density_of_the_marginal() -> None:
    q, grid = gaussian(4_000), np.linspace(-2, 2, 9)[:, np.newaxis, np.newaxis]
    q.sample(1, seed=(0, 3))
    np.testing.assert_allclose(q.log_prob(grid)[:, 0], MARGINAL.logpdf(grid[:, 0, 0]), atol=0.1)


def test_samples_have_shapes_seeds_and_gradients_and_no_density(rng: np.random.Generator) -> None:
    family = builders.posterior("implicit", 2)
    params = tf.constant(rng.normal(size=(3, family.params_size)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(params)
        q = family(params)
        z = q.sample(4, seed=(0, 1))
    assert (q.batch_shape, q.event_shape, z.shape) == ((3,), (2,), (4, 3, 2))
    assert (np.abs(tape.gradient(z, params)) > 0).all()
    np.testing.assert_array_equal(z, q.sample(4, seed=(0, 1)))
    assert (z != q.sample(4, seed=(0, 2))).numpy().any()
    assert q.discriminator(z).shape == (4, 3)
    with pytest.raises(UsageError, match="samples but no density"):
        q.log_prob(z)
