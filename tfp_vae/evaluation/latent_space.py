"""The latent space of a model: where data lie in it, paths through it, regions of it, and what is decoded there.

`encode` and `decode` take NumPy arrays of any length, in pieces that memory holds; `path` and `generate_within` choose
the z to be decoded. Pieces of another size would draw other numbers from the same seed, so their size is part of what a
seed means and is not a setting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.seeds import Seed, fold
from tfp_vae.model.vae import VAE

__all__ = ["PATHS", "SHOWN", "Embeddings", "Region", "decode", "encode", "generate_within", "path"]

AT_ONCE, VALUES_AT_ONCE = 1_000, 1 << 22
"""Examples, and values of x, encoded or decoded together; part of what a seed means."""

SCALE_SAMPLES = 256
"""Samples whose standard deviation stands for that of q(z|x) where it has no closed form."""

DRAWS, MOST_ATTEMPTS = 10_000, 1_000
"""Draws from the prior at once, and how often, in search of a region."""

Region = tuple[tuple[float, float], ...]
"""For each latent dimension, the lowest and the highest value."""

SHOWN: dict[str, Callable[[Any, Any], Any]] = {
    "mean": lambda p, seed: p.mean(),
    "draw": lambda p, seed: p.sample(seed=seed),
}
"""What is shown of p(x|z): its mean, or a draw."""


class Embeddings(NamedTuple):
    """Where examples lie in latent space.

    mean: E_q[z|x], [N, D].
    scale: the standard deviations of q(z|x), [N, D].
    samples: draws from q(z|x), [S, N, D].
    """

    mean: np.ndarray
    scale: np.ndarray
    samples: np.ndarray


def encode(vae: VAE, x: np.ndarray, *, samples: int, seed: Seed) -> Embeddings:
    """Return q(z|x) of examples x [N, *event_shape]: its means, its scales, and `samples` draws.

    Means and scales are closed-form for Normals; those of flows are estimated, from 64 and from 256 samples.

    ```python
    found = tv.evaluation.latent_space.encode(vae, x, samples=3, seed=(0, 0))
    found.mean, found.scale, found.samples  # [16, 2], [16, 2], [3, 16, 2]
    ```

    Args:
      vae: the model.
      x: examples as the likelihood takes them, [N, *event_shape].
      samples: S, from 0 on.
      seed: a stateless seed, two integers.

    Returns:
      `Embeddings`. The scale of a flow has a relative error of about 1 / sqrt(512), 4%.
    """
    parts = [_encoded(vae, x[rows], samples, fold(seed, rows.start)) for rows in _pieces(len(x), x.shape[1:])]
    mean, scale, draws = zip(*parts, strict=True)
    return Embeddings(np.concatenate(mean), np.concatenate(scale), np.concatenate(draws, axis=1))


def _encoded(vae: VAE, x: np.ndarray, samples: int, seed: Seed) -> Embeddings:
    posterior, params = vae.encoder.posterior, vae.encoder.params(x)
    q = posterior(params)
    scale = _SCALES[posterior.capabilities.normal](q, fold(seed, 1))
    draws = q.sample(samples, seed=fold(seed, 2)) if samples else np.zeros((0, *scale.shape), np.float32)
    return Embeddings(*(np.asarray(part) for part in (posterior.mean(params, seed=fold(seed, 0)), scale, draws)))


_SCALES: dict[bool, Callable[[Any, Any], Any]] = {
    True: lambda q, seed: q.stddev(),
    False: lambda q, seed: tf.math.reduce_std(q.sample(SCALE_SAMPLES, seed=seed), axis=0),
}


def decode(vae: VAE, z: np.ndarray, *, seed: Seed, show: str = "mean") -> np.ndarray:
    """Return what is shown of p(x|z), E[x|z] or a draw, for z [..., D]: [..., *event_shape].

    ```python
    z = tv.evaluation.latent_space.path(np.array([[-1.0, 0.0]]), np.array([[1.0, 0.0]]), steps=5)  # [1, 5, 2]
    tv.evaluation.latent_space.decode(vae, z, seed=(0, 0))  # [1, 5, 8, 8, 1], E[x|z]
    ```

    Args:
      vae: the model.
      z: any leading axes, the last of D.
      seed: a stateless seed; of means not looked at.
      show: `mean` or `draw`, a name from `SHOWN`.
    """
    flat = np.reshape(z, (-1, z.shape[-1])).astype(np.float32)
    event_shape = tuple(vae.decoder.likelihood.event_shape)
    parts = [
        np.asarray(SHOWN[show](vae.decoder(flat[rows]), fold(seed, rows.start)))
        for rows in _pieces(len(flat), event_shape)
    ]
    return np.concatenate(parts).reshape(*z.shape[:-1], *event_shape)


def _pieces(count: int, event_shape: tuple[int, ...]) -> Iterator[slice]:
    size = max(1, min(AT_ONCE, VALUES_AT_ONCE // math.prod(event_shape)))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _linear(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (1 - t) first + t last."""
    return np.asarray((1 - t) * first + t * last)


def _spherical(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (sin((1 - t) w) first + sin(t w) last) / sin w, w their angle; a straight line where sin w is 0.

    On it the length of z stays where it is if both ends have one length, and the angle grows evenly.
    """
    norms = np.linalg.norm(first, axis=-1) * np.linalg.norm(last, axis=-1)
    cosine = np.sum(first * last, axis=-1) / np.where(norms > 0, norms, 1.0)
    angle = np.arccos(np.clip(cosine, -1, 1))[..., np.newaxis]
    bent = (np.sin(angle) > 1e-6) & (norms[..., np.newaxis] > 0)
    divisor = np.where(bent, np.sin(angle), 1.0)
    arc = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / divisor
    return np.where(bent, arc, _linear(first, last, t))


PATHS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "linear": _linear,
    "spherical": _spherical,
}
"""Ways from one z to another. The spherical one keeps to radii on which a Normal of many dimensions has its mass.

References:
  White (2016), Sampling generative networks.
"""


def path(first: np.ndarray, last: np.ndarray, steps: int, kind: str = "linear") -> np.ndarray:
    """Return `steps` points from `first` to `last`, both [P, D], ends included: [P, T, D].

    Args:
      first: where each of P paths begins.
      last: where it ends.
      steps: T, from 1 on.
      kind: `linear` or `spherical`, a name from `PATHS`.

    References:
      White (2016), Sampling generative networks.
    """
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    return PATHS[kind](first[:, np.newaxis].astype(np.float64), last[:, np.newaxis].astype(np.float64), t)


def generate_within(vae: VAE, n: int, region: Region, *, seed: Seed, temperature: float = 1.0) -> Any:
    """Return p(x|z_i) for z_1..z_n drawn from the prior given that z lies in a region: batch [n].

    By rejection, so for any prior: 10,000 draws at once, of which those inside the region are kept.

    The expected number of draws is n / P(z in the region): a region of a ten-thousandth of the prior's mass takes about
    10,000 n of them; the decoder is called once, when all are found.

    ```python
    right = tv.evaluation.latent_space.generate_within(vae, 4, ((0.0, 3.0), (-3.0, 3.0)), seed=(0, 0))
    right.mean()  # [4, 8, 8, 1], all with z_1 above 0
    ```

    Args:
      vae: the model.
      n: how many.
      region: for each of the D dimensions, the lowest and the highest value; infinities leave it open.
      seed: a stateless seed, two integers.
      temperature: what the spread of the prior's Normals is multiplied by.

    Raises:
      UsageError: a region of another dimension than z, or that ten million draws did not meet n times.
    """
    low, high = np.transpose(region)
    if len(low) != vae.prior.latent_dim or not (low < high).all():
        raise UsageError(
            f"expected a lowest value and a higher one for each of {vae.prior.latent_dim} latent dimensions, found "
            f"{region}."
        )
    prior, found = vae.prior(temperature), np.zeros((0, len(low)), np.float32)
    for attempt in range(MOST_ATTEMPTS):
        z = np.asarray(prior.sample(DRAWS, seed=fold(seed, 0, attempt)))
        found = np.concatenate([found, z[((z >= low) & (z <= high)).all(axis=1)]])
        if len(found) >= n:
            return vae.decoder(found[:n])
    raise UsageError(
        f"expected a region where the prior has its mass: of {DRAWS * MOST_ATTEMPTS:,} draws {len(found)} fell into "
        f"it, {n} are needed; widen it."
    )
