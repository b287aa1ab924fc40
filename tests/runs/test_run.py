"""A run on disk: files are read back exactly, damage is refused, and writes are atomic."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.helpers.runs import small_model, small_training, start_run
from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, DiskError, RunError, UsageError
from tfp_vae.runs import run as runs
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan, reload
from tfp_vae.runs.run import Run, all_runs, find, finished_runs
from tfp_vae.runs.train import train
from tfp_vae.training.state import State


def test_a_finished_run_holds_the_promised_files(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {
        "config.json",
        "checkpoint.npz",
        "state.json",
        "train.log",
        ".lock",
        "metrics.jsonl",
        "training.json",
        "environment.json",
        "plots",
    }


def test_config_survives_the_disk(trained: Path) -> None:
    config = Run.open(trained).config()
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert config.data.splits == {"train": 1437, "validation": 180, "test": 180}
    assert config.model.encoder.settings == {
        "hidden": (16,),
        "activation": "gelu",
        "normalization": "none",
        "dropout": 0.0,
    }


def test_a_restored_model_has_the_trained_weights(restored: LoadedRun) -> None:
    saved = restored.run.checkpoint().variables
    for name, value in State(restored.vae).capture().items():
        np.testing.assert_array_equal(value, saved[name])


class TestRefusals:
    """Damage is detected and reported in one sentence."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: {**c, "surprise": 1}, "RunConfig has no setting `surprise`"),
            (lambda c: {k: v for k, v in c.items() if k != "model"}, "RunConfig needs the setting `model`"),
            (lambda c: {**c, "version": 2}, "expected version 1, found 2"),
            (lambda c: {**c, "version": "x" * 20_000}, "expected version 1, found 'x{100,200}…"),
            (lambda c: {**c, "training": {**c["training"], "callbacks": [3]}}, "the name of a callback, found 3"),
            (lambda c: {**c, "model": {**c["model"], "prior": None}}, "the name of a prior, found None"),
            (lambda c: {**c, "changes": [{"setting": "learning_rate"}]}, "`changes` needs the setting `epoch`"),
            (lambda c: {**c, "model": {**c["model"], "latent_dim": 10**12}}, "latent_dim"),
            (lambda c: {**c, "model": {**c["model"], "prior": {"name": "os.system"}}}, "unknown prior"),
            (lambda c: {**c, "model": {**c["model"], "posterior": {"name": "diagonal-normal", "x": 1}}}, "unknown"),
            (lambda c: {**c, "data": {**c["data"], "event_shape": [10**6, 10**6, 1]}}, "event_shape"),
            (lambda c: {**c, "training": {**c["training"], "execution": "rm"}}, "execution"),
            (
                lambda c: {**c, "data": {**c["data"], "scaling": {"name": "standard", "loc": [0, 1], "scale": [1, 1]}}},
                "scaling: expected a loc and a scale for each value",
            ),
        ],
    )
    def test_config(self, change: Callable[[dict], dict], message: str, copied: Run) -> None:
        copied.write("config.json", change(copied.read("config.json")))
        with pytest.raises(RunError, match=message) as error:
            copied.config()
        assert str(copied.folder / "config.json") in str(error.value)

    def test_a_number_changed_by_hand(self, copied: Run) -> None:
        path = copied.folder / "config.json"
        path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
        with pytest.raises(RunError, match=r"changed or damaged \(its checksum"):
            copied.config()

    @pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
    def test_json(self, content: bytes, copied: Run) -> None:
        (copied.folder / "config.json").write_bytes(content)
        with pytest.raises(RunError, match=r"config\.json: expected"):
            copied.config()

    @pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.9, 0.999])
    def test_checkpoint_with_a_flipped_byte(self, place: float, copied: Run) -> None:
        path = copied.folder / "checkpoint.npz"
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 0x20
        path.write_bytes(content)
        with pytest.raises(RunError, match=r"checkpoint"):
            LoadedRun(copied)

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
    def test_checkpoint_cut_short(self, share: float, copied: Run) -> None:
        path = copied.folder / "checkpoint.npz"
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(RunError, match=r"checkpoint\.npz: .*(the file is damaged|found an empty file)"):
            LoadedRun(copied)

    def test_checkpoint_missing(self, copied: Run) -> None:
        (copied.folder / "checkpoint.npz").unlink()
        with pytest.raises(RunError, match="expected a checkpoint, found none"):
            LoadedRun(copied)

    def test_checkpoint_of_another_model(self, copied: Run) -> None:
        saved = copied.checkpoint()
        variables = dict(saved.variables)
        name = next(name for name in variables if name.startswith("decoder"))
        Run(copied.folder).save_checkpoint(saved._replace(variables=variables | {name: np.zeros((3, 3), np.float32)}))
        with pytest.raises(RunError, match=f"{name} takes 164 bytes, but the run's config requires"):
            LoadedRun(copied)
        flat = {name: variables[name].ravel()}
        Run(copied.folder).save_checkpoint(saved._replace(variables=variables | flat))
        with pytest.raises(RunError, match=f"expected {name} with shape"):
            LoadedRun(copied)
        del variables[name]
        Run(copied.folder).save_checkpoint(saved._replace(variables=variables))
        with pytest.raises(RunError, match=f"only one of them has '{name}'"):
            LoadedRun(copied)

    def test_restores_nothing_unless_everything_fits(self, copied: Run) -> None:
        vae = build_from_config(copied.config())
        before = State(vae).capture()
        spoiled = {name: value + 1 for name, value in before.items()} | {max(before): np.zeros(1)}
        with pytest.raises(RunError):
            State(vae).restore(spoiled)
        for name, value in State(vae).capture().items():
            np.testing.assert_array_equal(value, before[name])

    def test_metrics(self, copied: Run) -> None:
        (copied.folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo')
        with pytest.raises(RunError, match="expected a line of metrics for each epoch"):
            copied.metrics()

    def test_changed_data_raise_an_error(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.eye(30))
        config, _ = plan(str(tmp_path / "a.npy"), None, None, small_model(), small_training())
        np.save(tmp_path / "a.npy", np.eye(30)[::-1])
        with pytest.raises(DataError, match="expected the data the run was trained on"):
            reload(config)

    def test_a_name_too_long_for_the_file_system(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="could not be read"):
            Run.open(tmp_path / ("x" * 300))

    def test_no_run_and_no_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"found no config\.json"):
            Run.open(tmp_path)
        with pytest.raises(RunError, match="expected a run's folder, found none"):
            Run.open(tmp_path / "nothing")
        with pytest.raises(RunError, match="expected a finished run under"):
            find(None, str(tmp_path))

    def test_a_folder_that_holds_a_run(self, copied: Run) -> None:
        with pytest.raises(RunError, match="already holds a run"):
            Run.create(copied.folder, copied.config())


class TestFinding:
    """Which run `find` returns."""

    def test_finds_the_newest_finished_run(self, trained: Path, tmp_path: Path) -> None:
        for age, name in enumerate(["new", "old"]):
            shutil.copytree(trained, tmp_path / name)
            os.utime(tmp_path / name / "training.json", (1_000 - age, 1_000 - age))
        start_run(tmp_path / "unfinished")
        (tmp_path / "no run").mkdir()
        assert find(None, str(tmp_path)).folder == tmp_path / "new"
        assert find(str(tmp_path / "old"), str(tmp_path)).folder == tmp_path / "old"
        assert [run.folder.name for run in finished_runs(tmp_path)] == ["old", "new"]
        assert {run.folder.name for run in all_runs(tmp_path)} == {"old", "new", "unfinished"}

    def test_the_call_that_an_error_recommends_lists_the_runs(self, copied: Run) -> None:
        with pytest.raises(RunError, match=r"`all_runs\('(.*)'\)` lists the runs that are there") as caught:
            Run.open(f"{copied.folder.parent}/none")
        folder = str(caught.value).split("'")[-2]
        assert [run.folder for run in all_runs(folder)] == [copied.folder]
        assert Run.open(str(copied.folder)).folder == Run(str(copied.folder)).folder == copied.folder
        with pytest.raises(RunError, match="already holds a run"):
            Run.create(str(copied.folder), copied.config())

    def test_folders_of_the_same_second_differ(self, tmp_path: Path) -> None:
        folders = [runs.new_folder(tmp_path, "/some where/my data.npy") for _ in range(3)]
        assert len(set(folders)) == 3
        assert all(folder.name.startswith("my-data-") for folder in folders)


class TestExtending:
    """More epochs for a run."""

    @pytest.mark.slow
    def test_trains_more_epochs(self, copied: Run) -> None:
        copied.extend(3)
        assert not copied.is_finished()
        assert train(copied, reload(copied.config()))
        assert [line["epoch"] for line in copied.metrics()] == [1, 2, 3]
        assert copied.read(runs.TRAINING)["epochs"] == 3

    @pytest.mark.parametrize(("weights", "step", "stays"), [("final", 24, False), ("best", 24, True)])
    def test_newer_weights_remove_results_of_fewer_steps(
        self, weights: str, step: int, stays: bool, copied: Run
    ) -> None:
        """Results of the last weights stay until newer weights exist. The best weights may stay the best."""
        copied.write(runs.EVALUATION, {"log_likelihood": -1.0, "weights": weights, "step": step})
        copied.extend(3)
        assert (copied.folder / runs.EVALUATION).exists()
        assert (copied.folder / runs.TRAINING).exists()
        last = copied.checkpoint()
        copied.save_checkpoint(last._replace(step=last.step + 1))
        assert last.best.step == 24
        assert (copied.folder / runs.EVALUATION).exists() == stays
        assert not (copied.folder / runs.TRAINING).exists()

    def test_newer_weights_remove_the_result_of_a_training_that_keeps_the_best(self, copied: Run) -> None:
        copied.extend(10, early_stopping=3)
        copied.write(runs.TRAINING, {**copied.read(runs.TRAINING), "weights": "best"})
        last = copied.checkpoint()
        assert last.best.step == last.step == 24
        copied.save_checkpoint(last._replace(step=120))
        copied.mark("interrupted", step=120, epochs=10)
        assert Run(copied.folder).status().state == "interrupted"
        assert not Run(copied.folder).is_finished()

    @pytest.mark.parametrize("write", range(3))
    @pytest.mark.parametrize(
        "error", [DiskError("the disk is full"), KeyboardInterrupt()], ids=lambda e: type(e).__name__
    )
    def test_failed_extension_keeps_the_results(
        self, write: int, error: BaseException, copied: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The n-th write fails or is interrupted. The run is then either finished or extended, and never damaged."""
        copied.write(runs.EVALUATION, {"log_likelihood": -1.0, "weights": "final", "step": 24})
        kept = {name: copied.read(name) for name in (runs.TRAINING, runs.EVALUATION)}
        writes, real = itertools.count(), storage.write_bytes

        def broken(path: Path, content: bytes, **more: object) -> None:
            if next(writes) == write:
                raise error
            real(path, content, **more)

        with monkeypatch.context() as patch, contextlib.suppress(DiskError, KeyboardInterrupt):
            patch.setattr(storage, "write_bytes", broken)
            copied.extend(3)
        assert next(writes) == min(write + 1, 2), "the test covers every write"
        assert {name: copied.read(name) for name in kept} == kept
        found, total = Run(copied.folder), copied.config().training.epochs
        assert (total, found.status().state) == ((3, "interrupted") if write == 2 else (2, "finished"))
        assert found.is_finished() == found.is_whole() == (write < 2)
        found.extend(3)
        assert not Run(copied.folder).is_finished()

    @pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
    def test_a_run_is_unfinished_until_its_first_new_checkpoint(self, state: str, copied: Run) -> None:
        copied.extend(3)
        copied.mark(state)
        assert not Run(copied.folder).is_finished()
        assert Run(copied.folder).status().state == ("interrupted" if state == "running" else state)

    def test_records_what_changed_and_from_which_epoch(self, copied: Run) -> None:
        identity = copied.config().identity()
        changed = [*copied.extend(3, learning_rate=5e-4), *copied.extend(3, early_stopping=9)]
        changed += copied.extend(early_stopping=0)
        config = copied.config()
        assert tuple(changed) == config.changes
        logged = [line for line in copied.path("train.log").read_text().splitlines() if "changed" in line]
        assert [line.partition("changed on resuming: ")[2] for line in logged] == list(map(str, changed))
        assert config.training.learning_rate == 5e-4
        assert [tuple(dict(change).values()) for change in config.changes] == [
            ("epochs", 3, 24, 2, 3),
            ("learning_rate", 3, 24, 1e-3, 5e-4),
            ("early_stopping", 3, 24, None, 9),
            ("early_stopping", 3, 24, 9, None),
        ]
        assert str(config.changes[2]) == "early stopping: never before epoch 3, then 9"
        assert config.identity() == identity
        assert str(config.changes[1]) == "learning rate: 0.001 before epoch 3, then 0.0005"
        assert config.training.early_stopping is None
        assert copied.extend(early_stopping=0) == []

    @pytest.mark.slow
    def test_new_learning_rate_applies_to_the_epochs_that_follow(self, copied: Run) -> None:
        copied.extend(3, learning_rate=5e-4)
        assert train(copied, reload(copied.config()))
        assert [round(line["learning_rate"], 9) for line in copied.metrics()] == [1e-3, 1e-3, 5e-4]
        assert LoadedRun(copied).step == 36

    def test_learning_rate_of_a_finished_run_needs_more_epochs(self, copied: Run) -> None:
        before = copied.config()
        with pytest.raises(UsageError, match=r"all 2 epochs are done\. Raise the total with `epochs`"):
            copied.extend(learning_rate=5e-4)
        with pytest.raises(UsageError, match=r"^`learning_rate`: expected a number above 0, found -1\.0\."):
            copied.extend(3, learning_rate=-1.0)
        assert copied.config() == before

    def test_checkpoint_of_a_run_with_another_first_learning_rate_is_refused(self, copied: Run) -> None:
        value = copied.read("config.json")
        copied.write("config.json", {**value, "training": {**value["training"], "learning_rate": 5e-4}})
        with pytest.raises(RunError, match="found a checkpoint of another run"):
            copied.checkpoint()

    def test_refuses_fewer_epochs(self, copied: Run) -> None:
        with pytest.raises(
            UsageError, match=r"2 epochs are done already\. `epochs` is the total, expected more than 2, found 1."
        ):
            copied.extend(1)

    def test_a_config_that_could_not_be_read_again_is_not_written(self, copied: Run) -> None:
        before = copied.config()
        with pytest.raises(UsageError, match=r"^`epochs`: expected a number of at most 1,000,000"):
            copied.extend(2_000_000)
        assert copied.config() == before
        content = copied.read("config.json")
        content["data"]["splits"].pop("validation")
        copied.write("config.json", content)
        with pytest.raises(UsageError, match="`early_stopping` needs a validation split"):
            copied.extend(5, early_stopping=10)
        assert copied.config().training == before.training


class TestEvaluations:
    """The fullest evaluation stays, and a smaller one of the same weights and split goes to a second file."""

    FULL: ClassVar = {
        "run": "runs/a", "dataset": "digits", "likelihood": "bernoulli", "scaling": "pixels", "binarization": "dynamic",
        "measure": "a probability", "split": "test", "weights": "final", "step": 24, "seed": 0, "num_examples": 180,
        "iw_samples": 100, "log_likelihood": -23.5,
    }  # fmt: skip

    @pytest.mark.parametrize(
        ("change", "file"),
        [
            ({"num_examples": 100}, runs.PARTIAL),
            ({"iw_samples": 10}, runs.PARTIAL),
            ({"num_examples": 1, "iw_samples": 1}, runs.PARTIAL),
            ({}, runs.EVALUATION),
            ({"iw_samples": 101}, runs.EVALUATION),
            ({"iw_samples": 5, "ais": {"steps": 10, "chains": 4, "examples": 9}}, runs.EVALUATION),
            ({"num_examples": 100, "iw_samples": 101}, runs.EVALUATION),
            ({"num_examples": 100, "split": "train"}, runs.EVALUATION),
            ({"num_examples": 100, "weights": "best"}, runs.EVALUATION),
            ({"num_examples": 100, "step": 36}, runs.EVALUATION),
        ],
    )
    def test_fuller_evaluation_keeps_its_file(self, change: dict[str, object], file: str, copied: Run) -> None:
        assert copied.write_evaluation(self.FULL) == runs.EVALUATION
        assert copied.write_evaluation(self.FULL | change) == file
        assert copied.read(file) == self.FULL | change
        assert copied.read(runs.EVALUATION)["split"] == {**self.FULL, **change}["split"]

    def test_annealing_makes_an_evaluation_fuller(self, copied: Run) -> None:
        annealed = {"steps": 10, "chains": 16, "examples": 50}
        copied.write_evaluation(self.FULL | {"ais": annealed})
        assert copied.write_evaluation(self.FULL) == runs.PARTIAL
        for name in annealed:
            assert copied.write_evaluation(self.FULL | {"ais": annealed | {name: 2}}) == runs.PARTIAL

    def test_refuses_an_evaluation_of_weights_that_are_no_longer_the_best(self, copied: Run) -> None:
        last = copied.checkpoint()
        copied.save_checkpoint(last._replace(step=48, best=last.best._replace(step=36)))
        with pytest.raises(RunError, match="from step 24 to step 36"):
            copied.write_evaluation(self.FULL | {"weights": "best"})
        assert not (copied.folder / runs.EVALUATION).exists()
        assert copied.write_evaluation(self.FULL | {"weights": "best", "step": 36}) == runs.EVALUATION

    def test_refuses_an_evaluation_of_outdated_weights(self, copied: Run) -> None:
        step = copied.status().step
        assert step is not None
        copied.write_evaluation(self.FULL | {"step": step})
        late = self.FULL | {"step": step - 1, "iw_samples": 10_000}
        with pytest.raises(RunError, match=rf"trained on from step {step - 1:,} to step {step:,}"):
            copied.write_evaluation(late)
        assert copied.read(runs.EVALUATION) == self.FULL | {"step": step}
        last = copied.checkpoint()
        copied.save_checkpoint(last._replace(best=last.best._replace(step=step - 1)))
        assert copied.write_evaluation(late | {"weights": "best"}) == runs.EVALUATION

    def test_takes_an_evaluation_of_the_previous_checkpoint_if_the_newest_is_damaged(self, copied: Run) -> None:
        before = copied.checkpoint()
        copied.save_checkpoint(before._replace(step=48))
        (copied.folder / runs.CHECKPOINT).write_bytes(b"damaged")
        assert copied.write_evaluation(self.FULL | {"step": before.step}) == runs.EVALUATION

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"split": "test"}'])
    def test_replaces_a_damaged_evaluation(self, content: bytes, copied: Run) -> None:
        (copied.folder / runs.EVALUATION).write_bytes(content)
        assert copied.write_evaluation(self.FULL) == runs.EVALUATION
        assert copied.read(runs.EVALUATION) == self.FULL

    @pytest.mark.parametrize(
        "odd", [{"num_examples": "many"}, {"iw_samples": None}, {"ais": 3}, {"ais": {"steps": []}}, {"seed": "a"}]
    )
    def test_replaces_an_evaluation_with_invalid_values(self, odd: dict[str, object], copied: Run) -> None:
        copied.write(runs.EVALUATION, self.FULL | odd)
        assert copied.write_evaluation(self.FULL) == runs.EVALUATION


class TestStorage:
    """Atomic writes of files."""

    def test_a_failed_write_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "file"
        storage.write_bytes(path, b"old")

        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "no space")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DiskError, match="the disk is full"):
            storage.write_bytes(path, b"new")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    def test_error_names_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DiskError, match="its folder does not exist"):
            storage.write_bytes(tmp_path / "none" / "file", b"")

    def test_a_file_in_the_way_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(DiskError, match="could not write"):
            storage.make_folder(tmp_path / "file" / "below")

    def test_files_can_be_read_by_others_as_usual(self, tmp_path: Path) -> None:
        (tmp_path / "usual").touch()
        storage.write_bytes(tmp_path / "file", b"")
        assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode

    def test_numbers_that_are_not_finite_are_null_with_a_reason(self) -> None:
        value = {"a": float("nan"), "b": {"c": float("inf")}, "d": [1, {"e": 2.0}]}
        found = json.loads(storage.json_text(value))
        assert found["a"] is None
        assert "nan" in found["a_reason"]
        assert found["b"]["c"] is None
        assert "inf" in found["b"]["c_reason"]
        assert found["d"] == [1, {"e": 2.0}]


def test_refuses_a_folder_with_other_files(tmp_path: Path) -> None:
    """Images in the folder stay unchanged. A new run needs a folder that is new, or empty except for hidden files."""
    (tmp_path / ".hidden").touch()
    Run.refuse_existing(tmp_path)
    (tmp_path / "a.png").write_bytes(b"picture")
    with pytest.raises(RunError, match=r"expected a new or empty folder, found a\.png"):
        Run.refuse_existing(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "a.png"]


class TestDiscarding:
    """A run without a checkpoint is deleted, and nothing else."""

    def test_own_files_stay(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            run, _ = start_run(tmp_path / name)
            run.mark("failed")
            if name == "b":
                (run.folder / "notes.txt").write_text("mine")
                (run.folder / "mine").mkdir()
            run.discard()
        assert [path.name for path in tmp_path.iterdir()] == ["b"]
        assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["mine", "notes.txt"]

    def test_a_folder_that_took_the_name_stays(self, tmp_path: Path) -> None:
        run, _ = start_run(tmp_path / "a")
        run.folder.rename(tmp_path / "b")
        shutil.copytree(tmp_path / "b", run.folder)
        run.discard()
        assert (tmp_path / "a" / runs.CONFIG).exists()
        assert (tmp_path / "b" / runs.CONFIG).exists()

    def test_a_run_in_use_stays(self, tmp_path: Path) -> None:
        run, _ = start_run(tmp_path / "a")
        with Run(run.folder).claim():
            run.discard()
        assert (run.folder / runs.CONFIG).exists()
