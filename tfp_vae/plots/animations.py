"""Animations of a training as GIF files, with one frame per epoch.

All frames share one layout, one view and one palette, so that only the data move.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import Figure, classes_of, color, escape_math, is_ink, marker, open_picture, range_of, style
from tfp_vae.plots.scatter import draw_clusters, legend_of_classes, scatter_axes
from tfp_vae.plots.tiles import Tiles, tile

__all__ = ["Gif", "Recorder", "frame_titles", "grid_animation", "last_frame", "latent_animation"]

LATENT_DPI, GRID_DPI = 80, 60

FIRST, BETWEEN, LAST = 700, 120, 3_000
"""How long the first, each following and the last frame are shown, in milliseconds."""

MOST_FRAMES = 1_000
"""The most frames of an animation that is opened."""

NEARLY_WHITE = 247
"""Lighter tones than this become white, because a small palette would tint white areas."""

EDGE = 0.002
"""Share of the points at each edge that the view may exclude."""


@final
class Gif(bytes):
    """The bytes of a GIF file, which a notebook shows as an animation."""

    def __repr__(self) -> str:
        with Image.open(io.BytesIO(self)) as picture:
            width, height = picture.size
            return f"Gif({width}x{height} pixels, {getattr(picture, 'n_frames', 1)} frames)"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {"image/gif": base64.b64encode(self).decode(), "text/plain": repr(self)}


@final
class Recorder:
    """Records frames of one figure and returns them as a GIF.

    The layout is computed for the first frame only. Otherwise the axes would move by a few pixels as titles change.

    Args:
      figure: the figure to record. It has one pair of axes.
      dpi: the resolution of the frames, in dots per inch.
      moving: the artists of the axes that move from frame to frame. What lies below them is then drawn only once, which
        takes most of the time of a frame. [default: draw each frame as a whole]
    """

    def __init__(self, figure: Figure, dpi: int, moving: Sequence[Artist] = ()) -> None:
        figure.set_dpi(dpi)
        self.figure = figure
        self.canvas: Any = FigureCanvasAgg(figure)  # matplotlib does not annotate its methods
        self.frames: list[Image.Image] = []
        self._moving = list(moving)
        self._background: object = None
        self._above: list[Artist] = []

    def take(self, *, whole: bool = False) -> None:
        """Record the figure as it is now.

        Args:
          whole: whether more than the moving artists and the texts has changed since the last frame.
        """
        if not self.frames:
            self.canvas.draw()
            self.figure.set_layout_engine("none")
            if self._moving:
                self._draw_background()
        if whole or self._background is None:
            self.canvas.draw()
        else:
            self.canvas.restore_region(self._background)
            for artist in self._above:
                artist.draw(self.canvas.get_renderer())
        self.frames.append(Image.fromarray(np.asarray(self.canvas.buffer_rgba())[..., :3].copy()))

    def _draw_background(self) -> None:
        """Keep a picture of what lies below the moving artists, and the other artists in the order of their drawing."""
        (axes,) = self.figure.axes
        lowest = min(artist.get_zorder() for artist in self._moving)
        parts = (part for part in axes.get_children() if part is not axes.patch and part.get_zorder() >= lowest)
        others = (part for part in self.figure.get_children() if part not in (axes, self.figure.patch))
        self._above = [part for group in (parts, others) for part in sorted(group, key=Artist.get_zorder)]
        for artist in self._above:
            artist.set_animated(True)  # so that matplotlib leaves it out
        self.canvas.draw()
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)
        for artist in self._above:
            artist.set_animated(False)

    @property
    def palette(self) -> Image.Image:
        """A tiny image with the colours that suit the first, the middle and the last frame."""
        some = [np.asarray(self.frames[i]) for i in (0, len(self.frames) // 2, -1)]
        colors = np.reshape(Image.fromarray(np.concatenate(some)).quantize(255).getpalette() or [], (-1, 3))
        white = (colors > NEARLY_WHITE).all(axis=1, keepdims=True)
        palette = Image.new("P", (1, 1))
        palette.putpalette(np.where(white, 255, colors).ravel().tolist())
        return palette

    def gif(self) -> Gif:
        """Return the frames as a GIF that repeats. One palette for all frames keeps the colours from flickering."""
        palette = self.palette
        first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames)
        durations = [FIRST, *[BETWEEN] * (len(rest) - 1), LAST][-len(self.frames) :]
        buffer = io.BytesIO()
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False)
        return Gif(buffer.getvalue())


def frame_titles(title: str, epochs: Sequence[int], total: int | None) -> list[str]:
    r"""Return the title of each frame, which names its epoch and the number of epochs if one is finished.

    ```python
    from tfp_vae.plots.animations import frame_titles

    frame_titles("Digits", [0, 5], total=8)  # ["Digits\nepoch 0 of 8", "Digits\nepoch 5 of 8"]
    ```
    """
    total = epochs[-1] if total is None else total
    of_all = f" of {total:,}" if total else ""
    return [f"{title}\nepoch {epoch:,}{of_all}" for epoch in epochs]


@check_keywords
def latent_animation(
    epochs: Sequence[int],
    points: np.ndarray,
    labels: np.ndarray | None,
    names: Sequence[str] = ("$z_1$", "$z_2$"),
    title: str = "Posterior means of held-out data",
    total: int | None = None,
) -> Gif:
    """Return a GIF in which points [F, N, 2] move from frame to frame, in the colours of their classes.

    It repeats, has a longer first and last frame, and is 480 x 480 pixels large. The last frame names the classes,
    unless their names would cover more than two fifths of the axes.

    Args:
      epochs: the epoch of each of the F frames.
      points: where the examples lie in each frame.
      labels: [N], or None.
      names: the labels of the two axes.
      title: text above the figure, followed by the epoch.
      total: the number of epochs of the training. [default: the last of `epochs`]
    """
    classes = classes_of(labels)
    indices = np.zeros(points.shape[1], int) if classes is None else np.searchsorted(classes, np.asarray(labels))
    markers = np.array([marker(int(index)) for index in indices])
    low, high = np.quantile(points.reshape(-1, 2), [EDGE, 1 - EDGE], axis=0)
    middle, reach = (low + high) / 2, max(0.56 * float((high - low).max()), 1e-3)
    with style():
        figure, axes = scatter_axes(names, "")
        axes.set_aspect("equal", adjustable="box")
        axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
        legend_of_classes(figure, labels)
        clouds = []
        for kind in dict.fromkeys(markers.tolist()):  # not one for each class, which would cover the class before
            rows = np.flatnonzero(markers == kind)
            colors = [color(index) for index in indices[rows]]
            across, up = points[0, rows].T
            cloud = axes.scatter(across, up, c=colors, marker=kind, s=8, alpha=0.65, linewidths=0)
            clouds.append((rows, cloud))
        heading = figure.suptitle("", fontsize="medium")
        recorder = Recorder(figure, LATENT_DPI, [cloud for _, cloud in clouds])
        for i, text in enumerate(frame_titles(title, epochs, total)):
            heading.set_text(text)  # and not `suptitle`, which would move it back to its first place
            for rows, cloud in clouds:
                cloud.set_offsets(points[i][rows])
            is_last = i == len(points) - 1
            if is_last:
                for _, cloud in clouds:
                    cloud.remove()
                axes.set_autoscale_on(False)
                draw_clusters(axes, points[i], labels)
            recorder.take(whole=is_last)
    return recorder.gif()


@check_keywords
def grid_animation(
    epochs: Sequence[int],
    decoded: np.ndarray,
    side: int,
    title: str,
    total: int | None = None,
    *,
    unit: bool = False,
    ink: bool | None = None,
) -> Gif:
    """Return a GIF in which images [F, side^2, H, W, C] change, such as E[x|z] over a grid of z.

    It repeats and has a longer first and last frame. All frames have one scale of tones.

    Args:
      epochs: the epoch of each of the F frames.
      decoded: the images of each frame.
      side: images along a side.
      title: text above the figure, followed by the epoch.
      total: the number of epochs of the training. [default: the last of `epochs`]
      unit: whether values approximate data in [0, 1], see `canvas.range_of`.
      ink: whether grey images are drawn dark on white. By default, `canvas.is_ink` of the last frame decides.
    """
    limits, ink = range_of(decoded, unit=unit), is_ink(decoded[-1]) if ink is None else ink
    tiles = Tiles(decoded[0], side, side, title, limits=limits, ink=ink, border=False)
    heading = tiles.axes.set_title("", fontsize="medium", wrap=True)
    recorder = Recorder(tiles.figure, GRID_DPI)
    for i, text in enumerate(frame_titles(escape_math(title), epochs, total)):
        heading.set_text(text)
        tiles.axes.images[0].set_data(tile(decoded[i], side, side, limits, ink=ink))
        recorder.take()
    return recorder.gif()


@check_keywords
def last_frame(gif: bytes) -> bytes:
    """Return the last frame of a GIF as the bytes of a PNG file, for pages on which nothing should move.

    Raises:
      OSError: the bytes are not a picture, or one that is too large, see `canvas.open_picture`.
    """
    with open_picture(gif) as picture:
        count = getattr(picture, "n_frames", 1)
        if count > MOST_FRAMES:  # because each frame is unpacked
            raise OSError(f"an animation of {count:,} frames")
        picture.seek(count - 1)
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
