"""Histograms, boxes of classes, and the posterior against the prior."""

from __future__ import annotations

import itertools
import re

import matplotlib as mpl
import numpy as np
import pytest

from tfp_vae import plots
from tfp_vae.plots import canvas, distributions


def test_axis_explains_boxes_only_if_there_are_boxes(rng: np.random.Generator) -> None:
    values, labels = rng.normal(size=200), np.arange(200) % 2
    histogram, boxes = plots.log_likelihood_histogram(values, labels, "title").axes
    assert sum(bar.get_height() for bar in histogram.patches) == 200
    assert "quartiles" in boxes.get_xlabel()
    assert "quartiles" not in plots.log_likelihood_histogram(values, None, "title").axes[0].get_xlabel()
    assert [canvas.bin_count(n) for n in (1, 100, 10_000)] == [8, 20, 60]


def test_histogram_excludes_outliers_and_counts_them(rng: np.random.Generator) -> None:
    values = np.append(rng.normal(-100, 3, 199), -9e6)
    axes = plots.log_likelihood_histogram(values, None, "title").axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == 198
    assert max(heights) < 60
    assert axes.get_xlim()[0] > -120
    assert any(text.get_text().startswith("2 beyond, from \N{MINUS SIGN}9,000,000") for text in axes.texts)
    assert sum(bar.get_height() for bar in plots.values_by_class(values[:5], None, "", "").axes[0].patches) == 5


def test_ticks_of_large_values_do_not_overlap(rng: np.random.Generator) -> None:
    figure = plots.log_likelihood_histogram(rng.uniform(-12_345, -9_876, 300), np.arange(300) % 3, "title")
    figure.canvas.draw()
    labels = [label for label in figure.axes[-1].get_xticklabels() if label.get_text()]
    assert len(labels) <= 6
    assert all(re.fullmatch("\N{MINUS SIGN}[0-9]{1,2},[0-9]{3}", label.get_text()) for label in labels)
    boxes = [label.get_window_extent() for label in labels]
    assert all(a.x1 + 5 < b.x0 for a, b in itertools.pairwise(boxes))


def test_twenty_classes_differ_in_colour_marker_and_hatch() -> None:
    assert len({(canvas.color(i), canvas.marker(i)) for i in range(canvas.MOST_CLASSES)}) == canvas.MOST_CLASSES
    assert {canvas.marker(i) for i in range(10)} == {"o"}
    boxes = plots.log_likelihood_histogram(np.arange(60.0), np.arange(60) % 20, "title").axes[1].patches
    assert len({(box.get_facecolor(), box.get_hatch()) for box in boxes}) == 20


def test_posterior_and_prior_are_densities_on_one_axis(rng: np.random.Generator) -> None:
    q, p = rng.normal(2, 0.5, size=(500, 3)), rng.normal(size=(20_000, 3))
    figure = plots.posterior_against_prior(q, p, ["a", "b", "c"], "title")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["a", "b", "c"]
    bars = panels[0].containers[0]
    assert sum(bar.get_height() * bar.get_width() for bar in bars) == pytest.approx(1, abs=0.02)
    heights = {bar.get_x(): bar.get_height() for bar in bars}
    assert max(heights, key=heights.__getitem__) == pytest.approx(2, abs=0.6)


def test_few_values_keep_their_whole_range() -> None:
    values = np.array([0.0, 1, 2, 1e9])
    assert distributions.histogram_range(values) == (0, 1e9)


def test_range_of_values_close_together_is_whole(rng: np.random.Generator) -> None:
    values = rng.random(500)
    assert distributions.histogram_range(values) == (values.min(), values.max())


@pytest.mark.parametrize("sign", [-1, 1])
def test_range_excludes_an_outlier_on_either_side(sign: int, rng: np.random.Generator) -> None:
    values = np.append(rng.random(500), sign * 1e6)
    low, high = distributions.histogram_range(values)
    assert 0 <= low < 0.1
    assert 0.9 < high <= 1


def test_histogram_of_equal_values_has_one_bar() -> None:
    bars = plots.values_by_class(np.full(50, 3.0), None, "title", "metres").axes[0].patches
    assert [bar.get_height() for bar in bars if bar.get_height()] == [50]


def test_each_class_has_a_box_in_its_colour(rng: np.random.Generator) -> None:
    values, labels = rng.normal(size=90), np.array(["cat", "dog", "owl"])[np.arange(90) % 3]
    boxes = plots.values_by_class(values, labels, "title", "metres").axes[1]
    assert [label.get_text() for label in boxes.get_yticklabels()] == ["cat", "dog", "owl"]
    for i, (name, box) in enumerate(zip(("cat", "dog", "owl"), boxes.patches, strict=True)):
        ends = box.get_path().vertices[:, 0]
        np.testing.assert_allclose([ends.min(), ends.max()], np.quantile(values[labels == name], [0.25, 0.75]))
        assert mpl.colors.to_hex(box.get_facecolor()[:3]) == canvas.color(i).lower()


@pytest.mark.parametrize("labels", [None, np.arange(90), np.append(np.zeros(89), np.nan)])
def test_labels_that_are_not_classes_have_no_boxes(labels: np.ndarray | None, rng: np.random.Generator) -> None:
    figure = plots.values_by_class(rng.normal(size=90), labels, "title", "metres")
    assert len(figure.axes) == 1
    assert figure.axes[0].get_xlabel() == "metres"


@pytest.mark.parametrize("dims", [1, 3, 5])
def test_each_dimension_has_a_panel(dims: int, rng: np.random.Generator) -> None:
    names = [f"$z_{i}$" for i in range(dims)]
    figure = plots.posterior_against_prior(rng.normal(size=(50, dims)), rng.normal(size=(90, dims)), names, "title")
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == names
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["q(z), test data", "p(z), prior"]
    assert figure.get_suptitle() == "title"


def test_both_histograms_have_the_same_bins(rng: np.random.Generator) -> None:
    figure = plots.posterior_against_prior(rng.normal(3, 1, (400, 1)), rng.normal(size=(900, 1)), ["z"], "title")
    bars, line = figure.axes[0].containers[0], figure.axes[0].patches[-1]
    outline = line.get_path().vertices[:, 0]
    assert bars[0].get_x() == pytest.approx(outline.min())
    assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(outline.max())


def test_columns_compare_data_with_samples(rng: np.random.Generator) -> None:
    data = np.column_stack([rng.normal(5, 1, 400), rng.integers(0, 2, 400), np.full(400, 3.0)])
    made = data + np.array([2.0, 0, 0])
    figure = plots.column_marginals(data, made, ["length", "is $new", "constant"], "Columns")
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["length", r"is \$new", "constant"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["data", "x ~ p(x), model"]
    binary = panels[1].containers[0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in binary] == [0, 1]
    np.testing.assert_allclose([bar.get_height() for bar in binary], [1 - data[:, 1].mean(), data[:, 1].mean()])
    filled = max(panels[0].containers[0], key=lambda bar: bar.get_height())
    assert filled.get_x() == pytest.approx(5, abs=1)


def test_figure_shows_the_columns_that_differ_most(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "MOST_COLUMNS", 3)
    data = rng.normal(size=(300, 6))
    made = data + 9 * np.isin(np.arange(6), [0, 2, 5])
    figure = plots.column_marginals(data, made, [f"c{i}" for i in range(6)], "Columns")
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == ["c0", "c2", "c5"]
    assert figure.get_suptitle() == "Columns, the 3 of 6 columns that differ most"


@pytest.mark.parametrize(("shift", "distance"), [(0, 0), (10, 1)])
def test_distance_of_columns_is_between_zero_and_one(shift: float, distance: float, rng: np.random.Generator) -> None:
    x = rng.random(50)
    assert distributions.column_distance(x, x + shift) == distance


@pytest.mark.parametrize("values", [[3.0, 3.0], [np.nan, np.inf], [0.0, 1e30], [0.0, np.inf]])
def test_bins_of_unusual_values_rise(values: list[float]) -> None:
    bins = distributions.common_bins(np.array(values), np.array([3.0]))
    assert (np.diff(bins) > 0).all()
    assert np.isfinite(bins).all()


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_columns_of_few_values_show_draws_outside_the_data(spread: float, rng: np.random.Generator) -> None:
    data, made = rng.integers(0, 2, (400, 1)), rng.normal(scale=spread, size=(5_000, 1))
    figure = plots.column_marginals(data, made, ["is new"], "Columns")
    panel = next(axes for axes in figure.axes if axes.get_visible())
    bars, edges = panel.containers[0], distributions.common_bins(data[:, 0], made[:, 0])
    filled = np.array([bar.get_height() * bar.get_width() for bar in bars])
    line, _ = np.histogram(made[:, 0], edges)
    assert len(bars) == len(edges) - 1 <= 41
    assert line.sum() >= 0.99 * len(made)
    assert line[filled == 0].sum() / len(made) == pytest.approx((np.abs(made - 0.5) > 1).mean(), abs=0.1)


@pytest.mark.parametrize(
    ("made", "middles"), [([0, 1], [0, 1]), ([1, 3], [0, 1, 2, 3]), ([-1.2, 0], [-1, 0, 1]), ([0.6], [0, 1])]
)
def test_bins_of_few_values_continue_to_the_draws(made: list[float], middles: list[float]) -> None:
    bins = distributions.common_bins(np.array([0, 1, 1]), np.array(made))
    np.testing.assert_allclose((bins[1:] + bins[:-1]) / 2, middles)
