"""Sprites: many small images in one PNG file, without gaps, from which a page cuts one image at a time.

Each pixel of an image is one pixel of the sprite, so a reader sees the values themselves.
"""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import UNIT_RANGE, Range

__all__ = ["pixels", "shrink", "sprite"]


@check_keywords
def shrink(x: np.ndarray, most: int) -> np.ndarray:
    """Return images [N, H, W, C] whose pixels are means of the smallest squares with which `most` values suffice.

    Rows and columns that fill no square are cut off. Images that are small enough are returned as they are.

    ```python
    from tfp_vae.plots.sprites import shrink

    shrink(np.zeros((10, 28, 28, 1)), most=2_000).shape  # (10, 14, 14, 1)
    ```
    """
    count, height, width, channels = x.shape
    side = min(height, width, max(1, math.ceil(math.sqrt(x.size / most))))
    rows, columns = height // side, width // side
    squares = x[:, : rows * side, : columns * side].reshape(count, rows, side, columns, side, channels)
    return np.asarray(squares.mean(axis=(2, 4)), np.float32)


@check_keywords
def pixels(x: np.ndarray, limits: Range = UNIT_RANGE, *, ink: bool = False) -> np.ndarray:
    """Return images [N, H, W, C] as pixels of 8 bits, [N, H, W', 3] with three channels, else grey, [N, H, W'].

    Channels that are not three are next to each other.

    Args:
      x: values.
      limits: the values at the two ends of the tones.
      ink: whether grey images are drawn dark on white.
    """
    tones = limits.tones(x)
    if x.shape[-1] == 3:
        return np.asarray(np.round(255 * tones), np.uint8)
    side_by_side = np.concatenate(np.moveaxis(tones, -1, 0), axis=2)
    return np.asarray(np.round(255 * (1 - side_by_side if ink else side_by_side)), np.uint8)


@check_keywords
def sprite(images: np.ndarray, columns: int) -> bytes:
    """Return a PNG file with images [N, H, W] or [N, H, W, 3] of 8 bits, row by row from the top left.

    Args:
      images: pixels, see `pixels`.
      columns: the number of images in a row. Missing images of the last row are white.
    """
    rows = math.ceil(len(images) / columns)
    filled = np.full((rows * columns, *images.shape[1:]), 255, np.uint8)
    filled[: len(images)] = images
    height, width = images.shape[1:3]
    sheet = filled.reshape(rows, columns, *images.shape[1:]).swapaxes(1, 2)
    buffer = io.BytesIO()
    Image.fromarray(sheet.reshape(rows * height, columns * width, *images.shape[3:])).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
