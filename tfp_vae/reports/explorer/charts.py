"""Charts of latent space: where test examples lie in the plane, and the grid of places around them to decode."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation.projections import projection

__all__ = ["Chart", "chart"]

MOST_VALUES = 1 << 20
"""The most values of decoded examples, which keep a page at a few megabytes."""

LEAST_SIDE, LARGEST_SIDE, LINE_PLACES = 9, 31, 61
"""The smallest and the largest side of the grid, and its places if z has one dimension."""

MARGIN = 0.04
"""How far the grid reaches beyond the outermost test examples, relative to their range."""


class Chart(NamedTuple):
    """Places in the plane.

    heading: a description of the plane.
    axes: the names of its axes.
    points: where the examples lie, [N, 2].
    low, high: the ends of the grid along both axes, [2].
    rows, columns: the size of the grid.
    z: the places of the grid in latent space, [rows * columns, D], from the lowest corner on, along the first axis.
    """

    heading: str
    axes: tuple[str, str]
    points: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rows: int
    columns: int
    z: np.ndarray


@check_keywords
def chart(means: np.ndarray, log_px: np.ndarray, size: int) -> Chart:
    """Return the chart of examples in latent space.

    Above two dimensions it is the plane of the first two principal components through the mean. In one dimension, the
    second axis is log p(x), and the grid is a line.

    ```python
    from tfp_vae.reports.explorer.charts import chart

    found = chart(np.random.default_rng(0).normal(size=(100, 5)), np.zeros(100), size=64)
    found.rows, found.columns, found.z.shape  # (31, 31, (961, 5))
    ```

    Args:
      means: E_q[z|x] of the examples, [N, D].
      log_px: log p(x) of the examples, [N].
      size: the number of values of one decoded example.
    """
    if means.shape[1] == 1:
        return line(means, log_px)
    plane = projection(means)
    points = plane(means)
    middle, reach = (points.min(axis=0) + points.max(axis=0)) / 2, np.ptp(points, axis=0).max() / 2
    reach = (reach or 1.0) * (1 + 2 * MARGIN)
    side = int(np.clip(math.isqrt(MOST_VALUES // size), LEAST_SIDE, LARGEST_SIDE))
    first, second = (np.linspace(at - reach, at + reach, side) for at in middle)
    flat = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    names = plane.names[0].replace("$", ""), plane.names[1].replace("$", "")
    z = plane.centre + flat @ plane.axes.T
    return Chart(plane.how, names, points, middle - reach, middle + reach, side, side, z.astype(np.float32))


def line(means: np.ndarray, log_px: np.ndarray) -> Chart:
    """Return the chart of examples in one dimension, by log p(x)."""
    points = np.concatenate([means, np.nan_to_num(log_px, neginf=0.0, posinf=0.0)[:, np.newaxis]], axis=1)
    room = MARGIN * np.maximum(np.ptp(points, axis=0), 1e-6)
    low, high = points.min(axis=0) - room, points.max(axis=0) + room
    z = np.linspace(low[0], high[0], LINE_PLACES, dtype=np.float32)[:, np.newaxis]
    return Chart("", ("z_1", "log p(x), nats"), points, low, high, 1, LINE_PLACES, z)
