"""`tfp-vae evaluate`: printed results and written files."""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfp_vae.cli import console
from tfp_vae.cli.commands import evaluate

from tests.helpers.commands import GRAPH, answer, call
from tfp_vae.core.errors import DiskError
from tfp_vae.core.files import seal, unseal
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.evaluation.anomalies import rank_anomalies
from tfp_vae.runs import results
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.results import Assessment, Plan
from tfp_vae.runs.run import Run


@pytest.fixture
def quick(assessment: Assessment, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Skip the evaluation: every result is that of `assessment`, updated with the plan and this dictionary."""
    changes: dict[str, Any] = {}

    def assess(restored: LoadedRun, dataset: object, plan: Plan, **more: object) -> Assessment:
        asked = {"split": plan.split, "num_examples": plan.max_examples or 60, "iw_samples": plan.most_samples}
        found = {"run": str(restored.run.folder), "weights": restored.weights, "step": restored.step}
        kept = {
            key: value for key, value in assessment.result.items() if plan.annealing or key not in ("ais", "sandwich")
        }
        return dataclasses.replace(assessment, result=kept | asked | found | changes)

    monkeypatch.setattr(results, "assess", assess)
    return changes


def as_printed(path: Path) -> dict[str, Any]:
    """Return the evaluation in a file as the command prints it: its sentences name options."""
    return seal(evaluate.with_options(unseal(json.loads(path.read_text()))))


@pytest.mark.slow
def test_json_has_the_promised_keys_and_is_the_file(copied: Run) -> None:
    options = ("--iw-samples", "4", "--max-examples", "20", "--factors", "label", *GRAPH)
    result = answer("evaluate", "--run", copied.folder, *options)
    assert {
        "run", "dataset", "split", "num_examples", "iw_samples", "log_likelihood", "log_likelihood_se", "elbo",
        "elbo_se", "distortion", "rate", "bits_per_dim", "active_units", "ess_median", "seconds",
    } <= result.keys()  # fmt: skip
    assert result["num_examples"] == 20
    assert result["disentanglement"]["factors"] == ["label"]
    assert 0 <= result["disentanglement"]["mig"] <= 1
    assert "ais" not in result
    assert result == as_printed(copied.folder / "evaluation.json")


@pytest.mark.slow
def test_sweep_and_annealing_reach_the_file(copied: Run) -> None:
    options = ("--iw-samples", "10,1", "--max-examples", "5", "--no-plots", *GRAPH)
    annealing = ("--ais-steps", "3", "--ais-chains", "2", "--ais-examples", "4")
    printed = call("evaluate", "--run", copied.folder, *options, *annealing).stdout
    result = json.loads((copied.folder / "evaluation.json").read_text())
    assert [line["iw_samples"] for line in result["sweep"]] == [1, 10]
    assert result["ais"]["steps"] == 3
    assert result["ais"]["examples"] == result["sandwich"]["examples"] == 4
    assert result["sandwich"]["upper"] - result["sandwich"]["lower"] == pytest.approx(result["sandwich"]["gap"])
    assert "annealing both ways" in printed


@pytest.mark.slow
def test_options_become_the_plan(copied: Run, assessment: Assessment, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []

    def assess(restored: LoadedRun, dataset: object, plan: Plan, **more: object) -> Assessment:
        plans.append(plan)
        return dataclasses.replace(assessment, result=assessment.result | {"step": restored.step})

    monkeypatch.setattr(results, "assess", assess)
    few = ("--iw-samples", "5,2", "--split", "train", "--max-examples", "9", "--seed", "3", *GRAPH, "--no-plots")
    annealing = ("--ais-steps", "7", "--ais-chains", "4", "--ais-examples", "6")
    call("evaluate", "--run", copied.folder, *few)
    call("evaluate", "--run", copied.folder, *few, *annealing)
    expected = Plan((5, 2), "train", 9, 3, "graph")
    assert plans == [expected, dataclasses.replace(expected, annealing=results.AnnealingPlan(7, 4, 6))]


@pytest.mark.slow
def test_accuracy_chooses_the_effort_and_prints_it(here: Path, copied: Run) -> None:
    options = ("--run", copied.folder, "--accuracy", "2", "--max-examples", "9", *GRAPH)
    result = answer("evaluate", *options, "--per-example", "each.npz")
    assert result["accuracy"] == 2
    assert result["settled_share"] == 1
    assert result["unsettled_rows"] == []
    assert result == as_printed(copied.folder / "evaluation.json")
    np.testing.assert_array_equal(np.load("each.npz")["iw_samples"], 200)
    said = call("evaluate", *options).stdout
    assert "9 examples, K up to 200, to 2 nats, seed 0" in said
    assert "known to 2 nats" in said


@pytest.mark.slow
def test_interrupted_evaluation_prints_a_line_that_goes_on(here: Path, copied: Run) -> None:
    program = [sys.executable, "-c", "from tfp_vae.cli.start import main; main()", "evaluate"]
    program += ["--run", str(copied.folder), "--iw-samples", "40000", "--no-plots", *GRAPH]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list(copied.folder.glob("unfinished/*.npz")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1].strip().splitlines()[-1]
    assert process.returncode == 130
    start, line = said.split("Continue with: tfp-vae ")
    assert start == "Error: interrupted. Finished examples are kept. "
    (kept,) = copied.folder.glob("unfinished/*.npz")
    finished = len(np.load(kept)["0-0"])
    result = answer(*shlex.split(line))
    assert 0 < finished < result["num_examples"]
    assert not kept.exists()
    assert result["iw_samples"] == 40_000


@pytest.mark.parametrize("option", ["--iw-samples=7", "--refine=none"])
def test_accuracy_takes_no_other_effort(option: str, copied: Run) -> None:
    said = call("evaluate", "--run", copied.folder, "--accuracy", "0.1", option, code=2).stderr
    assert f"{option.partition('=')[0]} has no meaning with --accuracy" in said


@pytest.mark.usefixtures("quick")
class TestAccuracy:
    """The output of an evaluation to a given accuracy."""

    @pytest.mark.slow
    def test_rows_that_could_not_be_settled_are_named(self, copied: Run, quick: dict[str, Any]) -> None:
        efforts = [{"refine": "none", "iw_samples": 200, "examples": 60, "settled": 53}]
        quick |= {"accuracy": 0.1, "refine": "as-needed", "efforts": efforts, "settled_share": 53 / 60}
        quick["unsettled_rows"] = [3, 5, 8, 13, 21, 34, 55]
        said = call("evaluate", "--run", copied.folder, "--accuracy", "0.1", "--no-plots").stdout
        assert "not known to 0.1 nats: rows 3, 5, 8, 13, 21 and 2 more of the test split" in said
        assert re.search(r"200 +none +60 +53\n", said)


@pytest.mark.usefixtures("quick")
class TestTable:
    """The table on stdout."""

    def test_shows_the_metrics_of_one_run(self, copied: Run, assessment: Assessment) -> None:
        printed = call("evaluate", "--run", copied.folder, "--no-plots").stdout
        assert "digits, test split: 60 examples, K = 100" in printed
        assert f"{assessment.result['log_likelihood']:.3f}" in printed
        assert f"{assessment.result['elbo_se']:.3f}" in printed
        (line,) = (line for line in printed.splitlines() if line.startswith("rate "))
        assert line.split()[1] == f"{assessment.result['rate']:.3f}"

    def test_shows_the_bound_at_each_number_of_samples(self, copied: Run, assessment: Assessment) -> None:
        printed = call("evaluate", "--run", copied.folder, "--no-plots").stdout.splitlines()
        place = next(i for i, line in enumerate(printed) if line.split()[:1] == ["K"])
        rows = [line.split() for line in printed[place + 1 : place + 4]]
        expected = [[f"{line['iw_samples']:,}", f"{line['log_likelihood']:.3f}"] for line in assessment.result["sweep"]]
        assert [row[:2] for row in rows] == expected

    def test_reports_annealing(self, copied: Run, assessment: Assessment, quick: dict[str, Any]) -> None:
        command = ("evaluate", "--run", copied.folder, "--no-plots", "--ais-steps", "4")
        printed = call(*command).stdout
        ais, sandwich = assessment.result["ais"], assessment.result["sandwich"]
        assert f"log p(x) {ais['log_likelihood']:.3f}, Monte Carlo error" in printed
        assert ais["verdict"] in printed
        assert f"at least {sandwich['lower']:.3f} and at most {sandwich['upper']:.3f}" in printed
        assert ("the bounds cross" in printed) == (sandwich["gap"] < 0)
        quick["sandwich"] = sandwich | {"gap": -0.01, "gap_se": 0.01}
        assert "the bounds cross, but within their errors" in " ".join(call(*command).stdout.split())
        quick["sandwich"] = sandwich | {"gap": -5.0, "gap_se": 0.01}
        assert "the bounds cross by more than their errors" in " ".join(call(*command).stdout.split())

    @pytest.mark.parametrize(("information", "warns"), [(None, False), (2.0, False), (4.26, True)])
    def test_warns_of_a_mutual_information_at_its_ceiling(
        self, information: float | None, warns: bool, copied: Run, quick: dict[str, Any]
    ) -> None:
        quick |= {"num_examples": 71, "mutual_information": information, "mutual_information_ceiling": 4.263}
        printed = call("evaluate", "--run", copied.folder, "--no-plots").stdout
        assert ("log 71 = 4.263 nats, its ceiling" in printed) == warns

    def test_writes_not_defined_in_place_of_nan(self, copied: Run, quick: dict[str, Any]) -> None:
        quick |= {"log_likelihood_se": np.nan, "active_units": np.nan, "ess_median": None}
        printed = call("evaluate", "--run", copied.folder, "--no-plots").stdout
        assert "nan" not in printed
        assert printed.count("not defined") == 2
        result = json.loads((copied.folder / "evaluation.json").read_text())
        assert result["log_likelihood_se"] is None
        assert "not a finite number" in result["log_likelihood_se_reason"]

    def test_advice_names_options(self, copied: Run, quick: dict[str, Any]) -> None:
        quick["advice"] = "log p(x) is biased low. Use `iw_samples=100` or more."
        printed = call("evaluate", "--run", copied.folder, "--no-plots").stdout
        assert "Use --iw-samples 100 or more." in printed

    def test_json_has_the_same_words_and_the_file_those_of_the_library(
        self, copied: Run, quick: dict[str, Any]
    ) -> None:
        quick["advice"], quick["remarks"] = "Use `iw_samples=100` or more.", ["Lower `latent_dim`."]
        result = answer("evaluate", "--run", copied.folder, "--no-plots")
        assert result["advice"] == "Use --iw-samples 100 or more."
        assert result["remarks"] == ["Lower --latent-dim."]
        assert unseal(result)["advice"] == result["advice"]
        assert copied.read("evaluation.json")["advice"] == quick["advice"]
        assert copied.read("evaluation.json")["remarks"] == quick["remarks"]


@pytest.mark.usefixtures("quick")
class TestSeveralRuns:
    """`--run` given more than once."""

    @pytest.fixture
    def both(self, copied: Run) -> tuple[object, ...]:
        """The options for two copies of one run."""
        first = copied.folder.parent / "first"
        shutil.copytree(copied.folder, first)
        return "--run", first, "--run", copied.folder, "--no-plots"

    def test_json_holds_each_run_and_the_differences(self, both: tuple[object, ...]) -> None:
        result = answer("evaluate", *both)
        assert [each["run"] for each in result["runs"]] == [str(both[1]), str(both[3])]
        (difference,) = result["differences"]
        assert (difference["run"], difference["baseline"]) == (str(both[3]), str(both[1]))
        assert difference["log_likelihood"] == difference["log_likelihood_se"] == 0

    def test_table_shows_them_side_by_side(self, both: tuple[object, ...], quick: dict[str, Any]) -> None:
        quick["advice"] = "Use `iw_samples=100` or more."
        printed = call("evaluate", *both).stdout
        assert "paired difference" in printed
        assert "+0.000" in printed
        assert printed.count("Use --iw-samples 100 or more") == 2
        assert f"\n{both[1]}\n" in printed


@pytest.mark.slow
def test_compares_two_real_evaluations(copied: Run) -> None:
    first = copied.folder.parent / "first"
    shutil.copytree(copied.folder, first)
    both = ("--run", first, "--run", copied.folder, "--iw-samples", "4", "--max-examples", "9", "--no-plots", *GRAPH)
    result = answer("evaluate", *both)
    assert [each["num_examples"] for each in result["runs"]] == [9, 9]
    assert result["differences"][0]["log_likelihood"] == 0


@pytest.mark.usefixtures("quick")
class TestFiles:
    """Files in the run."""

    @pytest.mark.slow
    def test_smaller_evaluation_does_not_replace_a_fuller_one(self, copied: Run) -> None:
        full = answer("evaluate", "--run", copied.folder, "--max-examples", "20")
        pictures = {path.name: path.read_bytes() for path in (copied.folder / "plots").iterdir()}
        lesser = call("evaluate", "--run", copied.folder, "--max-examples", "9", "--json")
        assert as_printed(copied.folder / "evaluation.json") == full
        assert as_printed(copied.folder / "evaluation-partial.json") == json.loads(lesser.stdout)
        assert {path.name: path.read_bytes() for path in (copied.folder / "plots").iterdir()} == pictures
        assert "because that evaluation is fuller (20 examples, K = 100)" in lesser.stderr
        assert "delete evaluation.json first" in lesser.stderr
        (copied.folder / "evaluation.json").unlink()
        assert "picture" in call("evaluate", "--run", copied.folder, "--max-examples", "9").stderr
        assert json.loads((copied.folder / "evaluation.json").read_text())["num_examples"] == 9

    @pytest.mark.slow
    def test_no_plots_removes_pictures_of_the_old_evaluation(self, copied: Run) -> None:
        written = call("evaluate", "--run", copied.folder).stderr
        names = {path.name for path in (copied.folder / "plots").glob("evaluation-*")}
        assert names
        assert all(name in written for name in names)
        call("evaluate", "--run", copied.folder, "--iw-samples", "101", "--no-plots")
        assert not [*(copied.folder / "plots").glob("evaluation-*")]

    def test_per_example_values_have_the_reported_mean(self, here: Path, copied: Run) -> None:
        result = answer("evaluate", "--run", copied.folder, "--no-plots", "--per-example", "each.npz")
        each = read_npz(Path("each.npz"))
        for key in ("log_likelihood", "elbo", "distortion", "rate"):
            assert each[key].shape == (60,)
            assert each[key].mean() == pytest.approx(result[key])
        assert each["label"].shape == (60,)
        assert np.median(each["ess"]) == pytest.approx(result["ess_median"])

    def test_closed_stdout_does_not_lose_the_evaluation(
        self, here: Path, copied: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise BrokenPipeError(errno.EPIPE, "closed")

        monkeypatch.setattr(evaluate, "print_results", fail)
        call("evaluate", "--run", copied.folder, "--no-plots", "--per-example", "each.npz", code=1)
        assert copied.read("evaluation.json")["num_examples"] == 60
        assert read_npz(Path("each.npz"))["elbo"].shape == (60,)

    def test_failed_write_still_prints_the_evaluation(self, copied: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise DiskError("the disk is full.")

        monkeypatch.setattr(Run, "write_evaluation", fail)
        assert "log p(x)" in call("evaluate", "--run", copied.folder, "--no-plots", code=6).stdout


def test_progress_names_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress_bar("importance sampling", 10) as progress:
        progress(10)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("anomalies", "reason"), [(1, "one anomaly"), (3, "one usual row")])
def test_unknown_errors_of_a_ranking_have_a_reason(
    anomalies: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rank_anomalies(np.arange(4.0), np.arange(4) >= 4 - anomalies)
    record = evaluate.ranking_record("typicality", found, anomalies)
    errors = {"auroc_se", "average_precision_se"}
    assert {(record[name], record[f"{name}_reason"]) for name in errors} == {(None, reason)}
    known = {
        "num_examples": 4,
        "num_anomalies": anomalies,
        "iw_samples": 9,
        "refine": "none",
        "seed": 0,
        "seconds": 1.0,
    }
    evaluate.print_ranking({"data": "new.csv", "anomalies": [record], **known})
    said = capsys.readouterr().out
    assert f"new.csv: 4 rows, {anomalies} anomalous, K = 9, seed 0" in said
    assert said.count(f"unknown: {reason}") == 2
    assert "nan" not in said


@pytest.mark.slow
def test_anomalies_of_a_file_are_ranked_by_every_score_that_applies(here: Path, copied: Run, digits: Dataset) -> None:
    x = np.concatenate([digits.test.x[:40], 1 - digits.test.x[:20]])[..., 0]
    np.savez("checked.npz", x=x, y=np.repeat([0, 1], [40, 20]))
    options = ("--run", copied.folder, "--data", "checked.npz", "--anomalies", "label", "--iw-samples", 3, *GRAPH)
    result = answer("evaluate", *options)
    keys = "run dataset split num_examples iw_samples log_likelihood log_likelihood_se elbo elbo_se distortion rate"
    assert {*keys.split(), "bits_per_dim", "active_units", "ess_median", "seconds"} <= result.keys()
    assert (result["num_anomalies"], result["anomaly_values"]) == (20, ["1"])
    by_name = {each["score"]: each for each in result["anomalies"]}
    assert by_name["log-likelihood"]["auroc"] > 0.95
    assert by_name["log-likelihood"]["average_precision_se"] < 0.1
    assert "likelihood for each column" in by_name["worst-cell"]["reason"]
    kept = copied.anomaly_evaluation()
    assert kept is not None
    assert kept.content() == {key: value for key, value in result.items() if key != "checksum"}
    said = call("evaluate", *options)
    assert "anomalies: 20 of 60 rows, with label 1" in said.stderr
    assert "chance: AUROC 0.5, average precision 0.3333" in said.stdout
    assert "without worst-cell" in said.stdout


@pytest.mark.slow
def test_labels_of_a_table_may_be_in_the_new_file_alone(here: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(60, 3))
    np.savetxt(here / "usual.csv", rows, delimiter=",", header="a,b,c", comments="")
    call("train", "--dataset", "usual.csv", "--run-dir", "r", "--epochs", 1, "--no-plots", *GRAPH)
    marked = np.column_stack([rows[:20] + np.where(np.arange(20) < 3, 50.0, 0.0)[:, np.newaxis], np.arange(20) < 3])
    np.savetxt(here / "checked.csv", marked, delimiter=",", header="a,b,c,fraud", comments="")
    options = ("--data", "checked.csv", "--anomalies", "fraud", "--iw-samples", 5, *GRAPH)
    result = answer("evaluate", "--run", "r", *options)
    assert (result["num_examples"], result["num_anomalies"], result["anomaly_values"]) == (20, 3, ["1"])
    assert result["anomalies"][0]["auroc"] == pytest.approx(1.0)


@pytest.mark.slow
def test_classes_of_a_split_can_be_the_anomalies(here: Path, copied: Run, digits: Dataset) -> None:
    options = ("--run", copied.folder, "--anomalies", "label=1,7", "--split", "validation", "--iw-samples", 2, *GRAPH)
    result = answer("evaluate", *options)
    assert result["num_anomalies"] == np.isin(digits.validation.y, [1, 7]).sum()
    assert result["split"] == "validation"
    assert not (copied.folder / "evaluation.json").exists()
