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
import json
import logging
import operator
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, final

import pydantic

from tfp_vae.core import files as storage
from tfp_vae.core.display import table
from tfp_vae.core.errors import DataError, RunError, UsageError, first_problem, settings_error
from tfp_vae.core.registry import RECORDED
from tfp_vae.runs import checkpoint as checkpoints
from tfp_vae.runs import lock as locks
from tfp_vae.runs import metrics
from tfp_vae.runs.checkpoint import BEST, FINAL, Checkpoint, Shapes
from tfp_vae.runs.config import RunConfig
from tfp_vae.training.history import Epoch
from tfp_vae.training.stopping import Stop, early_stop

__all__ = ["Checkpoint", "Run", "State", "Status", "all_runs", "find", "finished_runs", "which_evaluation"]

CONFIG, STATE, METRICS, LOCK, LOG = "config.json", "state.json", "metrics.jsonl", ".lock", "train.log"
CHECKPOINT, PREVIOUS = "checkpoint.npz", "checkpoint-previous.npz"
TRAINING, EVALUATION, ENVIRONMENT = "training.json", "evaluation.json", "environment.json"
PARTIAL = "evaluation-partial.json"
DATA = "data.npz"
PLOTS, FRAMES, EVENTS = "plots", "frames", "tensorboard"
FRAME_NAME = re.compile(r"epoch-(\d{7})\.npz")

TRAINING_FILES = (CONFIG, STATE, METRICS, CHECKPOINT, PREVIOUS, TRAINING, ENVIRONMENT)
"""Files that only the training process writes."""

LARGEST_JSON = 1 << 24
"""Largest JSON file that is read, in bytes."""

LARGEST_METRICS = 1 << 30
"""Largest file of metrics that is read, in bytes."""

RESTORE = "Restore it from a copy, or train again."
REWRITE = "`resume=True` rewrites it from the checkpoint."
"""Remedies for damaged files."""

State = Literal["running", "finished", "interrupted", "failed"]

logger = logging.getLogger("tfp_vae")


@final
class Status(pydantic.BaseModel):
    """The state of a run and its progress at the last checkpoint.

    state: `running`, `finished`, `interrupted` or `failed`.
    reason: the error's message if the run failed, else empty.
    step: the step of the last checkpoint.
    epochs: the number of epochs finished at the last checkpoint.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    state: State = "interrupted"
    reason: str = ""
    step: pydantic.NonNegativeInt = 0
    epochs: pydantic.NonNegativeInt = 0


@final
class Run:
    """A run in a folder. Reading verifies each file, and writing replaces whole files.

    Methods that read raise RunError if a file is missing, damaged or from another run. Methods that write raise
    DiskError if the file system refuses the write.

    Args:
      folder: the run's folder. It need not exist yet, and the constructor neither reads nor creates it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._claims = 0
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
    def create(cls, folder: Path, config: RunConfig) -> Run:
        """Create the folder of a new run and write its config.

        Args:
          folder: a new or empty folder.
          config: the config, for example from `recipe.plan`.

        Raises:
          RunError: the folder holds a run or other files.
          DiskError: the folder or the config could not be written.
        """
        cls.refuse_existing(folder)
        storage.make_folder(folder)
        run = cls(folder)
        with run.claim():
            cls.refuse_existing(folder)  # again, because another process may have created a run before the lock
            run.write(CONFIG, config.model_dump(mode="json"))
            storage.make_folder(run.path(PLOTS))
        return run

    @classmethod
    def refuse_existing(cls, folder: Path) -> None:
        """Raise RunError if the folder holds a run, the remains of one, or any other file that is not hidden."""
        if cls(folder).exists():
            raise RunError(
                f"{folder}: this folder already holds a run. Choose another folder, or continue the run with `resume`."
            )
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
    def open(cls, folder: Path) -> Run:
        """Return the run in a folder.

        Raises:
          RunError: the folder does not exist, or it has no config.
        """
        with read_errors(folder):
            if cls(folder).exists():
                return cls(folder)
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
        if self._claims:
            yield
            return
        with locks.lock(self.path(LOCK), str(self.folder)):
            self._claims += 1
            try:
                for name in TRAINING_FILES:
                    storage.remove_partial_files(self.path(name))
                yield
            finally:
                self._claims -= 1

    def path(self, name: str) -> Path:
        """Return the path of a file in the run.

        Raises:
          RunError: the file, or a folder between it and the run's folder, is a symbolic link.
        """
        path = self.folder / name
        for part in (path, *path.parents[: len(Path(name).parts) - 1]):
            if part.is_symlink():
                raise RunError(
                    subject=str(part),
                    expected="a file or folder of the run",
                    found="a symbolic link",
                    remedy="Replace the link with the file or folder itself.",
                )
        return path

    def exists(self) -> bool:
        """Return whether the folder has a config, and so holds a run."""
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
        if locks.in_use(self.folder / LOCK):
            return recorded.model_copy(update={"state": "running"})
        if self.is_finished():
            self.read(TRAINING)
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
        if not self._has(STATE):
            return Status()
        try:
            return Status.model_validate(self.read(STATE))
        except pydantic.ValidationError as error:
            raise RunError(
                f"{self.folder / STATE}: this is not a valid state ({first_problem(error)}). Delete the file."
            ) from error

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
        handler = LogFile(self.path(LOG), encoding="utf-8", delay=True)
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
                found=repr(found),
                remedy="Open the run with the tfp_vae that wrote it, or train again.",
            )
        try:
            config = RunConfig.model_validate(value, context=RECORDED)
        except (pydantic.ValidationError, UsageError) as error:
            problem = first_problem(error) if isinstance(error, pydantic.ValidationError) else str(error).rstrip(".")
            raise RunError(f"{self.folder / CONFIG}: this version cannot read the config ({problem}).") from error
        if not config.data.stored:
            return config
        stored = {"dataset": str(self.path(DATA).resolve())}  # because the run may have been moved
        return config.model_copy(update={"data": config.data.model_copy(update=stored)})

    def extend(self, epochs: int | None = None, early_stopping: int | None = None) -> None:
        """Change when training ends. A finished run is unfinished again if this leaves epochs to train.

        Epochs and patience affect when training ends, but no number before that. So the run keeps its identity.

        Args:
          epochs: the total number of epochs, or None to keep it.
          early_stopping: the patience of `stopping.early_stop` in epochs, or None to keep it.

        Raises:
          UsageError: fewer epochs than are done, or training would stop early at once.
        """
        given = {name: value for name, value in (("epochs", epochs), ("early_stopping", early_stopping)) if value}
        with self.claim():
            config = self.config()
            config = config.model_copy(update={"training": config.training.model_copy(update=given)})
            try:  # because a copy is not validated
                RunConfig.model_validate(config.model_dump(mode="json"), context=RECORDED)
            except pydantic.ValidationError as error:
                raise settings_error(str(self.folder), error) from error
            last = self.checkpoint() if self.has_checkpoint() else None
            history, begun = (last.history, bool(last.epoch_sums[0])) if last is not None else ((), False)
            done, total = len(history), config.training.epochs
            if total < done + begun:
                raise UsageError(
                    f"{self.folder}: {done} epochs are done already{', and another has begun' if begun else ''}. "
                    f"`epochs` is the total, expected at least {done + begun}, found {total}."
                )
            ended = None if begun else early_stop([Epoch(**line) for line in history], config.training.early_stopping)
            if total > done and ended is not None:
                raise UsageError(f"{self.folder}: {ended}. {ended.remedy()}.")
            if last is not None and total > done:  # before the config changes, so that the run never looks finished
                self.mark("interrupted", step=last.step, epochs=done)
            self.write(CONFIG, config.model_dump(mode="json"))

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
        path = self.folder / name
        try:
            value = json.loads(self._read_bytes(name, LARGEST_JSON))
        except (ValueError, RecursionError) as error:
            raise RunError(subject=str(path), expected="JSON", found=f"damage ({error})", remedy=RESTORE) from error
        if not isinstance(value, dict):
            raise RunError(subject=str(path), expected="a JSON object", found=type(value).__name__, remedy=RESTORE)
        try:
            return storage.unseal(value)
        except ValueError as error:
            raise RunError(f"{path}: the file was changed or damaged ({error}). {RESTORE}") from error

    def _read_or_empty(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file, or an empty one if the file is missing or damaged."""
        try:
            return self.read(name) if self._has(name) else {}
        except RunError:
            return {}

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON object and its checksum to a file of the run.

        Raises:
          DiskError: the write failed. The old file is unchanged.
        """
        storage.write_json(self.path(name), storage.seal(value))

    def _has(self, name: str) -> bool:
        with read_errors(self.folder):
            return self.path(name).exists()

    def _read_bytes(self, name: str, most: int) -> bytes:
        """Return the content of a file of the run, unless it is larger than `most` bytes or not a regular file."""
        path = self.path(name)
        try:
            status = path.stat()
            regular = stat.S_ISREG(status.st_mode)
            if not regular or status.st_size > most:
                raise RunError(
                    subject=str(path),
                    expected=f"a file of at most {most:,} bytes",
                    found=f"{status.st_size:,} bytes" if regular else "a pipe, a device or a folder",
                    remedy=RESTORE,
                )
            return path.read_bytes()
        except OSError as error:
            raise RunError(f"{path}: could not be read ({error.strerror}). {RESTORE}") from error

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the newest checkpoint, then delete the results of older weights.

        The last checkpoint becomes the previous one if this object has read or written it, because only then is it
        known to be sound. Otherwise the previous checkpoint is kept. An evaluation of the best weights is kept until
        other weights are the best.

        Args:
          checkpoint: a checkpoint of a later step than the last.
        """
        previous = self.path(PREVIOUS) if self._newest_is_sound else None
        checkpoints.write(self.path(CHECKPOINT), checkpoint, previous=previous)
        self._newest_is_sound = True
        for name in (TRAINING, EVALUATION, PARTIAL):
            result = self._read_or_empty(name)
            best = checkpoint.best if result.get("weights") == BEST else None
            newest = checkpoint.step if best is None else best.step
            step = result.get("step", result.get("steps", 0))
            if result and not (isinstance(step, int) and step >= newest):
                with storage.disk_errors(self.path(name)):
                    self.path(name).unlink(missing_ok=True)

    def write_evaluation(self, result: Mapping[str, Any]) -> str:
        """Write the result of an evaluation, and return the name of its file.

        The file is `evaluation.json`. If that holds a fuller evaluation of the same weights and split, the file is
        `evaluation-partial.json`. See `is_fuller`.

        Raises:
          RunError: the final weights were evaluated, but the run has newer ones now.
        """
        now = self._recorded_status().step
        if result["weights"] == FINAL and result["step"] < now:
            raise RunError(
                f"{self.folder}: the evaluation was not written, because the run was trained on from step "
                f"{result['step']:,} to step {now:,}. Evaluate it again."
            )
        name = PARTIAL if is_fuller(self._read_or_empty(EVALUATION), result) else EVALUATION
        self.write(name, result)
        return name

    def has_checkpoint(self) -> bool:
        """Return whether the run has a checkpoint. A run that stopped before its first save has none.

        Raises:
          RunError: training wrote a checkpoint, but the file is gone.
        """
        there = self._has(CHECKPOINT) or self._has(PREVIOUS)
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
                if not self._has(PREVIOUS):
                    raise problem
                found = self._read_checkpoint(self.path(PREVIOUS), expected)
            except RunError as error:
                raise RunError(f"{error} {RESTORE}") from error
            message = f"{problem} Using the checkpoint before it, of step {found.step}."
            logger.log(logging.INFO if message in self._warned else logging.WARNING, message)
            self._warned.add(message)
            return found
        self._newest_is_sound = True
        return found

    def _read_checkpoint(self, path: Path, expected: Shapes | None) -> Checkpoint:
        """Return the checkpoint in a file. Errors state the problem without a remedy."""
        if not path.is_file():
            raise RunError(subject=str(path), expected="a checkpoint", found="none")
        try:
            found = checkpoints.read(path, expected)
        except DataError as error:
            problem = str(error).replace(f"{path}: ", "").replace(f"{path}, ", "")
            problem = re.split(r"[.;] ", problem)[0].rstrip(".")  # because the remedies for files of data do not apply
            raise RunError(f"{path}: the checkpoint is damaged or of another kind ({problem}).") from error
        if found.run != self.config().identity():
            raise RunError(
                subject=str(path), expected="a checkpoint of this run's config", found="a checkpoint of another run"
            )
        return found

    def write_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write the metrics, one line for each epoch."""
        storage.write_bytes(self.path(METRICS), metrics.text(lines).encode())

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
            lines = metrics.parse(self._read_bytes(METRICS, LARGEST_METRICS).decode()) if self._has(METRICS) else []
        except (ValueError, RecursionError) as error:
            problem = first_problem(error) if isinstance(error, pydantic.ValidationError) else error
            raise RunError(subject=str(path), expected=expected, found=f"damage ({problem})", remedy=REWRITE) from error
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

    def discard_frames(self, after: int) -> None:
        """Delete the frames of later epochs, because training continues after this epoch."""
        for epoch, path in self.frame_paths().items():
            if epoch > after:
                with storage.disk_errors(path):
                    path.unlink(missing_ok=True)

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
            storage.check_writable(self.path(name) if name else self.folder, remedy)

    def write_plot(self, name: str, content: bytes, suffix: str = ".png") -> Path:
        """Write a picture of the run, and return its path."""
        path = self.plot_path(name, suffix)
        storage.write_bytes(path, content)
        return path

    def plot_path(self, name: str, suffix: str = ".png") -> Path:
        """Return the path of a picture of the run, and create its folder.

        Raises:
          DiskError: the folder could not be created.
        """
        path = self.path(f"{PLOTS}/{name}{suffix}")
        storage.make_folder(path.parent)
        return path


@final
class LogFile(logging.FileHandler):
    """A log file that drops the lines it cannot write, because a failed log must not end training."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with contextlib.suppress(OSError):
            super().emit(record)

    def close(self) -> None:
        """Close the file. This first tries to write the lines that are still in memory."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error."""


def which_evaluation(evaluation: Mapping[str, Any]) -> str:
    """Return a description that identifies an evaluation by its examples, K, seed and weights."""
    text = "{num_examples:,} {split} examples, K = {iw_samples:,}, seed {seed}; weights {weights}, of step {step:,}"
    return text.format(**evaluation)


def is_fuller(kept: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Return whether one evaluation is more thorough than another of the same weights and split.

    Sizes are the numbers of examples and importance samples, and the steps, chains and examples of annealing. A fuller
    evaluation is at least as large in each size and larger in one.

    Args:
      kept: the evaluation in the file. It may be damaged or empty, and then it is not fuller.
      result: the new evaluation.
    """

    def sizes(evaluation: Mapping[str, Any]) -> list[int]:
        names = ("steps", "chains", "examples")
        annealing = evaluation.get("ais") or dict.fromkeys(names, 0)
        return [
            int(evaluation["num_examples"]),
            int(evaluation["iw_samples"]),
            *(int(annealing[name]) for name in names),
        ]

    if any(kept.get(key) != result[key] for key in ("split", "weights", "step")):
        return False
    try:
        old, new = sizes(kept), sizes(result)
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return old != new and all(map(operator.ge, old, new))


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


def all_runs(runs_dir: Path) -> list[Run]:
    """Return the runs in a folder by the time their config was written, oldest first.

    Unfinished and damaged runs are included, because any folder with a config is a run.
    """
    with read_errors(runs_dir):
        folders = [path for path in runs_dir.iterdir() if path.is_dir()] if runs_dir.is_dir() else []
    runs = [run for run in map(Run, folders) if run.exists()]
    return sorted(runs, key=lambda run: (run.folder / CONFIG).stat().st_mtime_ns)


def finished_runs(runs_dir: Path) -> list[Run]:
    """Return the finished runs in a folder by the time their training ended, oldest first.

    Runs with epochs that were added later and are not trained yet are left out.
    """
    runs = [run for run in all_runs(runs_dir) if run.is_finished()]
    return sorted(runs, key=lambda run: (run.folder / TRAINING).stat().st_mtime_ns)


def find(run: str | None, runs_dir: str) -> Run:
    """Return the run in a folder, or the newest finished run if no folder is given.

    Args:
      run: the path of a run's folder, or None.
      runs_dir: the folder in which to look for runs if `run` is None.

    Raises:
      RunError: the folder holds no run, or `runs_dir` has no finished run.
    """
    if run:
        return Run.open(Path(run))
    finished = finished_runs(Path(runs_dir))
    if not finished:
        here = finished_runs(Path())
        which = f"such as {str(here[-1].folder)!r}" if here else "the folder of a training"
        raise RunError(
            f"expected a finished run under {runs_dir}, found none. Make one with `train`, or name one with `run`, "
            f"{which}."
        )
    return finished[-1]


@contextmanager
def read_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block into a RunError that names the folder."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: could not be read ({error.strerror}). Choose another folder.") from error
