"""How well scores rank anomalies above usual rows: AUROC and average precision, with standard errors."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator

__all__ = ["Ranking", "auroc", "average_precision", "rank_anomalies"]

RESAMPLES = 200
"""Bootstrap resamples for the error of the average precision."""


@check_keywords
class Ranking(NamedTuple):
    """How well a score ranks anomalies above usual rows. A single anomaly or usual row makes the errors NaN.

    auroc: the probability that an anomaly has a higher score than a usual row. Ties count half. Chance is 0.5.
    auroc_se: its standard error by DeLong's method.
    average_precision: the mean precision at the scores of the anomalies. Chance is their share.
    average_precision_se: its standard error from 200 bootstrap resamples of both groups.
    """

    auroc: float
    auroc_se: float
    average_precision: float
    average_precision_se: float


@check_keywords
def rank_anomalies(scores: np.ndarray, anomalous: np.ndarray) -> Ranking:
    """Return how well scores rank anomalies above usual rows.

    ```python
    from tfp_vae.evaluation.anomalies import rank_anomalies

    rank_anomalies(np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, False, True, False])).auroc  # 1.0
    ```

    Args:
      scores: [N]. Higher is more unusual.
      anomalous: whether each row is an anomaly, bool [N].

    Raises:
      UsageError: there are no anomalies, or no usual rows.

    References:
      DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated receiver operating
      characteristic curves.
    """
    if anomalous.all() or not anomalous.any():
        missing = "usual rows" if anomalous.all() else "anomalies"
        raise UsageError(f"A ranking needs anomalies and usual rows, found no {missing}.")
    area, error = auroc(scores, anomalous)
    precision = average_precision(scores, anomalous)
    if math.isnan(error):
        return Ranking(area, error, precision, math.nan)
    draw, groups = generator(FIXED_SEED, Purpose.SUBSET, 4), (np.flatnonzero(anomalous), np.flatnonzero(~anomalous))
    resampled = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([draw.choice(group, len(group)) for group in groups])
        resampled.append(average_precision(scores[rows], anomalous[rows]))
    return Ranking(area, error, precision, float(np.std(resampled, ddof=1)))


def auroc(scores: np.ndarray, anomalous: np.ndarray) -> tuple[float, float]:
    """Return the area under the receiver operating characteristic, and its standard error by DeLong's method."""
    high, low = np.sort(scores[anomalous]), np.sort(scores[~anomalous])
    above = (np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")) / (2 * len(low))
    below = 1 - (np.searchsorted(high, low, "left") + np.searchsorted(high, low, "right")) / (2 * len(high))
    if min(len(high), len(low)) < 2:
        return float(above.mean()), math.nan
    variance = above.var(ddof=1) / len(high) + below.var(ddof=1) / len(low)
    return float(above.mean()), math.sqrt(variance)


def average_precision(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Return sum_i (recall_i - recall_(i-1)) precision_i over the distinct scores, the highest first."""
    order = np.argsort(-scores, kind="stable")
    found, ordered = np.cumsum(anomalous[order]), scores[order]
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # of each group of ties
    precision, recall = found[last] / (last + 1), found[last] / found[-1]
    return float(np.sum(np.diff(recall, prepend=0) * precision))
