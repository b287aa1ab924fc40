"""The latent space of a model: where examples lie, regions and grids in it, and the decoded values.

`encode` and `decode` take NumPy arrays of any length and split them into pieces that fit into memory. The size of a
piece decides which numbers a seed draws, so it is not a setting. `grid` and `generate_within` choose the z to
decode, and `paths.path` leads from one z to another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfp_vae.core.batch import Batch, batch_rows
from tfp_vae.core.errors import UsageError, pick
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import Purpose, fold, seed_for
from tfp_vae.core.types import Array, Distribution, Seed
from tfp_vae.evaluation.importance import slices
from tfp_vae.evaluation.information import params_of
from tfp_vae.evaluation.outputs import OUTPUTS
from tfp_vae.model.vae import VAE

__all__ = [
    "Embeddings",
    "Grid",
    "Region",
    "decode",
    "encode",
    "encode_means",
    "generate_within",
    "grid",
    "pieces",
    "prior_draws",
    "prior_quantiles",
]

AT_ONCE = 1_000
"""Most examples that are encoded or decoded at once."""

VALUES_AT_ONCE = 1 << 22
"""Most values of x that are encoded or decoded at once."""

SCALE_SAMPLES = 256
"""Samples whose standard deviation estimates the scale of q(z|x) if it has no closed form."""

DRAWS, MOST_ATTEMPTS = 10_000, 1_000
"""Samples of the prior at once, and number of attempts, in search of a region."""

PRIOR_DRAWS = 20_000
"""Samples that represent a prior, unless it has very many dimensions."""

PRIOR_VALUES = 1 << 24
"""Most values of z in the samples that represent a prior."""

Region = tuple[tuple[float, float], ...]
"""The lowest and the highest value of each latent dimension."""


@check_keywords
class Embeddings(NamedTuple):
    """The posteriors of N examples.

    mean: E_q[z|x], [N, D].
    scale: standard deviations of q(z|x), [N, D].
    samples: S samples of q(z|x), [S, N, D].
    """

    mean: np.ndarray
    scale: np.ndarray
    samples: np.ndarray


@check_keywords
def encode(vae: VAE, x: Array | Batch, *, samples: int, seed: Seed) -> Embeddings:
    """Return the means, scales and samples of q(z|x) for examples x [N, *event_shape].

    Means and scales are in closed form for Normals. For flows they are estimated from 64 and 256 samples, so a scale
    has a relative error of about 1 / sqrt(512), 4%.

    ```python
    embeddings = tv.evaluation.encode(vae, x, samples=3, seed=(0, 0))
    embeddings.mean, embeddings.scale, embeddings.samples  # [16, 2], [16, 2], [3, 16, 2]
    ```

    Args:
      vae: the model.
      x: examples in the support of the likelihood, [N, *event_shape].
      samples: S, at least 0.
      seed: a stateless seed, two integers.

    Raises:
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
    """
    posterior, parts = vae.encoder.posterior, []
    batch = vae.batch(x, "Encoding", density=False)
    for rows in pieces(len(batch.x), batch.x.shape[1:]):
        params, piece_seed = params_of(vae, batch_rows(batch, rows)), fold(seed, rows.start)
        q = posterior(params)
        mean = np.asarray(posterior.mean(params, seed=fold(piece_seed, 0)))
        if posterior.capabilities.exact_mean:
            scale = q.stddev()
        else:
            scale = tf.math.reduce_std(q.sample(SCALE_SAMPLES, seed=fold(piece_seed, 1)), axis=0)
        draws = q.sample(samples, seed=fold(piece_seed, 2)) if samples else np.zeros((0, *mean.shape), np.float32)
        parts.append((mean, np.asarray(scale), np.asarray(draws)))
    means, scales, all_draws = zip(*parts, strict=True)
    return Embeddings(np.concatenate(means), np.concatenate(scales), np.concatenate(all_draws, axis=1))


@check_keywords
def encode_means(vae: VAE, x: Array | Batch, *, seed: Seed) -> np.ndarray:
    """Return the means of q(z|x), [N, D]. They equal those of `encode`, which takes several times as long.

    ```python
    tv.evaluation.latent_space.encode_means(vae, x, seed=(0, 0))  # [16, 2]
    ```

    Args:
      vae: the model.
      x: examples in the support of the likelihood, [N, *event_shape].
      seed: a stateless seed, two integers. Families with a closed-form mean ignore it.

    Raises:
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
    """
    batch = vae.batch(x, "Encoding", density=False)
    mean = vae.encoder.posterior.mean
    return np.concatenate(
        [
            np.asarray(mean(params_of(vae, batch_rows(batch, rows)), seed=fold(fold(seed, rows.start), 0)))
            for rows in pieces(len(batch.x), batch.x.shape[1:])
        ]
    )


@check_keywords
def decode(vae: VAE, z: np.ndarray, *, seed: Seed, show: str = "mean", context: np.ndarray | None = None) -> np.ndarray:
    """Return E[x|z], or a sample of p(x|z), for z [..., D]: [..., *event_shape].

    ```python
    z = tv.evaluation.path(np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]]), steps=5)  # [1, 5, 2]
    tv.evaluation.decode(vae, z, seed=(0, 0))  # [1, 5, 8, 8, 1], E[x|z]
    ```

    Args:
      vae: the model.
      z: places in latent space, with any leading axes, [..., D].
      seed: a stateless seed, two integers. Means do not use it.
      show: `mean` or `draw`, a name from `OUTPUTS`.
      context: the context of each z of a conditional model, [..., C], or [C] if it is the same for all.

    Raises:
      UsageError: `show` is neither of these.
    """
    contexts = None
    if context is not None:
        contexts = np.broadcast_to(context, (*z.shape[:-1], context.shape[-1])).reshape(-1, context.shape[-1])
    output = pick(OUTPUTS, show, "show")
    flat = np.reshape(z, (-1, z.shape[-1])).astype(np.float32)
    event_shape = tuple(vae.decoder.likelihood.event_shape)
    parts = [
        np.asarray(
            output.values(vae.decoder(flat[rows], None if contexts is None else contexts[rows]), fold(seed, rows.start))
        )
        for rows in pieces(len(flat), event_shape)
    ]
    return np.concatenate(parts).reshape(*z.shape[:-1], *event_shape)


def pieces(count: int, event_shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices that split `count` examples into pieces of at most 1,000 examples and 4 million values."""
    return slices(count, max(1, min(AT_ONCE, VALUES_AT_ONCE // math.prod(event_shape))))


@check_keywords
class Grid(NamedTuple):
    """Places in latent space for a square of pictures.

    z: places from top left to bottom right, [side^2, D].
    title: a title for the decoded pictures.
    plane: whether columns follow z_1 and rows follow z_2.
    """

    z: np.ndarray
    title: str
    plane: bool


def prior_draws(vae: VAE, seed: int) -> np.ndarray:
    """Return samples of p(z), [M, D]: 20,000, or fewer in very many dimensions."""
    count = max(100, min(PRIOR_DRAWS, PRIOR_VALUES // vae.prior.latent.size))
    return np.asarray(vae.prior().sample(count, seed=seed_for(seed, Purpose.SAMPLE, 2)))


def prior_quantiles(vae: VAE, levels: np.ndarray, seed: int) -> np.ndarray:
    """Return the quantiles of each p(z_d) at levels [Q]: [Q, D].

    They are exact for a standard Normal. Other priors use 20,000 samples, whose quantiles at 2% and 98% have errors of
    about 0.02 standard deviations.

    Args:
      vae: the model.
      levels: probabilities in (0, 1), [Q].
      seed: seed of the samples.
    """
    if vae.prior.capabilities.standard:
        from scipy.special import ndtri  # the quantiles of `scipy.stats.norm`, which takes long to import

        return np.repeat(np.asarray(ndtri(levels), np.float32)[:, np.newaxis], vae.prior.latent_dim, axis=1)
    return np.asarray(np.quantile(prior_draws(vae, seed), levels, axis=0), np.float32)


def with_layers_below(vae: VAE, z: np.ndarray, dims: np.ndarray) -> np.ndarray:
    """Return z in which the layers below the layer of a dimension follow from it, E[z_l|z_l+1] by the prior.

    The decoder sees z_1 alone, so a change of a higher layer shows only through the layers below it.

    Args:
      vae: the model.
      z: [P, ..., D].
      dims: a dimension for each of P rows of z.
    """
    ends = np.cumsum(vae.prior.latent.blocks)
    layers, made = np.searchsorted(ends, dims, side="right"), np.array(z, np.float32)
    for lower in range(len(ends) - 2, -1, -1):
        part = slice(ends[lower] - vae.prior.latent.blocks[lower], ends[lower])
        rows = layers > lower
        made[rows, ..., part] = np.asarray(vae.prior().locs(made[rows]))[..., part]  # type: ignore[attr-defined]
    return made


@check_keywords
def grid(vae: VAE, side: int, seed: int) -> Grid:
    """Return a grid of side^2 places z that shows the range of any prior.

    In two dimensions these are quantiles of p(z_1) and p(z_2), so each step has the same mass under the prior. In other
    dimensions these are samples of p(z).

    ```python
    places = tv.evaluation.grid(vae, side=5, seed=0)
    tv.evaluation.decode(vae, places.z, seed=(0, 0))  # [25, 8, 8, 1]
    ```
    """
    if vae.prior.latent.blocks != (2,) or vae.prior.latent.discrete:
        draws = np.asarray(vae.prior().sample(side**2, seed=seed_for(seed, Purpose.SAMPLE, 3)))
        return Grid(draws, "E[x|z] of draws from the prior", plane=False)
    along = prior_quantiles(vae, (np.arange(side) + 0.5) / side, seed)
    first, second = np.meshgrid(along[:, 0], along[::-1, 1])
    exact = vae.prior.capabilities.standard
    title = "E[x|z] over quantiles of the prior" if exact else "E[x|z] over quantiles of the prior's z_1 and of its z_2"
    return Grid(np.stack([first.ravel(), second.ravel()], axis=1).astype(np.float32), title, plane=True)


@check_keywords
def generate_within(vae: VAE, n: int, region: Region, *, seed: Seed, temperature: float = 1.0) -> Distribution:
    """Return p(x|z_i) for z_1..z_n from the prior, given that z lies in a region: batch [n].

    It uses rejection, so it works with every prior. The expected number of samples is n / P(z in the region). For
    example, a region with a ten-thousandth of the mass of the prior takes about 10,000 n samples. The decoder runs once
    for all z.

    ```python
    right = tv.evaluation.generate_within(vae, 4, ((0.0, 3.0), (-3.0, 3.0)), seed=(0, 0))
    right.mean()  # [4, 8, 8, 1], all with z_1 above 0
    ```

    Args:
      vae: the model.
      n: number of z.
      region: the lowest and the highest value of each of the D dimensions. Infinities leave it open.
      seed: a stateless seed, two integers.
      temperature: factor for the scales of the prior's Normals.

    Raises:
      UsageError: the region has another dimension than z, or fewer than n of ten million samples lie in it.
    """
    if vae.prior.latent.discrete:
        raise UsageError("`region` needs a continuous z, but that of this model is discrete. Leave it out.")
    low, high = np.transpose(region)
    if len(low) != vae.prior.latent_dim or not (low < high).all():
        raise UsageError(
            f"`region` needs a lowest and a higher value for each of {vae.prior.latent_dim} latent dimensions, found "
            f"{region}."
        )
    prior, inside = vae.prior(temperature), np.zeros((0, len(low)), np.float32)
    for attempt in range(MOST_ATTEMPTS):
        z = np.asarray(prior.sample(DRAWS, seed=fold(seed, 0, attempt)))
        inside = np.concatenate([inside, z[((z >= low) & (z <= high)).all(axis=1)]])
        if len(inside) >= n:
            return vae.decoder(inside[:n])
    raise UsageError(
        f"The prior has too little mass in `region`: {len(inside)} of {DRAWS * MOST_ATTEMPTS:,} samples lie in it, but "
        f"{n} are needed. Choose a larger region."
    )
