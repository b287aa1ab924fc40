"""Sheets show the values of examples: as pixels, as numbers, or as the cells of a table."""

from __future__ import annotations

import numpy as np

from tests.helpers.pages import picture_in
from tfp_vae.reports import RunData
from tfp_vae.reports.explorer.sheets import MOST_CELLS, Shower, cell_text, choose_cells


def test_images_are_tiles_dark_on_white_for_ink(flat: RunData) -> None:
    x = flat.test.x[:5]
    shower = Shower(flat.config.data, x, x)
    sheet = shower.sheet(x, columns=2)
    assert (sheet.width, sheet.height, sheet.columns) == (8, 8, 2)
    tile = np.asarray(picture_in(sheet.sprite))[8:16, 8:16]  # the fourth
    np.testing.assert_array_equal(tile, np.round(255 * (1 - x[3, ..., 0])))


def test_series_are_numbers(vectors: RunData) -> None:
    x = vectors.test.x
    sheet = Shower(vectors.config.data, x, x).sheet(x, columns=1)
    assert sheet.sprite is None
    np.testing.assert_allclose(sheet.series, vectors.config.data.shown(x), rtol=1e-3)


def test_rows_of_a_table_are_texts_in_the_units_of_the_source(mixed: RunData) -> None:
    x = mixed.test.x
    shower = Shower(mixed.config.data, x, x)
    cells = mixed.config.data.as_columns(x)
    assert set(shower.features) == set(cells)
    row = dict(zip(shower.features, (shower.sheet(x, 1).cells or [])[2], strict=True))
    assert row == {name: cell_text(values[2]) for name, values in cells.items()}


def test_the_columns_that_vary_most_are_shown_in_their_order() -> None:
    names = [f"c{i}" for i in range(40)]
    decoded = np.outer([0, 1, 2], np.arange(40))
    assert choose_cells(names, decoded) == names[-MOST_CELLS:]
    assert choose_cells(names[:3], decoded) == names[:3]


def test_cells_have_four_digits() -> None:
    assert [cell_text(value) for value in (1.23456, "red", 7)] == ["1.235", "red", "7"]
