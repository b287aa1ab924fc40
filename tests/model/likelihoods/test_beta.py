"""The beta likelihood."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.model.likelihoods.base import SCALE_FLOOR, inverse_softplus
from tfp_vae.model.likelihoods.beta import Beta


def params_of(a: float, b: float) -> np.ndarray:
    return np.float32([inverse_softplus(value - SCALE_FLOOR) for value in (a, b)])


def test_concentrations_of_one_give_the_uniform_density() -> None:
    x = np.linspace(0.01, 0.99, 7, dtype=np.float32)[:, np.newaxis]
    np.testing.assert_allclose(Beta((1,))(params_of(1, 1)).log_prob(x), 0, atol=1e-5)


def test_exchanging_the_concentrations_mirrors_the_density() -> None:
    x = np.linspace(0.1, 0.9, 5, dtype=np.float32)[:, np.newaxis]
    first, second = Beta((1,))(params_of(2.5, 0.7)), Beta((1,))(params_of(0.7, 2.5))
    np.testing.assert_allclose(first.log_prob(x), second.log_prob(1 - x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("a", "b"), [(2.0, 3.0), (0.5, 4.0), (30.0, 10.0)])
def test_mean_and_variance_have_their_closed_forms(a: float, b: float) -> None:
    p = Beta((1,))(params_of(a, b))
    np.testing.assert_allclose(p.mean(), a / (a + b), rtol=1e-5)
    np.testing.assert_allclose(p.variance(), a * b / ((a + b) ** 2 * (a + b + 1)), rtol=1e-4)


def test_density_grows_towards_an_end_if_its_concentration_is_below_one() -> None:
    p = Beta((1,))(params_of(0.5, 2.0))
    values = p.log_prob(np.float32([[1e-2], [1e-4], [1e-6]])).numpy()
    np.testing.assert_allclose(np.diff(values), np.log(10), rtol=1e-2)


@pytest.mark.parametrize("mean", [0.05, 0.5, 0.9])
def test_initial_concentrations_sum_to_two(mean: float) -> None:
    p = Beta((1,))(tf.constant(Beta((1,)).initial_params([mean])))
    assert float(p.mean()[0]) == pytest.approx(mean, abs=2e-3)
    assert float(p.variance()[0]) == pytest.approx(mean * (1 - mean) / 3, rel=2e-2)
