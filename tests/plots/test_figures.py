"""Pictures: what is drawn, where."""

from __future__ import annotations

import io
import itertools
import re

import matplotlib.colors
import matplotlib.image
import matplotlib.text
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from sklearn.decomposition import PCA

from tfp_vae import plots
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.projections import MOST_NEIGHBOURED, PROJECTIONS, projection
from tfp_vae.plots import animations, canvas, diagrams, rankings, scatter, tiles


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


def test_palette_tells_ten_classes_apart() -> None:
    assert len(set(canvas.PALETTE)) == 10


@pytest.mark.parametrize("channels", [1, 3])
def test_tones_span_the_values_beyond_the_unit_interval(channels: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 8, 8, channels)).astype(np.float32) * 30 - 50
    limits = canvas.range_of(x)
    np.testing.assert_allclose(limits, np.quantile(x, [0.001, 0.999]), rtol=1e-6)
    picture = tiles.tile(x, 2, 2, limits)[:8, :8]
    assert picture.min() < 0.3
    assert picture.max() > 0.7
    expected = np.clip((x[0] - limits.low) / (limits.high - limits.low), 0, 1)
    np.testing.assert_allclose(picture, expected[..., 0] if channels == 1 else expected, atol=1e-6)


def test_one_value_far_out_does_not_pale_the_others(rng: np.random.Generator) -> None:
    counts = rng.poisson(9.0, size=(50, 8, 8, 1)).astype(np.float32)
    counts[0, 0, 0] = 1e6
    assert canvas.range_of(counts).high < 30
    assert canvas.range_of(np.full((2, 3), 7.0)) == (7, 7)
    assert tiles.tile(np.full((1, 2, 2, 1), 7.0), 1, 1, canvas.Range(7, 7)).max() == 0
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


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_tile_has_a_frame_around_its_pixels(channels: int, rng: np.random.Generator) -> None:
    axes = plots.image_grid(rng.random((5, 8, 6, channels)), columns=3).axes[0]
    (frames,) = axes.collections
    corners = [path.get_extents().bounds for path in frames.get_paths()]
    width = 12 if channels == 2 else 6
    assert corners == [(x * (width + 1) - 0.5, y * 9 - 0.5, width, 8) for y in (0, 1) for x in (0, 1, 2)][:5]
    assert min(matplotlib.colors.to_rgb(frames.get_edgecolor()[0])) > 0.7


def test_no_frames_between_what_belongs_together_or_is_tiny(rng: np.random.Generator) -> None:
    assert not plots.manifold(rng.random((16, 8, 8, 1)), 4).axes[0].collections
    assert not plots.image_grid(rng.random((3_600, 4, 4, 1))).axes[0].collections


@pytest.mark.parametrize("side", [8, 28])
def test_a_caption_is_nearer_to_its_own_tile_than_to_the_next(side: int, rng: np.random.Generator) -> None:
    axes = plots.ranking(rng.random((6, side, side, 1)), -np.arange(6.0) * 1_000, "title").axes[0]
    pitch = shown(axes.figure).shape[0] / 2
    axes.figure.canvas.draw()
    for i, text in enumerate(axes.texts):
        box = axes.transData.inverted().transform(text.get_window_extent().get_points())
        top, bottom = sorted(box[:, 1])
        row = i // 3
        assert 0 <= top + 0.5 - (row * pitch + side) < (row + 1) * pitch - bottom + 0.1 * side
    assert [text.get_text() for text in axes.texts[:3]] == ["0", "\N{MINUS SIGN}1,000", "\N{MINUS SIGN}2,000"]


def test_ranked_vectors_name_their_rows_by_their_values(rng: np.random.Generator) -> None:
    x = rng.random((3, 4))
    axes = plots.ranking(x, np.array([-7.0, -5.0, 2.0]), "title", list("abcd")).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), x)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["\N{MINUS SIGN}7", "\N{MINUS SIGN}5", "2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == list("abcd")


@pytest.mark.parametrize(
    ("parts", "features", "named"), [(1, 40, True), (2, 3, True), (1, 41, False), (3, 3, True), (3, 40, True)]
)
def test_features_are_named_where_there_is_room(
    parts: int, features: int, named: bool, rng: np.random.Generator
) -> None:
    names = [f"feature {i}" for i in range(features)]
    figure = tiles.heat_maps([rng.random((4, features))] * parts, list("abc")[:parts], "title", features=names)
    labels = figure.axes[parts - 1].get_xticklabels()
    assert ([label.get_text() for label in labels if label.get_visible()] == names) is named
    assert opened(figure).shape[1] > opened(figure).shape[0] or not named


def test_strips_of_many_places_name_some_and_of_many_vectors_show_some(rng: np.random.Generator) -> None:
    axes = plots.strips(rng.random((2, 100, 4, 4, 1)), ["a", "b"], [str(i) for i in range(100)], "walks").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()][:3] == ["0", "5", "10"]
    figure = plots.strips(rng.random((20, 3, 4)), [str(i) for i in range(20)], list("abc"), "walks")
    assert figure.get_suptitle() == "walks (the first 12 of 20)"


def test_the_bound_is_told_from_its_error_and_the_elbo(rng: np.random.Generator) -> None:
    figure = plots.bound_curve([1, 2, 5, 10], np.arange(4.0), np.full(4, 0.5), -1.0)
    axes = figure.axes[0]
    figure.canvas.draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "bound from K samples", "± its standard error over examples", "ELBO"]  # fmt: skip
    assert {"1", "2", "5", "10"} <= {label.get_text() for label in axes.get_xticklabels()}
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), np.arange(4.0))
    assert axes.collections[0].get_paths()[0].get_extents().bounds[1] == -0.5
    assert opened(figure).std() > 0.05


@pytest.mark.parametrize("dims", [1, 2, 50])
def test_rates_are_bars_named_by_their_dimensions(dims: int, rng: np.random.Generator) -> None:
    rates = rng.permutation(dims) + 1.0
    axes = plots.rate_bars(rates, rates > 1).axes[0]
    bars = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in axes.patches}
    assert [bars[i] for i in range(dims)] == sorted(rates, reverse=True)
    order = np.argsort(-rates)
    for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True):
        assert label.get_text() == f"$z_{{{order[int(place)] + 1}}}$"
    assert max(bar.get_width() for bar in axes.patches) <= 0.8 * np.ptp(axes.get_xlim()) / 2


def test_values_by_class_say_what_the_boxes_are(rng: np.random.Generator) -> None:
    values, labels = rng.normal(size=200), np.arange(200) % 2
    histogram, boxes = plots.log_likelihood_histogram(values, labels, "title").axes
    assert sum(bar.get_height() for bar in histogram.patches) == 200
    assert "quartiles" in boxes.get_xlabel()
    assert "quartiles" not in plots.log_likelihood_histogram(values, None, "title").axes[0].get_xlabel()
    assert [canvas.bin_count(n) for n in (1, 100, 10_000)] == [8, 20, 60]


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

    @pytest.mark.parametrize(("letters", "within"), [(1, True), (30, False)])
    def test_names_stay_on_their_axes_or_stand_in_a_legend(
        self, letters: int, within: bool, rng: np.random.Generator
    ) -> None:
        labels = np.array([f"{i:0{letters}}" for i in np.arange(400) % 20])
        figure = scatter.latent_scatter(rng.normal(size=(400, 2)) * [5, 1], labels)
        FigureCanvasAgg(figure).draw()
        axes = figure.axes[0]
        boxes = [text.get_bbox_patch().get_window_extent() for text in axes.texts]
        assert len(boxes) == (20 if within else 0)
        (left, bottom), (right, top) = axes.bbox.get_points()
        assert all(left - 6 <= box.x0 and box.x1 <= right + 6 for box in boxes)
        assert all(bottom - 6 <= box.y0 and box.y1 <= top + 6 for box in boxes)
        legends = [[text.get_text() for text in legend.get_texts()] for legend in figure.legends]
        assert legends == ([] if within else [[canvas.class_name(name) for name in np.unique(labels)]])
        assert all(legend.get_window_extent().x0 > right for legend in figure.legends)

    def test_a_legend_has_the_colours_of_the_points(self, rng: np.random.Generator) -> None:
        labels = np.array([f"{i:030}" for i in np.arange(60) % 20])
        figure = scatter.latent_scatter(rng.normal(size=(60, 2)), labels)
        for handle, cloud in zip(figure.legends[0].legend_handles, figure.axes[0].collections, strict=True):
            np.testing.assert_allclose(matplotlib.colors.to_rgb(handle.get_color()), cloud.get_facecolor()[0, :3])

    def test_boxes_that_are_apart_stay(self) -> None:
        places = np.array([[0.1, 0.1], [0.5, 0.5], [0.9, 0.1]])
        np.testing.assert_allclose(scatter.separate_boxes(places, np.full((3, 2), 0.1)), places, atol=1e-5)

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

    @pytest.mark.parametrize("labels", [None, np.array([0, 1, 1])])
    def test_no_ellipse_is_cut_off(self, labels: np.ndarray | None) -> None:
        points = np.array([[0.0, 0], [1, 0], [0, 1]])
        covariances = np.array([[[9.0, 0], [0, 1]], [[1, 0.5], [0.5, 25]]])
        figure = scatter.latent_scatter(points, labels, scatter.Spread(np.array([0, 2]), covariances))
        plots.png(figure)
        (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
        assert left <= -3
        assert right >= 3
        assert bottom <= -4
        assert top >= 6

    def test_posterior_and_prior_are_densities_on_one_axis(self, rng: np.random.Generator) -> None:
        q, p = rng.normal(2, 0.5, size=(500, 3)), rng.normal(size=(20_000, 3))
        figure = plots.posterior_against_prior(q, p, ["a", "b", "c"], "title")
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


class TestProjections:
    """Every way to see latent space in the plane."""

    @pytest.mark.parametrize("name", list(PROJECTIONS))
    @pytest.mark.parametrize("dims", [2, 7])
    def test_the_same_points_and_seed_give_the_same_picture(self, name: str, dims: int) -> None:
        z = np.random.default_rng(1).normal(size=(60, dims)).astype(np.float32)
        first, second = (PROJECTIONS[name](z, 3) for _ in range(2))
        np.testing.assert_array_equal(first.points, second.points)
        np.testing.assert_array_equal(first.rows, np.arange(60))
        assert first.points.shape == (60, 2)
        assert np.isfinite(first.points).all()
        assert len(first.names) == 2

    @pytest.mark.parametrize(("name", "said"), [("pca", "principal components"), ("tsne", "t-SNE of 5 dimensions")])
    def test_the_title_says_which(self, name: str, said: str) -> None:
        assert said in PROJECTIONS[name](np.random.default_rng(1).normal(size=(40, 5)), 0).how

    def test_tsne_keeps_neighbours_together(self) -> None:
        labels = np.arange(150) % 3
        z = 20.0 * np.eye(9)[labels] + np.random.default_rng(0).normal(size=(150, 9))
        points = PROJECTIONS["tsne"](z, 0).points
        distances = np.square(points[:, np.newaxis] - points).sum(axis=2)
        np.fill_diagonal(distances, np.inf)
        assert (labels[distances.argmin(axis=1)] == labels).all()

    def test_tsne_shows_so_many_points_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfp_vae.evaluation.projections.MOST_NEIGHBOURED", 20)
        view = PROJECTIONS["tsne"](np.random.default_rng(0).normal(size=(59, 3)), 7)
        assert MOST_NEIGHBOURED == 2_000
        assert (view.rows[0], view.rows[-1], len(view.rows), len(view.points)) == (0, 58, 20, 20)
        assert "perplexity 6, seed 7, 20 of 59 examples" in view.how

    def test_tsne_of_few_or_equal_points(self) -> None:
        assert np.isfinite(PROJECTIONS["tsne"](np.ones((9, 4)), 0).points).all()
        with pytest.raises(UsageError, match="`projection=tsne` needs at least 5 test examples, found 4"):
            PROJECTIONS["tsne"](np.ones((4, 4)), 0)


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


def test_values_that_stand_for_the_unit_interval_are_cut_off_at_its_ends(rng: np.random.Generator) -> None:
    """White is 0 in samples of a Normal as in the data, unless the values are of another scale altogether."""
    x = rng.normal(0.5, 0.3, (4, 8, 8, 1))
    figure = plots.image_grid(x, unit=True)
    assert len(figure.axes) == 1  # and no scale
    np.testing.assert_allclose(shown(figure)[:8, :8], np.clip(x[0, ..., 0], 0, 1), rtol=1e-6)
    assert canvas.range_of(x) != canvas.UNIT_RANGE
    for far in (x * 255, x - 3):
        assert canvas.range_of(far, unit=True) == canvas.range_of(far) != canvas.UNIT_RANGE


@pytest.mark.parametrize("draw", ["reconstructions", "strips", "manifold"])
def test_every_picture_of_what_is_decoded_can_be_cut_off(draw: str, rng: np.random.Generator) -> None:
    x = rng.normal(0.5, 0.3, (4, 8, 8, 1))
    figures = {
        "reconstructions": lambda unit: plots.reconstructions(np.clip(x, 0, 1), x, unit=unit),
        "strips": lambda unit: plots.strips(x[None], ["a"], list("abcd"), "title", unit=unit),
        "manifold": lambda unit: plots.manifold(x, 2, unit=unit),
    }
    assert [len(figures[draw](unit).axes) for unit in (True, False)] == [1, 2]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (5, 5), (6, 3), (16, 4)])
def test_few_ranked_stand_in_a_row_each_value_below_its_middle(
    count: int, columns: int, rng: np.random.Generator
) -> None:
    axes = plots.ranking(rng.random((count, 8, 8, 1)), -np.arange(float(count)), "title").axes[0]
    pitch = shown(axes.figure).shape[1] / columns
    for i, text in enumerate(axes.texts):
        assert text.get_position()[0] == pytest.approx(i % columns * pitch + 3.5)


def test_ticks_and_names_stand_at_the_middle_of_their_tiles(rng: np.random.Generator) -> None:
    axes = plots.strips(rng.random((2, 3, 8, 8, 1)), ["a", "b"], list("xyz"), "title").axes[0]
    np.testing.assert_allclose(axes.get_xticks(), [3.5, 12.5, 21.5])
    np.testing.assert_allclose(axes.get_yticks(), [3.5, 12.5])


def test_titles_have_one_size(rng: np.random.Generator) -> None:
    x, labels = rng.random((4, 8, 8, 1)), np.arange(4)
    lines = [dict.fromkeys(("elbo", "validation_elbo"), -1.0) | dict.fromkeys(("distortion", "rate"), 1.0)]
    lines[0] |= {"epoch": 1, "validation_distortion": 1.0, "validation_rate": 1.0}
    points = rng.normal(size=(4, 2))
    figures = [
        plots.image_grid(x, "t"), plots.ranking(x, np.zeros(4), "t"), plots.extremes(x, np.arange(4.0)),
        plots.manifold(x, 2), plots.values_by_class(np.arange(4.0), labels, "t", "what"),
        plots.learning_curves(lines), scatter.latent_scatter(points, labels, None, ("a", "b"), "t" * 60),
    ]  # fmt: skip
    assert {figure.axes[0].title.get_fontsize() for figure in figures} == {canvas.TITLE_SIZE}
    assert plots.image_grid(x[..., 0, 0], "t").get_suptitle() == "t"
    assert plots.image_grid(x[..., 0, 0], "t")._suptitle.get_fontsize() == canvas.TITLE_SIZE


TEXT = "$x^$"
"""What matplotlib would read as a formula, and a wrong one."""


def texts_of(figure: object) -> set[str]:
    """Return all that is written in a figure, as it is drawn: without what keeps it from being a formula."""
    return {text.get_text().replace(r"\$", "$") for text in figure.findobj(matplotlib.text.Text)}


@pytest.mark.parametrize("draw", ["classes", "scatter", "features", "images", "rows", "extremes"])
def test_texts_of_the_data_are_no_formulas(draw: str, rng: np.random.Generator) -> None:
    labels, x, values = np.array([TEXT, "b"] * 10), rng.random((20, 2)), rng.random(20)
    figures = {
        "classes": lambda: plots.log_likelihood_histogram(values, labels, f"{TEXT}.csv"),
        "scatter": lambda: scatter.latent_scatter(x, labels),
        "features": lambda: plots.image_grid(x, f"{TEXT}.csv", features=[TEXT, "b"]),
        "images": lambda: plots.image_grid(rng.random((4, 4, 4, 1)), TEXT),
        "rows": lambda: plots.ranking(x, values, f"{TEXT}.csv", [TEXT, "b"], [TEXT] * 20),
        "extremes": lambda: plots.extremes(x, values, "title", 2, [TEXT, "b"], [TEXT] * 20),
    }
    figure = figures[draw]()
    assert opened(figure).std() > 0.01
    assert any(TEXT in text for text in texts_of(figure))


def test_an_animation_takes_classes_that_look_like_formulas(rng: np.random.Generator) -> None:
    labels = np.array([TEXT, "b" * 90] * 10)
    assert animations.latent_animation([0, 1], rng.random((2, 20, 2)), labels, title="title").startswith(b"GIF")


def test_one_value_far_out_leaves_the_histogram_to_the_others(rng: np.random.Generator) -> None:
    values = np.append(rng.normal(-100, 3, 199), -9e6)
    axes = plots.log_likelihood_histogram(values, None, "title").axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == 198
    assert max(heights) < 60
    assert axes.get_xlim()[0] > -120
    assert any(text.get_text().startswith("2 beyond, from \N{MINUS SIGN}9,000,000") for text in axes.texts)
    assert sum(bar.get_height() for bar in plots.values_by_class(values[:5], None, "", "").axes[0].patches) == 5


def test_ticks_of_large_values_do_not_run_together(rng: np.random.Generator) -> None:
    figure = plots.log_likelihood_histogram(rng.uniform(-12_345, -9_876, 300), np.arange(300) % 3, "title")
    figure.canvas.draw()
    labels = [label for label in figure.axes[-1].get_xticklabels() if label.get_text()]
    assert len(labels) <= 6
    assert all(re.fullmatch("\N{MINUS SIGN}[0-9]{1,2},[0-9]{3}", label.get_text()) for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    assert all(a.x1 + 5 < b.x0 for a, b in itertools.pairwise(boxes))


def test_long_names_of_classes_are_shortened_in_the_middle() -> None:
    assert canvas.class_name("a" * 20) == "a" * 20
    assert canvas.class_name("a" * 20 + "z") == "a" * 10 + "\N{HORIZONTAL ELLIPSIS}" + "a" * 8 + "z"
    assert canvas.class_name(7) == "7"


@pytest.mark.parametrize("most", range(1, 9))
def test_a_shortened_text_keeps_both_ends(most: int) -> None:
    text = canvas.shorten("abcdefgh", most)
    first, _, last = text.partition("\N{HORIZONTAL ELLIPSIS}")
    assert len(text) == most
    assert "abcdefgh".startswith(first)
    assert "abcdefgh".endswith(last)
    assert (text == "abcdefgh") is (most == 8)


FILES = [f"portraits/a-{i}-very-long-name-of-a-picture-{i}.png" for i in range(9)]


@pytest.mark.parametrize("draw", ["extremes", "ranking"])
def test_pictures_say_which_file_each_is_below_its_value(draw: str, rng: np.random.Generator) -> None:
    """Under each tile the value and the file of that very example, within the tile."""
    x, values = rng.random((9, 8, 8, 3)), np.arange(9.0)[::-1]
    figures = {
        "extremes": (lambda: plots.extremes(x, values, "a title " * 9, 4, names=FILES), [8, 7, 6, 5, 0, 1, 2, 3]),
        "ranking": (lambda: plots.ranking(x, values, "title", names=FILES), list(range(9))),
    }
    drawn, order = figures[draw][0](), figures[draw][1]
    axes, columns = drawn.axes[0], 4 if draw == "extremes" else 3
    picture, size = shown(drawn), shown(drawn).shape[1] // columns
    FigureCanvasAgg(drawn).draw()
    boxes = [axes.transData.inverted().transform(text.get_window_extent().get_points()) for text in axes.texts]
    for i, (row, text, box) in enumerate(zip(order, axes.texts, boxes, strict=True)):
        value, *parts = text.get_text().split("\n")
        name = "".join(parts)
        first, _, last = name.partition("\N{HORIZONTAL ELLIPSIS}")
        assert value == f"{values[row]:.0f}"
        assert FILES[row].startswith(first)
        assert FILES[row].endswith(last)
        assert str(row) in last
        top, left = i // columns * picture.shape[0] // (len(order) // columns), i % columns * size
        np.testing.assert_allclose(picture[top : top + 8, left : left + 8], x[row], rtol=1e-6)
        low, high = sorted(box[:, 1])
        assert np.ptp(box[:, 0]) < size
        assert top + 7 < low < high < top + picture.shape[0] / (len(order) // columns) + 1


def test_tiles_that_are_tiny_have_no_names(rng: np.random.Generator) -> None:
    """Where names have no room the picture is the one without them, and has no empty room for them."""
    x = rng.random((400, 8, 8, 1))
    with_names, without = (
        plots.ranking(x, np.zeros(400), "title", names=names) for names in ([f"{'a' * 20}.png"] * 400, [])
    )
    assert {text.get_text() for text in with_names.axes[0].texts} == {"0"}
    np.testing.assert_array_equal(with_names.get_size_inches(), without.get_size_inches())
    np.testing.assert_array_equal(shown(with_names), shown(without))
    with pytest.raises(ValueError, match="zip"):
        plots.ranking(rng.random((3, 8, 8, 1)), np.zeros(3), "title", names=["a.png"])


def test_twenty_classes_are_told_apart() -> None:
    assert len({(canvas.color(i), canvas.marker(i)) for i in range(canvas.MOST_CLASSES)}) == canvas.MOST_CLASSES
    assert {canvas.marker(i) for i in range(10)} == {"o"}
    boxes = plots.log_likelihood_histogram(np.arange(60.0), np.arange(60) % 20, "title").axes[1].patches
    assert len({(box.get_facecolor(), box.get_hatch()) for box in boxes}) == 20


def test_tables_say_which_row_each_example_is(rng: np.random.Generator) -> None:
    x, values, names = rng.random((6, 3)), np.array([3.0, 1, 2, 6, 5, 4]), [f"row {i}" for i in range(6)]
    least, most = plots.extremes(x, values, "title", 2, names=names).axes[:2]
    assert [label.get_text() for label in least.get_yticklabels()] == ["row 1", "row 2"]
    assert [label.get_text() for label in most.get_yticklabels()] == ["row 3", "row 4"]
    axes = plots.ranking(x, values, "title", names=names).axes[0]
    assert axes.get_yticklabels()[3].get_text() == "row 3: 6"


def test_a_single_example_has_no_error_to_draw() -> None:
    axes = plots.bound_curve([1, 2], np.zeros(2), np.full(2, np.nan), -1.0).axes[0]
    assert not axes.collections
    assert len(axes.lines) == 2


@pytest.mark.parametrize(
    ("name", "letters", "lines", "told"),
    [
        ("img545.png", 12, 1, "img545.png"),
        ("red/img545.png", 20, 2, "red/img545.png"),
        ("class number 0/img545.png", 10, 2, "class\u2026r 0/\nimg545.png"),
        ("red/a-photograph-of-1999.png", 10, 2, "red/\n\u2026-1999.png"),
        ("portrait0001.png", 10, 2, "portrait00\n01.png"),
        ("portrait0001.png", 10, 1, "portr\u2026.png"),
    ],
)
def test_a_name_on_two_lines_keeps_the_file_apart_from_its_folder(
    name: str, letters: int, lines: int, told: str
) -> None:
    assert rankings.wrap_name(name, letters, lines) == told
