"""Pictures: what is drawn, where."""

from __future__ import annotations

import io

import matplotlib.image
import numpy as np
import pytest
from scipy.stats import norm
from sklearn.decomposition import PCA

from tfp_vae import canvas, diagrams, plots, scatter
from tfp_vae.projections import projection


def opened(figure: object) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(plots.png(figure)), format="png")


def shown(figure: object) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_each_picture_in_reading_order(side: int, channels: int, rng: np.random.Generator) -> None:
    x = rng.random((6, side, side, channels)).astype(np.float32)
    figure = plots.image_grid(x, columns=3)
    picture, pitch = shown(figure), side + max(1, side // 14)
    for i in range(6):
        row, column = divmod(i, 3)
        tile = picture[row * pitch : row * pitch + side, column * pitch : column * pitch + side]
        np.testing.assert_array_equal(tile, x[i, ..., 0] if channels == 1 else x[i])
    assert opened(figure).ndim == 3


def test_grid_leaves_empty_places_blank() -> None:
    picture = shown(plots.image_grid(np.ones((3, 4, 4, 1)), columns=2))
    assert picture[5:9, 5:9].max() == 0


def test_channels_without_colours_stand_side_by_side(rng: np.random.Generator) -> None:
    x = rng.random((1, 4, 4, 2)).astype(np.float32)
    picture = shown(plots.image_grid(x))
    np.testing.assert_array_equal(picture[:4, :8], np.concatenate([x[0, ..., 0], x[0, ..., 1]], axis=1))


@pytest.mark.parametrize("labels", [np.array([0, np.nan] * 15), np.linspace(0, 1, 30), np.array(["a", "b", "c"] * 10)])
def test_scatter_takes_any_labels(labels: np.ndarray, rng: np.random.Generator) -> None:
    figure = scatter.latent_scatter(rng.normal(size=(30, 2)), labels)
    assert [text.get_text() for text in figure.axes[0].texts] == (["a", "b", "c"] if labels.dtype.kind == "U" else [])


def test_vectors_are_the_rows_of_a_map(rng: np.random.Generator) -> None:
    x = rng.random((7, 5))
    np.testing.assert_array_equal(shown(plots.image_grid(x)), x)
    data, means = plots.reconstructions(x, x / 2).axes[:2]
    np.testing.assert_array_equal(data.images[0].get_array(), x)
    np.testing.assert_array_equal(means.images[0].get_array(), x / 2)
    assert data.images[0].get_clim() == means.images[0].get_clim() == (0, 1)


def test_reconstructions_stand_below_their_originals(rng: np.random.Generator) -> None:
    x, means = rng.random((4, 8, 8, 1)), rng.random((4, 8, 8, 1))
    picture = shown(plots.reconstructions(x, means))
    np.testing.assert_allclose(picture[:8, :8], x[0, ..., 0], rtol=1e-6)
    np.testing.assert_allclose(picture[9:17, 27:35], means[3, ..., 0], rtol=1e-6)


def test_learning_curves_show_three_terms_of_two_splits() -> None:
    keys = [f"{prefix}{term}" for prefix in ("", "validation_") for term in ("elbo", "distortion", "rate")]
    metrics = [{"epoch": i + 1, **{key: float(i + 10 * j) for j, key in enumerate(keys)}} for i in range(5)]
    figure = plots.learning_curves(metrics)
    for axes, term in zip(figure.axes, ("elbo", "distortion", "rate"), strict=True):
        train, validation = (line.get_ydata() for line in axes.lines)
        np.testing.assert_array_equal(train, [line[term] for line in metrics])
        np.testing.assert_array_equal(validation, [line[f"validation_{term}"] for line in metrics])
        assert axes.get_ylabel() == "nats per example"


def test_scatter_names_each_class_where_it_is_densest(rng: np.random.Generator) -> None:
    centres, labels = np.array([[0, 0], [5, 0], [0, 5]]), np.arange(300) % 3
    means = centres[labels] + np.where(np.arange(300) % 5, 0.1, 2.0)[:, np.newaxis] * rng.normal(size=(300, 2))
    figure = scatter.latent_scatter(means, labels)
    texts = {text.get_text(): text.xy for text in figure.axes[0].texts}
    for label in range(3):
        assert np.linalg.norm(texts[str(label)] - centres[label]) < 0.3
    assert len(scatter.latent_scatter(means[:2], np.array([0, 1])).axes[0].texts) == 2
    assert len(scatter.latent_scatter(means, None).axes[0].texts) == 0


def test_prior_grid_is_the_inverse_cdf_from_top_left() -> None:
    z = plots.prior_grid(4).reshape(4, 4, 2)
    quantiles = np.array([0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(norm.cdf(z[0, :, 0]), quantiles, rtol=1e-5)
    np.testing.assert_allclose(norm.cdf(z[:, 0, 1]), quantiles[::-1], rtol=1e-5)


def test_palette_tells_ten_classes_apart() -> None:
    assert len(set(canvas.PALETTE)) == 10


@pytest.mark.parametrize("channels", [1, 3])
def test_tones_span_the_values_beyond_the_unit_interval(channels: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 8, 8, channels)).astype(np.float32) * 30 - 50
    limits = canvas.range_of(x)
    np.testing.assert_allclose(limits, np.quantile(x, [0.001, 0.999]), rtol=1e-6)
    tile = canvas.tiled(x, 2, 2, limits)[:8, :8]
    assert tile.min() < 0.3
    assert tile.max() > 0.7
    expected = np.clip((x[0] - limits.low) / (limits.high - limits.low), 0, 1)
    np.testing.assert_allclose(tile, expected[..., 0] if channels == 1 else expected, atol=1e-6)


def test_one_value_far_out_does_not_pale_the_others(rng: np.random.Generator) -> None:
    counts = rng.poisson(9.0, size=(50, 8, 8, 1)).astype(np.float32)
    counts[0, 0, 0] = 1e6
    assert canvas.range_of(counts).high < 30
    assert canvas.range_of(np.full((2, 3), 7.0)) == (7, 7)
    assert canvas.tiled(np.full((1, 2, 2, 1), 7.0), 1, 1, canvas.Range(7, 7)).max() == 0
    assert canvas.range_of(np.array([0.2, 0.9])) == canvas.range_of(np.zeros(0)) == (0, 1)


def test_a_scale_stands_beside_tones_that_are_not_of_the_unit_interval(rng: np.random.Generator) -> None:
    x = rng.random((4, 8, 8, 1))
    assert len(plots.image_grid(x).axes) == 1
    assert len(plots.image_grid(9 * x).axes) == 2
    assert len(plots.image_grid(9 * np.repeat(x, 3, axis=3)).axes) == 1


def test_gaps_between_colours_are_white() -> None:
    picture = shown(plots.image_grid(np.zeros((3, 4, 4, 3)), columns=2))
    assert picture[:4, :4].max() == 0
    assert picture[5:9, 5:9].min() == picture[4].min() == 1


def test_strips_walk_from_left_to_right(rng: np.random.Generator) -> None:
    x = rng.random((2, 3, 8, 8, 1)).astype(np.float32)
    figure = plots.strips(x, ["a", "b"], ["1", "2", "3"], "walks", "place")
    np.testing.assert_array_equal(shown(figure)[9:17, 18:26], x[1, 2, ..., 0])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "2", "3"]


def test_strips_of_vectors_are_a_map_each(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 4, 5))
    figure = plots.strips(x, ["a", "b", "c"], list("1234"), "walks")
    for i in range(3):
        np.testing.assert_array_equal(figure.axes[i].images[0].get_array(), x[i])
        assert figure.axes[i].get_title() == "abc"[i]


def test_extremes_tell_least_and_most(rng: np.random.Generator) -> None:
    x, values = rng.random((9, 4, 4, 1)).astype(np.float32), np.arange(9.0)[::-1]
    figure = plots.extremes(x, values, count=2)
    np.testing.assert_array_equal(shown(figure)[:4, :4], x[8, ..., 0])
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "1", "8", "7"]
    maps = plots.extremes(x.reshape(9, 16), values, count=2).axes
    np.testing.assert_array_equal(maps[1].images[0].get_array(), x.reshape(9, 16)[:2])


class TestScatter:
    """Latent space in the plane."""

    @pytest.mark.parametrize("count", [2, 10, 20])
    @pytest.mark.parametrize("letters", [1, 9])
    def test_names_do_not_cover_each_other(self, count: int, letters: int, rng: np.random.Generator) -> None:
        labels = np.array([f"{i:0{letters}}" for i in np.arange(200) % count])
        figure = scatter.latent_scatter(0.01 * rng.normal(size=(200, 2)), labels)
        plots.png(figure)
        boxes = [text.get_bbox_patch().get_window_extent() for text in figure.axes[0].texts]
        assert len(boxes) == count
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])

    def test_boxes_that_are_apart_stay(self) -> None:
        places = np.array([[0.1, 0.1], [0.5, 0.5], [0.9, 0.1]])
        np.testing.assert_allclose(scatter.settled(places, np.full((3, 2), 0.1)), places, atol=1e-5)

    def test_ellipses_are_one_standard_deviation(self) -> None:
        turn = np.radians(30)
        axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        covariance = axes @ np.diag([4.0, 1.0]) @ axes.T
        spread = scatter.Spread(np.array([1]), covariance[np.newaxis])
        figure = scatter.latent_scatter(np.array([[0.0, 0], [5, 5]]), None, spread)
        (ellipses,) = (c for c in figure.axes[0].collections if hasattr(c, "get_angles"))
        np.testing.assert_allclose(ellipses.get_widths(), [4.0])
        np.testing.assert_allclose(ellipses.get_heights(), [2.0])
        np.testing.assert_allclose(ellipses.get_angles() % 180, [30.0])
        np.testing.assert_array_equal(ellipses.get_offsets(), [[5, 5]])

    def test_posterior_and_prior_are_densities_on_one_axis(self, rng: np.random.Generator) -> None:
        q, p = rng.normal(2, 0.5, size=(500, 3)), rng.normal(size=(20_000, 3))
        figure = scatter.posterior_against_prior(q, p, ["a", "b", "c"], "title")
        panels = [axes for axes in figure.axes if axes.get_visible()]
        assert [axes.get_title() for axes in panels] == ["a", "b", "c"]
        bars = panels[0].containers[0]
        assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1, abs=0.02)
        heights = {bar.get_x(): bar.get_height() for bar in bars}
        assert max(heights, key=heights.__getitem__) == pytest.approx(2, abs=0.6)


class TestProjection:
    """Principal components."""

    def test_two_dimensions_are_seen_as_they_are(self, rng: np.random.Generator) -> None:
        z = rng.normal(size=(9, 2))
        plane = projection(z)
        np.testing.assert_array_equal(plane(z), z)
        assert plane.how == ""

    def test_components_are_those_of_scikit_learn(self, rng: np.random.Generator) -> None:
        z = rng.normal(size=(200, 6)) * [1, 5, 2, 1, 3, 1]
        plane, oracle = projection(z), PCA(2).fit(z)
        np.testing.assert_allclose(np.abs(plane(z)), np.abs(oracle.transform(z)), atol=1e-8)
        np.testing.assert_allclose(plane.shares, oracle.explained_variance_ratio_)
        assert "6 dimensions" in plane.how
        assert f"{sum(plane.shares):.0%}" in plane.how
        np.testing.assert_allclose(projection(z[::-1])(z), plane(z), atol=1e-8)

    def test_points_that_do_not_spread(self) -> None:
        plane = projection(np.ones((5, 4)))
        np.testing.assert_array_equal(plane(np.ones((5, 4))), np.zeros((5, 2)))
        assert plane.shares == (0, 0)
        assert projection(np.ones((1, 4)) * np.arange(4)).shares == (0, 0)


def test_the_architecture_names_its_parts() -> None:
    layers = [diagrams.Layer((14, 14, 32)), diagrams.Layer((4,))]
    boxes = [diagrams.Box(name, f"{name} kind") for name in ("x", "q", "p", "likelihood")]
    figure = diagrams.architecture(boxes[0], layers, boxes[1], boxes[2], [diagrams.Layer((5,))] * 30, boxes[3], "title")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"14x14x32", "4", "q kind", "likelihood kind", "title", "encoder", "decoder", "KL"} <= set(texts)
    assert texts.count("5") == diagrams.MOST_BARS
    assert texts.count("···") == 1
    heights = [bar.get_height() for bar in figure.axes[0].patches if hasattr(bar, "get_xy") and hasattr(bar, "angle")]
    assert heights[0] > heights[1] > 0
