"""Categorical and ordinal likelihoods over levels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfp_vae.model.likelihoods.categorical import Categorical, Ordinal


def test_every_level_has_the_probability_of_its_logit(rng: np.random.Generator) -> None:
    logits = rng.normal(size=6).astype(np.float32)
    x = np.linspace(0, 1, 6, dtype=np.float32)[:, np.newaxis]
    found = Categorical((1,), levels=6)(tf.constant(logits)).log_prob(x)
    np.testing.assert_allclose(found, special.log_softmax(logits), rtol=1e-5)


def test_mean_is_the_mean_of_the_levels(rng: np.random.Generator) -> None:
    logits = rng.normal(size=(3, 6)).astype(np.float32)
    found = Categorical((1,), levels=6)(tf.constant(logits)).mean()[:, 0]
    np.testing.assert_allclose(found, special.softmax(logits, axis=1) @ np.linspace(0, 1, 6), rtol=1e-5)


def test_sample_frequencies_are_the_probabilities(rng: np.random.Generator) -> None:
    logits = rng.normal(size=4).astype(np.float32)
    x = Categorical((1,), levels=4)(tf.constant(logits)).sample(20_000, seed=(0, 1)).numpy()[:, 0]
    expected = special.softmax(logits)
    found = np.array([(np.round(3 * x) == k).mean() for k in range(4)])
    np.testing.assert_array_less(np.abs(found - expected), 4 * np.sqrt(expected * (1 - expected) / 20_000))


def test_two_elements_have_separate_logits() -> None:
    logits = np.float32([9, 0, 0, 0, 0, 9])
    p = Categorical((2,), levels=3)(tf.constant(logits))
    np.testing.assert_allclose(p.mean(), [0, 1], atol=1e-3)


def test_initial_logits_are_highest_at_the_level_of_the_mean() -> None:
    start = Categorical((3,), levels=5).initial_params([0.0, 0.5, 0.8]).reshape(3, 5)
    np.testing.assert_array_equal(start.argmax(axis=1), [0, 2, 3])


def test_two_hundred_fifty_six_levels_are_the_default() -> None:
    assert Categorical((28, 28, 1)).params_size == 200_704


def test_words_are_one_hot_features_and_their_gradient_is_defined_between_levels() -> None:
    family = Categorical((2,), levels=3)
    np.testing.assert_array_equal(family.features(tf.constant([0.0, 1.0])), [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(family.features(tf.constant(0.25)), [0.5, 0.5, 0])


def test_cumulative_probabilities_of_ordinal_levels_are_sigmoids_of_the_cut_points(rng: np.random.Generator) -> None:
    params = rng.normal(size=4).astype(np.float32)
    x = np.linspace(0, 1, 5, dtype=np.float32)[:, np.newaxis]
    cuts = np.cumsum([params[0], *(1e-6 + np.log1p(np.exp(params[1:])))])
    below = np.cumsum(np.exp(Ordinal((1,), levels=5)(tf.constant(params)).log_prob(x)))
    np.testing.assert_allclose(below, [*special.expit(cuts), 1], rtol=1e-5)


def test_higher_cut_points_make_low_levels_more_probable() -> None:
    family = Ordinal((1,), levels=4)
    means = [float(family(tf.constant([first, 0.5, 0.5])).mean()[0]) for first in (-4.0, -1.0, 2.0)]
    assert means[0] > means[1] > means[2]


@pytest.mark.parametrize("levels", [2, 3, 7, 1_000])
def test_ordinal_starts_near_the_mean(levels: int) -> None:
    family = Ordinal((3,), levels=levels)
    found = family(tf.constant(family.initial_params([0.25, 0.5, 0.7]))).mean()
    np.testing.assert_allclose(found, [0.25, 0.5, 0.7], atol=0.08)


def test_every_level_keeps_a_probability_at_extreme_cut_points() -> None:
    x = np.linspace(0, 1, 3, dtype=np.float32)[:, np.newaxis]
    for params in ([80.0, -80.0], [-80.0, 80.0], [0.0, -80.0]):
        assert np.isfinite(Ordinal((1,), levels=3)(tf.constant(params)).log_prob(x)).all()
