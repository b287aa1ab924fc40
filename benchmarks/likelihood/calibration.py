"""Check the errors and intervals that estimates of log p(x) report, with repeats under other seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from benchmarks.likelihood.comparison import Clock, Example, Method, estimator_of, examples_of
from tfp_vae import VAE
from tfp_vae.core.seeds import Purpose, seed_for

REFERENCE = Method("mixture", 20_000)
"""The method whose estimates count as the truth, because it spends a hundred times as many samples."""

ENOUGH = 200
"""From this effective sample size on, the error of the reference is at most 0.07 nats and ignored."""

RESAMPLES = 1_000
"""Number of bootstrap samples of the examples, for the error of a ratio."""


@final
class Repeats(NamedTuple):
    """Estimates of N examples under R seeds, [R, N] each: log p(x), its error, and the ends of its interval."""

    values: np.ndarray
    spreads: np.ndarray
    low: np.ndarray
    high: np.ndarray


@final
class Calibration(NamedTuple):
    """How well one method reports its own errors on one model.

    method: its name and K.
    seeds, examples: R and N.
    spread: the spread of the mean of log p(x) over seeds, from the spread of each example, nats.
    error: the Monte Carlo error of the mean that the method reports, root mean square over seeds, nats.
    ratio_error: the standard error of spread / error, from a bootstrap over examples.
    shortfall: how far the mean lies below the reference, nats.
    bias: how far it says that it lies below log p(x), nats.
    unknown: the share of cases with an unknown interval.
    cases: the number of intervals with a reference to compare.
    covered: how many of them contain the reference.
    """

    method: str
    seeds: int
    examples: int
    spread: float
    error: float
    ratio_error: float
    shortfall: float
    bias: float
    unknown: float
    cases: int
    covered: int

    @property
    def ratio(self) -> float:
        """The spread divided by the reported error. Above 1 the error is too small."""
        return self.spread / self.error

    @property
    def coverage(self) -> float:
        """The share of intervals that contain the reference."""
        return self.covered / self.cases if self.cases else float("nan")


def reference(vae: VAE, x: np.ndarray, execution: str = "auto") -> list[Example]:
    """Return log p(x) of each example with much effort."""
    clock = Clock()
    estimator = estimator_of(vae, REFERENCE, len(x), execution)
    found = estimator(x, seed=seed_for(1_000_000, Purpose.EVALUATION))
    return examples_of(found.log_likelihood, found.spread, found.ess, clock)


def truth_of(examples: Sequence[Example]) -> np.ndarray:
    """Return log p(x) from the reference, [N]. NaN if even its effective sample size is too small."""
    return np.array([each.value if each.ess >= ENOUGH else np.nan for each in examples])


def repeat(vae: VAE, x: np.ndarray, method: Method, seeds: int, execution: str = "auto") -> tuple[Repeats, float]:
    """Return the estimates under some seeds, and the mean of the bias that they report."""
    estimator = estimator_of(vae, method, len(x), execution)
    found = [estimator(x, seed=seed_for(100 + seed, Purpose.EVALUATION)) for seed in range(seeds)]
    columns = ([getattr(each, name) for each in found] for name in ("log_likelihood", "spread", "low", "high"))
    return Repeats(*map(np.array, columns)), float(np.mean([each.shortfall for each in found]))


def spread_over_error(repeats: Repeats, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """Return the spread of the mean over seeds, the error that it reports, and the standard error of their ratio.

    Examples have independent samples, so the variance of the mean is the sum of their variances. This uses R - 1
    degrees of freedom for each example, while the spread of R means has R - 1 in all.
    """
    variances, squares = repeats.values.var(axis=0, ddof=1), (repeats.spreads**2).mean(axis=0)
    count = len(variances)
    rows = np.random.default_rng(0).integers(count, size=(resamples, count))
    ratios = np.sqrt(variances[rows].sum(axis=1) / squares[rows].sum(axis=1))
    return float(np.sqrt(variances.sum()) / count), float(np.sqrt(squares.sum()) / count), float(ratios.std(ddof=1))


def calibrate(method: Method, repeats: Repeats, bias: float, truth: np.ndarray) -> Calibration:
    """Return the calibration of a method, given its repeats [R, N], the bias it reports, and log p(x) [N]."""
    known = np.isfinite(repeats.low)
    compared = known & np.isfinite(truth)
    covered = compared & (repeats.low <= truth) & (truth <= repeats.high)
    spread, error, ratio_error = spread_over_error(repeats)
    return Calibration(
        method=str(method),
        seeds=len(repeats.values),
        examples=len(truth),
        spread=spread,
        error=error,
        ratio_error=ratio_error,
        shortfall=float(np.nanmean(truth - repeats.values.mean(axis=0))),
        bias=bias,
        unknown=float(1 - known.mean()),
        cases=int(compared.sum()),
        covered=int(covered.sum()),
    )
