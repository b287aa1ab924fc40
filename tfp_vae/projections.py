"""Latent space seen in two dimensions: as it is, or along the principal components of what lies in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Projection", "projection"]


class Projection(NamedTuple):
    """A linear map of z [..., D] to the plane, (z - centre) axes.

    centre: [D].
    axes: [D, 2], orthonormal columns.
    shares: how much of the variance each axis holds; None where the plane is latent space itself.
    """

    centre: np.ndarray
    axes: np.ndarray
    shares: tuple[float, float] | None

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return where z [..., D] lies in the plane, [..., 2]."""
        return np.asarray((z - self.centre) @ self.axes)

    @property
    def names(self) -> tuple[str, str]:
        """What to call the axes."""
        if self.shares is None:
            return "$z_1$", "$z_2$"
        first, second = (f"principal component {i + 1} ({share:.0%})" for i, share in enumerate(self.shares))
        return first, second

    @property
    def how(self) -> str:
        """What a title has to say of it; nothing where the plane is latent space itself."""
        if self.shares is None:
            return ""
        return f", first 2 principal components of {len(self.centre)} dimensions ({sum(self.shares):.0%} of variance)"


def projection(z: np.ndarray) -> Projection:
    """Return the plane in which points z [N, D], D from 2 on, are seen: all there is, or that of most variance.

    Signs are such that the largest entry of each axis is positive, so the same points give the same picture.

    References:
      Jolliffe (2002), Principal component analysis.
    """
    dim = z.shape[1]
    if dim == 2:
        return Projection(np.zeros(2), np.eye(2), None)
    centre = z.mean(axis=0, dtype=np.float64)
    _, spread, directions = np.linalg.svd(z - centre, full_matrices=False)
    axes = np.zeros((dim, 2))
    axes[:, : min(2, len(directions))] = directions[:2].T
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    variances = np.square(np.pad(spread, (0, 2))) / max(float(np.square(spread).sum()), np.finfo(float).tiny)
    return Projection(centre, axes, (float(variances[0]), float(variances[1])))
