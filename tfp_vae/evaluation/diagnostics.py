"""How far an importance-weighted estimate can be trusted: what its weights say of its error.

A `Tally` adds up weights as they come; of its sums the rest is a function. The effective sample size gives a Monte
Carlo error and a likely bias by the delta method, both too small where the weights have no variance; the Pareto k̂ of
their tail says whether they have one. NumPy alone: nothing here needs TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np

__all__ = [
    "PARETO_K_LIMIT",
    "Tally",
    "log_mean_error",
    "mean_error",
    "pareto_k",
    "second_order_bias",
    "standard_error",
    "tail_size",
]

PARETO_K_LIMIT = 0.7
"""Above this Pareto k̂ an importance-weighted mean is not to be trusted (Vehtari et al., 2024)."""

EVEN = 1e-3
"""A tail over which log w varies by less is even: what is left may be rounding."""

SHORTEST_TAIL = 5
"""Weights that a tail must have for a distribution to be fitted to it."""


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of values [N]; NaN of a single one.

    Of `values.std(ddof=1) / sqrt(N)`: how far the mean over another sample of as many examples would differ.
    """
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def mean_error(errors: np.ndarray) -> float:
    """Return the standard error of the mean of independent values with these standard errors, [N]."""
    return float(np.sqrt(np.sum(errors**2)) / len(errors))


def log_mean_error(ess: np.ndarray, samples: int) -> np.ndarray:
    """Return the Monte Carlo standard error of log 1/K sum_k w_k, in nats, from the effective sample size of the w_k.

    By the delta method, var(log mean w) ~ var(w) / (K mean(w)^2) = 1/ESS - 1/K. It is honest only where the weights
    have a variance, which a `pareto_k` under 0.5 says, and a rough guide up to 0.7. It never exceeds 1, however bad
    the weights are; of a single sample it is not known, NaN.

    ```python
    from tfp_vae.evaluation.diagnostics import log_mean_error

    log_mean_error(np.array([1.0, 50.0, 100.0]), samples=100)  # [0.995, 0.1, 0.0], nats
    ```

    Args:
      ess: (sum w)^2 / sum w^2, between 1 and K, of any shape.
      samples: K.

    Returns:
      Nats, of the shape of `ess`.
    """
    if samples == 1:
        return np.full(np.shape(ess), math.nan)
    return np.sqrt(np.maximum(1 / np.asarray(ess) - 1 / samples, 0.0))


def second_order_bias(ess: np.ndarray, samples: int) -> np.ndarray:
    """Return how far E[log 1/K sum_k w_k] lies below log p(x), in nats, to second order: half the variance.

    An underestimate where the weights have heavy tails, and never above 1/2.

    Args:
      ess: effective sample size, of any shape.
      samples: K.

    Returns:
      Nats, at least 0, of the shape of `ess`; NaN of a single sample.

    References:
      Nowozin (2018), Debiasing evidence approximations: on importance-weighted autoencoders and jackknife variational
      inference.
    """
    return log_mean_error(ess, samples) ** 2 / 2


def tail_size(samples: int) -> int:
    """Return how many of K weights count as their upper tail: min(K / 5, 3 sqrt(K)), rounded up."""
    return math.ceil(min(samples / 5, 3 * math.sqrt(samples)))


def pareto_k(log_tail: np.ndarray) -> np.ndarray:
    """Return the shape k̂ of the generalized Pareto distribution of the weights' upper tail.

    The weights have 1/k moments: under 0.5 the estimate has a variance and the usual error; from 0.7 on the number of
    samples that it would take grows out of reach, and the estimate is dominated by its largest weights.

    Fitted to the excesses over the threshold, then drawn towards 1/2 as if by ten more values, since a short tail tells
    little. Takes M (30 + sqrt(M)) numbers of memory for each example.

    ```python
    from tfp_vae.evaluation.diagnostics import pareto_k

    tail = np.random.default_rng(0).pareto(2.0, size=(201, 3))  # of shape 1/2
    pareto_k(np.log(tail))  # [3], each about 1/2
    ```

    Args:
      log_tail: the logs of the M + 1 largest weights of each of B examples, in any order, [M + 1, B]; the smallest is
        the threshold.

    Returns:
      k̂, [B]; NaN where M is under 5, and 0 where the tail's weights differ by less than one in a thousand.

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
    fitted = _generalized_pareto_shape(np.where(constant, np.arange(1.0, count + 1)[:, np.newaxis], excess))
    prior_weight, prior_mean = 10, 0.5
    regularized = (count * fitted + prior_weight * prior_mean) / (count + prior_weight)
    return np.where(constant, 0.0, regularized)


def _generalized_pareto_shape(excess: np.ndarray) -> np.ndarray:
    """Return Zhang and Stephens' estimate of k from sorted excesses [M, B] over a threshold: [B].

    The likelihood, profiled over k given theta = -k / sigma, is averaged over a grid of theta that the data place.
    """
    count = len(excess)
    grid = 30 + int(math.sqrt(count))
    steps = 1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    quartile = excess[int(count / 4 + 0.5) - 1]
    quartile = np.where(quartile > 1e-12 * excess[-1], quartile, excess.mean(axis=0))  # of ties at the threshold
    theta = 1 / excess[-1] + steps[:, np.newaxis] / (3 * quartile)  # [G, B]
    theta = np.where(np.abs(theta * excess[-1]) > 1e-9, theta, 1e-9 / excess[-1])  # at 0 the profile is a limit
    log_profile = np.stack([_log_profile(row, excess) for row in theta])
    share = np.exp(log_profile - np.logaddexp.reduce(log_profile, axis=0))
    return _shape_given(np.sum(share * theta, axis=0), excess)


def _shape_given(theta: np.ndarray, excess: np.ndarray) -> np.ndarray:
    mean: np.ndarray = np.mean(np.log1p(-theta * excess), axis=0)
    return mean


def _log_profile(theta: np.ndarray, excess: np.ndarray) -> np.ndarray:
    shape = _shape_given(theta, excess)
    profile: np.ndarray = len(excess) * (np.log(-theta / shape) - shape - 1)
    return profile


@final
class Tally:
    """Running sums over the importance samples of B examples, in float64, and the tail of their weights.

    What it holds grows with the square root of K alone, for the tail.

    Distortion, rate, log p(x) and effective sample size are read off at any time, of the samples so far. Sums of
    weights are kept as logarithms, and added by log-add-exp: weights of e^-1000 count as they should.

    Args:
      batch: B.
      iw_samples: K, how many samples will be added.
      sweep: further numbers of samples, each at most K, at which log p(x) is noted.
    """

    def __init__(self, batch: int, iw_samples: int, sweep: Sequence[int] = ()) -> None:
        self._iw_samples, self._taken, self._sweep = iw_samples, 0, tuple(sweep)
        self._log_w, self._log_w2 = np.full(batch, -np.inf), np.full(batch, -np.inf)
        self._log_px, self._log_ratio = np.zeros(batch), np.zeros(batch)
        self._tail = np.empty([0, batch])
        self._noted: dict[int, np.ndarray] = {}

    def add(self, log_px: np.ndarray, log_ratio: np.ndarray) -> None:
        """Add samples' log p(x|z) and log p(z) - log q(z|x), each [S, B]; those beyond K are left out."""
        left = self._iw_samples - self._taken
        log_px, log_ratio = (np.asarray(part[:left], np.float64) for part in (log_px, log_ratio))
        self._log_px += log_px.sum(axis=0)
        self._log_ratio += log_ratio.sum(axis=0)
        end = self._taken + len(log_px)
        marks = sorted({k - self._taken for k in self._sweep if self._taken < k < end})
        for part in np.split(log_px + log_ratio, marks):
            self._add_weights(part)

    def _add_weights(self, log_w: np.ndarray) -> None:
        self._taken += len(log_w)
        self._log_w = np.logaddexp(self._log_w, np.logaddexp.reduce(log_w, axis=0))
        self._log_w2 = np.logaddexp(self._log_w2, np.logaddexp.reduce(2 * log_w, axis=0))
        self._tail = _largest(np.concatenate([self._tail, log_w]), tail_size(self._iw_samples) + 1)
        if self._taken in self._sweep:
            self._noted[self._taken] = self.log_likelihood

    @property
    def log_likelihood(self) -> np.ndarray:
        """The log of the mean weight so far, [B]."""
        return np.asarray(self._log_w - math.log(self._taken))

    @property
    def swept(self) -> np.ndarray:
        """What it was at each number of samples in the sweep, [B, J]."""
        return np.array([self._noted[k] for k in self._sweep]).reshape(len(self._sweep), len(self._log_w)).T

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
        """k̂ of the weights' tail, [B]."""
        return pareto_k(self._tail)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the `count` largest of values [S, B] in each column, in no order; all, if there are fewer.

    By a partition, in time linear in S.
    """
    if len(values) <= count:
        return values
    return np.partition(values, len(values) - count, axis=0)[-count:]
