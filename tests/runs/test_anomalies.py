"""Scores of held-out rows that a run keeps, p-values of rows, and rankings of known anomalies."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation.anomalies import Evidence, Ranking, p_values
from tfp_vae.runs import anomalies
from tfp_vae.runs.anomalies import Effort, Known, calibrate, detect, keep_threshold, observe, rank_scores
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import CALIBRATION, Run

EFFORT = Effort(iw_samples=2, execution="graph")


def never() -> Dataset:
    raise AssertionError("the data were read")


def test_run_keeps_the_scores_of_held_out_rows(copied: Run, digits: Dataset) -> None:
    restored = LoadedRun(copied)
    found = calibrate(restored, lambda: digits, effort=EFFORT, most=40)
    assert (found.split, len(found.rows)) == ("test", 40)
    assert calibrate(restored, never, effort=EFFORT, most=40) == found
    typical = calibrate(restored, lambda: digits, "typicality", EFFORT, most=40)
    assert typical.scores.keys() == {"log-likelihood", "typicality"}
    assert typical.scores["log-likelihood"] == found.scores["log-likelihood"]
    assert LoadedRun(copied).run.calibration() == typical


@pytest.mark.slow
def test_scores_of_other_settings_are_not_used(copied: Run, digits: Dataset) -> None:
    restored = LoadedRun(copied)
    first = calibrate(restored, lambda: digits, effort=EFFORT, most=20)
    for other in (EFFORT._replace(iw_samples=3), EFFORT._replace(seed=1)):
        with pytest.raises(AssertionError, match="were read"):
            calibrate(restored, never, effort=other, most=20)
    with pytest.raises(AssertionError, match="were read"):
        calibrate(restored, never, effort=EFFORT, most=21)
    second = calibrate(restored, lambda: digits, effort=EFFORT._replace(seed=1), most=20)
    assert second.scores["log-likelihood"] != first.scores["log-likelihood"]
    assert copied.calibration() == second


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "value"])
def test_damaged_file_is_made_again(
    copied: Run, digits: Dataset, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    restored = LoadedRun(copied)
    found = calibrate(restored, lambda: digits, effort=EFFORT, most=20)
    if damage == "cut":
        path = copied.folder / CALIBRATION
        path.write_text(path.read_text()[:-20])
    else:
        content = found.model_dump()
        content["scores"]["log-likelihood"]["values"].pop()
        copied.write(CALIBRATION, content)
    assert calibrate(restored, lambda: digits, effort=EFFORT, most=20) == found
    assert "scored again" in caplog.text


@pytest.mark.slow
def test_file_is_json_of_a_strict_schema(copied: Run, digits: Dataset) -> None:
    calibrate(LoadedRun(copied), lambda: digits, effort=EFFORT, most=5)
    content = json.loads((copied.folder / CALIBRATION).read_text())
    assert content.keys() == {*anomalies.Calibration.model_fields, "checksum"}


def test_p_values_compare_with_the_held_out_rows(copied: Run, digits: Dataset) -> None:
    restored, x = LoadedRun(copied), digits.test.x
    evidence = observe(restored, x[:50], EFFORT)
    kept = calibrate(restored, lambda: digits, effort=EFFORT, most=30)
    found = detect(restored, evidence, kept)
    values = np.array(kept.scores["log-likelihood"].values)
    np.testing.assert_array_equal(found.scores, -evidence.estimates.log_likelihood)
    np.testing.assert_array_equal(found.p_value, p_values(found.scores, values))
    rows = np.arange(50)
    own = detect(restored, evidence, kept, rows=("test", rows)).p_value
    np.testing.assert_array_equal(own, p_values(found.scores, values, np.isin(rows, kept.rows)))
    np.testing.assert_array_equal(detect(restored, evidence, kept, rows=("train", rows)).p_value, found.p_value)


@pytest.mark.slow
def test_known_evidence_is_not_computed_again(copied: Run, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    restored = LoadedRun(copied)
    expected = calibrate(restored, lambda: digits, effort=EFFORT, most=30)
    evidence = observe(restored, digits.test.x, EFFORT)
    (copied.folder / CALIBRATION).unlink()
    monkeypatch.setattr(anomalies, "observe", lambda *_, **__: pytest.fail("scored again"))
    known = Known("test", np.arange(len(digits.test)), evidence)
    assert calibrate(restored, lambda: digits, effort=EFFORT, most=30, known=known) == expected


def test_run_keeps_the_threshold(copied: Run, digits: Dataset) -> None:
    restored = LoadedRun(copied)
    kept = calibrate(restored, lambda: digits, effort=EFFORT, most=39)
    found = keep_threshold(restored, kept, "log-likelihood", 0.05)
    assert found == np.sort(kept.scores["log-likelihood"].values)[-2]
    stored = copied.calibration()
    assert stored is not None
    assert stored.thresholds["log-likelihood"].threshold == found
    assert keep_threshold(restored, kept, "log-likelihood", 0.01) == np.inf
    stored = copied.calibration()
    assert stored is not None
    assert stored.thresholds["log-likelihood"].threshold is None


def test_score_that_does_not_apply_is_refused_by_name(restored: LoadedRun, digits: Dataset) -> None:
    with pytest.raises(UsageError, match="worst-cell"):
        calibrate(restored, lambda: digits, "worst-cell", EFFORT)


@pytest.mark.slow
def test_every_score_ranks_known_anomalies(restored: LoadedRun, digits: Dataset) -> None:
    """Inverted digits are anomalies for each score that the model of images has."""
    test = digits.test[:80]
    x = np.concatenate([test.x, 1 - test.x])
    anomalous = np.repeat([False, True], 80)
    effort: Any = EFFORT._replace(iw_samples=5)
    evidence, found = rank_scores(restored, digits, type(test)(x), anomalous, effort)
    assert evidence.estimates.log_likelihood.shape == (160,)
    assert "likelihood for each column" in str(found.pop("worst-cell"))
    assert list(found) == [
        "log-likelihood",
        "likelihood-ratio:background=independent",
        "likelihood-ratio:background=complexity",
        "typicality",
        "reconstruction",
        "combined:parts=log-likelihood,likelihood-ratio,typicality,reconstruction,merge=harmonic",
    ]
    for name in ("log-likelihood", "typicality", "reconstruction"):
        ranking = found[name]
        assert isinstance(ranking, Ranking)
        assert ranking.auroc > 0.9, name
    assert all(isinstance(each, Ranking) and 0 <= each.auroc <= 1 for each in found.values())


@pytest.mark.parametrize(("split", "other"), [("test", "validation"), ("validation", "train"), ("train", "validation")])
def test_scores_learn_from_other_rows(
    restored: LoadedRun, digits: Dataset, split: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = list[np.ndarray]()

    def keep(restored: LoadedRun, x: Batch, *rest: Any, **settings: Any) -> Evidence:
        observed.append(np.asarray(x.x))
        return observe(restored, x, *rest, **settings)

    monkeypatch.setattr(anomalies, "observe", keep)
    examples = held_out_view(restored.config, digits, split)[:9]
    rank_scores(restored, digits, examples, np.arange(9) < 2, EFFORT, scores=["typicality"])
    rows, reference = observed
    np.testing.assert_array_equal(rows, examples.x)
    known = {row.tobytes() for row in held_out_view(restored.config, digits, other).x}
    assert {row.tobytes() for row in reference} <= known


@pytest.mark.slow
def test_false_alarms_among_usual_rows_are_as_promised(copied: Run, digits: Dataset) -> None:
    """Half of the test rows calibrate, and the other half raises as many alarms as the rate says."""
    restored = LoadedRun(copied)
    evidence = observe(restored, digits.test.x, EFFORT)
    scores, rng = -evidence.estimates.log_likelihood, np.random.default_rng(0)
    rates = []
    for _ in range(200):
        order = rng.permutation(len(scores))
        rates.append(np.mean(p_values(scores[order[90:]], scores[order[:90]]) <= 0.1))
    assert np.mean(rates) == pytest.approx(9 / 91, abs=0.01)
    assert np.mean(rates) <= 0.1
