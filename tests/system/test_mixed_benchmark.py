"""The benchmark of mixed tables: its hidden cells, codes, errors, methods and results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.document import write_between
from benchmarks.mixed import __main__, document, ours
from benchmarks.mixed.errors import average, by_type, column_errors
from benchmarks.mixed.imputers import METHODS, Codes, constants
from benchmarks.mixed.tables import Hidden, MixedTable, hide
from tfp_vae.data.schema import Column, Schema

TYPES = {"1-pos": "pos", "2-cat": "cat", "3-ordinal": "ordinal"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of 40 rows in which the word follows the number, with cells of the first two rows hidden."""
    (tmp_path / "wine").mkdir()
    number = np.linspace(1, 5, 40)
    rows = [f"{x:.2f},{1 + (x > 2.5):.0f},{round(x)}" for x in number]
    (tmp_path / "wine" / "data.csv").write_text("\n".join([*rows[:39], "5,,5"]))
    (tmp_path / "wine" / "data_types.csv").write_text("type,dim,nclass\npos,1,\ncat,2,2\nordinal,5,5\n")
    (tmp_path / "wine" / "Missing20_1.csv").write_text("1,2\n2,1\n2,3\n40,2\n")
    return tmp_path


def test_files_count_cells_from_one_and_truly_missing_cells_are_not_scored(folder: Path) -> None:
    case = hide(folder, "wine", "Missing20_1")
    assert case.table.types == TYPES
    assert np.argwhere(case.cells).tolist() == [[0, 1], [1, 0], [1, 2]]
    assert np.isnan(case.holes).sum() == 4
    assert case.table.frame(case.holes)["2-cat"].tolist()[:3] == [None, "word 1", "word 1"]


def test_errors_are_those_of_hivae() -> None:
    truth = np.array([[0.0, 1, 1], [4, 2, 5], [10, 1, 2], [3, 1, 3]])
    case = Hidden(MixedTable(TYPES, truth), np.array([[True] * 3] * 3 + [[False] * 3]))
    errors = column_errors(case, np.array([[3.0, 1, 1], [4, 1, 3], [6, 2, 3], [99, 9, 9]]))
    assert errors["1-pos"] == pytest.approx(np.sqrt(25 / 3) / 10)
    assert errors["2-cat"] == pytest.approx(2 / 3)
    assert errors["3-ordinal"] == pytest.approx((0 + 2 + 1) / 3 / 5)
    assert by_type({"1-pos": "pos", "2-cat": "number", "3-ordinal": "number"}, errors)["number"] == pytest.approx(
        (2 / 3 + 1 / 5) / 2
    )
    assert average(errors) == pytest.approx(np.mean(list(errors.values())))


def test_codes_return_every_value(folder: Path) -> None:
    case = hide(folder, "wine", "Missing20_1")
    whole = Hidden(case.table._replace(values=np.nan_to_num(case.table.values, nan=1)), np.zeros((40, 3), bool))
    codes = Codes.of(whole)
    assert codes.encode(whole.holes).shape == (40, 3)  # a binary category has one code
    np.testing.assert_allclose(codes.decode(codes.encode(whole.holes), whole), whole.table.values)


def test_constants_are_the_best_of_each_error(folder: Path) -> None:
    case = hide(folder, "wine", "Missing20_1")
    number, word, level = constants(case)[0]
    assert number == pytest.approx(np.nanmean(case.holes[:, 0]))
    assert (word, level) == (2.0, np.nanmedian(case.holes[:, 2]))


def test_values_of_a_schema_stay_in_range_and_levels_are_numbers() -> None:
    number = Column(name="size", kind="positive", low=1.0, high=2.0)
    word = Column(name="place", kind="category", levels=("word 1", "word 3", "word 4"))
    level = Column(name="grade", kind="ordinal", levels=("2", "5"))
    schema = Schema(columns=(number, word, level))
    found = ours.in_units(schema, np.array([[1e9, 0.5, 1.0], [1.5, 1.0, 0.0]]))
    assert found.tolist() == [[2.0, 3.0, 5.0], [1.5, 4.0, 2.0]]


def test_command_resumes_and_writes_a_row_for_each_method(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(__main__, "METHODS", METHODS)
    out = tmp_path / "mixed.json"
    arguments = ["--data-dir", str(folder), "--table", "wine", "--mask", "Missing20_1", "--out", str(out)]
    first = CliRunner().invoke(__main__.main, [*arguments, "--method", "nearest neighbours"])
    assert first.exit_code == 0, first.output
    results = json.loads(out.read_text())
    results["wine, Missing20_1"]["nearest neighbours"]["errors"]["1-pos"] = 0.75
    out.write_text(json.dumps(results))
    rows = CliRunner().invoke(__main__.main, arguments).stdout.strip().splitlines()
    assert len(rows) == 2 + len(METHODS)
    assert rows[2].startswith("| wine, Missing20_1 | nearest neighbours |  | 0.7500 |")
    assert json.loads(out.read_text())["wine, Missing20_1"]["nearest neighbours"]["errors"]["1-pos"] == 0.75


def test_least_error_of_each_type_is_bold(tmp_path: Path) -> None:
    def measured(*errors: float) -> document.Measurement:
        return {"errors": dict(zip(TYPES, errors, strict=True)), "cpu_seconds": 2.4}

    results = {"wine": {"a": measured(0.1, 0.2, 0.3), "b": measured(0.2, 0.2, 0.1)}}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}old\n{document.END}after\n")
    document.write(results, page)
    lines = page.read_text().splitlines()
    assert "| wine | a |  | **0.1000** |  | **0.2000** | 0.3000 | 0.2000 | 2 |" in lines
    assert "|  | b |  | 0.2000 |  | **0.2000** | **0.1000** | **0.1667** | 2 |" in lines
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines


@pytest.mark.parametrize("text", ["", "begin\n", "end\nbegin\n", "begin\nbegin\nend\n", "begin\nend\nend\n"])
def test_pages_without_one_pair_of_marks_stay_as_they_are(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(ValueError, match="expected the marks 'begin' and 'end' once"):
        write_between(page, "begin\n", "end\n", "new\n")
    assert page.read_text() == text
