"""The architecture as a diagram."""

from __future__ import annotations

from tfp_vae.plots import diagrams


def test_diagram_names_its_parts_and_limits_its_bars() -> None:
    layers = [diagrams.Layer((14, 14, 32)), diagrams.Layer((4,))]
    boxes = [diagrams.Box(name, f"{name} kind") for name in ("x", "q", "p", "likelihood")]
    figure = diagrams.architecture(boxes[0], layers, boxes[1], boxes[2], [diagrams.Layer((5,))] * 30, boxes[3], "title")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {"14x14x32", "4", "q kind", "likelihood kind", "title", "encoder", "decoder", "KL"} <= set(texts)
    assert texts.count("5") == diagrams.MOST_BARS
    assert texts.count("···") == 1
    heights = [bar.get_height() for bar in figure.axes[0].patches if hasattr(bar, "get_xy") and hasattr(bar, "angle")]
    assert heights[0] > heights[1] > 0
