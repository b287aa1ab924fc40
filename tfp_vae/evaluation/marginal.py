"""Estimates of log p(x) = log sum_y p(x|y) p(y) from those of log p(x|y) for each class y."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords

if TYPE_CHECKING:
    from tfp_vae.evaluation.importance import Estimates
    from tfp_vae.model.vae import VAE

__all__ = ["class_log_probs", "sum_over_classes"]

ROWS = 1_000
"""Examples that a classifier takes at once."""


@check_keywords
def class_log_probs(vae: VAE, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log q(y|x), float64 [N, C], and log p(y), [C], of the classifier of a model.

    Args:
      vae: a model with a classifier.
      x: examples that have been checked, [N, *event_shape].

    Raises:
      UsageError: the model has no classifier.
    """
    if vae.classifier is None:
        raise UsageError("The model has no classifier. Train one on data that lack the class of some rows.")
    values = np.asarray(x, vae.dtype.as_numpy_dtype)
    parts = [np.asarray(vae.classifier.log_probs(values[i : i + ROWS])) for i in range(0, len(values), ROWS)]
    return np.concatenate(parts).astype(np.float64), vae.classifier.log_prior


@check_keywords
def sum_over_classes(classes: Sequence[Estimates], log_prior: np.ndarray, log_q: np.ndarray) -> Estimates:
    """Return the estimates of log p(x) of M examples from those of log p(x|y) for each of C classes.

    The sum over y is exact. Errors and biases are averages over p(y|x), which is right for classes with equal draws and
    at most too large otherwise. The ELBO is that of q(y|x) q(z|x, y). The effective sample size is that of the samples
    of all classes together, and k̂ is that of the most probable class.

    Args:
      classes: the estimates of M examples for each class.
      log_prior: log p(y), [C].
      log_q: log q(y|x), [M, C].
    """
    stacked = type(classes[0])(*(np.stack(columns, axis=1) for columns in zip(*classes, strict=True)))  # [M, C, ...]
    joint = stacked.log_likelihood + log_prior
    log_px = logsumexp(joint, axis=1)
    posterior = np.exp(joint - log_px[:, np.newaxis])  # p(y|x)
    q = np.exp(log_q)

    def mean(values: np.ndarray, weights: np.ndarray = posterior) -> np.ndarray:
        """Return the mean over classes [M, C, ...]. One without weight counts as 0, even if it is unknown."""
        weights = weights.reshape(*weights.shape, *[1] * (values.ndim - 2))
        return np.asarray(np.where(weights > 0, weights * values, 0.0).sum(axis=1))

    best = posterior.argmax(axis=1)[:, np.newaxis]
    refined_ratio = log_prior - np.log(np.maximum(posterior, np.finfo(np.float64).tiny))
    return stacked._replace(
        log_likelihood=log_px,
        distortion=mean(stacked.distortion, q),
        rate=mean(stacked.rate + log_q - log_prior, q),
        ess=1 / mean(posterior / stacked.ess),
        pareto_k=np.take_along_axis(stacked.pareto_k, best, axis=1)[:, 0],
        spread=mean(stacked.spread),
        shortfall=mean(stacked.shortfall),
        low=logsumexp(stacked.low + log_prior, axis=1),
        high=logsumexp(stacked.high + log_prior, axis=1),
        sweep=logsumexp(stacked.sweep + log_prior[:, np.newaxis], axis=1),
        posterior_mean=mean(stacked.posterior_mean, q),
        posterior_mean_variance=mean(stacked.posterior_mean_variance, q),
        refined_elbo=mean(stacked.refined_elbo + refined_ratio),
        refined_elbo_error=mean(stacked.refined_elbo_error),
        refined_gap_error=mean(stacked.refined_gap_error),
        elbo_error=mean(stacked.elbo_error, q),
        refined=np.take_along_axis(stacked.refined, best, axis=1)[:, 0],
    )
