"""A run on disk: its config, checkpoint, metrics, results and pictures, each whole or not there."""

from __future__ import annotations

import json
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pydantic

from tfp_vae import files, storage
from tfp_vae.config import RunConfig
from tfp_vae.errors import DataError, RunError, UsageError
from tfp_vae.members import first_problem

__all__ = ["Checkpoint", "Run", "find", "finished_runs"]

CONFIG, CHECKPOINT, METRICS = "config.json", "checkpoint.npz", "metrics.jsonl"
TRAINING, EVALUATION, ENVIRONMENT, PLOTS = "training.json", "evaluation.json", "environment.json", "plots"


class Checkpoint(NamedTuple):
    """What training needs to go on: how many steps were taken, the sums of the epoch begun, and all variables."""

    step: int
    epoch_sums: np.ndarray
    variables: Mapping[str, np.ndarray]


class _Metrics(pydantic.BaseModel):
    """A line of the metrics: one epoch's."""

    model_config = pydantic.ConfigDict(extra="forbid")
    epoch: pydantic.PositiveInt
    step: pydantic.PositiveInt
    elbo: float
    distortion: float
    rate: float
    validation_elbo: float
    validation_distortion: float
    validation_rate: float
    learning_rate: float
    seconds: float


@final
class Run:
    """A folder that holds a run. Reading checks what is there; writing replaces whole files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @classmethod
    def create(cls, folder: Path, config: RunConfig) -> Run:
        """Make the folder of a new run and write its config; refuse a folder that holds a run already."""
        cls.refuse_existing(folder)
        storage.make_folder(folder)
        if not _made(folder / PLOTS):  # which of two processes makes it, has the folder
            raise RunError(f"{folder}: another run is beginning here; choose another --run-dir.")
        run = cls(folder)
        run.write(CONFIG, config.model_dump(mode="json"))
        return run

    @classmethod
    def refuse_existing(cls, folder: Path) -> None:
        """Raise RunError if the folder holds a run already."""
        if cls(folder).exists():
            go_on = (folder / CHECKPOINT).exists()
            remedy = "continue it with --resume" if go_on else "it has no checkpoint, so delete the folder"
            raise RunError(f"{folder}: holds a run already; {remedy} or choose another --run-dir.")

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Return the run in a folder, refusing a folder that holds none."""
        with _reading(folder):
            if not folder.is_dir():
                raise RunError(f"{folder}: expected a run's folder, found none; `tfp-vae runs` lists the runs here.")
            if not cls(folder).exists():
                raise RunError(f"{folder}: expected a run, found no {CONFIG}; `tfp-vae runs` lists the runs here.")
        return cls(folder)

    def exists(self) -> bool:
        """Return whether the folder holds a run."""
        return (self.folder / CONFIG).exists()

    def is_finished(self) -> bool:
        """Return whether training came to its end."""
        return (self.folder / TRAINING).is_file()

    def config(self) -> RunConfig:
        """Return the run's config, read with a strict schema."""
        try:
            return RunConfig.model_validate(self.read(CONFIG))
        except pydantic.ValidationError as error:
            raise RunError(
                f"{self.folder / CONFIG}: not a config this version can read: {first_problem(error)}."
            ) from error
        except UsageError as error:
            raise RunError(f"{self.folder / CONFIG}: not a config this version can read: {error}.") from error

    def extend(self, epochs: int) -> None:
        """Set the total of epochs; a run that was finished before is no longer so if epochs are left."""
        config = self.config()
        done = len(self.metrics())
        if epochs < done:
            raise UsageError(f"{self.folder}: {done} epochs are done already; --epochs is the total, found {epochs}.")
        training = config.training.model_copy(update={"epochs": epochs})
        self.write(CONFIG, config.model_copy(update={"training": training}).model_dump(mode="json"))
        if epochs > done:
            for outdated in (TRAINING, EVALUATION):
                (self.folder / outdated).unlink(missing_ok=True)

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file of the run."""
        path = self.folder / name
        try:
            value = json.loads(path.read_bytes())
        except OSError as error:
            raise RunError(
                f"{path}: could not be read ({error.strerror}); the run is incomplete, train it again."
            ) from error
        except (ValueError, RecursionError) as error:
            raise RunError(
                f"{path}: expected JSON, found damage ({error}); restore the file or train again."
            ) from error
        if not isinstance(value, dict):
            raise RunError(
                f"{path}: expected a JSON object, found {type(value).__name__}; restore the file or train again."
            )
        return value

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Write a JSON object into a file of the run."""
        storage.write_json(self.folder / name, value)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in place of the last."""
        arrays = {"step": np.array(checkpoint.step), "epoch_sums": checkpoint.epoch_sums, **checkpoint.variables}
        storage.write_arrays(self.folder / CHECKPOINT, arrays)

    def checkpoint(self) -> Checkpoint:
        """Return the run's checkpoint; an archive of numbers, whose checksums are verified."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            raise RunError(
                f"{path}: expected a checkpoint, found none; the run stopped before its first, train it again."
            )
        try:
            arrays = dict(files.read_npz(path))
            return Checkpoint(int(arrays.pop("step")), arrays.pop("epoch_sums"), arrays)
        except (DataError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise RunError(
                f"{path}: the checkpoint is damaged ({error}); restore it from a copy or train again."
            ) from error

    def write_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write the metrics, a line for each epoch."""
        text = "".join(f"{storage.json_text(line)}\n" for line in lines)
        storage.write_bytes(self.folder / METRICS, text.encode())

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics of the epochs so far."""
        path = self.folder / METRICS
        try:
            lines = path.read_text().splitlines() if path.exists() else []
            return [_Metrics.model_validate_json(line).model_dump() for line in lines]
        except (OSError, ValueError) as error:
            what = first_problem(error) if isinstance(error, pydantic.ValidationError) else error
            raise RunError(f"{path}: expected a line of metrics for each epoch, found damage ({what}).") from error

    def write_plot(self, name: str, png: bytes) -> Path:
        """Write a picture among the run's, and return its path."""
        path = self.plot_path(name)
        storage.write_bytes(path, png)
        return path

    def plot_path(self, name: str) -> Path:
        """Return where a picture of the run lies, its folder made."""
        storage.make_folder(self.folder / PLOTS)
        return self.folder / PLOTS / f"{name}.png"


def new_folder(runs_dir: Path, dataset: str) -> Path:
    """Make and return `<dataset>-<date>-<time>` under `runs_dir`, with a number behind it where that is taken."""
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
    """Return the runs under a folder, oldest first by the time their config was written."""
    runs = [run for run in map(Run, _folders(runs_dir)) if run.exists()]
    return sorted(runs, key=lambda run: (run.folder / CONFIG).stat().st_mtime_ns)


def finished_runs(runs_dir: Path) -> list[Run]:
    """Return the finished runs under a folder, the newest last."""
    runs = [run for run in map(Run, _folders(runs_dir)) if run.exists() and run.is_finished()]
    return sorted(runs, key=lambda run: (run.folder / TRAINING).stat().st_mtime_ns)


def find(run: str | None, runs_dir: str) -> Run:
    """Return the run named, else the newest finished one under `runs_dir`."""
    if run:
        return Run.open(Path(run))
    finished = finished_runs(Path(runs_dir))
    if not finished:
        raise RunError(
            f"expected a finished run under {runs_dir}, found none; make one with `tfp-vae train`, or give --run."
        )
    return finished[-1]


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
