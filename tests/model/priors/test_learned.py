"""The learned Normal prior, with and without a context."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.conditional import CLASSES, classes
from tfp_vae.core.errors import UsageError
from tfp_vae.model.priors import LearnedNormal


def test_prior_of_each_class_moves_apart_and_starts_at_the_standard_normal() -> None:
    prior = LearnedNormal(2, CLASSES, hidden=(4,))
    p = prior.given(classes(3))()
    np.testing.assert_allclose(p.mean(), np.zeros((3, 2)))
    np.testing.assert_allclose(p.stddev(), np.ones((3, 2)), atol=1e-4)
    np.testing.assert_allclose(prior.given(classes(1)[0])(temperature=0.5).stddev(), [0.5, 0.5], atol=1e-4)
    with pytest.raises(UsageError, match="prior of a conditional model needs a context"):
        prior()


def test_prior_without_a_context_is_one_normal_and_ignores_contexts() -> None:
    prior = LearnedNormal(2)
    assert prior.given(classes(3)) is prior
    assert prior().batch_shape == ()
    np.testing.assert_allclose(prior().stddev(), [1, 1], rtol=1e-6)


def test_conditioned_prior_shares_its_weights() -> None:
    prior = LearnedNormal(2, CLASSES)
    bound = prior.given(classes(3))
    kernel, _ = prior.learned[0].trainable_variables
    kernel.assign(np.eye(CLASSES, 4))
    np.testing.assert_allclose(bound().mean(), np.eye(CLASSES, 4)[:, :2])
