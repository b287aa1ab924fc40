"""The common look: colours, tones, ranges, texts and PNG files."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pytest

from tests.helpers import memory
from tests.helpers.figures import pixels, texts
from tests.helpers.files import encoded, gif_bomb, png_bomb, png_text_bomb
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


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.0, ",.0f", "0"),
        (-0.3, ",.0f", "0"),
        (-0.6, ",.0f", "\N{MINUS SIGN}1"),
        (2.5, ",.0f", "2"),
        (-12_345.6, ",.0f", "\N{MINUS SIGN}12,346"),
        (1_234.5, ",.10g", "1,234.5"),
        (-0.25, ",.10g", "\N{MINUS SIGN}0.25"),
    ],
)
def test_numbers_have_commas_and_a_minus_sign(value: float, form: str, text: str) -> None:
    assert canvas.number_text(value, form) == text


def test_colours_repeat_after_ten_classes_with_another_marker_and_hatch() -> None:
    assert canvas.color(3) == canvas.color(13)
    assert (canvas.marker(3), canvas.hatch(3)) == ("o", "")
    assert (canvas.marker(13), canvas.hatch(13)) == ("^", "///")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (None, None),
        (np.array([3, 1, 3]), [1, 3]),
        (np.array(["b", "a"]), ["a", "b"]),
        (np.array([0.5, 1.5]), [0.5, 1.5]),
        (np.array([0.5, np.nan]), None),
        (np.array([0.5, np.inf]), None),
        (np.arange(20), list(range(20))),
        (np.arange(21), None),
    ],
)
def test_up_to_twenty_finite_labels_are_classes(labels: np.ndarray | None, classes: list[object] | None) -> None:
    found = canvas.classes_of(labels)
    assert (None if found is None else found.tolist()) == classes


def test_examples_have_the_colours_of_their_classes() -> None:
    first, second = canvas.PALETTE[:2]
    assert canvas.colors_of(np.array([7, 5, 7]), 3) == [second, first, second]
    assert canvas.colors_of(None, 2) == canvas.colors_of(np.arange(21), 2) == [first, first]


def test_tones_are_linear_within_their_limits() -> None:
    tones = canvas.Range(-2, 2).tones(np.array([-5, -2, 0, 1, 2, 9]))
    np.testing.assert_allclose(tones, [0, 0, 0.5, 0.75, 1, 1])


@pytest.mark.parametrize(
    ("values", "ends"), [([0, 1], "neither"), ([-1, 0], "min"), ([0, 2], "max"), ([-1, 2], "both")]
)
def test_colour_bars_have_arrows_for_values_beyond_their_ends(values: list[float], ends: str) -> None:
    assert canvas.UNIT_RANGE.extend(np.array(values)) == ends


def test_range_ignores_values_that_are_not_finite() -> None:
    x = np.array([np.nan, -np.inf, 3.0, 5.0, np.inf])
    assert canvas.range_of(x) == pytest.approx((3, 5), abs=0.01)
    assert canvas.range_of(np.array([np.nan])) == canvas.UNIT_RANGE


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_range_follows_the_scale_of_the_values(scale: float, rng: np.random.Generator) -> None:
    x = rng.normal(size=5_000)
    np.testing.assert_allclose(canvas.range_of(scale * x), scale * np.array(canvas.range_of(x)), rtol=1e-9)


def test_number_of_bins_never_falls() -> None:
    bins = [canvas.bin_count(count) for count in range(1, 2_000)]
    assert bins == sorted(bins)
    assert (bins[0], bins[99], bins[-1]) == (8, 20, 60)


@pytest.mark.parametrize(
    ("x", "ink"),
    [(np.eye(8), True), (1 - np.eye(8), False), (np.linspace(0, 1, 64), False), (np.zeros(9), False),
     (np.full(9, np.nan), False), (255 * np.eye(8), True), (np.eye(8) + 0.02 * np.tri(8), True),
     (np.r_[np.zeros(40), np.linspace(0.1, 0.3, 23), 1.0], False)],
)  # fmt: skip
def test_ink_has_a_background_of_low_values(x: np.ndarray, ink: bool) -> None:
    assert canvas.is_ink(x) is ink


def test_notebook_shows_a_figure_once_as_a_picture(rng: np.random.Generator) -> None:
    pytest.importorskip("IPython")
    from IPython.core.formatters import DisplayFormatter

    figure = plots.image_grid(rng.random((4, 8, 8, 1)), "title")
    content, _ = DisplayFormatter().format(figure)
    assert content.keys() == {"text/plain", "image/png"}
    assert content["image/png"] == plots.png(figure)


@pytest.mark.parametrize("about", ["", "weights final, of step 24; seed 0", "± 1"])
def test_png_keeps_its_description(about: str) -> None:
    assert canvas.description(canvas.png(canvas.Figure(figsize=(1, 1)), about)) == about


def test_files_that_are_not_pictures_have_no_description() -> None:
    with pytest.raises(OSError, match="cannot identify image file"):
        canvas.description(b"<html>")


def test_png_has_150_dots_per_inch() -> None:
    figure = canvas.Figure(figsize=(4, 2))
    figure.add_axes((0, 0, 1, 1))
    height, width = pixels(figure, canvas.DPI).shape[:2]
    assert width == pytest.approx(4 * canvas.DPI, rel=0.2)
    assert height == pytest.approx(2 * canvas.DPI, rel=0.3)


@pytest.mark.parametrize("bomb", [gif_bomb(), gif_bomb(12_000), png_bomb(), png_bomb(9_000), png_text_bomb()])
def test_picture_that_unpacks_to_gigabytes_is_refused_in_little_memory(bomb: bytes) -> None:
    assert len(bomb) < 20_000
    with memory.at_most(20_000_000), pytest.raises(OSError, match=r"."), canvas.open_picture(bomb):
        pytest.fail("the picture was opened")


def test_good_picture_opens_and_errors_of_its_use_are_os_errors() -> None:
    content = encoded(np.zeros((2, 3), np.uint8))
    with canvas.open_picture(content) as picture:
        assert picture.size == (3, 2)
    with pytest.raises(OSError, match=r"."), canvas.open_picture(content) as picture:
        picture.seek(7)


def test_style_ends_with_its_block() -> None:
    before = mpl.rcParams["axes.grid"], mpl.rcParams["axes.titlesize"]
    with canvas.style():
        assert mpl.rcParams["axes.grid"]
    with canvas.style(grid=False):
        assert not mpl.rcParams["axes.grid"]
        assert mpl.rcParams["axes.titlesize"] == canvas.TITLE_SIZE
    assert (mpl.rcParams["axes.grid"], mpl.rcParams["axes.titlesize"]) == before


def test_public_functions_of_plots_are_reached_by_name() -> None:
    assert set(plots.__all__) <= set(dir(plots))
    for name in plots.__all__:
        found = getattr(plots, name)
        assert getattr(found, "__module__", found.__name__).startswith("tfp_vae.plots.")
    with pytest.raises(AttributeError, match="has no attribute 'pie_chart'"):
        _ = plots.pie_chart


def test_distinct_colours_differ_clearly() -> None:
    colors = [np.array(mpl.colors.to_rgb(color)) for color in canvas.PALETTE]
    assert min(np.abs(a - b).sum() for a, b in itertools.combinations(colors, 2)) > 0.25
