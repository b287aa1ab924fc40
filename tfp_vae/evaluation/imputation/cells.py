"""The log-probability of each observed cell given the other observed cells of its row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast, final

import numpy as np

from tfp_vae.core.batch import Batch, as_batch, batch_rows, check_context, map_batch
from tfp_vae.core.errors import check_counts, require
from tfp_vae.core.execution import AUTO
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, check_keywords, record
from tfp_vae.core.seeds import Seed, fold, seed_for_evaluation
from tfp_vae.core.types import Array, Tensor
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE
from tfp_vae.evaluation.importance import Progress, slices
from tfp_vae.evaluation.imputation.sampling import Sample, Sampler, Study, default_batch_size, rows_of
from tfp_vae.evaluation.imputation.weights import Weights
from tfp_vae.evaluation.proposals import Refinement, full_name
from tfp_vae.model.vae import VAE

if TYPE_CHECKING:
    from tfp_vae.model.distributions.columns import Columns as ColumnsDistribution

__all__ = ["ColumnScores", "score_columns", "typical_scores"]

MOST_PASSES = 32
"""Most times that a row is sampled again. If more of its cells need it, several of them are hidden at once."""

GROUPS_AT_ONCE = 4_096
"""Most copies of rows with hidden cells that are in memory at once."""

WHAT = "A score for each column"
"""The result, for errors."""

GENERATED = 2
"""Separates the seed of generated rows from the seeds of z."""


@final
@check_keywords
@dataclass(frozen=True, eq=False, repr=False)
class ColumnScores:
    """log p(x_j|x_rest) of each cell of N rows with C columns, in nats. Missing cells are NaN in every array.

    values: the estimates, [N, C]. Those of densities are in the units of the column.
    ess: effective sample size of each cell, between 1 and K, [N, C]. If it is below 10, do not trust the cell.
    iw_samples: K, the number of importance samples per row.
    refine: how the proposal was fitted to each row.
    """

    values: np.ndarray
    ess: np.ndarray
    iw_samples: int
    refine: str

    @property
    def unreliable(self) -> np.ndarray:
        """Whether a cell has an effective sample size below 10, bool [N, C]."""
        return self.ess < FEWEST_EFFECTIVE

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        cells = int(np.sum(~np.isnan(self.values)))
        unreliable = f", {int(self.unreliable.sum()):,} unreliable" if self.unreliable.any() else ""
        return f"ColumnScores({cells:,} cells of {len(self):,} rows, K = {self.iw_samples:,}{unreliable})"

    def surprise(self, typical: np.ndarray | None = None) -> np.ndarray:
        """Return how many nats each cell lies below the typical score of its column, [N, C].

        Scores of different columns cannot be compared, because a density depends on the units of its column. These
        differences can. The cell with the largest one is the most likely reason that a row is unusual.

        Args:
          typical: the typical score of each column [C], for example from `typical_scores`. By default the median over
            these rows.
        """
        return np.asarray((column_medians(self.values) if typical is None else typical) - self.values)

    def among(self, modelled: Sequence[bool]) -> ColumnScores:
        """Return these scores among columns that have none. Those are NaN.

        Args:
          modelled: whether each column of the table has scores.
        """
        values, ess = np.full((2, len(self), len(modelled)), math.nan)
        values[:, np.flatnonzero(modelled)], ess[:, np.flatnonzero(modelled)] = self.values, self.ess
        return ColumnScores(values, ess, self.iw_samples, self.refine)


def column_medians(values: np.ndarray) -> np.ndarray:
    """Return the median of the numbers in each column of values [N, C], [C]. NaN for a column without any."""
    known = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.median(column) if len(column) else math.nan for column in known])


@check_keywords
def score_columns(
    vae: VAE,
    x: Array | Batch,
    *,
    iw_samples: int = 100,
    seed: int | Seed = 0,
    refine: Refinement | Member | str = "none",
    places: np.ndarray | None = None,
    batch_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> ColumnScores:
    """Return log p(x_j|x_rest) of each observed cell, where x_rest are the other observed cells of its row.

    All cells of a row share the samples of z that estimate log p(x). Cell j is removed from their weights,
    p(x_j|x_rest) = sum_k w_k / sum_k (w_k / p(x_j|z_k)). These weights are poor if a cell contradicts the rest of its
    row, and such cells matter most. So every cell with an effective sample size below 10 is estimated again, from
    samples given the row without that cell. If a row has more than 32 such cells, each sample is given the row without
    several of them, but the weights still include them. So the cost of a row grows linearly with its cells.

    The score of a cell depends on its row, on the seed and on the row's place only. Memory does not grow with K.

    Args:
      vae: a model whose likelihood is `likelihoods.Columns`.
      x: rows on the scale of the model, [N, C], with NaN in missing cells, or a `Batch` with `observed`. Those of a
        conditional model are a `Batch` with `context`.
      iw_samples: K, samples of z for each row, and again for each cell that is estimated twice.
      seed: an integer, or a stateless seed of two integers.
      refine: how the proposal is fitted to each row, see `log_likelihood`. `auto` refines every row.
      places: non-negative integers [N] that select the draws of each row, by default its index in x.
      batch_size: rows sampled at once, by default about 300 MB of them.
      execution: `auto`, `xla`, `graph` or `eager`. They draw different numbers from one seed.
      progress: called with the number of importance samples just taken. Samples for a second estimate do not count.

    Raises:
      UsageError: another likelihood, no row, or a setting outside its limits.
      DataError: x has another shape than the model's rows, or values outside the support of a column.

    References:
      Gelfand, Dey and Chang (1992), Model determination using predictive distributions, for the weights without a cell.
    """
    require(VAE, vae, "score_columns: vae")
    check_counts(iw_samples=iw_samples, batch_size=batch_size)
    x, context = rows_of(vae, x, WHAT)
    seed = seed_for_evaluation(seed)
    places = np.arange(len(x)) if places is None else np.asarray(places)
    sampler = Sampler(
        vae,
        CellScores(hidden=math.ceil(x.shape[1] / MOST_PASSES)),
        iw_samples=iw_samples,
        refine=refine,
        batch_size=min(batch_size or default_batch_size(vae), len(x)),
        execution=execution,
        pad=True,  # so that the second pass compiles nothing
    )
    values, ess = np.full(x.shape, math.nan), np.full(x.shape, math.nan)
    for part, sums in sampler(x, seed=seed, places=places, context=context, progress=progress):
        count = part.stop - part.start
        values[part], ess[part] = sums.without_cells[:count], sums.divided.ess[:count]
    values[np.isnan(x)] = ess[np.isnan(x)] = math.nan
    rescore(sampler, Batch(x, context=context), values, ess, seed, places)
    return ColumnScores(values, ess, iw_samples, full_name(refine))


def rescore(
    sampler: Sampler[CellSums], batch: Batch, values: np.ndarray, ess: np.ndarray, seed: Seed, places: np.ndarray
) -> None:
    """Estimate the poor scores among `values` [N, C] again, from samples given the row without the cell.

    Args:
      sampler: the sampler of the scores.
      batch: the rows, [N, C], with their contexts.
      values, ess: the scores and their effective sample sizes, which are changed in place.
      seed, places: as for the scores.
    """
    x, context = np.asarray(batch.x), batch.context
    poor = ~np.isnan(x) & ~(ess >= FEWEST_EFFECTIVE)
    groups = [(row, group) for row in np.flatnonzero(poor.any(axis=1)) for group in spread(np.flatnonzero(poor[row]))]
    for each in slices(len(groups), GROUPS_AT_ONCE):
        rows = np.array([row for row, _ in groups[each]], int)
        hidden = x[rows]
        for cells, (_, group) in zip(hidden, groups[each], strict=True):
            cells[group] = math.nan
        y = None if context is None else np.asarray(context)[rows]
        for part, sums in sampler(hidden, seed=seed, places=places[rows], targets=x[rows], context=y):
            scores, sizes = sums.of_hidden, sums.ess_of_hidden
            for i, (row, group) in enumerate(groups[each][part]):
                values[row, group], ess[row, group] = scores[i, : len(group)], sizes[i, : len(group)]


def spread(columns: np.ndarray) -> list[np.ndarray]:
    """Return columns as at most 32 groups of about equal size. Neighbours, which are often alike, are not together."""
    count = min(MOST_PASSES, len(columns))
    return [columns[first::count] for first in range(count)]


@check_keywords
def typical_scores(
    vae: VAE,
    x: Array | Batch | None,
    *,
    rows: int = 500,
    iw_samples: int = 100,
    seed: int | Seed = 0,
    refine: Refinement | Member | str = "none",
    execution: str = AUTO,
) -> np.ndarray:
    """Return the score that a cell of each column typically has under the model, in nats, [C].

    It is the median score of rows that the model itself generates, with the same holes as the rows of x. So it is known
    even if x is a single row, and an unusual row of x does not change it. NaN for a column without observed cells. A
    generated cell that rounding puts outside the support of its column, such as a beta of exactly 1, counts as missing.

    Args:
      vae: a model whose likelihood is `likelihoods.Columns`.
      x: rows [N, C] whose scores are compared with these. Only their holes and contexts matter, and only those of a
        sample if there are more rows than are generated. None means complete rows, for a model without a condition.
      rows: the number of generated rows.
      iw_samples, seed, refine, execution: see `score_columns`.

    Raises:
      UsageError: another likelihood, or no row.
    """
    require(VAE, vae, "typical_scores: vae")
    check_counts(rows=rows)
    seed = seed_for_evaluation(seed)
    like, context = (np.zeros([1, 1]), None) if x is None else rows_of(vae, sample_rows(vae, x, rows), WHAT)
    places = np.arange(rows) % len(like)
    y = None if context is None else context[places]
    generated = (vae if y is None else vae.given(y)).sample(rows, seed=fold(seed, GENERATED)).numpy()
    hidden = np.isnan(like)[places] | ~vae.decoder.likelihood.support.contains(generated)
    batch = Batch(np.where(hidden, math.nan, generated), context=y)
    found = score_columns(vae, batch, iw_samples=iw_samples, seed=seed, refine=refine, execution=execution)
    return column_medians(found.values)


def sample_rows(vae: VAE, x: Array | Batch, most: int) -> Batch:
    """Return at most this many of the rows [N, C], evenly spread, with their contexts if the model takes any."""
    batch = map_batch(np.asarray, as_batch(x))
    if batch.x.ndim == 0 or len(batch.x) <= most:
        return batch
    context = check_context(batch.context, vae.context_size, WHAT, len(batch.x))
    places = np.linspace(0, len(batch.x) - 1, most).astype(int)
    return batch_rows(map_batch(np.asarray, batch._replace(context=context)), places)


class CellSums(NamedTuple):
    """The sums of a batch of rows.

    weights: of the samples given each row, [B].
    divided: the same weights, divided by the probability of each cell, [B, C].
    without: the weights that count all cells but one of the H hidden ones, [B, H].
    complete: the weights that count all cells, [B, H]. They are the same for all of the hidden ones.
    reference: log w of one sample of each row, [B]. All weights are relative to it. Otherwise an extreme cell, such as
      one at -10^9 nats, would round away the scores of the other cells.
    hidden_reference: log p(x_j|z) of one sample for each of the hidden cells, [B, H], for the same reason.
    """

    weights: Weights
    divided: Weights
    without: Weights
    complete: Weights
    reference: Tensor
    hidden_reference: Tensor

    @property
    def without_cells(self) -> np.ndarray:
        """Log p(x_j|x_rest) of the observed cells of the rows, [B, C]."""
        return np.asarray(self.weights.log_total[:, np.newaxis] - self.divided.log_total)

    @property
    def of_hidden(self) -> np.ndarray:
        """Log p(x_j|x_rest) of the hidden cells of the rows, from left to right, [B, H]."""
        return np.asarray(self.complete.log_total - self.without.log_total + self.hidden_reference)

    @property
    def ess_of_hidden(self) -> np.ndarray:
        """The effective sample size of the hidden cells of the rows, from left to right, [B, H]."""
        return np.asarray(np.minimum(self.complete.ess, self.without.ess))


@final
@record
class CellScores(Study[CellSums]):
    """The sums of w_k / p(x_j|z_k) for all cells, and of w_k and w_k p(x_j|z_k) for hidden ones.

    Hidden cells are missing in the row, but have a target.

    Args:
      hidden: H, the most hidden cells of a row.
    """

    hidden: int = field(default=1, kw_only=True)

    def empty(self, vae: VAE, rows: int) -> CellSums:
        """Return the sums of a batch before the first sample."""
        shape = [rows, vae.decoder.likelihood.event_shape[0]]
        weights, cells = Weights.empty(shape[:1], vae.dtype), Weights.empty(shape, vae.dtype)
        hidden, zeros = Weights.empty([rows, self.hidden], vae.dtype), tf.zeros([rows, self.hidden], vae.dtype)
        return CellSums(weights, cells, hidden, hidden, reference=zeros[:, 0], hidden_reference=zeros)

    def add(self, vae: VAE, state: CellSums, sample: Sample, targets: Tensor) -> CellSums:
        """Return the sums with a tile added."""
        log_p = cast("ColumnsDistribution", sample.p).column_log_prob(targets)  # [S, B, C]
        hidden, first = self._log_prob_of_hidden(log_p, sample.x, targets), state.weights.total == 0
        reference = tf.where(first, highest(sample.log_w), state.reference)
        hidden_reference = tf.where(first[:, tf.newaxis], highest(hidden), state.hidden_reference)
        relative, cells = sample.log_w - reference, hidden - hidden_reference
        log_w = relative[..., tf.newaxis]
        others = tf.cumsum(cells, axis=-1, exclusive=True) + tf.cumsum(cells, axis=-1, exclusive=True, reverse=True)
        return CellSums(
            weights=state.weights.add(relative),
            divided=state.divided.add(log_w - log_p),
            without=state.without.add(log_w + others),
            complete=state.complete.add(log_w + others + cells),
            reference=reference,
            hidden_reference=hidden_reference,
        )

    def _log_prob_of_hidden(self, log_p: Tensor, x: Tensor, targets: Tensor) -> Tensor:
        """Return log p(x_j|z) of the hidden cells from left to right, [S, B, H]. It is 0 if there are fewer."""
        is_hidden = tf.cast(tf.math.is_nan(x) & ~tf.math.is_nan(targets), tf.int32)
        found, places = tf.math.top_k(is_hidden, self.hidden)
        picked = tf.gather(log_p, tf.broadcast_to(places, [log_p.shape[0], *places.shape]), axis=2, batch_dims=2)
        return tf.where(found > 0, picked, tf.zeros([], log_p.dtype))


def highest(logarithms: Tensor) -> Tensor:
    """Return the largest of S logarithms [S, ...], or the smallest finite number if all are -inf."""
    return tf.maximum(tf.reduce_max(logarithms, axis=0), logarithms.dtype.min)
