"""log p(x) of a model with a classifier: the exact sum over classes of estimates, and their errors."""

from __future__ import annotations

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.conditional import CLASSES, conditional_model
from tests.helpers.semi_supervised import PROBS, SemiSupervisedLinearGaussian, semi_supervised_model
from tfp_vae.core.errors import UsageError

MODEL = SemiSupervisedLinearGaussian()
X, Y = MODEL.data(6)
SEED = (0, 1)


def test_exact_posteriors_give_the_log_evidence_for_any_number_of_samples() -> None:
    for k in (1, 4):
        found = tv.evaluation.estimate(MODEL.vae(), X, iw_samples=k, seed=SEED, execution="eager")
        np.testing.assert_allclose(found.log_likelihood, MODEL.log_evidence(X), rtol=1e-6)
        np.testing.assert_allclose(found.sweep, np.empty((6, 0)))


def test_known_classes_give_the_log_evidence_of_their_class() -> None:
    context = np.eye(CLASSES)[Y] * (np.arange(6) % 2)[:, np.newaxis]
    batch = tv.Batch(X, context=context)
    found = tv.evaluation.estimate(MODEL.vae(), batch, iw_samples=2, seed=SEED, execution="eager")
    given = (MODEL.log_joint(X) - np.log(PROBS))[np.arange(6), Y]
    expected = np.where(context.any(axis=1), given, MODEL.log_evidence(X))
    np.testing.assert_allclose(found.log_likelihood, expected, rtol=1e-6)


def test_inexact_posteriors_miss_the_log_evidence_by_a_few_errors() -> None:
    found = tv.evaluation.estimate(
        MODEL.vae(shift=0.4, error=0.5), X, iw_samples=400, sweep=(1, 400), seed=SEED, execution="eager"
    )
    truth = MODEL.log_evidence(X)
    assert (np.abs(found.log_likelihood - truth) < 5 * found.spread + 0.01).all()
    assert (found.low < truth + 0.02).all()
    assert (found.high > truth - 0.02).all()
    np.testing.assert_allclose(found.sweep[:, 1], found.log_likelihood, rtol=1e-9)
    assert found.elbo.mean() < found.log_likelihood.mean()
    assert ((found.ess > 1) & (found.ess <= 400 * CLASSES)).all()


def test_classes_by_the_classifier_and_by_bayes_rule_agree_if_both_are_exact() -> None:
    vae = MODEL.vae()
    direct = tv.evaluation.classify_directly(vae, X)
    found = tv.evaluation.classify(vae, X, np.eye(CLASSES), prior=PROBS, iw_samples=2, seed=SEED, execution="eager")
    np.testing.assert_allclose(direct, MODEL.log_posterior(X), atol=1e-6)
    np.testing.assert_allclose(found.log_posterior, direct, atol=1e-5)
    np.testing.assert_allclose(found.log_marginal, MODEL.log_evidence(X), rtol=1e-6)
    assert found.measure(Y) == pytest.approx(tv.evaluation.measure_classes(direct, Y), abs=1e-5)


def test_codes_of_unknown_classes_are_those_of_the_most_probable_class() -> None:
    vae, x = semi_supervised_model(), np.random.default_rng(0).integers(0, 2, (5, 8, 8, 1)).astype(np.float32)
    best = np.eye(CLASSES, dtype=np.float32)[tv.evaluation.classify_directly(vae, x).argmax(axis=1)]
    for some in (x, tv.Batch(x, context=np.zeros_like(best))):
        np.testing.assert_allclose(vae.reconstruct(some), vae.reconstruct(tv.Batch(x, context=best)), rtol=1e-5)
    assert "classifier q(y|x)" in repr(vae)


def test_models_without_a_classifier_are_refused() -> None:
    with pytest.raises(UsageError, match="has no classifier"):
        tv.evaluation.classify_directly(conditional_model(), np.zeros((1, 8, 8, 1)))
