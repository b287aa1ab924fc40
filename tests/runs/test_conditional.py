"""Runs with a condition: trained, resumed bit for bit, loaded, evaluated and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.commands import GRAPH, call, one_sentence, read_rows
from tests.helpers.runs import small_model, small_training
from tfp_vae import reports
from tfp_vae.core.errors import UsageError
from tfp_vae.data.readers.sources import Reading
from tfp_vae.runs import Plan, assess
from tfp_vae.runs.examples import held_out_view
from tfp_vae.runs.frames import Film, spread_rows
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.recipe import Note, plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train


def start(folder: Path, epochs: int = 2) -> Run:
    reading = Reading(condition="label")
    model = small_model(prior="learned-normal")
    config, data = plan("digits", None, None, model, small_training(epochs=epochs), reading=reading)
    run = Run.create(folder, config)
    assert train(run, data, callbacks=[Film(run, data)])
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("runs") / "whole")


def test_plan_explains_the_condition_without_counting_it_among_the_choices_of_the_data() -> None:
    notes = list[Note]()
    reading = Reading(condition="label")
    plan("digits", None, None, small_model(), small_training(epochs=1), reading=reading, notify=notes.append)
    (note,) = (note for note in notes if note.setting == "condition")
    assert not note.value
    assert "p(x|y) with y = label (10 classes)" in note.text


def test_vamp_prior_is_refused_before_data_are_read() -> None:
    model, training = small_model(prior="vamp"), small_training(objective="monte-carlo-elbo")
    with pytest.raises(UsageError, match=r"vamp prior does not support a condition.*`prior=standard-normal`\.$"):
        plan("absent.npz", None, None, model, training, reading=Reading(condition="label"))


def test_run_records_the_condition_and_reloads_the_same_contexts(run: Run) -> None:
    config = run.config()
    assert config.data.condition is not None
    assert config.data.context_size == LoadedRun(run).vae.context_size == 10
    assert config.settings()["condition"] == ("label",)
    data = reload(config)
    np.testing.assert_array_equal(data.test.context, np.eye(10)[data.test.y])


@pytest.mark.slow
def test_resumed_run_equals_an_uninterrupted_one(run: Run, tmp_path: Path) -> None:
    first = start(tmp_path / "first", epochs=1)
    first.extend(epochs=2)
    assert train(first, reload(first.config()))
    ends = [LoadedRun(each).vae.trainable_variables for each in (run, first)]
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_python_trains_the_same_model_as_a_run_and_saves_it(run: Run, tmp_path: Path) -> None:
    data = tv.data.load("digits", condition="label")
    vae = tv.build(data, latent_dim=2, likelihood="bernoulli", prior="learned-normal", hidden=(16,))
    tv.fit(vae, data, "elbo", epochs=2, execution="graph", binarization="dynamic")
    for one, other in zip(vae.trainable_variables, LoadedRun(run).vae.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)
    loaded = tv.load(tv.save(vae, tmp_path / "saved").folder)
    np.testing.assert_array_equal(loaded.reconstruct(data.test[:3].batch), vae.reconstruct(data.test[:3].batch))


def test_samples_follow_the_classes_or_the_one_that_is_given(run: Run) -> None:
    restored = LoadedRun(run)
    condition = restored.config.data.condition
    assert condition is not None
    whole = sample(restored, 20, seed=0, show="mean")
    three = sample(restored, 20, seed=0, show="mean", context=condition.parse("3"))
    np.testing.assert_allclose(whole[6:8], three[6:8], rtol=1e-5)
    assert np.abs(whole[:6] - three[:6]).max() > 1e-3


def test_given_fixes_the_condition_of_the_commands(run: Run, tmp_path: Path) -> None:
    restored = LoadedRun(run)
    vae, config = restored.vae, restored.config
    assert config.data.condition is not None
    three, x = config.data.condition.parse("3"), tmp_path / "x.npy"
    given = ("--run", run.folder, "--given", "3", "--out")
    call("sample", "--n", 4, "--mean", "--seed", 0, *given, x)
    np.testing.assert_allclose(np.load(x), sample(restored, 4, seed=0, show="mean", context=three), rtol=1e-5)
    call("reconstruct", "--max-examples", 2, *given, x)
    split = held_out_view(config, reload(config), "test")
    z = tv.evaluation.encode(vae, split[spread_rows(len(split), 2)].batch, samples=0, seed=(0, 0)).mean
    np.testing.assert_allclose(np.load(x), tv.evaluation.decode(vae, z, seed=(0, 0), context=three), rtol=1e-5)
    call("interpolate", "--prior", "--n", 2, *given, tmp_path / "paths.npz")
    with np.load(tmp_path / "paths.npz") as paths:
        means = tv.evaluation.decode(vae, paths["z"], seed=(0, 0), context=three)
        np.testing.assert_allclose(paths["x"], means, rtol=1e-5)


def test_evaluation_has_the_classes_and_bayes_rule(run: Run) -> None:
    restored = LoadedRun(run)
    found = assess(restored, reload(restored.config), Plan(iw_samples=(5,), max_examples=40))
    classes, rule = found.result["per_class"], found.result["classification"]
    assert sum(each["examples"] for each in classes) == rule["examples"] == 40
    mean = sum(each["examples"] * each["log_likelihood"] for each in classes) / 40
    assert mean == pytest.approx(found.result["log_likelihood"])
    assert 0 <= rule["accuracy"] <= 1
    assert "those of p(x|y)" in found.result["remarks"][0]
    assert rule["negative_log_likelihood"] > 0


def test_known_anomalies_and_a_condition_exclude_each_other(run: Run) -> None:
    said = one_sentence(call("evaluate", "--anomalies", "label=3", "--run", run.folder, code=2))
    assert "evaluate --anomalies does not support runs with a condition" in said


@pytest.mark.slow
def test_scores_of_classes_follow_given_and_the_own_label_is_the_default(run: Run, tmp_path: Path) -> None:
    shared = ("score", "--run", run.folder, "--max-examples", 12, "--iw-samples", 5, "--no-plots", *GRAPH)
    scores = dict[str, np.ndarray]()
    for name, given in {"own": (), **{str(i): ("--given", i) for i in (3, 8)}}.items():
        said = call(*shared, *given, "--out", tmp_path / f"{name}.csv")
        assert "those of p(x|y)" in said.stderr
        rows = read_rows(tmp_path / f"{name}.csv")
        scores[name] = np.array([float(row["log_likelihood"]) for row in rows])
        labels = np.array([row["label"] for row in rows])
    for label in ("3", "8"):
        np.testing.assert_allclose(scores[label][labels == label], scores["own"][labels == label], rtol=1e-5)
    assert not np.allclose(scores["3"], scores["8"])


@pytest.mark.slow
def test_every_picture_of_a_run_is_drawn(run: Run) -> None:
    restored = LoadedRun(run)
    paths = reports.draw_run(reports.RunData(restored, reload(restored.config)))
    assert all(path.stat().st_size > 1_000 for path in paths)
