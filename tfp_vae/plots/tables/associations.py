"""How the columns of a table depend on each other, in data and in a model's samples, as maps of all pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import TITLE_SIZE, Figure, style
from tfp_vae.plots.tables.labels import fit_text, text_width
from tfp_vae.plots.tables.panels import title_height, wrap_title, write_title

__all__ = ["association_maps"]

CELL, SIDES = 0.16, (2.4, 4.2)
"""Size of a cell with a name, and the smallest and largest side of a map, in inches."""

NAME_SIZE, NAME_ROOM = 7.0, 1.3
"""Size of the names of columns in points, and their room in inches."""

BAR, BAR_ROOM, GAP, HEADING = 0.12, 0.9, 0.22, 0.22
"""Width of a colour bar, its room with its ticks, the gap between maps, and the height of their titles, in inches."""

LEAST_DIFFERENCE = 0.1
"""Smallest difference at the ends of its scale, so that noise does not look large."""

SHARES, SIGNED = "viridis", "RdBu_r"
"""Colours of associations from 0 to 1, and of associations and differences with a sign."""


@check_keywords
def association_maps(
    real: np.ndarray,
    made: np.ndarray,
    names: Sequence[str],
    title: str,
    labels: tuple[str, str] = ("data", "x ~ p(x), model"),
    what: str = "association",
) -> Figure:
    """Return a figure with a map of the associations in data, one of those in samples, and one of their difference.

    With many columns, only some rows and columns are named, at equal distances. Undefined associations, such as those
    of a constant column, are grey.

    Args:
      real: the association of each pair of columns in the data, [C, C], from -1 or 0 to 1. NaN is undefined.
      made: that in the samples, [C, C].
      names: the names of the columns.
      title: text above the figure.
      labels: the names of the data and of the samples.
      what: the name of the measure, such as `correlation`.
    """
    count = len(names)
    side = float(np.clip(CELL * count, *SIDES))
    places = list(range(0, count, math.ceil(count * CELL / side)))
    texts = [fit_text(names[i], NAME_ROOM, NAME_SIZE) for i in places]
    room = max(text_width(text, NAME_SIZE) for text in texts) + 0.12
    starts = room + np.array([0, side + GAP, 2 * (side + GAP) + BAR_ROOM])
    width = starts[2] + side + BAR_ROOM
    title = wrap_title(title, width)
    height = 0.25 + title_height(title) + HEADING + side + room
    is_signed = bool(min(np.nanmin(real, initial=0), np.nanmin(made, initial=0)) < 0)
    scale = Normalize(-1 if is_signed else 0, 1), SIGNED if is_signed else SHARES
    difference = made - real
    reach = max(LEAST_DIFFERENCE, float(np.nanmax(np.abs(difference), initial=0)))
    maps = (
        (real, labels[0], scale),
        (made, labels[1], scale),
        (difference, heading(difference), (Normalize(-reach, reach), SIGNED)),
    )
    with style(grid=False):
        figure = Figure(figsize=(width, height))
        for start, (values, name, (limits, colors)) in zip(starts, maps, strict=True):
            axes = figure.add_axes((start / width, (room + 0.1) / height, side / width, side / height))
            draw_map(axes, values, limits, colors)
            axes.set_title(fit_text(name, side, TITLE_SIZE - 1), fontsize=TITLE_SIZE - 1)
            axes.set_xticks(places, texts, rotation=90, fontsize=NAME_SIZE)
            axes.set_yticks(places, texts if values is real else [""] * len(places), fontsize=NAME_SIZE)
        for i, text in ((1, what), (2, f"difference in {what}")):
            draw_bar(figure.axes[i], text, (starts[i] + side + 0.1) / width, BAR / width)
        write_title(figure, title)
    return figure


def heading(difference: np.ndarray) -> str:
    """Return the title of the map of differences [C, C], with their mean size if there are pairs of columns."""
    sizes = np.abs(difference[np.triu_indices(len(difference), 1)])
    defined = sizes[np.isfinite(sizes)]
    return f"difference, {defined.mean():.2f} on average" if len(defined) else "difference"


def draw_map(axes: Axes, values: np.ndarray, limits: Normalize, colors: str) -> None:
    shades = mpl.colormaps[colors].with_extremes(bad="0.85")
    axes.imshow(values, cmap=shades, norm=limits, interpolation="nearest")
    axes.tick_params(length=2)


def draw_bar(axes: Axes, text: str, left: float, width: float) -> None:
    """Draw a colour bar at the right of a map."""
    place = axes.get_position()
    figure, image = axes.figure, axes.images[0]
    bar_axes = figure.add_axes((left, place.y0, width, place.height))
    bar = figure.colorbar(ScalarMappable(image.norm, image.cmap), cax=bar_axes)
    bar.ax.tick_params(labelsize=NAME_SIZE + 1, length=2)
    bar.set_label(text, fontsize=NAME_SIZE + 1)
