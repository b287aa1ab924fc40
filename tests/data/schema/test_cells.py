"""Cells: the different texts of a column, and markers of missing cells."""

from __future__ import annotations

import numpy as np

from tfp_vae.data.schema.cells import Cells, Distinct, list_problems, text_array


def test_distinct_texts_keep_the_order_of_their_first_row() -> None:
    found = Distinct.of(text_array(["b", " a ", "b", "", "c"]))
    assert found.texts == ["b", "a", "c"]
    assert found.codes.tolist() == [0, 1, 0, -1, 2]
    assert found.counts.tolist() == [2, 1, 1]
    assert found.first_rows(np.array([True, False, True])) == {"b": 0, "c": 4}


def test_markers_are_missing_in_any_case_unless_they_are_words() -> None:
    column = text_array(["NA", "na", "?", "NaN", "-", "#N/A", "Rome"])
    assert Distinct.of(column).texts == ["Rome"]
    assert Distinct.of(column, words=("NA",)).texts == ["NA", "Rome"]


def test_a_number_as_marker_covers_all_its_spellings() -> None:
    found = Distinct.of(text_array(["-200", "-200.0", "-200,0", "-$200", "-200 kg", "200", "x"]), missing=("-200", "x"))
    assert found.texts == ["200"]


def test_spread_gives_each_cell_the_value_of_its_text() -> None:
    found = Distinct.of(text_array(["b", "", "a", "b"]))
    np.testing.assert_array_equal(found.spread(np.array([1.5, 2.5])), [1.5, np.nan, 2.5, 1.5])


def test_cells_find_a_column_by_name() -> None:
    cells = Cells("t.csv", ("x", "y"), (text_array(["1"]), text_array(["2"])), np.array([2]))
    assert cells.column("y").tolist() == ["2"]
    assert cells.lines.tolist() == [2]


def test_error_lists_twenty_problems_and_counts_the_rest() -> None:
    text = str(list_problems("t.csv", [f"line {i}: wrong" for i in range(1, 31)], "Correct them."))
    assert text.startswith("t.csv: 30 problems.\n  line 1: wrong\n")
    assert "line 20" in text
    assert "line 21" not in text
    assert text.endswith("and 10 more\nCorrect them.")
