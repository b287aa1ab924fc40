"""Classification by Bayes' rule with a conditional model: p(y|x) from log p(x|y) and the frequencies of the classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.types import Array, Seed
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.importance import Estimator
from tfp_vae.evaluation.marginal import class_log_probs
from tfp_vae.evaluation.proposals import Refinement
from tfp_vae.model.vae import VAE

__all__ = [
    "BINS",
    "Classification",
    "calibration_error",
    "classify",
    "classify_directly",
    "complete_contexts",
    "measure_classes",
]

BINS = 15
"""Bins of confidence for the calibration error."""


@check_keywords
class Classification(NamedTuple):
    """The probabilities of classes by Bayes' rule.

    log_likelihood: log p(x|y) of each example under each class, in nats, [N, C].
    log_posterior: log p(y|x), [N, C].
    log_marginal: log p(x) = log sum_y p(x|y) p(y), [N]. It compares with models without a condition.
    """

    log_likelihood: np.ndarray
    log_posterior: np.ndarray
    log_marginal: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each example, integers [N]."""
        return np.asarray(self.log_posterior.argmax(axis=1))

    def measure(self, truth: np.ndarray) -> dict[str, float]:
        """Return the metrics of `measure_classes` for the true classes, integers [N]."""
        return measure_classes(self.log_posterior, truth)


@check_keywords
def measure_classes(log_posterior: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the accuracy, the negative log-likelihood of the true classes and the calibration error.

    Args:
      log_posterior: log p(y|x) or log q(y|x) of each class, [N, C].
      truth: the class of each example, integers [N].
    """
    right = log_posterior.argmax(axis=1) == truth
    losses = -log_posterior[np.arange(len(truth)), truth]
    return {
        "accuracy": float(right.mean()),
        "accuracy_se": standard_error(right.astype(np.float64)),
        "negative_log_likelihood": float(losses.mean()),
        "negative_log_likelihood_se": standard_error(losses),
        "calibration_error": calibration_error(np.exp(log_posterior.max(axis=1)), right),
    }


@check_keywords
def classify_directly(vae: VAE, x: Array) -> np.ndarray:
    """Return log q(y|x), [N, C], by the classifier of a model. It takes one pass of the classifier's network.

    Args:
      vae: a model with a classifier.
      x: examples, [N, *event_shape].

    Raises:
      UsageError: the model has no classifier.
    """
    if vae.classifier is not None:
        x = np.asarray(vae.batch(x, "Classification", density=False).x)
    return class_log_probs(vae, x)[0]


@check_keywords
def complete_contexts(vae: VAE, batch: Batch) -> np.ndarray | None:
    """Return the contexts of examples, in which the most probable class under q(y|x) replaces an unknown one, [N, C].

    Contexts of a model without a classifier stay as they are.

    Args:
      vae: the model.
      batch: the examples with their contexts.
    """
    if vae.classifier is None or batch.context is None:
        return None if batch.context is None else np.asarray(batch.context)
    contexts = np.asarray(batch.context, np.float32)
    log_q = classify_directly(vae, batch.x)
    best = np.eye(log_q.shape[1], dtype=np.float32)[log_q.argmax(axis=1)]
    known = np.asarray(contexts.any(axis=1))
    return np.where(known[:, np.newaxis], contexts, best)


@check_keywords
def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error: the mean distance of confidence and accuracy over 15 bins.

    Each bin counts by its number of examples. 0 is best.

    ```python
    from tfp_vae.evaluation.classification import calibration_error

    calibration_error(np.array([0.7, 0.7, 0.7, 0.7]), np.array([True, True, True, False]))  # 0.05
    ```

    Args:
      confidence: the probability of each predicted class, [N].
      right: whether each prediction is right, bool [N].

    References:
      Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(float(confidence[bins == i].sum() - right[bins == i].sum())) for i in np.unique(bins)]
    return sum(gaps) / len(confidence)


@check_keywords
def classify(
    vae: VAE,
    x: Array,
    contexts: np.ndarray,
    *,
    prior: np.ndarray | None = None,
    iw_samples: int = 100,
    seed: Seed,
    refine: Refinement | Member | str = "none",
    places: np.ndarray | None = None,
    execution: str = AUTO,
    progress: Callable[[int], None] = lambda samples: None,
) -> Classification:
    """Return p(y|x) by Bayes' rule, from importance-weighted estimates of log p(x|y) for every class.

    log p(y|x) = log p(x|y) + log p(y) - log sum_y' p(x|y') p(y').

    An estimate of log p(x|y) is biased low, and more so for wrong classes, whose q(z|x, y) the encoder never learned.
    More samples or a refinement shrink this bias. The cost is one pass of the encoder and K of the decoder for each
    example and class.

    Args:
      vae: a conditional model.
      x: examples, [N, *event_shape].
      contexts: y of each class, [C, S] for contexts of S values.
      prior: p(y), [C]. By default all classes are equal.
      iw_samples: K.
      seed: a stateless seed, two integers. All classes get the same draws.
      refine: see `estimate`.
      places: select each example's draws, see `estimate`.
      execution: `auto`, `xla`, `graph` or `eager`.
      progress: called with the number of importance samples just taken.

    Raises:
      UsageError: the model has no condition.
      DataError: the prior does not have one positive number for each class.
    """
    if not vae.context_size:
        raise UsageError("Bayes' rule needs a conditional model. Train one with `condition=label`.")
    prior = np.ones(len(contexts)) if prior is None else np.asarray(prior, np.float64)
    if prior.shape != (len(contexts),) or not (prior > 0).all():
        raise DataError(f"`prior`: expected {len(contexts)} positive numbers, found {prior.tolist()}.")
    estimator = Estimator(vae, iw_samples=iw_samples, refine=refine, execution=execution)
    columns = [
        estimator(
            Batch(x, context=np.repeat(y[np.newaxis], len(x), axis=0)), seed=seed, places=places, progress=progress
        ).log_likelihood
        for y in contexts
    ]
    log_px = np.stack(columns, axis=1)
    joint = log_px + np.log(prior / prior.sum())
    top = joint.max(axis=1, keepdims=True)
    evidence = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
    return Classification(log_px, joint - evidence, evidence[:, 0])
