"""The cell that makes each row of a table unusual, by the model of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.batch import Batch, as_batch, batch_rows
from tfp_vae.core.execution import AUTO
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import Seed, places_of
from tfp_vae.evaluation.importance import Progress
from tfp_vae.evaluation.imputation import score_columns, typical_scores
from tfp_vae.evaluation.proposals import Refinement
from tfp_vae.model.vae import VAE

__all__ = ["UnusualCells", "find_unusual_cells"]

MOST_NAMED, SURPRISING = 3, 3.0
"""At most three cells are named, if their surprise is at least 3 nats."""

BATCH = 32
"""Rows are scored this many at a time. Copies fill up fewer, so that their number does not change the rounding."""


@check_keywords
class UnusualCells(NamedTuple):
    """The score of each cell of N rows with C columns, given the other cells of its row.

    names: the columns.
    scores: log p(x_j|x_rest) in nats, [N, C]. NaN for missing cells.
    surprise: how many nats the score lies below the typical score of the column, [N, C].
    """

    names: tuple[str, ...]
    scores: np.ndarray
    surprise: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """Return columns [N] of a table: the most surprising column of each row, its surprise, and all scores."""
        largest = np.where(np.isnan(self.surprise), -np.inf, self.surprise)
        place, empty = largest.argmax(axis=1), np.isnan(self.surprise).all(axis=1)
        top = np.where(empty, np.nan, largest[np.arange(len(place)), place])
        named = np.where(empty, "", np.array(self.names)[place])
        scores = {f"score_{name}": column for name, column in zip(self.names, self.scores.T, strict=True)}
        return {"unusual_column": named, "surprise": top, **scores}

    def responsible(self) -> np.ndarray:
        """Return the cells that make each row unusual with their surprise, such as `hue (138.7), ash (4.2)`, [N].

        They are at most three cells with a surprise of at least 3 nats, the largest first.
        """
        largest = np.where(np.isnan(self.surprise), -np.inf, self.surprise)
        order = np.argsort(-largest, axis=1, kind="stable")[:, :MOST_NAMED]
        texts = [
            ", ".join(f"{self.names[i]} ({row[i]:.1f})" for i in places if row[i] >= SURPRISING)
            for row, places in zip(largest, order, strict=True)
        ]
        return np.array(texts, np.str_)


@check_keywords
def find_unusual_cells(
    vae: VAE,
    x: np.ndarray | Batch,
    names: Sequence[str],
    *,
    iw_samples: int = 100,
    seed: int | Seed = 0,
    refine: Refinement | Member | str = "none",
    like: np.ndarray | Batch | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> UnusualCells:
    """Return the scores of the cells of a table, and how surprising each is.

    The results for a row depend on the row alone, not on its index or the other rows.

    Args:
      vae: a model whose likelihood is `likelihoods.Columns`.
      x: rows on the scale of the model, [N, C], with NaN in missing cells. Those of a conditional model are a batch.
      names: the columns.
      like: rows whose holes the generated rows have that give the typical scores, see `evaluation.typical_scores`. By
        default they are complete. A conditional model generates rows with their contexts, by default those of x.
      iw_samples, seed, refine, execution, progress: see `evaluation.score_columns`.
    """
    settings: dict[str, Any] = {"iw_samples": iw_samples, "seed": seed, "refine": refine, "execution": execution}
    batch = as_batch(x)
    count = len(batch.x)
    padded = batch if count >= BATCH else batch_rows(batch, np.r_[:count, np.zeros(BATCH - count, int)])
    places = places_of(np.asarray(padded.x))
    if like is None and batch.context is not None:
        like = Batch(np.zeros_like(batch.x), context=batch.context)
    scores = score_columns(vae, padded, places=places, batch_size=BATCH, progress=progress, **settings)
    typical = typical_scores(vae, like, **settings)
    return UnusualCells(tuple(names), scores.values[:count], scores.surprise(typical)[:count])
