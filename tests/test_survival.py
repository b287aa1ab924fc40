"""What a run survives, shown on real processes: SIGKILL, SIGINT and SIGTERM at random moments, full disks."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.test_training import assert_same, without_seconds
from tests.worker import Worker
from tfp_vae import runs
from tfp_vae.archive import Checkpoint
from tfp_vae.runs import Run

pytestmark = pytest.mark.slow

KILLS, SIGNALS = 50, 12
EPOCHS, STEPS = 16, 20
TRAIN = (
    "train", "--epochs", EPOCHS, "--steps-per-epoch", STEPS, "--batch-size", 64, "--hidden", 8, "--execution", "graph",
    "--no-plots",
)  # fmt: skip
PATIENCE = 60.0
"""Seconds to wait for a checkpoint, on a machine that is busy."""

SLOW = {"slow": 0.01, "SAVE_SECONDS": 0.0, "SAVE_SHARE": 1e9}
"""A checkpoint after every few steps, each of which takes a tenth of a second to write."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as process:
        yield process


class Trial:
    """A run that is to be trained in spite of everything, and another of the same seed, left in peace."""

    def __init__(self, worker: Worker, folder: Path, seed: int) -> None:
        self.worker, self.folder, self.seed = worker, folder / f"run-{seed}", seed
        self.peaceful, self.said = folder / f"peaceful-{seed}", folder / "said.txt"

    def go_on(self, **more: float) -> int:
        """Begin training, or resume it; return the process's number."""
        begun = Run(self.folder).exists()
        arguments = ("train", "--resume", "--no-plots") if begun else (*TRAIN, "--seed", self.seed)
        return self.worker.start(*arguments, "--run-dir", self.folder, said=self.said, **more)

    def wait(self, draw: random.Random) -> None:
        """Wait for a random moment: one in four anywhere from the start on, the others after a first checkpoint."""
        if draw.random() < 0.25:
            time.sleep(draw.uniform(0.0, 2.0))
            return
        before, began = self._saves(), time.monotonic()
        while self._saves() == before and not self._over() and time.monotonic() - began < PATIENCE:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.7))

    def _saves(self) -> int:
        log = self.folder / runs.LOG
        return log.read_text().count("wrote a checkpoint") if log.exists() else 0

    def _over(self) -> bool:
        """Return whether training came to its end before anything could come between."""
        return Run(self.folder).is_finished()

    def finish_and_compare(self) -> None:
        """Train to the end in peace; weights, best weights, optimizer and metrics are those of the other run."""
        if not Run(self.folder).is_finished():
            self.go_on()
            assert self.worker.ended() == 0, self.said.read_text()
        assert self.worker.call(*TRAIN, "--seed", self.seed, "--run-dir", self.peaceful, said=self.said) == 0
        survivor, peaceful = Run(self.folder), Run(self.peaceful)
        assert survivor.status().state == "finished"
        assert_same_checkpoint(survivor.checkpoint(), peaceful.checkpoint())
        assert without_seconds(survivor.metrics()) == without_seconds(peaceful.metrics())
        differing = {"run", "seconds"}
        results = [
            {k: v for k, v in run.read(runs.TRAINING).items() if k not in differing} for run in (survivor, peaceful)
        ]
        assert results[0] == results[1]


def assert_same_checkpoint(first: Checkpoint, second: Checkpoint) -> None:
    assert (first.step, first.run) == (second.step, second.run)
    np.testing.assert_array_equal(first.epoch_sums, second.epoch_sums)
    assert_same(first.variables, second.variables)
    assert first.best.step == second.best.step
    assert_same(first.best.variables, second.best.variables)
    assert without_seconds(first.history) == without_seconds(second.history)


def hit(pid: int, number: int) -> None:
    """Send a signal to a process, which may have come to its end just before."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def test_killed_at_random_moments(worker: Worker, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw, kills, while_writing, from_checkpoint, seed = random.Random(0), 0, 0, 0, 0
    while kills < KILLS:
        trial = Trial(worker, tmp_path, seed)
        while kills < KILLS and not Run(trial.folder).is_finished():
            pid = trial.go_on(**SLOW)
            trial.wait(draw)
            hit(pid, signal.SIGKILL)
            if worker.ended() == -signal.SIGKILL:
                kills += 1
                while_writing += bool(list(trial.folder.glob(".*.part")))
            from_checkpoint += loads(Run(trial.folder))
        trial.finish_and_compare()
        seed += 1
    assert while_writing >= KILLS // 10, "too few kills came while something was written"
    assert from_checkpoint >= KILLS // 3, "too few kills came after a checkpoint"
    assert not caplog.records, "no damage, no falling back"


def loads(run: Run) -> bool:
    """Check that what a kill left can be read; return whether it has a checkpoint."""
    if not run.exists():
        return False
    assert run.config().training.epochs == EPOCHS
    assert run.status().state in {"interrupted", "finished"}
    epochs = len(run.metrics())
    if not run.has_checkpoint():
        return False
    assert len(run.checkpoint().history) <= epochs
    return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_at_random_moments(number: int, code: int, worker: Worker, tmp_path: Path) -> None:
    draw, trial, interrupted = random.Random(code), Trial(worker, tmp_path, 0), 0
    for _ in range(SIGNALS // 2):
        pid = trial.go_on(**SLOW)
        trial.wait(draw)
        hit(pid, number)
        found, said = worker.ended(), trial.said.read_text()
        assert "Traceback" not in said
        if Run(trial.folder).is_finished():
            break
        assert found == code, said
        if "Go on with" in said:  # before that, training had not begun
            interrupted += 1
            assert f"tfp-vae train --resume --run-dir {trial.folder}" in said
            assert Run(trial.folder).status().state == "interrupted"
            assert Run(trial.folder).checkpoint().step >= 0
    assert interrupted >= SIGNALS // 8
    trial.finish_and_compare()


def test_a_second_signal_stops_at_once(worker: Worker, tmp_path: Path) -> None:
    trial = Trial(worker, tmp_path, 0)
    pid = trial.go_on(SAVE_SECONDS=0.0, SAVE_SHARE=1e9, slow=0.5)
    while not list(trial.folder.glob(f".{runs.METRICS}.*.part")):  # a save of some seconds has begun
        time.sleep(0.01)
    began = time.monotonic()
    os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    os.kill(pid, signal.SIGINT)
    assert worker.ended() == 130
    assert time.monotonic() - began < 1.0
    assert "once more to stop at once" in trial.said.read_text()
    trial.finish_and_compare()


def test_a_divergent_setting_leaves_a_state_and_no_traceback(worker: Worker, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    code = worker.call(*TRAIN, "--optimizer", "sgd", "--learning-rate", 1e3, "--run-dir", tmp_path / "run", said=said)
    assert code == 5
    assert "Traceback" not in said.read_text()
    status = Run(tmp_path / "run").status()
    assert status.state == "failed"
    assert "diverged" in status.reason


def test_an_interrupt_while_the_program_starts_leaves_no_traceback() -> None:
    """What comes while Python itself starts, before the program's first line, is not the program's to answer."""
    draw, heard = random.Random(1), 0
    program = Path(sys.executable).with_name("tfp-vae")
    for i in range(40):
        with subprocess.Popen([program, "runs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(draw.uniform(0.03, 0.4))
            process.send_signal((signal.SIGINT, signal.SIGTERM)[i % 2])
            _, said = process.communicate(timeout=60)
        assert not re.search(r'cli/start.py", line \d+, in main', said), said
        assert "Traceback" in said or process.returncode in {0, 130, 143, -signal.SIGINT, -signal.SIGTERM}
        heard += process.returncode in {130, 143}
    assert heard >= 10


LIMITED = """
import resource, signal, sys
from tfp_vae.cli.main import main
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:], prog_name="tfp-vae")
"""


@pytest.mark.parametrize("limit", [0, 1_000, 20_000])
def test_a_limit_on_the_size_of_files_ends_the_program_in_order(limit: int, tmp_path: Path) -> None:
    """The kernel refuses what exceeds the limit: the config at 0, a line more at 1,000, the checkpoint at 20,000."""
    command = [sys.executable, "-c", LIMITED, str(limit), *map(str, TRAIN), "--hidden", "64", "--run-dir", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 6, done.stderr
    assert "the file would exceed the size limit. Make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.part"))


class TestFullDisk:
    """The kernel refuses the n-th write, for every n: exit code 6, and every other file as it was."""

    ARGUMENTS = ("train", "--resume", "--epochs", EPOCHS + 1)
    LATER = (
        ("sample", "--n", "4"),
        ("evaluate", "--iw-samples", "2", "--max-examples", "4", "--per-example", "{}/each.npz"),
        ("sample", "--n", "4", "--out", "{}/x.npy"),
        ("sample", "--n", "4", "--out", "{}/x.npz"),
        ("sample", "--n", "4", "--out", "{}/x.png"),
    )

    @pytest.mark.parametrize("arguments", [ARGUMENTS, *LATER], ids=lambda arguments: arguments[0])
    def test_every_write(self, arguments: tuple[object, ...], worker: Worker, tmp_path: Path) -> None:
        said, original = tmp_path / "said.txt", tmp_path / "original"
        assert worker.call(*TRAIN, "--run-dir", original, said=said) == 0
        given = [str(argument).format(tmp_path) for argument in arguments]
        flag = "--run-dir" if given[0] == "train" else "--run"
        for refused in range(100):
            folder = tmp_path / f"full-{refused}"
            assert subprocess.run(["cp", "-r", original, folder], check=False).returncode == 0
            code = worker.call(*given, flag, folder, said=said, refused=refused)
            if code == 0:
                break
            assert code == 6, said.read_text()
            assert "could not write" in said.read_text()
            assert "Traceback" not in said.read_text()
            assert not list(folder.rglob("*.part"))
            assert loads_as_before(Run(folder), Run(original))
            if refused % 4 == 0:
                resumes_to_the_end(worker, folder, said, arguments[0] == "train")
        assert refused >= (8 if given[0] == "train" else 1)


def loads_as_before(run: Run, original: Run) -> bool:
    """Check that the checkpoint is the old one or a whole new one, and that the metrics can be read."""
    step = run.checkpoint().step
    assert len(run.metrics()) >= EPOCHS
    if step == original.checkpoint().step:
        assert_same_checkpoint(run.checkpoint(), original.checkpoint())
    return step in {EPOCHS * STEPS, (EPOCHS + 1) * STEPS}


def resumes_to_the_end(worker: Worker, folder: Path, said: Path, training: bool) -> None:
    """Check that the run goes on where there is room again."""
    if training and not Run(folder).is_whole():
        assert worker.call("train", "--resume", "--no-plots", "--run-dir", folder, said=said) == 0, said.read_text()
