"""Read from figures: their pixels, their texts, and the images on their axes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import matplotlib.image
import matplotlib.text
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tfp_vae import plots


def pixels(figure: Figure, dpi: int = 30) -> np.ndarray:
    """The pixels of a figure's PNG file, which is small because tests need no fine lines."""
    return matplotlib.image.imread(io.BytesIO(plots.png(figure, dpi=dpi)), format="png")


def first_image(figure: Figure) -> np.ndarray:
    """The values of the first image on the first axes."""
    return np.asarray(figure.axes[0].images[0].get_array())


def as_seen(figure: Figure) -> np.ndarray:
    """The brightness of the first grey image of a figure as a reader sees it: 0 is black and 1 is white."""
    image = figure.axes[0].images[0]
    return np.asarray(image.to_rgba(image.get_array())[..., 0])


def texts(figure: Figure) -> set[str]:
    """All texts of a figure as they look, without the escape of formulas."""
    return {text.get_text().replace(r"\$", "$") for text in figure.findobj(matplotlib.text.Text)}


def gif_frames(gif: bytes) -> Iterator[np.ndarray]:
    """The frames of a GIF as RGB pixels."""
    picture = Image.open(io.BytesIO(gif))
    for i in range(picture.n_frames):
        picture.seek(i)
        yield np.asarray(picture.convert("RGB"))


def collisions(figure: Figure) -> list[tuple[str, str]]:
    """The pairs of texts of a figure whose boxes overlap. Hidden texts, such as ticks out of range, do not count."""
    drawn: list[matplotlib.text.Text] = []
    draw = matplotlib.text.Text.draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.text.Text, "draw", lambda self, *given: (drawn.append(self), draw(self, *given)))
        figure.draw_without_rendering()
    boxes = [
        (text.get_text(), text.get_window_extent()) for text in drawn if text.get_visible() and text.get_text().strip()
    ]
    ordered = sorted(boxes, key=lambda each: each[1].x0)
    found = []
    for i, (name, box) in enumerate(ordered):
        right = itertools.takewhile(lambda each, box=box: each[1].x0 < box.x1, ordered[i + 1 :])
        found += [(name, other) for other, place in right if place.y0 < box.y1 and box.y0 < place.y1]
    return found
