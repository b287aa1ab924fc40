"""The distribution of each column, of numbers, words and dates."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import collisions
from tfp_vae.plots.tables import ColumnLabel, column_panels, columns
from tfp_vae.plots.tables.columns import column_difference

WORDS = ("red", "green", "blue")


def table(rng: np.random.Generator, columns: int, rows: int = 60) -> tuple[np.ndarray, list[ColumnLabel]]:
    """Columns of all kinds in turn, with long names and words, and one in seven without a cell."""
    kinds = {
        0: (ColumnLabel("W" * 30), lambda i: rng.normal(size=rows) * 10.0 ** (i % 19 - 9)),
        1: (ColumnLabel("words " * 9, tuple("M" * (k % 30) + str(k) for k in range(40))), lambda i: rng.random(rows)),
        2: (ColumnLabel("a date", is_date=True), lambda i: rng.random(rows) * 10.0 ** (i % 6 - 1)),
        3: (ColumnLabel("$\u732b$" * 20), lambda i: 1.6e9 + 10 * rng.random(rows)),
        4: (ColumnLabel("income"), lambda i: np.exp(rng.normal(0, 3, rows))),
        5: (ColumnLabel("sex", ("female", "male")), lambda i: rng.integers(0, 2, rows)),
        6: (ColumnLabel("empty"), lambda i: np.full(rows, np.nan)),
    }
    chosen = [kinds[i % len(kinds)] for i in range(columns)]
    values = np.column_stack([make(i) for i, (_, make) in enumerate(chosen)])
    values[rng.random(values.shape) < 0.1] = np.nan
    return values, [label._replace(name=f"{label.name} {i}") for i, (label, _) in enumerate(chosen)]


@pytest.mark.parametrize("count", [1, 5, pytest.param(500, marks=pytest.mark.slow)])
def test_labels_never_meet(count: int, rng: np.random.Generator) -> None:
    real, labels = table(rng, count)
    made, _ = table(rng, count)
    figure = column_panels(real, made, labels, "Columns of 60 test rows and of 60 draws from p(x)")
    assert collisions(figure) == []
    assert len(figure.axes) == min(count, columns.MOST_PANELS)


def test_numbers_are_shares_in_common_bins(rng: np.random.Generator) -> None:
    real, made = rng.normal(size=(400, 1)), rng.normal(1, 1, (900, 1))
    real[:40] = np.nan
    axes = column_panels(real, made, [ColumnLabel("height")], "Columns").axes[0]
    bars, outline = axes.containers[0], axes.patches[-1].get_path().vertices
    assert sum(bar.get_height() for bar in bars) == pytest.approx(1, abs=0.01)
    edges = np.array([*(bar.get_x() for bar in bars), bars[-1].get_x() + bars[-1].get_width()])
    expected = np.histogram(made, edges)[0] / 900
    np.testing.assert_allclose(outline[1:-1:2, 1], expected)
    assert [text.get_text() for text in axes.texts] == ["10% missing"]
    assert axes.get_title() == "height"


def test_words_have_a_bar_each_for_data_and_samples() -> None:
    real, made = (np.array(x, float)[:, np.newaxis] / 2 for x in ([0, 0, 1, 2], [2, 2, 2, 1]))
    figure = column_panels(real, made, [ColumnLabel("colour", WORDS)], "Columns", ("data", "synthetic"))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(WORDS)
    assert [bar.get_width() for bar in axes.containers[0]] == [0.5, 0.25, 0.25]
    assert [bar.get_width() for bar in axes.containers[1]] == [0, 0.25, 0.75]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first word is on top
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["data", "synthetic"]


def test_rare_words_share_a_bar(rng: np.random.Generator) -> None:
    words = tuple(f"word {k}" for k in range(20))
    real = np.repeat(np.arange(20), np.arange(1, 21))[:, np.newaxis] / 19
    axes = column_panels(real, real, [ColumnLabel("many", words)], "Columns").axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [*(f"word {k}" for k in range(13, 20)), "13 others"]
    shares = [bar.get_width() for bar in axes.containers[0]]
    np.testing.assert_allclose(shares, np.array([*range(14, 21), sum(range(1, 14))]) / 210)


def test_long_tails_have_a_logarithmic_axis(rng: np.random.Generator) -> None:
    real = np.exp(rng.normal(9, 2, (500, 1)))
    axes = column_panels(real, real, [ColumnLabel("income")], "Columns").axes[0]
    low, high = axes.get_xlim()
    assert np.log10(real).min() - 1 < low < np.log10(np.median(real)) < high < np.log10(real).max() + 1
    assert "1e4" in [label.get_text() for label in axes.get_xticklabels()]
    assert sum(bar.get_height() for bar in axes.containers[0]) == pytest.approx(1, abs=0.01)


def test_figure_shows_the_columns_that_differ_most(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MOST_PANELS", 3)
    real = np.column_stack([rng.normal(size=(300, 4)), rng.integers(0, 3, (300, 2)) / 2])
    made = real.copy()
    made[:, [0, 2]] += 9
    made[:, 5] = 1
    labels = [*(ColumnLabel(f"c{i}") for i in range(4)), *(ColumnLabel(f"c{i}", WORDS) for i in (4, 5))]
    figure = column_panels(real, made, labels, "Columns")
    assert [axes.get_title() for axes in figure.axes] == ["c0", "c2", "c5"]
    assert figure.get_suptitle() == "Columns, the 3 of 6 columns that differ most"


def test_difference_of_words_is_their_total_variation() -> None:
    label = ColumnLabel("colour", WORDS)
    real, made = np.array([0, 0, 0.5, 1, np.nan]), np.array([1, 1, 1, 0.5])
    assert column_difference(real, made, label) == pytest.approx(0.5)
    assert column_difference(real, real, label) == 0


def test_column_without_a_cell_does_not_differ() -> None:
    assert column_difference(np.full(3, np.nan), np.zeros(3), ColumnLabel("empty")) == 0
    assert column_difference(np.zeros(3), np.ones(3), ColumnLabel("x")) == 1
