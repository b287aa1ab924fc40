"""The categorical likelihood over levels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy import special

from tfp_vae.model.likelihoods.categorical import Categorical


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
