"""Imputation: the missing cells of a table given the observed ones, with their uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, cast, final

import numpy as np

from tfp_vae.core.batch import Batch
from tfp_vae.core.display import table
from tfp_vae.core.errors import UsageError, require
from tfp_vae.core.execution import AUTO
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, check_keywords, record
from tfp_vae.core.seeds import Seed, fold, fold_each, seed_for_evaluation
from tfp_vae.core.types import Array, Tensor
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE
from tfp_vae.evaluation.importance import Progress, slices
from tfp_vae.evaluation.imputation.expectations import blocks, expectations
from tfp_vae.evaluation.imputation.sampling import Sample, Sampler, Study, default_batch_size, rows_of
from tfp_vae.evaluation.imputation.weights import Moments, Slots, Weights
from tfp_vae.evaluation.proposals import Refinement, full_name
from tfp_vae.model.compilation import compile_for
from tfp_vae.model.vae import VAE

if TYPE_CHECKING:
    from tfp_vae.model.distributions.columns import Columns

__all__ = ["Imputed", "impute"]

INTERVAL_DRAWS = 400
"""Draws of each missing cell whose quantiles are its interval."""

DRAWN = INTERVAL_DRAWS
"""Draws of each missing cell from one seed (row, number). It is fixed, so more draws begin with the same ones."""

CELLS = 1
"""Separates the seed of the draws of cells from the seeds of z."""


@final
@check_keywords
@dataclass(frozen=True, eq=False, repr=False)
class Imputed:
    """The missing cells of N rows with C columns, given the observed cells of their row.

    Each array has a value for every cell. In observed cells, `values` and `draws` repeat x, and all others are NaN.

    NumPy functions treat the record as the array `values`.

    missing: whether a cell was missing, bool [N, C].
    values: x with missing cells filled in, [N, C]: the mean E[x_j|x_observed] of numbers, the most probable word, the
      median of ordered levels, and the more probable of 0 and 1.
    error: Monte Carlo standard error of the mean, [N, C]. NaN for words, levels and 0/1.
    deviation: standard deviation of x_j given the observed cells, [N, C]. NaN for words, levels and 0/1.
    probability: probability of the value given the observed cells, [N, C]. NaN for numbers.
    low, high: bounds of the interval, [N, C] each. NaN for words and for 0/1.
    draws: multiple imputations, [M, N, C]. In each of them, the missing cells of a row are a joint sample.
    ess: effective sample size of each row, between 1 and K, [N]. NaN for complete rows, which need no samples. If it is
      below 10, do not trust the row.
    iw_samples: K, the number of importance samples per row.
    interval: the probability of the intervals. None if there are none.
    refine: how the proposal was fitted to each row.
    """

    missing: np.ndarray
    values: np.ndarray
    error: np.ndarray
    deviation: np.ndarray
    probability: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray
    ess: np.ndarray
    iw_samples: int
    interval: float | None
    refine: str

    @property
    def unreliable(self) -> np.ndarray:
        """Whether a row has an effective sample size below 10, bool [N]."""
        return self.ess < FEWEST_EFFECTIVE

    @classmethod
    def unfilled(cls, x: np.ndarray, draws: int, iw_samples: int, interval: float | None, refine: str) -> Imputed:
        """Return the record of rows x [N, C] before any cell is imputed."""
        error, deviation, probability, low, high = (np.full(x.shape, math.nan) for _ in range(5))
        return cls(
            missing=np.isnan(x),
            values=x.copy(),
            error=error,
            deviation=deviation,
            probability=probability,
            low=low,
            high=high,
            draws=np.repeat(x[np.newaxis], draws, axis=0),
            ess=np.full(len(x), math.nan),
            iw_samples=iw_samples,
            interval=interval,
            refine=refine,
        )

    def fill(self, vae: VAE, rows: np.ndarray, sums: ImputationSums) -> None:
        """Enter the averages of some rows. The batch may be longer than the rows."""
        self.ess[rows] = sums.weights.ess[: len(rows)]
        averages = sums.moments.average(sums.weights)
        errors, deviations = sums.moments.error(sums.weights), sums.moments.deviation(sums.weights)
        for block in blocks(vae.decoder.likelihood):
            best, probability = block.best(averages)
            self._enter(self.values, rows, block.places, best)
            self._enter(self.probability, rows, block.places, probability)
            if not block.levels and not block.binary:
                self._enter(self.error, rows, block.places, errors[:, block.part])
                self._enter(self.deviation, rows, block.places, deviations[:, block.part])

    def fill_draws(self, vae: VAE, rows: np.ndarray, x: np.ndarray) -> None:
        """Enter the multiple imputations and the intervals of some rows, given draws of all their cells, [S, B, C]."""
        for i, draw in enumerate(x[: len(self.draws)]):
            self._enter(self.draws[i], rows, np.arange(x.shape[2]), draw)
        if self.interval is None:
            return
        missing, ends = self.missing[rows], np.full([2, *x.shape[1:]], math.nan)
        tails = (1 - self.interval) / 2, (1 + self.interval) / 2
        ends[:, missing] = np.quantile(x[:, missing], tails, axis=0, method="inverted_cdf")
        for block in blocks(vae.decoder.likelihood):
            if not block.binary and (block.ordered or not block.levels):
                self._enter(self.low, rows, block.places, ends[0][:, block.places])
                self._enter(self.high, rows, block.places, ends[1][:, block.places])

    def _enter(self, array: np.ndarray, rows: np.ndarray, places: np.ndarray, found: np.ndarray) -> None:
        """Write `found` [B, n] into the missing cells of some rows and columns of an array [N, C]."""
        cells = np.ix_(rows, places)
        array[cells] = np.where(self.missing[cells], found[: len(rows)], array[cells])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        cells, rows = int(self.missing.sum()), int(np.sum(~np.isnan(self.ess)))
        unreliable = f", {int(self.unreliable.sum()):,} rows unreliable" if self.unreliable.any() else ""
        return f"Imputed({cells:,} cells of {rows:,} rows, K = {self.iw_samples:,}{unreliable})"

    def _repr_html_(self) -> str:
        rows = [
            ("missing cells", int(self.missing.sum())),
            ("rows with missing cells", int(np.sum(~np.isnan(self.ess)))),
            (f"rows with an effective sample size below {FEWEST_EFFECTIVE}", int(self.unreliable.sum())),
            ("multiple imputations", len(self.draws)),
            ("probability of the intervals", "none" if self.interval is None else self.interval),
            ("refinement of the proposal", self.refine),
        ]
        return table(f"{len(self):,} rows with imputed cells, K = {self.iw_samples:,}", rows)


@check_keywords
def impute(
    vae: VAE,
    x: Array | Batch,
    *,
    iw_samples: int = 1_000,
    draws: int = 0,
    interval: float | None = 0.9,
    seed: int | Seed = 0,
    refine: Refinement | Member | str = "none",
    places: np.ndarray | None = None,
    batch_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> Imputed:
    """Return the rows of a table with their missing cells filled in, and the uncertainty of these cells.

    The posterior of z given the observed cells is sampled by self-normalized importance sampling,
    E[f(x_missing)|x_observed] = sum_k w_k E[f(x_missing)|z_k] / sum_k w_k, w_k = p(x_observed|z_k) p(z_k) / q(z_k|x).

    If the model assumes self-masking, the weights include p(mask|x), and E[f|z] and p(x|z) are those of missing cells,
    see `missingness.SelfMasking`.

    Multiple imputations and intervals use samples of z drawn with replacement in proportion to the weights, and then
    cells drawn from p(x|z). An analysis that is repeated for each of M multiple imputations includes the uncertainty of
    the missing cells.

    The result of a row depends on its observed cells, on the seed and on its place only. Complete rows cost nothing.
    Memory does not grow with K.

    Args:
      vae: a model whose likelihood is `likelihoods.Columns`.
      x: rows on the scale of the model, [N, C], with NaN in missing cells, or a `Batch` with `observed`. Those of a
        conditional model are a `Batch` with `context`.
      iw_samples: K, samples of z for each row with missing cells.
      draws: M, the number of multiple imputations.
      interval: the probability that an interval contains the cell, between 0 and 1. None for no intervals.
      seed: an integer, or a stateless seed of two integers.
      refine: how the proposal is fitted to each row, see `log_likelihood`. `auto` refines every row.
      places: non-negative integers [N] that select the draws of each row, by default its index in x.
      batch_size: rows sampled at once, by default about 300 MB of them.
      execution: `auto`, `xla`, `graph` or `eager`. They draw different numbers from one seed.
      progress: called with the number of importance samples just taken.

    Raises:
      UsageError: another likelihood, no row, a missing context, or a setting outside its limits.
      DataError: x has another shape than the model's rows, or values outside the support of a column.

    References:
      Mattei and Frellsen (2019), MIWAE: deep generative modelling and imputation of incomplete data sets.
      Rubin (1987), Multiple imputation for nonresponse in surveys, for the analysis of multiple imputations.
    """
    require(VAE, vae, "impute: vae")
    check_draws(draws, interval)
    x, context = rows_of(vae, x, "Imputation")
    result = Imputed.unfilled(x, draws, iw_samples, interval, full_name(refine))
    rows = np.flatnonzero(result.missing.any(axis=1))
    count = max(draws, 0 if interval is None else INTERVAL_DRAWS)
    study = Imputation(slots=count if count < DRAWN else DRAWN * math.ceil(count / DRAWN))
    seed = seed_for_evaluation(seed)
    places = np.arange(len(x)) if places is None else np.asarray(places)
    size = batch_size or default_batch_size(vae, study.slots)
    sampler = Sampler(vae, study, iw_samples=iw_samples, refine=refine, batch_size=size, execution=execution)
    context = None if context is None else context[rows]
    drawer = Drawer(vae, seed, execution)
    for part, sums in sampler(x[rows], seed=seed, places=places[rows], context=context, progress=progress):
        result.fill(vae, rows[part], sums)
        if study.slots:
            result.fill_draws(vae, rows[part], drawer(sums.slots, result.missing[rows[part]], places[rows[part]]))
    return result


def check_draws(draws: int, interval: float | None) -> None:
    """Raise an error if a number of draws or the probability of an interval is outside its limits."""
    if draws < 0:
        raise UsageError(f"`draws` must be at least 0, found {draws}.")
    if interval is not None and not 0 < interval < 1:
        raise UsageError(f"`interval` must lie between 0 and 1, found {interval}.")


class ImputationSums(NamedTuple):
    """The sums of a batch of rows.

    weights: of the samples, [B].
    moments: of the expectations of p(x|z), [B, F].
    slots: parameters of p(x|z) of samples of z in proportion to the weights, [B, M, P].
    """

    weights: Weights
    moments: Moments
    slots: Slots


@final
@record
class Imputation(Study[ImputationSums]):
    """Averages of the expectations of p(x|z), and a sample of p(x|z) itself.

    Args:
      slots: M, the number of samples of z, drawn in proportion to the weights.
    """

    slots: int = field(kw_only=True)

    def empty(self, vae: VAE, rows: int) -> ImputationSums:
        """Return the sums of a batch before the first sample."""
        size, dtype = blocks(vae.decoder.likelihood)[-1].part.stop, vae.dtype
        params = tf.zeros([rows, self.slots, vae.decoder.likelihood.params_size], dtype)
        return ImputationSums(Weights.empty([rows], dtype), Moments.empty([rows, size]), Slots(params))

    def add(self, vae: VAE, state: ImputationSums, sample: Sample, targets: Tensor) -> ImputationSums:
        """Return the sums with a tile added."""
        del targets
        before, after = state.weights, state.weights.add(sample.log_w)
        p = vae.decoder.missingness.given_missing(sample.p)
        means, variances = expectations(p, blocks(vae.decoder.likelihood))
        moments = state.moments.add(before, after, sample.log_w, means, variances)
        slots = state.slots.add(before, after, sample.log_w, sample.params, sample.seeds) if self.slots else state.slots
        return ImputationSums(after, moments, slots)


@final
class Drawer:
    """Draws missing cells from samples of p(x|z).

    XLA compiles the rejection samplers of some families badly, so this runs as a graph unless it runs eagerly.

    Args:
      vae: the model.
      seed: a stateless seed.
      execution: `xla`, `graph` or `eager`.
    """

    def __init__(self, vae: VAE, seed: Seed, execution: str) -> None:
        self._seed = seed
        self._draw = compile_for(vae, draw_rows, execution="eager" if execution == "eager" else "graph")

    def __call__(self, slots: Slots, missing: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return a draw of each missing cell for each of M samples, [M, B, C]. Other cells mean nothing.

        Args:
          slots: parameters of p(x|z), for a batch that may be longer than the B rows.
          missing: whether a cell is missing, bool [B, C].
          places: select the draws of each row, [B].
        """
        params = slots.values
        rows = np.minimum(np.arange(len(params)), len(places) - 1)
        parts = [
            self._draw(params[:, part], missing[rows], fold(self._seed, CELLS, i), places[rows].astype(np.int32))
            for i, part in enumerate(slices(int(params.shape[1]), DRAWN))
        ]
        return np.concatenate([part.numpy() for part in parts], axis=1)[: len(places)].swapaxes(0, 1)


def draw_rows(vae: VAE, params: Tensor, missing: Tensor, seed: Seed, places: Tensor) -> Tensor:
    """Return draws of the missing cells of B rows, [B, S, C]. Each row has its own seed, and other cells mean nothing.

    Args:
      vae: the model.
      params: parameters of p(x|z) for S samples of z, [B, S, P].
      missing: whether a cell is missing, bool [B, C].
      seed: a stateless seed.
      places: select the draws of each row, [B].
    """

    def draw(row: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        params, missing, seed = row
        p = vae.decoder.missingness.given_missing(vae.decoder.from_params(params))
        return cast("Columns", p).sample_cells(missing, seed)

    return tf.map_fn(draw, (params, missing, fold_each(seed, places)), fn_output_signature=params.dtype)
