"""The checkpoint of a run: its content, its file, and the shapes that a config expects in it.

The file is an uncompressed `.npz`: a zip archive of `.npy` entries, each with a CRC-32. It is read without pickle, so
nothing in it can execute. A count of the entries reveals lost ones, and a digest of the config reveals the checkpoint
of another run. `read` compares the table of entries with the shapes that the config expects before it reads an array,
so a damaged or foreign file cannot take more memory than the model needs.

This module does not use the `safetensors` package, because its files have no checksums, so a flipped bit in an array
would be read as another weight without an error.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError
from tfp_vae.core.lazy import tf
from tfp_vae.data.readers import arrays as files
from tfp_vae.runs import metrics
from tfp_vae.runs.build import Builder, build_from_config
from tfp_vae.runs.config import RunConfig
from tfp_vae.training.average import Average
from tfp_vae.training.history import Best
from tfp_vae.training.optimizers import OPTIMIZERS
from tfp_vae.training.state import Shapes, State, weights_in_use

__all__ = ["BEST", "FINAL", "FORMAT", "Best", "Checkpoint", "Shapes", "check_plain", "read", "shapes", "write"]

FORMAT = 1
"""The version of the file's layout; others are refused."""

LARGEST_HEADER = 1_024
"""The most bytes that the `.npy` header of one variable may take; NumPy writes 128."""

FINAL, BEST = "final", "best"
"""Which weights of a checkpoint are asked for."""

_BEST, _VARIABLES = "best/", "variables/"


class Checkpoint(NamedTuple):
    """Everything training needs to go on.

    What is not here is a function of the run's config and of the step: seeds are folded from the run's seed and the
    step, learning rates and the weight of the rate are schedules of the step.

    step: how many steps were taken.
    epoch_sums: [3], the epoch's steps so far, and the sums of their distortions and rates.
    variables: of the model and of the optimizer, and the averaged weights if there are any, by name.
    seconds: that the epoch has taken so far.
    history: the metrics of the epochs that were finished.
    best: the best model so far, by validation; None before the first epoch's end.
    run: digest of the config of the run it belongs to.
    """

    step: int
    epoch_sums: np.ndarray
    variables: Mapping[str, np.ndarray]
    seconds: float = 0.0
    history: Sequence[Mapping[str, Any]] = ()
    best: Best | None = None
    run: str = ""


def write(path: Path, checkpoint: Checkpoint, *, previous: Path | None = None) -> None:
    """Write a checkpoint's file, whole or not at all; the archive keeps a CRC-32 of each array.

    The file that it replaces is kept as `previous`, if that is given.

    Args:
      path: where the newest checkpoint lies.
      checkpoint: what is written; best weights only where they are not those of this step.
      previous: where the one before is kept.

    Raises:
      DiskError: it could not be written; the old file is there still.
    """
    best = checkpoint.best
    apart = best is not None and best.step != checkpoint.step  # otherwise the best weights are these
    arrays = {
        "format": np.array(FORMAT),
        "run": _bytes(checkpoint.run),
        "step": np.array(checkpoint.step),
        "seconds": np.array(checkpoint.seconds),
        "epoch_sums": np.asarray(checkpoint.epoch_sums, np.float64),
        "history": _bytes(metrics.text(checkpoint.history)),
        "best": np.array([-1, 0] if best is None else [best.step, best.elbo], np.float64),
        **_under(_VARIABLES, checkpoint.variables),
        **(_under(_BEST, best.variables) if best is not None and apart else {}),
    }
    counted = {"entries": np.array(len(arrays)), **arrays}  # damage may lose some of an archive's
    storage.write_arrays(path, counted, previous=previous)


def read(path: Path, expected: Shapes | None = None) -> Checkpoint:
    """Return the checkpoint in a file.

    Memory: the arrays themselves; they are read one after another, each with its checksum verified at its end.

    Args:
      path: the file.
      expected: shapes and types of the variables that the run's config gives rise to; the archive's sizes are held
        against them before any array is read.

    Raises:
      DataError: damage, another layout, or sizes that do not fit.
    """
    arrays = dict(files.read_npz(path, lambda entries: _check_sizes(path, entries, expected)))
    try:
        version = int(arrays.pop("format"))
        if version != FORMAT:
            raise DataError(f"{path}: this version reads checkpoints of format {FORMAT}, found {version}.")
        if (promised := int(arrays.pop("entries")) - 1) != len(arrays):
            raise DataError(f"{path}: expected {promised} arrays, found {len(arrays)}.")
        return _unpacked(arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a checkpoint ({error}).") from error


def _unpacked(arrays: dict[str, np.ndarray]) -> Checkpoint:
    """Return the checkpoint in arrays that were read, each of which has to be accounted for.

    Best weights that are those of the checkpoint's own step are not written twice, and are taken from it here.

    Raises:
      KeyError, ValueError: an array that is missing, unknown, or of another form.
    """
    step, (best_step, best_elbo) = int(arrays.pop("step")), map(float, arrays.pop("best"))
    history = metrics.parsed(_text(arrays.pop("history")))
    run, seconds, sums = _text(arrays.pop("run")), float(arrays.pop("seconds")), arrays.pop("epoch_sums")
    variables, best = _taken(_VARIABLES, arrays), _taken(_BEST, arrays)
    if arrays or sums.shape != (3,) or step < 0:
        raise ValueError(f"unknown or wrong entries {sorted(arrays)[:3]}, step {step}, sums of shape {sums.shape}")
    if best_step == step:
        best = weights_in_use(variables)
    kept = None if best_step < 0 else Best(int(best_step), best_elbo, best)
    return Checkpoint(step, sums, variables, seconds, history, kept, run)


def shapes(config: RunConfig, *, optimizer: bool = True, builder: Builder | None = None) -> Shapes:
    """Return the shape and type of every variable in the checkpoint of a run, by name.

    They come from a graph that never runs, so no memory is allocated, however large the model is.

    Args:
      config: the config of the run.
      optimizer: whether to include the optimizer's variables. Those of an optimizer that was a Python object are not
        known, so they are left out.
      builder: see `build_from_config`.
    """
    with tf.Graph().as_default():
        vae, average = build_from_config(config, builder=builder), None
        known = optimizer and "optimizer" not in config.training.objects
        state = OPTIMIZERS.build(config.training.optimizer, config.training.learning_rate) if known else None
        if state is not None:
            state.build(vae.trainable_variables)
        if config.training.ema is not None:
            average = Average(vae.trainable_variables, config.training.ema)  # the averages have the weights' shapes
        return State(vae, state, average).shapes()


def _check_sizes(path: Path, entries: Sequence[zipfile.ZipInfo], expected: Shapes | None) -> None:
    """Refuse an archive that is compressed, promises more bytes than it has, or other sizes than expected."""
    check_plain(path, entries)
    for entry in entries if expected is not None else []:
        _check_size(path, entry, expected or {})


def check_plain(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise DataError for an archive that is compressed, or promises more bytes than it has: a run's own are plain."""
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise DataError(f"{path}: expected plain entries, found compressed ones.")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise DataError(f"{path}: its entries promise more bytes than the file has.")


def _check_size(path: Path, entry: zipfile.ZipInfo, expected: Shapes) -> None:
    """Refuse an entry that is larger than its array by more than an `.npy` header, or smaller."""
    name = entry.filename.removesuffix(".npy")
    prefix = next((prefix for prefix in (_VARIABLES, _BEST) if name.startswith(prefix)), None)
    shape, dtype = expected.get(name.removeprefix(prefix), (None, None)) if prefix else (None, None)
    if shape is None:
        return  # of the few numbers beside the variables, or unknown and refused by name
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if not size < entry.file_size <= size + LARGEST_HEADER:
        raise DataError(f"{path}: {name} takes {entry.file_size} bytes, but its run's config asks for {size}.")


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + name: array for name, array in arrays.items()}


def _taken(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)}


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _text(array: np.ndarray) -> str:
    if array.dtype != np.uint8 or array.ndim != 1:
        raise ValueError("expected text")
    return array.tobytes().decode()
