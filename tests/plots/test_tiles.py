"""Images as tiles and vectors as heat maps: pixels, borders, colour bars and names."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pytest

from tests.helpers.figures import collisions, first_image, pixels, texts
from tfp_vae import plots
from tfp_vae.plots import canvas, tiles


def test_grey_tones_outside_the_unit_range_have_a_colour_bar(rng: np.random.Generator) -> None:
    x = rng.random((4, 8, 8, 1))
    assert len(plots.image_grid(x).axes) == 1
    assert len(plots.image_grid(9 * x).axes) == 2
    assert len(plots.image_grid(9 * np.repeat(x, 3, axis=3)).axes) == 1


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_tile_has_a_border_around_its_pixels(channels: int, rng: np.random.Generator) -> None:
    axes = plots.image_grid(rng.random((5, 8, 6, channels)), columns=3).axes[0]
    (frames,) = axes.collections
    corners = [path.get_extents().bounds for path in frames.get_paths()]
    width = 12 if channels == 2 else 6
    assert corners == [(x * (width + 1) - 0.5, y * 9 - 0.5, width, 8) for y in (0, 1) for x in (0, 1, 2)][:5]
    assert min(mpl.colors.to_rgb(frames.get_edgecolor()[0])) > 0.7


def test_manifolds_and_tiny_tiles_have_no_borders(rng: np.random.Generator) -> None:
    assert not plots.manifold(rng.random((16, 8, 8, 1)), 4).axes[0].collections
    assert not plots.image_grid(rng.random((3_600, 4, 4, 1))).axes[0].collections


@pytest.mark.parametrize(("parts", "features", "named"), [(1, 40, True), (1, 41, False), (3, 3, True), (2, 40, True)])
def test_names_up_to_forty_features(parts: int, features: int, named: bool, rng: np.random.Generator) -> None:
    names = [f"feature {i}" for i in range(features)]
    figure = tiles.heat_maps([rng.random((4, features))] * parts, list("abc")[:parts], "title", features=names)
    labels = figure.axes[parts - 1].get_xticklabels()
    assert ([label.get_text() for label in labels if label.get_visible()] == names) is named
    height, width = pixels(figure, 20).shape[:2]
    assert width > height or not named


def test_long_names_of_features_are_shortened(rng: np.random.Generator) -> None:
    figure = tiles.heat_maps([rng.random((4, 2))], ["a"], "title", features=["x" * 200, "y"])
    assert [len(label.get_text()) for label in figure.axes[0].get_xticklabels()] == [canvas.MOST_LETTERS, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels(figure, 20)


def test_approximations_of_the_unit_range_are_clipped_to_it(rng: np.random.Generator) -> None:
    """White is 0 in samples of a Normal as in the data, unless the values have a very different scale."""
    x = rng.normal(0.5, 0.3, (4, 8, 8, 1))
    figure = plots.image_grid(x, unit=True)
    assert len(figure.axes) == 1  # and no scale
    np.testing.assert_allclose(first_image(figure)[:8, :8], np.clip(x[0, ..., 0], 0, 1), rtol=1e-6)
    assert canvas.range_of(x) != canvas.UNIT_RANGE
    for far in (x * 255, x - 3):
        assert canvas.range_of(far, unit=True) == canvas.range_of(far) != canvas.UNIT_RANGE


@pytest.mark.parametrize("channels", [1, 3])
def test_tones_span_values_outside_the_unit_range(channels: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 8, 8, channels)).astype(np.float32) * 30 - 50
    limits = canvas.range_of(x)
    np.testing.assert_allclose(limits, np.quantile(x, [0.001, 0.999]), rtol=1e-6)
    picture = tiles.tile(x, 2, 2, limits)[:8, :8]
    assert picture.min() < 0.3
    assert picture.max() > 0.7
    expected = np.clip((x[0] - limits.low) / (limits.high - limits.low), 0, 1)
    np.testing.assert_allclose(picture, expected[..., 0] if channels == 1 else expected, atol=1e-6)


@pytest.mark.parametrize(("channels", "shape"), [(1, (18, 27)), (3, (18, 27, 3)), (2, (18, 51))])
def test_picture_has_room_for_all_tiles_and_their_gaps(channels: int, shape: tuple[int, ...]) -> None:
    assert tiles.tile(np.zeros((6, 8, 8, channels)), 2, 3).shape == shape


@pytest.mark.parametrize("captions", [0, 1, 3])
def test_each_line_of_a_caption_adds_a_quarter_of_a_tile(captions: int) -> None:
    picture = tiles.tile(np.ones((4, 8, 8, 1)), 2, 2, captions=captions)
    assert picture.shape[0] == 2 * (8 + 1 + 2 * captions)
    assert picture[8 : 9 + 2 * captions].max() == 0


def test_tiles_know_their_size_and_pitch(rng: np.random.Generator) -> None:
    grid = tiles.Tiles(rng.random((6, 8, 6, 1)), 2, 3, "title")
    assert (grid.height, grid.width) == (8, 6)
    assert grid.pitch == (9, 7)
    np.testing.assert_allclose(grid.row_middles, [3.5, 12.5])
    np.testing.assert_allclose(grid.column_middles, [2.5, 9.5, 16.5])


def test_rows_are_named_at_their_middles(rng: np.random.Generator) -> None:
    grid = tiles.Tiles(rng.random((2, 8, 8, 1)), 2, 1, "title")
    grid.name_rows(["above", "below"])
    assert [label.get_text() for label in grid.axes.get_yticklabels()] == ["above", "below"]
    np.testing.assert_allclose(grid.axes.get_yticks(), grid.row_middles)


@pytest.mark.parametrize("count", [1, 4, 100])
def test_figures_of_tiles_stay_within_eight_inches(count: int, rng: np.random.Generator) -> None:
    side = int(count**0.5)
    width, height = tiles.Tiles(rng.random((count, 8, 8, 1)), side, side, "title").figure.get_size_inches()
    assert 1 <= height <= 8
    assert 1.4 <= width <= 8.001


def test_accepts_a_range_of_tones(rng: np.random.Generator) -> None:
    x = rng.random((1, 8, 8, 1))
    grid = tiles.Tiles(x, 1, 1, "title", limits=canvas.Range(0, 2))
    np.testing.assert_allclose(grid.picture[:8, :8], x[0, ..., 0] / 2, rtol=1e-6)


@pytest.mark.parametrize("parts", [2, 12])
def test_numbers_of_hundreds_of_features_do_not_collide(parts: int, rng: np.random.Generator) -> None:
    figure = tiles.heat_maps([rng.random((4, 500))] * parts, list("abcdefghijkl")[:parts], "title")
    assert not collisions(figure)


def test_heat_maps_share_one_scale_of_colours(rng: np.random.Generator) -> None:
    figure = tiles.heat_maps([rng.random((4, 5)), 9 * rng.random((4, 5))], ["a", "b"], "title")
    limits = {axes.images[0].get_clim() for axes in figure.axes[:2]}
    assert len(limits) == 1
    assert figure.get_suptitle() == "title"


def test_empty_panels_of_heat_maps_are_hidden(rng: np.random.Generator) -> None:
    figure = tiles.heat_maps([rng.random((4, 5))] * 5, list("abcde"), "title")
    visible = [axes.get_title() for axes in figure.axes if axes.get_visible() and axes.get_title()]
    assert visible == list("abcde")


def test_rows_of_heat_maps_accept_names(rng: np.random.Generator) -> None:
    axes = tiles.heat_maps([rng.random((3, 5))], [""], "title", "step", ["x", "y", "z"]).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["x", "y", "z"]
    assert "step" in texts(axes.figure)


def test_code_map_has_a_row_for_each_dimension() -> None:
    figure = tiles.code_map(np.eye(5)[:3], ["a", "b", "c"], "codes")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert axes.images[0].get_array().shape == (3, 5)
