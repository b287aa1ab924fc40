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
"""The version of the file's layout. Other versions are refused."""

LARGEST_HEADER = 1_024
"""The maximum size in bytes of a variable's `.npy` header. NumPy writes 128."""

FINAL, BEST = "final", "best"
"""The weights to restore from a checkpoint."""

_BEST, _VARIABLES = "best/", "variables/"


class Checkpoint(NamedTuple):
    """Everything that training needs to continue.

    Everything else is computed from the run's config and the step. For example, seeds are folded from the run's seed
    and the step, and the learning rate follows a schedule of the step.

    step: the number of steps so far.
    epoch_sums: [3], the steps of the current epoch so far, and the sums of their distortions and rates.
    variables: the variables of the model and the optimizer, and any averaged weights, by name.
    seconds: the seconds that the current epoch has taken so far.
    history: the metrics of the finished epochs.
    best: the best model so far, by validation, or None before the end of the first epoch.
    run: the digest of the config of its run.
    """

    step: int
    epoch_sums: np.ndarray
    variables: Mapping[str, np.ndarray]
    seconds: float = 0.0
    history: Sequence[Mapping[str, Any]] = ()
    best: Best | None = None
    run: str = ""


def write(path: Path, checkpoint: Checkpoint, *, previous: Path | None = None) -> None:
    """Write a checkpoint atomically, with a CRC-32 for each array.

    Args:
      path: the path of the newest checkpoint.
      checkpoint: the content. Its best weights are left out if they are those of this step.
      previous: the path at which to keep the replaced file, or None to discard it.

    Raises:
      DiskError: the file could not be written. The old file remains.
    """
    best = checkpoint.best
    apart = best is not None and best.step != checkpoint.step  # otherwise they equal the variables
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
    counted = {"entries": np.array(len(arrays)), **arrays}  # because damage may remove entries from an archive
    storage.write_arrays(path, counted, previous=previous)


def read(path: Path, expected: Shapes | None = None) -> Checkpoint:
    """Return the checkpoint in a file.

    The memory is that of the arrays. They are read one after another, and each checksum is verified after its array.

    Args:
      path: the file.
      expected: the shapes and types of the variables under the run's config. The sizes in the archive are checked
        against them before any array is read.

    Raises:
      DataError: the file is damaged, has another layout, or holds arrays of other sizes.
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
    """Return the checkpoint in these arrays, and refuse arrays that do not belong to it.

    Best weights of the checkpoint's own step are not stored twice. They are copied from its variables here.

    Raises:
      KeyError, ValueError: an array is missing, unknown or malformed.
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
    """Refuse an archive that is compressed, claims more bytes than it has, or has unexpected sizes."""
    check_plain(path, entries)
    for entry in entries if expected is not None else []:
        _check_size(path, entry, expected or {})


def check_plain(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise DataError if an archive is compressed or claims more bytes than it has. No run writes such a file."""
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise DataError(f"{path}: expected plain entries, found compressed ones.")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise DataError(f"{path}: its entries promise more bytes than the file has.")


def _check_size(path: Path, entry: zipfile.ZipInfo, expected: Shapes) -> None:
    """Refuse an entry that is smaller than its array, or larger by more than an `.npy` header."""
    name = entry.filename.removesuffix(".npy")
    prefix = next((prefix for prefix in (_VARIABLES, _BEST) if name.startswith(prefix)), None)
    shape, dtype = expected.get(name.removeprefix(prefix), (None, None)) if prefix else (None, None)
    if shape is None:
        return  # a small number next to the variables, or an unknown entry, which is refused by name
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
