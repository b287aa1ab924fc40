"""Missing cells of a table given the observed ones, and the log-probability of each observed cell given the rest.

`imputed` fills in missing cells, and `cells` scores observed ones. Both sum over the same importance samples, see
`sampling` and `weights`.
"""

from __future__ import annotations

from tfp_vae.evaluation.imputation.cells import ColumnScores, score_columns, typical_scores
from tfp_vae.evaluation.imputation.imputed import Imputed, impute

__all__ = ["ColumnScores", "Imputed", "impute", "score_columns", "typical_scores"]
