"""The distribution of each column of a mixed table, of data and of a model's samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.patches import Patch

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import PALETTE, Figure
from tfp_vae.plots.distributions import column_distance, common_bins
from tfp_vae.plots.tables.labels import ColumnLabel, decade_ticks, fit_text, percent_ticks, text_width
from tfp_vae.plots.tables.panels import TICK_SIZE, Panels, set_ticks

__all__ = ["column_difference", "column_panels"]

MOST_PANELS = 48
"""Largest number of columns in one figure."""

MOST_WORDS, WORD_ROOM = 8, 1.0
"""Largest number of words in a panel, and the room for them at its left, in inches."""

SKEWED = 3.0
"""Positive numbers have a logarithmic axis if their mean is at least this multiple of their median."""

FILLED, OUTLINE = PALETTE[0], PALETTE[5]


@check_keywords
def column_panels(
    real: np.ndarray,
    made: np.ndarray,
    labels: Sequence[ColumnLabel],
    title: str,
    names: tuple[str, str] = ("data", "x ~ p(x), model"),
) -> Figure:
    """Return a figure with a panel for each column: a filled histogram of data and the outline of a model's samples.

    Columns of words have a bar for each word, and one for all others if there are more than eight. Positive numbers
    with a long tail have a logarithmic axis. If there are more than 48 columns, the figure shows the 48 that differ
    most, in their order. A model can match every column and still miss how columns depend on each other.

    ```python
    from tfp_vae.plots.tables import ColumnLabel, column_panels

    labels = [ColumnLabel("height"), ColumnLabel("smoker", words=("no", "yes"))]
    data = np.array([[1.8, 0.0], [1.7, 1.0], [np.nan, 0.0]])
    column_panels(data, data, labels, "Columns of 3 people")
    ```

    Args:
      real: numbers of the data, [N, C]. NaN is a missing cell.
      made: numbers of the samples, [M, C].
      labels: the name and the words of each column.
      title: text above the figure.
      names: the names of the data and of the samples.
    """
    columns = list(range(len(labels)))
    if len(columns) > MOST_PANELS:
        distances = [column_difference(real[:, i], made[:, i], labels[i]) for i in columns]
        columns = sorted(np.argsort(distances)[-MOST_PANELS:].tolist())
        title = f"{title}, the {MOST_PANELS} of {len(labels):,} columns that differ most"
    missing = np.isnan(real[:, columns]).mean(axis=0)
    panels = Panels(len(columns), title, subtitles=bool(missing.any()))
    for place, i in enumerate(columns):
        share = float(missing[place])
        subtitle = f"{share:.0%} missing" if share >= 0.005 else "below 1% missing" if share else ""
        draw = draw_words if labels[i].words else draw_numbers
        draw(panels, place, labels[i], (real[:, i], made[:, i]), subtitle)
    handles: list[Artist] = [Patch(facecolor=FILLED, alpha=0.55), Patch(facecolor="none", edgecolor=OUTLINE, lw=1.5)]
    panels.legend(handles, names)
    return panels.figure


def column_difference(real: np.ndarray, made: np.ndarray, label: ColumnLabel) -> float:
    """Return how much two samples of a column differ, from 0 to 1, without missing cells.

    This is the largest difference between the distribution functions of numbers, and the total variation between words.
    A column without a cell cannot differ, so this is 0 then.
    """
    real, made = (x[np.isfinite(x)] for x in (real, made))
    if not len(real) or not len(made):
        return 0.0
    if not label.words:
        return column_distance(real, made)
    return float(np.abs(word_shares(real, label) - word_shares(made, label)).sum() / 2)


def word_shares(values: np.ndarray, label: ColumnLabel) -> np.ndarray:
    """Return the share of each word among the numbers that are not missing, [L]."""
    counts = np.bincount(label.indices(values), minlength=len(label.words))
    return np.asarray(counts / max(counts.sum(), 1))


def draw_numbers(
    panels: Panels, place: int, label: ColumnLabel, pair: tuple[np.ndarray, np.ndarray], subtitle: str
) -> None:
    axes = panels.axes(place, label.name, subtitle)
    real, made = (x[np.isfinite(x)] for x in pair)
    axes.set_yticks([])
    in_decades = not label.is_date and spans_decades(real)
    if in_decades:
        real, made = (np.log10(x[x > 0]) for x in (real, made))
    bins = common_bins(real, made).tolist()
    shares = [np.full(len(x), 1 / max(len(x), 1)) for x in (real, made)]
    axes.hist(real, bins, weights=shares[0], color=FILLED, alpha=0.55)
    axes.hist(made, bins, weights=shares[1], color=OUTLINE, histtype="step", linewidth=1.5)
    low, high = bins[0], bins[-1]
    margin = 0.02 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    ticks = decade_ticks if in_decades else label.ticks
    set_ticks(axes, ticks(low, high, panels.inner_width(), TICK_SIZE))


def spans_decades(values: np.ndarray) -> bool:
    """Return whether numbers [N] are positive and so skewed that most of them would share one bin."""
    return len(values) > 0 and float(values.min()) > 0 and float(values.mean()) > SKEWED * float(np.median(values))


def draw_words(
    panels: Panels, place: int, label: ColumnLabel, pair: tuple[np.ndarray, np.ndarray], subtitle: str
) -> None:
    shares = np.stack([word_shares(x, label) for x in pair])
    words, rows = list(label.words), np.arange(len(label.words))
    if len(words) > MOST_WORDS:
        rows = np.sort(np.argsort(-shares.sum(axis=0), kind="stable")[: MOST_WORDS - 1])
        rest = 1 - shares[:, rows].sum(axis=1, keepdims=True)
        shares = np.concatenate([shares[:, rows], np.clip(rest, 0, 1)], axis=1)
        words = [*(words[row] for row in rows), f"{len(words) - len(rows):,} others"]
    texts = [fit_text(word, WORD_ROOM, TICK_SIZE) for word in words]
    left = max(text_width(text, TICK_SIZE) for text in texts) + 0.08
    axes = panels.axes(place, label.name, subtitle, left)
    places, height = np.arange(len(words)), 0.8
    axes.barh(places, shares[0], height, color=FILLED, alpha=0.55)
    axes.barh(places, shares[1], height, fill=False, edgecolor=OUTLINE, linewidth=1.5)
    set_ticks(axes, (places, texts), vertical=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(words) - 0.4, -0.6)
    high = float(shares.max()) or 1.0
    axes.set_xlim(0, 1.05 * high)
    set_ticks(axes, percent_ticks(high, panels.inner_width(left), TICK_SIZE))
