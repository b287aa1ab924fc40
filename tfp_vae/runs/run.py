"""A run on disk: its config, state, checkpoints, metrics, results and pictures, each whole or not there.

A `Run` is a folder and nothing else: each answer is read from its files, which may change between two questions, and
each file is checked when it is read. Only the process that holds the lock trains; anyone may read meanwhile, as files
are replaced whole. Symbolic links within a run are refused, so that a run from elsewhere cannot point out of itself.

```python
run = tv.runs.run.find(None, "runs")  # the newest finished run under ./runs
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
"""The most bytes that are read of a file of JSON, and of the metrics."""

State = Literal["running", "finished", "interrupted", "failed"]

logger = logging.getLogger("tfp_vae")


@final
class Status(pydantic.BaseModel):
    """What became of a run: its state, why it failed if it did, and how far the last checkpoint is.

    state: `running`, `finished`, `interrupted` or `failed`.
    reason: of a failure, the error's sentence.
    step: of the last checkpoint.
    epochs: finished at the last checkpoint.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    state: State = "interrupted"
    reason: str = ""
    step: pydantic.NonNegativeInt = 0
    epochs: pydantic.NonNegativeInt = 0


@final
class Run:
    """A folder that holds a run. Reading checks what is there; writing replaces whole files.

    Methods that read raise RunError for what is missing, damaged or another run's; those that write raise DiskError for
    what the file system refuses.

    Args:
      folder: where it lies, or will; nothing is read or made before it is asked for.
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
        except (RunError, OSError) as error:  # a notebook shows what it can
            return table(repr(self), [("damaged", error)])

    def _told_rows(self) -> list[tuple[str, Any]]:
        """Return what a person first asks of a run."""
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
        """Make the folder of a new run and write its config; refuse a folder that holds a run already.

        Args:
          folder: new, or empty.
          config: from `preparation.plan`.

        Raises:
          RunError: the folder holds a run, or anything else.
          DiskError: the folder or the config could not be written.
        """
        cls.refuse_existing(folder)
        storage.make_folder(folder)
        run = cls(folder)
        with run.claimed():
            cls.refuse_existing(folder)  # by another process, while this one came to its turn
            run.write(CONFIG, config.model_dump(mode="json"))
            storage.make_folder(run.path(PLOTS))
        return run

    @classmethod
    def refuse_existing(cls, folder: Path) -> None:
        """Raise RunError if the folder holds a run already, or what is left of one."""
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
        """Return the run in a folder, refusing a folder that holds none.

        Raises:
          RunError: no folder, or one without a config.
        """
        with _reading(folder):
            if not folder.is_dir():
                raise RunError(f"{folder}: expected a run's folder, found none. {_hint(folder)}")
            if not cls(folder).exists():
                raise RunError(f"{folder}: expected a run, found no {CONFIG}. {_hint(folder)}")
        return cls(folder)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the run for training: no other process can claim it, and what a killed one left is cleared away.

        May be entered again by the same object, which then changes nothing.

        Raises:
          RunError: another process trains it.
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
        """Return the path of a file of the run, refusing symbolic links, which may lead out of it.

        Raises:
          RunError: the file, or a folder of the run on the way to it, is a symbolic link.
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
        """Return whether training came to its end, and was not given more epochs since.

        A glance at two files, which reads no checkpoint; `is_whole` looks closer.
        """
        return (self.folder / TRAINING).is_file() and not self._was_extended()

    def _was_extended(self) -> bool:
        """Return whether the last checkpoint has fewer epochs than the config asks for, and its training did not end.

        What is damaged says nothing here: whoever reads it will tell.
        """
        try:
            told = self._told()
            return told.state != "finished" and 0 < told.epochs < self.config().training.epochs
        except RunError:
            return False

    def status(self) -> Status:
        """Return what became of the run; one whose process was killed is interrupted.

        The lock tells that a run is being trained: a state that says so without it was left by a process that is gone.

        Raises:
          RunError: a state that is damaged, or a result that is missing.
        """
        told = self._told()
        if locks.is_locked(self.folder / LOCK):
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
        """Return the status as it was last written; where there is none, training has not begun."""
        if not self._there(STATE):
            return Status()
        try:
            return Status.model_validate(self.read(STATE))
        except pydantic.ValidationError as error:
            raise RunError(f"{self.folder / STATE}: not a state ({first_problem(error)}); delete it.") from error

    def mark(self, state: State, *, reason: str = "", step: int | None = None, epochs: int | None = None) -> None:
        """Write what becomes of the run; how far it is stays as it was if it is not given.

        Args:
          state: what becomes of it.
          reason: of a failure.
          step: of the last checkpoint.
          epochs: finished at it.
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
        """Note what the library tells of a training in the run's log file; where that cannot be written, go on.

        Lines carry the time and the process, as several processes may train a run in turn. The library's logger is
        opened to notes of progress meanwhile, and set back after.
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
          RunError: a config that is missing, damaged, of another version, or not valid.
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
        """Put off the end of training; a run that was finished before is no longer so if epochs are left.

        Epochs and patience decide when a run ends, not what its numbers are: both may change within a run's identity.

        Args:
          epochs: their total; as it was, if not given.
          early_stopping: the patience, see `stopping.early_stop`; as it was, if not given.

        Raises:
          UsageError: nothing is left to be trained with these: fewer epochs than are done, or an early end.
        """
        given = {name: value for name, value in (("epochs", epochs), ("early_stopping", early_stopping)) if value}
        with self.claimed():
            config = self.config()
            self._extend(config.model_copy(update={"training": config.training.model_copy(update=given)}))

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
        """Return the early end that training has come to before its total of epochs, or None.

        Raises:
          RunError: metrics that are missing or damaged.
        """
        training = self.config().training
        ended = early_stop([Epoch(**line) for line in self.metrics()], training.early_stopping)
        return ended if ended is not None and ended.epoch < training.epochs else None

    def is_whole(self) -> bool:
        """Return whether the run is finished, its results can be read, and its last checkpoint is sound.

        Reads the whole checkpoint, so it takes as long as restoring does.
        """
        try:
            self.metrics()
            status = self.status()
            return status.state == "finished" and self.checkpoint().step >= (status.step or 0)
        except RunError:
            return False

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file of the run, once its checksum is verified.

        Raises:
          RunError: a file that is missing, too large, no JSON object, or not what was written.
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
        """Write a JSON object into a file of the run, with its checksum.

        Raises:
          DiskError: it could not be written; the old file is there still.
        """
        storage.write_json(self.path(name), storage.seal(value))

    def _there(self, name: str) -> bool:
        with _reading(self.folder):
            return self.path(name).exists()

    def _content(self, name: str, most: int) -> bytes:
        """Return what is in a file of the run, which has to be a plain file of at most `most` bytes.

        Neither a device nor a file of gigabytes is read because it lies under a run's file name.
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
        """Write a checkpoint in place of the last; results of fewer steps are deleted once it is there.

        The last one becomes the previous one if it was read or written here, and so is known to be sound; if not, the
        previous one stays as it is.

        Args:
          checkpoint: of a later step than the last.
        """
        previous = self.path(PREVIOUS) if self._newest_is_sound else None
        checkpoints.write(self.path(CHECKPOINT), checkpoint, previous=previous)
        self._newest_is_sound = True
        for name in filter(lambda name: self._is_outdated(name, checkpoint), (TRAINING, EVALUATION, PARTIAL)):
            with storage.disk_errors(self.path(name)):
                self.path(name).unlink(missing_ok=True)

    def _is_outdated(self, name: str, checkpoint: Checkpoint) -> bool:
        """Return whether a result tells of fewer steps than a checkpoint's weights, or its best ones, have had.

        An evaluation of the best weights stays as long as those are the best.
        """
        told = self._result(name)
        best = checkpoint.best if told.get("weights") == BEST else None
        step = told.get("step", told.get("steps", 0))
        return bool(told) and not (isinstance(step, int) and step >= (checkpoint if best is None else best).step)

    def _result(self, name: str) -> dict[str, Any]:
        """Return what a result says; nothing, if it is not there or damaged."""
        try:
            return self.read(name) if self._there(name) else {}
        except RunError:
            return {}

    def write_evaluation(self, result: Mapping[str, Any]) -> str:
        """Write what an evaluation found, and return the name of its file.

        That is `evaluation.json`, unless a fuller evaluation is there: one of the same weights and split, in nothing
        less than this one (examples, importance samples, annealing) and in something more.

        Raises:
          RunError: the final weights were evaluated, and there are newer ones meanwhile.
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
        """Return whether training left a checkpoint; False for a run that was stopped before its first.

        Raises:
          RunError: it did leave one, which is gone.
        """
        there = self._there(CHECKPOINT) or self._there(PREVIOUS)
        if not there and (self._told().step or self.is_finished()):
            raise RunError(f"{self.folder / CHECKPOINT}: {_MISSING}; {_RESTORE}")
        return there

    def checkpoint(self, expected: Shapes | None = None) -> Checkpoint:
        """Return the run's newest checkpoint that is sound, and warn if that is the one before the last.

        Args:
          expected: see `checkpoint.read`.

        Raises:
          RunError: there is none, or none is sound.
        """
        newest, self._newest_is_sound = self.path(CHECKPOINT), False
        try:
            found = self._checkpoint(newest, expected)
        except RunError as error:
            return self._one_before(error, expected)
        self._newest_is_sound = True
        return found

    def _one_before(self, problem: RunError, expected: Shapes | None) -> Checkpoint:
        """Return the checkpoint before the newest, whose problem is said, once."""
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
        """Return the checkpoint in a file; if it is not sound, raise RunError with what is wrong, not what to do."""
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
        """Write the metrics, a line for each epoch."""
        storage.write_bytes(self.path(METRICS), metrics.text(lines).encode())

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics of the epochs so far.

        Returns:
          A record for each epoch: epoch, step, elbo, distortion, rate, validation_elbo, validation_distortion,
            validation_rate in nats per example, learning_rate, seconds.

        Raises:
          RunError: damage, or fewer epochs than the run's state tells of.
        """
        path = self.folder / METRICS
        try:
            there = self._there(METRICS)
            lines = metrics.parsed(self._content(METRICS, LARGEST_METRICS).decode()) if there else []
        except (ValueError, RecursionError) as error:
            what = first_problem(error) if isinstance(error, pydantic.ValidationError) else error
            raise RunError(f"{path}: {_LINES}, found damage ({what}). {_REWRITE}") from error
        if len(lines) < (promised := self._told().epochs):
            raise RunError(f"{path}: {_LINES}, {promised} in all, found {len(lines)}. {_REWRITE}")
        return lines

    def frame_path(self, epoch: int) -> Path:
        """Return where the frame of an epoch lies, see `film.Film`."""
        return self.path(f"{FRAMES}/epoch-{epoch:07d}.npz")

    def frame_paths(self) -> dict[int, Path]:
        """Return the frames that there are, by epoch, in order."""
        folder = self.path(FRAMES)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return {
            int(match[1]): self.path(f"{FRAMES}/{match[0]}") for match in filter(None, map(_FRAME.fullmatch, names))
        }

    def discard_frames(self, after: int) -> None:
        """Delete the frames of epochs after one that a training goes on from: of a past that did not happen."""
        for epoch, path in self.frame_paths().items():
            if epoch > after:
                with storage.disk_errors(path):
                    path.unlink(missing_ok=True)

    def check_writable(self, folders: Iterable[str], remedy: str) -> None:
        """Refuse a run that takes no files, before work is done for them.

        Args:
          folders: where in it they go: `plots`, or "" for the run's own folder.
          remedy: what to do then, see `storage.check_writable`.

        Raises:
          DiskError: one of the folders takes none.
          RunError: one is a symbolic link.
        """
        for name in folders:
            storage.check_writable(self.path(name) if name else self.folder, remedy)

    def write_plot(self, name: str, content: bytes, suffix: str = ".png") -> Path:
        """Write a picture among the run's, and return its path."""
        path = self.plot_path(name, suffix)
        storage.write_bytes(path, content)
        return path

    def plot_path(self, name: str, suffix: str = ".png") -> Path:
        """Return where a picture of the run lies, its folder made.

        Raises:
          DiskError: the folder could not be made.
        """
        path = self.path(f"{PLOTS}/{name}{suffix}")
        storage.make_folder(path.parent)
        return path


@final
class _LogFile(logging.FileHandler):
    """Leaves what cannot be written: a log is no reason to end a training."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, opening the file first if need be."""
        with contextlib.suppress(OSError):
            super().emit(record)

    def close(self) -> None:
        """Close the file, which writes once more what could not be written before."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Leave it."""


_OF_TRAINING = (CONFIG, STATE, METRICS, CHECKPOINT, PREVIOUS, TRAINING, ENVIRONMENT)
"""What only the process that trains writes."""

_RESTORE = "restore it from a copy or train again."
_MISSING = "expected a checkpoint, found none"
_ADVICE = re.compile(r"(; [a-z ]+)?\.$")
"""How an error of a file of arrays ends; what helps a checkpoint is something else."""

_LINES = "expected a line of metrics for each epoch"
_REWRITE = "`resume=True` writes it again from the checkpoint."


def which_evaluation(evaluation: Mapping[str, Any]) -> str:
    """Return what tells an evaluation from others: its weights, its examples, its K and its seed."""
    told = "{num_examples:,} {split} examples, K = {iw_samples:,}, seed {seed}; weights {weights}, of step {step:,}"
    return told.format(**evaluation)


def _is_fuller(kept: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Return whether an evaluation that is kept has more than another one of the same weights and split.

    By examples, importance samples, and steps, chains and examples of annealing: not less in any, more in one.
    """
    if any(kept.get(key) != result[key] for key in ("split", "weights", "step")):
        return False
    try:
        more, less = _sizes(kept), _sizes(result)
    except (AttributeError, KeyError, TypeError, ValueError):  # whatever is kept, it is no evaluation
        return False
    return more != less and all(map(operator.ge, more, less))


def _sizes(result: Mapping[str, Any]) -> tuple[int, ...]:
    annealing = result.get("ais") or dict.fromkeys(_ANNEALING, 0)
    return int(result["num_examples"]), int(result["iw_samples"]), *(int(annealing[name]) for name in _ANNEALING)


_ANNEALING = ("steps", "chains", "examples")


def new_folder(runs_dir: Path, dataset: str) -> Path:
    """Make and return `<dataset>-<date>-<time>` under `runs_dir`, with a number behind it where that is taken.

    The name is made of what is safe in a path; a folder that another process makes at the same moment is left to it.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(dataset).stem or "data")
    name = f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    storage.make_folder(runs_dir)
    candidates = (runs_dir / (name if i == 0 else f"{name}-{i}") for i in range(1_000))
    return next(folder for folder in candidates if _made(folder))


def _made(folder: Path) -> bool:
    """Make a folder; return False if it was there already."""
    with storage.disk_errors(folder):
        try:
            folder.mkdir()
        except FileExistsError:
            return False
    return True


def all_runs(runs_dir: Path) -> list[Run]:
    """Return the runs under a folder, oldest first by the time their config was written.

    Finished or not, damaged or not: a folder counts that has a config.
    """
    runs = [run for run in map(Run, _folders(runs_dir)) if run.exists()]
    return sorted(runs, key=lambda run: (run.folder / CONFIG).stat().st_mtime_ns)


def finished_runs(runs_dir: Path) -> list[Run]:
    """Return the finished runs under a folder, the newest last.

    By the time at which their training ended. One whose epochs were extended since is not among them.
    """
    runs = [run for run in map(Run, _folders(runs_dir)) if run.exists() and run.is_finished()]
    return sorted(runs, key=lambda run: (run.folder / TRAINING).stat().st_mtime_ns)


def find(run: str | None, runs_dir: str) -> Run:
    """Return the run named, else the newest finished one under `runs_dir`.

    Args:
      run: the folder's path, or None.
      runs_dir: where runs lie.

    Raises:
      RunError: that folder holds no run, or no finished run is there.
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
    """Return how to find the run that was meant by a folder that holds none."""
    for place in (folder, folder.absolute().parent):
        if place.is_dir() and all_runs(place):
            return f"`all_runs({str(place)!r})` lists the runs that are there."
    return "`all_runs('runs')` lists the runs in a folder."


def _folders(runs_dir: Path) -> list[Path]:
    with _reading(runs_dir):
        return [path for path in runs_dir.iterdir() if path.is_dir()] if runs_dir.is_dir() else []


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Turn what the operating system says of a folder that cannot be read into a RunError."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: could not be read ({error.strerror}); give a folder that can.") from error
