"""Examples with their values and names."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tests.helpers.figures import first_image
from tfp_vae import plots
from tfp_vae.plots import rankings

FILES = [f"portraits/a-{i}-very-long-name-of-a-picture-{i}.png" for i in range(9)]


@pytest.mark.parametrize("side", [8, 28])
def test_caption_is_nearer_to_its_own_tile_than_to_the_next(side: int, rng: np.random.Generator) -> None:
    axes = plots.ranking(rng.random((6, side, side, 1)), -np.arange(6.0) * 1_000, "title").axes[0]
    pitch = first_image(axes.figure).shape[0] / 2
    axes.figure.canvas.draw()
    for i, text in enumerate(axes.texts):
        box = axes.transData.inverted().transform(text.get_window_extent().get_points())
        top, bottom = sorted(box[:, 1])
        row = i // 3
        assert 0 <= top + 0.5 - (row * pitch + side) < (row + 1) * pitch - bottom + 0.1 * side
    assert [text.get_text() for text in axes.texts[:3]] == ["0", "\N{MINUS SIGN}1,000", "\N{MINUS SIGN}2,000"]


def test_rows_of_vectors_are_named_by_their_values(rng: np.random.Generator) -> None:
    x = rng.random((3, 4))
    axes = plots.ranking(x, np.array([-7.0, -5.0, 2.0]), "title", list("abcd")).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), x)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["\N{MINUS SIGN}7", "\N{MINUS SIGN}5", "2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == list("abcd")


def test_extremes_show_the_least_above_the_most_likely(rng: np.random.Generator) -> None:
    x, values = rng.random((9, 4, 4, 1)).astype(np.float32), np.arange(9.0)[::-1]
    figure = plots.extremes(x, values, count=2)
    np.testing.assert_array_equal(first_image(figure)[:4, :4], x[8, ..., 0])
    assert [text.get_text() for text in figure.axes[0].texts] == ["0", "1", "8", "7"]
    maps = plots.extremes(x.reshape(9, 16), values, count=2, features=list("abcdefghijklmnop")).axes
    np.testing.assert_array_equal(maps[1].images[0].get_array(), x.reshape(9, 16)[:2])


def test_extreme_vectors_are_lines_with_their_values_and_names(rng: np.random.Generator) -> None:
    x, values, names = rng.random((9, 16)), np.arange(9.0)[::-1], [f"row {i}" for i in range(9)]
    panels = [axes for axes in plots.extremes(x, values, count=2, names=names).axes if axes.get_visible()]
    np.testing.assert_array_equal([axes.lines[0].get_ydata() for axes in panels], x[[8, 7, 0, 1]])
    heads = ["least\nrow 8: 0 nats", "least\nrow 7: 1 nats", "most\nrow 0: 8 nats", "most\nrow 1: 7 nats"]
    assert [axes.get_title() for axes in panels] == heads
    ranked = plots.ranking(x[:2], values[:2], "title", names=names[:2])
    assert [axes.get_title() for axes in ranked.axes] == ["row 0: 8", "row 1: 7"]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (5, 5), (6, 3), (16, 4)])
def test_values_are_below_the_middle_of_their_tiles(count: int, columns: int, rng: np.random.Generator) -> None:
    axes = plots.ranking(rng.random((count, 8, 8, 1)), -np.arange(float(count)), "title").axes[0]
    pitch = first_image(axes.figure).shape[1] / columns
    for i, text in enumerate(axes.texts):
        assert text.get_position()[0] == pytest.approx(i % columns * pitch + 3.5)


@pytest.mark.parametrize("draw", ["extremes", "ranking"])
def test_tiles_name_their_files_below_their_values(draw: str, rng: np.random.Generator) -> None:
    """Below each tile are the value and the file name of its example, within the width of the tile."""
    x, values = rng.random((9, 8, 8, 3)), np.arange(9.0)[::-1]
    figures = {
        "extremes": (lambda: plots.extremes(x, values, "a title " * 9, 4, names=FILES), [8, 7, 6, 5, 0, 1, 2, 3]),
        "ranking": (lambda: plots.ranking(x, values, "title", names=FILES), list(range(9))),
    }
    figure, order = figures[draw][0](), figures[draw][1]
    axes, columns = figure.axes[0], 4 if draw == "extremes" else 3
    picture, size = first_image(figure), first_image(figure).shape[1] // columns
    FigureCanvasAgg(figure).draw()
    boxes = [axes.transData.inverted().transform(text.get_window_extent().get_points()) for text in axes.texts]
    for i, (row, text, box) in enumerate(zip(order, axes.texts, boxes, strict=True)):
        value, *parts = text.get_text().split("\n")
        name = "".join(parts)
        first, _, last = name.partition("\N{HORIZONTAL ELLIPSIS}")
        assert value == f"{values[row]:.0f}"
        assert FILES[row].startswith(first)
        assert FILES[row].endswith(last)
        assert str(row) in last
        top, left = i // columns * picture.shape[0] // (len(order) // columns), i % columns * size
        np.testing.assert_allclose(picture[top : top + 8, left : left + 8], x[row], rtol=1e-6)
        low, high = sorted(box[:, 1])
        assert np.ptp(box[:, 0]) < size
        assert top + 7 < low < high < top + picture.shape[0] / (len(order) // columns) + 1


def test_tiny_tiles_have_no_names_and_no_room_for_them(rng: np.random.Generator) -> None:
    """If names do not fit, the picture equals one without names and has no empty space for them."""
    x = rng.random((400, 8, 8, 1))
    with_names, without = (
        plots.ranking(x, np.zeros(400), "title", names=names) for names in ([f"{'a' * 20}.png"] * 400, [])
    )
    assert {text.get_text() for text in with_names.axes[0].texts} == {"0"}
    np.testing.assert_array_equal(with_names.get_size_inches(), without.get_size_inches())
    np.testing.assert_array_equal(first_image(with_names), first_image(without))
    with pytest.raises(ValueError, match="zip"):
        plots.ranking(rng.random((3, 8, 8, 1)), np.zeros(3), "title", names=["a.png"])


def test_names_rows_of_tables(rng: np.random.Generator) -> None:
    x, values, names = rng.random((6, 3)), np.array([3.0, 1, 2, 6, 5, 4]), [f"row {i}" for i in range(6)]
    least, most = plots.extremes(x, values, "title", 2, list("abc"), names=names).axes[:2]
    assert [label.get_text() for label in least.get_yticklabels()] == ["row 1", "row 2"]
    assert [label.get_text() for label in most.get_yticklabels()] == ["row 3", "row 4"]
    axes = plots.ranking(x, values, "title", list("abc"), names=names).axes[0]
    assert axes.get_yticklabels()[3].get_text() == "row 3: 6"


@pytest.mark.parametrize(
    ("name", "letters", "lines", "told"),
    [
        ("img545.png", 12, 1, "img545.png"),
        ("red/img545.png", 20, 2, "red/img545.png"),
        ("class number 0/img545.png", 10, 2, "class\u2026r 0/\nimg545.png"),
        ("red/a-photograph-of-1999.png", 10, 2, "red/\n\u2026-1999.png"),
        ("portrait0001.png", 10, 2, "portrait00\n01.png"),
        ("portrait0001.png", 10, 1, "portr\u2026.png"),
    ],
)
def test_wrapped_name_separates_file_and_folder(name: str, letters: int, lines: int, told: str) -> None:
    assert rankings.wrap_name(name, letters, lines) == told


@pytest.mark.parametrize(("examples", "each"), [(1, 1), (2, 1), (5, 2), (40, 10)])
def test_extremes_show_at_most_half_of_the_examples_in_each_row(
    examples: int, each: int, rng: np.random.Generator
) -> None:
    axes = plots.extremes(rng.random((examples, 8, 8, 1)), np.arange(float(examples))).axes[0]
    assert len(axes.texts) == 2 * each
    assert [label.get_text() for label in axes.get_yticklabels()] == ["least", "most"]


def test_heads_of_extreme_vectors_give_the_range_of_their_values(rng: np.random.Generator) -> None:
    figure = plots.extremes(rng.random((6, 3)), np.array([-5.0, -1, -9, -3, -7, -2]), "title", 2, list("abc"))
    minus = "\N{MINUS SIGN}"
    heads = [f"least, {minus}9 to {minus}7", f"most, {minus}1 to {minus}2"]
    assert [axes.get_title() for axes in figure.axes[:2]] == heads


@pytest.mark.parametrize("letters", [4, 8, 15])
@pytest.mark.parametrize("name", [*FILES[:2], "a.png", "x" * 50, "a/b/c/d.png", "$" * 30])
def test_wrapped_names_fit_their_lines(letters: int, name: str) -> None:
    lines = rankings.wrap_name(name, letters, 2).replace(r"\$", "$").split("\n")
    assert len(lines) <= 2
    assert max(map(len, lines)) <= letters


def test_short_names_stay_on_one_line() -> None:
    assert rankings.wrap_name("red/1.png", 9, 2) == "red/1.png"


def test_many_ranked_vectors_have_numbers(rng: np.random.Generator) -> None:
    axes = plots.ranking(rng.random((25, 3)), 100 + np.arange(25.0), "title", list("abc")).axes[0]
    axes.figure.canvas.draw()
    labels = {label.get_text() for label in axes.get_yticklabels()}
    assert "0" in labels
    assert labels.isdisjoint(str(value) for value in range(100, 125))
    assert axes.images[0].get_array().shape == (25, 3)
