"""Importance sampling of z given the observed cells of a table, as a stream of tiles in compiled functions.

Each tile holds 100 samples of each row. Its seed depends on the row's place and on the tile only, so the result of a
row does not depend on the other rows. `Study` is the base of everything that is summed over the samples.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar, cast, final

import numpy as np

from tfp_vae.core.batch import Batch, batch_rows, map_batch
from tfp_vae.core.errors import UsageError, check_counts
from tfp_vae.core.execution import FEWEST_ROWS, choose, pad_rows
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import fold, fold_each
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.evaluation.importance import FITTING, TILE, Progress, fit_proposal, slices, tiles_per_call
from tfp_vae.evaluation.imputation.expectations import require_columns
from tfp_vae.evaluation.proposals import REFINEMENTS, EncoderPosterior, Joint, Proposal, Refinement
from tfp_vae.evaluation.proposals.base import require_density
from tfp_vae.model.compilation import compile_for
from tfp_vae.model.vae import VAE

__all__ = ["Sample", "Sampler", "Study", "default_batch_size", "rows_of"]

State = TypeVar("State")

LARGEST_BATCH = 64
"""Most rows sampled at once."""

DECODED_VALUES = 1 << 22
"""Most numbers that the decoder returns at once for a tile of each row of a batch. A single row may exceed it."""

KEPT_PER_DECODED = 4
"""Kept numbers that take as much memory as one number that the decoder returns, with its densities."""


def default_batch_size(vae: VAE, kept: int = 0) -> int:
    """Return how many rows are sampled at once, so that memory stays within about 300 MB.

    Args:
      vae: the model.
      kept: the number of samples of z of each row whose parameters of p(x|z) are kept.
    """
    size = max(TILE * vae.decoder.density_size, kept * vae.decoder.likelihood.params_size // KEPT_PER_DECODED)
    return max(1, min(LARGEST_BATCH, DECODED_VALUES // size))


def rows_of(vae: VAE, x: Array | Batch, what: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows of a table, float64 [N, C] with NaN in missing cells, and their contexts, if the model has any.

    Args:
      vae: a model whose likelihood is `likelihoods.Columns`.
      x: the rows on the scale of the model.
      what: the caller, for errors.

    Raises:
      UsageError: another likelihood, no row, or a context that the model lacks or does not take.
      DataError: x has another shape than the model's rows, or values outside the support of a column.
    """
    require_columns(vae.decoder.likelihood, what)
    batch = vae.batch(x, what)
    rows = np.asarray(batch.x, np.float64)  # whole numbers have no NaN
    if len(rows) < 1:
        raise UsageError("expected at least one row, found none.")
    return rows, None if batch.context is None else np.asarray(batch.context)


class Sample(NamedTuple):
    """One tile of samples for each of B rows.

    log_w: log p(x_observed|z) + log p(z) - log q(z), [S, B]. It is -inf for samples beyond K.
    params: the parameters of p(x|z), [S, B, P].
    p: p(x|z), batch [S, B].
    x: the rows, [B, C], with NaN in missing cells.
    seeds: a seed for each row, [B, 2], which also drew z.
    """

    log_w: Tensor
    params: Tensor
    p: Distribution
    x: Tensor
    seeds: Tensor


@check_keywords
class Study(abc.ABC, Generic[State]):
    """Sums over importance samples, which grow tile by tile. A frozen dataclass, so equal studies compile once."""

    @abc.abstractmethod
    def empty(self, vae: VAE, rows: int) -> State:
        """Return the sums of a batch before the first sample."""

    @abc.abstractmethod
    def add(self, vae: VAE, state: State, sample: Sample, targets: Tensor) -> State:
        """Return the sums with a tile added.

        Args:
          vae: the model.
          state: the sums so far.
          sample: the tile.
          targets: values of the cells [B, C] whose probabilities are wanted. They may be missing in `sample.x`.
        """


@final
class Sampler(Generic[State]):
    """Runs a study over the rows of a table, batch by batch.

    Args:
      vae: the model.
      study: the sums over the samples.
      iw_samples: K, samples of each row.
      refine: how the proposal is fitted to each row.
      batch_size: rows sampled at once, by default about 300 MB of them.
      execution: `auto`, `xla`, `graph` or `eager`.
      pad: whether fewer rows than a batch are padded to it, so that all calls share one compiled function.

    Raises:
      UsageError: no sample, an empty batch, or a refinement that does not suit the model.
    """

    def __init__(
        self,
        vae: VAE,
        study: Study[State],
        *,
        iw_samples: int,
        refine: Refinement | Member | str,
        batch_size: int | None,
        execution: str,
        pad: bool = False,
    ) -> None:
        check_counts(iw_samples=iw_samples, batch_size=batch_size)
        self._vae, self._study, self._iw_samples, self._dtype = vae, study, iw_samples, vae.dtype.as_numpy_dtype
        self._refinement = REFINEMENTS.resolve(refine)
        require_density(vae)
        self._refinement.check(vae)
        self._pad, self._batch_size = pad, batch_size or default_batch_size(vae)
        execution = choose(vae, execution)
        self._encode = compile_for(vae, encode_rows, execution=execution)
        self._fit = compile_for(vae, fit_proposal, self._refinement, TILE, FEWEST_ROWS, execution=execution)
        live = min(TILE, iw_samples)
        self._weigh: Callable[..., State] = compile_for(
            vae, weigh_rows, study, self._refinement, live, execution=execution
        )

    def __call__(
        self,
        x: np.ndarray,
        *,
        seed: Seed,
        places: np.ndarray,
        targets: np.ndarray | None = None,
        context: np.ndarray | None = None,
        progress: Progress = lambda samples: None,
    ) -> Iterator[tuple[slice, State]]:
        """Yield the sums of each batch of rows, which may end with copies of the last row of the batch.

        Args:
          x: rows, [N, C], with NaN in missing cells.
          seed: a stateless seed.
          places: select the draws of each row, [N].
          targets: values of cells whose probabilities are wanted, [N, C], by default x.
          context: those of the rows in a conditional model.
          progress: called with the number of samples just taken.
        """
        targets, size = x if targets is None else targets, self._batch_size
        size = size if self._pad else max(1, min(size, len(x)))
        empty = self._study.empty(self._vae, size)
        for part in slices(len(x), size):
            rows = np.minimum(np.arange(part.start, part.start + size), len(x) - 1)
            batch = batch_rows(Batch(x, context=context), rows)
            yield part, self._run(batch, targets[rows], places[rows], seed, part.stop - part.start, empty, progress)

    def _run(
        self,
        batch: Batch,
        targets: np.ndarray,
        places: np.ndarray,
        seed: Seed,
        live: int,
        state: State,
        progress: Progress,
    ) -> State:
        """Return the sums of one batch, from those without samples. Only its first `live` rows count as progress."""
        batch = map_batch(lambda part: part.astype(self._dtype), batch)
        targets, places, folded = targets.astype(self._dtype), places.astype(np.int32), fold(seed)
        params = self._encode(batch)
        proposal: Proposal = (params,)
        if self._refinement != EncoderPosterior():
            proposal = self._fit(batch, params, fold(folded, FITTING), places)
        tiles = math.ceil(self._iw_samples / TILE)
        for call in slices(tiles, tiles_per_call(TILE, len(targets), self._refinement.sampler.passes)):
            bounds = tf.constant(call.start), tf.constant(call.stop), tf.constant(self._iw_samples)
            state = self._weigh(batch, targets, proposal, folded, places, *bounds, state)
            progress(live * (min(call.stop * TILE, self._iw_samples) - call.start * TILE))
        return state


def encode_rows(vae: VAE, batch: Batch) -> Tensor:
    """Return the parameters of q(z|x) for a batch of rows [B, C], [B, P]."""
    model, x = vae.condition(map_batch(pad_rows, batch))
    return model.encoder.params(x)[: batch.x.shape[0]]


def weigh_rows(
    vae: VAE,
    study: Study[State],
    refinement: Refinement,
    live: int,
    batch: Batch,
    targets: Tensor,
    proposal: Proposal,
    seed: Seed,
    places: Tensor,
    first: Tensor,
    last: Tensor,
    count: Tensor,
    state: State,
) -> State:
    """Return the sums of a study with the tiles from `first` to before `last` added.

    Args:
      vae: the model.
      study: the sums over the samples.
      refinement: the kind of proposal.
      live: the samples of each tile that are used.
      batch: the rows, [B, C], with their contexts.
      targets: see `Study.add`.
      proposal: the proposal of each row.
      seed: a stateless seed.
      places: select the draws of each row, [B].
      first, last: numbers of tiles.
      count: K. Samples beyond it have no weight.
      state: the sums so far.
    """
    joint, missingness = Joint(vae, batch, TILE, FEWEST_ROWS), vae.decoder.missingness
    model, x = vae.condition(batch)
    prior = model.prior()

    def tile(t: Tensor, state: State) -> tuple[Tensor, State]:
        seeds = fold_each(seed, places, t)
        z, log_q = refinement.draw_each(joint, proposal, TILE, seeds)
        z, log_q = z[:live], log_q[:live]
        params = model.decoder.params(z)
        p = model.decoder.from_params(params)
        log_px = p.log_prob(x)
        if not missingness.ignorable:  # a target is missing only because it is scored, which says nothing about it
            hidden = tf.math.is_nan(x) & ~tf.math.is_nan(targets)
            log_px -= tf.reduce_sum(tf.where(hidden, missingness.mask_log_prob(p, x), tf.zeros([], x.dtype)), axis=-1)
        log_w = log_px + prior.log_prob(z) - log_q
        within = (t * TILE + tf.range(live) < count)[:, tf.newaxis]
        log_w = tf.where(within, log_w, tf.constant(-math.inf, log_w.dtype))
        return t + 1, study.add(vae, state, Sample(log_w, params, p, x, seeds), targets)

    _, sums = tf.while_loop(lambda t, state: t < last, tile, (first, state), parallel_iterations=1)
    return cast("State", sums)
