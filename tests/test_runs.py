"""A run on disk: what is written comes back, what is damaged is refused, every file is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import small_model, small_training, start_run
from tfp_vae import runs, storage
from tfp_vae.checkpoints import capture, restore
from tfp_vae.config import RunConfig, build
from tfp_vae.errors import DataError, DiskError, RunError, UsageError
from tfp_vae.experiments import Restored, train
from tfp_vae.preparation import plan, reload
from tfp_vae.runs import Run, all_runs, find, finished_runs


def test_a_finished_run_holds_what_is_promised(trained: Path) -> None:
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


def test_training_result_has_the_promised_keys(trained: Path) -> None:
    result = Run.open(trained).read(runs.TRAINING)
    assert {"run", "dataset", "epochs", "steps", "parameters", "train", "validation", "seconds"} <= result.keys()
    for split in ("train", "validation"):
        assert result[split].keys() == {"elbo", "distortion", "rate"}
    assert result["parameters"] == 64 * 16 + 16 + 16 * 4 + 4 + 2 * 16 + 16 + 16 * 64 + 64
    assert result["steps"] == 24


def test_environment_names_versions_and_devices(trained: Path) -> None:
    environment = Run.open(trained).read(runs.ENVIRONMENT)
    assert environment["packages"]["tensorflow-probability"].startswith("0.25")
    assert environment["devices"]
    assert environment["execution"] == "graph"


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


def test_a_restored_model_has_the_trained_weights(restored: Restored) -> None:
    saved = restored.run.checkpoint().variables
    for name, value in capture(restored.vae).items():
        np.testing.assert_array_equal(value, saved[name])


class TestRefusals:
    """Damage is found, and said in a sentence."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda c: {**c, "surprise": 1}, "surprise: this key is unknown"),
            (lambda c: {k: v for k, v in c.items() if k != "model"}, "model: this key is missing"),
            (lambda c: {**c, "version": 2}, "expected version 1, found 2"),
            (lambda c: {**c, "model": {**c["model"], "latent_dim": 10**12}}, "latent_dim"),
            (lambda c: {**c, "model": {**c["model"], "prior": {"name": "os.system"}}}, "unknown prior"),
            (lambda c: {**c, "model": {**c["model"], "posterior": {"name": "diagonal-normal", "x": 1}}}, "unknown"),
            (lambda c: {**c, "data": {**c["data"], "event_shape": [10**6, 10**6, 1]}}, "event_shape"),
            (lambda c: {**c, "training": {**c["training"], "execution": "rm"}}, "execution"),
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
            Restored(copied)

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
    def test_checkpoint_cut_short(self, share: float, copied: Run) -> None:
        path = copied.folder / "checkpoint.npz"
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(RunError, match="damaged"):
            Restored(copied)

    def test_checkpoint_missing(self, copied: Run) -> None:
        (copied.folder / "checkpoint.npz").unlink()
        with pytest.raises(RunError, match="expected a checkpoint, found none"):
            Restored(copied)

    def test_checkpoint_of_another_model(self, copied: Run) -> None:
        saved = copied.checkpoint()
        variables = dict(saved.variables)
        name = next(name for name in variables if name.startswith("decoder"))
        copied.save_checkpoint(saved._replace(variables=variables | {name: np.zeros((3, 3), np.float32)}), keep=False)
        with pytest.raises(RunError, match=f"{name} takes 164 bytes, but its run's config asks for"):
            Restored(copied)
        flat = {name: variables[name].ravel()}
        copied.save_checkpoint(saved._replace(variables=variables | flat), keep=False)
        with pytest.raises(RunError, match=f"expected {name} of shape"):
            Restored(copied)
        del variables[name]
        copied.save_checkpoint(saved._replace(variables=variables), keep=False)
        with pytest.raises(RunError, match=f"only one of them has '{name}'"):
            Restored(copied)

    def test_nothing_is_restored_unless_all_fits(self, copied: Run) -> None:
        vae = build(copied.config())
        before = capture(vae)
        spoiled = {name: value + 1 for name, value in before.items()} | {max(before): np.zeros(1)}
        with pytest.raises(RunError):
            restore(spoiled, vae)
        for name, value in capture(vae).items():
            np.testing.assert_array_equal(value, before[name])

    def test_metrics(self, copied: Run) -> None:
        (copied.folder / "metrics.jsonl").write_text('{"epoch": 1}\n{"epo')
        with pytest.raises(RunError, match="expected a line of metrics for each epoch"):
            copied.metrics()

    def test_data_that_changed(self, tmp_path: Path) -> None:
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
        with pytest.raises(RunError, match="holds a run already"):
            Run.create(copied.folder, copied.config())


class TestFinding:
    """Which run is taken."""

    def test_the_newest_finished_one(self, trained: Path, tmp_path: Path) -> None:
        for age, name in enumerate(["new", "old"]):
            shutil.copytree(trained, tmp_path / name)
            os.utime(tmp_path / name / "training.json", (1_000 - age, 1_000 - age))
        start_run(tmp_path / "unfinished")
        (tmp_path / "no run").mkdir()
        assert find(None, str(tmp_path)).folder == tmp_path / "new"
        assert find(str(tmp_path / "old"), str(tmp_path)).folder == tmp_path / "old"
        assert [run.folder.name for run in finished_runs(tmp_path)] == ["old", "new"]
        assert {run.folder.name for run in all_runs(tmp_path)} == {"old", "new", "unfinished"}

    def test_folders_of_one_second_do_not_meet(self, tmp_path: Path) -> None:
        folders = [runs.new_folder(tmp_path, "/some where/my data.npy") for _ in range(3)]
        assert len(set(folders)) == 3
        assert all(folder.name.startswith("my-data-") for folder in folders)


class TestExtending:
    """More epochs for a run."""

    def test_more_epochs_are_trained(self, copied: Run) -> None:
        copied.extend(3)
        assert not copied.is_finished()
        assert train(copied, reload(copied.config()))
        assert [line["epoch"] for line in copied.metrics()] == [1, 2, 3]
        assert copied.read(runs.TRAINING)["epochs"] == 3

    def test_results_of_fewer_epochs_are_gone(self, copied: Run) -> None:
        copied.write(runs.EVALUATION, {"log_likelihood": -1.0})
        copied.extend(3)
        assert not (copied.folder / "evaluation.json").exists()

    def test_fewer_are_refused(self, copied: Run) -> None:
        with pytest.raises(UsageError, match="2 epochs are done already"):
            copied.extend(1)


class TestStorage:
    """Files that appear whole or not at all."""

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

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
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
