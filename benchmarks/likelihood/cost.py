"""Time of refined and unrefined estimates of the same images, which take turns in one process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np

from benchmarks.likelihood.comparison import REFINED_SAMPLES, Clock, Example, Method, estimator_of
from tfp_vae import VAE
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.evaluation.diagnostics import mean_error
from tfp_vae.evaluation.importance import Estimates

IMAGES, BLOCK = 500, 50
"""Number of images, and of those in one turn of a method."""

UNREFINED = Method("none", 5_000)
"""The method whose time counts as 1."""

REFINED = ("laplace", "local", "local:samples=4")
"""The refinements to time, with K = 200."""

STEPS, CHAINS = 1_000, 8
"""The steps and the chains of annealing."""


def methods() -> list[Method]:
    """Return the methods whose times are compared."""
    return [UNREFINED, *(Method(name, REFINED_SAMPLES) for name in REFINED)]


@final
class Cost(NamedTuple):
    """The estimates of one method, and its time.

    method: its name and K, or annealing.
    images: the number of images.
    mean, error: the mean of log p(x) with its Monte Carlo error, nats.
    unknown: the share of images with an unknown error. NaN for annealing.
    above: the mean paired difference from annealing of the same images, nats.
    above_error: its Monte Carlo error.
    cpu_seconds, seconds: CPU time and elapsed time of all images.
    share: the CPU time of an image over that of `UNREFINED`, as the quartiles of the turns.
    """

    method: str
    images: int
    mean: float
    error: float
    unknown: float
    above: float
    above_error: float
    cpu_seconds: float
    seconds: float
    share: tuple[float, float, float]


@final
class Turns(NamedTuple):
    """The estimates of one method, and the CPU time and the elapsed time of each turn, [T, 2]."""

    estimates: Estimates
    times: np.ndarray


def take_turns(
    vae: VAE, x: np.ndarray, methods: list[Method], block: int = BLOCK, execution: str = "auto"
) -> dict[Method, Turns]:
    """Return the estimates and times of the methods, which take turns on blocks of images.

    All methods are compiled before the first turn. Another load on the machine affects all of them.
    """
    estimators = {method: estimator_of(vae, method, block, execution) for method in methods}
    seed, whole = seed_for(0, Purpose.EVALUATION), len(x) // block * block
    for estimator in estimators.values():
        estimator(x[:block], seed=seed)
    parts: dict[Method, list[Estimates]] = {method: [] for method in methods}
    times: dict[Method, list[tuple[float, float]]] = {method: [] for method in methods}
    for start in range(0, whole, block):
        for method, estimator in estimators.items():
            clock = Clock()
            parts[method].append(estimator(x[start : start + block], seed=seed, places=np.arange(start, start + block)))
            times[method].append(clock.times())
    return {
        method: Turns(Estimates(*map(np.concatenate, zip(*parts[method], strict=True))), np.array(times[method]))
        for method in methods
    }


def costs(turns: dict[Method, Turns], annealed: Sequence[Example]) -> list[Cost]:
    """Return a row for each method and one for annealing of the images. `UNREFINED` is among the methods."""
    base, count = turns[UNREFINED].times, len(annealed)
    bounds, errors = np.array([each.value for each in annealed]), np.array([each.error for each in annealed])
    rows = []
    for method, (estimates, times) in turns.items():
        first = estimates.log_likelihood[:count], estimates.spread[:count]
        rows.append(
            Cost(
                method=str(method),
                images=len(estimates.log_likelihood),
                mean=float(estimates.log_likelihood.mean()),
                error=mean_error(estimates.spread),
                unknown=float(np.mean(~estimates.known)),
                above=float((first[0] - bounds).mean()),
                above_error=float(np.hypot(mean_error(first[1]), mean_error(errors))),
                cpu_seconds=float(times[:, 0].sum()),
                seconds=float(times[:, 1].sum()),
                share=_quartiles(times[:, 0] / base[:, 0]),
            )
        )
    cpu_seconds, seconds = sum(each.cpu_seconds for each in annealed), sum(each.seconds for each in annealed)
    share = cpu_seconds / count / (float(base[:, 0].sum()) / rows[0].images)
    last = Cost(
        method=f"annealing, {STEPS:,} steps, {CHAINS} chains",
        images=count,
        mean=float(bounds.mean()),
        error=mean_error(errors),
        unknown=math.nan,
        above=math.nan,
        above_error=math.nan,
        cpu_seconds=cpu_seconds,
        seconds=seconds,
        share=(share, share, share),
    )
    return [*rows, last]


def _quartiles(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return low, middle, high
