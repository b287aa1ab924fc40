"""Examples with their log p(x): the least and the most likely ones, and examples in order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import Figure, Range, escape_math, is_ink, number_text, range_of, shorten
from tfp_vae.plots.fonts import readable
from tfp_vae.plots.series import line_panels
from tfp_vae.plots.tiles import Tiles, heat_maps

__all__ = ["caption_tiles", "extremes", "ranking", "wrap_name"]

ENDS = "least", "most"
"""The names of both ends of a ranking by log p(x)."""

ONE_ROW = 5
"""Largest number of images in a single row. A grid of so few would have holes or be narrower than its title."""

MOST_LINES = 25
"""Largest number of vectors with a panel each."""

MOST_ROW_NAMES = 24
"""Largest number of vectors with named rows."""

CAPTION_SIZE, NAME_SIZE = 7, 6
"""Size of the text below a tile, without and with a name, in points."""

LETTER_WIDTH, FEWEST_LETTERS = 0.62, 8
"""Width of a letter of a name relative to its size, and the fewest letters for which names are shown."""

ENLARGEMENT = 1.4
"""Factor by which a figure grows if its tiles have no room for names."""


@check_keywords
def extremes(
    x: np.ndarray,
    values: np.ndarray,
    title: str = "Least and most likely examples; log p(x) in nats",
    count: int = 10,
    features: Sequence[str] = (),
    names: Sequence[str] = (),
    unit: bool = False,
    ink: bool | None = None,
) -> Figure:
    """Return a figure with the examples x of the lowest log p(x) [N] above those of the highest, each with its value.

    Args:
      x: images [N, H, W, C] or vectors [N, M], as the model saw them.
      values: log p(x) of each example, in nats.
      title: text above the figure.
      count: examples in each row, at most half of all.
      features: the names of the M features of vectors.
      names: the names of the N examples, such as their rows or files, see `ranking`.
      unit: whether values approximate data in [0, 1], see `canvas.range_of`.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the images decides.
    """
    order = np.argsort(values, kind="stable")
    count = min(count, max(1, len(x) // 2))
    least, most = order[:count], order[-count:][::-1]
    if x.ndim == 2:
        return extreme_vectors(x, values, (least, most), title, features, names)
    rows = np.concatenate([least, most])
    named = [names[row] for row in rows] if names else []
    ink = is_ink(x) if ink is None else ink
    tiles = caption_tiles(x[rows], 2, count, title, values[rows], named, range_of(x, unit=unit), ink=ink)
    tiles.name_rows(ENDS)
    return tiles.figure


def extreme_vectors(
    x: np.ndarray,
    values: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    title: str,
    features: Sequence[str],
    names: Sequence[str],
) -> Figure:
    """Return the figure of `extremes` for vectors: two heat maps if features have names, else a panel for each vector.

    Args:
      x, values, title, features, names: see `extremes`.
      ends: the indices of the least and of the most likely vectors.
    """
    if features:
        heads = [
            f"{end}, {number_text(values[rows[0]])} to {number_text(values[rows[-1]])}"
            for end, rows in zip(ENDS, ends, strict=True)
        ]
        figure = heat_maps([x[rows] for rows in ends], heads, title, features=features)
        for axes, rows in zip(figure.axes if names else [], ends, strict=False):
            axes.set_yticks(range(len(rows)), [escape_math(names[row]) for row in rows], fontsize="small")
        return figure
    heads = [
        f"{end}\n{f'{escape_math(names[row])}: ' if names else ''}{number_text(values[row])} nats"
        for end, rows in zip(ENDS, ends, strict=True)
        for row in rows
    ]
    return line_panels(list(x[np.concatenate(ends)][:, np.newaxis]), heads, title, across=min(len(ends[0]), ONE_ROW))


@check_keywords
def ranking(
    x: np.ndarray,
    values: np.ndarray,
    title: str,
    features: Sequence[str] = (),
    names: Sequence[str] = (),
    ink: bool | None = None,
) -> Figure:
    """Return a figure with examples x in the given order, each with its value [N].

    Args:
      x: images [N, H, W, C], shown as a grid, or vectors [N, M]. Up to 25 vectors without named features are lines,
        and all others are a heat map.
      values: a value of each example, in nats.
      title: text above the figure.
      features: the names of the M features of vectors.
      names: the names of the examples, such as their rows or files. They are written next to vectors and below images.
        Below images, they are shortened to two lines, and left out if there is no room for eight letters.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the images decides.
    """
    if x.ndim == 2:
        texts = [number_text(value) for value in values]
        if names:
            texts = [f"{escape_math(name)}: {text}" for name, text in zip(names, texts, strict=True)]
        if not features and len(x) <= MOST_LINES:
            return line_panels(list(x[:, np.newaxis]), texts, title)
        return heat_maps([x], [""], title, "log p(x)", texts if len(x) <= MOST_ROW_NAMES else None, features)
    columns = len(x) if len(x) <= ONE_ROW else math.ceil(math.sqrt(len(x)))
    return caption_tiles(x, math.ceil(len(x) / columns), columns, title, values, names, ink=ink).figure


def caption_tiles(
    x: np.ndarray,
    rows: int,
    columns: int,
    title: str,
    values: np.ndarray,
    names: Sequence[str] = (),
    limits: Range | None = None,
    *,
    ink: bool | None = None,
) -> Tiles:
    """Return tiles with a value below each, and a name below the value if there are names and room for them.

    Args:
      x: images [N, H, W, C].
      rows: rows of tiles.
      columns: columns of tiles.
      title: text above the tiles.
      values: a value of each image, in nats.
      names: a name of each image. If tiles have no room for eight letters, the figure grows once.
      limits: the values at the two ends of the tones, see `canvas.range_of`.
      ink: whether grey images are drawn dark on white, see `tiles.Tiles`.
    """
    lines = min(2, math.ceil(max(map(len, names), default=0) / FEWEST_LETTERS))
    tiles = Tiles(x, rows, columns, title, limits=limits, ink=ink, captions=1 + lines)

    def letters_per_tile() -> int:
        tiles.figure.draw_without_rendering()
        ends = tiles.axes.transData.transform([(0, 0), (tiles.pitch[1], 0)])
        points = 72 * float(ends[1, 0] - ends[0, 0]) / float(tiles.figure.dpi)
        return int(points / (NAME_SIZE * LETTER_WIDTH)) - 2

    letters = letters_per_tile() if names else 0
    if names and letters < FEWEST_LETTERS:
        tiles.figure.set_size_inches(*(ENLARGEMENT * tiles.figure.get_size_inches()))
        letters = letters_per_tile()
    if names and letters < FEWEST_LETTERS:
        return caption_tiles(x, rows, columns, title, values, (), limits, ink=ink)
    texts = [number_text(value) for value in values]
    if names:
        texts = [f"{text}\n{wrap_name(name, letters, lines)}" for text, name in zip(texts, names, strict=True)]
    for i, text in enumerate(texts):
        place = tiles.column_middles[i % columns], i // columns * tiles.pitch[0] + tiles.height * 1.03
        tiles.axes.text(*place, text, ha="center", va="top", fontsize=NAME_SIZE if names else CAPTION_SIZE)
    return tiles


def wrap_name(name: str, letters: int, lines: int) -> str:
    r"""Return a name on at most `lines` lines of at most `letters` letters, shortened in the middle if necessary.

    A folder and its file get a line each. The file keeps its end, because files often differ there.

    ```python
    from tfp_vae.plots.rankings import wrap_name

    wrap_name("red/a-photograph-of-1999.png", 10, 2)  # "red/\n…-1999.png"
    ```
    """
    name = readable(name)
    if len(name) <= letters or lines < 2:
        return escape_math(shorten(name, letters))
    folder, slash, file = name.rpartition("/")
    if not slash:
        text = shorten(name, 2 * letters)
        return f"{escape_math(text[:letters])}\n{escape_math(text[letters:])}"
    end = file if len(file) <= letters else f"\N{HORIZONTAL ELLIPSIS}{file[1 - letters :]}"
    return f"{escape_math(shorten(folder + slash, letters))}\n{escape_math(end)}"
