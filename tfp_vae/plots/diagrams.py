"""The architecture of a model as a diagram: layers as bars, distributions as boxes, joined by arrows.

It is drawn to scale in inches from left to right, so a deeper network makes a wider picture and not a smaller one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, final

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from tfp_vae.core.registry import check_keywords
from tfp_vae.plots.canvas import PALETTE, Figure, style

__all__ = ["Box", "Diagram", "Layer", "architecture"]

BAR, GAP, BOX = 0.34, 0.22, 1.75
"""Widths of a bar, of the gap between bars, and of a box, in inches."""

LOWEST, TOP = 0.35, 2.5
"""Height of the lowest bar, and of the drawing above the middle of the bars, in inches."""

MOST_BARS = 12
"""Largest number of bars in one network. Three dots replace the layers in the middle."""

ENCODER, DECODER, VALUES = PALETTE[0], PALETTE[5], PALETTE[2]


@check_keywords
class Layer(NamedTuple):
    """A layer of a network: the shape of its output."""

    shape: tuple[int, ...]

    @property
    def text(self) -> str:
        """The shape as text."""
        return "x".join(map(str, self.shape))

    @property
    def height(self) -> float:
        """The height of its bar in inches, which grows with the logarithm of the size of the output."""
        return LOWEST + 0.42 * math.log10(max(1, math.prod(self.shape)))


@check_keywords
class Box(NamedTuple):
    """A distribution or a value: its name, and a line below it with details."""

    name: str
    more: str


@final
class Diagram:
    """A drawing that grows to the right.

    reach: where the drawing ends on the right, in inches.
    """

    def __init__(self) -> None:
        with style():
            self.figure = Figure(layout=None)
            self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.reach = 0.3

    def box(self, box: Box, edge: str) -> float:
        """Add a box with an edge of this colour on the right, and return its middle."""
        self.draw_box(box, self.reach, edge)
        self.reach += BOX
        return self.reach - BOX / 2

    def draw_box(self, box: Box, left: float, edge: str, up: float = 0.0) -> None:
        """Draw a box at a place."""
        shape = FancyBboxPatch(
            (left, up - 0.42),
            BOX,
            0.84,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="white",
            edgecolor=edge,
            linewidth=1.8,
        )
        self.axes.add_patch(shape)
        middle = left + BOX / 2
        self.axes.text(middle, up + 0.16, box.name, ha="center", va="center", weight="bold", fontsize=12)
        size = 9 if len(box.more) < 24 else 9 * 23 / len(box.more)
        self.axes.text(middle, up - 0.18, box.more, ha="center", va="center", fontsize=size)

    def network(self, layers: Sequence[Layer], fill: str, name: str) -> None:
        """Add a bar for each layer on the right, with the name of the network above, or three dots without layers."""
        half = MOST_BARS // 2
        bars = list(layers) if 0 < len(layers) <= MOST_BARS else [*layers[:half], None, *layers[-half:]]
        left = start = self.reach
        for layer in bars:
            if layer is None:
                self.axes.text(start + BAR / 2, 0, "···", ha="center", va="center", fontsize=14)
            else:
                self.draw_bar(layer, start, fill)
            start += BAR + GAP
        self.reach = start - GAP
        middle = (left + self.reach) / 2
        self.axes.text(middle, 1.5, name, ha="center", va="center", color=fill, weight="bold")

    def draw_bar(self, layer: Layer, left: float, fill: str) -> None:
        """Draw a layer as a bar, with its shape inside, or below it if the bar is too low."""
        bar = Rectangle((left, -layer.height / 2), BAR, layer.height, facecolor=fill, alpha=0.85, linewidth=0)
        self.axes.add_patch(bar)
        inside = layer.height > 0.105 * len(layer.text) + 0.15
        self.axes.text(
            left + BAR / 2,
            0.0 if inside else -layer.height / 2 - 0.06,
            layer.text,
            rotation=90,
            fontsize=9,
            color="white" if inside else "black",
            ha="center",
            va="center" if inside else "top",
        )

    def arrow(self, name: str = "") -> None:
        """Add an arrow on the right, with a name above it."""
        start, end = self.reach, self.reach + 0.42 + 0.2 * bool(name)
        self.join((start + 0.05, 0), (end - 0.05, 0))
        self.axes.text((start + end) / 2, 0.16, name, ha="center", style="italic")
        self.reach = end

    def join(self, start: tuple[float, float], end: tuple[float, float], arrows: str = "-|>") -> None:
        """Draw an arrow from one place to another."""
        arrow = FancyArrowPatch(start, end, arrowstyle=arrows, mutation_scale=11, color="#444444", shrinkA=0, shrinkB=0)
        self.axes.add_patch(arrow)


@check_keywords
def architecture(
    data: Box,
    encoder: Sequence[Layer],
    posterior: Box,
    prior: Box,
    decoder: Sequence[Layer],
    likelihood: Box,
    title: str,
) -> Figure:
    """Return a figure with x -> encoder -> q(z|x) -> decoder -> p(x|z), and the prior p(z) above q(z|x).

    Bars are the layers of a network with the shapes of their outputs. Of more than twelve layers, the middle ones are
    left out.

    Args:
      data: x.
      encoder: the layers of its network.
      posterior: q(z|x).
      prior: p(z).
      decoder: the layers of its network.
      likelihood: p(x|z).
      title: text above the diagram.
    """
    diagram = Diagram()
    axes = diagram.axes
    with style():
        diagram.box(data, VALUES)
        diagram.arrow()
        diagram.network(encoder, ENCODER, "encoder")
        diagram.arrow()
        middle = diagram.box(posterior, ENCODER)
        diagram.draw_box(prior, middle - BOX / 2, PALETTE[9], up=1.45)
        diagram.join((middle, 1.02), (middle, 0.43), arrows="<|-|>")
        axes.text(middle + 0.1, (1.02 + 0.43) / 2, "KL", va="center", fontsize=9)
        diagram.arrow("z")
        diagram.network(decoder, DECODER, "decoder")
        diagram.arrow()
        diagram.box(likelihood, DECODER)
        width = diagram.reach + 0.3
        depth = max([0.5, *(layer.height / 2 for layer in (*encoder, *decoder))]) + 0.3
        axes.set(xlim=(0, width), ylim=(-depth, TOP))
        axes.text(0.3, TOP - 0.3, title, fontsize=12, weight="bold", va="center")
        diagram.figure.set_size_inches(width, TOP + depth)
    return diagram.figure
