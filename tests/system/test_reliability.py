"""Promises about the files of a run: damage is detected, hostile files are refused, and good files are used."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pickle
import random
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import memory
from tests.helpers.commands import GRAPH, call, one_sentence
from tests.helpers.runs import (
    Interrupt,
    assert_same,
    small_model,
    small_training,
    start_run,
    without_seconds,
)
from tfp_vae.core import files as storage
from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import DiskError, DivergenceError, RunError, UsageError
from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.objectives import ELBO, OBJECTIVES
from tfp_vae.runs import run as runs
from tfp_vae.runs import train as session
from tfp_vae.runs.build import build_from_config
from tfp_vae.runs.config import RunConfig
from tfp_vae.runs.folder import checkpoint as checkpoints
from tfp_vae.runs.folder import lock as locks
from tfp_vae.runs.folder.checkpoint import Checkpoint, shapes
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan, reload
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training import fitting
from tfp_vae.training.loop import Trainer, Validator, epoch_batches
from tfp_vae.training.state import Shapes, State


@pytest.fixture(scope="module")
def twice_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of three epochs, with its previous checkpoint. Do not write to it."""
    folder = tmp_path_factory.mktemp("runs") / "twice"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "SAVE_SECONDS", 0.0)
        patch.setattr(session, "SAVE_SHARE", 1e9)
        assert train(*start_run(folder, epochs=3))
    assert (folder / runs.PREVIOUS).is_file()
    return folder


@pytest.fixture(scope="module")
def expected(twice_saved: Path) -> Shapes:
    """The shapes of the variables of that run."""
    return shapes(Run(twice_saved).config())


@pytest.fixture
def run(twice_saved: Path, tmp_path: Path) -> Run:
    """A copy of that run that a test may change."""
    shutil.copytree(twice_saved, tmp_path / "run")
    return Run(tmp_path / "run")


def flipped(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


READ: dict[str, Callable[[Run], object]] = {
    runs.CONFIG: Run.config,
    runs.STATE: Run.status,
    runs.METRICS: Run.metrics,
    runs.TRAINING: Run.training_result,
    runs.ENVIRONMENT: Run.environment,
}
"""The text files, and the functions that read them."""


THOROUGH = pytest.mark.parametrize("most", [120, pytest.param(5_000, marks=pytest.mark.slow)])
"""The largest number of places in a file that a test damages."""


class TestDamage:
    """Each file of a run with a flipped bit, truncated, empty or deleted."""

    @pytest.mark.slow
    @THOROUGH
    @pytest.mark.parametrize("name", READ)
    def test_flipped_bit_in_a_text_file(self, name: str, most: int, run: Run) -> None:
        """Some of the bytes: reading raises an error or returns the old content, because white space may change."""
        path, draw, refused = run.folder / name, random.Random(0), 0
        good, content = READ[name](run), path.read_bytes()
        places = range(0, len(content), 1 + len(content) // most)
        for place in places:
            path.write_bytes(flipped(content, place, draw.randrange(8)))
            try:
                assert READ[name](run) == good
            except RunError as error:
                assert str(path) in str(error)
                refused += 1
        assert refused > 0.8 * len(places)

    @THOROUGH
    @pytest.mark.parametrize("name", READ)
    def test_truncated_text_file(self, name: str, most: int, run: Run) -> None:
        path = run.folder / name
        good, content = READ[name](run), path.read_bytes()
        for size in [*range(0, len(content), 1 + len(content) // most), *range(len(content) - 5, len(content))]:
            path.write_bytes(content[:size])
            try:
                assert READ[name](run) == good
            except RunError as error:
                assert str(path) in str(error)
            else:
                assert not content[size:].strip(), "only white space may be missing"

    @THOROUGH
    def test_flipped_bit_in_a_checkpoint(self, most: int, run: Run, expected: Shapes) -> None:
        """The start and end of the archive, and places between: the previous checkpoint or the same arrays are read."""
        path, draw, refused = run.folder / runs.CHECKPOINT, random.Random(0), 0
        good, content = run.checkpoint(), path.read_bytes()
        (run.folder / runs.PREVIOUS).unlink()
        places = [
            *draw.sample(range(150), min(most // 3, 150)),
            *draw.sample(range(len(content)), most // 3),
            *draw.sample(range(len(content) - 300, len(content)), min(most // 3, 300)),
        ]
        for place in places:
            path.write_bytes(flipped(content, place, draw.randrange(8)))
            try:
                found = run.checkpoint(expected)
            except RunError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                assert_same(found.variables, good.variables)
                assert_same(found.best.variables, good.best.variables)
                assert (found.step, found.best.step, found.history) == (good.step, good.best.step, good.history)
        assert refused > 0.7 * len(places)

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.9999])
    def test_damage_to_the_newest_checkpoint_selects_the_previous_one(
        self, share: float, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        path, before = run.folder / runs.CHECKPOINT, checkpoints.read(run.folder / runs.PREVIOUS)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        assert LoadedRun(run).step == before.step < 36
        (record,) = caplog.records
        assert record.getMessage().startswith(
            f"{path}: {'the file is damaged' if share else 'expected data, found an empty file'}"
        )
        assert record.getMessage().endswith(f". Using the checkpoint before it, of step {before.step}.")

    def test_warns_about_a_damaged_checkpoint_once(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        (run.folder / runs.CHECKPOINT).write_bytes(b"PK")
        for _ in range(3):
            run.checkpoint()
        assert [record.levelname for record in caplog.records if record.levelname == "WARNING"] == ["WARNING"]

    @pytest.mark.slow
    def test_reports_a_damaged_checkpoint_once(self, run: Run) -> None:
        """Raising the total reads the checkpoint more than once. Remedies for data files do not apply here."""
        (run.folder / runs.CHECKPOINT).write_bytes(b"PK")
        said = call("train", "--resume", "--epochs", "4", "--no-plots", "--run-dir", run.folder).stderr
        (line,) = [line for line in said.splitlines() if "is damaged or cut short" in line]
        assert line.startswith(f"warning: {run.folder / runs.CHECKPOINT}: the file is damaged")
        assert line.endswith(". Using the checkpoint before it, of step 24.")
        assert line.count(". ") == 1
        assert "Using the checkpoint before it, of step 24" in (run.folder / runs.LOG).read_text()

    @pytest.mark.slow
    def test_resuming_from_the_previous_checkpoint_gives_the_same_bits(self, run: Run, twice_saved: Path) -> None:
        (run.folder / runs.CHECKPOINT).write_bytes(b"")
        (run.folder / runs.TRAINING).unlink()
        assert train(run, reload(run.config()))
        assert_same(run.checkpoint().variables, Run(twice_saved).checkpoint().variables)
        assert without_seconds(run.metrics()) == without_seconds(Run(twice_saved).metrics())

    def test_refuses_a_run_without_a_sound_checkpoint(self, run: Run) -> None:
        for name in (runs.CHECKPOINT, runs.PREVIOUS):
            (run.folder / name).write_bytes(b"PK")
        with pytest.raises(RunError, match=r"checkpoint-previous\.npz.*Restore it from a copy, or train again"):
            run.checkpoint()
        for name in (runs.CHECKPOINT, runs.PREVIOUS):
            (run.folder / name).unlink()
        with pytest.raises(RunError, match="expected a checkpoint, found none"):
            run.has_checkpoint()

    @pytest.mark.parametrize(
        "name",
        [
            *READ,
            pytest.param(runs.CHECKPOINT, marks=pytest.mark.slow),
            runs.PREVIOUS,
            runs.LOCK,
            runs.LOG,
            runs.PLOTS,
        ],
    )
    @pytest.mark.parametrize("damage", ["deleted", "emptied"])
    def test_resuming_repairs_lost_results(self, name: str, damage: str, run: Run, twice_saved: Path) -> None:
        path = run.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink() if damage == "deleted" else path.write_bytes(b"")
        whole = run.is_whole()
        code = 4 if name == runs.CONFIG or (name, damage) == (runs.STATE, "emptied") else 2 if whole else 0
        said = call("train", "--resume", "--run-dir", run.folder, "--no-plots", code=code)
        assert code != 4 or name in one_sentence(said)
        if code == 0:
            assert run.is_whole()
            assert_same(run.checkpoint().variables, Run(twice_saved).checkpoint().variables)

    @pytest.mark.parametrize("name", [runs.STATE, runs.METRICS, runs.TRAINING, runs.EVALUATION])
    def test_damage_shows_in_the_list_of_runs(self, name: str, run: Run) -> None:
        run.write(runs.EVALUATION, {"log_likelihood": -23.5})
        (run.folder / name).write_bytes(flipped((run.folder / name).read_bytes(), 60, 0))
        (row,) = json.loads(call("runs", "--runs-dir", run.folder.parent, "--json").stdout)["runs"]
        assert row["state"] == "damaged"
        assert row["log_likelihood"] is None


@pytest.mark.parametrize("left", [runs.CHECKPOINT, runs.TRAINING, runs.METRICS, runs.STATE])
def test_remains_of_a_run_do_not_count_as_an_empty_folder(left: str, run: Run) -> None:
    for path in run.folder.iterdir():
        if path.is_file() and path.name != left:
            path.unlink()
    before = (run.folder / left).read_bytes()
    said = call("train", "--epochs", "1", "--no-plots", "--run-dir", run.folder, code=4)
    assert left in one_sentence(said)
    assert (run.folder / left).read_bytes() == before


def test_refuses_a_total_within_the_current_epoch(run: Run) -> None:
    newest = run.checkpoint()
    begun = newest._replace(step=newest.step + 1, epoch_sums=np.array([1.0, 27.0, 0.5]))
    run.save_checkpoint(begun)
    done = len(newest.history)
    with pytest.raises(UsageError, match=f"expected more than {done}, found {done}"):
        run.extend(done)


class TestHostility:
    """Hostile files are refused before they can do harm."""

    @pytest.mark.parametrize("name", [runs.CHECKPOINT, "x.npz"])
    def test_never_opens_a_pickle(self, name: str, run: Run) -> None:
        fuse, path = run.folder / "executed", run.folder / name
        bomb = np.empty(1, object)
        bomb[0] = _Bomb(str(fuse))
        entries = {} if name == "x.npz" else {"variables/x": np.zeros(2)}
        with path.open("wb") as file:
            np.savez(file, x=bomb, **entries)
        (run.folder / runs.PREVIOUS).unlink()
        arguments = ["sample", "--run", run.folder] if name != "x.npz" else ["train", "--dataset", path]
        said = one_sentence(call(*arguments, code=4 if name != "x.npz" else 3))
        assert "object array" in said
        assert not fuse.exists()
        pickle.loads(pickle.dumps(bomb[0]))  # the bomb is live
        assert fuse.exists()

    @pytest.mark.parametrize("shape", [(10**7,), (10**12,), (10**6, 10**6), (2**62, 4), (-1,)])
    @pytest.mark.parametrize("entry_tells_the_truth", [True, False])
    def test_a_checkpoint_that_claims_too_much_memory(
        self, shape: tuple[int, ...], entry_tells_the_truth: bool, run: Run, expected: Shapes
    ) -> None:
        (run.folder / runs.PREVIOUS).unlink()
        name = next(name for name in expected if name.startswith("encoder"))
        lie_about(run.folder / runs.CHECKPOINT, f"variables/{name}.npy", shape, entry_tells_the_truth)
        with (
            memory.at_most(20_000_000),
            pytest.raises(RunError, match=r"checkpoint\.npz.* (bytes|numbers|found|larger)"),
        ):
            run.checkpoint(expected)

    def test_a_config_that_asks_for_more_than_the_checkpoint_holds(self, run: Run) -> None:
        """Three layers of 65,536 would take 34 gigabytes. The error takes almost none."""
        huge = {"name": "mlp", "hidden": [65_536] * 3}
        value = run.read(runs.CONFIG)
        value["model"]["encoder"] |= huge
        run.write(runs.CONFIG, value)
        config = run.config()
        for name in (runs.CHECKPOINT, runs.PREVIOUS):
            saved = checkpoints.read(run.folder / name)
            storage.write_arrays(run.folder / name, saved._replace(run=config.identity()).to_arrays())
        with memory.address_space(4_000_000_000), pytest.raises(RunError, match=r"config requires \d{5,}"):
            LoadedRun(run)  # the smallest of its kernels takes four times as much

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("dataset", "../../secret.npy"),
            ("dataset", "/data/../secret.npy"),
            ("dataset", "secret.npy"),
            ("dataset", "os"),
            ("data_dir", "/data/../.."),
            ("binarization", {"name": "subprocess.run"}),
        ],
    )
    def test_a_config_with_paths_outside_the_run(self, key: str, value: object, run: Run) -> None:
        config = run.read(runs.CONFIG)
        run.write(runs.CONFIG, {**config, "data": {**config["data"], key: value}})
        assert one_sentence(call("evaluate", "--run", run.folder, code=4)).count("this version cannot read the config")

    @pytest.mark.parametrize("name", [*READ, runs.CHECKPOINT, runs.PLOTS, runs.LOCK, runs.LOG])
    def test_never_follows_a_link_out_of_the_run(self, name: str, run: Run, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        (run.folder / name).rename(outside)
        (run.folder / name).symlink_to(outside)
        (run.folder / runs.TRAINING).unlink(missing_ok=True)
        before = outside.read_bytes() if outside.is_file() else sorted(outside.iterdir())
        command = (
            ["sample", "--run", run.folder] if name == runs.PLOTS else ["train", "--resume", "--run-dir", run.folder]
        )
        code = 0 if name == runs.TRAINING else 4
        said = call(*command, *(["--no-plots"] if code == 0 else []), code=code)
        assert code == 0 or "found a symbolic link" in one_sentence(said)
        assert before == (outside.read_bytes() if outside.is_file() else sorted(outside.iterdir()))

    def test_never_waits_for_a_pipe(self, run: Run) -> None:
        (run.folder / runs.CONFIG).unlink()
        os.mkfifo(run.folder / runs.CONFIG)
        with pytest.raises(RunError, match="expected a file"):
            run.config()

    @pytest.mark.parametrize("version", [0, 2, "1", None, True])
    def test_refuses_unknown_versions_in_one_sentence(self, version: object, run: Run) -> None:
        run.write(runs.CONFIG, {**run.read(runs.CONFIG), "version": version})
        with pytest.raises(RunError, match=r"expected version 1, found .* or train again"):
            run.config()

    def test_refuses_checkpoints_of_another_version_in_one_sentence(self, run: Run) -> None:
        """A copy of the file would not help, so the remedy differs from the one for a damaged file."""
        for name in (runs.CHECKPOINT, runs.PREVIOUS):
            arrays = checkpoints.read(run.folder / name).to_arrays()
            storage.write_arrays(run.folder / name, {**arrays, "format": np.array(1)})
        said = one_sentence(call("evaluate", "--run", run.folder, code=4))
        assert said.endswith(
            "expected format 2, found format 1. Open the run with the tfp_vae that wrote it, or train again."
        )

    def test_a_checkpoint_of_another_run_is_refused(self, run: Run) -> None:
        value = run.read(runs.CONFIG)
        run.write(runs.CONFIG, {**value, "training": {**value["training"], "seed": 9}})
        with pytest.raises(RunError, match="expected a checkpoint of this run's config"):
            LoadedRun(run)


class _Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (self.path,)


def lie_about(path: Path, entry: str, shape: tuple[int, ...], truthful: bool) -> None:
    """Give an entry of an archive a header of another shape. Unless `truthful`, its listed size agrees with it."""
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    contents[entry] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in contents.items():
            new.writestr(name, content)
        if not truthful:
            new.getinfo(entry).file_size = new.getinfo(entry).compress_size = 4 * 10**12
            new._didModify = True


class TestLocks:
    """Only one process trains a run. A process that has ended, for whatever reason, holds no lock."""

    def test_only_one_process_at_a_time_trains_a_run(self, run: Run) -> None:
        with run.claim(), run.claim():
            assert run.status().state == "running"
            with pytest.raises(RunError, match=rf"process {os.getpid()} is using this folder"), Run(run.folder).claim():
                pytest.fail("two have claimed it")
            said = one_sentence(call("train", "--resume", "--run-dir", run.folder, code=4))
            assert "is using this folder. Wait for it to end, or choose another folder" in said
        assert run.status().state == "finished"

    def test_a_killed_process_leaves_no_lock(self, run: Run) -> None:
        code = f"""
import time
from pathlib import Path
from tfp_vae.runs.run import Run
with Run(Path({str(run.folder)!r})).claim():
    print("claimed", flush=True)
    time.sleep(60)
"""
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "claimed\n"
            assert locks.in_use(run.folder / runs.LOCK)
            with pytest.raises(RunError, match=f"process {process.pid} is using"), run.claim():
                pytest.fail("two have claimed it")
            process.send_signal(signal.SIGKILL)
        with run.claim():
            assert run.status().state == "running"

    def test_only_one_of_many_processes_gets_a_folder(self, twice_saved: Path, tmp_path: Path) -> None:
        config = Run(twice_saved).config()

        def create(i: int) -> bool:
            try:
                Run.create(tmp_path / "new", config)
            except RunError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(create, range(8))) == 1

    def test_claiming_deletes_partial_files_of_a_killed_process(self, run: Run) -> None:
        leftover = run.folder / f".{runs.CHECKPOINT}.abc.part"
        leftover.touch()
        with run.claim():
            assert not leftover.exists()

    def test_deleting_the_lock_file_lets_nobody_in(self, run: Run) -> None:
        with run.claim():
            for content in (None, b"", b"12345678"):
                (run.folder / runs.LOCK).unlink(missing_ok=True)
                if content is not None:
                    (run.folder / runs.LOCK).write_bytes(content)
                assert Run(run.folder).status().state == "running"
                with pytest.raises(RunError, match="is using this folder"), Run(run.folder).claim():
                    pytest.fail("two have claimed it")
        assert run.status().state == "finished"
        with Run(run.folder).claim():
            assert locks.in_use(run.folder / runs.LOCK)

    def test_uses_the_lock_of_the_file_if_folders_have_no_locks(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = fcntl.flock

        def on_files(handle: int, how: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(errno.EBADF, "as NFS says")
            real(handle, how)

        monkeypatch.setattr(fcntl, "flock", on_files)
        with run.claim():
            assert Run(run.folder).status().state == "running"
            with pytest.raises(RunError, match=f"process {os.getpid()} is using this folder"), Run(run.folder).claim():
                pytest.fail("two have claimed it")
        assert run.status().state == "finished"

    def test_without_locks_a_run_can_be_read_but_not_trained_on_this_disk(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(handle: int, how: int) -> None:
            raise OSError(errno.ENOLCK, "no locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        assert run.status().state == "finished"
        with pytest.raises(DiskError, match="does not support locks"), run.claim():
            pytest.fail("claimed without a lock")

    def test_looking_at_a_lock_hinders_nobody(self, run: Run) -> None:
        handle = os.open(run.path(runs.LOCK), os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH)
            assert not locks.in_use(run.path(runs.LOCK))
        finally:
            os.close(handle)


class TestPrevious:
    """The newest and the previous checkpoint are always two files, and the previous one is sound."""

    @pytest.fixture
    def saved(self, run: Run) -> tuple[Run, Checkpoint, Checkpoint]:
        """A run whose newest checkpoint was read, that checkpoint, and the next one to save."""
        newest = run.checkpoint()
        return run, newest, newest._replace(step=newest.step + 1)

    def test_the_first_save_keeps_the_checkpoint_that_was_read(self, saved: tuple[Run, Checkpoint, Checkpoint]) -> None:
        run, newest, following = saved
        run.save_checkpoint(following)
        assert [checkpoints.read(run.folder / name).step for name in BOTH] == [newest.step + 1, newest.step]

    @pytest.mark.slow
    def test_the_first_save_of_a_resumed_training_keeps_the_last_checkpoint(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "SAVE_SECONDS", 3_600.0)
        run.extend(4)
        steps = []
        train(Run(run.folder), reload(run.config()), callbacks=[Interrupt(lambda: steps.append(0) or len(steps) > 2)])
        assert checkpoints.read(run.folder / runs.PREVIOUS).step == 36 < run.checkpoint().step

    def test_a_damaged_checkpoint_does_not_become_the_previous_one(self, run: Run) -> None:
        (run.folder / runs.CHECKPOINT).write_bytes(b"PK")
        before = run.checkpoint()
        run.save_checkpoint(before._replace(step=before.step + 1))
        assert [checkpoints.read(run.folder / name).step for name in BOTH] == [before.step + 1, before.step]

    @pytest.mark.parametrize("call", ["fsync", "open", "link", "replace"])
    def test_a_failed_save_leaves_both_checkpoints(
        self, call: str, saved: tuple[Run, Checkpoint, Checkpoint], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first call of each system function fails. Without hard links, the previous checkpoint is copied."""
        run, newest, following = saved
        steps = [checkpoints.read(run.folder / name).step for name in BOTH]

        def refuse(*arguments: object, **more: object) -> None:
            raise OSError(errno.ENOSPC, "no space")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            if call == "link":
                patch.setattr(shutil, "copyfileobj", refuse)
            with pytest.raises(DiskError, match="the disk is full"):
                run.save_checkpoint(following)
        assert [checkpoints.read(run.folder / name).step for name in BOTH] == steps
        assert not list(run.folder.glob(".*.part"))
        run.save_checkpoint(following)
        assert [checkpoints.read(run.folder / name).step for name in BOTH] == [newest.step + 1, newest.step]

    def test_new_checkpoint_reaches_the_disk_before_any_rename(
        self, saved: tuple[Run, Checkpoint, Checkpoint], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, _, following = saved
        done, moves = [], []
        for name in ("fsync", "link", "replace"):
            real = getattr(os, name)

            def patched(*given: Any, name: str = name, real: Callable[..., None] = real, **more: Any) -> None:
                done.append(name)
                moves.append(given)
                real(*given, **more)

            monkeypatch.setattr(os, name, patched)
        run.save_checkpoint(following)
        assert done == ["fsync", "link", "replace", "replace", "fsync"]
        assert [Path(given[1]).name for given in moves[2:4]] == [runs.PREVIOUS, runs.CHECKPOINT]


BOTH = (runs.CHECKPOINT, runs.PREVIOUS)


@pytest.mark.parametrize("links", [True, False])
def test_a_kept_copy_is_the_file_with_and_without_hard_links(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*names: object, **more: object) -> None:
        raise OSError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with storage.open_folder(tmp_path) as folder:
        storage.keep_copy(folder, "a", "b")
    assert (tmp_path / "b").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.fixture(scope="module")
def worsened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Dataset]:
    """A run whose last epochs are worse, because a step that is too large follows the first epoch."""
    run, dataset = start_run(tmp_path_factory.mktemp("runs") / "run", epochs=3)
    with pytest.MonkeyPatch.context() as patch:
        jump = lambda learning_rate, total: lambda step: tf.where(step < 12, learning_rate, 0.5)  # noqa: E731
        patch.setattr(fitting, "SCHEDULES", runs_table({"constant": jump}))
        assert train(run, dataset)
    return run, dataset


class TestBest:
    """The weights of the highest validation ELBO are kept next to the last ones."""

    @pytest.mark.slow
    def test_best_weights_are_those_of_the_best_epoch(self, worsened: tuple[Run, Dataset]) -> None:
        run, dataset = worsened
        elbos = [line["validation_elbo"] for line in run.metrics()]
        assert np.argmax(elbos) == 0
        best, final = LoadedRun(run, "best"), LoadedRun(run)
        assert (best.step, final.step) == (12, 36)
        assert run.read(runs.TRAINING)["best"] == {
            "epoch": 1,
            "validation_elbo": elbos[0],
            "validation_bound": elbos[0],
        }
        assert (
            State(best.vae).capture()["decoder/000/kernel"] != State(final.vae).capture()["decoder/000/kernel"]
        ).any()
        validate = lambda vae: Validator(  # noqa: E731
            vae, ELBO(), dataset.validation.x, run_seed=0, execution="graph"
        )()
        assert validate(best.vae).elbo == pytest.approx(elbos[0], rel=1e-6)
        assert validate(final.vae).elbo == pytest.approx(elbos[2], rel=1e-6)

    @pytest.mark.parametrize(
        "command",
        [
            ("sample", "--n", "2"),
            pytest.param(
                ("evaluate", "--iw-samples", "2", "--max-examples", "5", *GRAPH), marks=pytest.mark.slow, id="evaluate"
            ),
        ],
    )
    def test_commands_name_the_weights(self, command: tuple[str, ...], worsened: tuple[Run, Dataset]) -> None:
        for weights, step in (("best", 12), ("final", 36)):
            result = call(*command, "--run", worsened[0].folder, "--weights", weights, "--json")
            assert f"weights: {weights}, of step {step}" in result.stderr
            told = json.loads(result.stdout)
            assert (told["weights"], told["step"]) == (weights, step)
        assert "weights: final" in call(*command, "--run", worsened[0].folder).stderr

    def test_a_run_without_an_epoch_has_no_best_weights(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run")
        assert not train(run, dataset, callbacks=[Interrupt(lambda: True)])
        assert LoadedRun(run).step == 0
        with pytest.raises(RunError, match="no best weights yet"):
            LoadedRun(run, "best")


def runs_table(entries: dict[str, Callable[..., object]]) -> object:
    from tfp_vae.core.registry import Table

    return Table("schedule", entries, base=object)


class TestDivergence:
    """Training stops at the first step whose loss, gradient or weights are not finite."""

    @pytest.mark.parametrize(
        "activation",
        ["relu", pytest.param("gelu", marks=pytest.mark.slow), pytest.param("tanh", marks=pytest.mark.slow)],
    )
    def test_divergence_by_a_value_after_the_check(
        self, activation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A fused kernel may turn NaN into 0, so the loss stays finite. The gradient and the weights still show it."""
        member = f"mlp:hidden=16,activation={activation}"
        config, dataset = plan("digits", None, None, small_model(encoder=member, decoder=member), small_training())
        monkeypatch.setattr(fitting, "Trainer", lambda *given, **more: Trainer(*given[:4], spoilt(given[4]), **more))
        batches = epoch_batches(len(dataset.train), 128, 12, 0, 0)
        first = 1 + int(np.argmax((batches == 7).any(axis=1)))
        run = Run.create(tmp_path / "run", config)
        with pytest.raises(DivergenceError, match=rf"not finite in the [a-z' ]+ at step {first}\..*`learning_rate`"):
            train(run, dataset)

    def test_divergence_at_the_step_that_a_plain_loop_finds(self, tmp_path: Path) -> None:
        run, dataset = start_run(tmp_path / "run", learning_rate=1e3, optimizer="sgd", execution="eager", epochs=1)
        with pytest.raises(DivergenceError) as error:
            train(run, dataset)
        assert f"at step {first_step_not_finite(run.config(), dataset)}." in str(error.value)


def spoilt(batch: Batch) -> Batch:
    x = np.array(batch.x)
    x[7, 0, 0, 0] = np.nan
    return batch._replace(x=x)


def first_step_not_finite(config: RunConfig, dataset: Dataset) -> int:
    """Take the run's steps one by one with plain gradient descent, and return the first that is not finite."""
    vae = build_from_config(config, dataset.train.x.mean(axis=0))
    transform = BINARIZATIONS.build(config.data.binarization).batch
    objective = OBJECTIVES.build(config.training.objective)
    for step, rows in enumerate(epoch_batches(len(dataset.train), 128, 12, 0, 0)):
        x = transform(tf.constant(dataset.train.x[rows]), seed_for(0, Purpose.BINARIZATION, step))
        with tf.GradientTape() as tape:
            loss = objective.loss(vae, x, seed=seed_for(0, Purpose.LATENT, step))
        gradients = tape.gradient(loss, vae.trainable_variables)
        for variable, gradient in zip(vae.trainable_variables, gradients, strict=True):
            variable.assign_sub(config.training.learning_rate * gradient)
        values = [loss, *gradients, *vae.trainable_variables]
        if not all(np.isfinite(value.numpy()).all() for value in values):
            return step + 1
    raise AssertionError("every step was finite")
