"""Diagnostics of importance weights: how far you can trust the estimate that they give.

A `Tally` sums weights as they arrive, and everything else is computed from its sums. The effective sample size gives a
Monte Carlo error and a likely bias by the delta method. Both are too small if the weights have infinite variance, which
the Pareto k̂ of their tail detects. This module uses NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np

__all__ = [
    "PARETO_K_LIMIT",
    "Tally",
    "generalized_pareto_shape",
    "log_mean_error",
    "mean_error",
    "pareto_k",
    "second_order_bias",
    "standard_error",
    "tail_size",
]

PARETO_K_LIMIT = 0.7
"""Do not trust an importance-weighted mean with a Pareto k̂ above this (Vehtari et al., 2024)."""

EVEN = 1e-3
"""A tail counts as constant if log w varies by less, because the rest may be rounding."""

SHORTEST_TAIL = 5
"""Fewest weights of a tail to which a distribution is fitted."""


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of values [N], `values.std(ddof=1) / sqrt(N)`. NaN for a single value.

    It says how far the mean of another sample with as many examples would differ.
    """
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def mean_error(errors: np.ndarray) -> float:
    """Return the standard error of the mean of independent values with standard errors [N]."""
    return float(np.sqrt(np.sum(errors**2)) / len(errors))


def log_mean_error(ess: np.ndarray, samples: int) -> np.ndarray:
    """Return the Monte Carlo standard error of log 1/K sum_k w_k, in nats, from the effective sample size of the w_k.

    By the delta method, var(log mean w) ~ var(w) / (K mean(w)^2) = 1/ESS - 1/K. It is accurate if the weights have a
    finite variance, so if `pareto_k` is below 0.5, and a rough guide up to 0.7. It never exceeds 1, no matter how poor
    the weights are. For a single sample it is unknown, NaN.

    ```python
    from tfp_vae.evaluation.diagnostics import log_mean_error

    log_mean_error(np.array([1.0, 50.0, 100.0]), samples=100)  # [0.995, 0.1, 0.0], nats
    ```

    Args:
      ess: (sum w)^2 / sum w^2, between 1 and K, of any shape.
      samples: K.
    """
    if samples == 1:
        return np.full(np.shape(ess), math.nan)
    return np.sqrt(np.maximum(1 / np.asarray(ess) - 1 / samples, 0.0))


def second_order_bias(ess: np.ndarray, samples: int) -> np.ndarray:
    """Return how far E[log 1/K sum_k w_k] lies below log p(x), in nats, to second order: half of the variance.

    It is too small if the weights have heavy tails, and never above 1/2. For a single sample it is unknown, NaN.

    Args:
      ess: effective sample size, of any shape.
      samples: K.

    References:
      Nowozin (2018), Debiasing evidence approximations: on importance-weighted autoencoders and jackknife variational
      inference.
    """
    return log_mean_error(ess, samples) ** 2 / 2


def tail_size(samples: int) -> int:
    """Return how many of K weights form their upper tail: min(K / 5, 3 sqrt(K)), rounded up."""
    return math.ceil(min(samples / 5, 3 * math.sqrt(samples)))


def pareto_k(log_tail: np.ndarray) -> np.ndarray:
    """Return the shape k̂ of a generalized Pareto distribution fitted to the upper tail of the weights.

    The weights have 1/k moments. Below 0.5 the estimate has a variance and the usual error. Above 0.7 it would take too
    many samples to be accurate, because the largest weights dominate it.

    The fit uses the excesses over the threshold. It is pulled towards 1/2 with the weight of ten more values, because a
    short tail contains little information. Memory is M (30 + sqrt(M)) numbers for each example.

    ```python
    from tfp_vae.evaluation.diagnostics import pareto_k

    tail = np.random.default_rng(0).pareto(2.0, size=(201, 3))  # shape 1/2
    pareto_k(np.log(tail))  # [3], each about 1/2
    ```

    Args:
      log_tail: logarithms of the M + 1 largest weights of B examples, in any order, [M + 1, B]. The smallest is the
        threshold.

    Returns:
      k̂, [B]. NaN if M is below 5, and 0 if the weights of the tail differ by less than one in a thousand.

    References:
      Zhang and Stephens (2009), A new and efficient estimation method for the generalized Pareto distribution.
      Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling.
    """
    count = len(log_tail) - 1
    if count < SHORTEST_TAIL:
        return np.full(log_tail.shape[1], math.nan)
    ordered = np.sort(log_tail, axis=0)
    weights = np.exp(ordered - ordered[-1])
    excess = np.maximum(weights[1:] - weights[0], np.finfo(float).tiny)
    constant = ordered[-1] - ordered[0] < EVEN
    shape = generalized_pareto_shape(np.where(constant, np.arange(1.0, count + 1)[:, np.newaxis], excess))
    prior_weight, prior_mean = 10, 0.5
    regularized = (count * shape + prior_weight * prior_mean) / (count + prior_weight)
    return np.where(constant, 0.0, regularized)


def generalized_pareto_shape(excess: np.ndarray) -> np.ndarray:
    """Return the estimate of Zhang and Stephens of the shape k, from sorted excesses over a threshold.

    The likelihood, profiled over k for given theta = -k / sigma, is averaged over a grid of theta that depends on the
    data.

    Args:
      excess: positive values in ascending order, [M, B].

    Returns:
      k, [B], with heavy tails positive.
    """

    def shape_given(theta: np.ndarray) -> np.ndarray:
        return np.asarray(np.mean(np.log1p(-theta * excess), axis=0))

    def log_profile(theta: np.ndarray) -> np.ndarray:
        shape = shape_given(theta)
        return np.asarray(len(excess) * (np.log(-theta / shape) - shape - 1))

    count = len(excess)
    grid = 30 + int(math.sqrt(count))
    steps = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    quartile = excess[int(count / 4 + 0.5) - 1]
    quartile = np.where(quartile > 1e-12 * excess[-1], quartile, excess.mean(axis=0))  # for ties at the threshold
    theta = 1 / excess[-1] + steps[:, np.newaxis] / (3 * quartile)  # [G, B]
    theta = np.where(np.abs(theta * excess[-1]) > 1e-9, theta, 1e-9 / excess[-1])  # at 0 the profile is a limit
    log_profiles = np.stack([log_profile(row) for row in theta])
    share = np.exp(log_profiles - np.logaddexp.reduce(log_profiles, axis=0))
    return shape_given(np.sum(share * theta, axis=0))


@final
class Tally:
    """Running sums over the importance samples of B examples, in float64, and the tail of their weights.

    Distortion, rate, log p(x) and effective sample size are available at any time, for the samples so far. Sums of
    weights are kept as logarithms, so weights of e^-1000 count correctly. Memory grows with the square root of K only,
    for the tail.

    Args:
      batch: B.
      iw_samples: K, the number of samples that will be added.
      sweep: numbers of samples, each at most K, at which log p(x) is recorded.
    """

    def __init__(self, batch: int, iw_samples: int, sweep: Sequence[int] = ()) -> None:
        self._iw_samples, self._taken, self._marks = iw_samples, 0, tuple(sweep)
        self._log_w, self._log_w2 = np.full(batch, -np.inf), np.full(batch, -np.inf)
        self._log_px, self._log_ratio = np.zeros(batch), np.zeros(batch)
        self._tail = np.empty([0, batch])
        self._recorded: dict[int, np.ndarray] = {}

    def add(self, log_px: np.ndarray, log_ratio: np.ndarray) -> None:
        """Add log p(x|z) and log p(z) - log q(z|x) of samples, each [S, B]. Samples beyond K are ignored."""
        left = self._iw_samples - self._taken
        log_px, log_ratio = (np.asarray(part[:left], np.float64) for part in (log_px, log_ratio))
        self._log_px += log_px.sum(axis=0)
        self._log_ratio += log_ratio.sum(axis=0)
        end = self._taken + len(log_px)
        marks = sorted({k - self._taken for k in self._marks if self._taken < k < end})
        for part in np.split(log_px + log_ratio, marks):
            self._add_weights(part)

    def _add_weights(self, log_w: np.ndarray) -> None:
        self._taken += len(log_w)
        self._log_w = np.logaddexp(self._log_w, np.logaddexp.reduce(log_w, axis=0))
        self._log_w2 = np.logaddexp(self._log_w2, np.logaddexp.reduce(2 * log_w, axis=0))
        tail, size = np.concatenate([self._tail, log_w]), tail_size(self._iw_samples) + 1
        self._tail = tail if len(tail) <= size else np.partition(tail, len(tail) - size, axis=0)[-size:]
        if self._taken in self._marks:
            self._recorded[self._taken] = self.log_likelihood

    @property
    def log_likelihood(self) -> np.ndarray:
        """The logarithm of the mean weight so far, [B]."""
        return np.asarray(self._log_w - math.log(self._taken))

    @property
    def sweep(self) -> np.ndarray:
        """`log_likelihood` at each number of samples in the sweep, [B, J]."""
        return np.array([self._recorded[k] for k in self._marks]).reshape(len(self._marks), len(self._log_w)).T

    @property
    def distortion(self) -> np.ndarray:
        """-E_q[log p(x|z)], [B]."""
        return np.asarray(-self._log_px / self._taken)

    @property
    def rate(self) -> np.ndarray:
        """E_q[log q(z|x) - log p(z)], [B]."""
        return np.asarray(-self._log_ratio / self._taken)

    @property
    def ess(self) -> np.ndarray:
        """(sum w)^2 / sum w^2, [B]."""
        return np.asarray(np.clip(np.exp(2 * self._log_w - self._log_w2), 1, self._taken))

    @property
    def pareto_k(self) -> np.ndarray:
        """k̂ of the tail of the weights, [B]."""
        return pareto_k(self._tail)
