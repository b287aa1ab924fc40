"""The cell that makes a row unusual."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.incomplete import IncompleteGaussian
from tfp_vae.core.seeds import places_of
from tfp_vae.evaluation.imputation import score_columns
from tfp_vae.runs.tables.unusual import UnusualCells, find_unusual_cells

NAMES = ("a", "b", "c", "d", "e")


@pytest.mark.slow
def test_cell_that_contradicts_its_row_is_named() -> None:
    model = IncompleteGaussian()
    rows = model.full.data(3)
    rows[1, 2] += 9
    rows[2, 4] = np.nan
    found = find_unusual_cells(model.vae(), rows, NAMES, iw_samples=100, execution="graph")
    columns = found.columns()
    assert columns["unusual_column"][1] == "c"
    assert np.nanargmax(found.surprise) == 1 * 5 + 2
    np.testing.assert_array_equal(columns["surprise"], np.nanmax(found.surprise, axis=1))
    assert list(columns) == ["unusual_column", "surprise", *(f"score_{name}" for name in NAMES)]
    expected = score_columns(model.vae(), rows, iw_samples=100, places=places_of(rows), execution="graph")
    np.testing.assert_allclose(found.scores, expected.values, rtol=1e-5)
    assert np.isnan(columns["score_e"][2])


@pytest.mark.slow
def test_scores_and_surprise_depend_on_the_row_alone() -> None:
    model = IncompleteGaussian()
    rows = model.full.data(40)
    rows[1, 2] += 9
    rows[::3, 4] = np.nan
    order = np.random.default_rng(0).permutation(40)
    settings = {"iw_samples": 20, "execution": "graph"}
    found = find_unusual_cells(model.vae(), rows, NAMES, **settings)
    permuted = find_unusual_cells(model.vae(), rows[order], NAMES, **settings)
    alone = find_unusual_cells(model.vae(), rows[1:2], NAMES, **settings)
    for name in ("scores", "surprise"):
        np.testing.assert_array_equal(getattr(permuted, name), getattr(found, name)[order])
        np.testing.assert_array_equal(getattr(alone, name), getattr(found, name)[1:2])


def test_row_without_observed_cells_names_no_column() -> None:
    empty = np.array([[np.nan, np.nan], [-1.0, np.nan]])
    columns = UnusualCells(("a", "b"), empty, -empty).columns()
    assert columns["unusual_column"].tolist() == ["", "a"]
    assert np.isnan(columns["surprise"][0])
    assert columns["surprise"][1] == 1
