"""The anomaly score of an estimator, fitted to training rows."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, final

import numpy as np

from tfp_vae.core.registry import Member
from tfp_vae.core.seeds import seed_for_evaluation
from tfp_vae.evaluation.anomalies import Evidence, LogLikelihood, Reference, Score, State
from tfp_vae.evaluation.anomalies.base import limit_scores
from tfp_vae.evaluation.importance import FEW, slices
from tfp_vae.interop.sklearn.outliers import held_out_threshold
from tfp_vae.interop.sklearn.rows import BLOCK
from tfp_vae.runs.anomalies import MOST_REFERENCE, sample_rows
from tfp_vae.runs.tables.unusual import find_unusual_cells

if TYPE_CHECKING:
    from tfp_vae.interop.sklearn.fitted import Fitted

__all__ = ["FittedScore", "HeldOutThreshold"]


@final
@dataclasses.dataclass(frozen=True, eq=False)
class FittedScore:
    """An anomaly score, ready for new rows.

    score: the score. Higher is more unusual.
    state: the state that the score has learned from training rows.
    like: rows whose holes are usual, or None if no score of cells is needed.
    """

    score: Score = dataclasses.field(default_factory=LogLikelihood)
    state: State = dataclasses.field(default_factory=dict)
    like: np.ndarray | None = None

    @classmethod
    def learn(
        cls, fitted: Fitted, score: Score, train: np.ndarray, *, iw_samples: int, refine: Member | str
    ) -> FittedScore:
        """Return a score that has learned from scaled training rows [M, C], as far as it needs any.

        The held-out rows are left for the threshold, so that they are as new to the score as other rows are.

        Args:
          fitted: the trained model.
          score: from `SCORES`.
          train: the training rows.
          iw_samples, refine: see `evaluation.estimate`.
        """
        some = train[sample_rows(len(train), MOST_REFERENCE, 6)]
        like = some if score.needs_cells else None
        untaught = cls(score, {}, like)
        if not score.needs_reference:
            return untaught
        evidence = untaught.observe(fitted, some, iw_samples=iw_samples, refine=refine)
        with fitted.engine.hold(fitted.weights) as vae:
            return cls(score, score.fit(vae, Reference(train, evidence)), like)

    def values(self, fitted: Fitted, x: np.ndarray, *, iw_samples: int, refine: Member | str) -> np.ndarray:
        """Return the score of each scaled row of x [N, C], [N]. Memory does not grow with N unless cells are scored."""
        parts = [x] if self.score.needs_cells else [x[part] for part in slices(len(x), BLOCK)]
        batch_size, found = fitted.rows_at_once(len(x), refine), []
        for part in parts:
            evidence = self.observe(fitted, part, iw_samples=iw_samples, refine=refine, batch_size=batch_size)
            with fitted.engine.hold(fitted.weights) as vae:
                found.append(limit_scores(self.score.values(vae, evidence, self.state)))
        return np.concatenate(found)

    def observe(
        self, fitted: Fitted, x: np.ndarray, *, iw_samples: int, refine: Member | str, batch_size: int = FEW
    ) -> Evidence:
        """Return the estimates of scaled rows, and the surprise of their cells if the score needs it."""
        estimates = fitted.estimate(x, iw_samples=iw_samples, refine=refine, batch_size=batch_size)
        if not self.score.needs_cells:
            return Evidence(x, estimates)
        names, seed = fitted.config.data.features or (), seed_for_evaluation(0)
        with fitted.engine.hold(fitted.weights) as vae:
            cells = find_unusual_cells(
                vae,
                x,
                names,
                like=self.like,
                seed=seed,
                execution=fitted.execution,
                iw_samples=iw_samples,
                refine=refine,
            )
        return Evidence(x, estimates, cells.surprise)


@final
@dataclasses.dataclass(frozen=True, eq=False)
class HeldOutThreshold:
    """The threshold from the held-out rows of a fit. It is computed when it is first needed, because scoring traces.

    fitted: the trained model.
    iw_samples, refine: see `evaluation.estimate`.
    """

    fitted: Fitted
    iw_samples: int
    refine: Member | str

    @functools.cached_property
    def value(self) -> float:
        """The threshold, NaN without held-out rows."""
        x = self.fitted.held_out
        if x is None:
            return np.nan
        scores = self.fitted.anomalies.values(self.fitted, x, iw_samples=self.iw_samples, refine=self.refine)
        return held_out_threshold(-scores)
