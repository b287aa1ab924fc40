"""Draw the graphical models of docs/models as SVG files in docs/images.

python docs/make_diagrams.py

A circle is a variable: white if it is latent, grey if it is observed, and dotted if it is only observed in part. Solid
arrows are the generative model, and dashed arrows the posterior q. The box is repeated for each of N examples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

IMAGES = Path(__file__).parent / "images"

PITCH, RADIUS, MARGIN, BEND = 120, 26, 60, 26
"""Distance of neighbours, radius of a circle, room around them, and bend of a dashed arrow, in pixels."""

FILLS = {"latent": "#ffffff", "observed": "#d9dce1", "partly": "#f4f6f8"}
INK, DASHED = "#1c1e21", "#0072b2"

HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
font-family="DejaVu Sans, sans-serif" font-size="17" text-anchor="middle">
<defs>
<marker id="model" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0L10 5L0 10z" fill="{ink}"/></marker>
<marker id="posterior" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">\
<path d="M0 0L10 5L0 10z" fill="{dashed}"/></marker>
</defs>
<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>
<rect x="12" y="12" width="{inner_width}" height="{inner_height}" rx="8" fill="none" stroke="{ink}"/>
<text x="{corner}" y="{bottom}" fill="{ink}" font-size="14">N</text>
"""


class Node(NamedTuple):
    """A variable: its column, its row, and whether it is `latent`, `observed` or `partly` observed."""

    column: float
    row: float
    kind: str = "latent"


class Diagram(NamedTuple):
    """A graphical model: its variables, the arrows of the generative model, and those of the posterior."""

    nodes: Mapping[str, Node]
    model: Sequence[tuple[str, str]]
    posterior: Sequence[tuple[str, str]]


Z_TO_X = {"z": Node(0, 0), "x": Node(1, 0, "observed")}
WITH_NOISE = {**Z_TO_X, "e": Node(0, 1)}

DIAGRAMS = {
    "diagonal-normal": Diagram(Z_TO_X, [("z", "x")], [("x", "z")]),
    "full-covariance": Diagram(
        {"z₁": Node(0, 0), "z₂": Node(0, 1), "x": Node(1, 0.5, "observed")},
        [("z₁", "x"), ("z₂", "x")],
        [("x", "z₁"), ("x", "z₂"), ("z₁", "z₂")],
    ),
    "flows": Diagram(
        {"z": Node(0, 0), "z₀": Node(0, 1), "x": Node(1, 0.5, "observed")},
        [("z", "x")],
        [("x", "z₀"), ("z₀", "z"), ("x", "z")],
    ),
    "mixtures": Diagram(
        {"z": Node(0, 0), "k": Node(0, 1), "x": Node(1, 0.5, "observed")},
        [("z", "x")],
        [("x", "k"), ("k", "z"), ("x", "z")],
    ),
    "semi-implicit": Diagram(WITH_NOISE, [("z", "x")], [("x", "z"), ("e", "z")]),
    "implicit": Diagram(WITH_NOISE, [("z", "x")], [("x", "z"), ("e", "z")]),
    "hierarchical": Diagram(
        {"z₂": Node(0, 0), "z₁": Node(1, 0), "x": Node(2, 0, "observed")},
        [("z₂", "z₁"), ("z₁", "x")],
        [("x", "z₁"), ("z₁", "z₂")],
    ),
    "codes": Diagram(
        {"z₁": Node(0, 0), "z₂": Node(0, 1), "x": Node(1, 0.5, "observed")},
        [("z₁", "x"), ("z₂", "x")],
        [("x", "z₁"), ("x", "z₂")],
    ),
    "conditional": Diagram(
        {"z": Node(0, 0), "x": Node(1, 0, "observed"), "y": Node(1, 1, "observed")},
        [("z", "x"), ("y", "x")],
        [("x", "z"), ("y", "z")],
    ),
    "semi-supervised": Diagram(
        {"z": Node(0, 0), "x": Node(1, 0, "observed"), "y": Node(1, 1, "partly")},
        [("z", "x"), ("y", "x")],
        [("x", "z"), ("y", "z"), ("x", "y")],
    ),
    "columns": Diagram(
        {
            "z": Node(0, 1),
            "x₁": Node(1, 0, "observed"),
            "x₂": Node(1, 1, "partly"),
            "x₃": Node(1, 2, "observed"),
        },
        [("z", "x₁"), ("z", "x₂"), ("z", "x₃")],
        [("x₁", "z"), ("x₂", "z"), ("x₃", "z")],
    ),
}
"""The graphical models by the name of their page."""


def place(node: Node) -> tuple[float, float]:
    """Return the centre of a node, in pixels."""
    return MARGIN + PITCH * node.column, MARGIN + PITCH * node.row


def arrow(start: Node, end: Node, *, dashed: bool) -> str:
    """Return an arrow from the edge of one circle to that of another. A dashed one is bent."""
    (x0, y0), (x1, y1) = place(start), place(end)
    length = math.hypot(x1 - x0, y1 - y0)
    along, across = ((x1 - x0) / length, (y1 - y0) / length), (-(y1 - y0) / length, (x1 - x0) / length)
    turn = 0.45 if dashed else 0.0
    ends = []
    for x, y, sign in ((x0, y0, 1), (x1, y1, -1)):
        to = [sign * math.cos(turn) * along[i] + math.sin(turn) * across[i] for i in (0, 1)]
        ends.append((x + RADIUS * to[0], y + RADIUS * to[1]))
    (a, b), (c, d) = ends
    if not dashed:
        return f'<path d="M{a:.1f} {b:.1f}L{c:.1f} {d:.1f}" stroke="{INK}" fill="none" marker-end="url(#model)"/>'
    middle = (x0 + x1) / 2 + 1.6 * BEND * across[0], (y0 + y1) / 2 + 1.6 * BEND * across[1]
    curve = f"M{a:.1f} {b:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {c:.1f} {d:.1f}"
    return f'<path d="{curve}" stroke="{DASHED}" stroke-dasharray="5 4" fill="none" marker-end="url(#posterior)"/>'


def circle(name: str, node: Node) -> str:
    """Return the circle of a variable with its name."""
    x, y = place(node)
    dots = ' stroke-dasharray="2 3"' if node.kind == "partly" else ""
    shape = f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" fill="{FILLS[node.kind]}" stroke="{INK}"{dots}/>'
    return f'{shape}<text x="{x:g}" y="{y + 6:g}" fill="{INK}" font-style="italic">{name}</text>'


def svg(diagram: Diagram) -> str:
    """Return a graphical model as the text of an SVG file."""
    width, height = (
        round(2 * MARGIN + PITCH * max(getattr(node, side) for node in diagram.nodes.values()))
        for side in ("column", "row")
    )
    frame = {"inner_width": width - 24, "inner_height": height - 24, "corner": width - 24, "bottom": height - 20}
    parts = [arrow(diagram.nodes[a], diagram.nodes[b], dashed=False) for a, b in diagram.model]
    parts += [arrow(diagram.nodes[a], diagram.nodes[b], dashed=True) for a, b in diagram.posterior]
    parts += [circle(name, node) for name, node in diagram.nodes.items()]
    return HEAD.format(width=width, height=height, ink=INK, dashed=DASHED, **frame) + "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    """Write all files."""
    for name, diagram in DIAGRAMS.items():
        (IMAGES / f"model-{name}.svg").write_text(svg(diagram), encoding="utf-8")


if __name__ == "__main__":
    main()
