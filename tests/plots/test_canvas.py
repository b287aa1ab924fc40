"""The common look: colours, tones, ranges, texts and PNG files."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import pixels, texts
from tfp_vae import plots
from tfp_vae.plots import canvas, scatter, tiles

TEXT = "$x^$"
"""A text that matplotlib would read as a formula, and an invalid one."""


def test_palette_has_ten_different_colours() -> None:
    assert len(set(canvas.PALETTE)) == 10


def test_range_excludes_single_outliers(rng: np.random.Generator) -> None:
    counts = rng.poisson(9.0, size=(50, 8, 8, 1)).astype(np.float32)
    counts[0, 0, 0] = 1e6
    assert canvas.range_of(counts).high < 30
    assert canvas.range_of(np.full((2, 3), 7.0)) == (7, 7)
    assert tiles.tile(np.full((1, 2, 2, 1), 7.0), 1, 1, canvas.Range(7, 7)).max() == 0
    assert canvas.range_of(np.array([0.2, 0.9])) == canvas.range_of(np.zeros(0)) == (0, 1)


def test_long_class_names_are_shortened_in_the_middle() -> None:
    assert canvas.class_name("a" * 20) == "a" * 20
    assert canvas.class_name("a" * 20 + "z") == "a" * 10 + "\N{HORIZONTAL ELLIPSIS}" + "a" * 8 + "z"
    assert canvas.class_name(7) == "7"


@pytest.mark.parametrize("most", range(1, 9))
def test_shortened_text_keeps_both_ends(most: int) -> None:
    text = canvas.shorten("abcdefgh", most)
    first, _, last = text.partition("\N{HORIZONTAL ELLIPSIS}")
    assert len(text) == most
    assert "abcdefgh".startswith(first)
    assert "abcdefgh".endswith(last)
    assert (text == "abcdefgh") is (most == 8)


def test_titles_of_all_figures_have_one_size(rng: np.random.Generator) -> None:
    x, labels = rng.random((4, 8, 8, 1)), np.arange(4)
    lines = [dict.fromkeys(("elbo", "validation_elbo"), -1.0) | dict.fromkeys(("distortion", "rate"), 1.0)]
    lines[0] |= {"epoch": 1, "validation_distortion": 1.0, "validation_rate": 1.0}
    points = rng.normal(size=(4, 2))
    figures = [
        plots.image_grid(x, "t"), plots.ranking(x, np.zeros(4), "t"), plots.extremes(x, np.arange(4.0)),
        plots.manifold(x, 2), plots.values_by_class(np.arange(4.0), labels, "t", "what"),
        plots.learning_curves(lines), scatter.latent_scatter(points, labels, None, ("a", "b"), "t" * 60),
    ]  # fmt: skip
    assert {figure.axes[0].title.get_fontsize() for figure in figures} == {canvas.TITLE_SIZE}
    assert plots.image_grid(x[..., 0, 0], "t").get_suptitle() == "t"
    assert plots.image_grid(x[..., 0, 0], "t")._suptitle.get_fontsize() == canvas.TITLE_SIZE


@pytest.mark.parametrize("draw", ["classes", "scatter", "features", "images", "rows", "extremes"])
def test_texts_from_the_data_are_not_formulas(draw: str, rng: np.random.Generator) -> None:
    labels, x, values = np.array([TEXT, "b"] * 10), rng.random((20, 2)), rng.random(20)
    figures = {
        "classes": lambda: plots.log_likelihood_histogram(values, labels, f"{TEXT}.csv"),
        "scatter": lambda: scatter.latent_scatter(x, labels),
        "features": lambda: plots.image_grid(x, f"{TEXT}.csv", features=[TEXT, "b"]),
        "images": lambda: plots.image_grid(rng.random((4, 4, 4, 1)), TEXT),
        "rows": lambda: plots.ranking(x, values, f"{TEXT}.csv", [TEXT, "b"], [TEXT] * 20),
        "extremes": lambda: plots.extremes(x, values, "title", 2, [TEXT, "b"], [TEXT] * 20),
    }
    figure = figures[draw]()
    assert pixels(figure).std() > 0.01
    assert any(TEXT in text for text in texts(figure))
