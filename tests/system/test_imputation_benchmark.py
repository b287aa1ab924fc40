"""The comparison of imputers: its hidden cells, its simple methods, and the VAE against MIWAE's own figure."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import imputation
from benchmarks.imputation import IMPUTERS, TABLES, breast_cancer, impute_by_sklearn, impute_by_vae


@pytest.mark.parametrize("name", TABLES)
def test_half_of_the_cells_are_hidden_and_others_stay(name: str) -> None:
    case = TABLES[name]()
    hidden = np.isnan(case.holes)
    assert hidden.mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(case.holes[~hidden], case.full[~hidden])
    np.testing.assert_allclose(case.full.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(case.full.std(axis=0), 1)
    np.testing.assert_array_equal(hidden, np.isnan(TABLES[name]().holes))


def test_mean_explains_nothing_and_neighbours_explain_some() -> None:
    case = breast_cancer()
    mean, near = (impute_by_sklearn(case, name).mse for name in list(IMPUTERS)[:2])
    assert mean == pytest.approx(1, abs=0.05)
    assert near < 0.6


@pytest.mark.slow
def test_vae_reaches_the_figure_of_the_authors_of_miwae() -> None:
    found = impute_by_vae(breast_cancer())
    assert found.mse < 0.2867
    assert 0.8 < found.coverage < 0.95


def test_page_has_a_row_for_each_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imputation, "TABLES", {"wine": TABLES["wine"]})
    monkeypatch.setattr(imputation, "IMPUTERS", {"mean": IMPUTERS["mean"]})
    monkeypatch.setattr(imputation, "impute_by_vae", lambda case: imputation.Result(0.49, 0.9, 3))
    rows = CliRunner().invoke(imputation.main, []).output.splitlines()
    assert len(rows) == 2 + 2
    assert rows[-1] == "| wine | tfp_vae | 0.4900 | 0.7000 | 90.0% | 3 |"
