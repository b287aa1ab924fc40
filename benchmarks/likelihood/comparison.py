"""Estimates of log p(x) by several methods on the same examples, with their errors and times, next to annealing."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from tfp_vae import VAE
from tfp_vae.core.seeds import Seed
from tfp_vae.evaluation.annealing import annealed_log_likelihood
from tfp_vae.evaluation.diagnostics import mean_error
from tfp_vae.evaluation.importance import Estimates, Estimator, summarize
from tfp_vae.evaluation.proposals import REFINEMENTS

UNREFINED_SAMPLES, REFINED_SAMPLES = 1_000, 200
"""K without refinement and with it. Refining costs about as much as 1,000 samples, so both take similar times."""

ERRORS = 2
"""An estimate agrees with annealing if it is lower by at most this many standard errors of the difference."""


@final
class Method(NamedTuple):
    """A way to estimate log p(x): a member of `REFINEMENTS` and the number of importance samples."""

    refine: str
    iw_samples: int

    def __str__(self) -> str:
        return f"{self.refine}, K = {self.iw_samples:,}"


def methods() -> list[Method]:
    """Return a method for each refinement of the library."""
    return [Method(name, UNREFINED_SAMPLES if name == "none" else REFINED_SAMPLES) for name in REFINEMENTS]


@final
class Comparison(NamedTuple):
    """The mean of log p(x) by one method, in nats.

    method: its name and K.
    mean: over the examples.
    error: its Monte Carlo error.
    bias: how far it lies below log p(x), as the method itself reports it. NaN for annealing and the reference.
    unknown: share of examples with an unknown error. NaN likewise.
    above: mean paired difference from annealing. NaN for annealing.
    above_error: its Monte Carlo error.
    cpu_seconds: CPU time of all threads without compilation.
    seconds: elapsed time without compilation.
    compile_seconds: elapsed time of the first batch. Most of it is compilation.
    """

    method: str
    mean: float
    error: float
    bias: float
    unknown: float
    above: float
    above_error: float
    cpu_seconds: float
    seconds: float
    compile_seconds: float

    @property
    def agrees(self) -> bool:
        """Whether the mean agrees with annealing or is higher. False for annealing itself."""
        return self.above >= -ERRORS * self.above_error


@final
class Clock:
    """Measures elapsed time and the CPU time of all threads of this process since it was made."""

    def __init__(self) -> None:
        self._seconds, self._cpu_seconds = time.perf_counter(), time.process_time()

    def times(self) -> tuple[float, float]:
        """Return the CPU time and the elapsed time so far, in seconds."""
        return time.process_time() - self._cpu_seconds, time.perf_counter() - self._seconds


@final
class Timed(NamedTuple):
    """Estimates with the CPU time and the elapsed time that they took, and the elapsed time of compilation."""

    estimates: Estimates
    cpu_seconds: float
    seconds: float
    compile_seconds: float


def estimator_of(vae: VAE, method: Method, batch_size: int, execution: str = "auto") -> Estimator:
    """Return the estimator of a method."""
    refine, iw_samples = method
    return Estimator(vae, iw_samples=iw_samples, refine=refine, batch_size=batch_size, execution=execution)


def estimate_in_time(
    vae: VAE, x: np.ndarray, method: Method, *, seed: Seed, batch_size: int | None = None, execution: str = "auto"
) -> Timed:
    """Return the estimates of x by a method. A first batch compiles, and its time is separate."""
    batch_size = batch_size or len(x)
    estimator, clock = estimator_of(vae, method, batch_size, execution), Clock()
    estimator(x[:batch_size], seed=seed)
    _, compile_seconds = clock.times()
    clock = Clock()
    estimates = estimator(x, seed=seed)
    return Timed(estimates, *clock.times(), compile_seconds)


@final
class Example(NamedTuple):
    """log p(x) of one example from much effort, in nats.

    value: the estimate.
    error: its Monte Carlo error.
    ess: the effective sample size. NaN for annealing.
    cpu_seconds, seconds: its share of the time, compilation included.
    """

    value: float
    error: float
    ess: float
    cpu_seconds: float
    seconds: float


def examples_of(values: np.ndarray, errors: np.ndarray, ess: np.ndarray, clock: Clock) -> list[Example]:
    """Return the estimates of N examples, each with the same share of the time since the clock was made."""
    cpu_seconds, seconds = (time / len(values) for time in clock.times())
    columns = zip(values.tolist(), errors.tolist(), ess.tolist(), strict=True)
    return [Example(*row, cpu_seconds, seconds) for row in columns]


def anneal(vae: VAE, x: np.ndarray, *, steps: int, chains: int, seed: Seed, execution: str = "auto") -> list[Example]:
    """Return the bound of annealing for each example."""
    clock = Clock()
    annealed = annealed_log_likelihood(vae, x, steps=steps, chains=chains, seed=seed, execution=execution)
    return examples_of(annealed.log_likelihood, annealed.error, np.full(len(x), math.nan), clock)


def compare(timed: Timed, method: Method, annealed: Sequence[Example]) -> Comparison:
    """Return the row of a method, given its estimates and the results of annealing for the same examples."""
    estimates = timed.estimates
    summary = summarize(estimates, 1, discrete=False)
    bounds, errors = np.array([each.value for each in annealed]), np.array([each.error for each in annealed])
    return Comparison(
        method=str(method),
        mean=summary.log_likelihood,
        error=summary.log_likelihood_mc_error,
        bias=summary.likely_bias,
        unknown=summary.error_unknown_share,
        above=float((estimates.log_likelihood - bounds).mean()),
        above_error=float(np.hypot(summary.log_likelihood_mc_error, mean_error(errors))),
        cpu_seconds=timed.cpu_seconds,
        seconds=timed.seconds,
        compile_seconds=timed.compile_seconds,
    )


def effort_row(name: str, examples: Sequence[Example], annealed: Sequence[Example] = ()) -> Comparison:
    """Return the row of much effort, whose time includes compilation, next to annealing if that is another effort."""
    values, errors = np.array([each.value for each in examples]), np.array([each.error for each in examples])
    error, above, above_error = mean_error(errors), math.nan, math.nan
    if annealed:
        above = float(values.mean() - np.mean([each.value for each in annealed]))
        above_error = float(np.hypot(error, mean_error(np.array([each.error for each in annealed]))))
    return Comparison(
        method=name,
        mean=float(values.mean()),
        error=error,
        bias=math.nan,
        unknown=math.nan,
        above=above,
        above_error=above_error,
        cpu_seconds=sum(each.cpu_seconds for each in examples),
        seconds=sum(each.seconds for each in examples),
        compile_seconds=math.nan,
    )
