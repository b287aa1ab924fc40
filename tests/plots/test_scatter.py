"""Latent space in the plane: points, names, ellipses and legends."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tfp_vae import plots
from tfp_vae.plots import canvas, scatter


@pytest.mark.parametrize("labels", [np.array([0, np.nan] * 15), np.linspace(0, 1, 30), np.array(["a", "b", "c"] * 10)])
def test_names_only_labels_that_are_classes(labels: np.ndarray, rng: np.random.Generator) -> None:
    figure = scatter.latent_scatter(rng.normal(size=(30, 2)), labels)
    assert [text.get_text() for text in figure.axes[0].texts] == (["a", "b", "c"] if labels.dtype.kind == "U" else [])


def test_each_class_is_named_where_it_is_densest(rng: np.random.Generator) -> None:
    centres, labels = np.array([[0, 0], [5, 0], [0, 5]]), np.arange(300) % 3
    means = centres[labels] + np.where(np.arange(300) % 5, 0.1, 2.0)[:, np.newaxis] * rng.normal(size=(300, 2))
    figure = scatter.latent_scatter(means, labels)
    texts = {text.get_text(): text.xy for text in figure.axes[0].texts}
    for label in range(3):
        assert np.linalg.norm(texts[str(label)] - centres[label]) < 0.3
    assert len(scatter.latent_scatter(means[:2], np.array([0, 1])).axes[0].texts) == 2
    assert len(scatter.latent_scatter(means, None).axes[0].texts) == 0


@pytest.mark.parametrize(("count", "letters"), [(2, 1), (20, 1), (10, 9), (20, 9)])
def test_names_do_not_overlap(count: int, letters: int, rng: np.random.Generator) -> None:
    labels = np.array([f"{i:0{letters}}" for i in np.arange(200) % count])
    figure = scatter.latent_scatter(0.01 * rng.normal(size=(200, 2)), labels)
    plots.png(figure, dpi=40)
    boxes = [text.get_bbox_patch().get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == count
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


@pytest.mark.parametrize(("letters", "within"), [(1, True), (30, False)])
def test_names_stay_within_the_axes_or_move_to_a_legend(letters: int, within: bool, rng: np.random.Generator) -> None:
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


def test_legend_has_the_colours_of_the_points(rng: np.random.Generator) -> None:
    labels = np.array([f"{i:030}" for i in np.arange(60) % 20])
    figure = scatter.latent_scatter(rng.normal(size=(60, 2)), labels)
    for handle, cloud in zip(figure.legends[0].legend_handles, figure.axes[0].collections, strict=True):
        np.testing.assert_allclose(mpl.colors.to_rgb(handle.get_color()), cloud.get_facecolor()[0, :3])


def test_separate_boxes_stay_in_place() -> None:
    places = np.array([[0.1, 0.1], [0.5, 0.5], [0.9, 0.1]])
    np.testing.assert_allclose(scatter.separate_boxes(places, np.full((3, 2), 0.1)), places, atol=1e-5)


def test_ellipses_are_one_standard_deviation() -> None:
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
def test_view_contains_every_ellipse(labels: np.ndarray | None) -> None:
    points = np.array([[0.0, 0], [1, 0], [0, 1]])
    covariances = np.array([[[9.0, 0], [0, 1]], [[1, 0.5], [0.5, 25]]])
    figure = scatter.latent_scatter(points, labels, scatter.Spread(np.array([0, 2]), covariances))
    figure.draw_without_rendering()
    (left, right), (bottom, top) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    assert left <= -3
    assert right >= 3
    assert bottom <= -4
    assert top >= 6


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [2, 6, 15])
def test_random_boxes_end_apart_and_within_the_axes(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = np.column_stack([rng.uniform(0.03, 0.2, count), np.full(count, 0.05)])
    places = scatter.separate_boxes(rng.random((count, 2)) ** 3, sizes)
    for i in range(count):
        for j in range(i):
            gap = np.abs(places[i] - places[j]) - (sizes[i] + sizes[j]) / 2
            assert gap.max() > -1e-6
    assert (places - sizes / 2 >= -1e-4).all()
    assert (places + sizes / 2 <= 1 + 1e-4).all()


def test_separates_equal_places() -> None:
    places = scatter.separate_boxes(np.full((3, 2), 0.5), np.full((3, 2), 0.1))
    distances = np.abs(places[:, np.newaxis] - places).max(axis=2)[np.triu_indices(3, 1)]
    assert distances.min() > 0.0999


def test_densest_point_lies_in_the_larger_cluster(rng: np.random.Generator) -> None:
    points = np.concatenate([rng.normal(0, 0.1, (80, 2)), rng.normal(5, 1.0, (40, 2))])
    assert np.linalg.norm(scatter.densest_point(points)) < 0.3
    np.testing.assert_array_equal(scatter.densest_point(np.array([[2.0, 3.0]])), [2, 3])


def test_corners_are_one_standard_deviation_away() -> None:
    spread = scatter.Spread(np.array([1]), np.array([[[4.0, 0], [0, 9]]]))
    np.testing.assert_allclose(spread.corners(np.array([[0.0, 0], [1, 1]])), [[-1, -2], [3, 4]])


def test_axes_have_equal_scales_and_names(rng: np.random.Generator) -> None:
    axes = scatter.latent_scatter(rng.normal(size=(30, 2)), None, None, ("first", "second"), "title").axes[0]
    assert axes.get_aspect() == 1
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("first", "second", "title")


@pytest.mark.parametrize(("count", "size"), [(499, 12), (500, 4)])
def test_many_points_are_smaller(count: int, size: int, rng: np.random.Generator) -> None:
    (cloud,) = scatter.latent_scatter(rng.normal(size=(count, 2)), None).axes[0].collections
    assert cloud.get_sizes().tolist() == [size]
    assert len(cloud.get_offsets()) == count


def test_figure_without_classes_has_no_legend(rng: np.random.Generator) -> None:
    figure, _ = scatter.scatter_axes(("a", "b"), "title")
    scatter.legend_of_classes(figure, None)
    assert figure.legends == []
