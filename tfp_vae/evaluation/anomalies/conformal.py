"""Conformal p-values: how unusual a score is among those of held-out rows, with a bound on false alarms.

A score is any function of a row that was fixed before the held-out rows were seen. Higher scores are more unusual. If a
new row and the n held-out rows are exchangeable, for example independent draws from one distribution, then

    p = (1 + number of held-out scores that are at least as high) / (n + 1),    P(p <= a) <= a for every a.

So flagging rows with p <= a gives false alarms at a rate of at most a, however good the model and the score are. The
probability is over the held-out rows too, so with other held-out rows the rate of one threshold varies around its mean.
The smallest p-value is 1 / (n + 1).

References:
  Vovk, Gammerman and Shafer (2005), Algorithmic learning in a random world.
  Bates, Candes, Lei, Romano and Sesia (2023), Testing for outliers with conformal p-values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tfp_vae.core.errors import UsageError, pick
from tfp_vae.core.registry import check_keywords

__all__ = ["MERGES", "merge_p_values", "p_values", "percentiles", "smallest_p_value", "threshold"]


@check_keywords
def p_values(scores: np.ndarray, held_out: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Return the conformal p-value of each score, [N]. Ties with held-out scores count against the row.

    ```python
    from tfp_vae.evaluation.anomalies import p_values

    p_values(np.array([9.0, 0.5]), np.array([1.0, 2.0, 3.0]))  # [0.25, 1.0]
    ```

    Args:
      scores: the scores of the rows, [N]. Higher ones are more unusual.
      held_out: the scores of held-out rows, [n].
      own: whether each row is itself one of the held-out rows, bool [N]. It is then compared with the others.

    Raises:
      UsageError: there is no held-out score.
    """
    own = np.zeros(len(scores), bool) if own is None else own
    ordered = np.sort(require_scores(held_out))
    as_high = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1 + as_high - own) / (len(ordered) + 1 - own))


@check_keywords
def percentiles(scores: np.ndarray, held_out: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Return the share of held-out scores below each score, in percent, [N]. The arguments are those of `p_values`."""
    own = np.zeros(len(scores), bool) if own is None else own
    ordered = np.sort(require_scores(held_out))
    others = np.maximum(len(ordered) - own, 1)  # the only held-out row is above none
    return np.asarray(100 * np.searchsorted(ordered, scores, side="left") / others)


@check_keywords
def smallest_p_value(count: int) -> float:
    """Return the smallest p-value that a row can have with `count` held-out rows, 1 / (count + 1)."""
    return 1 / (count + 1)


@check_keywords
def threshold(held_out: np.ndarray, contamination: float) -> float:
    """Return the score above which a row is flagged, so that its p-value is at most `contamination`.

    It is the k-th highest of n held-out scores, k = floor(contamination (n + 1)). It is inf if k is 0, because no
    p-value is that small.

    Args:
      held_out: the scores of held-out rows, [n].
      contamination: the largest rate of false alarms, above 0 and below 1.

    Raises:
      UsageError: there is no held-out score, or the rate is beyond its limits.
    """
    if not 0 < contamination < 1:
        raise UsageError(f"`contamination` must be above 0 and below 1, found {contamination:g}.")
    ordered = np.sort(require_scores(held_out))
    levels = np.arange(1, len(ordered) + 1) / (len(ordered) + 1)  # the p-values, so that rounding is the same
    k = int(np.sum(levels <= contamination))
    return float(ordered[-k]) if k else math.inf


def require_scores(held_out: np.ndarray) -> np.ndarray:
    """Return the held-out scores, or raise UsageError if there are none."""
    if not len(held_out):
        raise UsageError("p-values need the scores of held-out rows, found none.")
    return held_out


def harmonic(log_p: np.ndarray) -> np.ndarray:
    """Return the log of the harmonic mean of p times e log M, or times 2 if M = 2."""
    count = log_p.shape[1]
    factor = max(math.e * math.log(count), min(count, 2))
    return np.asarray(math.log(factor * count) - np.logaddexp.reduce(-log_p, axis=1))


def bonferroni(log_p: np.ndarray) -> np.ndarray:
    """Return the log of M times the smallest of p."""
    return np.asarray(math.log(log_p.shape[1]) + log_p.min(axis=1))


def arithmetic(log_p: np.ndarray) -> np.ndarray:
    """Return the log of the mean of p times 2, or of p itself if M = 1."""
    count = log_p.shape[1]
    return np.asarray(math.log(min(count, 2) / count) + np.logaddexp.reduce(log_p, axis=1))


MERGES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "harmonic": harmonic,
    "bonferroni": bonferroni,
    "arithmetic": arithmetic,
}
"""Functions from the logs of p-values [N, M] to the log of one p-value for each row, [N], before it is capped at 1.

They are valid however the M depend on each other. Logs represent p-values far below the smallest float.
"""


@check_keywords
def merge_p_values(p: np.ndarray, merge: str = "harmonic") -> np.ndarray:
    """Return one p-value for each row from several, [N]. It is valid under any dependence between them.

    The factors make P(merged <= a) <= a for every joint distribution of p-values, so nobody has to know how the scores
    depend on each other. The harmonic mean has more power than Bonferroni if several p-values are small.

    Args:
      p: p-values above 0, [N, M].
      merge: a name from `MERGES`.

    References:
      Vovk and Wang (2020), Combining p-values via averaging.
    """
    return np.asarray(np.exp(np.minimum(0, pick(MERGES, merge, "merge")(np.log(p)))))
