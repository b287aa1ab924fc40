"""Pictures: arrays -> figures. The only file that imports matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = [
    "bound_curve",
    "extremes",
    "image_grid",
    "latent_scatter",
    "learning_curves",
    "log_likelihood_histogram",
    "manifold",
    "png",
    "prior_grid",
    "rate_bars",
    "reconstructions",
]

# Okabe and Ito's palette, told apart by colour-blind readers, but for its yellow, and with two more for ten classes.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#8C6D31",
    "#222222",
    "#5B4B8A",
    "#7F7F7F",
)
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
DPI = 150
MOST_CLASSES = 20
TRAIN, VALIDATION = PALETTE[0], PALETTE[5]


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08, facecolor="white")
    return buffer.getvalue()


def image_grid(x: np.ndarray, title: str = "", columns: int | None = None) -> Figure:
    """Draw examples x [N, H, W, C] as a grid of pictures, or vectors [N, M] as the rows of a map.

    Args:
      x: values in [0, 1] for pictures; any range for vectors.
      title: written above.
      columns: pictures in a row; as square a grid as fits, if not given.
    """
    if x.ndim == 2:
        return _rows(x, title)
    columns = columns or math.ceil(math.sqrt(len(x)))
    rows = math.ceil(len(x) / columns)
    figure, axes = _canvas(columns, rows)
    _show(axes, _tiled(x, rows, columns))
    axes.set_title(title)
    return figure


def reconstructions(originals: np.ndarray, means: np.ndarray) -> Figure:
    """Draw originals above their reconstructions: two arrays [N, H, W, C], or [N, M]."""
    if originals.ndim == 2:
        return _rows(np.concatenate([originals, means]), "originals (upper half) and reconstructions (lower half)")
    count = len(originals)
    figure, axes = _canvas(count, 2)
    _show(axes, _tiled(np.concatenate([originals, means]), 2, count))
    height = _tiled(originals[:1], 1, 1).shape[0]
    axes.set_yticks([height * 0.5, height * 1.5], ["data", "E[x|z]"])
    axes.set_title("Held-out examples and their reconstructions")
    return figure


def learning_curves(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the ELBO, the distortion and the rate of each epoch, on training and validation data; nats per example."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.2), layout="constrained")
        for axes, name in zip(figure.subplots(1, 3), ("elbo", "distortion", "rate"), strict=True):
            _curve(axes, metrics, name)
        figure.axes[0].legend(loc="lower right")
    return figure


def latent_scatter(means: np.ndarray, labels: np.ndarray | None) -> Figure:
    """Draw the posterior means E_q[z|x] [N, 2] of held-out data by colour of class, named where it is densest.

    Labels that are not finite, or of more than twenty classes, are not shown.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 6), layout="constrained")
        axes = figure.subplots()
        classes = _classes(labels)
        for i, name in enumerate([None] if classes is None else classes):
            points = means if name is None else means[labels == name]
            _cluster(axes, points, name, PALETTE[i % len(PALETTE)])
        axes.set_aspect("equal", adjustable="datalim")
        axes.set(title="Posterior means of held-out data", xlabel="$z_1$", ylabel="$z_2$")
    return figure


def prior_grid(side: int) -> np.ndarray:
    """Return z [side^2, 2] at the standard Normal's inverse CDF of an even grid, from top left to bottom right."""
    from scipy.stats import norm

    quantiles = norm.ppf((np.arange(side) + 0.5) / side)
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return np.stack([first.ravel(), second.ravel()], axis=1).astype(np.float32)


def manifold(images: np.ndarray, side: int) -> Figure:
    """Draw E[x|z] [side^2, H, W, C] over the grid of `prior_grid`."""
    figure, axes = _canvas(side, side)
    picture = _tiled(images, side, side)
    _show(axes, picture)
    ticks = (np.array([0.1, 0.5, 0.9]), ["10%", "50%", "90%"])
    axes.set_xticks(ticks[0] * picture.shape[1], ticks[1])
    axes.set_yticks((1 - ticks[0]) * picture.shape[0], ticks[1])
    axes.set(title="E[x|z] over quantiles of the prior", xlabel="$z_1$", ylabel="$z_2$")
    return figure


def bound_curve(samples: Sequence[int], means: np.ndarray, errors: np.ndarray, elbo: float) -> Figure:
    """Draw the importance-weighted bound [J] against its number of samples, with its standard errors over examples."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(samples, means - errors, means + errors, color=PALETTE[0], alpha=0.2, linewidth=0)
        axes.plot(samples, means, color=PALETTE[0], marker="o", markersize=4, label="log p(x), importance-weighted")
        axes.axhline(elbo, color=PALETTE[5], linestyle="--", label="ELBO")
        axes.set_xscale("log")
        axes.set(title="The bound rises with its samples", xlabel="importance samples K", ylabel="nats per example")
        axes.legend(loc="best")
    return figure


def rate_bars(rates: np.ndarray, active: np.ndarray) -> Figure:
    """Draw the rate of each latent dimension [D], largest first; the active ones [D] in another colour."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        order = np.argsort(-rates, kind="stable")
        colors = {True: (PALETTE[0], "active"), False: (PALETTE[9], "not active")}
        for is_active, (color, label) in colors.items():
            places = np.flatnonzero(active[order] == is_active)
            axes.bar(places + 1, rates[order][places], color=color, label=f"{label} ({len(places)})")
        axes.set(title="Rate of each latent dimension", xlabel="dimension, by rate", ylabel="nats per example")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="upper right")
    return figure


def log_likelihood_histogram(values: np.ndarray, labels: np.ndarray | None) -> Figure:
    """Draw the distribution of log p(x) [N], and below it, where there are classes, that of each of them."""
    classes = _classes(labels)
    names = [] if classes is None else list(classes)
    with mpl.rc_context(STYLE):
        height = 2.6 + 0.28 * len(names)
        figure = Figure(figsize=(6, height), layout="constrained")
        axes = figure.subplots(
            1 + bool(names), 1, sharex=True, squeeze=False, height_ratios=[2.2, *[height - 2.2] * bool(names)]
        )
        axes[0, 0].hist(values, bins=min(60, 5 + len(values) // 5), color=PALETTE[0])
        axes[0, 0].set(title="log p(x) of held-out examples", ylabel="examples")
        if names:
            _boxes(axes[1, 0], [values[labels == name] for name in names], names)
        axes[-1, 0].set_xlabel("log p(x), nats")
    return figure


def _boxes(axes: Any, groups: Sequence[np.ndarray], names: Sequence[Any]) -> None:
    parts = axes.boxplot(groups, orientation="horizontal", widths=0.6, patch_artist=True, sym=".", whis=(5, 95))
    for i, box in enumerate(parts["boxes"]):
        box.set(facecolor=PALETTE[i % len(PALETTE)], alpha=0.7)
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
    if x.ndim == 2:
        return _rows(x[chosen], "least likely examples (upper half) and most likely (lower half)")
    figure, axes = _canvas(count, 2)
    picture = _tiled(x[chosen], 2, count, captions=True)
    _show(axes, picture)
    height, width = picture.shape[0] / 2, picture.shape[1] / count
    for i, row in enumerate(chosen):
        place = (i % count + 0.5) * width, (i // count + 1) * height - 0.02 * height
        axes.text(*place, f"{values[row]:.0f}", ha="center", va="bottom", fontsize=7)
    axes.set_yticks([height * 0.5, height * 1.5], ["least", "most"])
    axes.set_title("Least and most likely held-out examples, log p(x) in nats")
    return figure


def _curve(axes: Any, metrics: Sequence[Mapping[str, Any]], name: str) -> None:
    epochs = [line["epoch"] for line in metrics]
    marker = "o" if len(epochs) == 1 else None
    axes.plot(epochs, [line[name] for line in metrics], color=TRAIN, label="train", marker=marker)
    validation = [line[f"validation_{name}"] for line in metrics]
    axes.plot(epochs, validation, color=VALIDATION, label="validation", linestyle="--", marker=marker)
    axes.set(title={"elbo": "ELBO"}.get(name, name), xlabel="epoch", ylabel="nats per example")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _cluster(axes: Any, points: np.ndarray, name: Any, color: str) -> None:
    size = 12 if len(points) < 500 else 4
    axes.scatter(*points.T, s=size, color=color, alpha=0.65, linewidths=0)
    if name is not None:
        outline = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": color, "linewidth": 1.5}
        axes.text(*_densest(points), str(name), ha="center", va="center", weight="bold", bbox=outline)


def _densest(points: np.ndarray) -> np.ndarray:
    """Return the point of [N, 2] whose twentieth neighbour is nearest."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(points).query(points, k=[min(20, len(points))])
    place: np.ndarray = points[np.argmin(distances[:, 0])]
    return place


def _canvas(columns: int, rows: int) -> tuple[Figure, Any]:
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        scale = min(0.8, 8 / max(columns, rows))
        figure = Figure(figsize=(max(2.0, columns * scale), max(1.2, rows * scale)), layout="constrained")
        axes = figure.subplots()
        axes.set_xticks([])
        axes.set_yticks([])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure, axes


def _show(axes: Any, picture: np.ndarray) -> None:
    axes.imshow(picture, cmap="gray_r" if picture.ndim == 2 else None, vmin=0, vmax=1, interpolation="nearest")


def _rows(x: np.ndarray, title: str) -> Figure:
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(x, aspect="auto", cmap="viridis", interpolation="nearest")
        axes.set(title=title, xlabel="feature", ylabel="example")
        figure.colorbar(image)
    return figure


def _channels_beside(x: np.ndarray) -> np.ndarray:
    """Return pictures [N, H, W, C] of a number of channels that has no colours as grey ones, [N, H, C W, 1]."""
    return np.concatenate([x[..., [channel]] for channel in range(x.shape[-1])], axis=2)


def _classes(labels: np.ndarray | None) -> np.ndarray | None:
    """Return the classes in the labels [N], or None if there are no labels, too many, or some are not finite."""
    if labels is None or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        return None
    classes = np.unique(labels)
    return classes if len(classes) <= MOST_CLASSES else None


def _tiled(x: np.ndarray, rows: int, columns: int, gap: int = 1, *, captions: bool = False) -> np.ndarray:
    """Return pictures x [N, H, W, C] side by side, with a gap that grows with their size; [H', W'] if C is 1.

    With room for a line of text below each, if there are `captions`.
    """
    x = x if x.shape[-1] in (1, 3) else _channels_beside(x)
    gap *= max(1, x.shape[1] // 14)
    padded = np.zeros((rows * columns, *x.shape[1:]), np.float32)
    padded[: len(x)] = np.clip(x, 0, 1)
    below = gap + captions * math.ceil(x.shape[1] / 4)
    padded = np.pad(padded, [(0, 0), (0, below), (0, gap), (0, 0)])
    height, width, channels = padded.shape[1:]
    grid = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    picture = grid.reshape(rows * height, columns * width, channels)
    return picture[..., 0] if channels == 1 else picture
