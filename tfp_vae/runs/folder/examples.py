"""The examples that a run's folder stores because they were in memory: arrays of each split, in one `.npz` archive.

The archive is read like a checkpoint, so a compressed or foreign file cannot take more memory than its own size.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfp_vae.core.errors import DataError, RunError, cut
from tfp_vae.data.dataset import SPLITS, Split
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.runs.folder.files import check_plain

__all__ = ["COLUMNS", "read_splits"]

COLUMNS = {"x": "f", "y": "biufSU", "rows": "iu", "names": "U", "context": "f"}
"""The arrays of a split, and the kinds of NumPy types that each may have. Only x must be there."""

RESTORE = "Restore the file from a copy, or save the run again."


def read_splits(path: Path, event_shape: tuple[int, ...]) -> dict[str, Split]:
    """Return the splits in the file of a run.

    Args:
      path: the file.
      event_shape: the shape of one example.

    Raises:
      RunError: the file is damaged, compressed, or has other arrays than the examples of a run.
    """
    try:
        arrays = read_npz(path, lambda entries: check_plain(path, entries))
        unknown = arrays.keys() - {f"{name}_{split}" for name in COLUMNS for split in SPLITS}
        if unknown:
            raise DataError(f"{path}: unknown array {cut(repr(min(unknown)))}.")
        return {split: _split(path, arrays, split, event_shape) for split in SPLITS}
    except DataError as error:
        raise RunError(error.problem, remedy=RESTORE) from error


def _split(path: Path, arrays: Mapping[str, np.ndarray], split: str, event_shape: tuple[int, ...]) -> Split:
    """Return one split after a check of the shapes and types of its arrays."""
    found = {name: arrays[f"{name}_{split}"] for name in COLUMNS if f"{name}_{split}" in arrays}
    if "x" not in found:
        raise DataError(f"{path}: expected an array x_{split}, found none.")
    count = found["x"].shape[:1]
    for name, array in found.items():
        expected = (*count, *event_shape) if name == "x" else count
        expected = (*count, *array.shape[1:2]) if name == "context" else expected
        if array.dtype.kind not in COLUMNS[name] or array.shape != expected:
            raise DataError(f"{path}, {name}_{split}: expected shape {expected}, found {array.dtype} of {array.shape}.")
    return Split(found["x"], found.get("y"), found.get("rows"), found.get("names"), context=found.get("context"))
