"""The interface of anomaly scores: numbers that are higher for more unusual rows.

A score is a class with `values` and an entry in `SCORES`. It depends on the row alone, apart from a state that `fit`
learns once from rows which are neither scored nor used for p-values.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

import numpy as np

from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import check_keywords

if TYPE_CHECKING:
    from tfp_vae.evaluation.importance import Estimates
    from tfp_vae.model.vae import VAE

__all__ = ["LARGEST", "MOST_HELD_OUT", "Effort", "Evidence", "Reference", "Score", "State", "limit_scores"]

State: TypeAlias = "Mapping[str, np.ndarray]"
"""Arrays of one axis that a score learned from reference rows, by name."""

LARGEST = 1e300
"""Scores are limited to this size, so that a file can hold those of impossible rows."""

MOST_HELD_OUT = 2_000
"""Most held-out rows that are scored unless you choose another number."""


def limit_scores(values: np.ndarray) -> np.ndarray:
    """Return scores [N] of at most `LARGEST` in size. NaN is the most unusual."""
    finite = np.nan_to_num(values, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)
    return np.asarray(np.clip(finite, -LARGEST, LARGEST))


@check_keywords
class Effort(NamedTuple):
    """The settings that decide the estimates of a row, see `tv.evaluation.estimate`."""

    iw_samples: int = 100
    refine: str = "none"
    seed: int = 0
    execution: str = AUTO


@check_keywords
class Evidence(NamedTuple):
    """The estimates of N rows, from which all scores follow.

    x: the rows on the scale of the model, [N, *event_shape].
    estimates: of log p(x). Scores use neither errors nor diagnostics, which may be NaN.
    surprise: how many nats the score of each cell lies below a typical one of its column, [N, C]. None if no score
      needs it. NaN for missing cells.
    """

    x: np.ndarray
    estimates: Estimates
    surprise: np.ndarray | None = None


@check_keywords
class Reference(NamedTuple):
    """Rows that scores may learn from.

    train: rows of the training split, [M, *event_shape].
    evidence: of usual rows that training did not fit, if there are any.
    """

    train: np.ndarray
    evidence: Evidence


@check_keywords
class Score(abc.ABC):
    """A number for each row that is higher the more unusual the row is.

    A new one is a frozen dataclass with the decorator `core.registry.record`, and an entry in `SCORES`. Its
    keyword-only fields are settings.

    needs_reference: whether `fit` learns from reference rows.
    needs_cells: whether the score needs the surprise of each cell.
    """

    needs_reference: ClassVar[bool] = False
    needs_cells: ClassVar[bool] = False

    def check(self, vae: VAE) -> None:
        """Raise UsageError if this score does not apply to a model."""
        del vae

    def fit(self, vae: VAE, reference: Reference) -> State:
        """Return what the score learns from reference rows, by default nothing."""
        del vae, reference
        return {}

    @abc.abstractmethod
    def values(self, vae: VAE, evidence: Evidence, state: State) -> np.ndarray:
        """Return the score of each row, [N]. Higher is more unusual.

        Args:
          vae: the model.
          evidence: the estimates of the rows.
          state: from `fit`.
        """
