"""Sprites hold each pixel of each image."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tfp_vae.plots.canvas import Range
from tfp_vae.plots.sprites import pixels, shrink, sprite


def test_shrinking_keeps_means_and_small_images(rng: np.random.Generator) -> None:
    x = rng.random((5, 12, 8, 3))
    np.testing.assert_allclose(shrink(x, most=x.size), x, rtol=1e-6)
    half = shrink(x, most=x.size // 4)
    assert half.shape == (5, 6, 4, 3)
    np.testing.assert_allclose(half[2, 1, 3, 0], x[2, 2:4, 6:8, 0].mean(), rtol=1e-5)


def test_shrinking_cuts_off_what_fills_no_square() -> None:
    assert shrink(np.zeros((1, 7, 5, 1)), most=10).shape == (1, 3, 2, 1)


def test_pixels_span_the_limits_and_ink_is_dark() -> None:
    x = np.array([-1.0, 0.0, 3.0, 9.0]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(pixels(x, Range(-1, 3)).ravel(), [0, 64, 255, 255])
    np.testing.assert_array_equal(pixels(x, Range(-1, 3), ink=True).ravel(), [255, 191, 0, 0])


@pytest.mark.parametrize(("channels", "width"), [(1, 4), (2, 8), (3, 4)])
def test_every_image_is_in_its_place(channels: int, width: int, rng: np.random.Generator) -> None:
    images = pixels(rng.random((5, 3, 4, channels)))
    assert images.shape[:3] == (5, 3, width)
    sheet = np.asarray(Image.open(io.BytesIO(sprite(images, columns=2))))
    assert sheet.shape[:2] == (9, 2 * width)
    for i, image in enumerate(images):
        row, column = divmod(i, 2)
        np.testing.assert_array_equal(sheet[3 * row : 3 * row + 3, width * column : width * (column + 1)], image)
    assert (sheet[6:, width:] == 255).all()
