"""A run on disk: its config, state, checkpoints, metrics, results and pictures.

A `Run` holds only the path of its folder. Each call reads the files again, because they may change between two calls,
and checks every file that it reads. Only the process that holds the lock trains. Other processes can read at the same
time, because files are replaced atomically. Symbolic links within a run are refused, so a downloaded run cannot point
to files outside its folder.

```python
run = tv.runs.find(None, "runs")  # the newest finished run under ./runs
run.status().state, run.config().model.latent_dim  # ("finished", 2)
[line["validation_elbo"] for line in run.metrics()]  # nats per example, after each epoch
```
"""

from __future__ import annotations

import contextlib
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
from tfp_vae.core.errors import DataError, RunError, UsageError
from tfp_vae.core.registry import RECORDED, first_problem
from tfp_vae.runs import checkpoint as checkpoints
from tfp_vae.runs import lock as locks
from tfp_vae.runs import metrics
from tfp_vae.runs.checkpoint import BEST, FINAL, Checkpoint, Shapes
from tfp_vae.runs.config import RunConfig
from tfp_vae.training.history import Epoch
from tfp_vae.training.stopping import Stop, early_stop

__all__ = ["Checkpoint", "Run", "State", "Status", "find", "finished_runs", "which_evaluation"]

CONFIG, STATE, METRICS, LOCK, LOG = "config.json", "state.json", "metrics.jsonl", ".lock", "train.log"
CHECKPOINT, PREVIOUS = "checkpoint.npz", "checkpoint-previous.npz"
TRAINING, EVALUATION, ENVIRONMENT = "training.json", "evaluation.json", "environment.json"
PARTIAL = "evaluation-partial.json"
DATA = "data.npz"
PLOTS, FRAMES, EVENTS = "plots", "frames", "tensorboard"
_FRAME = re.compile(r"epoch-(\d{7})\.npz")

LARGEST_JSON, LARGEST_METRICS = 1 << 24, 1 << 30
"""The maximum sizes in bytes of a JSON file and of the metrics."""

State = Literal["running", "finished", "interrupted", "failed"]

logger = logging.getLogger("tfp_vae")


@final
class Status(pydantic.BaseModel):
    """The state of a run, the reason if it failed, and the progress at its last checkpoint.

    state: `running`, `finished`, `interrupted` or `failed`.
    reason: the error message of a failed run.
    step: the step of the last checkpoint.
    epochs: the number of finished epochs at the last checkpoint.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    state: State = "interrupted"
    reason: str = ""
    step: pydantic.NonNegativeInt = 0
    epochs: pydantic.NonNegativeInt = 0


@final
class Run:
    """The folder of a run. Reading checks the files, and writing replaces them atomically.

    Methods that read raise RunError if a file is missing, damaged or from another run. Methods that write raise
    DiskError if the file system refuses.

    Args:
      folder: the path of the folder, which need not exist yet.
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
            return table(repr(self), self._told_rows())
        except (RunError, OSError) as error:  # a notebook shows the rest
            return table(repr(self), [("damaged", error)])

    def _told_rows(self) -> list[tuple[str, Any]]:
        """Return the most important facts about a run, by label."""
        config, lines = self.config(), self.metrics()
        model, training = config.model, config.training
        return [
            ("state", self.status().state),
            ("data", config.data.dataset),
            ("q(z|x), p(z), p(x|z)", f"{model.posterior}, {model.prior}, {model.likelihood}"),
            ("latent dimension", model.latent_dim),
            ("epochs", f"{len(lines):,} of {training.epochs:,}"),
            ("validation ELBO, nats", lines[-1]["validation_elbo"] if lines else None),
        ]

    @classmethod
    def create(cls, folder: Path, config: RunConfig) -> Run:
        """Make the folder of a new run and write its config.

        Args:
          folder: a new or empty folder.
          config: from `recipe.plan`.

        Raises:
          RunError: the folder holds a run or other files.
          DiskError: the folder or the config could not be written.
        """
        cls.refuse_existing(folder)
        storage.make_folder(folder)
        run = cls(folder)
        with run.claimed():
            cls.refuse_existing(folder)  # by another process while this one waited
            run.write(CONFIG, config.model_dump(mode="json"))
            storage.make_folder(run.path(PLOTS))
        return run

    @classmethod
    def refuse_existing(cls, folder: Path) -> None:
        """Raise RunError if the folder holds a run or the remains of one."""
        if cls(folder).exists():
            raise RunError(f"{folder}: holds a run already; continue it with `resume`, or choose another `run_dir`.")
        left = [name for name in (CHECKPOINT, PREVIOUS, TRAINING, METRICS, STATE) if (folder / name).exists()]
        if left:
            raise RunError(
                f"{folder}: expected a folder without a run, found {left[0]} of one whose {CONFIG} is gone; restore "
                "that, or choose another `run_dir`."
            )
        with _reading(folder):
            other = (
                sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
                if folder.is_dir()
                else []
            )
        if other:
            raise RunError(
                f"{folder}: expected a new or an empty folder, found {other[0]} in it; choose another `run_dir`."
            )

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Return the run in a folder.

        Raises:
          RunError: the folder does not exist or has no config.
        """
        with _reading(folder):
            if not folder.is_dir():
                raise RunError(f"{folder}: expected a run's folder, found none. {_hint(folder)}")
            if not cls(folder).exists():
                raise RunError(f"{folder}: expected a run, found no {CONFIG}. {_hint(folder)}")
        return cls(folder)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Claim the run for training in this block, and delete partial files of a killed process.

        No other process can claim it at the same time. Nested blocks of the same object change nothing.

        Raises:
          RunError: another process trains the run.
        """
        if self._claims:
            yield
            return
        with locks.lock(self.path(LOCK), str(self.folder)):
            self._claims += 1
            try:
                for name in _OF_TRAINING:
                    storage.remove_partial_files(self.path(name))
                yield
            finally:
                self._claims -= 1

    def path(self, name: str) -> Path:
        """Return the path of a file of the run, and refuse symbolic links, because they may lead out of it.

        Raises:
          RunError: the file or one of its folders within the run is a symbolic link.
        """
        path = self.folder / name
        for part in (path, *path.parents[: len(Path(name).parts) - 1]):
            if part.is_symlink():
                raise RunError(f"{part}: expected a part of the run itself, found a symbolic link; put the file there.")
        return path

    def exists(self) -> bool:
        """Return whether the folder holds a run."""
        return (self.folder / CONFIG).exists()

    def is_finished(self) -> bool:
        """Return whether training reached its end and was not extended since.

        This reads two small files and no checkpoint. `is_whole` checks more.
        """
        return (self.folder / TRAINING).is_file() and not self._was_extended()

    def _was_extended(self) -> bool:
        """Return whether training did not end and the last checkpoint has fewer epochs than the config.

        Damaged files are ignored here, because reading them elsewhere raises an error.
        """
        try:
            told = self._told()
            return told.state != "finished" and 0 < told.epochs < self.config().training.epochs
        except RunError:
            return False

    def status(self) -> Status:
        """Return the state of the run. A run whose process was killed is interrupted.

        Only the lock shows that a run is being trained. Without it, the state `running` comes from a killed process.

        Raises:
          RunError: the state is damaged or a result is missing.
        """
        told = self._told()
        if locks.in_use(self.folder / LOCK):
            return told.model_copy(update={"state": "running"})
        if told.state == "finished" and not self.is_finished():
            raise RunError(
                f"{self.folder / TRAINING}: expected the result of a finished run, found none. `resume=True` writes it "
                "again."
            )
        if self.is_finished():
            self.read(TRAINING)
            return told.model_copy(update={"state": "finished"})
        return told.model_copy(update={"state": "interrupted"}) if told.state == "running" else told

    def _told(self) -> Status:
        """Return the last written status, or the status before training if there is none."""
        if not self._there(STATE):
            return Status()
        try:
            return Status.model_validate(self.read(STATE))
        except pydantic.ValidationError as error:
            raise RunError(f"{self.folder / STATE}: not a state ({first_problem(error)}); delete it.") from error

    def mark(self, state: State, *, reason: str = "", step: int | None = None, epochs: int | None = None) -> None:
        """Write the state of the run. The progress stays the same if it is not given.

        Args:
          state: the new state.
          reason: the error message of a failed run.
          step: the step of the last checkpoint.
          epochs: the number of finished epochs at that step.
        """
        old = Status() if step is not None and epochs is not None else self._told()
        status = Status(
            state=state,
            reason=reason,
            step=old.step if step is None else step,
            epochs=old.epochs if epochs is None else epochs,
        )
        self.write(STATE, status.model_dump())

    @contextmanager
    def log(self) -> Iterator[None]:
        """Record the library's messages in the run's log file during this block.

        Training continues if the log cannot be written. Lines hold the time and the process, because several processes
        may train a run in turn. The level of the library's logger is INFO within the block and is restored at its end.
        """
        handler = _LogFile(self.path(LOG), encoding="utf-8", delay=True)
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
        """Return the run's config, read with a strict schema.

        Raises:
          RunError: the config is missing, damaged, invalid or of another version.
        """
        value = self.read(CONFIG)
        known, found = RunConfig.model_fields["version"].default, value.get("version")
        if repr(found) != repr(known):  # True is equal to 1
            raise RunError(
                f"{self.folder / CONFIG}: expected version {known}, found {found!r}; open it with the tfp_vae that "
                "wrote it, or train again."
            )
        try:
            config = RunConfig.model_validate(value, context=RECORDED)
        except pydantic.ValidationError as error:
            raise RunError(
                f"{self.folder / CONFIG}: not a config this version can read: {first_problem(error)}."
            ) from error
        except UsageError as error:
            raise RunError(f"{self.folder / CONFIG}: not a config this version can read: {error}.") from error
        if not config.data.stored:
            return config
        stored = {"dataset": str(self.path(DATA).resolve())}  # because the run may have been moved
        return config.model_copy(update={"data": config.data.model_copy(update=stored)})

    def extend(self, epochs: int | None = None, early_stopping: int | None = None) -> None:
        """Move the end of training. A finished run becomes unfinished if epochs are left.

        Epochs and patience decide when a run ends, but not the values that it computes. So both may change without
        making it another run.

        Args:
          epochs: the new total, or None to keep it.
          early_stopping: the new patience, see `stopping.early_stop`, or None to keep it.

        Raises:
          UsageError: nothing is left to train, because the epochs are done or training stops early.
        """
        given = {name: value for name, value in (("epochs", epochs), ("early_stopping", early_stopping)) if value}
        with self.claimed():
            config = self.config()
            extended = config.model_copy(update={"training": config.training.model_copy(update=given)})
            try:  # because a copy is not validated
                RunConfig.model_validate(extended.model_dump(mode="json"), context=RECORDED)
            except pydantic.ValidationError as error:
                raise UsageError(f"{self.folder}: {first_problem(error)}.") from error
            self._extend(extended)

    def _extend(self, config: RunConfig) -> None:
        last = self.checkpoint() if self.has_checkpoint() else None
        history, begun = (last.history, bool(last.epoch_sums[0])) if last is not None else ((), False)
        done, epochs = len(history), config.training.epochs
        if epochs < done + begun:
            reached = f"{done} epochs are done already" + (", and another is begun" if begun else "")
            raise UsageError(
                f"{self.folder}: {reached}; `epochs` is the total, expected at least {done + begun}, found {epochs}."
            )
        ended = None if begun else early_stop([Epoch(**line) for line in history], config.training.early_stopping)
        if epochs > done and ended is not None:
            raise UsageError(f"{self.folder}: {ended}; {ended.remedy()}.")
        if last is not None and epochs > done:  # before the config asks for more, so that it never looks finished
            self.mark("interrupted", step=last.step, epochs=done)
        self.write(CONFIG, config.model_dump(mode="json"))

    def early_end(self) -> Stop | None:
        """Return the early end of the training, or None if it has not stopped before its last epoch.

        Raises:
          RunError: the metrics are missing or damaged.
        """
        training = self.config().training
        ended = early_stop([Epoch(**line) for line in self.metrics()], training.early_stopping)
        return ended if ended is not None and ended.epoch < training.epochs else None

    def is_whole(self) -> bool:
        """Return whether the run is finished, its results are readable, and its last checkpoint is sound.

        This reads the whole checkpoint, so it takes as long as restoring the run.
        """
        try:
            self.metrics()
            status = self.status()
            return status.state == "finished" and self.checkpoint().step >= (status.step or 0)
        except RunError:
            return False

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file of the run after verifying its checksum.

        Raises:
          RunError: the file is missing, too large, changed, or not a JSON object.
        """
        path = self.folder / name
        try:
            value = json.loads(self._content(name, LARGEST_JSON))
        except (ValueError, RecursionError) as error:
            raise RunError(
                f"{path}: expected JSON, found damage ({error}); restore the file or train again."
            ) from error
        if not isinstance(value, dict):
            raise RunError(
                f"{path}: expected a JSON object, found {type(value).__name__}; restore the file or train again."
            )
        try:
            return storage.unseal(value)
        except ValueError as error:
            raise RunError(
                f"{path}: the file was changed or damaged ({error}); restore it from a copy or train again."
            ) from error

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON object to a file of the run, with its checksum.

        Raises:
          DiskError: the file could not be written. The old file remains.
        """
        storage.write_json(self.path(name), storage.seal(value))

    def _there(self, name: str) -> bool:
        with _reading(self.folder):
            return self.path(name).exists()

    def _content(self, name: str, most: int) -> bytes:
        """Return the content of a file of the run, which must be a regular file of at most `most` bytes.

        So neither a device nor a huge file is read, even if it has the name of a run's file.
        """
        path = self.path(name)
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > most:
                raise RunError(
                    f"{path}: expected a file of at most {most:,} bytes, found {found.st_size:,} or no file."
                )
            return path.read_bytes()
        except OSError as error:
            raise RunError(
                f"{path}: could not be read ({error.strerror}); restore the file from a copy or train again."
            ) from error

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint, and then delete results of fewer steps.

        The last checkpoint becomes the previous one if this object read or wrote it, because then it is sound.
        Otherwise the previous one stays.

        Args:
          checkpoint: the new checkpoint, of a later step than the last.
        """
        previous = self.path(PREVIOUS) if self._newest_is_sound else None
        checkpoints.write(self.path(CHECKPOINT), checkpoint, previous=previous)
        self._newest_is_sound = True
        for name in filter(lambda name: self._is_outdated(name, checkpoint), (TRAINING, EVALUATION, PARTIAL)):
            with storage.disk_errors(self.path(name)):
                self.path(name).unlink(missing_ok=True)

    def _is_outdated(self, name: str, checkpoint: Checkpoint) -> bool:
        """Return whether a result describes weights that a checkpoint has replaced.

        An evaluation of the best weights is valid until there are better ones.
        """
        told = self._result(name)
        best = checkpoint.best if told.get("weights") == BEST else None
        step = told.get("step", told.get("steps", 0))
        return bool(told) and not (isinstance(step, int) and step >= (checkpoint if best is None else best).step)

    def _result(self, name: str) -> dict[str, Any]:
        """Return the content of a result, or nothing if the file is missing or damaged."""
        try:
            return self.read(name) if self._there(name) else {}
        except RunError:
            return {}

    def write_evaluation(self, result: Mapping[str, Any]) -> str:
        """Write an evaluation, and return the name of its file.

        The file is `evaluation.json`, unless that holds a fuller evaluation of the same weights and split. An
        evaluation is fuller if it has more examples, importance samples or annealing, and not less of any.

        Raises:
          RunError: the final weights were evaluated, but newer ones exist by now.
        """
        now = self._told().step
        if result["weights"] == FINAL and now is not None and result["step"] < now:
            raise RunError(
                f"{self.folder}: not written, as the run has been trained on to step {now:,} since step "
                f"{result['step']:,}, which was evaluated; evaluate it again."
            )
        name = PARTIAL if _is_fuller(self._result(EVALUATION), result) else EVALUATION
        self.write(name, result)
        return name

    def has_checkpoint(self) -> bool:
        """Return whether training left a checkpoint, which is False if it stopped before its first.

        Raises:
          RunError: a checkpoint was written, but it is missing.
        """
        there = self._there(CHECKPOINT) or self._there(PREVIOUS)
        if not there and (self._told().step or self.is_finished()):
            raise RunError(f"{self.folder / CHECKPOINT}: {_MISSING}; {_RESTORE}")
        return there

    def checkpoint(self, expected: Shapes | None = None) -> Checkpoint:
        """Return the newest sound checkpoint of the run, and warn if it is the previous one.

        Args:
          expected: see `checkpoint.read`.

        Raises:
          RunError: there is no checkpoint, or none is sound.
        """
        newest, self._newest_is_sound = self.path(CHECKPOINT), False
        try:
            found = self._checkpoint(newest, expected)
        except RunError as error:
            return self._one_before(error, expected)
        self._newest_is_sound = True
        return found

    def _one_before(self, problem: RunError, expected: Shapes | None) -> Checkpoint:
        """Return the previous checkpoint, and warn once about the damage to the newest."""
        try:
            if not self._there(PREVIOUS):
                raise problem
            found = self._checkpoint(self.path(PREVIOUS), expected)
        except RunError as error:
            raise RunError(f"{error}; {_RESTORE}") from error
        sentence = f"{problem}; the one before it, of step {found.step}, is used."
        logger.log(logging.INFO if sentence in self._warned else logging.WARNING, sentence)
        self._warned.add(sentence)
        return found

    def _checkpoint(self, path: Path, expected: Shapes | None) -> Checkpoint:
        """Return the checkpoint in a file, or raise RunError with the problem but without a remedy."""
        if not path.is_file():
            raise RunError(f"{path}: {_MISSING}")
        try:
            found = checkpoints.read(path, expected)
        except DataError as error:
            what = _ADVICE.sub("", str(error)).replace(f"{path}: ", "").replace(f"{path}, ", "")
            raise RunError(f"{path}: the checkpoint is damaged or of another kind ({what})") from error
        if found.run != self.config().identity():
            raise RunError(f"{path}: expected a checkpoint of this run's config, found another run's")
        return found

    def write_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write the metrics, one line per epoch."""
        storage.write_bytes(self.path(METRICS), metrics.text(lines).encode())

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics of the epochs so far.

        Returns:
          A record for each epoch: epoch, step, elbo, distortion, rate, validation_elbo, validation_distortion,
            validation_rate in nats per example, learning_rate, seconds.

        Raises:
          RunError: the file is damaged, or it has fewer epochs than the run's state.
        """
        path = self.folder / METRICS
        try:
            there = self._there(METRICS)
            lines = metrics.parse(self._content(METRICS, LARGEST_METRICS).decode()) if there else []
        except (ValueError, RecursionError) as error:
            what = first_problem(error) if isinstance(error, pydantic.ValidationError) else error
            raise RunError(f"{path}: {_LINES}, found damage ({what}). {_REWRITE}") from error
        if len(lines) < (promised := self._told().epochs):
            raise RunError(f"{path}: {_LINES}, {promised} in all, found {len(lines)}. {_REWRITE}")
        return lines

    def frame_path(self, epoch: int) -> Path:
        """Return the path for the frame of an epoch, see `frames.Film`."""
        return self.path(f"{FRAMES}/epoch-{epoch:07d}.npz")

    def frame_paths(self) -> dict[int, Path]:
        """Return the paths of the existing frames by epoch, in order."""
        folder = self.path(FRAMES)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return {
            int(match[1]): self.path(f"{FRAMES}/{match[0]}") for match in filter(None, map(_FRAME.fullmatch, names))
        }

    def discard_frames(self, after: int) -> None:
        """Delete the frames after an epoch, because training continues from there and records them again."""
        for epoch, path in self.frame_paths().items():
            if epoch > after:
                with storage.disk_errors(path):
                    path.unlink(missing_ok=True)

    def check_writable(self, folders: Iterable[str], remedy: str) -> None:
        """Raise an error if the run is not writable, so that no work is lost.

        Args:
          folders: the folders within the run that receive files, such as `plots`, or "" for the run's own folder.
          remedy: the advice at the end of the error, see `files.check_writable`.

        Raises:
          DiskError: a folder is not writable.
          RunError: a folder is a symbolic link.
        """
        for name in folders:
            storage.check_writable(self.path(name) if name else self.folder, remedy)

    def write_plot(self, name: str, content: bytes, suffix: str = ".png") -> Path:
        """Write a picture into the run, and return its path."""
        path = self.plot_path(name, suffix)
        storage.write_bytes(path, content)
        return path

    def plot_path(self, name: str, suffix: str = ".png") -> Path:
        """Return the path of a picture of the run, and make its folder.

        Raises:
          DiskError: the folder could not be made.
        """
        path = self.path(f"{PLOTS}/{name}{suffix}")
        storage.make_folder(path.parent)
        return path


@final
class _LogFile(logging.FileHandler):
    """A log file that drops lines that cannot be written, because a log is no reason to end training."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, and open the file first if it is closed."""
        with contextlib.suppress(OSError):
            super().emit(record)

    def close(self) -> None:
        """Close the file, which tries to write the remaining lines."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error."""


_OF_TRAINING = (CONFIG, STATE, METRICS, CHECKPOINT, PREVIOUS, TRAINING, ENVIRONMENT)
"""Files that only the training process writes."""

_RESTORE = "restore it from a copy or train again."
_MISSING = "expected a checkpoint, found none"
_ADVICE = re.compile(r"(; [a-z ]+)?\.$")
"""The end of an error about a file of arrays. A checkpoint has another remedy."""

_LINES = "expected a line of metrics for each epoch"
_REWRITE = "`resume=True` writes it again from the checkpoint."


def which_evaluation(evaluation: Mapping[str, Any]) -> str:
    """Return the values that identify an evaluation: its weights, its examples, its K and its seed."""
    told = "{num_examples:,} {split} examples, K = {iw_samples:,}, seed {seed}; weights {weights}, of step {step:,}"
    return told.format(**evaluation)


def _is_fuller(kept: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Return whether the stored evaluation is fuller than another one of the same weights and split.

    It is fuller if it has more examples, importance samples, or steps, chains or examples of annealing, and not less of
    any.
    """
    if any(kept.get(key) != result[key] for key in ("split", "weights", "step")):
        return False
    try:
        more, less = _sizes(kept), _sizes(result)
    except (AttributeError, KeyError, TypeError, ValueError):  # the stored object is not an evaluation
        return False
    return more != less and all(map(operator.ge, more, less))


def _sizes(result: Mapping[str, Any]) -> tuple[int, ...]:
    annealing = result.get("ais") or dict.fromkeys(_ANNEALING, 0)
    return int(result["num_examples"]), int(result["iw_samples"]), *(int(annealing[name]) for name in _ANNEALING)


_ANNEALING = ("steps", "chains", "examples")


def new_folder(runs_dir: Path, dataset: str) -> Path:
    """Make and return the folder `<dataset>-<date>-<time>` under `runs_dir`, with a number at its end if that exists.

    The name contains only characters that are safe in a path. If another process makes the same folder first, this one
    takes the next number.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(dataset).stem or "data")
    name = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    storage.make_folder(runs_dir)
    candidates = (runs_dir / (name if i == 0 else f"{name}-{i}") for i in range(1_000))
    return next(folder for folder in candidates if _made(folder))


def _made(folder: Path) -> bool:
    """Make a folder, or return False if it exists."""
    with storage.disk_errors(folder):
        try:
            folder.mkdir()
        except FileExistsError:
            return False
    return True


def all_runs(runs_dir: Path) -> list[Run]:
    """Return the runs under a folder, ordered by the time at which their config was written, the oldest first.

    A run is a folder with a config. It may be unfinished or damaged.
    """
    runs = [run for run in map(Run, _folders(runs_dir)) if run.exists()]
    return sorted(runs, key=lambda run: (run.folder / CONFIG).stat().st_mtime_ns)


def finished_runs(runs_dir: Path) -> list[Run]:
    """Return the finished runs under a folder, ordered by the end of their training, the newest last.

    Runs that were extended since are not included.
    """
    runs = [run for run in map(Run, _folders(runs_dir)) if run.exists() and run.is_finished()]
    return sorted(runs, key=lambda run: (run.folder / TRAINING).stat().st_mtime_ns)


def find(run: str | None, runs_dir: str) -> Run:
    """Return the named run, or the newest finished one under `runs_dir`.

    Args:
      run: the path of the run's folder, or None.
      runs_dir: the folder that contains runs.

    Raises:
      RunError: the folder holds no run, or there is no finished run.
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


def _hint(folder: Path) -> str:
    """Return advice on finding the intended run if a folder holds none."""
    for place in (folder, folder.absolute().parent):
        if place.is_dir() and all_runs(place):
            return f"`all_runs({str(place)!r})` lists the runs that are there."
    return "`all_runs('runs')` lists the runs in a folder."


def _folders(runs_dir: Path) -> list[Path]:
    with _reading(runs_dir):
        return [path for path in runs_dir.iterdir() if path.is_dir()] if runs_dir.is_dir() else []


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Convert errors of the operating system from reading a folder to RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: could not be read ({error.strerror}); give a folder that can.") from error
