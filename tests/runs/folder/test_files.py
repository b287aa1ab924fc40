"""The files of a folder: a folder that takes the name of another gets none of its files, and links are refused."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.runs import Observer, start_run
from tfp_vae.core.errors import DiskError, RunError
from tfp_vae.runs import run as runs
from tfp_vae.runs.folder.files import Files, LogFile
from tfp_vae.runs.folder.records import Status
from tfp_vae.runs.frames import Film
from tfp_vae.runs.run import Run, find
from tfp_vae.runs.train import train


@pytest.fixture
def held(tmp_path: Path) -> Files:
    """The files of a folder that is held."""
    (tmp_path / "mine" / "below").mkdir(parents=True)
    files = Files(tmp_path / "mine")
    files.hold()
    return files


def replace(folder: Path) -> Path:
    """Move a folder away, put another in its place, and return the other's only file."""
    folder.rename(folder.with_name("moved"))
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_text("of another")
    return folder / "file"


WRITES: dict[str, Callable[[Files], object]] = {
    "JSON": lambda files: files.write("file", {"a": 1}),
    "bytes": lambda files: files.write_bytes("file", b"new", previous="old"),
    "bytes below": lambda files: files.write_bytes("below/file", b"new"),
    "folder": lambda files: files.make_folder("new"),
    "removal": lambda files: files.remove("file"),
    "claim": lambda files: files.claim(["file"]).__enter__(),
}


class TestReplaced:
    """Another folder takes the name of a folder that is in use."""

    @pytest.mark.parametrize("write", WRITES)
    def test_other_folder_gets_no_file(self, write: str, held: Files) -> None:
        other = replace(held.folder)
        before = sorted(held.folder.rglob("*"))
        with pytest.raises(
            RunError, match="was replaced by another while its run was in use, so nothing more"
        ) as error:
            WRITES[write](held)
        assert error.value.exit_code == 4
        assert sorted(path for path in held.folder.rglob("*") if path.name != ".lock") == before
        assert other.read_text() == "of another"

    @pytest.mark.parametrize("write", ["JSON", "bytes", "bytes below"])
    def test_missing_folder_is_an_error_and_is_not_recreated(self, write: str, held: Files) -> None:
        shutil.rmtree(held.folder)
        with pytest.raises(RunError, match="was moved or deleted"):
            WRITES[write](held)
        assert not held.folder.exists()

    def test_log_of_another_folder_gets_no_line(self, held: Files) -> None:
        log = LogFile(held, "log")
        replace(held.folder)
        log.emit(logging.makeLogRecord({"msg": "text"}))
        log.close()
        assert not (held.folder / "log").exists()

    def test_folder_that_is_not_held_is_written_as_usual(self, tmp_path: Path) -> None:
        files = Files(tmp_path)
        files.write("file", {"a": 1})
        assert files.read("file") == {"a": 1}
        with pytest.raises(DiskError, match="its folder does not exist"):
            Files(tmp_path / "none").write("file", {})

    def test_run_that_is_replaced_while_it_trains_leaves_the_other_run_as_it_is(
        self, tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tfp_vae.runs.train.SAVE_SECONDS", 0.0)
        run, dataset = start_run(tmp_path / "run", epochs=3, steps_per_epoch=2, execution="eager")

        def replace_by_a_run(training: object) -> None:
            if not (tmp_path / "first").exists() and (run.folder / runs.CHECKPOINT).exists():
                run.folder.rename(tmp_path / "first")
                shutil.copytree(trained, run.folder)

        with pytest.raises(RunError, match="was replaced by another"):
            train(run, dataset, callbacks=[Observer(replace_by_a_run), Film(run, dataset)])
        found = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.is_file()}
        assert found == {path.name: path.read_bytes() for path in trained.iterdir() if path.is_file()}
        assert not list(run.folder.rglob("epoch-*"))
        assert Run(tmp_path / "first").checkpoint().step > 0

    @pytest.mark.parametrize("name", [True, False])
    def test_evaluation_is_not_written_into_a_run_that_took_the_folder(
        self, name: bool, copied: Run, trained: Path
    ) -> None:
        run = find(str(copied.folder) if name else None, str(copied.folder.parent))
        run.folder.rename(run.folder.with_name("moved"))
        shutil.copytree(trained, run.folder)
        before = sorted(run.folder.rglob("*"))
        for write in (
            lambda: run.write_evaluation({"weights": "final", "step": 24, "split": "test"}),
            lambda: run.write_plot("samples", b"PNG"),
            lambda: run.save_checkpoint(Run(trained).checkpoint()),
            lambda: run.check_writable(["plots"], "choose another"),
            lambda: run.discard_frames(0) or run.write_arrays("data.npz", {"x": np.zeros(2)}),
        ):
            with pytest.raises(RunError, match="was replaced by another"):
                write()
        assert sorted(run.folder.rglob("*")) == before


class TestReading:
    """Reading checks the kind, the size, the checksum and the record of a file."""

    def test_missing_file_has_no_record(self, held: Files) -> None:
        assert held.read_record("state.json", Status, "Delete it.") is None

    def test_error_of_a_record_names_the_file_the_value_and_the_remedy(self, held: Files) -> None:
        held.write("state.json", {"state": "odd"})
        with pytest.raises(
            RunError, match=r"state\.json: a value is missing or wrong \(`state`: expected .*\)\. Delete it"
        ):
            held.read_record("state.json", Status, "Delete it.")

    def test_link_is_refused_for_reading_and_writing(self, held: Files, tmp_path: Path) -> None:
        (tmp_path / "outside").write_text("secret")
        (held.folder / "file").symlink_to(tmp_path / "outside")
        for use in (lambda: held.read("file"), lambda: held.write("file", {}), lambda: held.remove("file")):
            with pytest.raises(RunError, match="found a symbolic link"):
                use()
        assert (tmp_path / "outside").read_text() == "secret"

    def test_large_file_is_not_read(self, held: Files) -> None:
        held.write_bytes("file", b"12345")
        assert held.read_bytes("file", 5) == b"12345"
        with pytest.raises(RunError, match="expected a file of at most 4 bytes, found 5 bytes"):
            held.read_bytes("file", 4)
