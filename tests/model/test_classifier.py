"""The classifier q(y|x): its distribution, the classes that it fills in, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers import builders
from tfp_vae.core.batch import has_class
from tfp_vae.core.errors import DataError, UsageError

X = builders.data("bernoulli", 4)


def classifier(**settings: object) -> tv.Classifier:
    return tv.Classifier(tv.networks.mlp(builders.SHAPE, 3, hidden=(8,), seed=1), (2, 1, 1), **settings)  # type: ignore[arg-type]


def test_probabilities_are_those_of_a_distribution_over_one_hot_vectors() -> None:
    made = classifier()
    q, log_q = made(X), made.log_probs(X).numpy()
    np.testing.assert_allclose(np.exp(log_q).sum(axis=1), 1, rtol=1e-5)
    for i, y in enumerate(np.eye(3, dtype=np.float32)):
        np.testing.assert_allclose(q.log_prob(y), log_q[:, i], rtol=1e-5)
    np.testing.assert_allclose(np.exp(made.log_prior), [0.5, 0.25, 0.25])
    assert made.classes == 3


def test_the_most_probable_class_replaces_an_unknown_one() -> None:
    made, context = classifier(), np.float32([[0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(has_class(context), [False, True, False, True])
    found, best = made.complete(X, context).numpy(), made.log_probs(X).numpy().argmax(axis=1)
    np.testing.assert_array_equal(found[1::2], context[1::2])
    np.testing.assert_array_equal(found[::2].argmax(axis=1), best[::2])
    np.testing.assert_array_equal(found.sum(axis=1), 1)


@pytest.mark.parametrize("probs", [(1.0,), (1.0, 0.0), (1.0, np.nan)])
def test_frequencies_must_be_positive(probs: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="positive numbers for two or more classes"):
        tv.Classifier(tv.networks.mlp(builders.SHAPE, 2), probs)


def test_wrong_networks_and_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match="The classifier's network"):
        tv.Classifier(tv.networks.mlp(builders.SHAPE, 4, hidden=(8,)), (1, 1))(X)
    with pytest.raises(UsageError, match="sees: expected one of values, log1p"):
        classifier(sees="pixels")
