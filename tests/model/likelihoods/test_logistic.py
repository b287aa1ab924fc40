"""Discretized logistics and their mixtures."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tests.helpers.densities import softplus
from tfp_vae.core.errors import UsageError
from tfp_vae.model.likelihoods.base import SCALE_FLOOR
from tfp_vae.model.likelihoods.logistic import DiscretizedLogistic, DiscretizedLogisticMixture, rounded_logistic


@pytest.mark.parametrize("x", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("loc", [-3.0, 0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("s", [-9.0, 0.0, 6.0])
def test_density_is_accurate_at_the_ends_and_far_away(x: float, loc: float, s: float) -> None:
    found = DiscretizedLogistic((1,), levels=5)(tf.constant([loc, s])).log_prob([x]).numpy()
    base = stats.logistic(np.float64(loc) * 4, (SCALE_FLOOR + softplus(s)) * 4)
    low, high = (-np.inf if x == 0 else 4 * x - 0.5), (np.inf if x == 1 else 4 * x + 0.5)
    # of the two ways to write the mass between low and high, the one in the smaller tail does not cancel
    log_a, log_b = max(
        [(base.logcdf(low), base.logcdf(high)), (base.logsf(high), base.logsf(low))], key=lambda p: -p[1]
    )
    expected = log_b + np.log(-np.expm1(log_a - log_b))
    assert np.isfinite(found)
    assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_many_levels_approach_the_density_of_a_logistic() -> None:
    x = np.float32([[0.2], [0.5], [0.7]])
    x = np.round(x * 65_535) / 65_535
    found = DiscretizedLogistic((1,), levels=65_536)(tf.constant([0.4, -1.0])).log_prob(x).numpy() + np.log(65_535)
    expected = stats.logistic(0.4, SCALE_FLOOR + softplus(-1.0)).logpdf(x[:, 0])
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_mirrored_locs_give_mirrored_probabilities() -> None:
    x = np.linspace(0, 1, 9, dtype=np.float32)[:, np.newaxis]
    first, second = (DiscretizedLogistic((1,), levels=9)(tf.constant([loc, -2.0])) for loc in (0.3, 0.7))
    np.testing.assert_allclose(first.log_prob(x), second.log_prob(1 - x), rtol=1e-4, atol=1e-5)


def test_rounded_logistic_scales_its_params_to_levels() -> None:
    p = rounded_logistic(tf.constant(0.25), tf.constant(0.0), 9)
    base = stats.logistic(2.0, 8 * (SCALE_FLOOR + np.log(2)))
    assert np.exp(p.log_prob(3.0)) == pytest.approx(base.cdf(3.5) - base.cdf(2.5), rel=1e-5)


@pytest.mark.parametrize("components", [1, 2, 5])
def test_mixture_starts_at_the_mean_of_the_data(components: int) -> None:
    family = DiscretizedLogisticMixture((1,), components=components, levels=256)
    _, locs, _ = np.split(family.initial_params([0.45]), 3)
    assert locs.mean() == pytest.approx(0.45, abs=1e-6)
    np.testing.assert_allclose(np.ptp(locs), 0.0 if components == 1 else 0.6, atol=1e-6)


def test_mixture_of_one_component_is_that_component() -> None:
    x = np.linspace(0, 1, 5, dtype=np.float32)[:, np.newaxis]
    one = DiscretizedLogistic((1,), levels=5)(tf.constant([0.3, -1.0]))
    mixture = DiscretizedLogisticMixture((1,), components=1, levels=5)(tf.constant([4.0, 0.3, -1.0]))
    np.testing.assert_allclose(mixture.log_prob(x), one.log_prob(x), rtol=1e-5)
    np.testing.assert_allclose(mixture.mean(), one.mean(), rtol=1e-5)


def test_mixture_weights_its_components_by_softmax(rng: np.random.Generator) -> None:
    logits, locs, s = rng.normal(size=(3, 3)).astype(np.float32)
    x = np.linspace(0, 1, 5, dtype=np.float32)[:, np.newaxis]
    params = tf.constant(np.concatenate([logits, locs, s]))
    mixture = DiscretizedLogisticMixture((1,), components=3, levels=5)(params)
    each = [DiscretizedLogistic((1,), levels=5)(tf.constant(pair)) for pair in zip(locs, s, strict=True)]
    expected = sum(w * np.exp(p.log_prob(x)) for w, p in zip(special.softmax(logits), each, strict=True))
    np.testing.assert_allclose(np.exp(mixture.log_prob(x)), expected, rtol=1e-4)
    means = sum(w * p.mean() for w, p in zip(special.softmax(logits), each, strict=True))
    np.testing.assert_allclose(mixture.mean(), means, rtol=1e-5)


@pytest.mark.parametrize("components", [0, 1_001])
def test_number_of_components_has_limits(components: int) -> None:
    with pytest.raises(UsageError):
        DiscretizedLogisticMixture((1,), components=components)
