"""Every prior of the table: density, samples, temperature and shapes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.densities import check_density_against_samples, check_seeds, copy_values, stir
from tfp_vae.core.errors import UsageError
from tfp_vae.model.priors import PRIORS, Prior

CASES = [(name, d) for name in builders.CONTINUOUS_PRIORS for d in (1, 2) if d == 2 or name not in builders.NEED_TWO]


def random_prior(name: str, d: int) -> Prior:
    """Return a prior away from its initial weights."""
    prior = builders.prior(name, d, builders.model(latent_dim=d).encoder)
    stir(prior.learned, np.random.default_rng(d))
    return prior


@pytest.mark.parametrize(("name", "d"), CASES)
def test_density_integrates_to_one_and_agrees_with_samples(name: str, d: int) -> None:
    check_density_against_samples(random_prior(name, d)(), d)


@pytest.mark.parametrize("name", builders.CONTINUOUS_PRIORS)
def test_batch_is_empty_and_event_is_the_latent_space(name: str) -> None:
    prior = random_prior(name, 3)
    p = prior()
    assert (p.batch_shape, p.event_shape) == ((), prior.latent.event_shape)
    assert p.sample([2, 4], seed=(0, 1)).shape == (2, 4, 3)
    assert p.log_prob(tf.zeros([5, 2, 3])).shape == (5, 2)


@pytest.mark.parametrize("name", builders.CONTINUOUS_PRIORS)
def test_gradient_in_z_agrees_with_finite_differences(name: str) -> None:
    p, z = random_prior(name, 2)(), tf.constant([[0.3, -0.8]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = p.log_prob(z)
    slope, step = tape.gradient(value, z).numpy()[0], 1e-2
    for i in range(2):
        shift = step * np.eye(2, dtype=np.float32)[i]
        difference = float(p.log_prob(z + shift)[0] - p.log_prob(z - shift)[0]) / (2 * step)
        assert slope[i] == pytest.approx(difference, rel=2e-2, abs=5e-3)


@pytest.mark.parametrize("name", builders.CONTINUOUS_PRIORS)
@pytest.mark.parametrize("distance", [10.0, 100.0])
def test_density_far_away_is_low_and_finite(name: str, distance: float) -> None:
    p = random_prior(name, 2)()
    far, near = p.log_prob(tf.fill([1, 2], distance)), p.log_prob(tf.zeros([1, 2]))
    assert np.isfinite(far).all()
    assert far[0] < near[0] - 5


@pytest.mark.parametrize(
    "name", [name for name in builders.CONTINUOUS_PRIORS if PRIORS[name].__name__ != "StandardNormal"]
)
def test_every_variable_receives_a_gradient(name: str) -> None:
    prior, holder = random_prior(name, 2), tf.Module()
    holder.learned = prior.learned
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(prior().log_prob(tf.constant([[0.3, -0.8], [1.0, 0.5]])))
    for variable, gradient in zip(
        holder.trainable_variables, tape.gradient(value, holder.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name


@pytest.mark.parametrize("name", [name for name in builders.CONTINUOUS_PRIORS if name != "vamp"])
def test_temperature_scales_the_samples_of_the_normals(name: str) -> None:
    prior = random_prior(name, 2)
    spread = [prior(temperature).sample(2_000, seed=(0, 1)).numpy().std() for temperature in (0.1, 0.5, 1.0)]
    assert spread == sorted(spread)


@pytest.mark.parametrize("name", builders.CONTINUOUS_PRIORS)
def test_accepts_every_seed_of_tfp(name: str) -> None:
    check_seeds(random_prior(name, 2)())


@pytest.mark.parametrize("name", builders.CONTINUOUS_PRIORS)
def test_works_in_float64(name: str) -> None:
    models = [builders.model_with_prior(name, dtype=dtype) for dtype in ("float32", "float64")]
    copy_values(*models)
    single, double = (model.prior() for model in models)
    z = double.sample(5, seed=(0, 1))
    assert double.dtype == z.dtype == double.log_prob(z).dtype == tf.float64
    np.testing.assert_allclose(double.log_prob(z), single.log_prob(tf.cast(z, tf.float32)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in builders.CONTINUOUS_PRIORS if name not in ("vamp", "hierarchical")])
@pytest.mark.parametrize("latent_dim", [0, -1, 1.5])
def test_latent_dim_must_be_a_positive_integer(name: str, latent_dim: float) -> None:
    with pytest.raises(UsageError):
        PRIORS[name](latent_dim)
