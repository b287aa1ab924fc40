"""Likelihoods for data with outliers."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfp_vae.core.errors import UsageError
from tfp_vae.model.likelihoods.base import SCALE_FLOOR
from tfp_vae.model.likelihoods.normal import Normal
from tfp_vae.model.likelihoods.outliers import Laplace, StudentT


def test_cost_of_an_outlier_is_linear() -> None:
    p = Laplace((1,))(tf.constant([0.0, 0.5]))
    scale = SCALE_FLOOR + np.log1p(np.exp(0.5))
    values = p.log_prob(np.float32([[10], [110], [210]])).numpy()
    np.testing.assert_allclose(np.diff(values), -100 / scale, rtol=1e-5)


def test_best_loc_is_the_median(rng: np.random.Generator) -> None:
    x = np.float32([[0.0], [1.0], [1000.0]])

    def value(loc: float) -> float:
        return float(tf.reduce_sum(Laplace((1,))(tf.constant([loc, 0.0])).log_prob(x)))

    assert value(1.0) > max(value(0.9), value(1.1), value(float(x.mean())))


def test_scale_has_a_floor() -> None:
    p = Laplace((1,))(tf.constant([0.3, -500.0]))
    assert float(p.log_prob([0.3])) == pytest.approx(-np.log(2 * SCALE_FLOOR), rel=1e-4)


def test_initial_params_give_the_mean_and_a_scale_of_three_tenths() -> None:
    p = Laplace((2,))(tf.constant(Laplace((2,)).initial_params([-3.0, 40.0])))
    np.testing.assert_allclose(p.mean(), [-3, 40])
    np.testing.assert_allclose(p.stddev(), np.sqrt(2) * (SCALE_FLOOR + 0.3), rtol=1e-5)


def test_cost_of_a_far_outlier_grows_with_its_logarithm() -> None:
    p = StudentT((1,), df=3)(tf.constant([0.0, 0.5]))
    values = p.log_prob(np.float32([[1e3], [1e4], [1e5]])).numpy()
    np.testing.assert_allclose(np.diff(values), -4 * np.log(10), rtol=1e-5)


@pytest.mark.parametrize("df", [1.5, 30.0])
def test_student_has_the_degrees_of_freedom_of_the_setting(df: float) -> None:
    found = StudentT((1,), df=df)(tf.constant([0.3, 0.5])).log_prob(np.float32([[2.0]]))
    expected = stats.t(df, 0.3, SCALE_FLOOR + np.log1p(np.exp(0.5))).logpdf(2.0)
    np.testing.assert_allclose(found, [expected], rtol=1e-5)


@pytest.mark.parametrize("df", [1.0, -2.0, 1e9])
def test_degrees_of_freedom_have_limits(df: float) -> None:
    with pytest.raises(UsageError, match="df"):
        StudentT((1,), df=df)


@pytest.mark.parametrize("family", [StudentT, functools.partial(Normal, scale="per-element")])
def test_floor_is_the_smallest_scale(family: Callable[..., Normal | StudentT]) -> None:
    likelihood = family((1,), floor=0.25)
    narrow, unit = (likelihood(tf.constant([0.0, s])) for s in (-50.0, math.log(math.expm1(1.0))))
    for p, scale in ((narrow, 0.25), (unit, 1.25)):
        assert float(p.distribution.scale[0]) == pytest.approx(scale)


def test_student_starts_at_the_mean_with_a_scale_of_three_tenths() -> None:
    p = StudentT((2,), df=3)(tf.constant(StudentT((2,)).initial_params([-3.0, 40.0])))
    np.testing.assert_allclose(p.mean(), [-3, 40])
    np.testing.assert_allclose(p.stddev(), np.sqrt(3) * (SCALE_FLOOR + 0.3), rtol=1e-5)
