"""Vectors without named features, such as time series, as lines in small panels that share their axes.

The columns of a table differ in meaning and units, so heat maps and marginals show them instead, see `tiles` and
`distributions`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import TITLE_SIZE, Figure, color, escape_math, style

__all__ = ["line_panels", "share_lines", "walk_panels"]

PANEL_WIDTH, PANEL_HEIGHT, LEAST_WIDTH = 2.2, 1.35, 6.0
"""Size of a panel, and the smallest width of a figure, in inches."""

MOST_ACROSS, MOST_PANELS = 5, 16
"""Largest number of panels in a row, and of panels that `share_lines` fills."""

FEW_VALUES = 12
"""Below this number of values, each value has a dot."""

WALK_COLORS = "viridis"


def share_lines(x: np.ndarray) -> list[np.ndarray]:
    """Return vectors [N, M] in at most sixteen groups [L, M] of nearly equal size, in their order."""
    return np.array_split(x, min(len(x), MOST_PANELS))


@check_keywords
def line_panels(
    panels: Sequence[np.ndarray],
    names: Sequence[str],
    title: str,
    labels: Sequence[str] = (),
    *,
    colors: Sequence[str] = (),
    across: int | None = None,
) -> Figure:
    """Return a figure with one panel for each group of vectors [L, M], in which each vector is a line.

    ```python
    waves = np.sin(np.linspace(0, 6, 50) + np.arange(8)[:, np.newaxis])  # [8, 50]
    tv.plots.image_grid(waves, "Waves")  # a figure with eight panels
    ```

    Args:
      panels: the groups.
      names: the title of each panel.
      title: text above all panels.
      labels: the name of each line of a panel, for a legend.
      colors: the colour of each line of a panel. By default those of classes.
      across: the number of panels in a row. By default the figure is nearly square.
    """
    across = across or min(MOST_ACROSS, math.ceil(math.sqrt(len(panels))))
    down = math.ceil(len(panels) / across)
    marker = "o" if panels[0].shape[1] < FEW_VALUES else ""
    with style():
        size = max(LEAST_WIDTH, PANEL_WIDTH * across), max(3.0, PANEL_HEIGHT * down + 0.9)
        figure = Figure(figsize=size, layout="constrained")
        for i, axes in enumerate(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat):
            axes.set_visible(i < len(panels))
            for line, values in enumerate(panels[i] if i < len(panels) else ()):
                shade = colors[line] if colors else color(line)
                axes.plot(values, color=shade, linewidth=1.0, marker=marker, markersize=2.5)
            axes.set_title(names[i] if i < len(names) else "", fontsize="small")
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(4))
            is_lowest = i + across >= len(panels)
            axes.tick_params(labelsize="small", labelbottom=is_lowest)
            axes.set_xlabel("index of the value" if is_lowest else "", fontsize="small")
        figure.suptitle(escape_math(title), fontsize=TITLE_SIZE)
        if labels:
            handles = [Line2D([], [], color=color(line)) for line in range(len(labels))]
            figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize="small")
    return figure


def walk_panels(walks: np.ndarray, names: Sequence[str], ticks: Sequence[str], title: str, across: str) -> Figure:
    """Return a figure with one panel for each walk [T, M], in which a line's colour shows its place along the walk.

    Args:
      walks: [R, T, M].
      names: the name of each walk.
      ticks: the name of each place. The colour bar shows the first, the middle and the last.
      title: text above all panels.
      across: the label of the colour bar.
    """
    last = max(1, len(ticks) - 1)
    shades = [mpl.colors.to_hex(shade) for shade in mpl.colormaps[WALK_COLORS](np.linspace(0, 0.9, len(ticks)))]
    figure = line_panels(list(walks), names, title, colors=shades)
    with style(grid=False):
        scale = ScalarMappable(Normalize(0, last / 0.9), WALK_COLORS)
        bar = figure.colorbar(scale, ax=figure.axes, label=across, boundaries=np.arange(-0.5, len(ticks)))
        some = sorted({0, len(ticks) // 2, len(ticks) - 1})
        bar.set_ticks(some, labels=[ticks[i].replace(",\n", ", ") for i in some], fontsize="small")
    return figure
