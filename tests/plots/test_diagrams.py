"""The architecture as a diagram."""

from __future__ import annotations

import pytest

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


def simple(encoder: list[diagrams.Layer], decoder: list[diagrams.Layer]) -> diagrams.Figure:
    box = diagrams.Box("name", "more")
    return diagrams.architecture(box, encoder, box, box, decoder, box, "title")


def test_layers_are_as_high_as_the_logarithm_of_their_output() -> None:
    heights = [diagrams.Layer((size,)).height for size in (1, 10, 100)]
    assert heights == pytest.approx([0.35, 0.77, 1.19])
    assert diagrams.Layer((10, 10)).height == heights[2]
    assert diagrams.Layer((7, 7, 32)).text == "7x7x32"


@pytest.mark.parametrize(("layers", "bars", "dots"), [(0, 0, 1), (1, 1, 0), (12, 12, 0), (13, 12, 1), (30, 12, 1)])
def test_long_networks_have_twelve_bars_and_three_dots(layers: int, bars: int, dots: int) -> None:
    figure = simple([diagrams.Layer((5,))] * layers, [diagrams.Layer((9,))])
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown.count("5") == bars
    assert shown.count("···") == dots


def test_deeper_networks_are_wider_but_not_higher() -> None:
    small, large = (simple([diagrams.Layer((5,))] * n, [diagrams.Layer((5,))]) for n in (1, 6))
    assert large.get_figwidth() > small.get_figwidth() + 2
    assert large.get_figheight() == small.get_figheight()


def test_low_bars_have_their_shape_below() -> None:
    axes = simple([diagrams.Layer((10, 1, 1)), diagrams.Layer((28, 28, 512))], [diagrams.Layer((5,))]).axes[0]
    places = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert places["28x28x512"] == 0
    assert places["5"] == 0
    assert places["10x1x1"] == pytest.approx(-diagrams.Layer((10,)).height / 2 - 0.06)


def test_parts_are_in_order_from_left_to_right() -> None:
    boxes = [diagrams.Box(name, "") for name in ("x", "q", "p", "likelihood")]
    layer = [diagrams.Layer((5,))]
    axes = diagrams.architecture(boxes[0], layer, boxes[1], boxes[2], layer, boxes[3], "title").axes[0]
    places = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert places["x"] < places["encoder"] < places["q"] < places["z"] < places["decoder"] < places["likelihood"]
    assert places["p"] == places["q"]
