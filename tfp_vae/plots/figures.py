"""Pictures of data, and of what a training and an evaluation found: arrays -> figures.

A figure is made of arrays and returned, never shown or written: `png` gives its bytes. They share a style, a palette
and a scale of tones from `canvas`. Pictures of images take [.., H, W, C] in any range; vectors are drawn as rows of a
map. `gallery` decides which arrays of a run go into which.

```python
figure = tv.plots.figures.image_grid(x, "Digits")  # a matplotlib Figure
content = tv.plots.figures.png(figure)  # the bytes of a PNG file
```
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from tfp_vae.plots.canvas import (
    OUTERMOST,
    PALETTE,
    STYLE,
    Range,
    bins_for,
    class_name,
    classes_of,
    color,
    maps,
    marker,
    plain,
    png,
    range_of,
    shorten,
    show_tiles,
    tile_size,
)

__all__ = [
    "Range",
    "bound_curve",
    "extremes",
    "image_grid",
    "learning_curves",
    "log_likelihood_histogram",
    "manifold",
    "png",
    "ranking",
    "rate_bars",
    "reconstructions",
    "strips",
    "values_by_class",
]

TRAIN, VALIDATION = PALETTE[0], PALETTE[5]
ONE_ROW = 5
"""The most pictures that stand in one row, where a grid of them would have holes or be narrower than its title."""

MOST_MAPS = 12
"""How many strips of vectors are shown."""

MOST_TICKS = 24
"""The most places of a strip of pictures that are named below it."""

HATCHES = {"o": "", "^": "///"}
"""How the boxes of classes are filled that have one marker or the other."""

FEWEST_CUT, FAR = 20, 2.0
"""From how many values on a histogram may leave some out, and how much wider than the others' range all must be."""

CAPTION_SIZE, NAME_SIZE = 7, 6
"""Of the text below a tile, without and with a name: its size in points."""

LETTER_WIDTH, FEWEST_LETTERS, WIDENED = 0.62, 8, 1.4
"""Of a name below a tile: the width of a letter in parts of its size, the least letters for which there is room, and by
what a picture without that room is drawn larger."""

LEAST_BARS = 6
"""How many bars there must be to fill a picture's width; fewer are as wide as if there were so many."""


def image_grid(
    x: np.ndarray,
    title: str = "",
    columns: int | None = None,
    *,
    features: Sequence[str] = (),
    limits: Range | None = None,
    unit: bool = False,
) -> Figure:
    """Draw examples x [N, H, W, C] as a grid of pictures, or vectors [N, M] as the rows of a map.

    Args:
      x: values; the tones span [0, 1], or all of them where they go beyond it.
      title: written above.
      columns: pictures in a row; as square a grid as fits, if not given.
      features: what the M features of vectors are called.
      limits: what the tones of pictures span, if that is known.
      unit: whether values stand for ones in [0, 1], see `canvas.range_of`.

    Returns:
      A figure of tiles, with a scale of tones beside them where values leave [0, 1].
    """
    if x.ndim == 2:
        return maps([x], [""], title, features=features)
    columns = columns or math.ceil(math.sqrt(len(x)))
    axes, _ = show_tiles(x, math.ceil(len(x) / columns), columns, title, limits=limits, unit=unit)
    return _figure(axes)


def reconstructions(
    originals: np.ndarray,
    means: np.ndarray,
    what: str = "data",
    made: str = "E[x|z]",
    title: str = "Held-out examples and their reconstructions",
    features: Sequence[str] = (),
    unit: bool = False,
) -> Figure:
    """Draw originals above their reconstructions, two arrays [N, H, W, C]; or beside them, [N, M].

    What is lost between the rows is what z does not hold, or the decoder averages away: E[x|z] of an uncertain pixel is
    grey.

    Args:
      originals: as the model saw them.
      means: what it makes of them, such as E[x|z].
      what: what to call the originals.
      made: what to call what it makes of them.
      title: written above.
      features: what the M features of vectors are called.
      unit: whether values stand for ones in [0, 1], see `canvas.range_of`.
    """
    if originals.ndim == 2:
        return maps([originals, means], [what, made], title, features=features)
    axes, picture = show_tiles(np.concatenate([originals, means]), 2, len(originals), title, unit=unit)
    _name_rows(axes, picture, [what, made], originals.shape[1])
    return _figure(axes)


def strips(
    x: np.ndarray,
    names: Sequence[str],
    ticks: Sequence[str],
    title: str,
    across: str = "",
    features: Sequence[str] = (),
    unit: bool = False,
) -> Figure:
    """Draw rows of pictures x [R, T, H, W, C], each row a walk; or walks of vectors [R, T, M], each a map.

    Used for traversals (a dimension of z across, its quantiles as ticks) and interpolations (a pair of examples
    across).

    Args:
      x: the walks. Of vectors the first twelve are shown.
      names: what each of the R walks is.
      ticks: what each of their T places is.
      title: written above.
      across: what the places are of.
      features: what the M features of vectors are called.
      unit: whether values stand for ones in [0, 1], see `canvas.range_of`.
    """
    if x.ndim == 3:
        some = f" (the first {MOST_MAPS} of {len(x)})" * (len(x) > MOST_MAPS)
        return maps(list(x[:MOST_MAPS]), names[:MOST_MAPS], title + some, across, ticks, features)
    count, length = x.shape[:2]
    axes, picture = show_tiles(x.reshape(-1, *x.shape[2:]), count, length, title, unit=unit)
    _name_rows(axes, picture, names, x.shape[2])
    places = _centres(length, picture.shape[1], tile_size(x[0])[1])
    every = math.ceil(length / MOST_TICKS)
    axes.set_xticks(places[::every], ticks[::every], fontsize="small")
    axes.set_xlabel(across)
    return _figure(axes)


def _name_rows(axes: Any, picture: np.ndarray, names: Sequence[str], tile: int) -> None:
    """Name the rows of a picture beside the middle of their tiles, which are `tile` pixels high."""
    axes.set_yticks(_centres(len(names), picture.shape[0], tile), names)


def _centres(count: int, length: int, tile: int) -> np.ndarray:
    """Return where the middles of so many tiles are along a picture; behind each there is a gap."""
    return np.asarray(np.arange(count) * length / count + (tile - 1) / 2)


def _figure(axes: Any) -> Figure:
    figure: Figure = axes.figure
    return figure


def learning_curves(metrics: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the ELBO, the distortion and the rate of each epoch, on training and validation data; nats per example.

    Training terms are averages over an epoch while the weights move, validation those at its end: early in training the
    validation ELBO is often the higher for it. A validation ELBO that falls while the other rises is overfitting.

    Args:
      metrics: a record for each epoch, as `runs.Run.metrics` gives them.
    """
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


def manifold(
    images: np.ndarray, side: int, title: str = "E[x|z] over quantiles of the prior", *, unit: bool = False
) -> Figure:
    """Draw E[x|z] [side^2, H, W, C] over a grid of quantiles of the prior, see `grids.grid`.

    Args:
      images: row by row from the top, where z_2 is largest.
      side: how many stand along a side.
      title: written above.
      unit: whether values stand for ones in [0, 1], see `canvas.range_of`.
    """
    axes, picture = show_tiles(images, side, side, title, unit=unit, framed=False)
    ticks = (np.array([0.1, 0.5, 0.9]), ["10%", "50%", "90%"])
    axes.set_xticks(ticks[0] * picture.shape[1], ticks[1])
    axes.set_yticks((1 - ticks[0]) * picture.shape[0], ticks[1])
    axes.set_xlabel("$z_1$")
    axes.set_ylabel("$z_2$", rotation=0, va="center", labelpad=8)
    return _figure(axes)


def bound_curve(samples: Sequence[int], means: np.ndarray, errors: np.ndarray, elbo: float) -> Figure:
    """Draw the importance-weighted bound [J] against its number of samples, with its standard errors over examples.

    Where the curve still rises at its right end, the estimate is biased low by more than is left to see.

    Args:
      samples: K of each of the J points.
      means: nats per example.
      errors: over examples, which are the same for every K: the shape of the curve is surer than they suggest. Of a
        single example there are none, NaN, and none is drawn.
      elbo: drawn as a line.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(samples, means, color=PALETTE[0], marker="o", markersize=4, label="bound from K samples")
        if np.isfinite(errors).all():
            label = "± its standard error over examples"
            axes.fill_between(
                samples, means - errors, means + errors, color=PALETTE[0], alpha=0.2, linewidth=0, label=label
            )
        axes.axhline(elbo, color=PALETTE[5], linestyle="--", label="ELBO")
        axes.set(title="Bound on log p(x), tighter with more importance samples", ylabel="nats per example")
        _count_on_a_logarithmic_axis(axes, "importance samples K for each example")
        figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _count_on_a_logarithmic_axis(axes: Any, what: str) -> None:
    axes.set_xscale("log")
    axes.set_xlabel(what)
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def rate_bars(rates: np.ndarray, active: np.ndarray) -> Figure:
    """Draw the rate of each latent dimension [D], largest first; the active ones [D] in another colour.

    Args:
      rates: nats per example, such as `information.rate_per_dimension` gives.
      active: whether each dimension's means vary, see `evaluation.is_active`.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        order = np.argsort(-rates, kind="stable")
        colors = {True: (PALETTE[0], "active: its posterior means vary"), False: (PALETTE[9], "not active")}
        width = 0.8 * min(1.0, len(rates) / LEAST_BARS)
        for is_active, (bar_color, label) in colors.items():
            places = np.flatnonzero(active[order] == is_active)
            if len(places):
                axes.bar(places, rates[order][places], width, color=bar_color, label=f"{label} ({len(places)})")
        axes.set(title="Rate, KL(q(z|x) ‖ p(z)), by latent dimension", ylabel="nats per example")
        _name_dimensions(axes, order)
        figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure


def _name_dimensions(axes: Any, order: np.ndarray) -> None:
    """Name the latent dimensions below their bars: each of few, every some of many."""
    axes.grid(visible=False, axis="x")
    axes.set_xlabel("latent dimension, largest rate first")
    every = math.ceil(len(order) / MOST_TICKS)
    places = np.arange(0, len(order), every)
    axes.set_xticks(places, [f"$z_{{{d + 1}}}$" for d in order[places]], fontsize="small")
    middle, reach = (len(order) - 1) / 2, max(len(order), LEAST_BARS / 2) / 2 + 0.1
    axes.set_xlim(middle - reach, middle + reach)


def log_likelihood_histogram(values: np.ndarray, labels: np.ndarray | None, title: str) -> Figure:
    """Draw the distribution of log p(x) [N], and below it, where there are classes, that of each of them.

    Args:
      values: nats of each example.
      labels: [N]; without boxes if None, or of more than twenty classes.
      title: written above.
    """
    return values_by_class(values, labels, title, "log p(x), nats")


def values_by_class(values: np.ndarray, labels: np.ndarray | None, title: str, what: str) -> Figure:
    """Draw a histogram of values [N], and below it, where the labels [N] are classes, a box for each of them.

    Boxes span the quartiles, their whiskers the 5th to the 95th percentile. Where few values lie far from all others,
    the picture spans all but the outermost thousandths, and says how many lie beyond.

    Args:
      values: of any unit.
      labels: [N]; without boxes if None, or of more than twenty classes.
      title: written above.
      what: the values are, with their unit.
    """
    classes = classes_of(labels)
    names = [] if classes is None else list(classes)
    with mpl.rc_context(STYLE):
        height = 2.6 + 0.28 * len(names)
        figure = Figure(figsize=(6, height), layout="constrained")
        axes = figure.subplots(
            1 + bool(names), 1, sharex=True, squeeze=False, height_ratios=[2.2, *[height - 2.2] * bool(names)]
        )
        _histogram(axes[0, 0], values)
        axes[0, 0].set(title=plain(title), ylabel="examples")
        axes[0, 0].yaxis.set_major_locator(MaxNLocator(6, integer=True))
        if names:
            _boxes(axes[1, 0], [values[labels == name] for name in names], names)
        axes[-1, 0].set_xlabel(what + "\nboxes: quartiles and median; whiskers: 5% to 95%" * bool(names))
        axes[-1, 0].xaxis.set_major_locator(MaxNLocator(5))
        axes[-1, 0].xaxis.set_major_formatter(FuncFormatter(_tick))
    return figure


def _tick(value: float, place: int) -> str:
    """Return a number as an axis has it, its thousands parted."""
    del place
    return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


def _histogram(axes: Any, values: np.ndarray) -> None:
    """Draw a histogram of values [N] over what nearly all of them span, and write how many lie beyond."""
    low, high = _span(values)
    beyond = int(((values < low) | (values > high)).sum())
    axes.hist(values, bins=bins_for(len(values)), range=(low, high), color=PALETTE[0])
    if beyond:
        margin = 0.05 * (high - low) or 0.5
        axes.set_xlim(low - margin, high + margin)
        axes.set_ylim(top=1.18 * axes.get_ylim()[1])  # room for the line
        text = f"{beyond:,} beyond, from {_written(values.min())} to {_written(values.max())}"
        axes.text(0.01, 0.98, text, transform=axes.transAxes, ha="left", va="top", fontsize="small")


def _span(values: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest value, or, where these are far out, those of all but the outermost thousandths.

    At each end at least one value is left out then.
    """
    whole = float(values.min()), float(values.max())
    if len(values) < FEWEST_CUT:
        return whole
    outside = math.ceil(OUTERMOST * len(values))
    inner = np.sort(values)[[outside, -1 - outside]]
    far = whole[1] - whole[0] > FAR * (inner[1] - inner[0])
    return (float(inner[0]), float(inner[1])) if far else whole


def _boxes(axes: Any, groups: Sequence[np.ndarray], names: Sequence[Any]) -> None:
    parts = axes.boxplot(groups, orientation="horizontal", widths=0.6, patch_artist=True, sym=".", whis=(5, 95))
    for i, box in enumerate(parts["boxes"]):
        box.set(facecolor=color(i), alpha=0.7, hatch=HATCHES[marker(i)])
    styles: dict[str, Any] = {"medians": {"color": "black"}, "fliers": {"markersize": 2, "alpha": 0.4}}
    for kind, style in styles.items():
        for part in parts[kind]:
            part.set(**style)
    axes.set_yticks(range(1, len(names) + 1), [class_name(name) for name in names])
    axes.invert_yaxis()
    axes.set_ylabel("class")


def extremes(
    x: np.ndarray,
    values: np.ndarray,
    title: str = "Least and most likely examples; log p(x) in nats",
    count: int = 10,
    features: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Figure:
    """Draw the examples x [N, H, W, C], or [N, M], of least log p(x) [N] above those of most, each with its value.

    Args:
      x: as the model saw them.
      values: nats.
      title: written above.
      count: how many of each, at most half of all.
      features: what the M features of vectors are called.
      names: of the N examples, such as their rows or files; those of vectors stand beside them, of pictures below: see
        `ranking`.
    """
    order = np.argsort(values, kind="stable")
    count = min(count, max(1, len(x) // 2))
    chosen = np.concatenate([order[:count], order[-count:][::-1]])
    if x.ndim == 2:
        ends = {"least": chosen[:count], "most": chosen[count:]}
        heads = [f"{name}, {_written(values[rows[0]])} to {_written(values[rows[-1]])}" for name, rows in ends.items()]
        figure = maps([x[rows] for rows in ends.values()], heads, title, features=features)
        _name_examples(figure.axes, [[plain(names[row]) for row in rows] for rows in ends.values()] if names else [])
        return figure
    captions = list(map(_written, values[chosen])), [names[row] for row in chosen] if names else []
    axes, picture = _captioned(x[chosen], 2, count, title, *captions, limits=range_of(x))
    _name_rows(axes, picture, ["least", "most"], x.shape[1])
    return _figure(axes)


def _name_examples(panels: Sequence[Any], names: Sequence[Sequence[str]]) -> None:
    """Name the rows of each panel's map."""
    for axes, texts in zip(panels, names, strict=False):
        axes.set_yticks(range(len(texts)), texts, fontsize="small")


def ranking(
    x: np.ndarray, values: np.ndarray, title: str, features: Sequence[str] = (), names: Sequence[str] = ()
) -> Figure:
    """Draw examples x [N, H, W, C] as a grid in their order, each above its value [N]; or vectors [N, M] as a map.

    Args:
      x: in the order in which they stand, such as `results.most_anomalous` gives.
      values: nats.
      title: written above.
      features: what the M features of vectors are called.
      names: of the examples, such as their rows or files; vectors stand beside theirs. Those of pictures stand below
        the values, on two lines at most, long ones shortened, unless there is no room for eight letters.
    """
    texts = list(map(_written, values))
    if x.ndim == 2:
        texts = [f"{plain(name)}: {text}" for name, text in zip(names, texts, strict=True)] if names else texts
        return maps([x], [""], title, "log p(x)", texts if len(x) <= MOST_TICKS else None, features)
    columns = len(x) if len(x) <= ONE_ROW else math.ceil(math.sqrt(len(x)))
    rows = math.ceil(len(x) / columns)
    return _figure(_captioned(x, rows, columns, title, texts, names)[0])


def _written(value: float) -> str:
    """Return a number of nats, whole, with the minus sign that axes have."""
    return f"{np.round(value) + 0.0:,.0f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: -0 is 0


def _captioned(
    x: np.ndarray,
    rows: int,
    columns: int,
    title: str,
    values: Sequence[str],
    names: Sequence[str],
    limits: Range | None = None,
) -> tuple[Any, np.ndarray]:
    """Draw tiles with a value below each, and its name, if there are names and room; see `canvas.show_tiles`."""
    lines = min(2, math.ceil(max(map(len, names), default=0) / FEWEST_LETTERS))
    axes, picture = show_tiles(x, rows, columns, title, limits=limits, captions=1 + lines)
    letters = _room(axes, picture.shape[1] / columns) if names else 0
    if names and letters < FEWEST_LETTERS:
        return _captioned(x, rows, columns, title, values, [], limits)
    told = [_in_lines(name, letters, lines) for name in names]
    texts = [f"{value}\n{name}" for value, name in zip(values, told, strict=True)] if told else values
    height, middles = picture.shape[0] / rows, _centres(columns, picture.shape[1], tile_size(x)[1])
    for i, text in enumerate(texts):
        place = middles[i % columns], i // columns * height + x.shape[1] * 1.03
        axes.text(*place, text, ha="center", va="top", fontsize=NAME_SIZE if told else CAPTION_SIZE)
    return axes, picture


def _room(axes: Any, pixels: float) -> int:
    """Return how many letters of a name have room on so many pixels of a picture, drawn larger if they are too few."""
    letters = _letters(axes, pixels)
    if letters >= FEWEST_LETTERS:
        return letters
    axes.figure.set_size_inches(WIDENED * axes.figure.get_size_inches())
    return _letters(axes, pixels)


def _letters(axes: Any, pixels: float) -> int:
    """Return how many letters of a name have room on so many pixels of a picture, once it is laid out."""
    axes.figure.draw_without_rendering()
    ends = axes.transData.transform([(0, 0), (pixels, 0)])
    points = 72 * float(ends[1, 0] - ends[0, 0]) / float(axes.figure.dpi)
    return int(points / (NAME_SIZE * LETTER_WIDTH)) - 2


def _in_lines(name: str, letters: int, lines: int) -> str:
    """Return a name on so many lines at most of so many letters at most, shortened in the middle if it is longer.

    A file and its folder stand on lines of their own, the file with its end, which tells it from others.
    """
    if len(name) <= letters or lines < 2:
        return plain(shorten(name, letters))
    folder, slash, file = name.rpartition("/")
    if not slash:
        text = shorten(name, 2 * letters)
        return f"{plain(text[:letters])}\n{plain(text[letters:])}"
    end = file if len(file) <= letters else f"\N{HORIZONTAL ELLIPSIS}{file[1 - letters :]}"
    return f"{plain(shorten(folder + slash, letters))}\n{plain(end)}"
