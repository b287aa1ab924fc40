"""Fitted models: scores, samples, and their way to a run and back."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pytest

import tfp_vae as tv
from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import places_of, seed_for_evaluation
from tfp_vae.data.dataset import Split
from tfp_vae.data.readers.sources import Reading
from tfp_vae.evaluation import importance
from tfp_vae.interop.sklearn import fitted as sklearn_fitted
from tfp_vae.interop.sklearn.fitted import BATCH, Fitted, fit_rows, hold_out, pad
from tfp_vae.interop.sklearn.rows import TableRows
from tfp_vae.runs.recipe import OPEN

SETTINGS = {"epochs": 2, "hidden": (4,), "latent_dim": 2, "execution": "graph", "early_stopping": 1}


@pytest.fixture(scope="module")
def rows() -> TableRows:
    x = np.random.default_rng(1).normal([3.0, -2.0], [2.0, 0.1], size=(80, 2))
    return TableRows(x, Reading(), None)


@pytest.fixture(scope="module")
def fitted(rows: TableRows) -> Fitted:
    return fit_rows(rows, SETTINGS, seed=0, validation_fraction=0.2)


def test_held_out_rows_are_not_trained_on() -> None:
    x = np.arange(20.0)[:, np.newaxis]
    train, validation = hold_out(x, 0, 0.25)
    assert (len(train), len(validation)) == (15, 5)
    np.testing.assert_array_equal(np.sort(np.concatenate([train.x, validation.x]), axis=0), x)
    assert not np.array_equal(hold_out(x, 1, 0.25)[1].x, validation.x)
    assert [len(part) for part in hold_out(x[:2], 0, 0.01)] == [1, 1]
    with pytest.raises(UsageError, match="validation_fraction"):
        hold_out(x, 0, 1.0)


def test_pad_repeats_the_first_row() -> None:
    x = np.arange(3.0)
    np.testing.assert_array_equal(pad(x), [0, 1, 2, *[0] * (BATCH - 3)])
    assert len(pad(np.zeros(BATCH + 1))) == BATCH + 1


@pytest.mark.slow
def test_scores_are_the_importance_weighted_estimate_in_the_units_of_the_rows(fitted: Fitted, rows: TableRows) -> None:
    x = Split(fitted_rows(fitted, rows.x))
    found = fitted.estimate(x.x, iw_samples=5, refine="none").log_likelihood
    vae = fitted.build()
    alone = tv.evaluation.estimate(
        vae, x.x, iw_samples=5, seed=seed_for_evaluation(0), places=places_of(x.x), batch_size=16, execution="graph"
    ).log_likelihood
    scales = fitted.config.data.standard["scale"]
    np.testing.assert_allclose(found, alone - np.log(scales).sum(), rtol=1e-5)


def fitted_rows(fitted: Fitted, x: np.ndarray) -> np.ndarray:
    loc, scale = fitted.config.data.standard.values()
    return ((x - loc) / scale).astype(np.float32)


@pytest.mark.slow
def test_ten_times_larger_units_shift_the_scores_by_log_ten(fitted: Fitted, rows: TableRows) -> None:
    larger = fit_rows(rows._replace(x=rows.x * [10.0, 1.0]), SETTINGS, seed=0, validation_fraction=0.2)
    first, second = (
        each.estimate(fitted_rows(each, x), iw_samples=5, refine="none").log_likelihood
        for each, x in ((fitted, rows.x), (larger, rows.x * [10.0, 1.0]))
    )
    np.testing.assert_allclose(second, first - math.log(10), atol=1e-3)


@pytest.mark.slow
def test_results_of_a_row_do_not_depend_on_how_many_rows_there_are(
    fitted: Fitted, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rng.normal(size=(1_100, 2)).astype(np.float32)
    settings = {"iw_samples": 20, "refine": "none"}
    few = [fitted.log_likelihood(x[part], **settings) for part in (slice(40), slice(1_060, None))]
    codes = fitted.encode(x[:40])
    for module in (importance, sklearn_fitted):
        monkeypatch.setattr(module, "MANY", 1_000)
    assert fitted.rows_at_once(1_000, "none") == importance.LARGE_BATCH
    many = fitted.log_likelihood(x, **settings)
    np.testing.assert_array_equal(np.concatenate([many[:40], many[1_060:]]), np.concatenate(few))
    np.testing.assert_array_equal(fitted.encode(x)[:40], codes)


@pytest.mark.slow
def test_settings_that_mean_several_others_close_them(rows: TableRows, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[set[str]] = []

    def stop(raw: object, model: object, named: Mapping[str, object], open_training: Collection[str]) -> None:
        found.append({*OPEN, *open_training} - named.keys())
        raise UsageError("stopped by the test.")

    monkeypatch.setattr(sklearn_fitted, "prepare_rows", stop)
    for settings in ({}, {"hidden": (4,), "mc_samples": 1}):
        with pytest.raises(UsageError, match="stopped"):
            fit_rows(rows, settings, seed=0, validation_fraction=0.2)
    assert found[0] - found[1] == {"encoder", "decoder", "objective"}


def test_best_weights_are_in_use(fitted: Fitted) -> None:
    history = fitted.history
    assert history.snapshot is not None
    assert history.snapshot.best is not None
    assert history.best_epoch > 0
    for name, array in history.snapshot.best.variables.items():
        np.testing.assert_array_equal(fitted.weights[name], array)


@pytest.mark.slow
def test_run_has_the_same_scores_and_commands_take_it(fitted: Fitted, rows: TableRows, tmp_path: Path) -> None:
    run = fitted.save(tmp_path / "run")
    again = Fitted.load(run.folder)
    x = fitted_rows(fitted, rows.x)
    expected = fitted.estimate(x, iw_samples=5, refine="none").log_likelihood
    np.testing.assert_array_equal(again.estimate(x, iw_samples=5, refine="none").log_likelihood, expected)
    restored = tv.runs.LoadedRun(run)
    np.save(tmp_path / "new.npy", rows.x)
    view = tv.runs.new_examples(restored.config, str(tmp_path / "new.npy"))
    _, estimates = tv.runs.score(restored, view.x, iw_samples=5, places=places_of(x))
    np.testing.assert_allclose(estimates.log_likelihood, expected, rtol=1e-5)
    assert run.status().state == "finished"


@pytest.mark.slow
def test_run_of_images_is_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"tv\.load"):
        Fitted.load(trained)
