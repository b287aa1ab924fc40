"""Animations of a training, one frame an epoch: arrays -> the bytes of GIF files.

Frames are drawn with one layout, one view and one set of colours, so that only what is told moves.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tfp_vae.plots.canvas import DESCRIPTION, STYLE, classes_of, color, marker, plain, range_of, show_tiles, tile
from tfp_vae.plots.scatter import draw_clusters, legend_of_classes, scatter_axes

__all__ = ["description", "grid_animation", "last_frame", "latent_animation"]

LATENT_DPI, GRID_DPI = 80, 60
FIRST, BETWEEN, LAST = 700, 120, 3_000
"""How long frames are shown, in milliseconds."""

NEARLY_WHITE = 247
"""Tones above this one are made white: a small set of colours would else give white a tinge."""

EDGE = 0.002
"""The share of points, at each edge, for which the view makes no room."""


def latent_animation(
    epochs: Sequence[int],
    points: np.ndarray,
    labels: np.ndarray | None,
    names: Sequence[str] = ("$z_1$", "$z_2$"),
    title: str = "Posterior means of held-out data",
    total: int | None = None,
) -> bytes:
    """Draw points [F, N, 2] as they move from frame to frame, by colour of class.

    In the last, classes are named, unless their names would cover more than two fifths of the axes.

    Args:
      epochs: the epoch after which each of the F frames was taken.
      points: where examples lie in each.
      labels: [N], or None.
      names: of the two axes.
      title: written above; the epoch follows it.
      total: how many epochs were trained, of which not all may have been filmed; as many as the last, if not given.

    Returns:
      A GIF that repeats, with a longer first and last frame, of 480 by 480 pixels.
    """
    with mpl.rc_context(STYLE):
        figure, axes = scatter_axes(names, "")
        _set_view(axes, points)
        legend_of_classes(figure, labels)
        titles = _titles(title, epochs, total)
        return _gif(_latent_frames(figure, axes, titles, points, labels))


def _titles(title: str, epochs: Sequence[int], total: int | None) -> list[str]:
    """Return what is written above each frame: of which epoch it is, and of how many, once one was finished."""
    total = epochs[-1] if total is None else total
    of_all = f" of {total:,}" if total else ""
    return [f"{title}\nepoch {epoch:,}{of_all}" for epoch in epochs]


def _latent_frames(
    figure: Figure, axes: Any, titles: Sequence[str], points: np.ndarray, labels: Any
) -> Iterator[Image.Image]:
    canvas: Any = FigureCanvasAgg(figure)
    dots = _dots(axes, points[0], labels)
    for i, title in enumerate(titles):
        figure.suptitle(title, fontsize="medium")
        for rows, drawn in dots:
            drawn.set_offsets(points[i][rows])
        if i == len(titles) - 1:
            for _, drawn in dots:
                drawn.remove()
            axes.set_autoscale_on(False)
            draw_clusters(axes, points[i], labels)
        yield _rendered(figure, canvas, LATENT_DPI, settle=i == 0)


def _dots(axes: Any, points: np.ndarray, labels: np.ndarray | None) -> list[tuple[np.ndarray, Any]]:
    """Draw points [N, 2] by class, and return which rows each of the drawn belongs to.

    One collection for each marker, not for each class, which would cover the one before.
    """
    classes = classes_of(labels)
    places = np.zeros(len(points), int) if classes is None else np.searchsorted(classes, np.asarray(labels))
    markers = np.array([marker(int(place)) for place in places])
    parted = {kind: np.flatnonzero(markers == kind) for kind in dict.fromkeys(markers.tolist())}
    styles: dict[str, Any] = {"s": 8, "alpha": 0.65, "linewidths": 0}
    return [
        (rows, axes.scatter(*points[rows].T, c=[color(place) for place in places[rows]], marker=kind, **styles))
        for kind, rows in parted.items()
    ]


def _set_view(axes: Any, points: np.ndarray) -> None:
    """Let the axes span a square that holds nearly all points of all frames."""
    low, high = np.quantile(points.reshape(-1, 2), [EDGE, 1 - EDGE], axis=0)
    middle, reach = (low + high) / 2, max(0.56 * float((high - low).max()), 1e-3)
    axes.set_aspect("equal", adjustable="box")
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))


def grid_animation(
    epochs: Sequence[int], decoded: np.ndarray, side: int, title: str, total: int | None = None, *, unit: bool = False
) -> bytes:
    """Draw pictures [F, side^2, H, W, C], such as E[x|z] over a grid of z, as they change from frame to frame.

    Args:
      epochs: the epoch after which each of the F frames was taken.
      decoded: what is shown, on one scale of tones.
      side: pictures in a row.
      title: written above; the epoch follows it.
      total: how many epochs were trained; as many as the last, if not given.
      unit: whether values stand for ones in [0, 1], see `canvas.range_of`.

    Returns:
      A GIF that repeats, with a longer first and last frame.
    """
    limits = range_of(decoded, unit=unit)
    axes, _ = show_tiles(decoded[0], side, side, title, limits=limits, framed=False)
    figure, image = axes.figure, axes.images[0]
    canvas = FigureCanvasAgg(figure)

    def frames() -> Iterator[Image.Image]:
        for i, told in enumerate(_titles(plain(title), epochs, total)):
            axes.set_title(told, fontsize="medium", wrap=True)
            image.set_data(tile(decoded[i], side, side, limits))
            yield _rendered(figure, canvas, GRID_DPI, settle=i == 0)

    return _gif(frames())


def _rendered(figure: Figure, canvas: Any, dpi: int, *, settle: bool) -> Image.Image:
    """Return a figure's pixels; the layout is found once, to `settle`, so that nothing shakes.

    With the layout found anew in each frame the axes would move by pixels as titles change.
    """
    if settle:
        figure.set_dpi(dpi)
        canvas.draw()
        figure.set_layout_engine("none")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _gif(frames: Iterator[Image.Image]) -> bytes:
    """Return frames as a GIF that repeats, all in one set of colours.

    One palette for all frames, since colours that are chosen anew for each would flicker.
    """
    pictures = list(frames)
    palette = _palette(pictures)
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    durations = [FIRST, *[BETWEEN] * (len(rest) - 1), LAST][-len(pictures) :]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False)
    return buffer.getvalue()


def _palette(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return a picture of few pixels with the colours that suit the first, the middle and the last."""
    chosen = [np.asarray(pictures[i]) for i in (0, len(pictures) // 2, -1)]
    colors = Image.fromarray(np.concatenate(chosen)).quantize(255).getpalette() or []
    white = (np.reshape(colors, (-1, 3)) > NEARLY_WHITE).all(axis=1, keepdims=True)
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.where(white, 255, np.reshape(colors, (-1, 3))).ravel().tolist())
    return palette


def last_frame(gif: bytes) -> bytes:
    """Return the last frame of a GIF as the bytes of a PNG file, for where nothing moves."""
    with Image.open(io.BytesIO(gif)) as picture:
        picture.seek(getattr(picture, "n_frames", 1) - 1)
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def description(content: bytes) -> str:
    """Return what the bytes of a PNG file say of what it was drawn, see `canvas.png`; nothing, if they do not.

    Raises:
      OSError: bytes that are no picture.
    """
    with Image.open(io.BytesIO(content)) as picture:
        return str(picture.info.get(DESCRIPTION, ""))
