"""`tfp-vae impute`: a table with its missing cells filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tfp_vae.cli import signals

from tests.helpers.commands import GRAPH, QUICK, answer, call, one_sentence, read_rows
from tests.helpers.people import HEADER, people, write_people
from tfp_vae.runs import anomalies
from tfp_vae.runs.folder import unfinished
from tfp_vae.runs.run import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("tables")
    call("train", "--dataset", write_people(folder / "people.csv"), "--run-dir", folder / "run", *QUICK)
    return Run.open(folder / "run")


OPTIONS = ("--iw-samples", 20, "--execution", "eager")


@pytest.mark.slow
def test_files_hold_the_table_its_cells_and_its_draws(run: Run, tmp_path: Path) -> None:
    data = write_people(tmp_path / "holes.csv", people(6, seed=3, missing=0.3))
    result = answer(
        "impute", "--run", run.folder, "--data", data, "--out", tmp_path / "full.csv", "--draws", 2, *OPTIONS
    )
    before, full = read_rows(data), read_rows(result["out"])
    assert [list(row) for row in full] == [HEADER] * 6
    assert all(row[name] == old[name] for row, old in zip(full, before, strict=True) for name in HEADER if old[name])
    assert all(all(row.values()) for row in full)
    cells = read_rows(result["cells_out"])
    assert Path(result["cells_out"]).name == "full-cells.csv"
    assert len(cells) == result["num_filled"] == sum(not cell for row in before for cell in row.values())
    assert len(read_rows(result["draws_out"])) == 2 * 6
    assert result["iw_samples"] == 20
    assert result["num_incomplete"] == sum(not all(row.values()) for row in before)
    assert result["refine"] == "none"


@pytest.mark.slow
def test_results_have_the_separator_and_the_decimal_mark_of_the_table(run: Run, tmp_path: Path) -> None:
    text = "\n".join(";".join(row).replace(".", ",") for row in [HEADER, *people(60, seed=3, missing=0.2)]) + "\n"
    (tmp_path / "de.csv").write_text(text)
    german = tmp_path / "german"
    call("train", "--dataset", tmp_path / "de.csv", "--run-dir", german, *QUICK)
    said = call("sample", "--run", german, "--n", 60, "--out", tmp_path / "s.csv")
    assert "s.csv: semicolons separate cells and numbers have decimal commas" in said.stderr
    names, first = (line.split(";") for line in (tmp_path / "s.csv").read_text().splitlines()[:2])
    assert names == HEADER[1:]
    assert re.fullmatch(r"\d+,\d\d", first[1])
    call("encode", "--run", german, "--data", tmp_path / "s.csv", "--out", tmp_path / "e.tsv")  # reads it back
    assert re.fullmatch(r"0\t0\t2\t-?\d,\d+.*", (tmp_path / "e.tsv").read_text().splitlines()[1])
    commas = write_people(tmp_path / "c.csv", people(4))
    call("encode", "--run", run.folder, "--data", commas, "--out", tmp_path / "c2.csv")
    assert (tmp_path / "c2.csv").read_text().startswith("example,row,line,patient,mean_1")


@pytest.mark.slow
def test_cells_follow_the_condition_of_their_row_or_the_given_one(tmp_path: Path) -> None:
    rows = [row for row in people(60, seed=3, missing=0.2) if row[4]]
    table, run = write_people(tmp_path / "t.csv", rows), tmp_path / "run"
    call("train", "--dataset", table, "--condition", "city", "--run-dir", run, *QUICK)
    found = dict[str, list[list[str]]]()
    for city in (None, "Bern", "Zug"):
        given = () if city is None else ("--given", city)
        out = answer("impute", "--run", run, "--data", table, *given, "--out", tmp_path / f"{city}.csv", *OPTIONS)
        assert out["given"] == city
        found[str(city)] = [list(row.values()) for row in read_rows(out["out"])]
    assert all(all(row) for row in found["None"])
    for own, bern, zug in zip(*found.values(), strict=True):
        assert own == {"Bern": bern, "Zug": zug}.get(own[4], own)
    assert found["Bern"] != found["Zug"]
    rows[3][4] = ""
    holes = write_people(tmp_path / "holes.csv", rows)
    said = one_sentence(call("impute", "--run", run, "--data", holes, *OPTIONS, code=3))
    assert "1 row has no 'city', which the model is conditioned on (first: line 5)" in said
    answer("impute", "--run", run, "--data", holes, "--given", "Zug", *OPTIONS)
    for command in ("score", "encode"):
        call(command, "--run", run, "--data", table, "--out", tmp_path / "x.csv")


@pytest.mark.slow
def test_default_files_are_in_the_run_with_the_settings_in_their_names(run: Run, tmp_path: Path) -> None:
    data = write_people(tmp_path / "holes.csv", people(4, seed=3, missing=0.3))
    said = call("impute", "--run", run.folder, "--data", data, "--interval", 0.5, *OPTIONS)
    assert (run.folder / "imputed-holes-iw-samples20-interval0.5.csv").exists()
    assert (run.folder / "imputed-holes-iw-samples20-interval0.5-cells.csv").exists()
    assert "K = 20, seed 0" in said.stdout
    assert "median effective sample size" in said.stdout
    assert "imputed-holes-iw-samples20-interval0.5-cells.csv" in said.stdout


@pytest.mark.slow
def test_every_command_prints_the_assumption_about_missing_cells(tmp_path: Path) -> None:
    data, folder = write_people(tmp_path / "people.csv"), tmp_path / "run"
    assumption = "Cells of income are assumed to be missing depending on their own value (self-masking)."
    masked = ("--missingness", "self-masking:columns=income")
    said = call("train", "--dataset", data, "--run-dir", folder, *masked, *QUICK)
    assert f"{assumption} Data cannot confirm this. --missingness random assumes" in " ".join(said.stderr.split())
    few, quiet = ("--run", folder, "--iw-samples", 2, "--execution", "eager"), ("--held-out-rows", 1, "--no-plots")
    for command in (
        ("impute", "--data", data),
        ("score", "--data", data, "--no-per-column", *quiet),
        ("evaluate", "--no-plots"),
    ):
        assert assumption in " ".join(call(*command, *few).stderr.split())


@pytest.mark.slow
def test_narrower_intervals_lie_within_wider_ones(run: Run, tmp_path: Path) -> None:
    data, bounds = write_people(tmp_path / "holes.csv", people(6, seed=3, missing=0.3)), {}
    for share in (0.5, 0.9):
        out = tmp_path / f"{share}.csv"
        call("impute", "--run", run.folder, "--data", data, "--out", out, "--interval", share, *OPTIONS)
        numbers = [row for row in read_rows(tmp_path / f"{share}-cells.csv") if row["column"] in ("income", "height")]
        bounds[share] = np.array([[float(row["low"]), float(row["high"])] for row in numbers])
    assert (bounds[0.9][:, 0] <= bounds[0.5][:, 0]).all()
    assert (bounds[0.5][:, 1] <= bounds[0.9][:, 1]).all()


@pytest.mark.slow
def test_score_names_the_responsible_cell_of_each_row(run: Run, tmp_path: Path) -> None:
    rows = people(5, seed=3, missing=0.0)
    rows[2][3] = "990.0"
    data, out = write_people(tmp_path / "new.csv", [*rows, ["P9", *[""] * (len(HEADER) - 1)]]), tmp_path / "scores.csv"
    options = ("--data", data, "--out", out, "--per-column", "--no-plots", "--iw-samples", 200, *GRAPH)
    result = answer("score", "--run", run.folder, *options)
    worst = result["most_anomalous"][0]
    assert (worst["line"], worst["unusual_column"]) == (4, "height")
    (empty,) = (row for row in result["most_anomalous"] if row["line"] == 7)
    assert (empty["surprise"], empty["surprise_reason"]) == (None, "every cell of the row is missing")
    table = read_rows(out)
    assert table[2]["unusual_column"] == "height"
    assert float(table[2]["surprise"]) == pytest.approx(worst["surprise"])
    assert {f"score_{name}" for name in HEADER[1:]} <= set(table[0])
    assert "height" in call("score", "--run", run.folder, *options).stdout


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_interrupted_scores_of_cells_report_what_is_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    data, texts = write_people(tmp_path / "new.csv", people(3, seed=3, missing=0.0)), list[str]()

    @contextmanager
    def ending(text: str) -> Iterator[None]:
        texts.append(text)
        yield

    def interrupt(*_: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "PATIENCE", 0)
    monkeypatch.setattr(signals, "ending", ending)
    monkeypatch.setattr(anomalies, "find_unusual_cells", interrupt)
    more = () if kept else ("--out", tmp_path / "s.csv", "--no-plots")
    call("score", "--run", run.folder, "--data", data, "--per-column", "--iw-samples", 2, *more, *GRAPH, code=130)
    start, _, line = texts[-1].partition(" Those of whole rows are. Continue with: ")
    assert start == ". The scores of cells are not kept."
    assert ("score --run" in line) == kept
    files = list(run.folder.glob("unfinished/*.npz"))
    assert len(files) == kept
    for each in files:
        each.unlink()


def test_run_without_a_mixed_table_is_refused(copied: Run, tmp_path: Path) -> None:
    data = write_people(tmp_path / "holes.csv")
    said = one_sentence(call("impute", "--run", copied.folder, "--data", data, code=2))
    assert "impute needs a run that has a likelihood for each column of a table" in said
    assert "--missing NA" in said
    said = one_sentence(call("score", "--run", copied.folder, "--per-column", code=2))
    assert "--per-column needs a run that has a likelihood for each column of a table" in said


@pytest.mark.parametrize(
    ("name", "more"), [("holes.csv", ()), ("holes-cells.csv", ()), ("holes-draws.csv", ("--draws", 2))]
)
def test_table_with_holes_is_not_overwritten(copied: Run, tmp_path: Path, name: str, more: tuple[object, ...]) -> None:
    data = write_people(tmp_path / name)
    before = data.read_bytes()
    given = ("impute", "--run", copied.folder, "--data", data, "--out", tmp_path / "." / "holes.csv", *more)
    assert "would overwrite the table with the missing cells. Name another file" in one_sentence(call(*given, code=2))
    assert data.read_bytes() == before


def test_other_suffix_is_refused(here: Path, copied: Run) -> None:
    said = one_sentence(call("impute", "--run", copied.folder, "--data", "x.csv", "--out", "y.png", code=2))
    assert "expected a file ending in .csv, .tsv, .txt" in said
