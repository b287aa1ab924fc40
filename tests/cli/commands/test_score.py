"""`tfp-vae score`: log p(x) of each example, and the least likely of them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tfp_vae.cli import signals
from tfp_vae.cli.commands import score as score_command
from tfp_vae.cli.commands.score import HELD_OUT, OwnData, Wanted, score_all, with_reasons

from tests.helpers.commands import (
    GRAPH,
    QUICK,
    answer,
    call,
    read_rows,
    read_tiles,
    shows_something,
)
from tests.helpers.files import encoded
from tests.helpers.files import write as write_images
from tests.helpers.people import HEADER, people, write_people
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.loading import load
from tfp_vae.evaluation.anomalies import Effort
from tfp_vae.plots.canvas import Figure
from tfp_vae.runs.folder import unfinished
from tfp_vae.runs.folder.unfinished import Unfinished
from tfp_vae.runs.run import Run


@pytest.mark.slow
def test_picture_shows_the_least_likely_examples(
    here: Path, copied: Run, test_split: Split, figures: list[Figure]
) -> None:
    result = answer("score", "--run", copied.folder, "--iw-samples", 3, "--show", 4, *GRAPH)
    worst = [each["example"] for each in result["most_anomalous"]]
    np.testing.assert_array_equal(read_tiles(figures[0], 4), test_split.x[worst][..., 0])
    texts = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in figures[0].axes[0].texts]
    found = [
        (f"{each['log_likelihood']:.0f}", test_split.source_name(each["example"])) for each in result["most_anomalous"]
    ]
    assert texts == [f"{value}\n{name}" for value, name in found]
    assert "180 test examples" in figures[0].axes[0].get_title()


@pytest.mark.parametrize("own", [None, "train", *HELD_OUT])
def test_data_of_the_run_are_released_before_examples_are_scored_unless_they_are_held_out(
    monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    events: list[str] = []

    class Data:
        release = staticmethod(lambda: events.append("release"))

    split = Split(np.zeros([2, 1]))
    examples = SimpleNamespace(split=split, places=np.arange(2))
    monkeypatch.setattr(score_command, "held_out_scores", lambda *given: events.append(f"held out {len(given)}") or "")
    monkeypatch.setattr(
        score_command, "score_examples", lambda *given, keep: events.append("examples") or ({}, None, None)
    )
    wanted = Wanted(Effort(), "log-likelihood", None, 10, cells=False)
    score_all(None, examples, wanted, Data(), own=own, keep=False)
    first, last = ["held out 3", "release", "examples"], ["examples", "held out 4", "release"]
    assert events == (last if own in HELD_OUT else first)


def test_data_of_a_run_are_read_once_until_they_are_released(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(score_command, "reload", lambda *given: read.append(given) or object())
    data = OwnData(SimpleNamespace(config=lambda: "config"), None)
    assert data() is data()
    assert len(read) == 1
    data.release()
    data()
    assert len(read) == 2


@pytest.mark.slow
def test_interrupted_scores_go_on_with_the_command_that_is_printed(
    here: Path, copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("score", "--run", copied.folder, "--iw-samples", 2, "--out", "s.csv", *GRAPH)
    expected = answer(*options)
    texts, keep = [], Unfinished.keep

    @contextmanager
    def ending(text: str) -> Iterator[None]:
        texts.append(text)
        yield

    def interrupt(self: Unfinished, stage: str, columns: Sequence[np.ndarray]) -> None:
        keep(self, stage, columns)
        if len(self.finished(stage)[0]) > 64:
            raise KeyboardInterrupt

    monkeypatch.setattr(signals, "ending", ending)
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    monkeypatch.setattr(unfinished, "PATIENCE", 0)
    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "keep", interrupt)
        call(*options, code=130)
    start, line = texts[0].split("Continue with: ")
    assert start == ". Finished examples are kept. "
    (kept,) = copied.folder.glob("unfinished/*.npz")
    assert len(np.load(kept)["0-0"]) == 128
    found = answer(*shlex.split(line)[1:])
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert not kept.exists()


@pytest.mark.slow
def test_scores_outside_of_the_run_leave_nothing_there(
    here: Path, copied: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unfinished, "__init__", lambda *_: pytest.fail("kept in the run"))
    call("score", "--run", copied.folder, "--iw-samples", 2, "--out", "s.csv", "--no-plots", *GRAPH)


@pytest.mark.slow
def test_mean_agrees_with_that_of_evaluate(here: Path, copied: Run) -> None:
    options = ("--run", copied.folder, "--iw-samples", 4, "--split", "validation", *GRAPH)
    result = answer("score", *options, "--show", 5, "--out", "s.csv")
    evaluated = answer("evaluate", *options)
    noise = np.hypot(result["log_likelihood_mc_error"], evaluated["log_likelihood_mc_error"])
    assert abs(result["log_likelihood"] - evaluated["log_likelihood"]) < 4 * noise  # their draws differ
    rows = read_rows("s.csv")
    scores = np.array([float(row["log_likelihood"]) for row in rows])
    assert scores.mean() == pytest.approx(result["log_likelihood"])
    worst = [each["example"] for each in result["most_anomalous"]]
    assert worst == np.argsort(scores)[:5].tolist()
    assert rows[worst[0]]["label"] == str(result["most_anomalous"][0]["label"])
    assert shows_something(result["picture"])


@pytest.mark.slow
def test_a_subset_has_the_same_scores_as_the_whole_split(here: Path, copied: Run) -> None:
    options = ("score", "--run", copied.folder, "--iw-samples", 3, "--no-plots", *GRAPH)
    said = call(*options, "--out", "all.csv")
    call(*options, "--max-examples", 7, "--out", "some.csv")
    expected = {row["example"]: row for row in read_rows("all.csv")}
    for row in read_rows("some.csv"):
        assert float(row["log_likelihood"]) == pytest.approx(
            float(expected[row["example"]]["log_likelihood"]), rel=1e-6
        )
        assert (row["likelihood"], row["scaling"], row["binarization"]) == ("bernoulli", "pixels", "dynamic")
    named = "(likelihood bernoulli, scaling pixels, binarization dynamic)"
    assert f"p(x) is a probability of binarized values {named}" in said.stdout


@pytest.mark.slow
def test_a_score_depends_on_the_row_alone(here: Path, copied: Run) -> None:
    """Permuted, alone, and in other batches, also for grey pixels that are binarized at random."""
    grey = load("digits").test.x[:45]
    order = np.random.default_rng(0).permutation(45)
    for name, x in (("all", grey), ("permuted", grey[order]), ("one", grey[7:8]), ("twice", grey[[3, 3]])):
        np.save(f"{name}.npy", x)
        options = ("--data", f"{name}.npy", "--out", f"{name}.csv", "--iw-samples", 3, "--no-plots", *GRAPH)
        call("score", "--run", copied.folder, *options)
    scores = {name: [row["log_likelihood"] for row in read_rows(f"{name}.csv")] for name in ("all", "permuted", "one")}
    assert scores["permuted"] == [scores["all"][i] for i in order]
    assert scores["one"] == scores["all"][7:8]
    assert [row["log_likelihood"] for row in read_rows("twice.csv")] == 2 * [scores["all"][3]]


@pytest.mark.slow
def test_new_images_of_another_kind_are_less_likely(copied: Run, here: Path, digits: Dataset) -> None:
    upside_down = {f"{i:03}.png": encoded((255 - 255 * digits.test.x[i, ..., 0]).astype(np.uint8)) for i in range(40)}
    write_images(here / "negatives", upside_down)
    options = ("score", "--run", copied.folder, "--iw-samples", 5, "--no-plots", *GRAPH)
    negatives, own = answer(*options, "--data", "negatives"), answer(*options)
    assert "picture" not in negatives
    assert negatives["quantiles"]["1"] < own["quantiles"]["0.05"]
    rows = read_rows(copied.folder / "scores-data-negatives-iw-samples5.csv")
    assert [row["name"] for row in rows] == sorted(upside_down)


@pytest.mark.slow
def test_table_lists_the_requested_number_of_examples(copied: Run) -> None:
    few = ("--iw-samples", 2, "--max-examples", 30, "--show", 4)
    shown = call("score", "--run", copied.folder, *few, *GRAPH).stdout
    assert "30 examples, K = 2" in shown
    listed = [line for line in shown.splitlines() if line.strip()[:1].isdigit()]
    assert len(listed) == 4
    assert shows_something(shown.splitlines()[-1])


def test_table_lists_sixteen_examples_by_default(copied: Run) -> None:
    few = ("--iw-samples", 2, "--max-examples", 30, "--no-plots")
    shown = call("score", "--run", copied.folder, *few, *GRAPH).stdout
    assert sum(line.strip()[:1].isdigit() for line in shown.splitlines()[1:]) == 16


@pytest.mark.slow
def test_new_grey_files_are_binarized_with_a_warning(copied: Run, here: Path, digits: Dataset) -> None:
    np.save("test.npy", load("digits").test.x[:3])
    np.save("binary.npy", digits.test.x[:3])
    options = ("score", "--run", copied.folder, "--iw-samples", 2, "--no-plots", *GRAPH)
    asked = (("--data", "test.npy"), ("--data", "binary.npy"), ("--max-examples", 4))
    new, binary, own = (call(*options, *more) for more in asked)
    assert "grey values are binarized at random" in new.stderr
    assert "binarized at random" not in own.stderr + binary.stderr  # 0 and 1 are left as they are
    names = ("data-test-iw-samples2", "test-max-examples4-iw-samples2")
    assert [len(read_rows(copied.folder / f"scores-{name}.csv")) for name in names] == [3, 4]


@pytest.mark.slow
def test_unknown_errors_are_null_with_a_reason_and_unknown_in_the_table(copied: Run, here: Path) -> None:
    options = ("score", "--run", copied.folder, "--iw-samples", 5, "--max-examples", 20, "--show", 3, "--no-plots")
    result = answer(*options, *GRAPH, "--out", "s.csv")
    for row in result["most_anomalous"]:
        assert (row["error"], row["error_reason"]) == (None, "the effective sample size is below 10")
    assert result["error_unknown_share"] == 1
    assert result["log_likelihood_high"] is None
    assert "below 10 for 100%" in result["log_likelihood_high_reason"]
    assert {row["error"] for row in read_rows("s.csv")} == {"nan"}
    printed = call(*options, *GRAPH).stdout
    assert "error unknown for 20 of 20 examples: the effective sample size is below 10" in printed
    assert printed.count(" unknown  ") == 3


def test_ids_named_like_a_result_are_texts() -> None:
    row = {"surprise": "party", "error": 0.1}
    assert with_reasons(row) == row


@pytest.mark.slow
def test_refined_scores_agree_with_those_of_a_refined_evaluation(here: Path, copied: Run) -> None:
    options = ("--run", copied.folder, "--iw-samples", 20, "--refine", "local:steps=3", "--split", "validation")
    result = answer("score", *options, "--no-plots", *GRAPH)
    name = "local:steps=3,samples=8,learning_rate=0.1"
    assert result["refine"] == name
    assert result["out"].endswith("-refine-local-steps=3.csv")
    assert {"log_likelihood", "elbo", "refined_elbo"} <= read_rows(result["out"])[0].keys()
    evaluated = answer("evaluate", *options, "--no-plots", "--per-example", "each.npz", *GRAPH)
    assert evaluated["refine"] == name
    assert str(np.load("each.npz")["refine"]) == name
    noise = np.hypot(result["log_likelihood_mc_error"], evaluated["log_likelihood_mc_error"])
    assert abs(result["log_likelihood"] - evaluated["log_likelihood"]) < 4 * noise
    assert evaluated["elbo"] < evaluated["log_likelihood"]
    said = call("evaluate", *options, "--no-plots", *GRAPH).stdout
    assert f"{evaluated['num_examples']} examples, K = 20, refined by local: 3 steps, seed 0" in said


@pytest.mark.slow
def test_examples_that_need_it_are_refined_and_counted(here: Path, copied: Run) -> None:
    options = (
        "--run",
        copied.folder,
        "--iw-samples",
        200,
        "--refine",
        "auto:steps=3,accuracy=0.2",
        "--no-plots",
        *GRAPH,
    )
    said = call("score", *options, "--split", "test").stdout
    evaluated = answer("evaluate", *options, "--per-example", "each.npz")
    refined = np.load("each.npz")["refined"]
    assert 0 < refined.sum() < len(refined)
    assert evaluated["refined_share"] == pytest.approx(refined.mean())
    assert f"proposals refined for {refined.sum():,} of {len(refined):,} examples" in said
    assert "refined by auto: 3 steps if needed" in said


def test_misspelt_refinement_suggests_the_nearest(copied: Run) -> None:
    said = call("score", "--run", copied.folder, "--refine", "lokal", code=2).stderr
    assert "Did you mean 'local'?" in said


@pytest.mark.slow
def test_rows_with_small_p_values_are_flagged(here: Path, copied: Run, digits: Dataset) -> None:
    x = np.concatenate([digits.test.x[:30], 1 - digits.test.x[:10]])
    np.save("new.npy", x[..., 0])
    options = ("score", "--run", copied.folder, "--iw-samples", 3, "--no-plots", *GRAPH)
    result = answer(*options, "--data", "new.npy", "--contamination", 0.05, "--out", "s.csv")
    rows = read_rows("s.csv")
    p, flags = (np.array([float(row[name]) for row in rows]) for name in ("p_value", "flagged"))
    np.testing.assert_array_equal(flags == 1, p <= 0.05)
    assert flags[30:].all()
    assert flags.sum() == result["flagged"]
    assert result["held_out"]["split"] == "test"
    assert result["held_out"]["num_examples"] == len(digits.test)
    scores = np.array([float(row["anomaly_score"]) for row in rows])
    np.testing.assert_array_equal(scores > result["threshold"], flags == 1)
    kept = copied.calibration()
    assert kept is not None
    assert kept.thresholds["log-likelihood"].threshold == result["threshold"]
    said = call(*options, "--data", "new.npy", "--contamination", 0.05)
    assert f"{int(flags.sum())} of 40 examples flagged: log-likelihood score above" in said.stdout
    assert "p-values: by log-likelihood against 180 held-out rows of the run's test split" in said.stderr


@pytest.mark.slow
def test_rate_that_no_row_can_reach_flags_nothing_and_says_so(here: Path, copied: Run) -> None:
    options = ("score", "--run", copied.folder, "--iw-samples", 2, "--no-plots", "--contamination", 0.001, *GRAPH)
    said = call(*options)
    assert (
        "No row can be flagged, because the smallest p-value with 180 held-out rows is 1/181 = 0.005525" in said.stderr
    )
    assert "at least 999 held-out rows" in said.stderr
    assert "each is compared with the others" in said.stderr
    result = answer(*options)
    assert (result["flagged"], result["threshold"]) == (0, None)
    assert "1/181" in result["threshold_reason"]


@pytest.mark.slow
def test_run_without_its_data_has_scores_but_no_p_values(here: Path) -> None:
    np.save("mine.npy", np.random.default_rng(0).normal(size=(60, 3)))
    call("train", "--dataset", "mine.npy", "--run-dir", "r", *QUICK)
    np.save("new.npy", np.random.default_rng(1).normal(size=(4, 3)))
    Path("mine.npy").unlink()
    options = ("score", "--run", "r", "--data", "new.npy", "--iw-samples", 2, "--no-plots", *GRAPH)
    said = call(*options, "--out", "s.csv")
    assert "There are no p-values" in said.stderr
    assert "p_value" not in read_rows("s.csv")[0]
    result = answer(*options, "--out", "s.csv")
    assert result["held_out"] is None
    assert "mine.npy" in result["held_out_reason"]
    call(*options, "--contamination", 0.1, code=3)


@pytest.mark.slow
def test_flagged_rows_of_a_mixed_table_name_the_responsible_cells(here: Path) -> None:
    path = write_people(here / "people.csv")
    call("train", "--dataset", path, "--run-dir", "r", "--hidden", "16", "--epochs", "100", "--no-plots", *GRAPH)
    rows = people(6, seed=1, first=7000)
    place = HEADER.index("height")
    rows[2] = [*rows[2][:place], "999", *rows[2][place + 1 :]]
    new = write_people(here / "new.csv", rows)
    options = ("--data", new, "--iw-samples", 20, "--no-plots", "--out", "s.csv", *GRAPH)
    result = answer("score", "--run", "r", "--contamination", 0.4, *options)
    (worst, *_) = result["most_anomalous"]
    assert (worst["example"], worst["flagged"]) == (2, 1)
    assert "height (" in worst["responsible"]
    assert worst["patient"].startswith("P70")
    by_cell = answer("score", "--run", "r", "--anomaly-score", "worst-cell", *options)
    assert by_cell["most_anomalous"][0]["example"] == 2
    assert "flagged" not in read_rows("s.csv")[0]
    path.unlink()  # the training rows, whose holes decide the surprise
    call("score", "--run", "r", "--anomaly-score", "worst-cell", *options, code=3)
    said = call("score", "--run", "r", "--per-column", *options)
    assert "surprise of cells may be too large" in said.stderr
