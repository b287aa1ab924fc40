"""Outliers: rows that a score puts below a threshold."""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.anomalies import smallest_p_value, threshold

if TYPE_CHECKING:
    from tfp_vae.interop.sklearn.rows import Rows

__all__ = ["FALSE_ALARMS", "Outliers", "check_contamination", "held_out_threshold", "training_threshold"]

FALSE_ALARMS = 0.05
"""The rate of false alarms that `contamination="auto"` aims at."""


@check_keywords
class Outliers(OutlierMixin, abc.ABC):
    """Predictions of outliers from a score of each row and the threshold `offset_`."""

    offset_: float

    @abc.abstractmethod
    def score_samples(self, X: Rows) -> np.ndarray:  # noqa: N803
        """Return the score of each row, [N]. Outliers have low scores."""

    def _normal_scores(self, X: Rows) -> np.ndarray:  # noqa: N803
        """Return the score of each row that `offset_` limits, [N]. Outliers have low scores."""
        return self.score_samples(X)

    def decision_function(self, X: Rows) -> np.ndarray:  # noqa: N803
        """Return minus the anomaly score, less the threshold `offset_`, for each row, [N]. It is negative for outliers.

        By default, minus the anomaly score is log p(x) in nats.
        """
        check_is_fitted(self)
        if math.isnan(self.offset_):
            raise UsageError(
                "The threshold is unknown, because the data of the run could not be read. Set `offset_`, by default "
                "to a log p(x)."
            )
        return self._normal_scores(X) - self.offset_

    def predict(self, X: Rows) -> np.ndarray:  # noqa: N803
        """Return -1 for rows that are outliers and 1 for others, [N]."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def held_out_threshold(scores: np.ndarray) -> float:
    """Return the threshold from the scores of n rows that training did not fit.

    Rows up to the k-th lowest of these scores are outliers, k = max(1, floor(0.05 (n + 1))). If no two rows are equal,
    a new row of the same kind is among them with probability k / (n + 1), whatever the distribution of the scores. That
    is at most 5% from n = 19 on, and 1 / (n + 1) for fewer rows.

    References:
      Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world.
    """
    rate = max(FALSE_ALARMS, smallest_p_value(len(scores)))
    lowest = -threshold(-scores, rate)
    is_tied = np.sum(scores <= lowest) / (len(scores) + 1) > rate  # with rows beyond the k-th
    return float(lowest if is_tied else np.nextafter(lowest, np.inf))


def check_contamination(contamination: float | str) -> None:
    """Raise UsageError if a share of outliers is neither `auto` nor above 0 and at most 0.5."""
    is_share = isinstance(contamination, int | float | np.number) and 0 < contamination <= 0.5
    if contamination != "auto" and not is_share:
        raise UsageError(f"`contamination` must be `auto`, or above 0 and at most 0.5, found {contamination!r}.")


def training_threshold(scores: np.ndarray, contamination: float) -> float:
    """Return the threshold below which a share `contamination` of the rows lie."""
    return float(np.percentile(scores, 100 * contamination))
