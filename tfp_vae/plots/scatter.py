"""Latent space in the plane: where examples lie, how certain the encoder is, and names of classes that never overlap.

Points are posterior means, which do not show how certain the encoder is. Ellipses show that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.lines import Line2D

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import TITLE_SIZE, Figure, class_name, classes_of, color, colors_of, marker, style

__all__ = [
    "Spread",
    "densest_point",
    "draw_clusters",
    "latent_scatter",
    "legend_of_classes",
    "scatter_axes",
    "separate_boxes",
]

LABEL_HEIGHT, LETTER_WIDTH, LABEL_MARGIN = 0.29, 0.12, 0.16
"""Size of a label's box in inches: its height, the width of a letter, and the margins together."""

LARGEST_COVER = 0.4
"""Share of the axes that labels may cover. If they need more, a legend replaces them."""

MOST_PUSHES, TURN = 500, 10
"""Rounds in which labels are pushed apart, and every which round pushes along the other axis to free jammed labels."""

FEW = 500
"""Below this number, points are plotted larger."""


@check_keywords
class Spread(NamedTuple):
    """The covariances [M, 2, 2] of q(z|x) in the plane, for the examples with the indices `rows` [M]."""

    rows: np.ndarray
    covariances: np.ndarray

    def ellipses(self, points: np.ndarray, labels: np.ndarray | None, axes: Axes) -> EllipseCollection:
        """Return ellipses of one standard deviation around the points [N, 2], in the colours of their classes."""
        colors = colors_of(labels, len(points))
        variances, directions = np.linalg.eigh(self.covariances)
        diameters = 2 * np.sqrt(np.maximum(variances, 0))
        return EllipseCollection(
            diameters[:, 1],
            diameters[:, 0],
            np.degrees(np.arctan2(directions[:, 1, 1], directions[:, 0, 1])),
            units="xy",
            offsets=points[self.rows],
            transOffset=axes.transData,
            facecolors="none",
            edgecolors=[colors[row] for row in self.rows],
            linewidths=0.8,
            alpha=0.55,
        )

    def corners(self, points: np.ndarray) -> np.ndarray:
        """Return the corners [2 M, 2] of the boxes around the ellipses of the points [N, 2]."""
        reach = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        return np.concatenate([points[self.rows] - reach, points[self.rows] + reach])


@check_keywords
def latent_scatter(
    points: np.ndarray,
    labels: np.ndarray | None,
    spread: Spread | None = None,
    names: Sequence[str] = ("$z_1$", "$z_2$"),
    title: str = "Posterior means of held-out data",
) -> Figure:
    """Return a figure with points [N, 2], such as E[z|x], in the colours of their classes.

    Each class has its name where its points are densest. If the names would cover more than two fifths of the axes,
    the figure has a legend in their place.

    ```python
    from tfp_vae.plots.scatter import latent_scatter

    labels = tv.data.load("digits").train.y[:16]
    latent_scatter(np.asarray(vae.encoder.mean(x)), labels)  # a figure with a colour for each digit
    ```

    Args:
      points: where the examples lie.
      labels: [N]. They are ignored if they are not finite or have more than twenty classes.
      spread: examples to show with an ellipse, one standard deviation of q(z|x).
      names: the labels of the two axes.
      title: text above the figure.
    """
    with style():
        figure, axes = scatter_axes(names, title)
        if spread is not None:
            axes.add_collection(spread.ellipses(points, labels, axes), autolim=False)
            axes.update_datalim(spread.corners(points))
        if not draw_clusters(axes, points, labels):
            figure.set_figwidth(8)  # leave room for the legend
            legend_of_classes(figure, labels)
    return figure


def scatter_axes(names: Sequence[str], title: str) -> tuple[Figure, Axes]:
    """Return a figure and axes with the same scale in both directions."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_title(title, wrap=True, fontsize=TITLE_SIZE)
    return figure, axes


def legend_of_classes(figure: Figure, labels: np.ndarray | None) -> None:
    """Add a legend of the classes in the labels [N], if there are any, to the right of the axes."""
    classes = classes_of(labels)
    if classes is None:
        return
    handles = [Line2D([], [], marker=marker(i), linestyle="", color=color(i)) for i in range(len(classes))]
    texts = [class_name(name) for name in classes]
    figure.legend(handles, texts, loc="outside right center", handletextpad=0.1, fontsize="small")


def draw_clusters(axes: Axes, points: np.ndarray, labels: np.ndarray | None) -> bool:
    """Draw points [N, 2] in the colours of their classes, and the names of the classes without any overlap.

    Args:
      axes: their view is kept if it is set, and otherwise fitted to the points.
      points: where the examples lie.
      labels: [N], or None.

    Returns:
      False if the names are left out because they would cover more than two fifths of the axes.
    """
    classes = classes_of(labels)
    size = 12 if len(points) < FEW else 4
    members = [np.ones(len(points), bool)] if classes is None else [labels == name for name in classes]
    for i, rows in enumerate(members):
        axes.scatter(
            points[rows, 0], points[rows, 1], s=size, color=color(i), marker=marker(i), alpha=0.65, linewidths=0
        )
    if classes is None:
        return True
    names = [class_name(name) for name in classes]
    inches = np.array([[LABEL_MARGIN + LETTER_WIDTH * max(2, len(name)), LABEL_HEIGHT] for name in names])
    sizes = inches / np.divide([axes.bbox.width, axes.bbox.height], axes.figure.dpi)
    if sizes.prod(axis=1).sum() > LARGEST_COVER:
        return False
    axes.autoscale_view()  # keeps a view that is set
    axes.apply_aspect()
    starts = np.array([densest_point(points[rows]) for rows in members])
    to_fraction = axes.transData + axes.transAxes.inverted()
    places = separate_boxes(to_fraction.transform(starts), sizes)
    for i, name in enumerate(names):
        axes.annotate(
            name,
            starts[i],
            xytext=places[i],
            textcoords="axes fraction",
            ha="center",
            va="center",
            weight="bold",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color(i), "linewidth": 1.5},
            arrowprops={"arrowstyle": "-", "color": color(i), "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
        )
    return True


def separate_boxes(places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the centres [N, 2] moved so that boxes of the sizes [N, 2] lie within [0, 1] and do not overlap.

    Each pair that overlaps is pushed apart along the axis with the smaller overlap. Every tenth round uses the other
    axis, because boxes may be jammed between the edges. After 500 rounds, remaining overlaps are accepted.
    """
    edge = np.minimum(sizes / 2, 0.5)
    places = np.clip(places, edge, 1 - edge)
    places = places + 1e-6 * np.arange(len(places))[:, np.newaxis]  # so that equal places differ
    first, second = np.triu_indices(len(places), 1)
    needed = (sizes[first] + sizes[second]) / 2
    for attempt in range(1, MOST_PUSHES + 1):
        apart = places[second] - places[first]
        overlap = needed - np.abs(apart)
        touching = (overlap > 1e-9).all(axis=1)
        if not touching.any():
            break
        axis = overlap.argmax(axis=1) if attempt % TURN == 0 else overlap.argmin(axis=1)
        push = np.eye(2)[axis] * np.where(apart < 0, -1.0, 1.0) * (overlap / 2 + 1e-6) * touching[:, np.newaxis]
        np.add.at(places, first, -push)
        np.add.at(places, second, push)
        places = np.clip(places, edge, 1 - edge)
    return places


def densest_point(points: np.ndarray) -> np.ndarray:
    """Return the point of [N, 2] whose twentieth neighbour is nearest.

    With fewer than 60 points, it uses the neighbour after a third of them. A name at this point lies in the middle of
    the largest cluster and not between two clusters.
    """
    from scipy.spatial import KDTree

    distances, _ = KDTree(points).query(points, k=[min(20, math.ceil(len(points) / 3))])
    densest: np.ndarray = points[np.argmin(distances[:, 0])]
    return densest
