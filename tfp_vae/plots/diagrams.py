"""The architecture of a model as a diagram: layers as bars, distributions as boxes, joined by arrows.

Drawn to scale in inches, left to right, so that a deeper network makes a wider picture and not a smaller one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from tfp_vae.plots.canvas import PALETTE, STYLE

__all__ = ["Box", "Layer", "architecture"]

BAR, GAP, BOX = 0.34, 0.22, 1.75
"""Widths in inches: of a bar, between bars, of a box."""

LOWEST, TOP = 0.35, 2.5
"""In inches: the height of the lowest bar; where the drawing ends, above the middle of the bars."""

MOST_BARS = 12
ENCODER, DECODER, VALUES = PALETTE[0], PALETTE[5], PALETTE[2]


class Layer(NamedTuple):
    """A layer of a network: the shape of what it gives."""

    shape: tuple[int, ...]

    @property
    def text(self) -> str:
        """The shape, written out."""
        return "x".join(map(str, self.shape))

    @property
    def height(self) -> float:
        """The height of its bar, in inches: it grows with the logarithm of the numbers it gives."""
        return LOWEST + 0.42 * math.log10(max(1, math.prod(self.shape)))


class Box(NamedTuple):
    """A distribution or a value: what it is, and more about it in a line below."""

    name: str
    more: str


def architecture(
    data: Box,
    encoder: Sequence[Layer],
    posterior: Box,
    prior: Box,
    decoder: Sequence[Layer],
    likelihood: Box,
    title: str,
) -> Figure:
    """Draw x -> encoder -> q(z|x) -> decoder -> p(x|z), and the prior p(z) above what it is compared with.

    Bars are the layers of a network, as high as the logarithm of the numbers they give, with their shapes; of more than
    twelve, those between are left out.

    Args:
      data: x.
      encoder: the layers of its network.
      posterior: q(z|x).
      prior: p(z).
      decoder: the layers of its network.
      likelihood: p(x|z).
      title: written above.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(layout=None)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        reach = 0.3
        reach, _ = _box(axes, data, reach, VALUES)
        reach = _bars(axes, _few(encoder), _arrow(axes, reach), ENCODER, "encoder")
        reach, middle = _box(axes, posterior, _arrow(axes, reach), ENCODER)
        _box(axes, prior, middle - BOX / 2, PALETTE[9], up=1.45)
        _join(axes, (middle, 1.02), (middle, 0.43), "KL", style="<|-|>")
        reach = _bars(axes, _few(decoder), _arrow(axes, reach, "z"), DECODER, "decoder")
        reach, _ = _box(axes, likelihood, _arrow(axes, reach), DECODER)
        depth = max(0.5, *(layer.height / 2 for layer in (*encoder, *decoder))) + 0.3
        axes.set(xlim=(0, reach + 0.3), ylim=(-depth, TOP))
        axes.text(0.3, TOP - 0.3, title, fontsize=12, weight="bold", va="center")
        figure.set_size_inches(reach + 0.3, TOP + depth)
    return figure


def _few(layers: Sequence[Layer]) -> list[Layer | None]:
    """Return the layers, None in place of those in the middle where there are too many."""
    if len(layers) <= MOST_BARS:
        return list(layers)
    half = MOST_BARS // 2
    return [*layers[:half], None, *layers[-half:]]


def _box(axes: Any, box: Box, left: float, edge: str, up: float = 0.0) -> tuple[float, float]:
    """Draw a box, and return where it ends and its middle."""
    shape = FancyBboxPatch(
        (left, up - 0.42), BOX, 0.84, boxstyle="round,pad=0,rounding_size=0.12", facecolor="white", edgecolor=edge,
        linewidth=1.8,
    )  # fmt: skip
    axes.add_patch(shape)
    middle = left + BOX / 2
    axes.text(middle, up + 0.16, box.name, ha="center", va="center", weight="bold", fontsize=12)
    size = 9 if len(box.more) < 24 else 9 * 23 / len(box.more)
    axes.text(middle, up - 0.18, box.more, ha="center", va="center", fontsize=size)
    return left + BOX, middle


def _bars(axes: Any, layers: Sequence[Layer | None], left: float, fill: str, name: str) -> float:
    """Draw a network's bars, and return where they end."""
    starts = list(itertools.accumulate([left, *[BAR + GAP] * len(layers)]))
    for layer, start in zip(layers, starts[:-1], strict=True):
        _bar(axes, layer, start, fill)
    end = starts[-1] - GAP
    axes.text((left + end) / 2, 1.5, name, ha="center", va="center", color=fill, weight="bold")
    return end


def _bar(axes: Any, layer: Layer | None, start: float, fill: str) -> None:
    if layer is None:
        axes.text(start + BAR / 2, 0, "···", ha="center", va="center", fontsize=14)
        return
    axes.add_patch(Rectangle((start, -layer.height / 2), BAR, layer.height, facecolor=fill, alpha=0.85, linewidth=0))
    inside = layer.height > 0.105 * len(layer.text) + 0.15
    place = 0.0 if inside else -layer.height / 2 - 0.06
    axes.text(
        start + BAR / 2, place, layer.text, rotation=90, fontsize=9,
        color="white" if inside else "black", ha="center", va="center" if inside else "top",
    )  # fmt: skip


def _arrow(axes: Any, start: float, name: str = "") -> float:
    """Draw an arrow to the right, and return where it ends."""
    end = start + 0.42 + 0.2 * bool(name)
    _join(axes, (start + 0.05, 0), (end - 0.05, 0), "")
    axes.text((start + end) / 2, 0.16, name, ha="center", style="italic")
    return end


def _join(axes: Any, start: tuple[float, float], end: tuple[float, float], name: str, style: str = "-|>") -> None:
    arrow = FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=11, color="#444444", shrinkA=0, shrinkB=0)
    axes.add_patch(arrow)
    axes.text(start[0] + 0.1, (start[1] + end[1]) / 2, name, va="center", fontsize=9)
