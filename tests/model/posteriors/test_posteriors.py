"""Every posterior of the table: density, samples, mean and shapes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.densities import check_density_against_samples, check_seeds, copy_values, stir
from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Distribution
from tfp_vae.model.posteriors import POSTERIORS

SPARING = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "inverse-autoregressive-flow" else [])
    for name in builders.CONTINUOUS_POSTERIORS
]
"""Every posterior. The prior of autoregressive flows shares its parts with this one, and has the same fast tests."""

CASES = [(n, d) for n in builders.CONTINUOUS_POSTERIORS for d in (1, 2) if d == 2 or n not in builders.NEED_TWO]


def random_posterior(name: str, d: int) -> Distribution:
    """Return q(z|x), batch [1], away from the initial weights."""
    family, generator = builders.posterior(name, d), np.random.default_rng(d)
    stir(family.learned, generator)
    return family(tf.constant(generator.normal(size=(1, family.params_size)), tf.float32))


@pytest.mark.parametrize(("name", "d"), CASES)
def test_density_integrates_to_one_and_agrees_with_samples(name: str, d: int) -> None:
    check_density_against_samples(random_posterior(name, d), d)


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
def test_means_agree_with_samples(name: str) -> None:
    family = builders.posterior(name, 3)
    params = tf.constant(np.random.default_rng(6).normal(size=(1, family.params_size)), tf.float32)
    samples = family(params).sample(40_000, seed=(5, 5)).numpy()[:, 0]
    allowed = 4.5 * samples.std(axis=0) / np.sqrt(64 if not family.capabilities.normal else 40_000)
    np.testing.assert_array_less(np.abs(family.mean(params, seed=(6, 6))[0] - samples.mean(axis=0)), allowed)


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
def test_batch_equals_that_of_the_params(name: str) -> None:
    family = builders.posterior(name, 3)
    q = family(tf.zeros([5, family.params_size]))
    assert (q.batch_shape, q.event_shape) == ((5,), (3,))
    assert q.sample([2, 4], seed=(0, 1)).shape == (2, 4, 5, 3)
    assert q.log_prob(tf.zeros([5, 3])).shape == (5,)


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
def test_rows_do_not_depend_on_each_other(name: str, rng: np.random.Generator) -> None:
    family, z = builders.posterior(name, 3), rng.normal(size=(4, 3)).astype(np.float32)
    stir(family.learned, rng)
    params = tf.constant(rng.normal(size=(4, family.params_size)), tf.float32)
    each = [family(params[i : i + 1]).log_prob(z[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(family(params).log_prob(z), each, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
@pytest.mark.parametrize("size", [10.0, 60.0])
def test_density_and_gradient_of_a_sample_are_finite_at_extreme_params(name: str, size: float) -> None:
    family = builders.posterior(name, 3)
    signs = np.random.default_rng(2).choice([-1.0, 1.0], size=(6, family.params_size))
    params = tf.constant(size * signs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(params)
        q = family(params)
        value = q.log_prob(q.sample(2, seed=(0, 1)))
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, params)).all()


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
def test_seed_decides_the_samples(name: str) -> None:
    q = random_posterior(name, 2)
    first, again, other = (q.sample(3, seed=seed).numpy() for seed in ((0, 1), (0, 1), (0, 2)))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("name", SPARING)
def test_accepts_every_seed_of_tfp(name: str) -> None:
    q = random_posterior(name, 2)
    check_seeds(q)
    z, log_q = q.experimental_sample_and_log_prob(3)
    np.testing.assert_allclose(log_q, q.log_prob(z), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", SPARING)
def test_works_in_float64(name: str) -> None:
    single, double = (builders.posterior(name, 3, dtype) for dtype in ("float32", "float64"))
    copy_values(single.learned, double.learned)
    params = np.random.default_rng(4).normal(size=(5, single.params_size))
    q, p = double(tf.constant(params)), single(tf.constant(params, tf.float32))
    z = q.sample(2, seed=(0, 1))
    assert q.dtype == z.dtype == q.log_prob(z).dtype == double.mean(params, seed=(0, 1)).dtype == tf.float64
    np.testing.assert_allclose(q.log_prob(z), p.log_prob(tf.cast(z, tf.float32)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(q.log_prob(tf.identity(z)), q.log_prob(z), atol=1e-9)  # inverts a flow


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
@pytest.mark.parametrize("latent_dim", [0, -1, 1.5])
def test_latent_dim_must_be_a_positive_integer(name: str, latent_dim: float) -> None:
    with pytest.raises(UsageError):
        POSTERIORS[name](latent_dim)
