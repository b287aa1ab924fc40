"""GIF files: frames, titles, palettes and views."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tests.helpers.figures import gif_frames
from tfp_vae.plots import animations

TEXT = "$x^$"
"""A text that matplotlib would read as a formula, and an invalid one."""


def test_classes_may_look_like_formulas(rng: np.random.Generator) -> None:
    labels = np.array([TEXT, "b" * 90] * 10)
    assert animations.latent_animation([0, 1], rng.random((2, 20, 2)), labels, title="title").startswith(b"GIF")


def test_points_move_on_white_paper(rng: np.random.Generator) -> None:
    points = rng.normal(size=(5, 40, 2)) * np.arange(1, 6)[:, np.newaxis, np.newaxis]
    frames = list(gif_frames(animations.latent_animation([0, 1, 2, 5, 9], points, np.arange(40) % 3)))
    assert len(frames) == 5
    assert len({frame.shape for frame in frames}) == 1
    assert (frames[0] == 255).all(axis=2).mean() > 0.7  # paper is white
    assert all((a != b).any() for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_decoded_images_change(channels: int, scale: float, rng: np.random.Generator) -> None:
    decoded = scale * rng.random((3, 4, 8, 8, channels))
    frames = list(gif_frames(animations.grid_animation([0, 1, 2], decoded, 2, "title")))
    assert len(frames) == 3
    assert frames[1].std() > 20
    assert (frames[0] != frames[2]).any()
    if channels == 3:
        assert (frames[0].max(axis=2) - frames[0].min(axis=2)).max() > 60


def test_single_frame_is_its_own_last_frame(rng: np.random.Generator) -> None:
    gif = animations.latent_animation([0], rng.normal(size=(1, 9, 2)), None)
    (frame,) = list(gif_frames(gif))
    still = np.asarray(Image.open(io.BytesIO(animations.last_frame(gif))))
    np.testing.assert_array_equal(still, frame)


def test_last_frame_is_a_png_of_its_own(rng: np.random.Generator) -> None:
    gif = animations.latent_animation([0, 1], rng.normal(size=(2, 9, 2)), None)
    still = np.asarray(Image.open(io.BytesIO(animations.last_frame(gif))))
    np.testing.assert_array_equal(still, list(gif_frames(gif))[-1])
