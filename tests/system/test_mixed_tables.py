"""Mixed tables through the commands: train, evaluate, score, encode, reconstruct and sample."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tfp_vae as tv
from tests.helpers.commands import QUICK, answer, call, one_sentence, read_rows
from tests.helpers.people import CITIES, HEADER, MODELLED, people, write_people
from tfp_vae.reports.repeat_command import training_command
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.run import Run

pytestmark = pytest.mark.slow

OPTIONS = ("--iw-samples", 4, "--no-plots", "--execution", "eager")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("tables")
    path = write_people(folder / "people.csv")
    call("train", "--dataset", path, "--run-dir", folder / "run", *QUICK)
    return Run.open(folder / "run")


def test_train_prints_the_likelihood_of_each_kind_and_the_override(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv")
    path.write_text(path.read_text().replace("height", "approx. height"))
    said = call("train", "--dataset", path, "--run-dir", tmp_path / "run", "--column", "age=real", *QUICK).stderr
    assert "real columns (age, approx. height): normal" in said
    assert "binary column (smoker): bernoulli" in said
    assert "use --column NAME=KIND" in said


def test_config_holds_the_schema_and_reads_the_same_data_again(run: Run) -> None:
    config = run.config()
    assert config.data.features == MODELLED
    assert config.data.reading.table is not None
    assert config.data.reading.table["patient"].kind == "id"
    assert reload(config).fingerprint() == config.data.fingerprint


def test_evaluate_gives_a_density_in_the_units_of_the_data(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "each.npz"
    result = answer("evaluate", "--run", run.folder, "--per-example", file, *OPTIONS)
    assert all(text.startswith("P1") for text in np.load(file)["id_patient"])
    assert np.isfinite(result["log_likelihood"])
    assert result["likelihood"] == "columns"
    assert result["reconstruction_mse"] is None
    assert "different units" in result["reconstruction_mse_reason"]


def test_scores_and_embeddings_name_the_ids_and_lines(run: Run, tmp_path: Path) -> None:
    rows = people(5, seed=1, first=7000)
    new = write_people(tmp_path / "new.csv", rows)
    result = answer("score", "--run", run.folder, "--data", new, "--out", tmp_path / "s.csv", *OPTIONS)
    call("encode", "--run", run.folder, "--data", new, "--out", tmp_path / "e.csv")
    for file in ("s.csv", "e.csv"):
        found = read_rows(tmp_path / file)
        assert [row["patient"] for row in found] == [row[0] for row in rows]
        assert [row["line"] for row in found] == ["2", "3", "4", "5", "6"]
    assert result["most_anomalous"][0]["patient"].startswith("P70")


def test_columns_of_new_data_may_be_in_another_order(run: Run, tmp_path: Path) -> None:
    rows = [HEADER, *people(5, seed=1)]
    scores = []
    for name, order in (("a", range(7)), ("b", range(6, -1, -1))):
        path = tmp_path / f"{name}.csv"
        path.write_text("".join(",".join(f'"{row[i]}"' for i in order) + "\n" for row in rows))
        call("score", "--run", run.folder, "--data", path, "--out", tmp_path / f"{name}-s.csv", *OPTIONS)
        scores.append([row["log_likelihood"] for row in read_rows(tmp_path / f"{name}-s.csv")])
    assert scores[0] == scores[1]


def test_a_word_that_the_run_does_not_know_is_an_error_that_names_it(run: Run, tmp_path: Path) -> None:
    rows = people(3, missing=0.0)
    rows[1][4] = "Atlantis"
    new = write_people(tmp_path / "new.csv", rows)
    said = call("score", "--run", run.folder, "--data", new, *OPTIONS, code=3).stderr
    assert "column 'city'" in said
    assert "'Atlantis' (line 3)" in said


def test_samples_have_the_words_dates_and_decimals_of_the_columns(run: Run, tmp_path: Path) -> None:
    call("sample", "--run", run.folder, "--n", 40, "--out", tmp_path / "x.csv")
    found = read_rows(tmp_path / "x.csv")
    assert tuple(found[0]) == MODELLED
    assert len(found) == 40
    for row in found:
        assert row["city"] in CITIES
        assert row["smoker"] in ("yes", "no")
        assert row["age"].isdecimal()
        assert 18 <= int(row["age"]) <= 90
        assert len(row["joined"]) == 10
        assert "2015-01-01" <= row["joined"] <= "2020-06-30"
        assert len(row["height"].partition(".")[2]) <= 1


def test_fidelity_report_names_each_column(run: Run, tmp_path: Path) -> None:
    options = ("sample", "--run", run.folder, "--n", 60, "--out", tmp_path / "x.csv", "--fidelity")
    found = answer(*options)["fidelity"]
    assert tuple(found["marginal_distance"]) == MODELLED
    assert 0 <= found["auroc"] <= 1
    assert found["copies"] == 0
    assert "AUROC" in call(*options).stdout


def test_fidelity_needs_draws_of_a_table(run: Run) -> None:
    result = call("sample", "--run", run.folder, "--fidelity", code=2)
    assert "Use a run on a table and --out FILE.csv." in one_sentence(result)


def test_reconstructions_are_rows_with_ids(run: Run, tmp_path: Path) -> None:
    result = answer("reconstruct", "--run", run.folder, "--out", tmp_path / "r.csv")
    assert result["rmse"] is None
    row = read_rows(tmp_path / "r.csv")[0]
    assert row["patient"].startswith("P1")
    assert row["city"] in CITIES


def test_a_schema_file_and_options_decide_on_the_columns(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv")
    call("train", "--dataset", path, "--run-dir", tmp_path / "a", *QUICK)
    schema = Run.open(tmp_path / "a").config().data.reading.table
    assert schema is not None
    schema.save(tmp_path / "people.toml")
    options = ("--schema", tmp_path / "people.toml", "--drop", "in*", "--id", "city", "--missing", "170.0")
    call("train", "--dataset", path, "--run-dir", tmp_path / "b", *options, *QUICK)
    data = Run.open(tmp_path / "b").config().data
    assert data.features == ("age", "height", "smoker", "joined")
    assert data.reading.table is not None
    assert data.reading.table["height"].missing == ("170.0",)
    assert reload(Run.open(tmp_path / "b").config()).test.ids.keys() == {"patient", "city"}


def test_numbers_take_another_likelihood_and_words_keep_theirs(tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv")
    said = call("train", "--dataset", path, "--run-dir", tmp_path / "run", "--likelihood", "laplace", *QUICK).stderr
    assert "count column (age): laplace" in said
    assert "category column (city): categorical" in said
    assert "not modelled: patient (id)" in said


@pytest.mark.parametrize(
    "option", [("--scaling", "standard"), ("--dequantization", "uniform"), ("--binarization", "static")]
)
def test_options_without_effect_on_a_mixed_table_are_refused(option: tuple[str, str], tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv")
    result = call("train", "--dataset", path, "--run-dir", tmp_path / "run", *option, *QUICK, code=2)
    assert f"{option[0]} has no effect on a mixed table" in one_sentence(result)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("likelihood", [(), ("--likelihood", "laplace")])
def test_the_command_of_the_report_repeats_the_run(likelihood: tuple[str, ...], tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv")
    options = ("--column", "age=real", "--column", "height=positive", "--drop", "income", *likelihood)
    first = answer("train", "--dataset", path, "--run-dir", tmp_path / "a", *options, *QUICK)
    command = training_command(Run.open(tmp_path / "a").config())
    second = answer(*shlex.split(command)[1:], "--run-dir", tmp_path / "b", "--no-plots")
    assert first["train"] == second["train"]


def test_a_run_is_resumed(run: Run, tmp_path: Path) -> None:
    path = write_people(tmp_path / "people.csv")
    call("train", "--dataset", path, "--run-dir", tmp_path / "run", *QUICK)
    call("train", "--resume", "--run-dir", tmp_path / "run", "--epochs", 2, "--no-plots")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_a_doubtful_first_line_is_reported_once(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text("".join(f"{i % 5}.5,{'ab'[i % 2]},{i % 3}\n" for i in range(40)))
    said = call("train", "--dataset", path, "--run-dir", tmp_path / "run", *QUICK).stderr
    assert said.count("is read as an example") == 1
    options = ("sample", "--run", tmp_path / "run", "--n", 20, "--out", tmp_path / "x.csv", "--fidelity")
    assert "is read as an example" not in call(*options).stderr


def test_pictures_show_all_columns_in_a_similar_range(run: Run) -> None:
    config = run.config()
    x = reload(config).train.x
    shown = config.data.shown(x)
    np.testing.assert_array_equal(np.isnan(shown), np.isnan(x))
    assert np.nanmax(np.abs(shown)) < 8
    assert np.nanmax(x) > 50


def test_a_data_frame_is_built_fitted_and_saved_with_names_of_its_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame(people(), columns=HEADER).replace("", None)
    frame["city"] = frame["city"].astype("category")
    data = tv.data.load(frame, column={"age": "real"})
    vae = tv.build(data, hidden=(8,))
    tv.fit(vae, data, "iwae:mc_samples=2", epochs=1, execution="eager")
    saved = tv.save(vae, tmp_path / "run")
    stored = reload(saved.config())
    assert stored.test.source_name(0) == data.test.source_name(0)
    loaded = tv.load(tmp_path / "run")
    first, second = (tv.log_likelihood(each, data.test, iw_samples=3, seed=0).estimates for each in (vae, loaded))
    np.testing.assert_allclose(first.log_likelihood, second.log_likelihood, rtol=1e-6)
    write_people(tmp_path / "new.csv", people(4, seed=2))
    call("score", "--run", tmp_path / "run", "--data", tmp_path / "new.csv", *OPTIONS, "--out", tmp_path / "s.csv")
    assert len(read_rows(tmp_path / "s.csv")) == 4
