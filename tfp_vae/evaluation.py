"""Evaluation: the importance-weighted log-likelihood, streamed, and what the model's bound is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae._lazy import tf, tfp
from tfp_vae.errors import UsageError
from tfp_vae.execution import AUTO, choose, compiled
from tfp_vae.objectives import has_closed_form_rate
from tfp_vae.seeds import Seed, fold
from tfp_vae.vae import VAE

__all__ = ["Estimates", "Summary", "active_units", "estimate", "log_likelihood", "summarize"]

TILE = 100
"""Samples of z drawn from one seed, (example, tile). Fixed: with it the draws are the same however the work is cut."""

DECODED_PER_CALL = 100_000
"""About how many samples of z one compiled call decodes, so that progress moves and an interrupt is heard."""

DECODED_VALUES = 1 << 24
"""How many values of x may be decoded at once, unless a chunk size is given."""

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
    posterior_mean: E_q[z|x], [N, D].
    """

    log_likelihood: np.ndarray
    distortion: np.ndarray
    rate: np.ndarray
    ess: np.ndarray
    posterior_mean: np.ndarray


class Summary(NamedTuple):
    """Averages over the examples, in nats per example but for `bits_per_dim`; `_se` is a standard error."""

    log_likelihood: float
    log_likelihood_se: float
    elbo: float
    elbo_se: float
    distortion: float
    rate: float
    bits_per_dim: float
    active_units: float
    ess_median: float


class _Sums(NamedTuple):
    """Running sums over the samples of each example, [B]."""

    log_w: Any  # log sum_k w_k
    log_w2: Any  # log sum_k w_k^2
    log_px_given_z: Any  # sum_k log p(x|z_k)
    log_ratio: Any  # sum_k log p(z_k) - log q(z_k|x)


def log_likelihood(
    vae: VAE,
    x: Any,
    *,
    iw_samples: int,
    seed: Seed,
    batch_size: int = 32,
    chunk_size: int | None = None,
    execution: str = AUTO,
) -> np.ndarray:
    """Return the importance-weighted estimate of log p(x) for each example, in nats.

    log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x),  z_k ~ q(z|x).

    In expectation a lower bound that rises to log p(x) with K. Each example's draws depend on the seed and on its
    place in x alone: the result does not depend on `batch_size` or `chunk_size` but for rounding, and memory does
    not grow with K.

    Args:
      vae: the model.
      x: examples as the likelihood takes them, [N, *event_shape].
      iw_samples: K.
      seed: a stateless seed, two integers.
      batch_size: examples at once.
      chunk_size: samples of each example decoded at once, at most 100; by default as many as keep the decoded
        values of a batch under 16 million.
      execution: `auto`, `xla`, `graph` or `eager`; they do not draw the same numbers.

    Returns:
      log p(x), float64 [N].

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """
    return estimate(
        vae, x, iw_samples=iw_samples, seed=seed, batch_size=batch_size, chunk_size=chunk_size, execution=execution
    ).log_likelihood


def estimate(
    vae: VAE,
    x: Any,
    *,
    iw_samples: int,
    seed: Seed,
    batch_size: int = 32,
    chunk_size: int | None = None,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> Estimates:
    """Return log p(x) as `log_likelihood` does, with what else the same samples tell; see there for the arguments."""
    if iw_samples < 1 or batch_size < 1 or len(x) < 1:
        raise UsageError(f"expected at least one sample and one example, found {iw_samples} and {len(x)}.")
    batch_size = min(batch_size, len(x))
    chunk_size = chunk_size or max(1, DECODED_VALUES // (batch_size * math.prod(x.shape[1:])))
    sampler = _Sampler(vae, iw_samples, chunk_size, choose(vae, execution), progress)
    parts = [sampler(*batch, seed) for batch in _batches(np.asarray(x), batch_size)]
    columns = (np.concatenate(column)[: len(x)].astype(np.float64) for column in zip(*parts, strict=True))
    return Estimates(*columns)


def active_units(posterior_mean: np.ndarray) -> float:
    """Return how many latent dimensions are active, Var_x(E_q[z|x]) > 0.01, of means [N, D]; NaN for N = 1."""
    if len(posterior_mean) < 2:
        return math.nan
    return int(np.sum(np.var(posterior_mean, axis=0) > ACTIVE_VARIANCE))


def summarize(estimates: Estimates, event_size: int, *, discrete: bool) -> Summary:
    """Return the averages of `estimates`, with standard errors over the examples.

    bits_per_dim = -log p(x) / (event_size log 2), of discrete data; of a density it is NaN. A standard error of a
    single example is NaN.
    """
    elbo = -estimates.distortion - estimates.rate
    log_px = estimates.log_likelihood
    return Summary(
        log_likelihood=float(log_px.mean()),
        log_likelihood_se=_standard_error(log_px),
        elbo=float(elbo.mean()),
        elbo_se=_standard_error(elbo),
        distortion=float(estimates.distortion.mean()),
        rate=float(estimates.rate.mean()),
        bits_per_dim=float(-log_px.mean() / (event_size * math.log(2))) if discrete else math.nan,
        active_units=active_units(estimates.posterior_mean),
        ess_median=float(np.median(estimates.ess)),
    )


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _batches(x: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Give (examples, their places in x), all batches of one size: the last repeats the last example."""
    for start in range(0, len(x), batch_size):
        places = np.minimum(np.arange(start, start + batch_size), len(x) - 1)
        yield x[places], places.astype(np.int32)


@final
class _Sampler:
    """Takes the importance samples of one batch, a few tiles in each compiled call."""

    def __init__(self, vae: VAE, iw_samples: int, chunk_size: int, execution: str, progress: Progress) -> None:
        self._vae = vae
        self._iw_samples = iw_samples
        self._live = min(TILE, iw_samples)  # of each tile's draws, how many are used
        self._chunk = min(chunk_size, self._live)
        self._progress = progress
        self._closed_form = has_closed_form_rate(vae.encoder.posterior, vae.prior)
        self._encode = compiled(self._encoded, execution)
        self._advance = compiled(self._advanced, execution)

    def __call__(self, x: np.ndarray, places: np.ndarray, seed: Seed) -> Estimates:
        """Return the estimates of the examples x [B, ...], whose draws are named by `seed` and `places` [B]."""
        params, mean = self._encode(x, fold(seed))
        nothing, zero = np.full(len(x), -np.inf), np.zeros(len(x))
        sums = _Sums(nothing, nothing, zero, zero)
        tiles = math.ceil(self._iw_samples / TILE)
        per_call = max(1, DECODED_PER_CALL // (self._live * len(x)))
        for tile in range(0, tiles, per_call):
            last = min(tile + per_call, tiles)
            sums = self._advance(x, params, fold(seed), places, tf.constant(tile), tf.constant(last), sums)
            self._progress(len(x) * (min(last * TILE, self._iw_samples) - tile * TILE))
        log_w, log_w2, log_px_given_z, log_ratio = (np.asarray(total) for total in sums)
        return Estimates(
            log_likelihood=log_w - math.log(self._iw_samples),
            distortion=-log_px_given_z / self._iw_samples,
            rate=self._closed_form_rate(params) if self._closed_form else -log_ratio / self._iw_samples,
            ess=np.clip(np.exp(2 * log_w - log_w2), 1, self._iw_samples),
            posterior_mean=np.asarray(mean),
        )

    def _closed_form_rate(self, params: Any) -> np.ndarray:
        return np.asarray(self._vae.encoder.posterior(params).kl_divergence(self._vae.prior()))

    def _encoded(self, x: Any, seed: Any) -> tuple[Any, Any]:
        params = self._vae.encoder.network(x)
        return params, self._vae.encoder.posterior.mean(params, seed=seed)

    def _advanced(self, x: Any, params: Any, seed: Any, places: Any, first: Any, last: Any, sums: _Sums) -> Any:
        def tile(t: Any, sums: _Sums) -> tuple[Any, _Sums]:
            z, log_ratio = self._draw(params, seed, places, t)  # [S, B, D], [S, B]
            log_px = self._decode(x, z)  # log p(x|z), [S, B]
            used = (t * TILE + tf.range(self._live) < self._iw_samples)[:, tf.newaxis]
            return t + 1, _added(sums, log_px, log_ratio, used)

        return tf.while_loop(lambda t, sums: t < last, tile, (first, _Sums(*sums)), parallel_iterations=1)[1]

    def _draw(self, params: Any, seed: Any, places: Any, t: Any) -> tuple[Any, Any]:
        """Return a tile's z [S, B, D] and log p(z) - log q(z|x) [S, B], each example from its own seed."""

        def of_one(example: tuple[Any, Any]) -> tuple[Any, Any]:
            row, place = example
            q = self._vae.encoder.posterior(row[tf.newaxis])
            z = q.sample(TILE, seed=fold(seed, place, t))  # [T, 1, D]
            return z[: self._live, 0], (self._vae.prior().log_prob(z) - q.log_prob(z))[: self._live, 0]

        z, log_ratio = tf.map_fn(of_one, (params, places), fn_output_signature=(params.dtype, params.dtype))
        return tf.transpose(z, [1, 0, 2]), tf.transpose(log_ratio)

    def _decode(self, x: Any, z: Any) -> Any:
        """Return log p(x|z), [S, B], for z [S, B, D], `chunk_size` samples at a time."""
        chunks = math.ceil(self._live / self._chunk)
        padded = tf.pad(z, [[0, chunks * self._chunk - self._live], [0, 0], [0, 0]])
        pieces = tf.reshape(padded, [chunks, self._chunk, *z.shape[1:]])
        log_px = tf.map_fn(lambda piece: self._vae.decoder(piece).log_prob(x), pieces)
        return tf.reshape(log_px, [chunks * self._chunk, -1])[: self._live]


def _added(sums: _Sums, log_px: Any, log_ratio: Any, used: Any) -> _Sums:
    """Return the running sums, float64, with the samples [S, B] that are `used` [S, 1]."""
    log_px, log_ratio = tf.cast(log_px, tf.float64), tf.cast(log_ratio, tf.float64)
    log_w = tf.where(used, log_px + log_ratio, tf.constant(-math.inf, tf.float64))
    return _Sums(
        tfp.math.log_add_exp(sums.log_w, tf.reduce_logsumexp(log_w, axis=0)),
        tfp.math.log_add_exp(sums.log_w2, tf.reduce_logsumexp(2 * log_w, axis=0)),
        sums.log_px_given_z + tf.reduce_sum(tf.where(used, log_px, tf.zeros_like(log_px)), axis=0),
        sums.log_ratio + tf.reduce_sum(tf.where(used, log_ratio, tf.zeros_like(log_ratio)), axis=0),
    )
