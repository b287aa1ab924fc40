"""Paths through latent space, from one z to another. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfp_vae.core.errors import pick
from tfp_vae.core.registry import check_keywords

__all__ = ["PATHS", "path", "spherical_path", "straight_path"]


def straight_path(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (1 - t) first + t last."""
    return np.asarray((1 - t) * first + t * last)


def spherical_path(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return (sin((1 - t) w) first + sin(t w) last) / sin w, where w is the angle between both ends.

    If both ends have the same length, every point between them has it too, and the angle grows evenly. If sin w is 0,
    the path is straight.
    """
    norms = np.linalg.norm(first, axis=-1) * np.linalg.norm(last, axis=-1)
    cosine = np.sum(first * last, axis=-1) / np.where(norms > 0, norms, 1.0)
    angle = np.arccos(np.clip(cosine, -1, 1))[..., np.newaxis]
    bent = (np.sin(angle) > 1e-6) & (norms[..., np.newaxis] > 0)
    divisor = np.where(bent, np.sin(angle), 1.0)
    arc = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / divisor
    return np.where(bent, arc, straight_path(first, last, t))


PATHS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "linear": straight_path,
    "spherical": spherical_path,
}
"""Paths from one z to another, (first, last, t in [0, 1]) -> z.

The spherical one stays at radii where a Normal in many dimensions has its mass.

References:
  White (2016), Sampling generative networks.
"""


@check_keywords
def path(first: np.ndarray, last: np.ndarray, steps: int, kind: str = "linear") -> np.ndarray:
    """Return `steps` points from `first` to `last`, both [P, D], including the ends: [P, T, D].

    Args:
      first: starts of P paths.
      last: ends of P paths.
      steps: T, at least 1.
      kind: `linear` or `spherical`, a name from `PATHS`.

    Raises:
      UsageError: `kind` is neither of these.

    References:
      White (2016), Sampling generative networks.
    """
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    return pick(PATHS, kind, "kind")(first[:, np.newaxis].astype(np.float64), last[:, np.newaxis].astype(np.float64), t)
