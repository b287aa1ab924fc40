"""Histograms, boxes of classes, and the posterior against the prior."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from tfp_vae import plots
from tfp_vae.plots import canvas


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
