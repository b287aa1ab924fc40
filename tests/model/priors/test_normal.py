"""The standard Normal prior."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow_probability as tfp
from scipy import stats

from tfp_vae.model.priors.normal import StandardNormal

tfd = tfp.distributions


def test_density_agrees_with_scipy(rng: np.random.Generator) -> None:
    z = rng.normal(size=(9, 4))
    np.testing.assert_allclose(StandardNormal(4, "float64")().log_prob(z), stats.norm.logpdf(z).sum(-1), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
def test_temperature_multiplies_the_scale(temperature: float) -> None:
    np.testing.assert_allclose(StandardNormal(3)(temperature).stddev(), [temperature] * 3)


def test_kl_of_itself_is_zero() -> None:
    p = StandardNormal(3)()
    assert isinstance(p, tfd.MultivariateNormalDiag)
    assert p.kl_divergence(p) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_equals_that_of_the_samples(dtype: str) -> None:
    p = StandardNormal(3, dtype)()
    assert p.sample(2, seed=(0, 1)).dtype == dtype
    assert (p.batch_shape, p.event_shape) == ((), (3,))


def test_standard_normal_learns_nothing() -> None:
    assert StandardNormal(3).learned == ()
