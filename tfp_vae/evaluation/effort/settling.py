"""log p(x) to a given accuracy, with more effort for the examples that need it.

For most examples a few importance samples from the encoder's q(z|x) are enough. `settle` takes pilot samples of each
example, which show how many samples it needs. If those are too many, a refined proposal is cheaper, so the example goes
on to the next proposal. The estimate itself always comes from new samples, never from those of a pilot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, final

import numpy as np

from tfp_vae.core.batch import Batch
from tfp_vae.core.display import plural
from tfp_vae.core.errors import UsageError, require
from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Array, Seed
from tfp_vae.evaluation.effort.blocks import NO_BLOCKS, Blocks
from tfp_vae.evaluation.importance import Estimates, Estimator, Progress
from tfp_vae.evaluation.proposals import REFINEMENTS
from tfp_vae.evaluation.proposals.base import require_density
from tfp_vae.model.vae import VAE

__all__ = ["AS_NEEDED", "RUNGS", "Effort", "Rung", "Settled", "Stages", "check_accuracy", "samples_for", "settle"]

Stages: TypeAlias = Callable[[str, int], AbstractContextManager[Progress]]
"""Starts a stage with a name and an amount of work, and yields a function to call with the amount just done."""

AS_NEEDED = "as-needed"
"""The name of the refinement in results with a given accuracy, because each example has its own."""

PILOT = 200
"""Samples of each example that show how many it needs."""

SIZES = (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)
"""Numbers of samples to choose from."""

MARGIN = 1.5
"""Factor on the number of samples, because an interval that is just short enough on average is often too long."""


class Rung(NamedTuple):
    """A proposal, and the most samples that are taken from it before the next proposal is tried.

    refine: how the proposal is fitted to each example, a name from `REFINEMENTS` with settings.
    most_samples: more samples than these would cost more than the next proposal.
    examples_at_once: most examples in a batch, whose last one is padded. Few if the samples are expensive, because few
      examples are left then.
    """

    refine: str
    most_samples: int
    examples_at_once: int = 1_000_000


RUNGS = (
    Rung("none", 2_000),
    Rung("local", 5_000),
    Rung("laplace", 20_000),
    Rung("mixture:steps=200", 20_000),
    Rung("annealed", 5_000, 4),
)
"""The proposals in the order of their cost."""


class Effort(NamedTuple):
    """One way to estimate log p(x).

    refine: how the proposal is fitted to each example, a name from `REFINEMENTS` with settings.
    iw_samples: K, the number of importance samples.
    """

    refine: str
    iw_samples: int

    def __str__(self) -> str:
        proposal = "the encoder's q(z|x)" if self.refine == "none" else f"proposals refined by {self.refine}"
        return f"{self.iw_samples:,} samples from {proposal}"


@final
@check_keywords
@dataclass(frozen=True, eq=False, repr=False)
class Settled:
    """Estimates of log p(x) for N examples, each from the last effort that it needed.

    ```python
    found = tv.evaluation.settle(vae, x[:4], accuracy=1.0, seed=(0, 3), execution="graph")
    found.values, found.unsettled  # [4] nats, and the indices of examples whose interval is too long or unknown
    print(found)  # how many examples each effort settled
    ```

    estimates: the estimates. `low` and `high` are the ends of their 90% intervals.
    efforts: the efforts that were made, in the order of their cost.
    last: the index of each example's last effort, [N].
    accuracy: the accuracy that was asked for, in nats.
    """

    estimates: Estimates
    efforts: tuple[Effort, ...]
    last: np.ndarray
    accuracy: float

    @property
    def values(self) -> np.ndarray:
        """The estimate of log p(x), in nats, [N]."""
        return self.estimates.log_likelihood

    @property
    def settled(self) -> np.ndarray:
        """Whether both ends of each interval lie within the accuracy of the estimate, bool [N]."""
        return is_within(self.estimates, self.accuracy)

    @property
    def unsettled(self) -> np.ndarray:
        """The indices of the examples that no effort could settle."""
        return np.flatnonzero(~self.settled)

    @property
    def iw_samples(self) -> np.ndarray:
        """K of each example, [N]."""
        return np.asarray([self.efforts[i].iw_samples for i in self.last])

    @property
    def refinements(self) -> np.ndarray:
        """The refinement of each example's proposal, with its settings, [N]."""
        return np.asarray([self.efforts[i].refine for i in self.last])

    @property
    def counts(self) -> dict[Effort, tuple[int, int]]:
        """The number of examples whose last effort each one was, and the number of those that it settled."""
        chosen = {effort: self.last == i for i, effort in enumerate(self.efforts)}
        return {effort: (int(rows.sum()), int((rows & self.settled).sum())) for effort, rows in chosen.items()}

    def rescale(self, log_scale: float) -> Settled:
        """Return the same for values x = a y + b, see `Estimates.rescale`."""
        return Settled(self.estimates.rescale(log_scale), self.efforts, self.last, self.accuracy)

    def __len__(self) -> int:
        return len(self.last)

    def __str__(self) -> str:
        parts = [f"{count:,} with {effort}" for effort, (_, count) in self.counts.items() if count]
        done = f"log p(x) is known to {self.accuracy:g} nats for {int(self.settled.sum()):,} of "
        done += f"{plural(len(self), 'example')}{': ' if parts else ''}{', '.join(parts)}."
        left = len(self.unsettled)
        return f"{done} {left:,} could not be settled." if left else done

    def __repr__(self) -> str:
        return f"Settled({self})"


def check_accuracy(accuracy: float, *, alone: bool = True) -> None:
    """Raise UsageError if an accuracy is not a positive number of nats, or if its effort is also given.

    Args:
      accuracy: in nats.
      alone: whether `iw_samples` and `refine` have their defaults.
    """
    if not (math.isfinite(accuracy) and accuracy > 0):
        raise UsageError(f"`accuracy` must be a positive number of nats, found {accuracy}.")
    if not alone:
        raise UsageError("`accuracy` chooses `iw_samples` and `refine` for each example. Leave them out.")


@check_keywords
def settle(
    vae: VAE,
    x: Array | Batch,
    *,
    accuracy: float = 0.1,
    seed: Seed,
    rungs: Sequence[Rung] | None = None,
    places: np.ndarray | None = None,
    batch_size: int = 32,
    chunk_size: int | None = None,
    execution: str = AUTO,
    stages: Stages = lambda name, total: nullcontext(lambda done: None),
    blocks: Blocks = NO_BLOCKS,
) -> Settled:
    """Return estimates of log p(x) whose 90% intervals end within `accuracy` nats of the estimate.

    For each example, 200 pilot samples show how many samples K it needs, from 200 to 20,000. The estimate comes from K
    new samples. If K is too large for a proposal, or unknown because the effective sample size is below 10, the example
    goes on to the next proposal: the encoder's q(z|x), then `local`, `laplace`, `mixture` with 200 steps, and
    `annealed`. A sample of the last one costs about 80 passes of the decoder, so few examples should be left for it.
    Proposals that the model does not support are left out. After the last one, the remaining examples are not settled.

    A pilot and the samples after it are independent, so the choice of K adds no bias to the estimate of p(x). An
    example whose interval is still too long gets another estimate. Stopping by the interval favours examples whose
    largest weights were missed, and the interval allows for such weights.

    A proposal can miss a mode of p(z|x) that an earlier one covered, and then its interval is too low. So each interval
    extends at least up to the low ends of the earlier ones, and an example whose proposals disagree goes on.

    The result of an example depends on the seed and its place only, not on other examples or on batch and chunk sizes.

    Args:
      vae: the model.
      x: examples, [N, *event_shape].
      accuracy: the largest distance of an end of the interval from the estimate, in nats.
      seed: a stateless seed, two integers.
      rungs: proposals in the order of their cost, by default `RUNGS`.
      places: non-negative integers [N] that select each example's draws, by default its index in x.
      batch_size: examples evaluated at once.
      chunk_size: samples per example decoded at once, at most 100. By default all that fit into memory.
      execution: `auto`, `xla`, `graph` or `eager`. They draw different numbers from one seed.
      stages: called at the start of each stage with its name and its number of samples, to report progress.
      blocks: keeps finished batches, so that the same call continues after an interrupt.

    Raises:
      UsageError: `accuracy` is not positive, there is no example, or the model supports none of the proposals.
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
      RunError: memory is too small even for one sample at a time.
    """
    require(VAE, vae, "settle: vae")
    check_accuracy(accuracy)
    batch = vae.batch(x, "Importance sampling")
    count = len(batch.x)
    found = rungs_for(vae, RUNGS if rungs is None else rungs)

    def estimate(effort: Effort, rows: np.ndarray, name: str, *indices: int) -> Estimates:
        estimator = Estimator(
            vae,
            iw_samples=effort.iw_samples,
            refine=effort.refine,
            batch_size=min(batch_size, found[indices[0]].examples_at_once, max(1, count)),
            chunk_size=chunk_size,
            execution=execution,
        )
        part = blocks.within(f"proposal {indices[0]}, {effort.refine}/{name}")
        with stages(f"{name}: {plural(len(rows), 'example')}, {effort}", len(rows) * effort.iw_samples) as progress:
            return estimator(batch, seed=fold(seed, *indices), rows=rows, places=places, progress=progress, blocks=part)

    return _Search(estimate, found, count, accuracy).run()


def rungs_for(vae: VAE, rungs: Sequence[Rung]) -> list[Rung]:
    """Return the rungs whose refinements work with the families of a model.

    Raises:
      UsageError: there is none.
    """
    problems = [problem_with(vae, rung) for rung in rungs]
    found = [rung for rung, problem in zip(rungs, problems, strict=True) if problem is None]
    if not found:
        raise next(filter(None, problems), UsageError("`rungs`: expected at least one, found none."))
    return found


def problem_with(vae: VAE, rung: Rung) -> UsageError | None:
    """Return the reason why a model does not support the refinement of a rung, or None."""
    try:
        require_density(vae)
        REFINEMENTS.resolve(rung.refine).check(vae)
    except UsageError as error:
        return error
    return None


def samples_for(reach: np.ndarray, samples: int, accuracy: float) -> np.ndarray:
    """Return how many samples bring the reach of intervals [N] down to the accuracy, [N].

    The reach falls with the square root of the number of samples. An unknown reach needs infinitely many.

    ```python
    from tfp_vae.evaluation.effort.settling import samples_for

    samples_for(np.array([0.2, np.nan]), 200, accuracy=0.1)  # [1200, inf]
    ```

    Args:
      reach: see `Estimates.reach`.
      samples: the number of samples that gave it.
      accuracy: in nats.
    """
    return np.where(np.isnan(reach), math.inf, MARGIN * samples * (reach / accuracy) ** 2)


def sizes_up_to(most: int) -> list[int]:
    """Return the numbers of samples to choose from, in order. The last one is `most`."""
    return [*(size for size in SIZES if size < most), most]


def is_within(estimates: Estimates, accuracy: float) -> np.ndarray:
    """Return whether both ends of each interval lie within the accuracy of the estimate, bool [N].

    An unknown interval does not.
    """
    return np.asarray(estimates.reach <= accuracy)  # false for NaN


@final
class _Search:
    """Tries one proposal after the other, and one number of samples after the other, on the examples that are open.

    Args:
      estimate: returns the estimates of some rows with an effort. Its name and indices tell its draws apart.
      rungs: the proposals.
      count: N, the number of examples.
      accuracy: in nats.
    """

    def __init__(self, estimate: Callable[..., Estimates], rungs: Sequence[Rung], count: int, accuracy: float) -> None:
        self._estimate, self._rungs, self._accuracy = estimate, rungs, accuracy
        self._efforts = [Effort(rung.refine, size) for rung in rungs for size in sizes_up_to(rung.most_samples)]
        self._open, self._last = np.ones(count, bool), np.zeros(count, int)
        self._floor = np.full(count, -math.inf)  # the highest low end of the intervals of each example so far
        self._parts: list[tuple[np.ndarray, Estimates]] = []

    def run(self) -> Settled:
        """Return the result after as many proposals as it takes."""
        if not len(self._open):
            raise UsageError("expected at least one example, found none.")
        for i in range(len(self._rungs)):
            if self._open.any():
                self._climb(i)
        return Settled(Estimates.join(len(self._open), self._parts), tuple(self._efforts), self._last, self._accuracy)

    def _climb(self, i: int) -> None:
        """Take pilot samples of the open examples with proposal i, then as many samples as each needs.

        Sizes rise, so an example whose interval is still too long is tried again in the same pass. With the last
        proposal, an example that needs too many samples gets the most that are allowed.
        """
        refine, most, _ = self._rungs[i]
        limit = most if i == len(self._rungs) - 1 else math.inf
        needed, rows = np.zeros(len(self._open)), np.flatnonzero(self._open)
        pilot = self._check(rows, self._estimate(Effort(refine, PILOT), rows, "pilot", i, 0))
        needed[rows] = samples_for(pilot.reach, PILOT, self._accuracy)
        for size in sizes_up_to(most):
            rows = np.flatnonzero(self._open & (np.minimum(needed, limit) <= size))
            if len(rows):
                effort = Effort(refine, size)
                part = self._check(rows, self._estimate(effort, rows, f"{size:,} samples", i, size))
                self._parts.append((rows, part))
                self._last[rows] = self._efforts.index(effort)
                self._open[rows] = ~is_within(part, self._accuracy)
                needed[rows] = samples_for(part.reach, size, self._accuracy)

    def _check(self, rows: np.ndarray, part: Estimates) -> Estimates:
        """Return estimates of some rows whose intervals extend at least up to the low ends of earlier ones."""
        checked = part._replace(high=np.maximum(part.high, self._floor[rows]))
        self._floor[rows] = np.fmax(self._floor[rows], part.low)  # ignores unknown ends
        return checked
