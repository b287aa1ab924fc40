"""The history of a training: one record per epoch, and why the training ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, final, overload

import numpy as np

from tfp_vae.core.display import plural, table
from tfp_vae.core.registry import check_keywords

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Best", "Epoch", "History", "Snapshot", "Terms", "Totals", "Validation", "best_epoch"]


@check_keywords
class Terms(NamedTuple):
    """The ELBO and its two terms, in nats per example: elbo = -distortion - rate, whatever the objective."""

    elbo: float
    distortion: float
    rate: float

    def rescale(self, log_scale: float) -> Terms:
        """Return the terms of values x = a y + b, given those of y and log_scale = sum_i log |a_i|, in nats."""
        return Terms(self.elbo - log_scale, self.distortion + log_scale, self.rate)


@check_keywords
class Validation(NamedTuple):
    """Means over held-out data, in nats per example.

    elbo, distortion, rate: the ELBO and its two terms, whatever the objective.
    bound: the bound that training maximizes. It is the ELBO itself under estimators of the ELBO.
    """

    elbo: float
    distortion: float
    rate: float
    bound: float

    def rescale(self, log_scale: float) -> Validation:
        """Return the means of values x = a y + b, given those of y and log_scale = sum_i log |a_i|, in nats."""
        elbo, distortion, rate, bound = self
        return Validation(elbo - log_scale, distortion + log_scale, rate, bound - log_scale)


@check_keywords
class Totals(NamedTuple):
    """Sums of batch means in nats, over the steps of an epoch so far.

    One compiled call passes them to the next, so an epoch's averages do not depend on how its steps are divided.
    """

    steps: int = 0
    distortion: float = 0.0
    rate: float = 0.0

    def mean(self) -> Terms:
        """Return the averages over the steps. They are NaN if there was no step."""
        steps = self.steps or math.nan
        return Terms(-(self.distortion + self.rate) / steps, self.distortion / steps, self.rate / steps)


@check_keywords
class Epoch(NamedTuple):
    """The record of one epoch.

    epoch: its number, counted from 1.
    step: the number of steps since training began.
    elbo, distortion, rate: means over the epoch's steps, in nats per example.
    validation_elbo, validation_distortion, validation_rate: means over the validation data after the epoch, in nats
      per example. NaN without validation data.
    validation_bound: the mean over these data of the bound that training maximizes. The best epoch has the greatest.
    learning_rate: at the last step.
    seconds: the epoch's time, validation included.
    """

    epoch: int
    step: int
    elbo: float
    distortion: float
    rate: float
    validation_elbo: float
    validation_distortion: float
    validation_rate: float
    validation_bound: float
    learning_rate: float
    seconds: float

    @property
    def train(self) -> Terms:
        """Means over the epoch's steps."""
        return Terms(self.elbo, self.distortion, self.rate)

    @property
    def validation(self) -> Terms:
        """Means over the validation data."""
        return Terms(self.validation_elbo, self.validation_distortion, self.validation_rate)


class Best(NamedTuple):
    """The weights after the epoch with the greatest validation bound so far.

    step: the number of steps taken by then.
    bound: that epoch's validation bound, in nats per example.
    variables: the weights in use, by name, see `State`.
    """

    step: int
    bound: float
    variables: Mapping[str, np.ndarray]


@check_keywords
class Snapshot(NamedTuple):
    """All that a training needs to continue, as copies.

    Seeds and schedules follow from the step, so they are not here.

    step: the number of steps taken.
    totals: sums over the steps of the epoch that has begun.
    variables: weights, optimizer and averages, by name, see `State`.
    seconds: the time that the epoch has taken so far.
    epochs: records of the finished epochs.
    best: the best weights, if a `BestWeights` callback keeps them.
    data: the digest of the data and their dequantization, or "" if the caller of `fit` compares them.
    """

    step: int
    totals: Totals
    variables: Mapping[str, np.ndarray]
    seconds: float = 0.0
    epochs: tuple[Epoch, ...] = ()
    best: Best | None = None
    data: str = ""


def best_epoch(epochs: Iterable[Epoch]) -> int:
    """Return the number of the epoch with the greatest finite validation bound, or 0 if there is none.

    The bound is that of the objective. Under `IWAE`, for example, the ELBO may fall while the bound rises. Of equal
    values the first counts, because later epochs cost more training for the same result.
    """
    bounds = {each.epoch: each.validation_bound for each in epochs if math.isfinite(each.validation_bound)}
    return max(bounds, key=lambda epoch: bounds[epoch], default=0)


@final
@check_keywords
@dataclass(repr=False)
class History:
    """One `Epoch` per finished epoch, and how training ended.

    It behaves like a sequence, shows a table in a notebook, and converts to a pandas DataFrame.

    ```python
    history = tv.fit(vae, x, epochs=2, execution="graph")
    len(history), history[-1].elbo  # 2 epochs, and the last one's ELBO in nats per example
    history.to_frame()["elbo"]  # a column for each field of an epoch
    history.ended  # "all 2 epochs"
    ```

    epochs: the records.
    ended: why training ended, or "" while it runs.
    finished: whether it reached its end, rather than being interrupted.
    snapshot: the state at the end, from which training can continue.
    remarks: sentences about the trained model, for example that it overfits.
    """

    epochs: list[Epoch] = field(default_factory=list)
    ended: str = ""
    finished: bool = False
    snapshot: Snapshot | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.epochs)

    def __iter__(self) -> Iterator[Epoch]:
        return iter(self.epochs)

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Epoch]: ...
    def __getitem__(self, index: int | slice) -> Epoch | Sequence[Epoch]:
        return self.epochs[index]

    def __repr__(self) -> str:
        return f"History({plural(len(self), 'epoch')}{f', ended: {self.ended}' if self.ended else ''})"

    def _repr_html_(self) -> str:
        if not self.epochs:
            return table(repr(self), [("epochs", 0)])
        last, best = self.epochs[-1], self.best_epoch
        rows: list[tuple[str, Any]] = [
            ("ended", self.ended or "still training"),
            ("steps", f"{last.step:,}"),
            ("ELBO of the last epoch, nats", f"{last.elbo:.2f}"),
            ("validation ELBO, nats", f"{last.validation_elbo:.2f}"),
            ("best epoch", f"{best}, {self.epochs[best - 1].validation_bound:.2f} nats" if best else "none"),
            ("seconds", f"{sum(each.seconds for each in self.epochs):.1f}"),
            *(("remark", remark) for remark in self.remarks),
        ]
        return table(f"History of {plural(len(self), 'epoch')}", rows)

    @property
    def best_epoch(self) -> int:
        """The number of the epoch with the greatest finite validation bound, or 0 if there is none."""
        return best_epoch(self.epochs)

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per epoch, indexed by the epoch's number."""
        import pandas as pd

        return pd.DataFrame(self.epochs, columns=list(Epoch._fields)).set_index("epoch")
