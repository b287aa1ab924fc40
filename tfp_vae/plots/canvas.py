"""The family that all pictures belong to: colours, type, how values become tones, how tiles are laid out; PNG bytes.

`plots`, `scatter`, `diagrams` and `animations` draw with what is here, so that all pictures look alike. Tones are a map
from values to [0, 1], `Range`; tiles are pictures side by side on white, `tile`; `maps` are vectors as rows. No figure
goes through pyplot, which keeps figures and is not safe with threads.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

__all__ = [
    "DESCRIPTION",
    "DPI",
    "PALETTE",
    "STYLE",
    "TITLE_SIZE",
    "UNIT_RANGE",
    "Figure",
    "Range",
    "bins_for",
    "class_name",
    "classes_of",
    "color",
    "colors_of",
    "maps",
    "marker",
    "plain",
    "png",
    "range_of",
    "shorten",
    "show_tiles",
    "tile",
    "tile_size",
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
TITLE_SIZE = 11
"""The size of every picture's title, in points."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": TITLE_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
DPI = 150
DESCRIPTION = "Description"
"""Under which key a PNG file says of what it was drawn."""

MOST_CLASSES = 20
MARKERS = ("o", "^")
"""Of the first ten classes and of the second, which have the same colours."""

MOST_LETTERS = 20
"""The most letters of a class's name that are written."""

GREY, HEAT = "gray_r", "viridis"
COLOURS = (1, 3)
"""Numbers of channels that make one picture; any other stand side by side."""

OUTERMOST = 0.001
"""The share of values at each end of a range that lie beyond it, so that a single one does not pale all others."""

TILE_INCHES, LARGEST_TILE, LEAST_INCHES, LARGEST_INCHES = 0.8, 1.4, 4.0, 8.0
"""How large a tile is, unless few of them would be narrower together than a title; and the largest picture."""

FRAME, LEAST_FRAMED = "#c4c8cc", 0.25
"""The colour of the line around a tile, which shows where a light one ends, and the least inches of a tile with one."""

FEATURE_INCHES, MOST_NAMED, WIDEST = 0.17, 40, 14.0
"""The inches of a column of a map whose name is to be read, the most columns that are named, and of all maps."""


class Range(NamedTuple):
    """The values that the two ends of a scale of tones stand for.

    Ends are the values at tones 0 and 1; in grey pictures 0 is white and 1 black, as ink on paper.
    """

    low: float
    high: float

    def tones(self, x: np.ndarray) -> np.ndarray:
        """Return x as tones: 0 at the low end, 1 at the high one, cut off beyond them."""
        width = self.high - self.low
        return np.asarray(np.clip((np.asarray(x, np.float32) - self.low) / (width or 1.0), 0, 1))

    def exceeded(self, x: np.ndarray) -> str:
        """Return beyond which ends x has values: `neither`, `min`, `max` or `both`."""
        return _EXCEEDED[bool(np.min(x) < self.low), bool(np.max(x) > self.high)]


_EXCEEDED = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}

UNIT_RANGE, NEAR_UNIT = Range(0.0, 1.0), Range(-1.0, 2.0)


def range_of(x: np.ndarray, *, unit: bool = False) -> Range:
    """Return [0, 1] if all values lie in it, else a range that holds all but the outermost thousandths of them.

    Args:
      x: of any shape; values that are not finite are left out.
      unit: whether they stand for values in [0, 1], as draws from a Normal may: then what is beyond is cut off, so that
        their tones are those of the data, unless they lie far from it.
    """
    finite = x[np.isfinite(x)]
    if not finite.size or (finite.min() >= 0 and finite.max() <= 1):
        return UNIT_RANGE
    low, high = np.quantile(finite, [OUTERMOST, 1 - OUTERMOST])
    if unit and NEAR_UNIT.low <= low and high <= NEAR_UNIT.high:
        return UNIT_RANGE
    return Range(float(low), float(high)) if low < high else Range(float(finite.min()), float(finite.max()))


def bins_for(count: int) -> int:
    """Return how many bins show the distribution of so many values: about twice the root of their number."""
    return int(np.clip(2 * math.sqrt(count), 8, 60))


def png(figure: Figure, about: str = "") -> bytes:
    """Return a figure as the bytes of a PNG file.

    At 150 dots an inch, with as narrow a margin as fits.

    Args:
      figure: to be drawn.
      about: of what it was drawn, which is kept in the file as its description; nothing is, if not given.
    """
    buffer = io.BytesIO()
    kept: Any = {"metadata": {DESCRIPTION: about}} if about else {}
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.08, facecolor="white", **kept)
    return buffer.getvalue()


def color(place: int) -> str:
    """Return the colour of the class at a place."""
    return PALETTE[place % len(PALETTE)]


def marker(place: int) -> str:
    """Return the marker of the class at a place."""
    return MARKERS[place // len(PALETTE) % len(MARKERS)]


def plain(text: object) -> str:
    """Return a text of the data so that matplotlib draws it as it is: what is between two dollars is no formula."""
    return str(text).replace("$", r"\$")


def shorten(text: str, most: int) -> str:
    """Return a text of at most so many letters, cut in the middle: names differ at their ends more often than not.

    ```python
    from tfp_vae.plots.canvas import shorten

    shorten("portraits/img_0042.png", 15)  # "portrai…042.png"
    ```
    """
    if len(text) <= most:
        return text
    last = (most - 1) // 2
    return f"{text[: most - 1 - last]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - last :]}"


def class_name(label: object) -> str:
    """Return the name of a class as it is drawn: plain, and shortened where it is long."""
    return plain(shorten(str(label), MOST_LETTERS))


def colors_of(labels: np.ndarray | None, count: int) -> list[str]:
    """Return the colours of `count` examples: by class, if the labels [N] are classes."""
    classes = classes_of(labels)
    if classes is None or labels is None:
        return [color(0)] * count
    return [color(int(place)) for place in np.searchsorted(classes, labels)]


def classes_of(labels: np.ndarray | None) -> np.ndarray | None:
    """Return the classes in the labels [N], or None if there are no labels, too many, or some are not finite.

    Args:
      labels: numbers or texts.

    Returns:
      Up to twenty, in order.
    """
    if labels is None or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        return None
    classes = np.unique(labels)
    return classes if len(classes) <= MOST_CLASSES else None


def tile(x: np.ndarray, rows: int, columns: int, limits: Range = UNIT_RANGE, *, captions: int = 0) -> np.ndarray:
    """Return pictures x [N, H, W, C] as tones side by side on white, with a gap that grows with their size.

    Three channels are colours, [H', W', 3]; any other number stand side by side in grey, [H', W'].

    Args:
      x: at most rows times columns of them.
      rows: of tiles.
      columns: of tiles.
      limits: the values of the two ends of the tones.
      captions: for how many lines of text there is room below each.
    """
    tones = limits.tones(_channels_beside(x))
    gap = max(1, x.shape[1] // 14)
    white = float(tones.shape[-1] == 3)
    padded = np.full((rows * columns, *tones.shape[1:]), white, np.float32)
    padded[: len(x)] = tones
    below = gap + captions * math.ceil(x.shape[1] / 4)
    padded = np.pad(padded, [(0, 0), (0, below), (0, gap), (0, 0)], constant_values=white)
    height, width, channels = padded.shape[1:]
    grid = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    picture = grid.reshape(rows * height, columns * width, channels)
    return picture[..., 0] if channels == 1 else picture


def _channels_beside(x: np.ndarray) -> np.ndarray:
    """Return pictures [N, H, W, C] of a number of channels that has no colours as grey ones, [N, H, C W, 1]."""
    if x.shape[-1] in COLOURS:
        return x
    return np.concatenate([x[..., [channel]] for channel in range(x.shape[-1])], axis=2)


def show_tiles(
    x: np.ndarray,
    rows: int,
    columns: int,
    title: str,
    *,
    limits: Range | None = None,
    unit: bool = False,
    captions: int = 0,
    framed: bool = True,
) -> tuple[Any, np.ndarray]:
    """Draw pictures x [N, H, W, C] as tiles in reading order, and return the axes and what is shown in them.

    A scale beside them says which values the tones stand for, unless they are those of [0, 1]. Tiles that are `framed`
    have a thin line around them, unless they are tiny.

    Args:
      x: values; of three channels colours, else grey.
      rows: of tiles.
      columns: of tiles.
      title: written above.
      limits: the values of the two ends of the tones; those of `range_of`, if not given.
      unit: whether values stand for ones in [0, 1], see `range_of`.
      captions: for how many lines of text there is room below each tile.
      framed: whether tiles have a line around them.
    """
    limits = limits or range_of(x, unit=unit)
    picture = tile(x, rows, columns, limits, captions=captions)
    axes = _bare_axes(picture.shape[1] / picture.shape[0] * rows / columns, rows, columns)
    axes.imshow(picture, cmap=GREY if picture.ndim == 2 else None, vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(plain(title), fontsize=TITLE_SIZE)
    if framed:
        _frame(axes, len(x), columns, (picture.shape[0] / rows, picture.shape[1] / columns), tile_size(x))
    if limits != UNIT_RANGE and picture.ndim == 2:
        scale = ScalarMappable(Normalize(*limits), GREY)
        axes.figure.colorbar(scale, ax=axes, shrink=0.8, pad=0.02, extend=limits.exceeded(x))
    return axes, picture


def tile_size(x: np.ndarray) -> tuple[int, int]:
    """Return the height and the width of a tile of pictures x [N, H, W, C]."""
    return x.shape[1], x.shape[2] * (1 if x.shape[3] in COLOURS else x.shape[3])


def _frame(axes: Any, count: int, columns: int, pitch: tuple[float, float], size: tuple[int, int]) -> None:
    """Draw a thin line around each of so many tiles of a size, in pixels, a `pitch` apart."""
    if axes.figure.get_figwidth() / columns < LEAST_FRAMED:
        return
    corners = [(i % columns * pitch[1] - 0.5, i // columns * pitch[0] - 0.5) for i in range(count)]
    tiles = [Rectangle(corner, size[1], size[0]) for corner in corners]
    axes.add_collection(
        PatchCollection(tiles, facecolor="none", edgecolor=FRAME, linewidth=0.6, clip_on=False), autolim=False
    )


def _bare_axes(aspect: float, rows: int, columns: int) -> Any:
    """Return axes without lines or ticks for rows and columns of tiles that are `aspect` times as wide as high."""
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        wide = float(np.clip(LEAST_INCHES / (columns * aspect), TILE_INCHES, LARGEST_TILE))
        scale = min(wide, LARGEST_INCHES / max(columns * aspect, rows))
        size = max(2.0, columns * aspect * scale), max(1.2, rows * scale)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.set_xticks([])
        axes.set_yticks([])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return axes


def maps(
    parts: Sequence[np.ndarray],
    names: Sequence[str],
    title: str,
    rows: str = "example",
    ticks: Sequence[str] | None = None,
    features: Sequence[str] = (),
) -> Figure:
    """Draw vectors, parts of [N, M], as the rows of heat maps beside each other, on one scale.

    Args:
      parts: the vectors of each map.
      names: what each map shows.
      title: written above them all.
      rows: what a row is.
      ticks: what to call each row; its number, if not given.
      features: what to call each column, of up to forty beside or above each other; their numbers, if not given.

    Returns:
      A figure with one scale of colours for all maps.
    """
    limits = range_of(np.concatenate(parts))
    columns = [plain(name) for name in features] if len(features) <= MOST_NAMED else []
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        panels = _panels(len(parts), len(columns), sharey=ticks is not None)
        for i, (axes, part, name) in enumerate(zip(panels.flat, parts, names, strict=False)):
            image = _map(axes, part, name, limits)
            if ticks is not None:
                axes.set_yticks(range(len(ticks)), ticks, fontsize="small")
            if columns:
                axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize="small")
            axes.tick_params(labelbottom=i + panels.shape[1] >= len(parts))  # where nothing is below
        figure: Figure = panels[0, 0].figure
        figure.suptitle(plain(title), fontsize=TITLE_SIZE)
        figure.supxlabel("feature", fontsize="medium")
        figure.supylabel(rows, fontsize="medium")
        figure.colorbar(image, ax=panels, extend="neither" if limits == UNIT_RANGE else "both")
    return figure


def _panels(count: int, columns: int, *, sharey: bool) -> np.ndarray:
    """Return axes [down, across] for so many maps with so many named columns; those that are left over are hidden."""
    down = math.ceil(count / _across(columns))
    across = math.ceil(count / down)
    width = max(2.6, FEATURE_INCHES * columns) * across + bool(columns)
    height = max(2.4 * down + 0.8, 5.0 if down == 1 else 0.0) + 1.2 * bool(columns)
    figure = Figure(figsize=(max(7.0, width), height), layout="constrained")
    panels: np.ndarray = figure.subplots(down, across, squeeze=False, sharex=True, sharey=sharey)
    for axes in panels.flat[count:]:
        axes.set_visible(False)
    return panels


def _map(axes: Any, x: np.ndarray, name: str, limits: Range) -> Any:
    """Draw vectors x [N, M] as the rows of a map, their places numbered, and return its image."""
    axes.set_title(name, fontsize="medium")
    image = axes.imshow(x, aspect="auto", cmap=HEAT, interpolation="nearest", vmin=limits.low, vmax=limits.high)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    return image


def _across(columns: int) -> int:
    """Return how many maps stand beside each other that have so many columns with names."""
    return int(np.clip(WIDEST // (FEATURE_INCHES * max(columns, 1)), 2, 4))
