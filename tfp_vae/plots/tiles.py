"""Examples in one figure: images as tiles on white, or vectors as the rows of heat maps.

Other modules add captions, ticks and labels to these layouts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tfp_vae.plots.canvas import (
    MOST_LETTERS,
    TITLE_SIZE,
    UNIT_RANGE,
    Figure,
    Range,
    escape_math,
    is_ink,
    range_of,
    shorten,
    style,
)

__all__ = ["Tiles", "code_map", "heat_maps", "tile"]

INK, LIGHT, HEAT = "gray_r", "gray", "viridis"
"""Colours of grey images that are ink, of other grey images, and of heat maps."""

COLOUR_CHANNELS = (1, 3)
"""Numbers of channels that form one image. Otherwise the channels are shown next to each other."""

TILE_INCHES, LARGEST_TILE = 0.8, 1.4
"""Usual and largest width of a tile. Tiles grow if a few of them would be narrower than the title."""

LEAST_INCHES, LARGEST_INCHES = 4.0, 8.0
"""Width that a row of tiles should reach, and the largest side of a picture."""

BORDER, LEAST_WITH_BORDER = "#c4c8cc", 0.25
"""Colour of the border of a tile, and the smallest width of a tile that has one, in inches."""

FEATURE_INCHES, MOST_NAMED, WIDEST = 0.17, 40, 14.0
"""Width of a named column, the largest number of named columns, and the largest width of all maps, in inches."""

TICKS_PER_INCH = 1.5
"""Numbers below a map, which have room for three digits and a space."""

MOST_ROWS = 24
"""Largest number of named rows in a map of full height."""


def tile(
    x: np.ndarray, rows: int, columns: int, limits: Range = UNIT_RANGE, *, captions: int = 0, ink: bool = True
) -> np.ndarray:
    """Return images x [N, H, W, C] as the tones of one picture, with white gaps that grow with the size of an image.

    With three channels the picture is [H', W', 3]. Otherwise it is grey, [H', W'], with channels next to each other.

    Args:
      x: at most rows x columns images.
      rows: rows of tiles.
      columns: columns of tiles.
      limits: the values at the two ends of the tones.
      captions: lines of text that fit below each tile.
      ink: whether the tone 0 of grey images is white. Otherwise 1 is.
    """
    if x.shape[-1] not in COLOUR_CHANNELS:
        x = np.concatenate([x[..., [channel]] for channel in range(x.shape[-1])], axis=2)
    gap = max(1, x.shape[1] // 14)
    white = float(x.shape[-1] == 3 or not ink)
    filled = np.full((rows * columns, *x.shape[1:]), white, np.float32)
    filled[: len(x)] = limits.tones(x)
    below = gap + captions * math.ceil(x.shape[1] / 4)
    filled = np.pad(filled, [(0, 0), (0, below), (0, gap), (0, 0)], constant_values=white)
    height, width, channels = filled.shape[1:]
    grid = filled.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    picture = grid.reshape(rows * height, columns * width, channels)
    return picture[..., 0] if channels == 1 else picture


@final
class Tiles:
    """Images x [N, H, W, C] as tiles in reading order, on axes without lines or ticks.

    A colour bar shows the values of the tones if they are grey and do not span [0, 1].

    figure, axes: the matplotlib objects.
    ink: whether grey images are drawn dark on white.
    picture: the tones of all tiles, see `tile`.
    height, width: the size of one tile in pixels of the picture.
    pitch: the distance from one tile to the next, down and across, in pixels.

    Args:
      x: values. Three channels are colours.
      rows: rows of tiles.
      columns: columns of tiles.
      title: text above the tiles.
      limits: the values at the two ends of the tones. [default: `range_of` x]
      unit: whether values approximate data in [0, 1], see `range_of`.
      ink: whether grey images are drawn dark on white, see `canvas.is_ink`. [default: `is_ink` of x]
      captions: lines of text that fit below each tile.
      border: whether tiles have a thin border, which shows where pale images end. Tiny tiles have none.
    """

    def __init__(
        self,
        x: np.ndarray,
        rows: int,
        columns: int,
        title: str,
        *,
        limits: Range | None = None,
        unit: bool = False,
        ink: bool | None = None,
        captions: int = 0,
        border: bool = True,
    ) -> None:
        limits = limits or range_of(x, unit=unit)
        self.ink = is_ink(x) if ink is None else ink
        self.picture = tile(x, rows, columns, limits, captions=captions, ink=self.ink)
        self.rows, self.columns = rows, columns
        self.height, self.width = x.shape[1], x.shape[2] * (1 if x.shape[3] in COLOUR_CHANNELS else x.shape[3])
        self.pitch = self.picture.shape[0] / rows, self.picture.shape[1] / columns
        aspect = self.pitch[1] / self.pitch[0]
        widest = float(np.clip(LEAST_INCHES / (columns * aspect), TILE_INCHES, LARGEST_TILE))
        scale = min(widest, LARGEST_INCHES / max(columns * aspect, rows))
        with style(grid=False):
            size = max(2.0, columns * aspect * scale), max(1.2, rows * scale)
            self.figure = Figure(figsize=size, layout="constrained")
            self.axes = self.figure.subplots()
        self.axes.set(xticks=[], yticks=[])
        self.axes.tick_params(length=0)
        self.axes.spines[:].set_visible(False)
        grey, colours = self.picture.ndim == 2, INK if self.ink else LIGHT
        self.axes.imshow(self.picture, cmap=colours if grey else None, vmin=0, vmax=1, interpolation="nearest")
        self.axes.set_title(escape_math(title), fontsize=TITLE_SIZE)
        if border:
            self.draw_borders(len(x))
        if grey and limits != UNIT_RANGE:
            scale_of_tones = ScalarMappable(Normalize(*limits), colours)
            self.figure.colorbar(scale_of_tones, ax=self.axes, shrink=0.8, pad=0.02, extend=limits.extend(x))

    def draw_borders(self, count: int) -> None:
        """Draw a thin border around each of the first `count` tiles, unless tiles are tiny."""
        if self.figure.get_figwidth() / self.columns < LEAST_WITH_BORDER:
            return
        down, across = self.pitch
        corners = [(i % self.columns * across - 0.5, i // self.columns * down - 0.5) for i in range(count)]
        tiles = [Rectangle(corner, self.width, self.height) for corner in corners]
        borders = PatchCollection(tiles, facecolor="none", edgecolor=BORDER, linewidth=0.6, clip_on=False)
        self.axes.add_collection(borders, autolim=False)

    @property
    def row_middles(self) -> np.ndarray:
        """Where the middles of the rows are, in pixels. The gap below a tile does not count."""
        return np.asarray(np.arange(self.rows) * self.pitch[0] + (self.height - 1) / 2)

    @property
    def column_middles(self) -> np.ndarray:
        """Where the middles of the columns are, in pixels. The gap to the right of a tile does not count."""
        return np.asarray(np.arange(self.columns) * self.pitch[1] + (self.width - 1) / 2)

    def name_rows(self, names: Sequence[str]) -> None:
        """Write the name of each row to its left."""
        self.axes.set_yticks(self.row_middles, names)


def heat_maps(
    parts: Sequence[np.ndarray],
    names: Sequence[str],
    title: str,
    rows: str = "example",
    ticks: Sequence[str] | None = None,
    features: Sequence[str] = (),
) -> Figure:
    """Return a figure with vectors, each part [N, M], as the rows of heat maps that share one scale of colours.

    Args:
      parts: the vectors of each map.
      names: the title of each map.
      title: text above all maps.
      rows: what a row is.
      ticks: the names of the rows. [default: their numbers]
      features: the names of the columns, shown for at most forty. [default: their numbers]
    """
    limits = range_of(np.concatenate(parts))
    columns = [escape_math(shorten(name, MOST_LETTERS)) for name in features] if len(features) <= MOST_NAMED else []
    count = len(parts)
    down = math.ceil(count / int(np.clip(WIDEST // (FEATURE_INCHES * max(len(columns), 1)), 2, 4)))
    across = math.ceil(count / down)
    width = max(2.6, FEATURE_INCHES * len(columns)) * across + bool(columns)
    height = max(2.4 * down + 0.8, 5.0 if down == 1 else 0.0) + 1.2 * bool(columns)
    with style(grid=False):
        figure = Figure(figsize=(max(7.0, width), height), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=ticks is not None)
        for i, axes in enumerate(panels.flat):
            axes.set_visible(i < count)
            if i >= count:
                continue
            axes.set_title(names[i], fontsize="medium")
            image = axes.imshow(
                parts[i], aspect="auto", cmap=HEAT, interpolation="nearest", vmin=limits.low, vmax=limits.high
            )
            numbers = int(np.clip(TICKS_PER_INCH * figure.get_figwidth() / across, 2, 9))
            axes.xaxis.set_major_locator(MaxNLocator(numbers, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            if ticks is not None:
                every = math.ceil(len(ticks) / (MOST_ROWS if down == 1 else MOST_ROWS // 2))  # so that none collide
                axes.set_yticks(range(0, len(ticks), every), ticks[::every], fontsize="small")
            if columns:
                axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize="small")
            axes.tick_params(labelbottom=i + across >= count)  # only if no map is below
        figure.suptitle(escape_math(title), fontsize=TITLE_SIZE)
        figure.supxlabel("feature", fontsize="medium")
        figure.supylabel(rows, fontsize="medium")
        extend = "neither" if limits == UNIT_RANGE else "both"
        figure.colorbar(image, ax=panels, extend=extend, aspect=max(20, 12 * down), extendfrac=0.03)
    return figure


def code_map(frequencies: np.ndarray, names: Sequence[str], title: str) -> Figure:
    """Return a figure with the frequency of each code [D, K] as a heat map, whose brightest cell is the most frequent.

    Args:
      frequencies: from 0 to 1.
      names: the name of each row.
      title: text above the map.
    """
    with style(grid=False):
        figure = Figure(figsize=(6.4, float(np.clip(1.6 + 0.22 * len(names), 2.4, 9))), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(frequencies, aspect="auto", cmap=HEAT, interpolation="nearest", vmin=0)
        every = math.ceil(len(names) / MOST_ROWS)
        axes.set_yticks(range(0, len(names), every), names[::every], fontsize="small")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="code", ylabel="dimension: perplexity")
        axes.set_title(title, fontsize=TITLE_SIZE)
        figure.colorbar(image, ax=axes, label="frequency")
    return figure
