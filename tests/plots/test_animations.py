"""GIF files: frames, titles, palettes and views."""

from __future__ import annotations

import base64
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tests.helpers import animated
from tests.helpers.figures import gif_frames
from tfp_vae.plots import animations, scatter

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


@pytest.mark.parametrize(
    ("epochs", "total", "lines"),
    [
        ([0], None, ["epoch 0"]),
        ([0, 3], None, ["epoch 0 of 3", "epoch 3 of 3"]),
        ([0, 1_000], 2_000, ["epoch 0 of 2,000", "epoch 1,000 of 2,000"]),
        ([0], 0, ["epoch 0"]),
    ],
)
def test_titles_name_the_epoch_and_the_total_after_the_first_epoch(
    epochs: list[int], total: int | None, lines: list[str]
) -> None:
    assert animations.frame_titles("title", epochs, total) == [f"title\n{line}" for line in lines]


@pytest.mark.parametrize("draw", ["latent", "grid"])
def test_title_stays_in_place(draw: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """The title of a frame is where it was in the first frame. It does not jump in the second."""
    places = []
    take = animations.Recorder.take

    def looking(recorder: animations.Recorder, **options: bool) -> None:
        take(recorder, **options)
        figure = recorder.figure
        title = figure._suptitle or figure.axes[0].title
        places.append(title.get_window_extent().y1)

    monkeypatch.setattr(animations.Recorder, "take", looking)
    if draw == "latent":
        animations.latent_animation([0, 1, 2], rng.normal(size=(3, 9, 2)), None)
    else:
        animations.grid_animation([0, 1, 2], rng.random((3, 4, 8, 8, 1)), 2, "title")
    assert len(set(places)) == 1


def test_notebook_shows_an_animation(rng: np.random.Generator) -> None:
    gif = animations.grid_animation([0, 1], rng.random((2, 4, 8, 8, 1)), 2, "title")
    content = gif._repr_mimebundle_()
    assert base64.b64decode(content["image/gif"]) == gif
    width, height = Image.open(io.BytesIO(gif)).size
    assert content["text/plain"] == repr(gif) == f"Gif({width}x{height} pixels, 2 frames)"


@pytest.mark.parametrize(("count", "durations"), [(1, [3_000]), (2, [700, 3_000]), (4, [700, 120, 120, 3_000])])
def test_first_and_last_frame_are_shown_longer(count: int, durations: list[int], rng: np.random.Generator) -> None:
    gif = animations.grid_animation(list(range(count)), rng.random((count, 4, 8, 8, 1)), 2, "title")
    picture = Image.open(io.BytesIO(gif))
    assert picture.n_frames == count
    found = []
    for i in range(count):
        picture.seek(i)
        found.append(picture.info.get("duration", durations[i]))
    assert found == durations


def test_latent_animations_repeat_and_have_480_pixels(rng: np.random.Generator) -> None:
    gif = animations.latent_animation([0, 1], rng.normal(size=(2, 30, 2)), np.arange(30) % 3)
    picture = Image.open(io.BytesIO(gif))
    assert picture.size == (480, 480)
    assert picture.info["loop"] == 0


def test_view_excludes_single_outliers(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    points = rng.normal(size=(2, 1_000, 2))
    points[0, 0] = 1e6
    limits = animated.seen(
        monkeypatch,
        lambda: animations.latent_animation([0, 1], points, None),
        lambda figure: (figure.axes[0].get_xlim(), figure.axes[0].get_ylim()),
    )
    assert limits[0] == limits[1]
    assert np.abs(limits[0]).max() < 10


def test_last_frame_alone_names_the_classes(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    names = animated.seen(
        monkeypatch,
        lambda: animations.latent_animation([0, 1, 2], rng.normal(size=(3, 40, 2)), np.arange(40) % 2),
        lambda figure: [text.get_text() for text in figure.axes[0].texts],
    )
    assert names == [[], [], ["0", "1"]]


def test_frames_keep_the_layout_of_the_first(rng: np.random.Generator) -> None:
    figure, axes = scatter.scatter_axes(("a", "b"), "short")
    recorder = animations.Recorder(figure, 40)
    boxes = []
    for title in ("short", "a much longer title\nof three\nlines"):
        axes.set_title(title)
        recorder.take()
        boxes.append(axes.get_position().bounds)
    assert boxes[0] == boxes[1]
    assert len(recorder.frames) == 2


@pytest.mark.parametrize("labels", [None, np.arange(40) % 12])
def test_frames_on_a_kept_background_equal_whole_frames(
    labels: np.ndarray | None, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Some points lie on the spines, and the second ten classes have markers and a collection of their own."""
    points = rng.normal(size=(4, 40, 2)) * np.arange(1, 5)[:, np.newaxis, np.newaxis]
    found, whole, record = [list[np.ndarray]() for _ in range(2)], False, animations.Recorder.take

    def take(recorder: animations.Recorder, **options: bool) -> None:
        record(recorder, **{**options, "whole": whole or options.get("whole", False)})
        found[whole].append(np.asarray(recorder.frames[-1]))

    monkeypatch.setattr(animations.Recorder, "take", take)
    for whole in (False, True):  # noqa: B007  (`take` reads it)
        animations.latent_animation([0, 1, 2, 5], points, labels)
    np.testing.assert_array_equal(*found)


def test_white_stays_white_in_the_palette(rng: np.random.Generator) -> None:
    gif = animations.grid_animation([0], rng.random((1, 4, 8, 8, 1)), 2, "title")
    (frame,) = gif_frames(gif)
    assert (frame[0, 0] == 255).all()
