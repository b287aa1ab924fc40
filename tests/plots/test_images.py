"""Grids, reconstructions, walks and the manifold."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from sklearn import datasets

from tests.helpers import animated
from tests.helpers.figures import as_seen, first_image, pixels
from tfp_vae import plots


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_images_in_reading_order(side: int, channels: int, rng: np.random.Generator) -> None:
    x = rng.random((6, side, side, channels)).astype(np.float32)
    figure = plots.image_grid(x, columns=3)
    picture, pitch = first_image(figure), side + max(1, side // 14)
    for i in range(6):
        row, column = divmod(i, 3)
        tile = picture[row * pitch : row * pitch + side, column * pitch : column * pitch + side]
        np.testing.assert_array_equal(tile, x[i, ..., 0] if channels == 1 else x[i])
    assert pixels(figure).ndim == 3


@pytest.mark.parametrize("ink", [True, False])
def test_grid_leaves_missing_tiles_white(ink: bool) -> None:
    figure = plots.image_grid(np.full((3, 4, 4, 1), 0.5), columns=2, ink=ink)
    assert (as_seen(figure)[5:9, 5:9] == 1).all()
    np.testing.assert_allclose(as_seen(figure)[:4, :4], 0.5, atol=0.01)


@pytest.mark.parametrize("draw", ["image_grid", "reconstructions", "strips", "manifold", "extremes", "ranking"])
def test_grey_photos_look_like_photos(draw: str) -> None:
    """The pixels of each picture correlate with the photos above 0.9, so they are not negatives."""
    x = grey_photos()
    figures = {
        "image_grid": lambda: plots.image_grid(x),
        "reconstructions": lambda: plots.reconstructions(x, x),
        "strips": lambda: plots.strips(x[np.newaxis], ["a"], list("abcd"), "title"),
        "manifold": lambda: plots.manifold(x, 2),
        "extremes": lambda: plots.extremes(x, np.arange(4.0), count=1),
        "ranking": lambda: plots.ranking(x, np.arange(4.0), "title"),
    }
    seen = as_seen(figures[draw]())[:SIDE, :SIDE]
    assert np.corrcoef(seen.ravel(), x[0, ..., 0].ravel())[0, 1] > 0.9


def test_animated_photos_look_like_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.stack([grey_photos(), grey_photos()[::-1]])
    shown = animated.seen(monkeypatch, lambda: plots.grid_animation([0, 1], frames, 2, "title"), as_seen)
    for seen, x in zip(shown, frames, strict=True):
        assert np.corrcoef(seen[:SIDE, :SIDE].ravel(), x[0, ..., 0].ravel())[0, 1] > 0.9


def test_digits_are_dark_ink_on_white() -> None:
    x = datasets.load_digits().data[:4].reshape(-1, 8, 8, 1) / 16
    for figure in (plots.image_grid(x), plots.reconstructions(x, 0.1 + 0.8 * x)):
        seen = as_seen(figure)
        assert np.corrcoef(seen[:8, :8].ravel(), x[0].ravel())[0, 1] < -0.99
        assert seen[8].min() == 1


SIDE = 24


def grey_photos() -> np.ndarray:
    """Four grey crops of a photo, [4, 24, 24, 1], in [0, 1]."""
    photo = datasets.load_sample_image("china.jpg").mean(axis=2)[::4, ::4] / 255
    return np.stack([photo[:SIDE, i * SIDE : (i + 1) * SIDE] for i in range(4)])[..., np.newaxis].astype(np.float32)


def test_two_channels_are_next_to_each_other(rng: np.random.Generator) -> None:
    x = rng.random((1, 4, 4, 2)).astype(np.float32)
    picture = first_image(plots.image_grid(x))
    np.testing.assert_array_equal(picture[:4, :8], np.concatenate([x[0, ..., 0], x[0, ..., 1]], axis=1))


def test_named_features_are_columns_of_heat_maps_on_one_scale(rng: np.random.Generator) -> None:
    x, names = rng.random((7, 5)), list("abcde")
    np.testing.assert_array_equal(first_image(plots.image_grid(x, features=names)), x)
    data, means = plots.reconstructions(x, x / 2, features=names).axes[:2]
    np.testing.assert_array_equal(data.images[0].get_array(), x)
    np.testing.assert_array_equal(means.images[0].get_array(), x / 2)
    assert data.images[0].get_clim() == means.images[0].get_clim() == (0, 1)


def test_vectors_are_lines(rng: np.random.Generator) -> None:
    x = rng.random((40, 30))
    lines = [line for axes in plots.image_grid(x).axes for line in axes.lines]
    np.testing.assert_array_equal([line.get_ydata() for line in lines], x)
    figure = plots.reconstructions(x[:3], x[:3] / 2, "data", "E[x|z]")
    for axes, example in zip(figure.axes, x, strict=False):
        if axes.get_visible():
            np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], [example, example / 2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["data", "E[x|z]"]
    assert first_image(plots.image_grid(rng.random((161, 3)))).shape == (161, 3)  # too many for lines


def test_reconstructions_are_below_their_originals(rng: np.random.Generator) -> None:
    x, means = rng.random((4, 8, 8, 1)), rng.random((4, 8, 8, 1))
    picture = first_image(plots.reconstructions(x, means))
    np.testing.assert_allclose(picture[:8, :8], x[0, ..., 0], rtol=1e-6)
    np.testing.assert_allclose(picture[9:17, 27:35], means[3, ..., 0], rtol=1e-6)


def test_gaps_between_colour_images_are_white() -> None:
    picture = first_image(plots.image_grid(np.zeros((3, 4, 4, 3)), columns=2))
    assert picture[:4, :4].max() == 0
    assert picture[5:9, 5:9].min() == picture[4].min() == 1


def test_strips_run_from_left_to_right(rng: np.random.Generator) -> None:
    x = rng.random((2, 3, 8, 8, 1)).astype(np.float32)
    figure = plots.strips(x, ["a", "b"], ["1", "2", "3"], "walks", "place")
    np.testing.assert_array_equal(first_image(figure)[9:17, 18:26], x[1, 2, ..., 0])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "3"]


def test_walks_of_vectors_are_lines_in_order_of_colour(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 4, 5))
    figure = plots.strips(x, ["a", "b", "c"], list("1234"), "walks", "place")
    for i in range(3):
        np.testing.assert_array_equal([line.get_ydata() for line in figure.axes[i].lines], x[i])
        assert figure.axes[i].get_title() == "abc"[i]
        greens = [mpl.colors.to_rgb(line.get_color())[1] for line in figure.axes[i].lines]
        assert greens == sorted(greens)  # the colours are those of viridis
    assert [label.get_text() for label in figure.axes[-1].get_yticklabels()] == ["1", "3", "4"]
    assert figure.axes[-1].get_ylabel() == "place"


def test_strips_of_named_features_have_a_heat_map_for_each_walk(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 4, 5))
    figure = plots.strips(x, ["a", "b", "c"], list("1234"), "walks", features=list("vwxyz"))
    for i in range(3):
        np.testing.assert_array_equal(figure.axes[i].images[0].get_array(), x[i])
        assert figure.axes[i].get_title() == "abc"[i]


def test_long_strips_name_every_fifth_place_and_show_twelve_walks_of_vectors(rng: np.random.Generator) -> None:
    axes = plots.strips(rng.random((2, 100, 4, 4, 1)), ["a", "b"], [str(i) for i in range(100)], "walks").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "5", "10"]
    figure = plots.strips(rng.random((20, 3, 4)), [str(i) for i in range(20)], list("abc"), "walks")
    assert figure.get_suptitle() == "walks (the first 12 of 20)"


@pytest.mark.parametrize("draw", ["reconstructions", "strips", "manifold"])
def test_decoded_images_can_keep_the_unit_range(draw: str, rng: np.random.Generator) -> None:
    x = rng.normal(0.5, 0.3, (4, 8, 8, 1))
    figures = {
        "reconstructions": lambda unit: plots.reconstructions(np.clip(x, 0, 1), x, unit=unit),
        "strips": lambda unit: plots.strips(x[None], ["a"], list("abcd"), "title", unit=unit),
        "manifold": lambda unit: plots.manifold(x, 2, unit=unit),
    }
    assert [len(figures[draw](unit).axes) for unit in (True, False)] == [1, 2]


def test_ticks_and_names_are_at_the_middle_of_their_tiles(rng: np.random.Generator) -> None:
    axes = plots.strips(rng.random((2, 3, 8, 8, 1)), ["a", "b"], list("xyz"), "title").axes[0]
    np.testing.assert_allclose(axes.get_xticks(), [3.5, 12.5, 21.5])
    np.testing.assert_allclose(axes.get_yticks(), [3.5, 12.5])


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (4, 2, 2), (5, 2, 3), (9, 3, 3), (10, 3, 4)])
def test_grids_are_nearly_square(count: int, rows: int, columns: int) -> None:
    assert first_image(plots.image_grid(np.zeros((count, 8, 8, 1)))).shape == (9 * rows, 9 * columns)


def test_manifold_names_quantiles_and_dimensions(rng: np.random.Generator) -> None:
    axes = plots.manifold(rng.random((16, 8, 8, 1)), 4, "a title").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("$z_1$", "$z_2$", "a title")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10%", "50%", "90%"]
    np.testing.assert_allclose(axes.get_xticks(), [3.6, 18, 32.4])
    np.testing.assert_allclose(axes.get_yticks(), [32.4, 18, 3.6])


def test_manifold_shows_images_row_by_row(rng: np.random.Generator) -> None:
    x = rng.random((4, 8, 8, 1)).astype(np.float32)
    picture = first_image(plots.manifold(x, 2))
    np.testing.assert_array_equal(picture[:8, 9:17], x[1, ..., 0])
    np.testing.assert_array_equal(picture[9:17, :8], x[2, ..., 0])


def test_strips_name_their_axis(rng: np.random.Generator) -> None:
    axes = plots.strips(rng.random((1, 3, 8, 8, 1)), ["a"], list("xyz"), "title", "quantile").axes[0]
    assert axes.get_xlabel() == "quantile"
    assert axes.get_title() == "title"


def test_reconstructions_have_names(rng: np.random.Generator) -> None:
    x = rng.random((3, 8, 8, 1))
    axes = plots.reconstructions(x, x, "data, binarized", "mean", "title").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data, binarized", "mean"]
