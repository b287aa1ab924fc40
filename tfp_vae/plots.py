"""Pictures of data, and of what a training and an evaluation found: arrays -> figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfp_vae.canvas import PALETTE, STYLE, classes_of, color, maps, png, range_of, show_tiles

__all__ = [
    "bound_curve",
    "extremes",
    "image_grid",
    "learning_curves",
    "log_likelihood_histogram",
    "manifold",
    "png",
    "prior_grid",
    "rate_bars",
    "reconstructions",
    "strips",
    "values_by_class",
]

TRAIN, VALIDATION = PALETTE[0], PALETTE[5]
MOST_MAPS = 12
"""How many strips of vectors are shown."""


def image_grid(x: np.ndarray, title: str = "", columns: int | None = None) -> Figure:
    """Draw examples x [N, H, W, C] as a grid of pictures, or vectors [N, M] as the rows of a map.

    Args:
      x: values; the tones span [0, 1], or all of them where they go beyond it.
      title: written above.
      columns: pictures in a row; as square a grid as fits, if not given.
    """
    if x.ndim == 2:
        return maps([x], [""], title)
    columns = columns or math.ceil(math.sqrt(len(x)))
    axes, _ = show_tiles(x, math.ceil(len(x) / columns), columns, title)
    return _figure(axes)


def reconstructions(originals: np.ndarray, means: np.ndarray, what: str = "data") -> Figure:
    """Draw originals above their reconstructions, two arrays [N, H, W, C]; or beside them, [N, M].

    Args:
      originals: as the model saw them.
      means: E[x|z].
      what: what to call the originals.
    """
    title = "Held-out examples and their reconstructions"
    if originals.ndim == 2:
        return maps([originals, means], [what, "E[x|z]"], title)
    axes, picture = show_tiles(np.concatenate([originals, means]), 2, len(originals), title)
    _name_rows(axes, picture, [what, "E[x|z]"])
    return _figure(axes)


def strips(x: np.ndarray, names: Sequence[str], ticks: Sequence[str], title: str, across: str = "") -> Figure:
    """Draw rows of pictures x [R, T, H, W, C], each row a walk; or walks of vectors [R, T, M], each a map.

    Args:
      x: the walks. Of vectors the first twelve are shown.
      names: what each of the R walks is.
      ticks: what each of their T places is.
      title: written above.
      across: what the places are of.
    """
    if x.ndim == 3:
        return maps(list(x[:MOST_MAPS]), names[:MOST_MAPS], title, across, ticks)
    count, length = x.shape[:2]
    axes, picture = show_tiles(x.reshape(-1, *x.shape[2:]), count, length, title)
    _name_rows(axes, picture, names)
    places = (np.arange(length) + 0.5) * picture.shape[1] / length
    axes.set_xticks(places, ticks, fontsize="small")
    axes.set_xlabel(across)
    return _figure(axes)


def _name_rows(axes: Any, picture: np.ndarray, names: Sequence[str]) -> None:
    axes.set_yticks((np.arange(len(names)) + 0.5) * picture.shape[0] / len(names), names)


def _figure(axes: Any) -> Figure:
    figure: Figure = axes.figure
    return figure


def learning_curves(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the ELBO, the distortion and the rate of each epoch, on training and validation data; nats per example."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.2), layout="constrained")
        for axes, name in zip(figure.subplots(1, 3), ("elbo", "distortion", "rate"), strict=True):
            _curve(axes, metrics, name)
        figure.axes[0].legend(loc="lower right")
    return figure


def _curve(axes: Any, metrics: Sequence[Mapping[str, Any]], name: str) -> None:
    epochs = [line["epoch"] for line in metrics]
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, [line[name] for line in metrics], color=TRAIN, label="train", marker=marker)
    validation = [line[f"validation_{name}"] for line in metrics]
    axes.plot(epochs, validation, color=VALIDATION, label="validation", linestyle="--", marker=marker)
    axes.set(title={"elbo": "ELBO"}.get(name, name), xlabel="epoch", ylabel="nats per example")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def prior_grid(side: int) -> np.ndarray:
    """Return z [side^2, 2] at the standard Normal's inverse CDF of an even grid, from top left to bottom right."""
    from scipy.stats import norm

    quantiles = norm.ppf((np.arange(side) + 0.5) / side)
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([first.ravel(), second.ravel()], axis=1).astype(np.float32)


def manifold(images: np.ndarray, side: int, title: str = "E[x|z] over quantiles of the prior") -> Figure:
    """Draw E[x|z] [side^2, H, W, C] over the grid of `prior_grid`, or another of quantiles."""
    axes, picture = show_tiles(images, side, side, title)
    ticks = (np.array([0.1, 0.5, 0.9]), ["10%", "50%", "90%"])
    axes.set_xticks(ticks[0] * picture.shape[1], ticks[1])
    axes.set_yticks((1 - ticks[0]) * picture.shape[0], ticks[1])
    axes.set(xlabel="$z_1$", ylabel="$z_2$")
    return _figure(axes)


def bound_curve(samples: Sequence[int], means: np.ndarray, errors: np.ndarray, elbo: float) -> Figure:
    """Draw the importance-weighted bound [J] against its number of samples, with its standard errors over examples."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(samples, means - errors, means + errors, color=PALETTE[0], alpha=0.2, linewidth=0)
        axes.plot(samples, means, color=PALETTE[0], marker="o", markersize=4, label="log p(x), importance-weighted")
        axes.axhline(elbo, color=PALETTE[5], linestyle="--", label="ELBO")
        axes.set_xscale("log")
        axes.set(title="The bound against its samples", xlabel="importance samples K", ylabel="nats per example")
        axes.legend(loc="best")
    return figure


def rate_bars(rates: np.ndarray, active: np.ndarray) -> Figure:
    """Draw the rate of each latent dimension [D], largest first; the active ones [D] in another colour."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        order = np.argsort(-rates, kind="stable")
        colors = {True: (PALETTE[0], "active"), False: (PALETTE[9], "not active")}
        for is_active, (bar_color, label) in colors.items():
            places = np.flatnonzero(active[order] == is_active)
            if len(places):
                axes.bar(places + 1, rates[order][places], color=bar_color, label=f"{label} ({len(places)})")
        axes.set(title="Rate of each latent dimension", xlabel="dimension, by rate", ylabel="nats per example")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return figure


def log_likelihood_histogram(
    values: np.ndarray, labels: np.ndarray | None, title: str = "log p(x) of held-out examples"
) -> Figure:
    """Draw the distribution of log p(x) [N], and below it, where there are classes, that of each of them."""
    return values_by_class(values, labels, title, "log p(x), nats")


def values_by_class(values: np.ndarray, labels: np.ndarray | None, title: str, what: str) -> Figure:
    """Draw a histogram of values [N], and below it, where the labels [N] are classes, a box for each of them.

    Boxes span the quartiles, their whiskers the 5th to the 95th percentile.
    """
    classes = classes_of(labels)
    names = [] if classes is None else list(classes)
    with mpl.rc_context(STYLE):
        height = 2.6 + 0.28 * len(names)
        figure = Figure(figsize=(6, height), layout="constrained")
        axes = figure.subplots(
            1 + bool(names), 1, sharex=True, squeeze=False, height_ratios=[2.2, *[height - 2.2] * bool(names)]
        )
        axes[0, 0].hist(values, bins=min(60, 5 + len(values) // 5), color=PALETTE[0])
        axes[0, 0].set(title=title, ylabel="examples")
        if names:
            _boxes(axes[1, 0], [values[labels == name] for name in names], names)
        axes[-1, 0].set_xlabel(what)
    return figure


def _boxes(axes: Any, groups: Sequence[np.ndarray], names: Sequence[Any]) -> None:
    parts = axes.boxplot(groups, orientation="horizontal", widths=0.6, patch_artist=True, sym=".", whis=(5, 95))
    for i, box in enumerate(parts["boxes"]):
        box.set(facecolor=color(i), alpha=0.7)
    styles: dict[str, Any] = {"medians": {"color": "black"}, "fliers": {"markersize": 2, "alpha": 0.4}}
    for kind, style in styles.items():
        for part in parts[kind]:
            part.set(**style)
    axes.set_yticks(range(1, len(names) + 1), [str(name) for name in names])
    axes.invert_yaxis()
    axes.set_ylabel("class")


def extremes(x: np.ndarray, values: np.ndarray, count: int = 10) -> Figure:
    """Draw the examples x [N, H, W, C], or [N, M], of least log p(x) [N] above those of most, each with its value."""
    order = np.argsort(values, kind="stable")
    count = min(count, max(1, len(x) // 2))
    chosen = np.concatenate([order[:count], order[-count:][::-1]])
    title = "Least and most likely held-out examples, log p(x) in nats"
    if x.ndim == 2:
        named = [f"{name}, {values[rows[0]]:.0f} to {values[rows[-1]]:.0f}" for name, rows in
                 (("least", chosen[:count]), ("most", chosen[count:]))]  # fmt: skip
        return maps([x[chosen[:count]], x[chosen[count:]]], named, title)
    axes, picture = show_tiles(x[chosen], 2, count, title, limits=range_of(x), captions=True)
    height, width = picture.shape[0] / 2, picture.shape[1] / count
    for i, row in enumerate(chosen):
        place = (i % count + 0.5) * width, (i // count + 1) * height - 0.02 * height
        axes.text(*place, f"{values[row]:.0f}", ha="center", va="bottom", fontsize=7)
    _name_rows(axes, picture, ["least", "most"])
    return _figure(axes)
