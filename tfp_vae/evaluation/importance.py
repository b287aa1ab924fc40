"""The importance-weighted log-likelihood, computed in a stream, with the terms of the ELBO.

`estimate` uses an `Estimator` once. An `Estimator` cuts examples into batches of one size. Its sampler draws tiles of
100 samples in a compiled function and passes their log-weights to a `diagnostics.Tally` on the host, which sums them in
float64. `summarize` turns the estimates of examples into averages with their errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import psutil

from tfp_vae.core.batch import Batch, as_batch, plain_values
from tfp_vae.core.errors import DataError, RunError, UsageError
from tfp_vae.core.execution import AUTO, choose, compile_function
from tfp_vae.core.lazy import tf
from tfp_vae.core.seeds import Seed, fold
from tfp_vae.core.types import Array
from tfp_vae.data.dataset import Split, check_split
from tfp_vae.evaluation.diagnostics import (
    PARETO_K_LIMIT,
    Tally,
    log_mean_error,
    mean_error,
    second_order_bias,
    standard_error,
)
from tfp_vae.model.posteriors import MEAN_SAMPLES
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import has_closed_form_rate

__all__ = [
    "Estimates",
    "Estimator",
    "Summary",
    "active_units",
    "cut",
    "estimate",
    "is_active",
    "summarize",
]

TILE = 100
"""Samples of z drawn from one seed, (example, tile). Fixed: with it the draws are the same however the work is cut."""

DECODED_PER_CALL = 100_000
"""About how many samples of z one compiled call decodes, so that progress moves and an interrupt is heard."""

DECODED_VALUES = 1 << 24
"""How many numbers the decoder gives at once at most, unless a chunk size is given."""

BYTES_PER_DECODED_VALUE = 64
"""About what each number of the decoder's output takes: itself, its density, and what lies between, in float32."""

ACTIVE_VARIANCE = 0.01
"""A latent dimension is active if Var_x(E_q[z|x]) exceeds this (Burda et al., 2016)."""

Progress = Callable[[int], None]
"""Called with the number of importance samples just taken."""


class Estimates(NamedTuple):
    """What evaluation finds for each example; nats.

    log_likelihood: importance-weighted estimate of log p(x), [N].
    distortion: -E_q[log p(x|z)], estimated from the same samples, [N].
    rate: KL(q(z|x) || p(z)), closed-form between Normals, else estimated from the same samples, [N].
    ess: effective sample size of the weights, (sum w)^2 / sum w^2, between 1 and K, [N].
    pareto_k: shape of the weights' upper tail, see `diagnostics.pareto_k`, [N].
    sweep: the estimate of log p(x) from the first samples alone, for each number of the sweep, [N, J].
    posterior_mean: E_q[z|x], closed-form of a Normal, else the mean of 128 draws, [N, D].
    posterior_mean_variance: the variance of that mean's own error, an estimate; zero of a Normal, [N, D].
    """

    log_likelihood: np.ndarray
    distortion: np.ndarray
    rate: np.ndarray
    ess: np.ndarray
    pareto_k: np.ndarray
    sweep: np.ndarray
    posterior_mean: np.ndarray
    posterior_mean_variance: np.ndarray

    @property
    def elbo(self) -> np.ndarray:
        """-distortion - rate, [N].

        From the same K samples as the estimate, so that the two differ by what importance weighting adds.
        """
        return np.asarray(-self.distortion - self.rate)


class Summary(NamedTuple):
    """Averages over the examples, in nats per example but for `bits_per_dim`.

    `_se` is a standard error over examples: how far another sample of the population would differ. `_mc_error` is that
    of the importance samples: how far another seed would differ, on these examples.

    log_likelihood: mean of the importance-weighted log p(x).
    log_likelihood_se, log_likelihood_mc_error: its errors, as said above.
    likely_bias: how far it lies below log p(x), to second order; see `diagnostics.second_order_bias`.
    elbo, elbo_se, distortion, rate: elbo = -distortion - rate.
    bits_per_dim: -log p(x) / (dimensions log 2); NaN of a density.
    active_units: latent dimensions with Var_x(E_q[z|x]) > 0.01.
    ess_median, ess_p5, ess_min: effective sample sizes over examples, in samples.
    pareto_k_median, pareto_k_share_above: k̂ over examples, and the share above 0.7; NaN for K under 21.
    """

    log_likelihood: float
    log_likelihood_se: float
    log_likelihood_mc_error: float
    likely_bias: float
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


def estimate(
    vae: VAE,
    x: Array | Batch,
    *,
    iw_samples: int,
    seed: Seed,
    sweep: Sequence[int] = (),
    places: np.ndarray | None = None,
    batch_size: int = 32,
    chunk_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> Estimates:
    """Return the importance-weighted estimate of log p(x) and everything else that the same samples give.

    `tfp_vae.log_likelihood` describes the estimate.

    ```python
    found = tv.evaluation.importance.estimate(vae, x, iw_samples=100, sweep=(1, 10), seed=(0, 3))
    found.log_likelihood, found.elbo, found.ess  # [16] each
    found.sweep.mean(axis=0)  # [2]: the bound at K = 1 and K = 10, from the same draws
    ```

    Args:
      vae: the model.
      x: examples, [N, *event_shape].
      iw_samples: K.
      seed: a stateless seed, two integers.
      sweep: smaller numbers of samples at which the estimate is also recorded, from the same draws.
      places: non-negative integers [N] that select each example's draws, by default its index in x. Give the indices in
        the whole data to get the same draws for a subset.
      batch_size: examples evaluated at once.
      chunk_size: samples per example decoded at once, at most 100. By default as many as keep the decoded values of a
        batch under 16.8 million and within half of the free memory.
      execution: `auto`, `xla`, `graph` or `eager`. They draw different numbers from one seed.
      progress: called with the number of importance samples just taken.

    Raises:
      UsageError: no sample, no example, or a sweep beyond K.
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
      RunError: memory is too small even for one sample at a time.
    """
    x = plain_values(as_batch(x), "Importance sampling")
    estimator = Estimator(
        vae,
        iw_samples=iw_samples,
        sweep=sweep,
        batch_size=min(batch_size, max(1, len(x))),
        chunk_size=chunk_size,
        execution=execution,
    )
    return estimator(x, seed=seed, places=places, progress=progress)


@final
class Estimator:
    """Estimates log p(x) of examples, call after call, by functions that are compiled once.

    Changed weights are seen; a network or a family that is put in another's place is not. A call with fewer examples
    than `batch_size` makes another shape, which is compiled anew; within a call all batches are of one size, the last
    filled up.

    ```python
    estimator = tv.evaluation.importance.Estimator(vae, iw_samples=100)
    first, second = (estimator(half, seed=(0, 0)).log_likelihood for half in (x[:8], x[8:]))  # [8] each
    ```

    Args:
      vae: the model.
      iw_samples: K.
      sweep: smaller numbers of samples at which the estimate is noted too, from the same draws.
      batch_size: examples at once.
      chunk_size: samples of each example decoded at once, at most 100; by default as many as memory allows.
      execution: how it is run.

    Raises:
      UsageError: no sample, a batch or a chunk of none, or a sweep beyond K.
    """

    def __init__(
        self,
        vae: VAE,
        *,
        iw_samples: int,
        sweep: Sequence[int] = (),
        batch_size: int = 32,
        chunk_size: int | None = None,
        execution: str = AUTO,
    ) -> None:
        if iw_samples < 1 or batch_size < 1:
            raise UsageError(f"expected at least one sample, found {iw_samples}, of at least one example at once.")
        if chunk_size is not None and chunk_size < 1:
            raise UsageError(f"expected a chunk of at least one sample, found {chunk_size}.")
        if any(not 1 <= k <= iw_samples for k in sweep):
            raise UsageError(f"expected a sweep of 1 to {iw_samples} samples, found {', '.join(map(str, sweep))}.")
        chunk_size = chunk_size or _fitting_chunk(batch_size * vae.decoder.likelihood.params_size)
        self._batch_size, self._likelihood = batch_size, vae.decoder.likelihood
        self._sampler = _Sampler(vae, iw_samples, sweep, chunk_size, choose(vae, execution))

    def __call__(
        self,
        x: Array | Batch,
        *,
        seed: Seed,
        places: np.ndarray | None = None,
        progress: Progress = lambda samples: None,
    ) -> Estimates:
        """Return the estimates of x [N, *event_shape], see `estimate`.

        Raises:
          UsageError: no example.
          DataError: x has another shape than the model's examples, or values outside the likelihood's support.
          RunError: memory is too small even for one sample at a time.
        """
        x = np.asarray(plain_values(as_batch(x), "Importance sampling"))
        if len(x) < 1:
            raise UsageError("expected at least one example, found none.")
        if x.shape[1:] != tuple(self._likelihood.event_shape):
            raise DataError(
                f"x: expected examples of shape {tuple(self._likelihood.event_shape)}, found {x.shape[1:]}."
            )
        check_split("x", Split(x), self._likelihood.support, lambda: "scale or binarize it as in training")
        places = np.arange(len(x)) if places is None else places
        size, parts = min(self._batch_size, len(x)), []
        for start, end in cut(len(x), size):
            rows = np.minimum(np.arange(start, start + size), len(x) - 1)  # all batches of one size
            found = self._sampler(x[rows], places[rows].astype(np.int32), seed, end - start, progress)
            parts.append([column[: end - start] for column in found])
        columns = (np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True))
        return Estimates(*columns)


def cut(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Give the beginning and the end of each part of `count` things, `size` of them but for the last.

    ```python
    list(tv.evaluation.importance.cut(7, 3))  # [(0, 3), (3, 6), (6, 7)]
    ```
    """
    for start in range(0, count, size):
        yield start, min(start + size, count)


def _fitting_chunk(values_per_sample: int) -> int:
    """Return how many samples are decoded at once: of at most `DECODED_VALUES`, and half of the memory at hand.

    At least one, whatever the memory: a sample that does not fit is found out when it is decoded.
    """
    at_hand = psutil.virtual_memory().available // (2 * BYTES_PER_DECODED_VALUE)
    return int(max(1, min(DECODED_VALUES, at_hand) // values_per_sample))


def is_active(estimates: Estimates) -> np.ndarray:
    """Return which latent dimensions are active, Var_x(E_q[z|x]) > 0.01: bool [D].

    The variance of the means' own errors, which would make a collapsed dimension of a flow look alive, is taken off.

    Needs enough examples that a variance over them means something; of few, an idle dimension may pass by chance.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """
    own = estimates.posterior_mean_variance.mean(axis=0)
    return np.asarray(estimates.posterior_mean.var(axis=0) - own > ACTIVE_VARIANCE)


def active_units(estimates: Estimates) -> float:
    """Return how many latent dimensions are active; NaN of a single example.

    A dimension that is not active is one that the encoder does not use: its means are the same for all x.
    """
    return int(is_active(estimates).sum()) if len(estimates.posterior_mean) > 1 else math.nan


def summarize(estimates: Estimates, event_size: int, iw_samples: int, *, discrete: bool) -> Summary:
    """Return the averages of `estimates`, with standard errors over the examples.

    bits_per_dim = -log p(x) / (event_size log 2), of discrete data; of a density it is NaN. A standard error of a
    single example is NaN.

    ```python
    # found as in the example of `estimate`
    tv.evaluation.importance.summarize(found, event_size=64, iw_samples=100, discrete=True).bits_per_dim
    ```

    Args:
      estimates: of N examples.
      event_size: the dimensions of x.
      iw_samples: K, with which they were made.
      discrete: whether p(x|z) is a probability; see `likelihoods.Likelihood`.
    """
    log_px, samples = estimates.log_likelihood, iw_samples
    return Summary(
        log_likelihood=float(log_px.mean()),
        log_likelihood_se=standard_error(log_px),
        log_likelihood_mc_error=mean_error(log_mean_error(estimates.ess, samples)),
        likely_bias=float(second_order_bias(estimates.ess, samples).mean()),
        elbo=float(estimates.elbo.mean()),
        elbo_se=standard_error(estimates.elbo),
        distortion=float(estimates.distortion.mean()),
        rate=float(estimates.rate.mean()),
        bits_per_dim=float(-log_px.mean() / (event_size * math.log(2))) if discrete else math.nan,
        active_units=active_units(estimates),
        ess_median=float(np.median(estimates.ess)),
        ess_p5=float(np.quantile(estimates.ess, 0.05)),
        ess_min=float(estimates.ess.min()),
        pareto_k_median=float(np.median(estimates.pareto_k)),
        pareto_k_share_above=_share_above(estimates.pareto_k, PARETO_K_LIMIT),
    )


def _share_above(values: np.ndarray, limit: float) -> float:
    return math.nan if np.isnan(values).all() else float(np.mean(values[~np.isnan(values)] > limit))


@final
class _Sampler:
    """Takes the importance samples of one batch, a few tiles in each compiled call.

    The noise of a tile is drawn whole, 100 samples of each example, and only the decoder sees fewer at once: so neither
    chunks nor an uneven K change a draw.
    """

    def __init__(
        self,
        vae: VAE,
        iw_samples: int,
        sweep: Sequence[int],
        chunk_size: int,
        execution: str,
    ) -> None:
        self._vae, self._iw_samples, self._sweep = vae, iw_samples, sweep
        self._live = min(TILE, iw_samples)  # of each tile's draws, how many are used
        self._chunk = min(chunk_size, self._live)
        self._execution = execution
        self._closed_form = has_closed_form_rate(vae.encoder.posterior, vae.prior)
        self._encode = compile_function(self._encoded, execution)
        self._advance = compile_function(self._advanced, execution)

    def __call__(self, x: np.ndarray, places: np.ndarray, seed: Seed, live: int, progress: Progress) -> Estimates:
        """Return the estimates of x [B, ...], whose draws `seed` and `places` [B] name; the first `live` count."""
        params, mean, variance, rate = self._encode(x, places, fold(seed))
        tally = Tally(len(x), self._iw_samples, self._sweep)
        tiles = math.ceil(self._iw_samples / TILE)
        per_call = self._tiles_per_call(len(x))
        for tile in range(0, tiles, per_call):
            last = min(tile + per_call, tiles)
            for part in zip(*self._drawn(x, params, fold(seed), places, tile, last), strict=True):
                tally.add(*part)
            progress(live * (min(last * TILE, self._iw_samples) - tile * TILE))
        return Estimates(
            log_likelihood=tally.log_likelihood,
            distortion=tally.distortion,
            rate=rate.numpy() if self._closed_form else tally.rate,
            ess=tally.ess,
            pareto_k=tally.pareto_k,
            sweep=tally.swept,
            posterior_mean=mean.numpy(),
            posterior_mean_variance=variance.numpy(),
        )

    def _tiles_per_call(self, batch: int) -> int:
        return max(1, DECODED_PER_CALL // (self._live * batch))

    def _encoded(self, x: Any, places: Any, seed: Any) -> tuple[Any, ...]:
        """Return params [B, P], the posteriors' means [B, D], the means' own variance, and rates [B], 0 if unknown.

        A flow's mean is the average of two means of 64 draws each, whose difference tells its error.
        """
        params, posterior = self._vae.encoder.params(x), self._vae.encoder.posterior
        if posterior.capabilities.normal:
            mean = posterior(params).mean()
            return params, mean, tf.zeros_like(mean), self._closed_form_rate(params)
        first, second = (
            tf.reduce_mean(posterior.draw_each(params, MEAN_SAMPLES, _seeds(seed, places, 0, half))[0], axis=0)
            for half in (0, 1)
        )
        return params, (first + second) / 2, (first - second) ** 2 / 4, self._closed_form_rate(params)

    def _closed_form_rate(self, params: Any) -> Any:
        if not self._closed_form:
            return tf.zeros(params.shape[:1], params.dtype)
        return self._vae.encoder.posterior(params).kl_divergence(self._vae.prior())

    def _drawn(self, x: Any, params: Any, seed: Any, places: Any, first: int, last: int) -> list[np.ndarray]:
        """Return log p(x|z) and log p(z) - log q(z|x) of some tiles, [tiles, S, B], in smaller chunks if need be.

        Where memory runs out, the chunk is halved and the function compiled anew; the draws stay the same.
        """
        try:
            parts = self._advance(x, params, seed, places, tf.constant(first), tf.constant(last))
        except tf.errors.ResourceExhaustedError as error:
            if self._chunk == 1:
                raise RunError("evaluation ran out of memory with one sample at a time: free some memory.") from error
            self._chunk //= 2
            self._advance = compile_function(self._advanced, self._execution)
            return self._drawn(x, params, seed, places, first, last)
        return [part.numpy()[: last - first] for part in parts]

    def _advanced(self, x: Any, params: Any, seed: Any, places: Any, first: Any, last: Any) -> Any:
        shape, size = [self._live, x.shape[0]], self._tiles_per_call(x.shape[0])
        empty = [tf.TensorArray(params.dtype, size, element_shape=shape) for _ in range(2)]
        prior = self._vae.prior()

        def tile(t: Any, *drawn: Any) -> tuple[Any, ...]:
            z, log_q = self._vae.encoder.posterior.draw_each(params, TILE, _seeds(seed, places, t))
            log_px, log_pz = self._decode(x, z[: self._live], prior)
            values = log_px, log_pz - log_q[: self._live]
            return t + 1, *(array.write(t - first, value) for array, value in zip(drawn, values, strict=True))

        drawn = tf.while_loop(lambda t, *drawn: t < last, tile, (first, *empty), parallel_iterations=1)[1:]
        return [array.stack() for array in drawn]

    def _decode(self, x: Any, z: Any, prior: Any) -> tuple[Any, Any]:
        """Return log p(x|z) and log p(z), [S, B] each, for z [S, B, D], `chunk_size` samples at a time."""
        chunks = math.ceil(self._live / self._chunk)
        padded = tf.pad(z, [[0, chunks * self._chunk - self._live], [0, 0], [0, 0]])
        pieces = tf.reshape(padded, [chunks, self._chunk, *z.shape[1:]])
        densities = tf.map_fn(
            lambda piece: (self._vae.decoder(piece).log_prob(x), prior.log_prob(piece)),
            pieces,
            fn_output_signature=(z.dtype, z.dtype),
        )
        return tuple(tf.reshape(density, [chunks * self._chunk, -1])[: self._live] for density in densities)


def _seeds(seed: Any, places: Any, *indices: Any) -> Any:
    """Return the seed of each example, [B, 2], folded from its place and from indices."""
    return tf.map_fn(lambda place: fold(seed, place, *indices), places, fn_output_signature=tf.int32)
