"""Classification by Bayes' rule, against the posterior probabilities of a model with a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.conditional import CLASSES, ConditionalLinearGaussian
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.evaluation.classification import Classification, calibration_error, classify


def test_probabilities_of_classes_are_those_of_the_closed_form() -> None:
    exact, prior = ConditionalLinearGaussian(), np.array([1.0, 2.0, 5.0])
    x, contexts = np.asarray(exact.data(5).x), np.eye(CLASSES)
    found = classify(exact.vae(), x, contexts.astype(np.float32), prior=prior, iw_samples=5, seed=(0, 1))
    joint = [exact.log_evidence(tv.Batch(x, context=np.repeat(y[np.newaxis], len(x), axis=0))) for y in contexts]
    np.testing.assert_allclose(found.log_likelihood, np.transpose(joint), rtol=1e-6)
    expected = log_softmax(np.transpose(joint) + np.log(prior / prior.sum()), axis=1)
    np.testing.assert_allclose(found.log_posterior, expected, atol=1e-5)
    np.testing.assert_allclose(
        found.log_marginal, logsumexp(np.transpose(joint) + np.log(prior / 8), axis=1), rtol=1e-6
    )
    np.testing.assert_array_equal(found.predicted, expected.argmax(axis=1))


def test_measures_of_known_probabilities() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    found = Classification(np.log(p), np.log(p), np.zeros(4)).measure(np.array([0, 1, 1, 0]))
    assert found["accuracy"] == 0.75
    assert found["negative_log_likelihood"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4)


def test_calibration_error_is_zero_if_confidence_is_the_share_of_right_answers() -> None:
    confidence, right = np.full(10, 0.8), np.arange(10) < 8
    assert calibration_error(confidence, right) == pytest.approx(0)
    assert calibration_error(np.ones(4), np.array([True, False, True, True])) == pytest.approx(0.25)


def test_models_without_a_condition_and_wrong_priors_are_refused() -> None:
    contexts = np.eye(CLASSES, dtype=np.float32)
    with pytest.raises(UsageError, match=r"Bayes' rule needs a conditional model.*`condition=label`"):
        classify(builders.model(), builders.data("bernoulli", 2), contexts, seed=(0, 0))
    exact = ConditionalLinearGaussian()
    with pytest.raises(DataError, match="`prior`: expected 3 positive numbers"):
        classify(exact.vae(), np.asarray(exact.data(2).x), contexts, prior=np.ones(2), seed=(0, 0))
