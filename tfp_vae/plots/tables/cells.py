"""The cells that make rows of a table unusual, as a small table of the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import Figure, style
from tfp_vae.plots.tables.labels import fit_text, text_width
from tfp_vae.plots.tables.panels import title_height, wrap_title, write_title

__all__ = ["unusual_cells"]

MOST_ROWS, MOST_COLUMNS = 20, 12
"""Largest numbers of rows and of columns in one figure."""

WIDTH, HEIGHT, NAME_ROOM = 0.95, 0.27, 1.5
"""Size of a cell, and the room for the names of rows and columns, in inches."""

CELL_SIZE, NAME_SIZE = 7.5, 8.0
"""Sizes of the texts in cells, and of the names of rows and columns, in points."""

COLORS, LEAST_SURPRISE = "Oranges", 5.0
"""Colours of surprise, and the smallest surprise at the end of their scale, in nats."""

EXTREME = 3.0
"""The scale ends at this multiple of a typical row's surprise, so that one extreme cell does not hide all others."""

DARK = 0.65
"""Texts are white above this share of the scale."""


@check_keywords
def unusual_cells(
    surprise: np.ndarray,
    cells: Sequence[Sequence[str]],
    rows: Sequence[str],
    names: Sequence[str],
    title: str,
) -> Figure:
    """Return a figure with the rows that have the most surprising cells, as a table whose colours show the surprise.

    The figure shows up to twenty rows, the most surprising cell first, and up to twelve columns, in their order. Each
    row is shown with its most surprising cell, so a row is left out if the figure has no room for that column. Missing
    cells are grey.

    Args:
      surprise: how many nats each cell lies below the typical log p(x_j|x_rest) of its column, [N, C]. NaN is missing.
      cells: the text of each cell, N rows of C.
      rows: the name of each row, such as its id or its line in the file.
      names: the names of the columns.
      title: text above the figure.
    """
    known = np.where(np.isfinite(surprise), surprise, -np.inf)
    order, columns = rows_and_columns(known)
    if len(columns) < len(names):
        title = f"{title}, {len(columns)} of {len(names):,} columns"
    row_names = [fit_text(rows[i], NAME_ROOM, NAME_SIZE) for i in order]
    left = max(text_width(text, NAME_SIZE) for text in row_names) + 0.15
    size = WIDTH * len(columns), HEIGHT * len(order)
    width = left + size[0] + 0.95
    title = wrap_title(title, width)
    column_names, shorter = (
        [fit_text(names[j], room, NAME_SIZE) for j in columns] for room in (NAME_ROOM, WIDTH - 0.1)
    )
    flat = column_names == shorter
    above = 0.25 if flat else 0.15 + max(text_width(text, NAME_SIZE) for text in column_names)
    height = 0.2 + title_height(title) + above + size[1]
    shown = surprise[np.ix_(order, columns)]
    most, typical = float(np.nanmax(shown, initial=0)), float(np.median(known[order].max(axis=1)))
    limits = Normalize(0, max(LEAST_SURPRISE, min(most, EXTREME * typical)))
    with style(grid=False):
        figure = Figure(figsize=(width, height))
        axes = figure.add_axes((left / width, 0.1 / height, size[0] / width, size[1] / height))
        draw_cells(axes, shown, [[cells[i][j] for j in columns] for i in order], limits)
        axes.set_yticks(range(len(order)), row_names, fontsize=NAME_SIZE)
        axes.set_xticks(range(len(columns)), column_names, rotation=0 if flat else 90, fontsize=NAME_SIZE)
        bar_axes = figure.add_axes(((left + size[0] + 0.12) / width, 0.1 / height, 0.12 / width, size[1] / height))
        extend = "max" if most > float(limits.vmax or 0) else "neither"
        bar = figure.colorbar(ScalarMappable(limits, COLORS), cax=bar_axes, extend=extend)
        bar.ax.tick_params(labelsize=CELL_SIZE, length=2)
        bar.set_label("surprise, nats", fontsize=NAME_SIZE)
        write_title(figure, title)
    return figure


def rows_and_columns(surprise: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the rows of a figure, the most surprising first, and its columns in their order.

    Args:
      surprise: [N, C], minus infinity for missing cells.
    """
    peaks = surprise.argmax(axis=1)
    rows, columns = list[int](), list[int]()
    for row in np.argsort(-surprise.max(axis=1), kind="stable"):
        column = int(peaks[row])
        if column not in columns and len(columns) == MOST_COLUMNS:
            continue
        rows.append(int(row))
        columns += [column] if column not in columns else []
        if len(rows) == MOST_ROWS:
            break
    others = np.argsort(-surprise[rows].max(axis=0), kind="stable")
    columns += [column for column in others.tolist() if column not in columns][: MOST_COLUMNS - len(columns)]
    return rows, sorted(columns)


def draw_cells(axes: Axes, surprise: np.ndarray, texts: Sequence[Sequence[str]], limits: Normalize) -> None:
    """Draw the texts of cells on the colours of their surprise."""
    shades = mpl.colormaps[COLORS].with_extremes(bad="0.85")
    axes.imshow(surprise, cmap=shades, norm=limits, aspect="auto", interpolation="nearest")
    for i, row in enumerate(texts):
        for j, text in enumerate(row):
            is_dark = np.isfinite(surprise[i, j]) and limits(surprise[i, j]) > DARK
            short = fit_text(text, WIDTH - 0.1, CELL_SIZE)
            axes.text(j, i, short, ha="center", va="center", fontsize=CELL_SIZE, color="white" if is_dark else "black")
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(surprise.shape[1] - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(surprise.shape[0] - 1) + 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    axes.grid(which="minor", color="white", linewidth=1.5)
