"""Vectors as lines in small panels."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import pixels
from tfp_vae import plots
from tfp_vae.plots import series


@pytest.mark.parametrize(("count", "panels"), [(1, 1), (16, 16), (17, 16), (64, 16)])
def test_lines_fill_at_most_sixteen_panels_in_order(count: int, panels: int) -> None:
    x = np.arange(3.0 * count).reshape(count, 3)
    groups = series.share_lines(x)
    assert len(groups) == panels
    np.testing.assert_array_equal(np.concatenate(groups), x)
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


@pytest.mark.slow
def test_texts_of_panels_do_not_collide(rng: np.random.Generator) -> None:
    figure = series.line_panels(list(rng.normal(size=(12, 2, 30))), list("abcdefghijkl"), "title", ["data", "E[x|z]"])
    figure.draw_without_rendering()
    lowest = min(axes.get_tightbbox().y0 for axes in figure.axes if axes.get_visible())
    assert figure.legends[0].get_window_extent().y1 <= lowest + 1
    assert figure._suptitle.get_window_extent().y0 >= max(axes.title.get_window_extent().y1 for axes in figure.axes) - 1
    assert pixels(figure).std() > 0.01


def test_panels_share_their_axes_and_name_the_lowest(rng: np.random.Generator) -> None:
    figure = series.line_panels(list(rng.normal(size=(5, 1, 20))), list("abcde"), "title")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == list("abcde")
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in shown}) == 1
    assert [bool(axes.get_xlabel()) for axes in shown] == [False, False, True, True, True]


@pytest.mark.parametrize(("size", "marker"), [(1, "o"), (11, "o"), (12, "")])
def test_few_values_have_dots(size: int, marker: str) -> None:
    (axes,) = plots.line_panels([np.zeros((1, size))], ["a"], "title").axes
    assert axes.lines[0].get_marker() == (marker or "")


def test_walks_name_the_first_the_middle_and_the_last_place(rng: np.random.Generator) -> None:
    ticks = ["data,\nbinarized", *(f"{i}%" for i in range(9)), "data,\nbinarized"]
    figure = series.walk_panels(rng.normal(size=(2, 11, 6)), ["a", "b"], ticks, "title", "place")
    labels = [label.get_text() for label in figure.axes[-1].get_yticklabels()]
    assert labels == ["data, binarized", "4%", "data, binarized"]
