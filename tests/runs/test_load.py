"""Saving a VAE as a run, and loading the VAE of a run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfp_vae as tv
from tests.helpers.commands import call
from tests.helpers.models import make, make_for_digits
from tests.helpers.oracles import LinearGaussian
from tests.helpers.runs import assert_same, small_model, without_seconds
from tfp_vae.core.errors import DataError, RunError, UsageError
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import transform_held_out
from tfp_vae.objectives import IWAE, Objective, Weighted
from tfp_vae.reports.page import html_page
from tfp_vae.runs.build import build_model, describe_model
from tfp_vae.runs.config import HandBuiltModel
from tfp_vae.runs.load import LoadedRun, sample
from tfp_vae.runs.recipe import check_fingerprint, plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training import BestWeights, Callback, EarlyStopping, State, Training
from tfp_vae.training.history import Best
from tfp_vae.training.state import weights_in_use

QUICK = {"epochs": 2, "execution": "graph"}
NAME = "tests.helpers.models:make_for_digits"
WORSENING = {
    "epochs": 3,
    "steps_per_epoch": 2,
    "execution": "eager",
    "lr_schedule": lambda step: tf.where(step < 2, 1e-3, 20.0),
}
"""Settings of a fit whose first epoch is the best."""


@pytest.fixture(scope="module")
def digits_data() -> Dataset:
    return tv.data.load("digits")


@pytest.fixture(scope="module")
def fitted(digits_data: Dataset) -> tv.VAE:
    """A hand-built VAE that was trained for two epochs."""
    vae = make_for_digits()
    tv.fit(vae, digits_data, **QUICK, callbacks=[BestWeights(restore=False)])
    return vae


@pytest.fixture(scope="module")
def hand_built(fitted: tv.VAE, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Its run. Do not write to it."""
    return tv.save(fitted, tmp_path_factory.mktemp("runs") / "by-hand", builder=make_for_digits)


@pytest.fixture
def hand_built_copy(hand_built: Run, tmp_path: Path) -> Run:
    shutil.copytree(hand_built.folder, tmp_path / "copy")
    return Run(tmp_path / "copy")


@pytest.fixture
def small_array(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2, (40, 8, 8, 1)).astype(np.float32)


def weights(vae: tv.VAE) -> dict[str, np.ndarray]:
    return State(vae).capture()


class _End(Callback):
    """End a training after an epoch, in one of three ways, and keep its best weights."""

    def __init__(self, way: str, epoch: int) -> None:
        self.way, self.at = way, epoch
        self.best: Best | None = None

    def epoch(self, training: Training) -> None:
        if len(training.history) < self.at:
            return
        self.best = training.best
        if self.way == "interrupt":
            training.interrupt("asked to")
            return
        raise KeyboardInterrupt if self.way == "KeyboardInterrupt" else RuntimeError(self.way)


class TestSaveAfterFit:
    @pytest.mark.slow
    def test_run_equals_one_of_the_command_line(self, trained: Path, digits_data: Dataset, tmp_path: Path) -> None:
        expected = Run(trained)
        vae = build_model(small_model(), (8, 8, 1), data_mean=digits_data.train.x.mean(axis=0))
        tv.fit(vae, digits_data, **QUICK, callbacks=[BestWeights(restore=False)])
        saved = tv.save(vae, tmp_path / "saved")
        assert_same(saved.checkpoint().variables, expected.checkpoint().variables)
        assert_same(saved.checkpoint().best.variables, expected.checkpoint().best.variables)
        assert without_seconds(saved.metrics()) == without_seconds(expected.metrics())
        assert (saved.config().model, saved.config().training) == (expected.config().model, expected.config().training)
        assert saved.config().identity() == expected.config().identity()
        assert saved.status() == expected.status()
        assert {path.name for path in saved.folder.iterdir()} >= {"training.json", "environment.json", "plots"}

    @pytest.mark.slow
    def test_load_returns_the_weights(self, fitted: tv.VAE, hand_built: Run, trained: Path) -> None:
        assert_same(weights(tv.load(hand_built.folder)), weights(fitted))
        assert_same(weights(tv.load(trained)), weights(LoadedRun(Run(trained)).vae))
        assert_same(weights(tv.load(trained, weights="best")), weights(LoadedRun(Run(trained), "best").vae))

    @pytest.mark.slow
    def test_loaded_vae_is_saved_like_the_first(self, hand_built: Run, trained: Path, tmp_path: Path) -> None:
        for name, folder in (("a", hand_built.folder), ("b", trained)):
            saved = tv.save(tv.load(folder), tmp_path / name)
            assert saved.config().model == Run(folder).config().model
            assert saved.config().data == Run(folder).config().data
            assert_same(weights(tv.load(saved.folder)), weights(tv.load(folder)))

    @pytest.mark.slow
    def test_loaded_vae_is_saved_with_the_data_in_its_folder(self, small_array: np.ndarray, tmp_path: Path) -> None:
        data = tv.data.load(small_array)
        vae = tv.build(data, latent_dim=2, hidden=(4,))
        tv.fit(vae, data, epochs=1, execution="eager")
        first = tv.save(vae, tmp_path / "first")
        again = tv.save(tv.load(first.folder), tmp_path / "again")
        first.path("data.npz").unlink()
        np.testing.assert_array_equal(reload(again.config()).train.x, data.train.x)
        bare = tv.save(tv.load(again.folder), tmp_path / "bare", store_data=False)
        assert not bare.path("data.npz").exists()

    def test_refuses_a_folder_with_a_run(self, fitted: tv.VAE, hand_built_copy: Run) -> None:
        with pytest.raises(RunError, match="already holds a run"):
            tv.save(fitted, hand_built_copy.folder)

    @pytest.mark.slow
    def test_settings_of_the_fit_reach_the_run(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        objective = Weighted(tv.objectives.ELBO(mc_samples=2), beta=2.0, warmup_steps=8, free_bits=0.1)
        tv.fit(
            vae, small_array, objective, validation=small_array[:5], epochs=1, batch_size=10, ema=0.9, seed=3,
            learning_rate=1e-2, clip_norm=5.0, optimizer="sgd:momentum=0.5", lr_schedule="cosine",
            callbacks=[EarlyStopping(4)], execution="graph",
        )  # fmt: skip
        training = tv.save(vae, tmp_path / "run").config().training
        assert (str(training.objective), training.beta) == ("elbo:mc_samples=2", 2.0)
        assert (training.kl_warmup_epochs, training.free_bits) == (2, 0.1)
        assert (training.epochs, training.batch_size, training.seed) == (1, 10, 3)
        assert (training.learning_rate, training.clip_norm, training.ema) == (1e-2, 5.0, 0.9)
        assert (str(training.optimizer), training.lr_schedule.name) == ("sgd:momentum=0.5", "cosine")
        assert (training.early_stopping, training.objects) == (4, ())

    @pytest.mark.slow
    def test_saves_changed_weights(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array, epochs=1, ema=0.9, execution="eager")
        for variable in vae.trainable_variables:
            variable.assign_add(tf.ones_like(variable))
        tv.save(vae, tmp_path / "run")
        assert_same(weights(tv.load(tmp_path / "run", builder=make_for_digits)), weights(vae))

    @pytest.mark.slow
    def test_best_weights_are_saved_if_the_fit_restores_them(self, digits_data: Dataset, tmp_path: Path) -> None:
        vae = make_for_digits()
        history = tv.fit(vae, digits_data, **WORSENING, callbacks=[BestWeights()])
        assert 0 < history.best_epoch < len(history)
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert_same(weights(tv.load(saved.folder)), weights(vae))
        best = saved.checkpoint().best
        assert (best.step, best.bound) == (2 * history.best_epoch, history[history.best_epoch - 1].validation_elbo)

    @pytest.mark.slow
    @pytest.mark.parametrize("restore", [False, True])
    def test_weights_other_than_the_best_are_saved_after_early_stopping(
        self, restore: bool, digits_data: Dataset, tmp_path: Path
    ) -> None:
        vae = make_for_digits()
        history = tv.fit(vae, digits_data, **WORSENING, callbacks=[EarlyStopping(1, restore=restore)])
        assert 0 < history.best_epoch < len(history)
        if restore:
            for variable in vae.trainable_variables:
                variable.assign_add(tf.ones_like(variable))
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert_same(weights(tv.load(saved.folder)), weights(vae))
        assert saved.read("training.json")["weights"] == LoadedRun(saved).weights == "final"
        assert_same(weights(LoadedRun(saved, "best").vae), history.snapshot.best.variables)

    @pytest.mark.parametrize(
        "way", ["KeyboardInterrupt", *(pytest.param(way, marks=pytest.mark.slow) for way in ("error", "interrupt"))]
    )
    def test_an_interrupted_fit_loses_no_weights(self, way: str, digits_data: Dataset, tmp_path: Path) -> None:
        """The VAE has the last weights, so commands use them by default. The best ones are there too."""
        vae = make_for_digits()
        last = _End(way, epoch=2)
        with contextlib.suppress(KeyboardInterrupt, RuntimeError):
            tv.fit(vae, digits_data, **WORSENING, callbacks=[EarlyStopping(5), last])
        assert last.best is not None
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert_same(weights(tv.load(saved.folder)), weights(vae))
        assert_same(weights(tv.load(saved.folder, weights="best")), last.best.variables)
        assert LoadedRun(saved).description == "final, of step 4"
        assert (saved.status().state, len(saved.metrics())) == ("interrupted", 2)

    def test_a_fit_that_averages_weights_is_saved_with_a_builder(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array, epochs=1, steps_per_epoch=1, ema=0.9, execution="eager")
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert_same(weights(tv.load(saved.folder)), weights(vae))

    @pytest.mark.slow
    def test_an_interrupted_fit_is_saved_and_resumed_to_the_same_bits(
        self, digits_data: Dataset, tmp_path: Path
    ) -> None:
        whole, vae = make_for_digits(), make_for_digits()
        settings = {"epochs": 3, "steps_per_epoch": 2, "ema": 0.9, "execution": "graph"}
        tv.fit(whole, digits_data, callbacks=[EarlyStopping(5)], **settings)
        with pytest.raises(KeyboardInterrupt):
            tv.fit(vae, digits_data, callbacks=[EarlyStopping(5), _End("KeyboardInterrupt", epoch=2)], **settings)
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert train(saved, reload(saved.config()))
        assert_same(weights(tv.load(saved.folder)), weights(whole))

    def test_changed_weights_do_not_replace_the_best_ones(self, digits_data: Dataset, tmp_path: Path) -> None:
        """The changed weights replace the last ones, and the best ones stay even if they were the last."""
        vae = make_for_digits()
        settings = {"epochs": 1, "steps_per_epoch": 2, "execution": "eager"}
        history = tv.fit(vae, digits_data, callbacks=[BestWeights()], **settings)
        for variable in vae.trainable_variables:
            variable.assign_add(tf.ones_like(variable))
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert_same(weights(tv.load(saved.folder)), weights(vae))
        assert_same(weights(tv.load(saved.folder, weights="best")), history.snapshot.best.variables)

    def test_a_vae_without_fit_is_saved_with_its_weights(self, tmp_path: Path) -> None:
        vae = make_for_digits()
        saved = tv.save(vae, tmp_path / "run", builder=NAME)
        assert_same(weights(tv.load(saved.folder)), weights(vae))
        assert (saved.status().state, saved.metrics()) == ("interrupted", [])
        with pytest.raises(DataError, match="does not hold its data"):
            reload(saved.config())

    def test_a_vae_without_fit_gets_an_objective_that_suits_it(self, digits_data: Dataset, tmp_path: Path) -> None:
        flow = tv.build(digits_data, posterior="real-nvp:depth=2,hidden=8", hidden=(8,))
        plain = tv.build(digits_data, hidden=(8,))
        names = [
            tv.save(vae, tmp_path / name).config().training.objective.name for vae, name in ((flow, "a"), (plain, "b"))
        ]
        assert names == ["monte-carlo-elbo", "elbo"]
        assert_same(weights(tv.load(tmp_path / "a")), weights(flow))

    @pytest.mark.parametrize(
        ("setting", "value", "limit"), [("batch_size", 65_537, "65,536"), ("seed", 2**31, "2,147,483,647")]
    )
    def test_settings_beyond_the_limits_of_a_run_are_refused(
        self, setting: str, value: int, limit: str, small_array: np.ndarray, tmp_path: Path
    ) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array[:2], epochs=1, steps_per_epoch=1, execution="eager", **{setting: value})
        with pytest.raises(UsageError, match=f"`fit`. `{setting}`: .*{limit}"):
            tv.save(vae, tmp_path / "run")
        assert not (tmp_path / "run").exists()


class TestObjects:
    @pytest.mark.slow
    def test_resume_refuses_settings_without_a_name(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        optimizer = tv.training.optimizers.adam(1e-3)
        tv.fit(vae, small_array, epochs=1, optimizer=optimizer, lr_schedule=lambda step: 1e-3, execution="eager")
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert saved.config().training.objects == ("optimizer", "lr_schedule")
        assert_same(weights(tv.load(saved.folder)), weights(vae))
        saved.extend(epochs=2)
        with pytest.raises(RunError, match="`optimizer` was a Python object"):
            train(saved, reload(saved.config()))

    def test_an_optimizer_object_of_another_kind_is_saved_and_loaded(
        self, small_array: np.ndarray, tmp_path: Path
    ) -> None:
        vae = make_for_digits()
        optimizer = tv.training.optimizers.sgd(1e-3, momentum=0.9)
        tv.fit(vae, small_array, epochs=1, optimizer=optimizer, execution="eager")
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        assert saved.config().training.objects == ("optimizer",)
        assert_same(weights(tv.load(saved.folder)), weights(vae))

    @pytest.mark.parametrize(
        ("objective", "name"), [(IWAE(mc_samples=3), "iwae:mc_samples=3"), ("iwae:mc_samples=3", "iwae:mc_samples=3")]
    )
    def test_config_names_the_members(
        self, objective: Objective | str, name: str, small_array: np.ndarray, tmp_path: Path
    ) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array, objective, epochs=1, execution="eager")
        assert str(tv.save(vae, tmp_path / "run").config().training.objective) == name

    def test_a_warmup_that_ends_within_an_epoch_has_no_name(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        objective = Weighted(tv.objectives.ELBO(), warmup_steps=3)
        tv.fit(vae, small_array, objective, epochs=1, batch_size=20, execution="eager")
        assert tv.save(vae, tmp_path / "run").config().training.objects == ("objective",)


class TestData:
    @pytest.mark.slow
    def test_data_in_memory_are_stored_and_move_with_the_run(self, small_array: np.ndarray, tmp_path: Path) -> None:
        data = tv.data.load((small_array[..., 0] * 255).astype(np.uint8))
        vae = make_for_digits()
        tv.fit(vae, data, epochs=1, execution="eager")
        tv.save(vae, tmp_path / "run", builder=make_for_digits)
        moved = Run(Path(shutil.move(tmp_path / "run", tmp_path / "moved")))
        assert moved.config().data.pixels_over == 255
        again = reload(moved.config())
        assert again.fingerprint() == data.fingerprint()
        np.testing.assert_array_equal(again.test.source_rows(), data.test.source_rows())
        assert_same(weights(tv.load(moved.folder)), weights(vae))

    def test_stored_levels_get_their_noise_again(self, tmp_path: Path) -> None:
        levels = np.random.default_rng(0).integers(0, 5, (40, 3))
        data = tv.data.load(levels, dequantization="uniform", scaling="none")
        vae = tv.build(data, latent_dim=1, hidden=(4,))
        tv.fit(vae, data, epochs=1, execution="eager")
        config = tv.save(vae, tmp_path / "run").config()
        assert (config.data.stored, str(config.data.dequantization)) == (True, "uniform:step=1.0")
        again = reload(config)
        np.testing.assert_array_equal(again.train.x, data.train.x)
        np.testing.assert_array_equal(again.test.x, transform_held_out(data.test, data.noise).x)
        loaded = LoadedRun(Run(tmp_path / "run"))
        draws, means = (sample(loaded, 50, seed=0, show=show) for show in ("draw", "mean"))
        np.testing.assert_array_equal(draws, np.rint(draws))
        assert (means != np.rint(means)).any()
        assert loaded.measure.names["dequantization"] == "uniform"
        plain = tv.data.load(levels, scaling="none")
        with pytest.raises(DataError, match=r"with `dequantization=uniform:step=1\.0`.*, found none"):
            check_fingerprint(config, plain)

    @pytest.mark.slow
    def test_stored_labels_come_back(self, small_array: np.ndarray, tmp_path: Path) -> None:
        labels = np.array(["even", "odd"])[np.arange(40) % 2]
        data = tv.data.load((small_array[..., 0], labels))
        vae = make_for_digits()
        tv.fit(vae, data, epochs=1, execution="eager")
        again = reload(tv.save(vae, tmp_path / "run").config())
        np.testing.assert_array_equal(again.train.y, data.train.y)

    def test_data_that_no_file_can_hold_leave_no_folder(self, small_array: np.ndarray, tmp_path: Path) -> None:
        data = tv.data.load((small_array[..., 0], np.arange(40)))
        split = dataclasses.replace(data.train, y=data.train.y.astype(object))
        vae = make_for_digits()
        changed = dataclasses.replace(data, train=split)
        tv.fit(vae, changed, epochs=1, steps_per_epoch=1, execution="eager")
        with pytest.raises(TypeError, match="found an array of objects"):
            tv.save(vae, tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_error_explains_that_no_data_are_in_the_run(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array, epochs=1, execution="eager")
        saved = tv.save(vae, tmp_path / "run", store_data=False, builder=make_for_digits)
        assert not saved.path("data.npz").exists()
        with pytest.raises(DataError, match="does not hold its data, which were in memory"):
            reload(saved.config())

    @pytest.mark.slow
    def test_stores_a_changed_data_set_with_a_name(self, digits_data: Dataset, tmp_path: Path) -> None:
        fewer = dataclasses.replace(digits_data, train=digits_data.train[:50])
        vae = make_for_digits()
        tv.fit(vae, fewer, epochs=1, execution="eager")
        saved = tv.save(vae, tmp_path / "run")
        assert saved.config().data.stored
        assert reload(saved.config()).sizes() == fewer.sizes()

    @pytest.mark.slow
    def test_a_file_is_read_again_from_its_path(
        self, small_array: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        np.save(tmp_path / "mine.npy", small_array)
        monkeypatch.chdir(tmp_path)
        vae = make_for_digits()
        tv.fit(vae, tv.data.load("mine.npy"), epochs=1, execution="eager")
        data = tv.save(vae, "run").config().data
        assert (data.dataset, data.stored) == (str(tmp_path.resolve() / "mine.npy"), False)

    @pytest.mark.parametrize(("scaling", "shape"), [("pixels", (8, 8)), ("standard", (4,)), ("divided:by=300", (8, 8))])
    def test_a_file_is_recorded_as_by_a_plan(
        self, scaling: str, shape: tuple[int, ...], rng: np.random.Generator, tmp_path: Path
    ) -> None:
        np.save(tmp_path / "mine.npy", rng.integers(0, 256, (40, *shape)).astype(np.uint8))
        source = str(tmp_path / "mine.npy")
        data = tv.data.load(source, scaling=scaling)
        vae = tv.build(data, hidden=(8,), likelihood="normal")
        tv.fit(vae, data, epochs=1, execution="eager")
        model, training = small_model(likelihood="normal"), tv.runs.config.TrainingConfig()
        expected, _ = plan(source, None, None, model, training, scaling=scaling)
        found = tv.save(vae, tmp_path / "run").config().data
        assert found == expected.data
        assert (found.pixels_over == 255) == (scaling == "pixels")

    @pytest.mark.parametrize(("columns", "learned"), [(None, True), ("a,b", False)])
    def test_config_records_whether_the_file_decided_the_columns(
        self, columns: str | None, learned: bool, tmp_path: Path
    ) -> None:
        rows = np.random.default_rng(0).normal(size=(40, 2))
        np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="a,b", comments="")
        data = tv.data.load(tmp_path / "t.csv", columns=columns)
        vae = tv.build(data, latent_dim=1, hidden=(4,))
        tv.fit(vae, data, epochs=1, steps_per_epoch=1, execution="eager")
        config = tv.save(vae, tmp_path / "run").config()
        assert not config.data.stored
        assert ("columns" in config.data.learned) is learned
        planned, _ = plan(str(tmp_path / "t.csv"), None, None, config.model, config.training, reading=data.reading)
        assert config.data.reading == planned.data.reading

    def test_resume_refuses_other_data(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array, epochs=1, execution="eager")
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        arrays = dict(np.load(saved.path("data.npz")))
        np.savez(saved.path("data.npz"), **{**arrays, "x_train": 1 - arrays["x_train"]})
        message = call("train", "--resume", "--run-dir", saved.folder, "--epochs", 2, code=3).stderr
        assert "expected the data the run was trained on" in message

    def test_refuses_an_empty_split_and_lists_the_others(self, small_array: np.ndarray, tmp_path: Path) -> None:
        vae = make_for_digits()
        tv.fit(vae, small_array, epochs=1, execution="eager")
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        message = call("encode", "--run", saved.folder, code=2).stderr
        assert "The data of the run have no test split. Choose --split train." in message
        call("encode", "--run", saved.folder, "--split", "train")


class TestBuilder:
    def test_may_use_layers_that_were_made_before(self, tmp_path: Path) -> None:
        posterior, likelihood = tv.posteriors.DiagonalNormal(2), tv.likelihoods.Bernoulli((8, 8, 1))
        layer = tf_keras.layers.Dense(posterior.params_size)

        def make() -> tv.VAE:
            network = tf_keras.Sequential([tf_keras.Input((8, 8, 1)), tf_keras.layers.Flatten(), layer])
            decoder = tv.networks.mlp((2,), likelihood.params_size, hidden=())
            return tv.VAE(tv.Encoder(network, posterior), tv.Decoder(decoder, likelihood), tv.priors.StandardNormal(2))

        vae = make()
        tv.save(vae, tmp_path / "run", builder=make)
        assert_same(weights(tv.load(tmp_path / "run", builder=make)), weights(vae))

    def test_config_describes_the_parts(self, hand_built: Run) -> None:
        model = hand_built.config().model
        assert isinstance(model, HandBuiltModel)
        assert (model.builder, model.latent_dim) == (NAME, 2)
        assert model.posterior.name.startswith("DiagonalNormal(latent_dim=2")
        assert model.likelihood.name == "Bernoulli(event_shape=(8, 8, 1))"

    def test_a_function_without_a_module_is_passed_when_loading(self, fitted: tv.VAE, tmp_path: Path) -> None:
        def local() -> tv.VAE:
            return make_for_digits()

        for name, builder in (("a", None), ("b", local)):
            saved = tv.save(fitted, tmp_path / name, builder=builder)
            assert saved.config().model.builder == ""
            with pytest.raises(RunError, match="pass the function as `builder`"):
                tv.load(saved.folder)
            assert_same(weights(tv.load(saved.folder, builder=local)), weights(fitted))

    def test_refuses_another_vae(self, fitted: tv.VAE, hand_built: Run, tmp_path: Path) -> None:
        def wider() -> tv.VAE:
            vae = make_for_digits()
            vae.encoder = tv.Encoder(tv.networks.mlp((8, 8, 1), 4, hidden=(17,)), vae.encoder.posterior)
            return vae

        with pytest.raises(RunError, match="builds another VAE than the one to save: they differ in encoder/000"):
            tv.save(fitted, tmp_path / "run", builder=wider)
        assert not (tmp_path / "run").exists()
        with pytest.raises(RunError, match="does not fit the run: expected the likelihood Bernoulli"):
            tv.load(hand_built.folder, builder=make)

    def test_a_builder_with_arguments_or_without_a_vae_is_refused(self, fitted: tv.VAE, hand_built: Run) -> None:
        with pytest.raises(UsageError, match="`builder` must be a function without arguments"):
            tv.load(hand_built.folder, builder=lambda width: fitted)
        with pytest.raises(UsageError, match="`builder` must return a VAE, found NoneType"):
            tv.load(hand_built.folder, builder=lambda: None)

    def test_a_builder_that_cannot_be_imported_gets_no_name(self, fitted: tv.VAE) -> None:
        assert describe_model(fitted, functools.partial(make_for_digits)).builder == ""
        assert describe_model(fitted, Run.open).builder == ""
        assert describe_model(fitted, make_for_digits).builder == NAME

    @pytest.mark.parametrize("part", [{}, {"name": 1}, "text", None])
    def test_a_malformed_part_is_refused(self, part: object, hand_built_copy: Run) -> None:
        content = hand_built_copy.read("config.json")
        content["model"]["prior"] = part
        hand_built_copy.write("config.json", content)
        with pytest.raises(RunError, match="a mapping with a name"):
            tv.load(hand_built_copy.folder)

    def test_a_run_of_settings_takes_no_builder(self, trained: Path) -> None:
        with pytest.raises(UsageError, match="`builder` is for runs of hand-built VAEs"):
            tv.load(trained, builder=make_for_digits)

    def test_imports_code_only_with_permission(
        self, fitted: tv.VAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "builder_of_mine.py").write_text("from tests.helpers.models import make_for_digits as make_vae\n")
        monkeypatch.syspath_prepend(tmp_path)
        saved = tv.save(fitted, tmp_path / "run", builder="builder_of_mine:make_vae")
        monkeypatch.delitem(sys.modules, "builder_of_mine")
        with pytest.raises(RunError, match="`allow_code`"):
            tv.load(saved.folder)
        assert_same(weights(tv.load(saved.folder, allow_code=True)), weights(fitted))

    @pytest.mark.slow
    def test_resumed_run_equals_an_uninterrupted_one(
        self, hand_built: Run, digits_data: Dataset, tmp_path: Path
    ) -> None:
        vae = make_for_digits()
        tv.fit(vae, digits_data, epochs=1, execution="graph")
        saved = tv.save(vae, tmp_path / "run", builder=make_for_digits)
        saved.extend(epochs=2)
        assert train(saved, reload(saved.config()))
        assert_same(saved.checkpoint().variables, hand_built.checkpoint().variables)

    @pytest.mark.parametrize(
        "command",
        [
            ("sample", "--n", 4),
            pytest.param(("evaluate", "--iw-samples", 2, "--max-examples", 10, "--no-plots"), marks=pytest.mark.slow),
            ("score", "--iw-samples", 2, "--max-examples", 10),
            ("encode",),
            ("reconstruct",),
            ("interpolate",),
            pytest.param(("plot",), marks=pytest.mark.slow),
            pytest.param(("report",), marks=pytest.mark.slow),
        ],
        ids=lambda command: command[0],
    )
    def test_every_command_takes_the_run(self, command: tuple[object, ...], hand_built_copy: Run) -> None:
        call(*command, "--run", hand_built_copy.folder)


def test_report_of_a_hand_built_run_gives_no_command(hand_built: Run, trained: Path) -> None:
    sentence = "come from Python code, so no command can repeat the training"
    assert sentence in html_page(hand_built)
    assert "tfp-vae train --dataset" not in html_page(hand_built)
    assert sentence not in html_page(Run(trained))


def test_a_training_that_stopped_early_is_saved_with_its_best_weights(tmp_path: Path) -> None:
    data, vae = tv.data.load("digits"), make_for_digits()
    jump = lambda step: tf.where(step < 2, 1e-3, 20.0)  # noqa: E731
    settings = {"epochs": 4, "steps_per_epoch": 2, "execution": "eager", "lr_schedule": jump}
    history = tv.fit(vae, data, **settings, callbacks=[EarlyStopping(1)])
    assert (len(history), history.best_epoch) == (2, 1)
    run = tv.save(vae, tmp_path / "run")
    assert_same(State(tv.load(run.folder, builder=make_for_digits)).capture(), State(vae).capture())
    assert history.snapshot is not None
    last = LoadedRun(run, "final", builder=make_for_digits)
    assert_same(State(last.vae).capture(), weights_in_use(history.snapshot.variables))
    assert run.read("training.json")["weights"] == "best"


class TestLoadedRun:
    def test_description_names_the_weights(self, hand_built: Run) -> None:
        assert LoadedRun(hand_built).description == "final, of step 24"
        assert repr(LoadedRun(hand_built)) == f"LoadedRun({hand_built!r}, weights final, of step 24)"

    def test_refuses_missing_run(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="expected a run's folder"):
            tv.load(tmp_path / "nothing")

    def test_samples_do_not_depend_on_later_samples(self, restored: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfp_vae.runs.load.SAMPLES_AT_ONCE", 3)
        few, many = (sample(restored, n, seed=1, show="mean") for n in (3, 7))
        assert many.shape == (7, 8, 8, 1)
        np.testing.assert_array_equal(many[:3], few)
        expected = restored.vae.generate(3, seed=seed_for(1, Purpose.SAMPLE, 0, 3)).mean()
        np.testing.assert_array_equal(many[3:6], expected)

    def test_draws_are_binary_and_means_are_not(self, restored: LoadedRun) -> None:
        draws, means = (sample(restored, 5, seed=1, show=show) for show in ("draw", "mean"))
        assert set(np.unique(draws)) <= {0.0, 1.0}
        assert ((means > 0) & (means < 1)).all()
        np.testing.assert_array_equal(sample(restored, 5, seed=1), draws)

    def test_samples_spread_like_the_data_by_default(self, linear: LinearGaussian) -> None:
        config = SimpleNamespace(data=SimpleNamespace(noise=None))
        loaded = cast("LoadedRun", SimpleNamespace(vae=linear.vae(), config=config))
        draws, means = sample(loaded, 4_000, seed=0), sample(loaded, 4_000, seed=0, show="mean")
        deviations = np.sqrt(np.sum(linear.weights**2, axis=1) + linear.scale**2)
        np.testing.assert_allclose(draws.std(axis=0), deviations, rtol=0.06)
        assert (means.std(axis=0) < 0.9 * deviations).any()


def test_saved_run_has_the_promised_files(hand_built: Run) -> None:
    names = {path.name for path in hand_built.folder.iterdir()}
    assert names >= {
        "config.json",
        "metrics.jsonl",
        "checkpoint.npz",
        "training.json",
        "environment.json",
        "state.json",
    }
    result = json.loads((hand_built.folder / "training.json").read_text())
    assert (result["epochs"], result["steps"]) == (2, 24)


def test_save_names_an_argument_that_is_no_vae(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^save: vae: expected a VAE, found a str\.$"):
        tv.save("run", tmp_path / "run")  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
