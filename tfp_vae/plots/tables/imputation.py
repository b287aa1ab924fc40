"""Imputed cells of a table with their intervals, against the hidden truth if it is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tfp_vae.core.display import plural
from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import PALETTE, Figure
from tfp_vae.plots.distributions import histogram_range
from tfp_vae.plots.tables.labels import ColumnLabel, percent_ticks, text_width
from tfp_vae.plots.tables.panels import TICK_SIZE, Panels, set_ticks

__all__ = ["imputation_panels"]

MOST_PANELS, MOST_CELLS = 24, 150
"""Largest number of columns in one figure, and of cells in one panel."""

HEIGHT, MARGIN = 1.5, 0.04
"""Height of the axes of a panel in inches, and the margin around its values as a share of their range."""

LINES_OF_TICKS = 3.0
"""The ratio of the width that ticks would need on a horizontal axis to the height that they need."""

WORD_ROOM = 0.1
"""Room at the left of a histogram of probabilities, in inches."""

BINS = [i / 10 for i in range(11)]
"""The bins of the probabilities of imputed words."""

MIDDLE = (0.05, 0.95)
"""The quantiles of the observed cells between which a panel is shaded."""

RIGHT, WRONG, SHADE = PALETTE[0], PALETTE[5], "0.9"


@check_keywords
def imputation_panels(
    x: np.ndarray,
    values: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    probability: np.ndarray,
    labels: Sequence[ColumnLabel],
    title: str,
    truth: np.ndarray | None = None,
) -> Figure:
    """Return a figure with a panel for each column that has missing cells.

    Numbers have their intervals. If the truth is known, they stand at the true number, and the panel says how many
    intervals contain it. Otherwise they are sorted, and a shade shows the middle 90% of the observed cells. Words have
    a histogram of the probability of the imputed word. If the truth is known, it shows how many are right, and how many
    should be by these probabilities.

    If more than 24 columns have missing cells, the figure shows those with the most. A panel has up to 150 cells,
    evenly spread over the imputed numbers.

    Args:
      x: the table, [N, C]. NaN is a missing cell.
      values: the same with imputed cells, [N, C].
      ends: the lower and the upper end of each interval, [N, C] each. NaN has no interval.
      probability: the probability of each imputed word, [N, C]. NaN for numbers.
      labels: the name and the words of each column.
      title: text above the figure.
      truth: the complete table, [N, C]. Cells that are NaN here too are left out.
    """
    missing = np.isnan(x) if truth is None else np.isnan(x) & np.isfinite(truth)
    columns = np.flatnonzero(missing.any(axis=0)).tolist()
    if len(columns) > MOST_PANELS:
        title = f"{title}, the {MOST_PANELS} of {len(columns):,} columns with the most missing cells"
        columns = sorted(np.argsort(-missing.sum(axis=0), kind="stable")[:MOST_PANELS].tolist())
    panels = Panels(len(columns), title, height=HEIGHT, subtitles=True, x_labels=True)
    for place, i in enumerate(columns):
        cells = missing[:, i]
        known = None if truth is None else truth[cells, i]
        if labels[i].words:
            is_right = None if known is None else np.isclose(values[cells, i], known)
            draw_probabilities(panels, place, labels[i], probability[cells, i], is_right)
        else:
            found = np.stack([values[cells, i], ends[0][cells, i], ends[1][cells, i]])
            draw_intervals(panels, place, labels[i], found, x[:, i], known)
    panels.legend(*legend_entries(truth is not None))
    return panels.figure


def legend_entries(has_truth: bool) -> tuple[list[Artist], list[str]]:
    """Return the symbols of the legend, and their texts."""
    right, wrong = (Line2D([], [], color=color, marker="o", markersize=3.5, linewidth=1.0) for color in (RIGHT, WRONG))
    if has_truth:
        return [right, wrong], ["interval contains the truth, or word is right", "interval misses it, or word is wrong"]
    return [right, Patch(color=SHADE)], ["imputed cell and interval", "middle 90% of observed cells"]


def draw_intervals(
    panels: Panels, place: int, label: ColumnLabel, found: np.ndarray, observed: np.ndarray, truth: np.ndarray | None
) -> None:
    """Draw imputed numbers with their intervals.

    Args:
      panels: the figure.
      place: the index of the panel.
      label: the column.
      found: imputed numbers and the ends of their intervals, [3, M]. A NaN end is the number itself.
      observed: the cells of the column. NaN is missing.
      truth: the true numbers [M], or None.
    """
    count, has_intervals = found.shape[1], bool(np.isfinite(found[1:]).any())
    subtitle = plural(count, "cell")
    found = np.where(np.isfinite(found), found, found[0])
    if truth is not None:
        is_inside = (found[1] <= truth) & (truth <= found[2])
        subtitle += f", {is_inside.mean():.0%} in {'their' if count > 1 else 'its'} interval" * has_intervals
    order = np.argsort(found[0], kind="stable")
    order = order[np.linspace(0, len(order) - 1, min(MOST_CELLS, len(order))).astype(int)]
    middle, low, high = found[:, order]
    across = np.arange(len(order)) if truth is None else truth[order]
    ends = axis_ends(np.concatenate([low, high] if truth is None else [low, high, across]))
    axes, left = interval_axes(panels, place, label, subtitle, ends)
    colors = [RIGHT] * len(order) if truth is None else np.where(is_inside[order], RIGHT, WRONG).tolist()
    axes.vlines(across, low, high, colors=colors, linewidth=0.9, alpha=0.7)
    axes.scatter(across, middle, s=6, c=colors, linewidths=0, zorder=3)
    if truth is None:
        draw_order(axes, len(order), observed)
    else:
        axes.axline((ends[0], ends[0]), (ends[1], ends[1]), color="black", linewidth=0.8, linestyle="--", zorder=0)
        axes.set_xlim(*ends)
        set_ticks(axes, label.ticks(*ends, panels.inner_width(left), TICK_SIZE))
        axes.set_xlabel("truth", fontsize=TICK_SIZE, labelpad=1)


def axis_ends(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of an axis for numbers, with a margin and without outliers."""
    low, high = histogram_range(values) if len(values) else (0.0, 1.0)
    margin = MARGIN * (high - low) or 0.5
    return low - margin, high + margin


def interval_axes(
    panels: Panels, place: int, label: ColumnLabel, subtitle: str, ends: tuple[float, float]
) -> tuple[Axes, float]:
    """Return axes with a vertical axis for the numbers of a column, and the room at their left in inches."""
    ticks = label.ticks(*ends, LINES_OF_TICKS * HEIGHT, TICK_SIZE)
    left = max((text_width(text, TICK_SIZE) for text in ticks[1]), default=0.0) + 0.1
    axes = panels.axes(place, label.name, subtitle, left)
    axes.set_ylim(*ends)
    set_ticks(axes, ticks, vertical=True)
    return axes, left


def draw_order(axes: Axes, count: int, observed: np.ndarray) -> None:
    """Shade the middle of the observed cells, and name the horizontal axis of sorted cells."""
    seen = observed[np.isfinite(observed)]
    if len(seen):
        axes.axhspan(*np.quantile(seen, MIDDLE).tolist(), color=SHADE, zorder=0)
    margin = 0.5 + 0.02 * count
    axes.set_xlim(-margin, count - 1 + margin)
    axes.set_xticks([])
    axes.set_xlabel("cells, sorted", fontsize=TICK_SIZE, labelpad=2)


def draw_probabilities(
    panels: Panels, place: int, label: ColumnLabel, probability: np.ndarray, is_right: np.ndarray | None
) -> None:
    """Draw a histogram of the probabilities [M] of imputed words, in two colours if it is known which are right."""
    count = len(probability)
    subtitle = plural(count, "cell")
    if is_right is not None:
        subtitle += f", {is_right.mean():.0%} right, {np.nanmean(probability):.0%} expected"
    axes = panels.axes(place, label.name, subtitle, WORD_ROOM)
    groups = [probability] if is_right is None else [probability[is_right], probability[~is_right]]
    axes.hist([group[np.isfinite(group)] for group in groups], BINS, stacked=True, color=[RIGHT, WRONG][: len(groups)])
    axes.set_xlim(0, 1)
    axes.set_yticks([])
    set_ticks(axes, percent_ticks(1.0, panels.inner_width(WORD_ROOM), TICK_SIZE))
    axes.set_xlabel("probability of the imputed word", fontsize=TICK_SIZE, labelpad=1)
