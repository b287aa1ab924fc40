"""Runs whose classes are known for some rows: trained, resumed bit for bit, evaluated, scored and drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tfp_vae as tv
from tests.helpers.commands import GRAPH, answer, call, one_sentence, read_rows
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import UsageError
from tfp_vae.data.readers.sources import Reading
from tfp_vae.runs import Plan, assess
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import Note, plan, reload
from tfp_vae.runs.results import AnnealingPlan
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

READING = Reading(condition="label", labelled=60)


def start(folder: Path, epochs: int = 2) -> Run:
    config, data = plan("digits", None, None, small_model(), small_training(epochs=epochs), reading=READING)
    run = Run.create(folder, config)
    assert train(run, data)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return start(tmp_path_factory.mktemp("runs") / "whole")


def test_plan_prints_the_labelled_rows_and_each_choice_with_its_setting() -> None:
    notes = list[Note]()
    plan("digits", None, None, small_model(), small_training(), reading=READING, notify=notes.append)
    texts = [note.text for note in notes if "classifier" in note.text]
    assert "60 of 1,437 training rows have a 'label', because `labelled` is 60" in texts[0]
    assert "`classifier` is mlp:hidden=16, like the encoder" in texts[1]
    assert "`classifier_weight` is 23.95, because" in texts[2]


def test_run_records_the_condition_and_reloads_the_same_contexts(run: Run) -> None:
    config = run.config()
    assert config.settings()["labelled"] == 60
    vae, data = LoadedRun(run).vae, reload(config)
    assert vae.classifier is not None
    assert data.train.context is not None
    assert data.train.context.sum() == 60
    np.testing.assert_allclose(np.exp(vae.classifier.log_prior), 0.1)


def test_settings_of_a_classifier_need_rows_without_a_class() -> None:
    for settings in ({"classifier": "mlp"}, {"classifier_weight": 2.0}):
        model, training = small_model(), small_training()
        changed = {k: v for k, v in settings.items() if k == "classifier_weight"}
        training = training.model_copy(update=changed)
        model = model.model_copy(update={k: v for k, v in settings.items() if k not in changed})
        with pytest.raises(
            UsageError, match=f"`{next(iter(settings))}` needs a condition that some training rows lack"
        ):
            plan("digits", None, None, model, training, reading=Reading(condition="label"))


def test_fit_refuses_a_model_without_a_classifier() -> None:
    data = tv.data.load("digits", condition="label", labelled=60)
    built = tv.build(data, hidden=(8,))
    with pytest.raises(UsageError, match="the class of some training rows is unknown, but the VAE has no classifier"):
        tv.fit(tv.VAE(built.encoder, built.decoder, built.prior), data, epochs=1)


def test_evaluation_sums_over_the_classes_and_measures_both_classifiers(run: Run) -> None:
    restored = LoadedRun(run)
    found = assess(restored, reload(restored.config), Plan(iw_samples=(5,), max_examples=30))
    rule = found.result["classification"]
    assert rule["examples"] == rule["classifier"]["examples"] == 30
    assert 0 <= rule["classifier"]["accuracy"] <= 1
    assert rule["log_likelihood"] == pytest.approx(found.result["log_likelihood"], abs=0.2)
    assert found.result["elbo"] < found.result["log_likelihood"]
    assert "exact sum over the classes" in found.result["remarks"][0]
    with pytest.raises(UsageError, match="Annealing does not support"):
        assess(restored, reload(restored.config), Plan(annealing=AnnealingPlan(steps=2)))


def test_new_rows_without_labels_are_scored_encoded_and_reconstructed(run: Run, tmp_path: Path) -> None:
    data = reload(run.config())
    x, vae = (data.test.x[:6] > 0.5).astype(np.float32), LoadedRun(run).vae
    np.save(tmp_path / "new.npy", x)
    common = ("--run", run.folder, "--data", tmp_path / "new.npy")
    call("score", *common, "--iw-samples", 20, "--held-out-rows", 20, "--out", tmp_path / "scores.csv", "--no-plots")
    scores = np.array([float(row["log_likelihood"]) for row in read_rows(tmp_path / "scores.csv")])
    expected = tv.log_likelihood(vae, x, iw_samples=200, seed=0, execution="graph")
    np.testing.assert_allclose(scores, expected.values, atol=0.5)
    call("encode", *common, "--out", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz") as codes:
        np.testing.assert_allclose(codes["mean"], vae.condition(x)[0].encoder.mean(x), rtol=1e-4, atol=1e-5)
    call("reconstruct", *common, "--out", tmp_path / "means.npy")
    np.testing.assert_allclose(np.load(tmp_path / "means.npy"), vae.reconstruct(x), rtol=1e-4, atol=1e-5)
    call("sample", "--run", run.folder, "--given", 3, "--n", 2, "--out", tmp_path / "threes.npy")


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
    data = tv.data.load("digits", condition="label", labelled=60)
    vae = tv.build(data, latent_dim=2, likelihood="bernoulli", hidden=(16,))
    tv.fit(vae, data, "elbo", epochs=2, execution="graph", binarization="dynamic")
    for one, other in zip(vae.trainable_variables, LoadedRun(run).vae.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, other)
    loaded = tv.load(tv.save(vae, tmp_path / "saved").folder)
    np.testing.assert_array_equal(loaded.reconstruct(data.test[:3].batch), vae.reconstruct(data.test[:3].batch))


@pytest.mark.slow
def test_a_table_with_missing_classes_trains_and_reports(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    kind, lines = draw.integers(0, 2, 200), ["length,width,kind"]
    for i, k in enumerate(kind):
        length, width = draw.normal(size=2) + 3 * k
        lines.append(f"{length:.3f},{width:.3f},{'' if i % 3 else 'ab'[k]}")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    table = ("--dataset", tmp_path / "rows.csv", "--label-column", "kind", "--condition", "kind")
    call("train", *table, *GRAPH, "--epochs", 3, "--hidden", 8, "--run-dir", tmp_path / "run")
    found = answer("evaluate", "--run", tmp_path / "run", "--iw-samples", 5, "--no-plots")
    assert found["classification"]["classifier"]["examples"] < found["num_examples"]
    call("report", "--run", tmp_path / "run")
    said = one_sentence(call("evaluate", "--anomalies", "kind=a", "--run", tmp_path / "run", code=2))
    assert "does not support runs with a condition" in said
