"""Anomaly scores, and p-values that bound their false alarms.

`base` defines the interface, and `scores` and `combined` hold the scores. Higher is more unusual, for every score.
`conformal` turns scores into p-values and thresholds, and `ranking` measures scores against known anomalies. To add a
score, write a frozen dataclass that subclasses `Score` and add it to `SCORES`.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.evaluation.anomalies.base import Effort, Evidence, Reference, Score, State
from tfp_vae.evaluation.anomalies.combined import Combined
from tfp_vae.evaluation.anomalies.conformal import (
    merge_p_values,
    p_values,
    percentiles,
    smallest_p_value,
    threshold,
)
from tfp_vae.evaluation.anomalies.ranking import Ranking, rank_anomalies
from tfp_vae.evaluation.anomalies.scores import LikelihoodRatio, LogLikelihood, Reconstruction, Typicality, WorstCell

__all__ = [
    "SCORES",
    "Combined",
    "Effort",
    "Evidence",
    "LikelihoodRatio",
    "LogLikelihood",
    "Ranking",
    "Reconstruction",
    "Reference",
    "Score",
    "State",
    "Typicality",
    "WorstCell",
    "merge_p_values",
    "p_values",
    "percentiles",
    "rank_anomalies",
    "smallest_p_value",
    "threshold",
]

SCORES: Table[Score] = Table(
    "anomaly score",
    {
        "log-likelihood": LogLikelihood,
        "likelihood-ratio": LikelihoodRatio,
        "typicality": Typicality,
        "worst-cell": WorstCell,
        "reconstruction": Reconstruction,
        "combined": Combined,
    },
    base=Score,
)
