"""One panel for each column of a table, in a grid whose panels have fixed sizes in inches.

Each panel keeps its title and the labels of its axes within its own place. Automatic layouts give all panels of a grid
the margins of the longest label, which leaves too little room for the others, and take minutes for many panels.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import final

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from tfp_vae.plots.canvas import TITLE_SIZE, Figure, escape_math, style
from tfp_vae.plots.tables.labels import Ticks, fit_text

__all__ = ["TICK_SIZE", "Panels", "set_ticks", "title_height", "wrap_title", "write_title"]

ACROSS, LEAST_WIDTH = 4, 5.0
"""Largest number of panels in a row, and the smallest width of a figure, in inches."""

WIDTH, PAD, TITLE_ROOM, TICK_ROOM = 2.6, 0.14, 0.26, 0.28
"""Width of the place of a panel, its margin at both sides, and the room above and below its axes, in inches."""

NAME_SIZE, TICK_SIZE = 9.5, 8.0
"""Sizes of a panel's title, and of all other texts in it, in points."""

LINE = 0.19
"""Height of a line of the figure's title and of a panel's second title, in inches."""

LETTERS_PER_INCH = 11.5
"""Letters of a figure's title that fit into an inch."""


@final
class Panels:
    """A figure with a title, a grid of panels, and a legend below them.

    Args:
      count: number of panels.
      title: text above the panels.
      height: the height of the axes of a panel, in inches.
      subtitles: whether panels have a second title.
      x_labels: whether panels have a label below their ticks.
    """

    def __init__(
        self, count: int, title: str, *, height: float = 1.3, subtitles: bool = False, x_labels: bool = False
    ) -> None:
        self.across = max(1, min(ACROSS, count))
        self.height = height
        self.above = TITLE_ROOM + LINE * subtitles
        self.slot = height + self.above + TICK_ROOM + LINE * x_labels
        down = math.ceil(count / self.across)
        width = max(LEAST_WIDTH, WIDTH * self.across)
        title = wrap_title(title, width)
        self.top = 0.1 + title_height(title)
        total = self.top + self.slot * down + 2 * LINE
        self.left = (width - WIDTH * self.across) / 2
        with style():
            self.figure = Figure(figsize=(width, total))
        write_title(self.figure, title)

    def axes(self, i: int, title: str, subtitle: str = "", left: float = 0.0) -> Axes:
        """Return the axes of the i-th panel.

        Args:
          i: the index of the panel.
          title: its title, which is cut if it is too long.
          subtitle: a second title below, in smaller letters.
          left: room for the labels of its vertical axis, in inches.
        """
        width, total = self.figure.get_size_inches()
        start = self.left + WIDTH * (i % self.across)
        top = total - self.top - self.slot * (i // self.across) - self.above
        inner = self.inner_width(left)
        place = (start + PAD + left) / width, (top - self.height) / total, inner / width, self.height / total
        with style():
            axes = self.figure.add_axes(place)
        axes.tick_params(labelsize=TICK_SIZE, length=2.5)
        middle, room = (WIDTH / 2 - PAD - left) / inner, WIDTH - PAD
        if subtitle:
            text = fit_text(subtitle, room, TICK_SIZE)
            axes.text(middle, 1 + 0.08 / self.height, text, transform=axes.transAxes, ha="center", fontsize=TICK_SIZE)
        axes.set_title(
            fit_text(title, room, NAME_SIZE), fontsize=NAME_SIZE, pad=4 + 72 * LINE * bool(subtitle), y=1.0
        ).set_x(middle)
        return axes

    def inner_width(self, left: float = 0.0) -> float:
        """Return the width of the axes of a panel in inches, given the room at their left."""
        return WIDTH - 2 * PAD - left

    def legend(self, handles: Sequence[Artist], texts: Sequence[str]) -> None:
        """Draw a legend below the panels."""
        with style():
            self.figure.legend(
                handles, list(texts), loc="lower center", ncols=len(texts), fontsize=TICK_SIZE + 1, borderaxespad=0.1
            )


def wrap_title(title: str, width: float) -> str:
    """Return a figure's title in lines that fit into its width in inches."""
    return "\n".join(textwrap.wrap(title, int(width * LETTERS_PER_INCH)))


def title_height(title: str) -> float:
    """Return the height of a wrapped title in inches."""
    return 1.15 * LINE * (title.count("\n") + 1)


def write_title(figure: Figure, title: str) -> None:
    """Write a wrapped title at the upper end of a figure."""
    place = 1 - 0.05 / figure.get_figheight()
    figure.suptitle(escape_math(title), fontsize=TITLE_SIZE, y=place, va="top")


def set_ticks(axes: Axes, ticks: Ticks, *, vertical: bool = False) -> None:
    """Give an axis these ticks and no others."""
    places, texts = ticks
    (axes.set_yticks if vertical else axes.set_xticks)(places, texts, fontsize=TICK_SIZE)
    (axes.yaxis if vertical else axes.xaxis).set_minor_locator(NullLocator())
