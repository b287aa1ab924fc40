"""Normal likelihoods with a fixed, shared or per-element scale, and log-normal ones."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers.densities import softplus
from tfp_vae.core.errors import UsageError
from tfp_vae.core.supports import REAL
from tfp_vae.model.likelihoods.base import SCALE_FLOOR
from tfp_vae.model.likelihoods.normal import LogNormal, Normal


def test_fixed_scale_gives_the_squared_error_and_a_constant(rng: np.random.Generator) -> None:
    loc, x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    found = Normal((3,), scale=0.5)(tf.constant(loc)).log_prob(x)
    expected = -((x - loc) ** 2).sum(axis=1) / (2 * 0.25) - 3 * np.log(0.5 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_scale_per_element_comes_from_the_second_parameter() -> None:
    params, x = np.float32([[0.1, 0.5], [0.2, -0.3]]), np.float32([[0.3], [0.4]])
    each = Normal((1,), scale="per-element")(params).log_prob(x)
    scale = SCALE_FLOOR + softplus(params[:, 1])
    np.testing.assert_allclose(each, stats.norm(params[:, 0], scale).logpdf(x[:, 0]), rtol=1e-5)


def test_only_a_shared_scale_is_a_variable() -> None:
    assert len(Normal((1,)).learned) == 1
    assert Normal((1,), scale=0.5).learned == Normal((1,), scale="per-element").learned == ()


def test_shared_scale_starts_at_three_tenths_and_receives_a_gradient() -> None:
    family, x = Normal((4,)), tf.zeros([3, 4])
    np.testing.assert_allclose(family(tf.zeros([3, 4])).stddev(), SCALE_FLOOR + 0.3, rtol=1e-6)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(family(tf.ones([3, 4])).log_prob(x))
    # d/d log s of -log(s + floor) - 1 / (2 (s + floor)^2), twelve times
    scale = SCALE_FLOOR + 0.3
    expected = 12 * 0.3 * (1 / scale**3 - 1 / scale)
    np.testing.assert_allclose(tape.gradient(value, family.learned[0]), expected, rtol=1e-4)


def test_best_shared_scale_is_the_root_mean_square_error(rng: np.random.Generator) -> None:
    family, x = Normal((50,)), rng.normal(scale=2.0, size=(1, 50)).astype(np.float32)

    def value(scale: float) -> float:
        family.learned[0].assign(np.log(scale - SCALE_FLOOR))
        return float(family(tf.zeros([1, 50])).log_prob(x)[0])

    best = float(np.sqrt(np.mean(x**2)))
    assert value(best) > max(value(0.98 * best), value(1.02 * best))


@pytest.mark.parametrize("scale", ["shared", "per-element"])
def test_a_constant_element_gains_at_most_six_nats(scale: str) -> None:
    family = Normal((1,), scale=scale)
    for variable in family.learned:
        variable.assign(-100.0)
    params = np.float32([0.7, -100.0][: family.params_size])
    assert 5.9 < family(tf.constant(params)).log_prob([0.7]) < 6


def test_two_values_do_not_share_their_scale() -> None:
    first, second = Normal((1,)), Normal((1,))
    assert first.learned[0] is first.learned[0]
    assert first.learned[0] is not second.learned[0]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan, "per-pixel"])
def test_scale_must_be_positive_or_a_known_word(scale: object) -> None:
    with pytest.raises(UsageError):
        Normal((1,), scale=scale)


def test_density_has_an_upper_bound_only_with_a_fixed_scale() -> None:
    assert Normal((1,), scale=1.0).unbounded_at is None
    assert Normal((1,)).unbounded_at == Normal((1,), scale="per-element").unbounded_at == REAL


def test_initial_params_give_the_mean_and_a_scale_of_three_tenths() -> None:
    family = Normal((2,), scale="per-element")
    p = family(tf.constant(family.initial_params([-3.0, 40.0])))
    np.testing.assert_allclose(p.mean(), [-3, 40])
    np.testing.assert_allclose(p.stddev(), SCALE_FLOOR + 0.3, rtol=1e-5)


def test_log_normal_is_a_normal_of_the_logarithm(rng: np.random.Generator) -> None:
    params, x = rng.normal(size=(5, 6)).astype(np.float32), np.exp(rng.normal(size=(5, 3))).astype(np.float32)
    found = LogNormal((3,))(tf.constant(params)).log_prob(x)
    normal = Normal((3,), scale="per-element")(tf.constant(params)).log_prob(np.log(x))
    np.testing.assert_allclose(found, normal - np.log(x).sum(axis=1), rtol=1e-5, atol=1e-5)


def test_log_normal_starts_at_the_mean_of_data_of_any_size() -> None:
    family = LogNormal((3,))
    p = family(tf.constant(family.initial_params([0.1, 1.0, 4e5])))
    np.testing.assert_allclose(p.mean(), [0.1, 1, 4e5], rtol=1e-4)
    np.testing.assert_allclose(p.stddev() / p.mean(), np.sqrt(np.expm1(0.25)), rtol=1e-3)


def test_log_normal_shows_its_logarithm_to_an_encoder() -> None:
    np.testing.assert_allclose(LogNormal((2,)).features(tf.constant([1.0, np.e])), [[0], [1]], atol=1e-6)
