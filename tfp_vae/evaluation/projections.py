"""Projections of latent space to the plane: unchanged in two dimensions, principal components, or t-SNE.

`PROJECTIONS` holds the ways to view points. A linear one is a `Projection`, which you can also apply to other points,
such as samples that show the uncertainty of an encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import check_keywords

__all__ = ["PROJECTIONS", "Projection", "View", "principal_view", "projection", "tsne_view"]

MOST_NEIGHBOURED = 2_000
"""Most points for t-SNE. Its time grows faster than their number, to 15 s on one core for these."""

PERPLEXITY, FEWEST_NEIGHBOURED = 30.0, 5


@check_keywords
class Projection(NamedTuple):
    """A linear map of z [..., D] to the plane, (z - centre) axes.

    centre: [D].
    axes: [D, 2], orthonormal columns.
    shares: share of the variance along each axis. None if the plane is latent space itself.
    """

    centre: np.ndarray
    axes: np.ndarray
    shares: tuple[float, float] | None

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return the positions of z [..., D] in the plane, [..., 2]."""
        return np.asarray((z - self.centre) @ self.axes)

    @property
    def names(self) -> tuple[str, str]:
        """Labels of the axes."""
        if self.shares is None:
            return "$z_1$", "$z_2$"
        first, second = (f"principal component {i + 1} ({share:.0%})" for i, share in enumerate(self.shares))
        return first, second

    @property
    def how(self) -> str:
        """A description for titles. Empty if the plane is latent space itself."""
        if self.shares is None:
            return ""
        return f"first 2 principal components of {len(self.centre)} dimensions ({sum(self.shares):.0%} of variance)"


@check_keywords
def projection(z: np.ndarray) -> Projection:
    """Return latent space itself in two dimensions, otherwise the plane with the most variance of points z [N, D].

    The largest entry of each axis is positive, so the same points always give the same picture. D is at least 2. Axes
    without variance are zero, for example for a single point.

    ```python
    from tfp_vae.evaluation.projections import projection

    plane = projection(np.random.default_rng(0).normal(size=(100, 5)))
    plane.axes.shape, plane.shares  # (5, 2), the shares of variance
    ```

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


class View(NamedTuple):
    """Points in the plane.

    rows: indices of the points in the view, [M].
    points: their positions, [M, 2].
    names: labels of the two axes.
    how: a description for titles.
    plane: the linear map behind the view, which also maps ellipses. None if there is none.
    """

    rows: np.ndarray
    points: np.ndarray
    names: tuple[str, str]
    how: str
    plane: Projection | None


def principal_view(z: np.ndarray, seed: int) -> View:
    """Return all points z [N, D] in the plane of `projection`. The seed has no effect."""
    del seed
    plane = projection(z)
    return View(np.arange(len(z)), plane(z), plane.names, plane.how, plane)


def tsne_view(z: np.ndarray, seed: int) -> View:
    """Return points z [N, D] by t-SNE, which keeps neighbours together. Distances between clusters mean little.

    Of more than 2,000 points, 2,000 evenly spaced ones are used. The perplexity is 30, or a third of the number of
    points if there are few. It runs on one thread, because another order of sums would give another picture.

    Raises:
      UsageError: fewer than 5 points.

    References:
      van der Maaten and Hinton (2008), Visualizing data using t-SNE.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(z) < FEWEST_NEIGHBOURED:
        raise UsageError(
            f"`projection=tsne` needs at least {FEWEST_NEIGHBOURED} test examples, found {len(z)}. Choose pca."
        )
    rows = np.linspace(0, len(z) - 1, min(len(z), MOST_NEIGHBOURED)).astype(int)
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    start = "pca" if np.ptp(z[rows], axis=0).max() > 0 else "random"
    with threadpool_limits(1):
        points = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(z[rows])
    some = f", {len(rows):,} of {len(z):,} examples" if len(rows) < len(z) else ""
    how = f"t-SNE of {z.shape[1]} dimensions (perplexity {perplexity:.0f}, seed {seed}{some})"
    return View(rows, points, ("t-SNE 1", "t-SNE 2"), how, None)


PROJECTIONS: dict[str, Callable[[np.ndarray, int], View]] = {"pca": principal_view, "tsne": tsne_view}
"""Ways to view points z [N, D] in the plane, with D at least 2: (z, seed) -> view."""
