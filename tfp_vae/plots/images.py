"""Examples as pictures: grids, reconstructions, walks through latent space, and the manifold.

Images [..., H, W, C] may have values in any range. Vectors are lines, or rows of a heat map if features have names.

```python
figure = tv.plots.image_grid(x, "Digits")  # a matplotlib Figure
content = tv.plots.png(figure)  # the bytes of a PNG file
```
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import Figure, Range, is_ink
from tfp_vae.plots.series import line_panels, share_lines, walk_panels
from tfp_vae.plots.tiles import Tiles, heat_maps

__all__ = ["MOST_MAPS", "image_grid", "manifold", "reconstructions", "strips"]

MOST_MAPS = 12
"""Largest number of walks of vectors in one figure."""

MOST_LINES = 160
"""Largest number of vectors that are lines. More of them are rows of a heat map."""

MOST_TICKS = 24
"""Largest number of named places along a walk."""


@check_keywords
def image_grid(
    x: np.ndarray,
    title: str = "",
    columns: int | None = None,
    *,
    features: Sequence[str] = (),
    limits: Range | None = None,
    unit: bool = False,
    ink: bool | None = None,
) -> Figure:
    """Return a figure with images x [N, H, W, C] as a grid, or with vectors [N, M] as lines or as rows of a heat map.

    Vectors are rows of a heat map if their features have names, or if there are more than 160 of them.

    Args:
      x: values. Tones span [0, 1], or all values if some lie outside it.
      title: text above the grid.
      columns: images in a row. [default: enough to make the grid square]
      features: the names of the M features of vectors.
      limits: the values at the two ends of the tones, if they are known.
      unit: whether values approximate data in [0, 1], see `canvas.range_of`.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the images decides.
    """
    if x.ndim == 2 and (features or len(x) > MOST_LINES):
        return heat_maps([x], [""], title, features=features)
    if x.ndim == 2:
        groups = share_lines(x)
        ends = np.cumsum([len(group) for group in groups])
        names = [f"{end - len(group)} to {end - 1}" for group, end in zip(groups, ends, strict=True)]
        return line_panels(groups, names if len(x) > len(groups) else list(map(str, range(len(x)))), title)
    columns = columns or math.ceil(math.sqrt(len(x)))
    return Tiles(x, math.ceil(len(x) / columns), columns, title, limits=limits, unit=unit, ink=ink).figure


@check_keywords
def reconstructions(
    originals: np.ndarray,
    means: np.ndarray,
    what: str = "data",
    made: str = "E[x|z]",
    title: str = "Held-out examples and their reconstructions",
    features: Sequence[str] = (),
    unit: bool = False,
    ink: bool | None = None,
) -> Figure:
    """Return a figure with images [N, H, W, C] above their reconstructions, or with vectors [N, M] and theirs.

    Vectors and their reconstructions are lines in one panel, or two heat maps if their features have names.

    Differences between the rows show details that z does not hold or that the decoder averages away. For example,
    E[x|z] of an uncertain pixel is grey.

    Args:
      originals: examples as the model saw them.
      means: the model's reconstructions, such as E[x|z].
      what: the name of the originals.
      made: the name of the reconstructions.
      title: text above the figure.
      features: the names of the M features of vectors.
      unit: whether values approximate data in [0, 1], see `canvas.range_of`.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the images decides.
    """
    if originals.ndim == 2 and (features or len(originals) > MOST_LINES):
        return heat_maps([originals, means], [what, made], title, features=features)
    if originals.ndim == 2:
        return line_panels(list(np.stack([originals, means], axis=1)), [], title, [what, made])
    tiles = Tiles(
        np.concatenate([originals, means]),
        2,
        len(originals),
        title,
        unit=unit,
        ink=is_ink(originals) if ink is None else ink,
    )
    tiles.name_rows([what, made])
    return tiles.figure


@check_keywords
def strips(
    x: np.ndarray,
    names: Sequence[str],
    ticks: Sequence[str],
    title: str,
    across: str = "",
    features: Sequence[str] = (),
    unit: bool = False,
    ink: bool | None = None,
) -> Figure:
    """Return a figure with walks x: rows of images [R, T, H, W, C], or panels of vectors [R, T, M].

    Vectors are lines whose colours show the places along a walk, or heat maps if their features have names.

    Examples are traversals, where each row changes one dimension of z, and interpolations between two examples.

    Args:
      x: R walks of T places. Only the first twelve walks of vectors are shown.
      names: the name of each walk.
      ticks: the name of each place along a walk.
      title: text above the figure.
      across: the label of the axis along a walk.
      features: the names of the M features of vectors.
      unit: whether values approximate data in [0, 1], see `canvas.range_of`.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the images decides.
    """
    if x.ndim == 3:
        some = f" (the first {MOST_MAPS} of {len(x)})" * (len(x) > MOST_MAPS)
        if features:
            return heat_maps(list(x[:MOST_MAPS]), names[:MOST_MAPS], title + some, across, ticks, features)
        return walk_panels(x[:MOST_MAPS], names, ticks, title + some, across)
    count, length = x.shape[:2]
    tiles = Tiles(x.reshape(-1, *x.shape[2:]), count, length, title, unit=unit, ink=ink)
    tiles.name_rows(names)
    every = math.ceil(length / MOST_TICKS)
    tiles.axes.set_xticks(tiles.column_middles[::every], ticks[::every], fontsize="small")
    tiles.axes.set_xlabel(across)
    return tiles.figure


@check_keywords
def manifold(
    images: np.ndarray,
    side: int,
    title: str = "E[x|z] over quantiles of the prior",
    *,
    unit: bool = False,
    ink: bool | None = None,
) -> Figure:
    """Return a figure with E[x|z] [side^2, H, W, C] over a grid of quantiles of the prior.

    Args:
      images: row by row. The top row has the largest z_2.
      side: images along a side.
      title: text above the figure.
      unit: whether values approximate data in [0, 1], see `canvas.range_of`.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the images decides.
    """
    tiles = Tiles(images, side, side, title, unit=unit, ink=ink, border=False)
    levels, names = np.array([0.1, 0.5, 0.9]), ["10%", "50%", "90%"]
    tiles.axes.set_xticks(levels * tiles.picture.shape[1], names)
    tiles.axes.set_yticks((1 - levels) * tiles.picture.shape[0], names)
    tiles.axes.set_xlabel("$z_1$")
    tiles.axes.set_ylabel("$z_2$", rotation=0, va="center", labelpad=8)
    return tiles.figure
