"""Tables with holes are filled in their own words, units and decimals, and observed cells keep every character."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.memory import at_most
from tests.helpers.people import CITIES, HEADER, MODELLED, people, write_people
from tests.helpers.runs import small_model, small_training
from tfp_vae import VAE
from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.readers.tables import TextFormat
from tfp_vae.data.schema import Table
from tfp_vae.evaluation.imputation import Imputed
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.tables.imputation import FilledTable, fill_table, read_holes, table_blocks


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, VAE]:
    """A config for the table of people, and its model before training."""
    path = write_people(tmp_path_factory.mktemp("people") / "people.csv")
    config, data = plan(str(path), None, None, small_model(latent_dim=2), small_training(), open_choices=["likelihood"])
    return config, build_from_config(config, data.train_mean)


@pytest.fixture(scope="module")
def holes(made: tuple[RunConfig, VAE], tmp_path_factory: pytest.TempPathFactory) -> Table:
    """New rows with holes. The ages have spaces around them, and the last row has no observed cell."""
    rows = [[row[0], row[1] and f" {row[1]} ", *row[2:]] for row in people(9, seed=5, missing=0.3)]
    return read_holes(made[0], str(write_people(tmp_path_factory.mktemp("new") / "h.csv", [*rows, ["P1", *[""] * 6]])))


@pytest.fixture(scope="module")
def filled(made: tuple[RunConfig, VAE], holes: Table) -> FilledTable:
    config, vae = made
    return fill_table(vae, config, holes, iw_samples=50, draws=3, execution="graph")


@pytest.mark.slow
def test_observed_cells_keep_every_character(holes: Table, filled: FilledTable) -> None:
    assert tuple(filled.columns) == tuple(HEADER)
    for name, column in filled.columns.items():
        original = holes.cells.column(name)
        observed = original != ""
        np.testing.assert_array_equal(column[observed], original[observed])
        assert (column != "").all()


def test_filled_cells_have_the_form_and_range_of_their_columns(holes: Table, filled: FilledTable) -> None:
    gaps = {name: column[holes.cells.column(name) == ""] for name, column in filled.columns.items()}
    assert all(cell.isdecimal() and 18 <= int(cell) <= 89 for cell in gaps["age"])
    assert all(len(cell.partition(".")[2]) <= 1 for cell in gaps["height"])
    assert all(cell in CITIES for cell in gaps["city"])
    assert all("2015-01-01" <= cell <= "2020-06-30" for cell in gaps["joined"])


def test_every_hole_has_one_entry_with_its_uncertainty(holes: Table, filled: FilledTable) -> None:
    missing = np.isnan(holes.values)
    assert list(filled.cells) == ["line", "patient", "column", "value", "low", "high", "probability", "ess"]
    assert filled.summary["num_filled"] == len(filled.cells["line"]) == missing.sum()
    assert filled.summary["num_incomplete"] == missing.any(axis=1).sum()
    lines = dict(zip(holes.lines.tolist(), range(len(holes.lines)), strict=True))
    for line, patient, column, value, low, high, probability, ess in zip(*filled.cells.values(), strict=True):
        row = lines[int(line)]
        assert patient == holes.ids["patient"][row]
        assert value == filled.columns[column][row]
        assert 1 <= ess <= 50
        assert (probability == "") == (column not in ("city", "smoker"))
        assert (low == "" and high == "") == (column in ("city", "smoker"))
        if column in ("age", "income", "height"):
            assert float(low) <= float(value) <= float(high)


def test_multiple_imputations_are_whole_tables_that_differ_in_holes_only(holes: Table, filled: FilledTable) -> None:
    count = len(holes.lines)
    assert list(filled.draws) == ["imputation", *HEADER]
    np.testing.assert_array_equal(filled.draws["imputation"], np.repeat([1, 2, 3], count))
    for name in MODELLED:
        tables, gaps = filled.draws[name].reshape(3, count), holes.cells.column(name) == ""
        assert (tables[:, ~gaps] == holes.cells.column(name)[~gaps]).all()
    last_rows = {tuple(filled.draws[name].reshape(3, count)[i, -1] for name in MODELLED) for i in range(3)}
    assert len(last_rows) == 3


@pytest.mark.slow
def test_blocks_of_rows_do_not_change_the_result(
    made: tuple[RunConfig, VAE], holes: Table, filled: FilledTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tfp_vae.runs.tables.imputation.BLOCK", 4)
    again = fill_table(made[1], made[0], holes, iw_samples=50, draws=3, execution="graph")
    for one, other in ((filled.columns, again.columns), (filled.cells, again.cells), (filled.draws, again.draws)):
        assert {name: column.tolist() for name, column in one.items()} == {
            name: column.tolist() for name, column in other.items()
        }


def fill_with_half(vae: VAE, batch: Batch, *, places: np.ndarray, **settings: object) -> Imputed:
    """Return 0.5 for each missing cell, without a model."""
    x = np.asarray(batch.x)
    missing = np.isnan(x)
    blank = np.full(x.shape, np.nan)
    guesses = np.where(missing, 0.5, np.nan)
    ess = np.where(missing.any(axis=1), 9.0, np.nan)
    draws = np.empty((0, *x.shape))
    return Imputed(
        missing, np.where(missing, 0.5, x), blank, blank, blank, guesses, guesses, draws, ess, 5, 0.9, refine="none"
    )


@pytest.mark.slow
def test_memory_of_a_long_table_is_little_more_than_its_texts(
    made: tuple[RunConfig, VAE], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row has 7 texts of 16 bytes, and 0.3 filled cells."""
    rows = people(2_000, seed=5, missing=0.05) * 25
    table = read_holes(made[0], str(write_people(tmp_path / "long.csv", rows)))
    monkeypatch.setattr("tfp_vae.runs.tables.imputation.impute", fill_with_half)
    monkeypatch.setattr("tfp_vae.runs.tables.imputation.BLOCK", 1_000)
    with at_most(250 * len(rows)):
        found = fill_table(made[1], made[0], table)
    assert found.summary["num_filled"] == np.isnan(table.values).sum()


def test_missing_cells_of_a_constant_column_get_its_value(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("height,country,eye\n" + "1.75,FR,blue\n1.82,FR,brown\n,,blue\n1.62,FR,\n" * 3)
    model, training = small_model(latent_dim=2), small_training()
    config, data = plan(str(path), None, None, model, training, open_choices=["likelihood"])
    new = tmp_path / "new.csv"
    new.write_text("height,country,eye\n1.71,,brown\n,,blue\n1.6, FR ,blue\n")
    table = read_holes(config, str(new))
    vae = build_from_config(config, data.train_mean)
    found = fill_table(vae, config, table, iw_samples=5, draws=2, execution="eager")
    assert found.columns["country"].tolist() == ["FR", "FR", " FR "]
    assert found.draws["country"].tolist() == ["FR", "FR", " FR "] * 2
    assert found.cells["line"].tolist() == [2, 3, 3]
    assert found.cells["column"].tolist() == ["country", "height", "country"]
    assert found.cells["value"][0] == "FR"
    assert [number == "" for number in found.cells["ess"]] == [True, False, True]
    counts = {name: found.summary[name] for name in ("num_incomplete", "num_filled", "constant_filled")}
    assert counts == {"num_incomplete": 2, "num_filled": 3, "constant_filled": {"country": 2}}


def test_complete_table_stays_as_it_is(made: tuple[RunConfig, VAE], tmp_path: Path) -> None:
    table = read_holes(made[0], str(write_people(tmp_path / "c.csv", people(3, missing=0.0))))
    filled = fill_table(made[1], made[0], table, execution="eager")
    assert filled.summary["num_filled"] == 0
    assert filled.summary["ess_median"] is None
    assert b"".join(table_blocks(filled.columns, table)).replace(b"\n", b"\r\n") == (tmp_path / "c.csv").read_bytes()
    assert all(len(column) == 0 for column in filled.cells.values())


def test_text_has_the_delimiter_and_the_header_of_the_table(holes: Table) -> None:
    columns = {"a": np.array(["1", "2;3"]), "b": np.array(["x", ""])}
    like = holes._replace(cells=holes.cells._replace(delimiter=";", header="no"))
    assert b"".join(table_blocks(columns, like)).decode() == '1;x\n"2;3";\n'
    assert b"".join(table_blocks(columns, like, header=True)).decode().startswith("a;b\n")
    assert b"".join(table_blocks(columns, like, form=TextFormat(delimiter="\t"))).decode() == "1\tx\n2;3\t\n"
    rows = list(csv.reader(b"".join(table_blocks(columns, holes)).decode().splitlines()))
    assert rows == [["a", "b"], ["1", "x"], ["2;3", ""]]


def test_unknown_word_is_refused_with_its_line(made: tuple[RunConfig, VAE], tmp_path: Path) -> None:
    rows = people(3, missing=0.0)
    rows[2][4] = "Atlantis"
    with pytest.raises(DataError, match=r"'Atlantis' \(line 4\)"):
        read_holes(made[0], str(write_people(tmp_path / "new.csv", rows)))


def test_too_large_number_is_refused_with_its_line(made: tuple[RunConfig, VAE], tmp_path: Path) -> None:
    rows = people(3, missing=0.0)
    rows[1][HEADER.index("height")] = "1e30"
    with pytest.raises(DataError, match=r"numbers below 1e\+12 in size in column 'height', found .* in .*\(line 3\)"):
        read_holes(made[0], str(write_people(tmp_path / "new.csv", rows)))


@pytest.mark.slow
def test_own_names_yield_to_those_of_ids(made: tuple[RunConfig, VAE], holes: Table) -> None:
    ids = {"value": holes.ids["patient"], "line": holes.ids["patient"]}
    filled = fill_table(made[1], made[0], holes._replace(ids=ids), iw_samples=5, execution="eager")
    assert list(filled.cells)[:5] == ["line_", "value", "line", "column", "value_"]
    assert set(filled.cells["value"]) <= set(holes.ids["patient"])


def test_run_on_other_data_is_refused(tmp_path: Path) -> None:
    config, _ = plan("digits", None, None, small_model(), small_training())
    with pytest.raises(UsageError, match="Imputation needs a run that has a likelihood for each column of a table"):
        read_holes(config, str(write_people(tmp_path / "new.csv")))
