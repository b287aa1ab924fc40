"""Diagnostics of importance weights: how far you can trust the estimate that they give.

A `Tally` sums weights as they arrive, and everything else is computed from its sums. Sixteen groups of samples give the
Monte Carlo error and the bias, because the estimate varies between groups and rises with the number of samples. A
distribution fitted to the largest weights gives an interval for log p(x). This module uses NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np
import scipy  # its submodules load when they are first used, so that `--help` stays fast

from tfp_vae.core.registry import check_keywords

__all__ = [
    "COVERAGE",
    "FEWEST_EFFECTIVE",
    "PARETO_K_LIMIT",
    "UNKNOWN_FACTOR",
    "Tally",
    "generalized_pareto_shape",
    "group_bias",
    "group_error",
    "group_gap_error",
    "has_enough_samples",
    "mean_error",
    "mean_interval",
    "pareto_k",
    "standard_error",
    "tail_bounds",
    "tail_size",
]

COVERAGE = 0.9
"""The share of intervals that should contain the truth."""

EACH_SIDE = 0.94
"""One-sided probability of the two intervals of an example. Their hull contains the truth in about 90% of cases."""

FEWEST_EFFECTIVE = 10
"""With a smaller effective sample size, error, bias and interval of an example are unknown."""

UNKNOWN_FACTOR = 5
"""Factor of the bias of examples with an unknown error, for the interval of a mean. Their bias is usually too low."""

GROUPS = 16
"""Number of groups of consecutive samples that give the error and the bias."""

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


def mean_interval(mean: float, error: float, bias: float) -> tuple[float, float]:
    """Return an interval for the mean of log p(x), given the mean of estimates, its Monte Carlo error and its bias.

    The bias is the same for every seed, and its estimate may be too small by half. So the interval extends upwards by
    twice the bias, in addition to 1.64 errors on both sides.

    ```python
    from tfp_vae.evaluation.diagnostics import mean_interval

    mean_interval(-90.0, 0.1, 0.05)  # (-90.16, -89.74)
    ```
    """
    reach = float(scipy.special.ndtri((1 + COVERAGE) / 2)) * error
    return mean - reach, mean + 2 * bias + reach


def has_enough_samples(ess: np.ndarray) -> np.ndarray:
    """Return whether the effective sample size is large enough to know the error of an estimate, bool of any shape.

    With fewer than ten samples the largest weights decide the estimate, and the next one may be far larger.
    """
    return np.asarray(ess >= FEWEST_EFFECTIVE)


def group_error(log_sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the Monte Carlo standard error of log 1/K sum_k w_k from G independent groups of the samples, [B].

    It is the jackknife: var = (G - 1) / G sum_g (L_g - mean L)^2, where L_g is the estimate without group g. The error
    of a single example is rough. However, its square has the right average, even if a few weights dominate, so the
    error of a mean over many examples is accurate.

    ```python
    from tfp_vae.evaluation.diagnostics import group_error

    log_w = np.random.default_rng(0).normal(size=(100, 3))
    group_error(log_w, np.ones(100))  # [3], about sqrt((e - 1) / 100) = 0.13 nats
    ```

    Args:
      log_sums: the logarithm of the sum of the weights in each group, [G, B].
      sizes: the number of samples in each group, [G].

    Returns:
      Nats, [B]. NaN for a single group.

    References:
      Efron and Stein (1981), The jackknife estimate of variance.
    """
    if len(sizes) < 2:
        return np.full(log_sums.shape[1], math.nan)
    return np.asarray(np.sqrt((len(sizes) - 1) * without_each(log_sums, sizes).var(axis=0)))


def group_gap_error(log_sums: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the Monte Carlo standard error of log 1/K sum_k w_k - 1/K sum_k log w_k, nats [B].

    Both parts rise and fall with the same samples, so their difference is more accurate than either. The jackknife
    leaves out the same group of both.

    Args:
      log_sums: the logarithm of the sum of the weights in each group, [G, B].
      sums: the sum of the logarithms of the weights in each group, [G, B].
      sizes: the number of samples in each group, [G].

    Returns:
      NaN for a single group, and if a weight is 0.
    """
    if len(sizes) < 2:
        return np.full(log_sums.shape[1], math.nan)
    with np.errstate(invalid="ignore"):  # the logarithm of a weight of 0 is not finite
        means = (sums.sum(axis=0) - sums) / (sizes.sum() - sizes)[:, np.newaxis]
        differences = without_each(log_sums, sizes) - means
        return np.asarray(np.sqrt((len(sizes) - 1) * differences.var(axis=0)))


def without_each(log_sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the log mean weight without each group, relative to that of all groups, [G, B]. There are at least two."""
    before = np.logaddexp.accumulate(log_sums[:-1], axis=0)
    after = np.logaddexp.accumulate(log_sums[:0:-1], axis=0)[::-1]
    others = np.concatenate([after[:1], np.logaddexp(before[:-1], after[1:]), before[-1:]])
    return relative_to_mean(others, sizes.sum() - sizes, log_sums, sizes)


def group_bias(log_sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return how far E[log 1/K sum_k w_k] lies below log p(x), in nats, from how the estimate rises with the samples.

    Bias and variance fall together as samples are added. Their ratio follows from the groups: the whole sample lies
    above the mean of the groups by nearly the bias of a group, which has the variance of the groups. So

    bias = error^2 (L - mean_g L_g) / ((1 - 1/G) var_g L_g),

    with a ratio of at least 1/2, its value for even weights (Nowozin, 2018), and at most 2. If the weights are so
    uneven that the error of an example is unknown, the bias is only the right order of magnitude, and usually too low.

    Args:
      log_sums: the logarithm of the sum of the weights in each group, [G, B].
      sizes: the number of samples in each group, [G].

    Returns:
      Nats, [B]. NaN for a single group.

    References:
      Nowozin (2018), Debiasing evidence approximations: on importance-weighted autoencoders and jackknife variational
      inference.
    """
    if len(sizes) < 2:
        return np.full(log_sums.shape[1], math.nan)
    below = relative_to_mean(log_sums, sizes, log_sums, sizes)
    variance = (1 - 1 / len(sizes)) * below.var(axis=0, ddof=1)
    ratio = -below.mean(axis=0) / np.maximum(variance, np.finfo(float).tiny)
    return np.asarray(np.clip(ratio, 0.5, 2) * group_error(log_sums, sizes) ** 2)


def relative_to_mean(
    log_parts: np.ndarray, part_sizes: np.ndarray, log_sums: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Return the log mean weights of parts of the samples minus that of all groups, [P, B].

    A part without weight has no finite logarithm. It counts as 10,000 nats below.
    """
    means = log_parts - np.log(part_sizes)[:, np.newaxis]
    with np.errstate(invalid="ignore"):  # no weight at all leaves NaN
        below = means - (np.logaddexp.reduce(log_sums, axis=0) - math.log(sizes.sum()))
        return np.asarray(np.maximum(below, -1e4))


def tail_size(samples: int) -> int:
    """Return how many of K weights form their upper tail: min(K / 5, 3 sqrt(K)), rounded up."""
    return math.ceil(min(samples / 5, 3 * math.sqrt(samples)))


@check_keywords
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


TAIL_SHAPES = np.array([0.02, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7])[:, np.newaxis, np.newaxis]
"""Shapes a of the tail of log w, [A, 1, 1]. Near 0 weights have a Pareto tail. Lognormal weights are near 0.15."""

SHAPE_PRIOR = np.gradient(TAIL_SHAPES, axis=0) * np.exp(-TAIL_SHAPES / 0.15)
"""The prior of the shapes, up to a constant. It favours heavy tails, because few samples show how heavy they are."""

TAIL_SCALES = np.exp(np.linspace(-1.2, 1.2, 17))[:, np.newaxis]
"""Scales of the tail, relative to the scale with the mean of the excesses, [S, 1]."""

FACTORS_PER_LOG = 16
"""Factors of the likelihood whose product is taken before the logarithm."""


def tail_bounds(log_tail: np.ndarray, log_w: np.ndarray, log_w2: np.ndarray, samples: int) -> np.ndarray:
    """Return bounds for log p(x), relative to the estimate, from the largest weights.

    The excesses of log w over the smallest of them get a generalized Pareto distribution with an upper end. It comes
    close to the tails of lognormal, gamma and Pareto weights. Its mean weight includes weights that no sample has
    reached. Scale and shape have a posterior on a grid, and so has log p(x). The Monte Carlo error of the number of
    weights in the tail and of the mass below is added in quadrature to the quantiles.

    Args:
      log_tail: the M + 1 largest log-weights of B examples, [M + 1, B].
      log_w: the logarithm of the sum of all weights, [B].
      log_w2: the logarithm of the sum of all squared weights, [B].
      samples: K.

    Returns:
      Low and high, [2, B], in nats.
    """
    log_share = np.sort(log_tail - log_w, axis=0)  # [M + 1, B]
    excess, count = log_share[1:] - log_share[0], len(log_share) - 1
    shares = np.exp(log_share[1:])
    body = np.maximum(1 - shares.sum(axis=0), 1e-12)
    scale = np.maximum(excess.mean(axis=0), 1e-4) * (1 + TAIL_SHAPES) * TAIL_SCALES  # [A, S, B]
    log_mass = math.log(count) + log_share[0] + log_tail_mean(scale, TAIL_SHAPES)
    low, middle, high = weighted_quantiles(
        np.logaddexp(np.log(body), log_mass), tail_posterior(excess, scale), (1 - EACH_SIDE, 0.5, EACH_SIDE)
    )
    total = np.exp(np.minimum(middle, 50))
    body_squares = np.maximum(np.exp(log_w2 - 2 * log_w) - (shares**2).sum(axis=0), 0)
    squares = (body_squares + (total - body) ** 2 / count) / total**2
    reach = scipy.special.ndtri(EACH_SIDE) * np.sqrt(np.maximum(squares - 1 / samples, 0))
    return np.stack([middle - np.hypot(middle - low, reach), middle + np.hypot(high - middle, reach)])


def log_tail_mean(scale: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return log E[e^Y] of excesses Y with P(Y > y) = (1 - a y / s)^(1/a), in nats, for scales s and shapes a > 0.

    With b = s / a and the regularized incomplete gamma function P,

    E[e^Y] = int_0^1 exp(b (1 - v^a)) dv = e^b b^(-1/a) Gamma(1/a + 1) P(1/a, b).
    """
    end = scale / shape
    log_gamma = scipy.special.gammaln(1 / shape + 1) + np.log(scipy.special.gammainc(1 / shape, end))
    return np.asarray(end - np.log(end) / shape + log_gamma)


def tail_posterior(excess: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the posterior of scales [A, S, B] and the shapes, given excesses [M, B]. It sums to 1 over A and S.

    An excess beyond the upper end makes a pair unlikely, not impossible, so some pair always remains.
    """
    slope = TAIL_SHAPES / scale
    log_factors = np.zeros(scale.shape)
    for part in np.split(excess, range(FACTORS_PER_LOG, len(excess), FACTORS_PER_LOG)):
        log_factors += np.log(math.prod((np.maximum(1 - slope * y, 1e-15) for y in part), start=np.ones(scale.shape)))
    log_posterior = np.log(SHAPE_PRIOR) + (1 / TAIL_SHAPES - 1) * log_factors - len(excess) * np.log(scale)
    posterior = np.exp(log_posterior - log_posterior.max(axis=(0, 1)))
    return np.asarray(posterior / posterior.sum(axis=(0, 1)))


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
    """Return quantiles of B discrete distributions, [B] each, with values and weights [A, S, B]. Weights sum to 1."""
    values, weights = (part.reshape(-1, part.shape[-1]) for part in (values, weights))
    order = np.argsort(values, axis=0)
    ordered, shares = (np.take_along_axis(part, order, axis=0) for part in (values, weights))
    reached = np.cumsum(shares, axis=0)
    places = (np.minimum((reached < level).sum(axis=0), len(values) - 1) for level in levels)
    return [np.take_along_axis(ordered, place[np.newaxis], axis=0)[0] for place in places]


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
class Variance:
    """Running variance of values that arrive in parts [S, B].

    Args:
      batch: B.
    """

    def __init__(self, batch: int) -> None:
        self._count, self._origin = 0, np.zeros(batch)
        self._sum, self._squares = np.zeros(batch), np.zeros(batch)

    def add(self, values: np.ndarray) -> None:
        """Add values [S, B]. Sums are relative to the first value, so that no digits cancel."""
        if not self._count and len(values):
            self._origin = np.where(np.isfinite(values[0]), values[0], 0.0)
        relative = values - self._origin
        self._count += len(values)
        self._sum += relative.sum(axis=0)
        self._squares += np.sum(relative**2, axis=0)

    @property
    def mean_error(self) -> np.ndarray:
        """The standard error of the mean, [B]. NaN for fewer than two values, and if one of them is not finite."""
        if self._count < 2:
            return np.full_like(self._sum, math.nan)
        known = np.isfinite(self._sum)
        mean = np.where(known, self._sum, 0.0) / self._count
        variance = np.maximum(self._squares / self._count - mean**2, 0.0)
        return np.where(known, np.sqrt(variance / (self._count - 1)), math.nan)


@final
class Tally:
    """Running sums over the importance samples of B examples, in float64, and the tail of their weights.

    Distortion, rate, log p(x) and effective sample size are available at any time, for the samples so far. Errors,
    biases and intervals need all K samples. Sums of weights are kept as logarithms, so weights of e^-1000 count
    correctly. Memory grows with the square root of K only, for the tail.

    Args:
      batch: B.
      iw_samples: K, the number of samples that will be added.
      sweep: numbers of samples, each at most K, at which log p(x) is recorded.
    """

    def __init__(self, batch: int, iw_samples: int, sweep: Sequence[int] = ()) -> None:
        self._iw_samples, self._taken, self._marks = iw_samples, 0, tuple(sweep)
        self._log_w, self._log_w2 = np.full(batch, -np.inf), np.full(batch, -np.inf)
        self._log_px, self._log_ratio = np.zeros(batch), np.zeros(batch)
        self._px_variance, self._w_variance = Variance(batch), Variance(batch)
        self._tail = np.empty([0, batch])
        self._bounds = np.arange(min(GROUPS, iw_samples) + 1) * iw_samples // min(GROUPS, iw_samples)
        self._groups = np.full([len(self._bounds) - 1, batch], -np.inf)
        self._group_sums = np.zeros([len(self._bounds) - 1, batch])
        self._recorded: dict[int, np.ndarray] = {}

    def add(self, log_px: np.ndarray, log_ratio: np.ndarray) -> None:
        """Add log p(x|z) and log p(z) - log q(z|x) of samples, each [S, B]. Samples beyond K are ignored."""
        left = self._iw_samples - self._taken
        log_px, log_ratio = (np.asarray(part[:left], np.float64) for part in (log_px, log_ratio))
        self._log_px += log_px.sum(axis=0)
        self._log_ratio += log_ratio.sum(axis=0)
        end = self._taken + len(log_px)
        log_w = log_px + log_ratio
        self._px_variance.add(log_px)
        self._w_variance.add(log_w)
        self._add_to_groups(log_w)
        marks = sorted({k - self._taken for k in self._marks if self._taken < k < end})
        for part in np.split(log_w, marks):
            self._add_weights(part)

    def _add_to_groups(self, log_w: np.ndarray) -> None:
        """Add the next log-weights [S, B] to the groups that they belong to."""
        if not len(log_w):
            return
        places = np.arange(self._taken, self._taken + len(log_w))
        groups, starts = np.unique(np.searchsorted(self._bounds, places, side="right") - 1, return_index=True)
        self._groups[groups] = np.logaddexp(self._groups[groups], np.logaddexp.reduceat(log_w, starts, axis=0))
        self._group_sums[groups] += np.add.reduceat(log_w, starts, axis=0)

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
    def elbo(self) -> np.ndarray:
        """The mean of log w, [B]."""
        return np.asarray((self._log_px + self._log_ratio) / self._taken)

    @property
    def elbo_error(self) -> np.ndarray:
        """The standard error of `elbo`, [B]. NaN for one sample, and if a weight is 0."""
        return self._w_variance.mean_error

    @property
    def distortion_error(self) -> np.ndarray:
        """The standard error of `distortion`, [B]. NaN for one sample, and if p(x|z) of a sample is 0."""
        return self._px_variance.mean_error

    @property
    def gap_error(self) -> np.ndarray:
        """The standard error of `log_likelihood - elbo`, [B], see `group_gap_error`. It needs all K samples."""
        return group_gap_error(self._groups, self._group_sums, np.diff(self._bounds))

    @property
    def ess(self) -> np.ndarray:
        """(sum w)^2 / sum w^2, [B]."""
        return np.asarray(np.clip(np.exp(2 * self._log_w - self._log_w2), 1, self._taken))

    @property
    def pareto_k(self) -> np.ndarray:
        """k̂ of the tail of the weights, [B]."""
        return pareto_k(self._tail)

    @property
    def spread(self) -> np.ndarray:
        """The Monte Carlo standard error of `log_likelihood`, [B], see `group_error`."""
        return group_error(self._groups, np.diff(self._bounds))

    @property
    def shortfall(self) -> np.ndarray:
        """How far `log_likelihood` lies below log p(x) in expectation, [B], see `group_bias`."""
        return group_bias(self._groups, np.diff(self._bounds))

    @property
    def interval(self) -> np.ndarray:
        """Bounds of a 90% interval for log p(x), [2, B]. NaN if the effective sample size is below 10.

        It extends to both the interval from the tail of the weights and that of a t distribution with the error of the
        groups. The tail covers large weights that are missing from the sample, the groups a few that are in it.
        """
        reach = scipy.special.stdtrit(max(1, len(self._groups) - 1), EACH_SIDE) * self.spread
        low, high = -reach, reach
        if len(self._tail) > SHORTEST_TAIL:
            from_tail = tail_bounds(self._tail, self._log_w, self._log_w2, self._taken)
            low, high = np.minimum(low, from_tail[0]), np.maximum(high, from_tail[1])
        return np.where(has_enough_samples(self.ess), self.log_likelihood + np.stack([low, high]), math.nan)
