"""Distributions: histograms of log p(x) with a box for each class, and the aggregate posterior against the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import (
    OUTERMOST,
    PALETTE,
    TITLE_SIZE,
    Figure,
    bin_count,
    class_name,
    classes_of,
    color,
    escape_math,
    hatch,
    number_text,
    shorten,
    style,
)

__all__ = [
    "column_distance",
    "column_marginals",
    "common_bins",
    "histogram_range",
    "log_likelihood_histogram",
    "marginals",
    "posterior_against_prior",
    "values_by_class",
]

FEWEST_TO_CUT, FAR = 20, 2.0
"""Fewest values of a histogram that may exclude outliers, and how many times wider than the rest all values must be."""

PANELS_ACROSS, MOST_COLUMNS, LONGEST_NAME = 4, 24, 26
"""Number of panels in a row, largest number of columns in one figure, and of letters in the name of a column."""

MOST_BINS, MOST_DISCRETE = 40, 12
"""Largest number of bins, and of different values that get a bin each."""


@check_keywords
def log_likelihood_histogram(values: np.ndarray, labels: np.ndarray | None, title: str) -> Figure:
    """Return a figure with the distribution of log p(x) [N], and below it one box for each class.

    Args:
      values: log p(x) of each example, in nats.
      labels: [N]. There are no boxes without labels, or with more than twenty classes.
      title: text above the figure.
    """
    return values_by_class(values, labels, title, "log p(x), nats")


@check_keywords
def values_by_class(values: np.ndarray, labels: np.ndarray | None, title: str, what: str) -> Figure:
    """Return a figure with a histogram of values [N], and below it one box for each class in the labels [N].

    Boxes span the quartiles, and whiskers the 5th to the 95th percentile. If a few values lie far from all others, the
    histogram excludes the outermost thousandths and reports how many values it leaves out.

    Args:
      values: in any unit.
      labels: [N]. There are no boxes without labels, or with more than twenty classes.
      title: text above the figure.
      what: the quantity and its unit.
    """
    classes = classes_of(labels)
    names = [] if classes is None else list(classes)
    height = 2.6 + 0.28 * len(names)
    with style():
        figure = Figure(figsize=(6, height), layout="constrained")
        heights = [2.2, height - 2.2] if names else [2.2]
        panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        _draw_histogram(panels[0], values)
        panels[0].set(title=escape_math(title), ylabel="examples")
        panels[0].yaxis.set_major_locator(MaxNLocator(6, integer=True))
        if names:
            _draw_boxes(panels[1], [values[labels == name] for name in names], [class_name(name) for name in names])
        panels[-1].set_xlabel(what + "\nboxes: quartiles and median; whiskers: 5% to 95%" * bool(names))
        panels[-1].xaxis.set_major_locator(MaxNLocator(5))
        panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value, ",.10g")))
    return figure


def _draw_histogram(axes: Axes, values: np.ndarray) -> None:
    low, high = histogram_range(values)
    beyond = int(((values < low) | (values > high)).sum())
    axes.hist(values, bins=bin_count(len(values)), range=(low, high), color=PALETTE[0])
    if beyond:
        margin = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(top=1.18 * axes.get_ylim()[1])  # leave room for the text
        text = f"{beyond:,} beyond, from {number_text(values.min())} to {number_text(values.max())}"
        axes.text(0.01, 0.98, text, transform=axes.transAxes, ha="left", va="top", fontsize="small")


def histogram_range(values: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest value [N], without the outermost thousandths if they lie far outside.

    In that case at least one value is left out at each end.
    """
    low, high = float(values.min()), float(values.max())
    if len(values) < FEWEST_TO_CUT:
        return low, high
    outside = math.ceil(OUTERMOST * len(values))
    ordered = np.sort(values)
    first, last = ordered[outside], ordered[-1 - outside]
    return (float(first), float(last)) if high - low > FAR * (last - first) else (low, high)


def _draw_boxes(axes: Axes, groups: Sequence[np.ndarray], names: Sequence[str]) -> None:
    parts = axes.boxplot(groups, orientation="horizontal", widths=0.6, patch_artist=True, sym=".", whis=(5, 95))
    for i, box in enumerate(parts["boxes"]):
        box.set(facecolor=color(i), alpha=0.7, hatch=hatch(i))
    for median in parts["medians"]:
        median.set(color="black")
    for outliers in parts["fliers"]:
        outliers.set(markersize=2, alpha=0.4)
    axes.set_yticks(range(1, len(names) + 1), names)
    axes.invert_yaxis()
    axes.set_ylabel("class")


@check_keywords
def posterior_against_prior(
    posterior: np.ndarray, prior: np.ndarray, names: Sequence[str], title: str, split: str = "test"
) -> Figure:
    """Return a figure with the aggregate posterior q(z_d), filled, and the prior p(z_d), a line, by dimension.

    It shows marginals only, so two distributions that agree in each dimension may still differ. The difference
    contributes to the part of the rate that `information.Decomposition.aggregate_kl` measures.

    Args:
      posterior: draws from q(z|x) of examples, [N, P].
      prior: draws from p(z), [M, P].
      names: the name of each of the P dimensions.
      title: text above the figure.
      split: the name of the split that the examples belong to.
    """
    return marginals(posterior, prior, names, title, (f"q(z), {split} data", "p(z), prior"))


def marginals(
    first: np.ndarray, second: np.ndarray, names: Sequence[str], title: str, labels: tuple[str, str]
) -> Figure:
    """Return a figure with a panel for each column of two samples: the first is a filled histogram, the second a line.

    The bins of a column with few different values have one value each, so that whole numbers share no bin.

    Args:
      first: [N, P].
      second: [M, P].
      names: the name of each of the P columns.
      title: text above the figure.
      labels: the names of both samples.
    """
    count = first.shape[1]
    across = min(PANELS_ACROSS, count)
    down = math.ceil(count / across)
    with style():
        figure = Figure(figsize=(max(4.5, 2.5 * across), 2.0 * down + 1.0), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False)
        for i, axes in enumerate(panels.flat):
            axes.set_visible(i < count)
            if i < count:
                bins = common_bins(first[:, i], second[:, i])
                filled, line = {"color": PALETTE[0], "alpha": 0.55}, {"color": PALETTE[5], "linewidth": 1.6}
                axes.hist(first[:, i], bins, density=True, label=labels[0], **filled)
                axes.hist(second[:, i], bins, density=True, histtype="step", label=labels[1], **line)
                axes.set_yticks([])
                axes.xaxis.set_major_locator(MaxNLocator(4, integer=len(bins) <= MOST_DISCRETE + 1))
                axes.tick_params(labelsize="small")
                axes.set_title(names[i], fontsize="medium")
        figure.suptitle(title, fontsize=TITLE_SIZE)
        handles, texts = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=2)
    return figure


def common_bins(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the edges of bins for two samples [N] and [M], without their outermost thousandths and infinite values.

    Each value of the first sample has a bin of its own if there are at most twelve, such as 0 and 1. Bins of this width
    continue to the ends of the second sample, unless that takes more than about forty.
    """
    first, second = (x[np.isfinite(x)] for x in (first, second))
    ends = [np.quantile(x, [OUTERMOST, 1 - OUTERMOST]) for x in (first, second) if len(x)] or [np.zeros(2)]
    low, high = float(np.min(ends)), float(np.max(ends))
    values = np.unique(first).astype(float)
    if 1 < len(values) <= MOST_DISCRETE:
        width = float(np.diff(values).min())
        least, greatest = min(low, values[0]), max(high, values[-1])
        if greatest - least < MOST_BINS * width:
            start = values[0] - width / 2
            before, after = math.ceil((start - least) / width), math.floor((greatest - start) / width) + 1
            return np.asarray(start + width * np.arange(-before, after + 1))
    margin = 0.0 if high > low else max(0.5, 1e-3 * abs(low))  # for a constant
    return np.linspace(low - margin, high + margin, min(MOST_BINS, bin_count(len(first))) + 1)


@check_keywords
def column_marginals(
    data: np.ndarray, samples: np.ndarray, names: Sequence[str], title: str, made: str = "x ~ p(x), model"
) -> Figure:
    """Return a figure with the distribution of each column of a table, filled, and that of the model's samples, a line.

    A model can match every column and still miss how columns depend on each other. If there are more than 24 columns,
    the figure shows the 24 that differ most, in their order.

    Args:
      data: examples [N, P].
      samples: draws from p(x), [M, P]. Do not use E[x|z], because its spread is too small.
      names: the name of each of the P columns.
      title: text above the figure.
      made: the name of the samples.
    """
    columns = np.arange(data.shape[1])
    if len(columns) > MOST_COLUMNS:
        distances = [column_distance(data[:, i], samples[:, i]) for i in columns]
        columns = np.sort(np.argsort(distances)[-MOST_COLUMNS:])
        title = f"{title}, the {MOST_COLUMNS} of {data.shape[1]:,} columns that differ most"
    some = [escape_math(shorten(names[int(i)], LONGEST_NAME)) for i in columns]
    return marginals(data[:, columns], samples[:, columns], some, escape_math(title), ("data", made))


def column_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the largest difference between the distribution functions of two samples [N] and [M], from 0 to 1."""
    values = np.concatenate([first, second])
    shares = (np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (first, second))
    return float(np.abs(np.subtract(*shares)).max())
