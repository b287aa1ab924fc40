"""Rows of a table with their most surprising cells."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pytest

from tests.helpers.figures import collisions
from tfp_vae.plots.tables import unusual_cells
from tfp_vae.plots.tables.cells import MOST_COLUMNS, MOST_ROWS, rows_and_columns


def texts(rows: int, columns: int) -> list[list[str]]:
    return [[f"{i}.{j}" if (i + j) % 3 else "M" * 40 for j in range(columns)] for i in range(rows)]


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (30, 5), (30, 500)])
def test_labels_never_meet(rows: int, columns: int, rng: np.random.Generator) -> None:
    names = [f"{'W' * (5 * (i % 9))} $ \u732b {i}" for i in range(max(rows, columns))]
    surprise = rng.normal(size=(rows, columns))
    title = "Least likely cells of some test rows, K = 100; surprise: nats below the median of the column"
    assert collisions(unusual_cells(surprise, texts(rows, columns), names[:rows], names[:columns], title)) == []


def test_most_surprising_rows_come_first_with_their_texts(rng: np.random.Generator) -> None:
    surprise = np.array([[0.1, 0.2], [np.nan, 9.0], [4.0, 0.0]])
    cells = [["a", "b"], ["", "d"], ["e", "f"]]
    axes, bar = unusual_cells(surprise, cells, ["row 1", "row 2", "row 3"], ["x", "y"], "Cells").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["row 2", "row 3", "row 1"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y"]
    assert [text.get_text() for text in axes.texts] == ["", "d", "e", "f", "a", "b"]
    np.testing.assert_array_equal(np.ma.filled(axes.images[0].get_array(), np.nan), surprise[[1, 2, 0]])
    assert axes.images[0].get_clim() == (0, 9)
    colors = [matplotlib.colors.to_hex(text.get_color()) for text in axes.texts]
    assert colors[1] == "#ffffff"
    assert set(colors[2:]) == {"#000000"}
    assert bar.get_ylabel() == "surprise, nats"


def test_every_row_is_shown_with_its_most_surprising_cell(rng: np.random.Generator) -> None:
    surprise = rng.normal(size=(200, 300))
    rows, columns = rows_and_columns(surprise)
    assert (len(rows), len(columns)) == (MOST_ROWS, MOST_COLUMNS)
    assert {int(surprise[row].argmax()) for row in rows} <= set(columns)
    assert rows[0] == surprise.max(axis=1).argmax()
    assert columns == sorted(columns)
    assert (np.diff(surprise.max(axis=1)[rows]) <= 0).all()


def test_title_says_how_many_columns_are_shown() -> None:
    surprise = np.eye(3, 40)
    figure = unusual_cells(surprise, texts(3, 40), ["a", "b", "c"], [str(i) for i in range(40)], "Cells")
    assert figure.get_suptitle() == "Cells, 12 of 40 columns"


def test_small_surprises_have_pale_colours() -> None:
    figure = unusual_cells(np.full((2, 2), 0.3), texts(2, 2), ["a", "b"], ["x", "y"], "Cells")
    assert figure.axes[0].images[0].get_clim() == (0, 5)


def test_one_extreme_cell_does_not_hide_the_others() -> None:
    surprise = np.diag([100.0, 6, 5, 4, 3])
    axes, bar = unusual_cells(surprise, texts(5, 5), list("abcde"), list("vwxyz"), "Cells").axes
    assert axes.images[0].get_clim() == (0, 15)
    assert [text.get_color() for text in axes.texts[:2]] == ["white", "black"]
    assert bar.get_ylim() == (0, 15)
