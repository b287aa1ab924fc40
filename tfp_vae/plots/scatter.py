"""Pictures of latent space: where data lie in it, how sure the encoder is, and how the prior compares.

Points are posterior means, which hide how sure the encoder is: ellipses show it. Names of classes are moved until none
covers another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tfp_vae.plots.canvas import PALETTE, STYLE, TITLE_SIZE, bins_for, class_name, classes_of, color, colors_of, marker

__all__ = [
    "Spread",
    "draw_clusters",
    "latent_scatter",
    "legend_of_classes",
    "posterior_against_prior",
    "scatter_axes",
    "separate_boxes",
]

LABEL_HEIGHT, LETTER_WIDTH, LABEL_MARGIN = 0.29, 0.12, 0.16
"""The size of a label's box, in inches: its height, what each letter adds to its width, and its margins."""

MOST_COVERED = 0.4
"""The share of the axes that names of classes may cover; more of them stand in a legend beside the axes."""

MOST_PUSHES, TURN = 500, 10
"""How often labels are pushed apart, and after how many rounds once along the other axis, where they are jammed."""

FEW = 500
PANELS_ACROSS = 4


class Spread(NamedTuple):
    """The covariances of q(z|x), [M, 2, 2], of the examples in some rows [M], seen in the plane."""

    rows: np.ndarray
    covariances: np.ndarray


def latent_scatter(
    points: np.ndarray,
    labels: np.ndarray | None,
    spread: Spread | None = None,
    names: Sequence[str] = ("$z_1$", "$z_2$"),
    title: str = "Posterior means of held-out data",
) -> Figure:
    """Draw points [N, 2], such as E_q[z|x], by colour of class, each class named near where it is densest.

    Names that would cover more than two fifths of the axes stand in a legend beside it.

    ```python
    from tfp_vae.plots.scatter import latent_scatter

    labels = tv.data.load("digits").train.y[:16]
    latent_scatter(np.asarray(vae.encoder.mean(x)), labels)  # a figure, a colour for each digit
    ```

    Args:
      points: where examples lie.
      labels: [N]; those that are not finite, or of more than twenty classes, are not shown.
      spread: of which examples one standard deviation of q(z|x) is drawn, as an ellipse.
      names: of the two axes.
      title: written above.
    """
    with mpl.rc_context(STYLE):
        figure, axes = scatter_axes(names, title)
        if spread is not None:
            axes.add_collection(_ellipses(axes, points, labels, spread), autolim=False)
            axes.update_datalim(_ends(points, spread))
        if not draw_clusters(axes, points, labels):
            figure.set_figwidth(8)  # room for it beside the axes
            legend_of_classes(figure, labels)
    return figure


def scatter_axes(names: Sequence[str], title: str) -> tuple[Figure, Any]:
    """Return a figure and axes on which one unit is as long across as up."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.set_title(title, wrap=True, fontsize=TITLE_SIZE)
    return figure, axes


def legend_of_classes(figure: Figure, labels: np.ndarray | None) -> None:
    """Name the classes in the labels [N], if any, in a legend to the right of the axes."""
    classes = classes_of(labels)
    if classes is None:
        return
    handles = [Line2D([], [], marker=marker(i), linestyle="", color=color(i)) for i in range(len(classes))]
    texts = [class_name(name) for name in classes]
    figure.legend(handles, texts, loc="outside right center", handletextpad=0.1, fontsize="small")


def draw_clusters(axes: Any, points: np.ndarray, labels: np.ndarray | None) -> bool:
    """Draw points [N, 2] by colour of class, and the classes' names so that none covers another or leaves the axes.

    Args:
      axes: with a view that is set, or is found from what is drawn.
      points: where examples lie.
      labels: [N], or None.

    Returns:
      Whether the classes are named, if any: not where their names would cover more than two fifths of the axes.
    """
    classes = classes_of(labels)
    size = 12 if len(points) < FEW else 4
    members = [np.ones(len(points), bool)] if classes is None else [labels == name for name in classes]
    for i, rows in enumerate(members):
        axes.scatter(*points[rows].T, s=size, color=color(i), marker=marker(i), alpha=0.65, linewidths=0)
    names = [] if classes is None else [class_name(name) for name in classes]
    sizes = np.reshape([_box(name) for name in names], (-1, 2)) / _inches(axes)
    few = bool(sizes.prod(axis=1).sum() <= MOST_COVERED)
    if names and few:
        _name_clusters(axes, [_densest(points[rows]) for rows in members], names, sizes)
    return few


def _ellipses(axes: Any, points: np.ndarray, labels: np.ndarray | None, spread: Spread) -> EllipseCollection:
    """Return the ellipses of one standard deviation: along the eigenvectors, of twice the roots of the eigenvalues."""
    colors = colors_of(labels, len(points))
    variances, directions = np.linalg.eigh(spread.covariances)
    lengths = 2 * np.sqrt(np.maximum(variances, 0))
    return EllipseCollection(
        lengths[:, 1],
        lengths[:, 0],
        np.degrees(np.arctan2(directions[:, 1, 1], directions[:, 0, 1])),
        units="xy",
        offsets=points[spread.rows],
        transOffset=axes.transData,
        facecolors="none",
        edgecolors=[colors[row] for row in spread.rows],
        linewidths=0.8,
        alpha=0.55,
    )


def _ends(points: np.ndarray, spread: Spread) -> np.ndarray:
    """Return the corners [2 M, 2] of the boxes that hold the ellipses: a standard deviation each way."""
    centres, reach = points[spread.rows], np.sqrt(np.diagonal(spread.covariances, axis1=1, axis2=2))
    return np.concatenate([centres - reach, centres + reach])


def _name_clusters(axes: Any, places: Sequence[np.ndarray], names: Sequence[str], sizes: np.ndarray) -> None:
    """Write each name, of a size in parts of the axes, near its place, a thin line between them if it had to move."""
    axes.autoscale_view()  # which respects a view that is set
    axes.apply_aspect()
    between = axes.transData + axes.transAxes.inverted()
    found = separate_boxes(between.transform(np.asarray(places)), sizes)
    for i, (name, place, start) in enumerate(zip(names, found, places, strict=True)):
        outline = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": color(i), "linewidth": 1.5}
        axes.annotate(
            name,
            start,
            xytext=place,
            textcoords="axes fraction",
            ha="center",
            va="center",
            weight="bold",
            bbox=outline,
            arrowprops={"arrowstyle": "-", "color": color(i), "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0},
        )


def _box(name: str) -> tuple[float, float]:
    return LABEL_MARGIN + LETTER_WIDTH * max(2, len(name)), LABEL_HEIGHT


def _inches(axes: Any) -> np.ndarray:
    """Return the width and the height of axes."""
    return np.asarray(np.divide([axes.bbox.width, axes.bbox.height], axes.figure.dpi))


def separate_boxes(places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return places [N, 2] moved so that boxes of sizes [N, 2] around them lie within [0, 1] and do not overlap.

    Each pair that overlaps is pushed apart along the axis on which it overlaps less, until none does; every tenth time
    along the other one, as boxes may be jammed between the edges.

    At most 500 rounds over all pairs: if boxes cannot all be parted, they are left as near to it as they came.
    """
    edge = np.minimum(sizes / 2, 0.5)
    places = np.clip(places, edge, 1 - edge)
    places = places + 1e-6 * np.arange(len(places))[:, np.newaxis]  # so that equal places can be told apart
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


def _densest(points: np.ndarray) -> np.ndarray:
    """Return the point of [N, 2] whose twentieth neighbour is nearest; of few points, that a third of them away.

    So that a name stands at the middle of the largest heap, and not between two.
    """
    from scipy.spatial import KDTree

    distances, _ = KDTree(points).query(points, k=[min(20, math.ceil(len(points) / 3))])
    place: np.ndarray = points[np.argmin(distances[:, 0])]
    return place


def posterior_against_prior(posterior: np.ndarray, prior: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Draw the aggregate posterior q(z_d), filled, against the prior p(z_d), a line, for each of P dimensions.

    Marginals alone: two that agree in each dimension may still differ together. What they show is the part of the rate
    that is `information.Decomposition.aggregate_kl`.

    Args:
      posterior: draws from q(z|x) of examples, [N, P].
      prior: draws from p(z), [M, P].
      names: what each dimension is called.
      title: written above.
    """
    count = posterior.shape[1]
    across = min(PANELS_ACROSS, count)
    down = math.ceil(count / across)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(4.5, 2.5 * across), 2.0 * down + 1.0), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False)
        for i, axes in enumerate(panels.flat):
            axes.set_visible(i < count)
            if i < count:
                _compare(axes, posterior[:, i], prior[:, i])
                axes.set_title(names[i], fontsize="medium")
        figure.suptitle(title, fontsize=TITLE_SIZE)
        handles, texts = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=2)
    return figure


def _compare(axes: Any, posterior: np.ndarray, prior: np.ndarray) -> None:
    """Draw two densities as histograms over what holds all but the outermost thousandths of both."""
    both = [np.quantile(values, [0.001, 0.999]) for values in (posterior, prior)]
    count = min(40, bins_for(len(posterior)))
    bins = np.linspace(min(low for low, _ in both), max(high for _, high in both), count + 1)
    axes.hist(posterior, bins, density=True, color=PALETTE[0], alpha=0.55, label="q(z), test data")
    axes.hist(prior, bins, density=True, histtype="step", color=PALETTE[5], linewidth=1.6, label="p(z), prior")
    axes.set_yticks([])
    axes.tick_params(labelsize="small")
