"""The importance-weighted log-likelihood with the terms of the ELBO, computed as a stream.

`estimate` uses an `Estimator` once. An `Estimator` splits examples into batches of equal size. Its sampler draws tiles
of 100 samples in a compiled function and passes their log-weights to a `diagnostics.Tally` on the host, which sums them
in float64. `summarize` turns the estimates of examples into averages with their errors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar, final

import numpy as np
import psutil

from tfp_vae.core.batch import Batch, as_batch, batch_rows, map_batch
from tfp_vae.core.errors import RunError, UsageError, check_counts
from tfp_vae.core.execution import AUTO, FEWEST_ROWS, choose, pad_rows
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import fold, fold_each
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.evaluation.diagnostics import (
    PARETO_K_LIMIT,
    UNKNOWN_FACTOR,
    Tally,
    has_enough_samples,
    mean_error,
    mean_interval,
    standard_error,
)
from tfp_vae.evaluation.effort.blocks import NO_BLOCKS, Blocks, in_batches
from tfp_vae.evaluation.marginal import class_log_probs, sum_over_classes
from tfp_vae.evaluation.proposals import REFINEMENTS, EncoderPosterior, Refinement
from tfp_vae.evaluation.proposals.base import Joint, Proposal, require_density
from tfp_vae.model.compilation import compile_for
from tfp_vae.model.latent import Latent, active_dimensions
from tfp_vae.model.posteriors import MEAN_SAMPLES
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import has_closed_form_rate

__all__ = [
    "Estimates",
    "Estimator",
    "Summary",
    "active_units",
    "estimate",
    "is_active",
    "rows_at_once",
    "slices",
    "summarize",
]

R = TypeVar("R")

TILE = 100
"""Samples of z from one seed (example, tile). It is fixed, so batch and chunk sizes do not change the draws."""

DECODED_PER_CALL = 100_000
"""Approximate number of samples decoded in one compiled call. Progress and interrupts wait for its end."""

DECODED_VALUES = 1 << 24
"""Largest number of values that the decoder outputs at once, unless a chunk size is given."""

BYTES_PER_DECODED_VALUE = 64
"""Approximate memory for one output of the decoder, its density and intermediate results in float32."""

LARGE_SHARE = 0.1
"""The mean of log p(x) has no interval if the error is unknown for a larger share of the examples."""

FEW, LARGE_BATCH = 64, 1_024
"""Examples in a batch, and in one of the larger batches that many examples fill."""

MANY = 20_000
"""The number of examples from which larger batches save more time than compiling for them takes."""

LARGE_BATCH_VALUES = 1 << 23
"""Largest number of values that the decoder outputs for a tile of each example of a larger batch."""

FITTING, PILOT = -1, -2
"""Indices that separate the seeds of fitting and of pilot samples from those of samples, whose first index is the place
of an example."""

Progress = Callable[[int], None]
"""Called with the number of importance samples just taken."""


@check_keywords
class Estimates(NamedTuple):
    """Estimates for each of N examples, in nats.

    log_likelihood: importance-weighted estimate of log p(x), [N].
    distortion: -E_q[log p(x|z)], estimated from the same samples, [N].
    rate: KL(q(z|x) || p(z)), in closed form if there is one, otherwise estimated from the same samples, [N].
    ess: effective sample size of the weights, (sum w)^2 / sum w^2, between 1 and K, [N].
    pareto_k: shape of the upper tail of the weights, see `diagnostics.pareto_k`, [N].
    spread: Monte Carlo standard error of log_likelihood, see `diagnostics.group_error`, [N]. NaN for a single sample.
    shortfall: how far log_likelihood lies below log p(x) in expectation, see `diagnostics.group_bias`, [N].
    low, high: a 90% interval for log p(x), NaN if the effective sample size is below 10, [N] each.
    sweep: estimates of log p(x) from the first samples only, one for each number in the sweep, [N, J].
    posterior_mean: E_q[z|x], in closed form for Normals, otherwise the mean of 128 samples, [N, D].
    posterior_mean_variance: estimated variance of the error of that mean, zero for Normals, [N, D].
    refined_elbo: ELBO of the refined q(z|x), from the same samples as `log_likelihood`, [N]. NaN without refinement, or
      if the proposal is outside the posterior's family.
    refined_elbo_error: its Monte Carlo standard error, [N]. NaN for one sample, and if the ELBO is NaN.
    refined_gap_error: Monte Carlo standard error of `log_likelihood` - `refined_elbo`, [N]. NaN in the same cases.
    elbo_error: Monte Carlo standard error of `elbo`, [N]. NaN for one sample.
    refined: whether the proposal was fitted to this example, bool [N].

    With a refinement, the weights are those of the refined proposal. Distortion and rate stay those of the encoder's
    q(z|x), from min(K, 100) samples of their own.
    """

    log_likelihood: np.ndarray
    distortion: np.ndarray
    rate: np.ndarray
    ess: np.ndarray
    pareto_k: np.ndarray
    spread: np.ndarray
    shortfall: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sweep: np.ndarray
    posterior_mean: np.ndarray
    posterior_mean_variance: np.ndarray
    refined_elbo: np.ndarray
    refined_elbo_error: np.ndarray
    refined_gap_error: np.ndarray
    elbo_error: np.ndarray
    refined: np.ndarray

    @property
    def elbo(self) -> np.ndarray:
        """-distortion - rate of the encoder's q(z|x), [N].

        Without refinement it uses the same K samples as `log_likelihood`, so the difference shows the gain of
        importance weighting.
        """
        return np.asarray(-self.distortion - self.rate)

    @property
    def known(self) -> np.ndarray:
        """Whether the effective sample size is at least 10, so that error, bias and interval are known, bool [N]."""
        return has_enough_samples(self.ess)

    @property
    def error(self) -> np.ndarray:
        """`spread` where it is known, else NaN, [N].

        The spread of poor weights still has the right square on average, so means over examples may use it.
        """
        return np.where(self.known, self.spread, math.nan)

    @property
    def reach(self) -> np.ndarray:
        """The distance from the estimate to the farther end of its interval, in nats, [N]. NaN if it is unknown."""
        return np.asarray(np.maximum(self.high - self.log_likelihood, self.log_likelihood - self.low))

    @property
    def bias(self) -> np.ndarray:
        """`shortfall` where it is known, else NaN, [N]."""
        return np.where(self.known, self.shortfall, math.nan)

    @staticmethod
    def join(count: int, parts: Sequence[tuple[np.ndarray, Estimates]]) -> Estimates:
        """Return the estimates of N examples from the estimates of some of them, given with their indices [M].

        If several parts have the same example, its estimate is that of the last one.
        """
        found = Estimates(*(np.zeros((count, *column.shape[1:]), column.dtype) for column in parts[0][1]))
        for rows, part in parts:
            for column, values in zip(found, part, strict=True):
                column[rows] = values
        return found

    def rescale(self, log_scale: float) -> Estimates:
        """Return the estimates of values x = a y + b, given those of y and log_scale = sum_i log |a_i|, in nats.

        Only p(x|z) depends on the scale. The rate, the weights and the posterior stay as they are.
        """
        return self._replace(
            log_likelihood=self.log_likelihood - log_scale,
            distortion=self.distortion + log_scale,
            low=self.low - log_scale,
            high=self.high - log_scale,
            sweep=self.sweep - log_scale,
            refined_elbo=self.refined_elbo - log_scale,
        )


@check_keywords
class Summary(NamedTuple):
    """Averages over the examples, in nats per example except for `bits_per_dim`.

    Names that end in `_se` are standard errors over examples: how far another sample of the population would differ.
    `_mc_error` is the error of the importance samples: how far another seed would differ on these examples.

    log_likelihood: mean of the importance-weighted log p(x).
    log_likelihood_se, log_likelihood_mc_error: its two errors. The second is NaN for a single sample.
    likely_bias: how far it lies below log p(x), from the mean of `Estimates.shortfall`.
    log_likelihood_low, log_likelihood_high: 90% interval for the mean of log p(x) of these examples, see
      `diagnostics.mean_interval`. NaN if the error is unknown for more than 10% of the examples. The bias of such an
      example counts `diagnostics.UNKNOWN_FACTOR` times.
    error_unknown_share: share of examples with an effective sample size below 10.
    elbo, elbo_se, distortion, rate: elbo = -distortion - rate.
    bits_per_dim: -log p(x) / (dimensions log 2), NaN for a density.
    active_units: number of dimensions of a continuous z with Var_x(E_q[z|x]) > 0.01.
    ess_median, ess_p5, ess_min: effective sample sizes over examples, in samples.
    pareto_k_median, pareto_k_share_above: median of k̂ and share of examples above 0.7, NaN for K below 21.
    """

    log_likelihood: float
    log_likelihood_se: float
    log_likelihood_mc_error: float
    likely_bias: float
    log_likelihood_low: float
    log_likelihood_high: float
    error_unknown_share: float
    elbo: float
    elbo_se: float
    distortion: float
    rate: float
    bits_per_dim: float
    active_units: float
    ess_median: float
    ess_p5: float
    ess_min: float
    pareto_k_median: float
    pareto_k_share_above: float


@check_keywords
def estimate(
    vae: VAE,
    x: Array | Batch,
    *,
    iw_samples: int,
    seed: Seed,
    refine: Refinement | Member | str = "none",
    sweep: Sequence[int] = (),
    places: np.ndarray | None = None,
    batch_size: int = 32,
    chunk_size: int | None = None,
    execution: str = AUTO,
    pad: bool = False,
    diagnose: bool = True,
    progress: Progress = lambda samples: None,
    blocks: Blocks = NO_BLOCKS,
) -> Estimates:
    """Return the importance-weighted estimate of log p(x) and everything else that the same samples give.

    `tfp_vae.log_likelihood` describes the estimate.

    ```python
    estimates = tv.evaluation.estimate(vae, x, iw_samples=100, sweep=(1, 10), seed=(0, 3))
    estimates.log_likelihood, estimates.elbo, estimates.ess  # [16] each
    estimates.sweep.mean(axis=0)  # [2]: the bound at K = 1 and K = 10, from the same draws
    ```

    Args:
      vae: the model.
      x: examples, [N, *event_shape].
      iw_samples: K.
      seed: a stateless seed, two integers.
      refine: how the proposal is fitted to each example: a name from `REFINEMENTS` with settings, or an object.
      sweep: smaller numbers of samples at which the estimate is also recorded, from the same draws.
      places: non-negative integers [N] that select each example's draws, by default its index in x. Give the indices in
        the whole data to get the same draws for a subset.
      batch_size: examples evaluated at once.
      chunk_size: samples per example decoded at once, at most 100. By default the decoded values of a
        batch stay under 16.8 million and within half of the free memory.
      execution: `auto`, `xla`, `graph` or `eager`. They draw different numbers from one seed.
      pad: whether fewer examples than `batch_size` fill a batch too, so that their number does not change the rounding.
      diagnose: see `Estimator`.
      progress: called with the number of importance samples just taken.
      blocks: keeps finished batches, so that the same call continues after an interrupt.

    Raises:
      UsageError: no sample, no example, or a sweep beyond K.
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
      RunError: memory is too small even for one sample at a time.
    """
    count = len(as_batch(x).x)
    estimator = Estimator(
        vae,
        iw_samples=iw_samples,
        refine=refine,
        sweep=sweep,
        batch_size=batch_size if pad else min(batch_size, max(1, count)),
        chunk_size=chunk_size,
        execution=execution,
        diagnose=diagnose,
    )
    return estimator(x, seed=seed, places=places, pad=pad, progress=progress, blocks=blocks)


@final
@check_keywords
class Estimator:
    """Estimates log p(x) in repeated calls, with functions that are compiled once.

    Later calls use the current weights of the model. They ignore a network or family that you replaced. A call with
    fewer examples than `batch_size` compiles again for its shape. Within a call all batches have one size, because the
    last one is padded. Another estimator of the same model uses the same compiled functions.

    ```python
    estimator = tv.evaluation.Estimator(vae, iw_samples=100)
    first, second = (estimator(half, seed=(0, 0)).log_likelihood for half in (x[:8], x[8:]))  # [8] each
    ```

    Args:
      vae: the model.
      iw_samples: K.
      refine: how the proposal is fitted to each example: a name from `REFINEMENTS` with settings, or an object.
      sweep: smaller numbers of samples at which the estimate is also recorded, from the same draws.
      batch_size: examples evaluated at once.
      chunk_size: samples per example decoded at once, at most 100. By default all that fit into memory.
      execution: `auto`, `xla`, `graph` or `eager`.
      diagnose: whether to compute how far you can trust the estimates. False saves up to half of the time, and leaves
        `pareto_k`, `spread`, `shortfall`, `low`, `high` and `refined_gap_error` NaN.

    Raises:
      UsageError: no sample, an empty batch or chunk, or a sweep beyond K.
    """

    def __init__(
        self,
        vae: VAE,
        *,
        iw_samples: int,
        refine: Refinement | Member | str = "none",
        sweep: Sequence[int] = (),
        batch_size: int = 32,
        chunk_size: int | None = None,
        execution: str = AUTO,
        diagnose: bool = True,
    ) -> None:
        check_counts(iw_samples=iw_samples, batch_size=batch_size, chunk_size=chunk_size)
        if any(not 1 <= k <= iw_samples for k in sweep):
            raise UsageError(f"`sweep` must lie between 1 and {iw_samples}, found {', '.join(map(str, sweep))}.")
        if chunk_size is None:
            free = psutil.virtual_memory().available // (2 * BYTES_PER_DECODED_VALUE)
            values_per_sample = batch_size * vae.decoder.density_size
            chunk_size = max(1, min(DECODED_VALUES, free) // values_per_sample)
        self._batch_size, self._vae = batch_size, vae
        refinement = REFINEMENTS.resolve(refine)
        require_density(vae)
        refinement.check(vae)
        self._refinement, execution = refinement, choose(vae, execution)
        sampler = functools.partial(_Sampler, vae, chunk_size=chunk_size, execution=execution)
        self._sampler = sampler(refinement, iw_samples, sweep, diagnose=diagnose)
        if refinement.pilot_samples:
            self._pilot = sampler(EncoderPosterior(), refinement.pilot_samples, ())
            self._unrefined = sampler(EncoderPosterior(), iw_samples, sweep, diagnose=diagnose)

    def __call__(
        self,
        x: Array | Batch,
        *,
        seed: Seed,
        rows: np.ndarray | None = None,
        places: np.ndarray | None = None,
        pad: bool = False,
        progress: Progress = lambda samples: None,
        blocks: Blocks = NO_BLOCKS,
    ) -> Estimates:
        """Return the estimates of x [N, *event_shape], see `estimate`.

        If the model has a classifier, log p(x) is the exact sum over the classes for examples with unknown y, and
        log p(x|y) for others. The sum takes K samples for each class.

        Args:
          x: the examples.
          seed: a stateless seed, two integers.
          rows: the indices of the examples to estimate, [M], by default all. A batch is as large as for all of them,
            so that nothing is compiled again.
          places: non-negative integers [N] that select each example's draws, by default its index in x.
          pad: whether fewer examples than a batch holds fill one.
          progress: called with the number of importance samples just taken.
          blocks: keeps finished batches, so that the same call continues after an interrupt.

        Raises:
          UsageError: no example.
          DataError: x has another shape than the model's examples, or values outside the likelihood's support.
          RunError: memory is too small even for one sample at a time.
        """
        examples = map_batch(np.asarray, self._vae.batch(x, "Importance sampling"))
        count = len(examples.x)
        rows = np.arange(count) if rows is None else rows
        places = np.arange(count) if places is None else places
        size = self._batch_size if pad else min(self._batch_size, count)
        if self._vae.classifier is None:
            return self._estimate(examples, rows, places, size, seed, progress, blocks)
        known = np.asarray(np.asarray(examples.context)[rows].any(axis=1))
        parts = []
        for which, function in ((np.flatnonzero(known), self._estimate), (np.flatnonzero(~known), self._marginalize)):
            if len(which):
                parts.append((which, function(examples, rows[which], places, size, seed, progress, blocks)))
        return Estimates.join(len(rows), parts)

    def _marginalize(
        self,
        examples: Batch,
        rows: np.ndarray,
        places: np.ndarray,
        size: int,
        seed: Seed,
        progress: Progress,
        blocks: Blocks,
    ) -> Estimates:
        """Return the estimates of log p(x) of some rows, summed over classes. See `_estimate` for arguments."""
        log_q, log_prior = class_log_probs(self._vae, examples.x[rows])
        classes = np.eye(len(log_prior), dtype=np.float32)

        def estimate_class(i: int, y: np.ndarray) -> Estimates:
            given = examples._replace(context=np.broadcast_to(y, (len(examples.x), len(y))))
            share = lambda samples: progress(samples // len(classes))  # noqa: E731
            return self._estimate(given, rows, places, size, seed, share, blocks, f" of class {i}")

        return sum_over_classes([estimate_class(i, y) for i, y in enumerate(classes)], log_prior, log_q)

    def _estimate(
        self,
        examples: Batch,
        rows: np.ndarray,
        places: np.ndarray,
        size: int,
        seed: Seed,
        progress: Progress,
        blocks: Blocks,
        suffix: str = "",
    ) -> Estimates:
        """Return the estimates of some rows of examples whose context is known, if the model takes one.

        Args:
          examples, rows, places, seed, progress, blocks: see `__call__`.
          size: examples in a batch.
          suffix: part of the names under which blocks keep finished batches.
        """

        def run(sampler: _Sampler, stage: str, rows: np.ndarray, seed: Seed) -> Estimates:
            def compute(part: slice) -> list[np.ndarray]:
                batch = rows[np.minimum(part.start + np.arange(size), len(rows) - 1)]  # pads the last one
                live = part.stop - part.start
                estimates = sampler(batch_rows(examples, batch), places[batch].astype(np.int32), seed, live, progress)
                return [column[:live] for column in estimates]

            columns = in_batches(
                len(rows), size, compute, lambda done: progress(done * sampler.iw_samples), blocks, f"{stage}{suffix}"
            )
            return Estimates(*map(in_double_precision, take_all(columns)))

        if not self._refinement.pilot_samples:
            return run(self._sampler, "samples", rows, seed)
        pilot = run(self._pilot, "pilot", rows, fold(seed, PILOT))
        chosen = self._refinement.is_needed(pilot.reach, self._sampler.iw_samples)
        stages = (
            (self._unrefined, "unrefined", np.flatnonzero(~chosen)),
            (self._sampler, "refined", np.flatnonzero(chosen)),
        )
        parts = [(which, run(sampler, name, rows[which], seed)) for sampler, name, which in stages if len(which)]
        return Estimates.join(len(rows), parts)


def take_all(columns: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield columns and remove each from the list, so that it is in memory only as long as its user needs it."""
    while columns:
        yield columns.pop(0)


def in_double_precision(column: np.ndarray) -> np.ndarray:
    """Return numbers as float64, and truth values as they are."""
    return column if column.dtype == bool else column.astype(np.float64, copy=False)


@check_keywords
def rows_at_once(vae: VAE, count: int, refine: Refinement | Member | str = "none") -> int:
    """Return how many of `count` examples to estimate at once: few, or if there are many, as many as memory allows.

    An estimate does not depend on this number. There are two numbers for a model, so two shapes are compiled at most.

    ```python
    tv.evaluation.importance.rows_at_once(vae, 40), tv.evaluation.importance.rows_at_once(vae, 10**6)  # 64, 1024
    ```

    Args:
      vae: the model.
      count: the number of examples.
      refine: how the proposal is fitted to each example. Fits take more memory than samples, so batches stay small.
    """
    if count < MANY or REFINEMENTS.resolve(refine) != EncoderPosterior():
        return FEW
    most = LARGE_BATCH_VALUES // (TILE * vae.decoder.density_size)
    return max(FEW, min(LARGE_BATCH, most // FEW * FEW))


def slices(count: int, size: int) -> Iterator[slice]:
    """Yield slices that split `count` items into parts of a size. The last part may be smaller.

    ```python
    list(tv.evaluation.importance.slices(7, 3))  # [slice(0, 3), slice(3, 6), slice(6, 7)]
    ```
    """
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


@check_keywords
def is_active(estimates: Estimates) -> np.ndarray:
    """Return whether each dimension of a continuous z is active, Var_x(E_q[z|x]) > 0.01: bool [D].

    The mean of a flow is sampled, so its own error adds variance. That variance is subtracted, because otherwise a
    collapsed dimension would seem active. With few examples an inactive dimension may exceed the limit by chance.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """
    return active_dimensions(estimates.posterior_mean, estimates.posterior_mean_variance.mean(axis=0))


@check_keywords
def active_units(estimates: Estimates) -> float:
    """Return the number of active dimensions of a continuous z. NaN for a single example.

    The encoder does not use an inactive dimension: its posterior mean is the same for all x.
    """
    return int(is_active(estimates).sum()) if len(estimates.posterior_mean) > 1 else math.nan


@check_keywords
def summarize(estimates: Estimates, event_size: int, *, discrete: bool, latent: Latent | None = None) -> Summary:
    """Return the averages of `estimates`, with standard errors over the examples.

    bits_per_dim = -log p(x) / (event_size log 2) if the data are discrete or dequantized, else NaN. The standard error
    of a single example is NaN.

    ```python
    estimates = tv.evaluation.estimate(vae, x, iw_samples=100, seed=(0, 3))
    tv.evaluation.summarize(estimates, event_size=64, discrete=True).bits_per_dim
    ```

    Args:
      estimates: the estimates of N examples.
      event_size: number of dimensions of x.
      discrete: whether p(x|z) is a probability, see `likelihoods.Likelihood`.
      latent: the space of z, by default continuous. `active_units` is NaN if it is discrete, because codes whose
        probabilities vary little may together tell much about x.
    """
    log_px, error = estimates.log_likelihood, mean_error(estimates.spread)
    bias, unknown = float(estimates.shortfall.mean()), float(np.mean(~estimates.known))
    careful_bias = float(np.where(estimates.known, 1, UNKNOWN_FACTOR) @ estimates.shortfall / len(log_px))
    low, high = mean_interval(float(log_px.mean()), error, careful_bias)
    k = estimates.pareto_k[~np.isnan(estimates.pareto_k)]
    return Summary(
        log_likelihood=float(log_px.mean()),
        log_likelihood_se=standard_error(log_px),
        log_likelihood_mc_error=error,
        likely_bias=bias,
        log_likelihood_low=low if unknown <= LARGE_SHARE else math.nan,
        log_likelihood_high=high if unknown <= LARGE_SHARE else math.nan,
        error_unknown_share=unknown,
        elbo=float(estimates.elbo.mean()),
        elbo_se=standard_error(estimates.elbo),
        distortion=float(estimates.distortion.mean()),
        rate=float(estimates.rate.mean()),
        bits_per_dim=float(-log_px.mean() / (event_size * math.log(2))) if discrete else math.nan,
        active_units=math.nan if latent is not None and latent.discrete else active_units(estimates),
        ess_median=float(np.median(estimates.ess)),
        ess_p5=float(np.quantile(estimates.ess, 0.05)),
        ess_min=float(estimates.ess.min()),
        pareto_k_median=float(np.median(estimates.pareto_k)),
        pareto_k_share_above=float(np.mean(k > PARETO_K_LIMIT)) if len(k) else math.nan,
    )


@final
class _Sampler:
    """Takes the importance samples of one batch, a few tiles in each compiled call.

    The noise of a tile is drawn as a whole, 100 samples of each example. Only the decoder processes fewer at once, so
    neither the chunk size nor K changes a draw. The compiled functions depend on K only below 100 samples.

    Both networks take at least 64 rows at once, if they fit into memory, so that the number of cores changes no digit.
    """

    def __init__(
        self,
        vae: VAE,
        refinement: Refinement,
        iw_samples: int,
        sweep: Sequence[int],
        chunk_size: int,
        execution: str,
        diagnose: bool = True,
    ) -> None:
        self.iw_samples, self._sweep, self._diagnose = iw_samples, sweep, diagnose
        self._within_family = refinement.within_family
        self._closed_form = has_closed_form_rate(vae.encoder.posterior, vae.prior)
        fits = FEWEST_ROWS * vae.decoder.density_size <= DECODED_VALUES
        rows = FEWEST_ROWS if fits else 1
        self._encode = compile_for(vae, encode_batch, rows, execution=execution)
        live = min(TILE, iw_samples)  # number of samples of each tile that are used
        own = EncoderPosterior()
        self._of_encoder = _Proposal(vae, own, live, chunk_size, rows, execution)
        self._refined = None if refinement == own else _Proposal(vae, refinement, live, chunk_size, rows, execution)

    def __call__(self, batch: Batch, places: np.ndarray, seed: Seed, live: int, progress: Progress) -> Estimates:
        """Return the estimates of B examples, with draws that depend on `seed` and `places` [B].

        Only the first `live` examples count as progress. The others pad the batch.
        """
        params, mean, variance, rate = self._encode(batch, places, fold(seed))
        examples = _Examples(batch, places, fold(seed))
        unknown = np.full(len(places), math.nan)

        def count(samples: int) -> None:
            progress(live * samples)

        if self._refined is None:
            own = tally = self._of_encoder.weigh(examples, params, self.iw_samples, self._sweep, count)
        else:
            own = self._of_encoder.weigh(examples, params, min(TILE, self.iw_samples))
            tally = self._refined.weigh(examples, params, self.iw_samples, self._sweep, count)
        low, high = tally.interval if self._diagnose else (unknown, unknown)
        return Estimates(
            log_likelihood=tally.log_likelihood,
            distortion=own.distortion,
            rate=rate.numpy() if self._closed_form else own.rate,
            ess=tally.ess,
            pareto_k=tally.pareto_k if self._diagnose else unknown,
            spread=tally.spread if self._diagnose else unknown,
            shortfall=tally.shortfall if self._diagnose else unknown,
            low=low,
            high=high,
            sweep=tally.sweep,
            posterior_mean=mean.numpy(),
            posterior_mean_variance=variance.numpy(),
            refined_elbo=tally.elbo if self._within_family else unknown,
            refined_elbo_error=tally.elbo_error if self._within_family else unknown,
            refined_gap_error=tally.gap_error if self._within_family and self._diagnose else unknown,
            elbo_error=own.distortion_error if self._closed_form else own.elbo_error,
            refined=np.full(len(places), self._refined is not None),
        )


class _Examples(NamedTuple):
    """A batch of B examples with the places [B] and the seed that select their draws."""

    batch: Batch
    places: np.ndarray
    seed: Seed


@final
class _Proposal:
    """Fits proposals to batches of examples and weighs their samples, `chunk` decoded at once.

    If memory runs out, the chunk is halved and the function is compiled again. The draws stay the same.
    """

    def __init__(self, vae: VAE, refinement: Refinement, live: int, chunk: int, rows: int, execution: str) -> None:
        self._vae, self._refinement, self._live = vae, refinement, live
        self._chunk, self._rows, self._execution = min(chunk, live), rows, execution
        self._fit, self._weigh = self._compile()

    def _compile(self) -> tuple[Callable[..., Proposal], Callable[..., list[Tensor]]]:
        """Return the compiled functions for the chunk that fits into memory, as far as it is known."""
        at_once = self._chunk, self._rows
        fit = compile_for(self._vae, fit_proposal, self._refinement, *at_once, execution=self._execution)
        fixed = self._refinement.sampler, self._live, *at_once
        return fit, compile_for(self._vae, weigh_tiles, *fixed, execution=self._execution)

    def weigh(
        self,
        examples: _Examples,
        params: Tensor,
        iw_samples: int,
        sweep: Sequence[int] = (),
        progress: Progress = lambda samples: None,
    ) -> Tally:
        """Return the sums over the importance samples of each example, given the encoder's params [B, P]."""
        batch, places, seed = examples
        proposal: Proposal = (params,)
        if self._refinement != EncoderPosterior():
            proposal = self._within_memory(lambda: self._fit(batch, params, fold(seed, FITTING), places))
        tally = Tally(len(places), iw_samples, sweep)
        at_once = tiles_per_call(self._live, len(places), self._refinement.sampler.passes)
        for tiles in slices(math.ceil(iw_samples / TILE), at_once):
            parts = self._within_memory(functools.partial(self._weights, examples, proposal, tiles))
            for log_px, log_ratio in zip(*parts, strict=True):
                tally.add(log_px, log_ratio)
            progress(min(tiles.stop * TILE, iw_samples) - tiles.start * TILE)
        return tally

    def _weights(self, examples: _Examples, proposal: Proposal, tiles: slice) -> list[np.ndarray]:
        """Return log p(x|z) and log p(z) - log q(z) for some tiles, [tiles, S, B] each."""
        batch, places, seed = examples
        parts = self._weigh(batch, proposal, seed, places, tf.constant(tiles.start), tf.constant(tiles.stop))
        return [part.numpy()[: tiles.stop - tiles.start] for part in parts]

    def _within_memory(self, call: Callable[[], R]) -> R:
        """Return call(), with the chunk halved as often as memory runs out.

        Raises:
          RunError: memory is too small even for one sample at a time.
        """
        try:
            return call()
        except tf.errors.ResourceExhaustedError as error:
            if self._chunk == self._rows == 1:
                raise RunError("Evaluation ran out of memory with one sample at a time. Free some memory.") from error
            self._chunk, self._rows = max(1, self._chunk // 2), 1
            self._fit, self._weigh = self._compile()
            return self._within_memory(call)


def tiles_per_call(live: int, batch: int, passes: int) -> int:
    """Return the number of tiles in one compiled call, for tiles of `live` samples for each example of a batch.

    A tile of fewer than 100 samples is the only one. Room for more tiles would take a minute in eager mode.

    Args:
      live: samples of each tile that are used.
      batch: number of examples.
      passes: passes of the decoder for each sample.
    """
    return 1 if live < TILE else max(1, DECODED_PER_CALL // (live * batch * passes))


def encode_batch(
    vae: VAE, rows: int, batch: Batch | Tensor, places: Tensor, seed: Seed
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return params [B, P], posterior means [B, D], the variance of their errors, and rates [B], 0 if unknown.

    The encoder takes at least `rows` examples. The mean of a flow is the average of two means of 64 samples. Their
    difference estimates its error.
    """
    batch = as_batch(batch)
    model, x = vae.condition(map_batch(lambda part: pad_rows(part, rows), batch))
    params, posterior = model.encoder.params(x)[: batch.x.shape[0]], vae.encoder.posterior
    rate = tf.zeros(params.shape[:1], params.dtype)
    if has_closed_form_rate(posterior, vae.prior):
        model, _ = vae.condition(batch)
        rate = posterior(params).kl_divergence(model.prior())
    if posterior.capabilities.exact_mean:
        mean = posterior(params).mean()
        return params, mean, tf.zeros_like(mean), rate
    halves = (posterior.draw_each(params, MEAN_SAMPLES, fold_each(seed, places, 0, half))[0] for half in (0, 1))
    first, second = (tf.reduce_mean(half, axis=0) for half in halves)
    return params, (first + second) / 2, (first - second) ** 2 / 4, rate


def fit_proposal(
    vae: VAE,
    refinement: Refinement,
    chunk: int,
    rows: int,
    x: Batch | Tensor,
    params: Tensor,
    seed: Seed,
    places: Tensor,
) -> Proposal:
    """Return the proposals of examples x [B, *event_shape] or of a batch, see `Refinement.fit`."""
    return refinement.fit(Joint(vae, x, chunk, rows), params, seed, places)


def weigh_tiles(
    vae: VAE,
    refinement: Refinement,
    live: int,
    chunk: int,
    rows: int,
    x: Batch | Tensor,
    proposal: Proposal,
    seed: Seed,
    places: Tensor,
    first: Tensor,
    last: Tensor,
) -> list[Tensor]:
    """Return log p(x|z) and log p(z) - log q(z) for the samples of some tiles, [tiles_per_call, live, B] each.

    Args:
      vae: the model.
      refinement: the kind of proposal.
      live: the samples of each tile that are used.
      chunk: samples decoded at once.
      rows: fewest values of z that are decoded at once. If the samples are fewer, zeros are added.
      x: the examples, [B, *event_shape], or a batch of them.
      proposal: the proposal of each example, with the batch as first axis.
      seed: a stateless seed.
      places: select the draws of each example, [B].
      first: the first tile.
      last: the tile after the last. Results beyond it are undefined.
    """
    count = as_batch(x).x.shape[0]
    dtype, shape, size = proposal[0].dtype, [live, count], tiles_per_call(live, count, refinement.passes)
    empty = [tf.TensorArray(dtype, size, element_shape=shape) for _ in range(2)]
    joint = Joint(vae, x, chunk, rows)

    def tile(t: Tensor, *arrays: Tensor) -> tuple[Tensor, ...]:
        z, log_q = refinement.draw_each(joint, proposal, TILE, fold_each(seed, places, t))
        log_px, log_pz = joint.terms(z[:live])
        values = log_px, log_pz - log_q[:live]
        return t + 1, *(array.write(t - first, value) for array, value in zip(arrays, values, strict=True))

    arrays = tf.while_loop(lambda t, *arrays: t < last, tile, (first, *empty), parallel_iterations=1)[1:]
    return [array.stack() for array in arrays]
