"""The semi-supervised bound: sums by hand, the exact evidence, its gradients, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.conditional import CLASSES, classes, conditional_model
from tests.helpers.semi_supervised import PROBS, SemiSupervisedLinearGaussian, partly_known, semi_supervised_model
from tfp_vae.core.errors import UsageError
from tfp_vae.model.likelihoods import LIKELIHOODS
from tfp_vae.objectives import OBJECTIVES, usual_weight, with_labels
from tfp_vae.objectives.labels import SemiSupervised

MODEL = SemiSupervisedLinearGaussian()
X, Y = MODEL.data(6)
ONE_HOT = np.eye(CLASSES)[Y]
EXACT = tv.objectives.MonteCarloELBO()


def test_bound_with_exact_posteriors_is_the_log_evidence() -> None:
    vae = MODEL.vae()
    for objective in (EXACT, tv.objectives.IWAE(mc_samples=3)):
        unknown = SemiSupervised(objective).bound(vae, X, seed=0)
        np.testing.assert_allclose(unknown.value, MODEL.log_evidence(X), rtol=1e-6)
        known = SemiSupervised(objective).bound(vae, tv.Batch(X, context=ONE_HOT), seed=0)
        np.testing.assert_allclose(known.value, MODEL.log_joint(X)[np.arange(len(X)), Y], rtol=1e-6)


def test_gap_of_a_wrong_classifier_is_its_divergence_from_the_exact_one() -> None:
    vae = MODEL.vae(error=0.7)
    log_q = vae.classifier.log_probs(X).numpy()
    gap = np.sum(np.exp(log_q) * (log_q - MODEL.log_posterior(X)), axis=1)
    assert gap.min() > 0.001
    value = SemiSupervised(EXACT).bound(vae, X, seed=0).value
    np.testing.assert_allclose(value, MODEL.log_evidence(X) - gap, rtol=1e-6)


def test_marginal_is_the_sum_over_classes_by_hand() -> None:
    vae, x, y = semi_supervised_model(), builders.data("bernoulli", 6), partly_known(6)
    known = y.any(axis=1)
    found = SemiSupervised(tv.objectives.ELBO(), weight=2.0).bound(vae, tv.Batch(x, context=y), seed=3)
    log_q = vae.classifier.log_probs(x).numpy()
    tiled, all_classes = np.tile(x, (CLASSES, 1, 1, 1)), np.repeat(np.eye(CLASSES, dtype=np.float32), 6, axis=0)
    each = tv.objectives.ELBO().bound(vae.given(all_classes), tiled, seed=3).value.numpy().reshape(CLASSES, 6).T
    marginal = np.sum(np.exp(log_q) * (each + np.log(PROBS) - log_q), axis=1)
    labelled = np.sum(y * (each + np.log(PROBS) + 2.0 * log_q), axis=1)
    np.testing.assert_allclose(found.value, np.where(known, labelled, marginal), rtol=1e-5)
    plain = SemiSupervised(tv.objectives.ELBO()).bound(vae, tv.Batch(x, context=y), seed=3)
    np.testing.assert_allclose(plain.value, -plain.distortion - plain.rate, rtol=1e-5)


def test_all_labels_give_the_conditional_bound_and_a_classifier() -> None:
    vae, x, y = semi_supervised_model(), builders.data("bernoulli", 3), classes(3)
    objective = SemiSupervised(tv.objectives.ELBO(mc_samples=4_000), weight=1.5)
    value = objective.bound(vae, tv.Batch(x, context=y), seed=0).value
    conditional = tv.VAE(vae.encoder, vae.decoder, vae.prior)
    bound = tv.objectives.ELBO(mc_samples=4_000).bound(conditional, tv.Batch(x, context=y), seed=1).value
    expected = bound + y @ np.log(PROBS) + 1.5 * np.sum(y * vae.classifier.log_probs(x), axis=1)
    np.testing.assert_allclose(value, expected, atol=0.2)


def test_gradient_of_the_classifier_is_that_of_its_two_terms() -> None:
    vae, x, y = semi_supervised_model(), builders.data("bernoulli", 6), partly_known(6)
    known, variables = y.any(axis=1), vae.classifier.trainable_variables
    tiled, all_classes = np.tile(x, (CLASSES, 1, 1, 1)), np.repeat(np.eye(CLASSES, dtype=np.float32), 6, axis=0)
    each = tv.objectives.ELBO().bound(vae.given(all_classes), tiled, seed=3).value.numpy().reshape(CLASSES, 6).T
    with tf.GradientTape(persistent=True) as tape:
        loss = SemiSupervised(tv.objectives.ELBO(), weight=2.0).loss(vae, tv.Batch(x, context=y), seed=3)
        log_q = vae.classifier.log_probs(x)
        free = tf.reduce_sum(tf.exp(log_q) * (each + np.log(PROBS).astype(np.float32) - log_q), axis=1)
        by_hand = -tf.reduce_mean(tf.where(known, 2.0 * tf.reduce_sum(y * log_q, axis=1), free))
    for one, other in zip(tape.gradient(loss, variables), tape.gradient(by_hand, variables), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["elbo", "iwae", "dreg", "sticking-the-landing", "renyi"])
def test_objectives_bound_partly_known_batches(name: str) -> None:
    vae, batch = semi_supervised_model(), tv.Batch(builders.data("bernoulli", 4), context=partly_known(4))
    value = SemiSupervised(OBJECTIVES.resolve(name)).bound(vae, batch, seed=0).value
    assert value.shape == (4,)
    assert np.isfinite(value).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(LIKELIHOODS) - {"columns"}))
def test_every_likelihood_bounds_partly_known_batches(name: str) -> None:
    vae = semi_supervised_model(name, shape=(4,))
    counts = "poisson" if name.startswith("size-factor") else name
    batch = tv.Batch(builders.data(counts, 4, (4,)), context=partly_known(4))
    assert np.isfinite(SemiSupervised(tv.objectives.ELBO()).bound(vae, batch, seed=0).value).all()


def test_training_raises_the_bound_and_finds_the_classes() -> None:
    draw = np.random.default_rng(0)
    y = np.arange(90) % CLASSES
    x = (np.eye(CLASSES)[y] * 3 + draw.normal(size=(90, CLASSES)) * 0.3).astype(np.float32)
    context = np.eye(CLASSES, dtype=np.float32)[y] * (np.arange(90) < 6)[:, np.newaxis]
    vae = semi_supervised_model("normal", shape=(CLASSES,))
    before = vae.classifier.trainable_variables[0].numpy()
    settings: dict[str, Any] = {"epochs": 25, "execution": "graph", "learning_rate": 0.02, "batch_size": 30}
    history = tv.fit(vae, tv.Batch(x, context=context), "elbo", validation=x, **settings)
    assert history[-1].validation_elbo > history[0].validation_elbo + 1
    assert (vae.classifier.trainable_variables[0].numpy() != before).any()
    found = tv.evaluation.classify_directly(vae, x)
    assert tv.evaluation.measure_classes(found, y)["accuracy"] > 0.9


def test_usual_weight_counts_all_examples_for_each_labelled_one() -> None:
    assert usual_weight(100, 50_000) == pytest.approx(500)
    assert usual_weight(0, 10) == 0
    vae, elbo = semi_supervised_model(), tv.objectives.ELBO()
    assert with_labels(elbo, vae, 3.0) == SemiSupervised(elbo, weight=3.0)
    assert with_labels(elbo, conditional_model()) is elbo


def test_refusals_name_what_does_not_fit() -> None:
    elbo = tv.objectives.ELBO()
    with pytest.raises(UsageError, match="needs a VAE with a classifier"):
        SemiSupervised(elbo).bound(builders.model(), builders.data("bernoulli", 2), seed=0)
    with pytest.raises(UsageError, match="Free bits do not support labels"):
        SemiSupervised(tv.objectives.Weighted(elbo, free_bits=0.1))
    for mixing in (tv.objectives.TotalCorrelation(), tv.objectives.Weighted(tv.objectives.TotalCorrelation())):
        with pytest.raises(UsageError, match="TotalCorrelation compares the examples of a batch"):
            SemiSupervised(mixing)
    with pytest.raises(UsageError, match="another SemiSupervised"):
        SemiSupervised(SemiSupervised(elbo))
    with pytest.raises(UsageError, match="`weight` must be"):
        SemiSupervised(elbo, weight=-1)
    with pytest.raises(UsageError, match="needs parts with `context_size=2`, found 3"):
        part = conditional_model()
        tv.VAE(part.encoder, part.decoder, part.prior, tv.Classifier(tv.networks.mlp((8, 8, 1), 2), (1, 1)))
