"""A run: a folder with a config, checkpoints, metrics, results and pictures.

A `Run` holds the path of a folder and keeps no content in memory. Each question reads the files again and checks them.
Files are replaced whole, so any process may read while one process, which holds the lock, trains. Symbolic links
inside a run are refused, because a run from elsewhere could use them to reach files outside it.

```python
run = tv.runs.find(None, "runs")  # the newest finished run under ./runs
run.status().state, run.config().model.latent_dim  # ("finished", 2)
[line["validation_elbo"] for line in run.metrics()]  # nats per example, after each epoch
```
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np

from tfp_vae.core import files as storage
from tfp_vae.core.display import table
from tfp_vae.core.errors import DataError, DiskError, RunError, UsageError, cut
from tfp_vae.core.registry import RECORDED, check_keywords
from tfp_vae.runs.config import Change, RunConfig, TrainingConfig
from tfp_vae.runs.folder import checkpoint as checkpoints
from tfp_vae.runs.folder import epochs as epoch_lines
from tfp_vae.runs.folder.checkpoint import BEST, FINAL, Checkpoint
from tfp_vae.runs.folder.files import LOCK, OTHER_VERSION, RESTORE, Files, LogFile, read_errors
from tfp_vae.runs.folder.lock import in_use
from tfp_vae.runs.folder.records import (
    AnomalyEvaluation,
    Calibration,
    Environment,
    Evaluation,
    State,
    Status,
    TrainingResult,
    is_fuller,
)
from tfp_vae.runs.folder.unfinished import UNFINISHED, Unfinished
from tfp_vae.training.history import Epoch
from tfp_vae.training.state import Shapes
from tfp_vae.training.stopping import Stop, early_stop

__all__ = ["Run", "all_runs", "find", "finished_runs"]

CONFIG, STATE, METRICS, LOG = "config.json", "state.json", "metrics.jsonl", "train.log"
CHECKPOINT, PREVIOUS = "checkpoint.npz", "checkpoint-previous.npz"
TRAINING, EVALUATION, ENVIRONMENT = "training.json", "evaluation.json", "environment.json"
PARTIAL = "evaluation-partial.json"
CALIBRATION, ANOMALIES = "calibration.json", "anomalies.json"
DATA = "data.npz"
PLOTS, FRAMES, EVENTS = "plots", "frames", "tensorboard"
FRAME_NAME = re.compile(r"epoch-(\d{7})\.npz")

TRAINING_FILES = (CONFIG, STATE, METRICS, CHECKPOINT, PREVIOUS, TRAINING, ENVIRONMENT)
"""Files that only the training process writes."""

LARGEST_METRICS = 1 << 30
"""Largest file of metrics that is read, in bytes."""

REWRITE = "`resume=True` rewrites it from the checkpoint."
"""The remedy for a damaged file that the checkpoint can replace."""

logger = logging.getLogger("tfp_vae")


@final
@check_keywords
class Run:
    """A run in a folder. Reading verifies each file, and writing replaces whole files.

    Methods that read raise RunError if a file is missing, damaged or from another run. Methods that write raise
    DiskError if the file system refuses the write.

    Args:
      folder: the run's folder. It need not exist yet, and the constructor neither reads nor creates it.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.files = Files(self.folder)
        self._newest_is_sound = False
        self._warned = set[str]()

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        try:
            config, lines = self.config(), self.metrics()
            model, training = config.model, config.training
            rows = [
                ("state", self.status().state),
                ("data", config.data.dataset),
                ("q(z|x), p(z), p(x|z)", f"{model.posterior}, {model.prior}, {model.likelihood}"),
                ("latent dimension", model.latent_dim),
                ("epochs", f"{len(lines):,} of {training.epochs:,}"),
                ("validation ELBO, nats", lines[-1]["validation_elbo"] if lines else None),
            ]
            return table(repr(self), rows)
        except (RunError, OSError) as error:  # because a notebook should show an object in any state
            return table(repr(self), [("damaged", error)])

    @classmethod
    def create(cls, folder: str | os.PathLike[str], config: RunConfig) -> Run:
        """Create the folder of a new run and write its config.

        Args:
          folder: a new or empty folder.
          config: the config, for example from `recipe.plan`.

        Raises:
          RunError: the folder holds a run or other files.
          DiskError: the folder or the config could not be written.
        """
        cls.refuse_existing(folder)
        run = cls(folder)
        storage.make_folder(run.folder)
        with run.claim():
            cls.refuse_existing(folder)  # again, because another process may have created a run before the lock
            run.write(CONFIG, config.model_dump(mode="json"))
            run.files.make_folder(PLOTS)
        return run

    @classmethod
    def refuse_existing(cls, folder: str | os.PathLike[str]) -> None:
        """Raise RunError if the folder holds a run, the remains of one, or any other file that is not hidden."""
        folder = Path(folder)
        if cls(folder).exists():
            raise RunError(
                f"{folder}: this folder already holds a run. Choose another folder, or continue the run with `resume`."
            )
        with read_errors(folder):
            left = [name for name in (CHECKPOINT, PREVIOUS, TRAINING, METRICS, STATE) if (folder / name).exists()]
        if left:
            raise RunError(
                subject=str(folder),
                expected="a folder without a run",
                found=f"{left[0]} of a run whose {CONFIG} is gone",
                remedy=f"Restore {CONFIG}, or choose another folder.",
            )
        with read_errors(folder):
            names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        visible = [name for name in names if not name.startswith(".")]
        if visible:
            raise RunError(
                subject=str(folder),
                expected="a new or empty folder",
                found=visible[0],
                remedy="Choose another `run_dir`.",
            )

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Return the run in a folder.

        Raises:
          RunError: the folder does not exist, or it has no config.
        """
        folder = Path(folder)
        with read_errors(folder):
            run = cls(folder)
            if run.exists():
                run.files.hold()
                return run
            found = f"no {CONFIG}" if folder.is_dir() else "none"
            expected = "a run" if folder.is_dir() else "a run's folder"
            places = (folder, folder.absolute().parent)
            place = next((place for place in places if place.is_dir() and all_runs(place)), None)
        hint = "`all_runs('runs')` lists the runs in a folder."
        if place is not None:
            hint = f"`all_runs({str(place)!r})` lists the runs that are there."
        raise RunError(subject=str(folder), expected=expected, found=found, remedy=hint)

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Lock the run for the block, and delete partial files of killed processes.

        The same object may claim the run again within the block, which has no effect.

        Raises:
          RunError: another process holds the lock.
        """
        with self.files.claim(TRAINING_FILES):
            yield

    def path(self, name: str) -> Path:
        """Return the path of a file in the run.

        Raises:
          RunError: the file, or a folder between it and the run's folder, is a symbolic link.
        """
        return self.files.path(name)

    def exists(self) -> bool:
        """Return whether the folder has a config, and so holds a run."""
        with read_errors(self.folder):
            return (self.folder / CONFIG).exists()

    def is_finished(self) -> bool:
        """Return whether training ended, and no epochs were added since.

        This reads no checkpoint, so it is fast. `is_whole` also checks the files. A damaged state or config does not
        count as added epochs, because the methods that read them report the damage.
        """
        if not (self.folder / TRAINING).is_file():
            return False
        try:
            recorded = self._recorded_status()
            extended = recorded.state != "finished" and 0 < recorded.epochs < self.config().training.epochs
        except RunError:
            return True
        return not extended

    def status(self) -> Status:
        """Return the run's status.

        Only the lock decides whether the run is `running`. If the recorded state is `running` but the lock is free, the
        process was killed, and the run is `interrupted`.

        Raises:
          RunError: the state is damaged, or the result of a finished run is missing or damaged.
        """
        recorded = self._recorded_status()
        if in_use(self.folder / LOCK):
            return recorded.model_copy(update={"state": "running"})
        if self.is_finished():
            self.training_result()
            return recorded.model_copy(update={"state": "finished"})
        if recorded.state == "finished":
            raise RunError(
                subject=str(self.folder / TRAINING),
                expected="the result of a finished run",
                found="none",
                remedy="`resume=True` rewrites it.",
            )
        return recorded.model_copy(update={"state": "interrupted"}) if recorded.state == "running" else recorded

    def _recorded_status(self) -> Status:
        """Return the status in the file, or the default status if training has not begun."""
        return self.files.read_record(STATE, Status, "Delete the file.") or Status()

    def mark(self, state: State, *, reason: str = "", step: int | None = None, epochs: int | None = None) -> None:
        """Write the run's state. The step and the epochs stay as they are if they are None.

        Args:
          state: the new state.
          reason: the error's message if the run failed.
          step: the step of the last checkpoint.
          epochs: the number of epochs finished at the last checkpoint.
        """
        old = Status() if step is not None and epochs is not None else self._recorded_status()
        status = Status(
            state=state,
            reason=reason,
            step=old.step if step is None else step,
            epochs=old.epochs if epochs is None else epochs,
        )
        self.write(STATE, status.model_dump())

    @contextmanager
    def log(self) -> Iterator[None]:
        """Write the library's messages of level INFO and above to the run's log file for the block.

        Each line has the time and the process, because several processes may train a run in turn. Training continues
        if the log cannot be written.
        """
        handler = LogFile(self.files, LOG)
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.setLevel(level)
            logger.removeHandler(handler)
            handler.close()

    def config(self) -> RunConfig:
        """Return the run's config.

        Raises:
          RunError: the config is missing, damaged, invalid or of another version.
        """
        value = self.read(CONFIG)
        known, found = RunConfig.model_fields["version"].default, value.get("version")
        if repr(found) != repr(known):  # True is equal to 1
            raise RunError(
                subject=str(self.folder / CONFIG),
                expected=f"version {known}",
                found=cut(repr(found)),
                remedy=OTHER_VERSION,
            )
        try:
            config = RunConfig.model_validate(value, context=RECORDED)
        except UsageError as error:
            problem = str(error).removesuffix(".")
            raise RunError(f"{self.folder / CONFIG}: this version cannot read the config ({problem}).") from error
        if not config.data.stored:
            return config
        stored = {"dataset": str(self.path(DATA).resolve())}  # because the run may have been moved
        return config.model_copy(update={"data": config.data.model_copy(update=stored)})

    def extend(
        self, epochs: int | None = None, early_stopping: int | None = None, learning_rate: float | None = None
    ) -> list[Change]:
        """Change how training continues. A finished run is unfinished again if this leaves epochs to train.

        These settings affect no number before the run's last checkpoint, so the run keeps its identity. The config and
        the log record what changed and from which epoch on.

        Args:
          epochs: the total number of epochs, or None to keep it.
          early_stopping: the patience of `stopping.early_stop` in epochs, 0 to never stop, or None to keep it.
          learning_rate: the peak learning rate of the steps that follow, or None to keep it.

        Returns:
          The settings with a new value.

        Raises:
          UsageError: a value is beyond its limits, fewer epochs than are done, or training would stop early at once, or
            the new learning rate has no epoch left.
        """
        given = {"epochs": epochs, "early_stopping": early_stopping, "learning_rate": learning_rate}
        with self.claim(), self.log():
            old = self.config()
            config = self._with_training(old, {name: value for name, value in given.items() if value is not None})
            values = {name: getattr(config.training, name) for name in given}
            new = {name: value for name, value in values.items() if value != getattr(old.training, name)}
            last = self.checkpoint() if self.has_checkpoint() else None
            history, begun = (last.history, bool(last.epoch_sums[0])) if last is not None else ((), False)
            done, total = len(history), config.training.epochs
            if total == done and learning_rate is not None:
                raise UsageError(f"{self.folder}: all {total} epochs are done. Raise the total with `epochs`.")
            if total < done + begun:
                raise UsageError(
                    f"{self.folder}: {done} epochs are done already{', and another has begun' if begun else ''}. "
                    f"`epochs` is the total, expected more than {done}, found {total}."
                )
            ended = None if begun else early_stop([Epoch(**line) for line in history], config.training.early_stopping)
            if total > done and ended is not None:
                raise UsageError(f"{self.folder}: {ended}. {ended.remedy()}.")
            if last is not None and total > done:  # before the config changes, so that the run never looks finished
                self.mark("interrupted", step=last.step, epochs=done)
            step = last.step if last is not None else 0
            changes = old.training.changes(new, epoch=done + 1, step=step)
            recorded = config.model_copy(update={"changes": (*old.changes, *changes)})
            self.write(CONFIG, recorded.model_dump(mode="json"))
            for change in changes:
                logger.info("changed on resuming: %s", change)
            return changes

    @staticmethod
    def _with_training(config: RunConfig, new: Mapping[str, float | None]) -> RunConfig:
        """Return a config with other settings of training, after a check."""
        values = config.model_dump(mode="json")
        values["training"] |= new
        TrainingConfig.model_validate(values["training"], context=RECORDED)  # names a wrong setting as the caller does
        return RunConfig.model_validate(values, context=RECORDED)

    def early_end(self) -> Stop | None:
        """Return where training stopped early, or None if it did not.

        Raises:
          RunError: the metrics are missing or damaged.
        """
        training = self.config().training
        ended = early_stop([Epoch(**line) for line in self.metrics()], training.early_stopping)
        return ended if ended is not None and ended.epoch < training.epochs else None

    def is_whole(self) -> bool:
        """Return whether the run is finished and its metrics, result and last checkpoint are sound.

        This reads the whole checkpoint, so it takes as long as restoring the model.
        """
        try:
            self.metrics()
            status = self.status()
            return status.state == "finished" and self.checkpoint().step >= (status.step or 0)
        except RunError:
            return False

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file of the run, and verify its checksum.

        Raises:
          RunError: the file is missing, too large, changed, or not a JSON object.
        """
        return self.files.read(name)

    def training_result(self) -> TrainingResult | None:
        """Return the result of the finished training, or None if there is none."""
        return self.files.read_record(TRAINING, TrainingResult, "Delete the file, and `resume=True` writes it again.")

    def evaluation(self) -> Evaluation | None:
        """Return the fullest evaluation of the run, or None if it was not evaluated."""
        return self.files.read_record(EVALUATION, Evaluation, "Evaluate the run again.")

    def anomaly_evaluation(self) -> AnomalyEvaluation | None:
        """Return the last evaluation against labels of anomalies, or None if there is none."""
        return self.files.read_record(ANOMALIES, AnomalyEvaluation, "Delete the file, or evaluate the run again.")

    def calibration(self) -> Calibration | None:
        """Return the anomaly scores of held-out rows, or None if there are none."""
        return self.files.read_record(CALIBRATION, Calibration, "Delete the file, because it can be made again.")

    def write_calibration(self, calibration: Calibration) -> None:
        """Write the anomaly scores of held-out rows.

        Raises:
          DiskError: the write failed. The old file is unchanged.
        """
        self.write(CALIBRATION, calibration.model_dump())

    def environment(self) -> Environment | None:
        """Return the versions and devices of the last training, or None if the file is gone."""
        return self.files.read_record(ENVIRONMENT, Environment, "Delete the file, because training can do without it.")

    def _read_or_empty(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file, or an empty one if the file is missing or damaged."""
        try:
            return self.read(name) if self.files.has(name) else {}
        except RunError:
            return {}

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON object and its checksum to a file of the run.

        Raises:
          DiskError: the write failed. The old file is unchanged.
        """
        self.files.write(name, value)

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write arrays to an `.npz` file of the run."""
        self.files.write_bytes(name, storage.arrays_bytes(arrays))

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the newest checkpoint, then delete the results of older weights.

        The last checkpoint becomes the previous one if this object has read or written it, because only then is it
        known to be sound. Otherwise the previous checkpoint is kept. An evaluation of the best weights is kept until
        other weights are the best.

        Args:
          checkpoint: a checkpoint of a later step than the last.
        """
        previous = PREVIOUS if self._newest_is_sound else ""
        content = storage.arrays_bytes(checkpoint.to_arrays())
        self.files.write_bytes(CHECKPOINT, content, previous=previous)
        self._newest_is_sound = True
        for name in (TRAINING, EVALUATION, PARTIAL, CALIBRATION, ANOMALIES):
            result = self._read_or_empty(name)
            best = checkpoint.best if name != TRAINING and result.get("weights") == BEST else None
            newest = checkpoint.step if best is None else best.step
            step = result.get("step", result.get("steps", 0))
            if result and not (isinstance(step, int) and step >= newest):
                self.files.remove(name)
        shutil.rmtree(self.files.own(UNFINISHED), ignore_errors=True)

    def unfinished(self, identity: Mapping[str, object]) -> Unfinished:
        """Return the finished parts of an interrupted evaluation, or a new place for them.

        Args:
          identity: everything that decides the numbers of the evaluation.
        """
        return Unfinished(self.files, identity)

    def write_evaluation(self, result: Mapping[str, Any]) -> str:
        """Write the result of an evaluation, and return the name of its file.

        The file is `evaluation.json`. If that holds a fuller evaluation of the same weights and split, the file is
        `evaluation-partial.json`. See `is_fuller`.

        Raises:
          RunError: the final or the best weights were evaluated, but the run has newer ones now.
        """
        checkpoint = self.checkpoint()  # the newest sound one, because a damaged one was not evaluated
        best = 0 if checkpoint.best is None else checkpoint.best.step
        now = checkpoint.step if result["weights"] == FINAL else best
        if result["step"] < now:
            raise RunError(
                f"{self.folder}: the evaluation was not written, because the run was trained on from step "
                f"{result['step']:,} to step {now:,}. Evaluate it again."
            )
        try:
            kept = self.evaluation()
        except RunError:  # a damaged evaluation is replaced
            kept = None
        name = PARTIAL if kept is not None and is_fuller(kept.content(), result) else EVALUATION
        self.write(name, result)
        return name

    def has_checkpoint(self) -> bool:
        """Return whether the run has a checkpoint. A run that stopped before its first save has none.

        Raises:
          RunError: training wrote a checkpoint, but the file is gone.
        """
        there = self.files.has(CHECKPOINT) or self.files.has(PREVIOUS)
        if not there and (self._recorded_status().step or self.is_finished()):
            raise RunError(subject=str(self.folder / CHECKPOINT), expected="a checkpoint", found="none", remedy=RESTORE)
        return there

    def checkpoint(self, expected: Shapes | None = None) -> Checkpoint:
        """Return the newest sound checkpoint of the run.

        If the last checkpoint is missing or damaged, this returns the previous one and prints a warning, once per
        object.

        Args:
          expected: the expected shapes, see `checkpoint.read`.

        Raises:
          RunError: there is no sound checkpoint.
        """
        self._newest_is_sound = False
        try:
            found = self._read_checkpoint(self.path(CHECKPOINT), expected)
        except RunError as problem:
            try:
                if not self.files.has(PREVIOUS):
                    raise problem
                found = self._read_checkpoint(self.path(PREVIOUS), expected)
            except RunError as error:
                raise RunError(error.problem, remedy=error.remedy or RESTORE) from error
            message = f"{problem.problem} Using the checkpoint before it, of step {found.step}."
            logger.log(logging.INFO if message in self._warned else logging.WARNING, message)
            self._warned.add(message)
            return found
        self._newest_is_sound = True
        return found

    def _read_checkpoint(self, path: Path, expected: Shapes | None) -> Checkpoint:
        """Return the checkpoint in a file. Only the error for another format has a remedy."""
        if not path.is_file():
            raise RunError(subject=str(path), expected="a checkpoint", found="none")
        try:
            found = checkpoints.read(path, expected)
        except DataError as error:
            raise RunError(error.problem) from error
        if found.run != self.config().identity():
            raise RunError(
                subject=str(path), expected="a checkpoint of this run's config", found="a checkpoint of another run"
            )
        return found

    def write_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write the metrics, one line for each epoch."""
        self.files.write_bytes(METRICS, epoch_lines.text(lines).encode())

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics of the epochs so far.

        Returns:
          One record per epoch with the keys epoch, step, elbo, distortion, rate, validation_elbo,
            validation_distortion, validation_rate, validation_bound, learning_rate and seconds. Bounds are in nats per
            example.

        Raises:
          RunError: the file is damaged, or it has fewer epochs than the run's state.
        """
        path, expected = self.folder / METRICS, "a line of metrics for each epoch"
        try:
            there = self.files.has(METRICS)
            lines = epoch_lines.parse(self.files.read_bytes(METRICS, LARGEST_METRICS).decode()) if there else []
        except (ValueError, RecursionError) as error:
            raise RunError(subject=str(path), expected=expected, found=f"damage ({error})", remedy=REWRITE) from error
        epochs = self._recorded_status().epochs
        if len(lines) < epochs:
            raise RunError(
                subject=str(path), expected=f"{expected}, {epochs} in all", found=str(len(lines)), remedy=REWRITE
            )
        return lines

    def frame_path(self, epoch: int) -> Path:
        """Return the path of the frame of an epoch, see `frames.Film`."""
        return self.path(f"{FRAMES}/epoch-{epoch:07d}.npz")

    def frame_paths(self) -> dict[int, Path]:
        """Return the paths of the existing frames by epoch, in order."""
        folder = self.path(FRAMES)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return {
            int(match[1]): self.path(f"{FRAMES}/{match[0]}") for match in filter(None, map(FRAME_NAME.fullmatch, names))
        }

    def discard(self) -> None:
        """Delete a run that has no checkpoint, so that its folder can hold another run. Your own files stay.

        Nothing is deleted if another process uses the run, or if another folder has taken its name.
        """
        with contextlib.suppress(OSError, RunError, DiskError), self.claim():  # files that cannot be deleted stay
            self.files.own()
            if self.has_checkpoint():
                return
            for name in (PLOTS, FRAMES, EVENTS, UNFINISHED):
                shutil.rmtree(self.files.own(name), ignore_errors=True)
            for name in (LOG, DATA, *reversed(TRAINING_FILES), LOCK):  # the config last, because it makes the run
                self.files.remove(name)
            self.folder.rmdir()

    def discard_frames(self, after: int) -> None:
        """Delete the frames of later epochs, because training continues after this epoch."""
        for epoch, path in self.frame_paths().items():
            if epoch > after:
                self.files.remove(f"{FRAMES}/{path.name}")

    def check_writable(self, folders: Iterable[str], remedy: str) -> None:
        """Check that files can be written to folders of the run, before any long work.

        Args:
          folders: names of folders in the run, for example `plots`. An empty name is the run's own folder.
          remedy: the action to take if a folder is not writable, see `files.check_writable`.

        Raises:
          DiskError: a folder is not writable.
          RunError: a folder is a symbolic link.
        """
        for name in folders:
            storage.check_writable(self.files.own(name), remedy)

    def write_plot(self, name: str, content: bytes, suffix: str = ".png") -> Path:
        """Write a picture of the run into its folder of pictures, which is made if need be, and return its path."""
        self.files.make_folder(PLOTS)
        self.files.write_bytes(f"{PLOTS}/{name}{suffix}", content)
        return self.path(f"{PLOTS}/{name}{suffix}")


def new_folder(runs_dir: Path, dataset: str) -> Path:
    """Create and return the folder `<dataset>-<date>-<time>`, with a number at the end if that name is taken.

    Characters of the dataset that are not safe in a path become hyphens. Two processes never get the same folder.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(dataset).stem or "data")
    name = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    storage.make_folder(runs_dir)
    for i in itertools.count():
        folder = runs_dir / (f"{name}-{i}" if i else name)
        with storage.disk_errors(folder), contextlib.suppress(FileExistsError):
            folder.mkdir()
            break
    return folder


@check_keywords
def all_runs(runs_dir: str | os.PathLike[str]) -> list[Run]:
    """Return the runs in a folder by the time their config was written, oldest first.

    Unfinished and damaged runs are included, because any folder with a config is a run.
    """
    runs_dir = Path(runs_dir)
    with read_errors(runs_dir):
        folders = [path for path in runs_dir.iterdir() if path.is_dir()] if runs_dir.is_dir() else []
    runs = [run for run in map(Run, folders) if run.exists()]
    return sorted(runs, key=lambda run: (run.folder / CONFIG).stat().st_mtime_ns)


@check_keywords
def finished_runs(runs_dir: str | os.PathLike[str]) -> list[Run]:
    """Return the finished runs in a folder by the time their training ended, oldest first.

    Runs with epochs that were added later and are not trained yet are left out.
    """
    runs = [run for run in all_runs(runs_dir) if run.is_finished()]
    return sorted(runs, key=lambda run: (run.folder / TRAINING).stat().st_mtime_ns)


@check_keywords
def find(run: str | None, runs_dir: str) -> Run:
    """Return the run in a folder, or the newest finished run if no folder is given.

    Args:
      run: the path of a run's folder, or None.
      runs_dir: the folder in which to look for runs if `run` is None.

    Raises:
      RunError: the folder holds no run, or `runs_dir` has no finished run.
    """
    if run:
        return Run.open(run)
    finished = finished_runs(runs_dir)
    if not finished:
        here = finished_runs(Path())
        which = f"such as {str(here[-1].folder)!r}" if here else "the folder of a training"
        raise RunError(
            f"expected a finished run under {runs_dir}, found none. Make one with `train`, or name one with `run`, "
            f"{which}."
        )
    finished[-1].files.hold()
    return finished[-1]
