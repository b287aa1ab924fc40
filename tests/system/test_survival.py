"""Real processes survive SIGKILL, SIGINT and SIGTERM at random moments, and full disks."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.runs import assert_same, without_seconds
from tests.helpers.worker import Worker
from tfp_vae.runs import run as runs
from tfp_vae.runs.folder.checkpoint import Checkpoint
from tfp_vae.runs.run import Run

pytestmark = pytest.mark.slow

KILLS, SIGNALS = 30, 12
EPOCHS, STEPS = 16, 20
TRAIN = (
    "train", "--epochs", EPOCHS, "--steps-per-epoch", STEPS, "--batch-size", 64, "--hidden", 8, "--execution", "graph",
    "--no-plots",
)  # fmt: skip
PATIENCE = 60.0
"""Seconds to wait for a checkpoint on a busy machine."""

SLOW = {"slow": 0.01, "SAVE_SECONDS": 0.0, "SAVE_SHARE": 1e9}
"""Settings of the worker: a checkpoint every few steps, which takes a tenth of a second to write."""


class Trial:
    """A run that is trained in spite of everything, and an uninterrupted one with the same seed."""

    def __init__(self, worker: Worker, folder: Path, seed: int) -> None:
        self.worker, self.folder, self.seed = worker, folder / f"run-{seed}", seed
        self.peaceful, self.said = folder / f"peaceful-{seed}", folder / "said.txt"

    def go_on(self, **more: float) -> int:
        """Begin or resume training, and return the number of the process."""
        begun = Run(self.folder).exists()
        arguments = ("train", "--resume", "--no-plots") if begun else (*TRAIN, "--seed", self.seed)
        return self.worker.start(*arguments, "--run-dir", self.folder, said=self.said, **more)

    def wait(self, draw: random.Random) -> None:
        """Wait for a random moment: one in four at any time, and the others after a first checkpoint."""
        if draw.random() < 0.25:
            time.sleep(draw.uniform(0.0, 2.0))
            return
        before, began = self._saves(), time.monotonic()
        while self._saves() == before and not self._over() and time.monotonic() - began < PATIENCE:
            time.sleep(0.01)
        time.sleep(draw.uniform(0.0, 0.7))

    def wait_until_begun(self, times: int) -> None:
        """Wait until training has compiled its steps this many times."""
        began = time.monotonic()
        while self._logged("compiled in") < times:
            assert time.monotonic() - began < PATIENCE, self.said.read_text()
            time.sleep(0.01)

    def _saves(self) -> int:
        return self._logged("wrote a checkpoint")

    def _logged(self, what: str) -> int:
        log = self.folder / runs.LOG
        return log.read_text().count(what) if log.exists() else 0

    def _over(self) -> bool:
        """Return whether training ended before anything could interrupt it."""
        return Run(self.folder).is_finished()

    def finish_and_compare(self) -> None:
        """Train to the end without interruption, and compare weights, optimizer and metrics with the other run."""
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
    """Send a signal to a process, which may just have ended."""
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
            code = worker.ended()
            assert code in {0, -signal.SIGKILL}, trial.said.read_text()
            if code:
                kills += 1
                while_writing += bool(list(trial.folder.glob(".*.part")))
            from_checkpoint += loads(Run(trial.folder))
        trial.finish_and_compare()
        seed += 1
    assert while_writing >= KILLS // 10, "too few kills came while something was written"
    assert from_checkpoint >= KILLS // 3, "too few kills came after a checkpoint"
    assert not caplog.records, "no damage, no falling back"


def loads(run: Run) -> bool:
    """Check that the files of a killed run can be read, and return whether there is a checkpoint."""
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
        interrupted += stopped_in_order(trial)
    assert interrupted >= SIGNALS // 8
    trial.finish_and_compare()


def stopped_in_order(trial: Trial) -> bool:
    """Check the files and messages of an interrupted training, and return False if it had not begun."""
    if "A checkpoint was saved" not in trial.said.read_text():
        return False
    run, log = Run(trial.folder), (trial.folder / runs.LOG).read_text().splitlines()
    assert f"tfp-vae train --resume --run-dir {trial.folder}" in trial.said.read_text()
    assert "training was interrupted, after a checkpoint" in log[-1]
    assert f"wrote a checkpoint of step {run.checkpoint().step} " in log[-2]
    assert (run.status().state, run.status().step) == ("interrupted", run.checkpoint().step)
    return True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_writes_a_checkpoint(number: int, code: int, worker: Worker, tmp_path: Path) -> None:
    """No other checkpoint is due, so each has the step of its signal, and the next training continues from it."""
    draw, trial, steps = random.Random(code), Trial(worker, tmp_path, 0), []
    for i in range(3):
        pid = trial.go_on(CHUNK_SECONDS=0.0, SAVE_SECONDS=1e9, pause=0.02)
        trial.wait_until_begun(i + 1)
        time.sleep(draw.uniform(0.2, 1.2))
        hit(pid, number)
        assert worker.ended() == code, trial.said.read_text()
        assert stopped_in_order(trial)
        steps.append(Run(trial.folder).checkpoint().step)
    assert 0 < steps[0] < steps[1] < steps[2] < EPOCHS * STEPS
    assert any(step % STEPS for step in steps), "all came at an epoch's end"
    begun = re.findall(r"from step (\d+) of", (trial.folder / runs.LOG).read_text())
    assert [int(step) for step in begun] == [0, *steps[:-1]]
    trial.finish_and_compare()


def test_a_second_signal_stops_at_once(worker: Worker, tmp_path: Path) -> None:
    trial = Trial(worker, tmp_path, 0)
    pid = trial.go_on(SAVE_SECONDS=0.0, SAVE_SHARE=1e9, slow=1.0)  # the rest of the save takes over 7 s
    began = time.monotonic()
    while not list(trial.folder.glob(f".{runs.METRICS}.*.part")):  # a slow save has begun
        assert time.monotonic() - began < PATIENCE, trial.said.read_text()
        time.sleep(0.01)
    began = time.monotonic()
    os.kill(pid, signal.SIGINT)
    time.sleep(0.2)
    os.kill(pid, signal.SIGINT)
    assert worker.ended() == 130
    assert time.monotonic() - began < 5.0
    assert "again to stop at once" in trial.said.read_text()
    assert trial.said.read_text().endswith(f"Resume with: tfp-vae train --resume --run-dir {trial.folder}\n")
    trial.finish_and_compare()


def wait_for(what: str, said: Path) -> None:
    began = time.monotonic()
    while not (said.exists() and what in said.read_text()):
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [0.2, 1.0, 2.0])
def test_a_signal_stops_a_compilation(delay: float, worker: Worker, tmp_path: Path) -> None:
    """XLA takes seconds to compile a chain of flows, in one or a few calls. There is nothing to save yet."""
    said, flows = tmp_path / "said.txt", "inverse-autoregressive-flow:depth=12"
    settings = ("--posterior", flows, "--objective", "monte-carlo-elbo", "--execution", "xla", "--no-plots")
    pid = worker.start("train", *settings, "--run-dir", tmp_path / "run", said=said)
    wait_for("compiling", said)
    time.sleep(delay)
    os.kill(pid, signal.SIGTERM)
    began = time.monotonic()
    assert worker.ended() == 143
    assert time.monotonic() - began < 10.0
    ending = f"Error: terminated. Resume with: tfp-vae train --resume --run-dir {tmp_path / 'run'}\n"
    assert said.read_text().endswith(ending)
    assert "wrote a checkpoint" not in (tmp_path / "run" / runs.LOG).read_text(), "it was stopped too late"
    assert Run(tmp_path / "run").status().state == "interrupted"


def test_a_divergent_setting_leaves_a_state_and_no_traceback(worker: Worker, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    code = worker.call(*TRAIN, "--optimizer", "sgd", "--learning-rate", 1e3, "--run-dir", tmp_path / "run", said=said)
    assert code == 5
    assert "Traceback" not in said.read_text()
    status = Run(tmp_path / "run").status()
    assert status.state == "failed"
    assert "diverged" in status.reason


LIMITED = """
import resource, signal, sys
from tfp_vae.cli.main import main
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:], prog_name="tfp-vae")
"""


@pytest.mark.parametrize("limit", [0, 1_000, 20_000])
def test_a_limit_on_the_size_of_files_ends_the_program_in_order(limit: int, tmp_path: Path) -> None:
    """The kernel limits file sizes: at 0 the config fails, at 1,000 a line, and at 20,000 the checkpoint."""
    command = [sys.executable, "-c", LIMITED, str(limit), *map(str, TRAIN), "--hidden", "64", "--run-dir", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 6, done.stderr
    assert "the file would exceed the size limit. Make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.part"))


@pytest.fixture(scope="module")
def original(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with an evaluation. Do not write to it."""
    folder = tmp_path_factory.mktemp("runs") / "original"
    assert worker.call(*TRAIN, "--run-dir", folder, said=folder.with_name("said")) == 0
    evaluate = ("evaluate", "--iw-samples", "1", "--max-examples", "3", "--no-plots", "--run", folder)
    assert worker.call(*evaluate, said=folder.with_name("said")) == 0
    return folder


class TestFullDisk:
    """The kernel refuses the n-th write, for every n: the exit code is 6, and every other file is unchanged."""

    ARGUMENTS = ("train", "--resume", "--epochs", EPOCHS + 1)
    LATER = (
        ("sample", "--n", "4"),
        ("evaluate", "--iw-samples", "2", "--max-examples", "4", "--per-example", "{}/each.npz"),
        ("sample", "--n", "4", "--out", "{}/x.npy"),
        ("sample", "--n", "4", "--out", "{}/x.npz"),
        ("sample", "--n", "4", "--out", "{}/x.png"),
    )

    def test_every_write_of_a_training(self, worker: Worker, original: Path, tmp_path: Path) -> None:
        """The run loads with its old or its new settings, and ends with the bits of a run on a disk with room."""
        said, extended = tmp_path / "said.txt", copied(original, tmp_path / "extended")
        assert worker.call(*self.ARGUMENTS, "--no-plots", "--run-dir", extended, said=said) == 0
        for refused in range(100):
            folder = copied(original, tmp_path / f"full-{refused}")
            if self.is_enough(worker, [*self.ARGUMENTS, "--no-plots", "--run-dir", folder], refused, folder, said):
                break
            assert_whole(Run(folder), {EPOCHS: Run(original), EPOCHS + 1: Run(extended)})
            if (Run(folder).config().training.epochs, Run(folder).is_whole()) != (EPOCHS + 1, True):
                assert worker.call(*self.ARGUMENTS, "--no-plots", "--run-dir", folder, said=said) == 0, said.read_text()
            assert Run(folder).status().state == "finished"
            assert_same_checkpoint(Run(folder).checkpoint(), Run(extended).checkpoint())
            assert without_seconds(Run(folder).metrics()) == without_seconds(Run(extended).metrics())
            assert Run(folder).read(runs.TRAINING)["epochs"] == EPOCHS + 1
        assert refused >= 8

    @pytest.mark.parametrize("arguments", LATER, ids=" ".join)
    def test_every_write_of_other_commands(
        self, arguments: tuple[str, ...], worker: Worker, original: Path, tmp_path: Path
    ) -> None:
        """No existing file changes, except for those that the command rewrites."""
        said, given = tmp_path / "said.txt", [argument.format(tmp_path) for argument in arguments]
        for refused in range(100):
            folder = copied(original, tmp_path / f"full-{refused}")
            if self.is_enough(worker, [*given, "--run", folder], refused, folder, said):
                break
            for path in filter(Path.is_file, original.rglob("*")):
                if given[0] != "evaluate" or path.name != runs.EVALUATION:
                    assert (folder / path.relative_to(original)).read_bytes() == path.read_bytes()
            assert Run(folder).read(runs.EVALUATION)["num_examples"] in ({3, 4} if given[0] == "evaluate" else {3})
        assert refused >= 1

    def test_every_frame_of_a_film(self, worker: Worker, tmp_path: Path) -> None:
        """This test ends at the first picture after training."""
        said, frames = tmp_path / "said.txt", 0
        for refused in range(100):
            folder = tmp_path / f"full-{refused}"
            given = [*TRAIN[:-1], "--epochs", 2, "--run-dir", folder]
            assert not self.is_enough(worker, given, refused, folder, said)
            frames += f"{folder}/{runs.FRAMES}/" in said.read_text()
            if f"{folder}/{runs.PLOTS}/" in said.read_text():
                break
            if Run(folder).exists() and not Run(folder).is_whole():  # unless only the last line was refused
                assert worker.call("train", "--resume", "--no-plots", "--run-dir", folder, said=said) == 0
                assert Run(folder).is_whole()
        assert frames == 3

    def is_enough(self, worker: Worker, arguments: list[object], refused: int, folder: Path, said: Path) -> bool:
        """Check that a command ends cleanly if a write is refused, and return whether it has no such write.

        Checkpoints are written only at the end, so the number of writes does not depend on the speed. An evaluation
        goes on if it cannot keep the examples that it finished.
        """
        code = worker.call(*arguments, said=said, refused=refused, SAVE_SECONDS=1e9)
        if code == 0:
            return "An interrupt would lose finished examples" not in said.read_text()
        assert code == 6, said.read_text()
        assert said.read_text().count("could not write") == 1
        assert "Traceback" not in said.read_text()
        assert not list(folder.rglob("*.part"))
        return False


def copied(folder: Path, copy: Path) -> Path:
    shutil.copytree(folder, copy)
    return copy


def assert_whole(run: Run, others: dict[int, Run]) -> None:
    """Check that checkpoint, metrics and results are those of a run of this many epochs."""
    checkpoint = run.checkpoint()
    epochs = len(checkpoint.history)
    assert_same_checkpoint(checkpoint, others[epochs].checkpoint())
    assert without_seconds(run.metrics())[:epochs] == without_seconds(others[epochs].metrics())
    for name, key in ((runs.TRAINING, "steps"), (runs.EVALUATION, "step")):
        if (run.folder / name).exists():
            assert run.read(name)[key] == checkpoint.step
    if epochs == min(others):
        assert (run.folder / runs.EVALUATION).exists()
        assert run.read(runs.TRAINING) == others[epochs].read(runs.TRAINING)
