"""Panels in a grid whose sizes are fixed in inches."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.lines import Line2D

from tests.helpers.figures import collisions
from tfp_vae.plots.tables.panels import WIDTH, Panels, set_ticks


@pytest.mark.parametrize("count", [1, 4, 9])
def test_panels_keep_to_their_places(count: int) -> None:
    panels = Panels(count, "A title")
    for i in range(count):
        panels.axes(i, f"{'W' * 60} {i}", "m" * 60, left=0.5 * (i % 2))
    width, total = panels.figure.get_size_inches()
    for i, axes in enumerate(panels.figure.axes):
        place = axes.get_position()
        assert place.width * width == pytest.approx(panels.inner_width(0.5 * (i % 2)))
        assert place.height * total == pytest.approx(panels.height)
        assert 0 < place.y0 < place.y1 < 1
        assert int((place.x0 * width - panels.left) / WIDTH) == i % panels.across


@pytest.mark.parametrize("count", [1, 5])
def test_long_titles_and_a_legend_do_not_meet(count: int) -> None:
    panels = Panels(count, "A long title of the whole figure, " * 6, subtitles=True)
    for i in range(count):
        axes = panels.axes(i, "W" * 80, "\u732b" * 80)
        set_ticks(axes, (np.array([0.0, 1.0]), ["0", "1"]))
        axes.set_yticks([])
    panels.legend([Line2D([], []), Line2D([], [])], ["data", "model"])
    assert collisions(panels.figure) == []
    heights = [text.get_window_extent() for text in panels.figure.legends[0].get_texts()]
    assert all(box.y0 > 0 for box in heights)


def test_axis_has_the_given_ticks_only() -> None:
    axes = Panels(1, "A title").axes(0, "a panel")
    set_ticks(axes, (np.array([0.2, 0.6]), ["a", "b"]), vertical=True)
    assert axes.get_yticks().tolist() == [0.2, 0.6]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert len(axes.get_yticks(minor=True)) == 0
