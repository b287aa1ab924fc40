"""Finished parts of an evaluation that was interrupted, kept in the run so that the same evaluation continues there.

Each evaluation has a file of its own, named by everything that decides its numbers. The file is written at most every
two seconds, and less often if writing takes long, so a process that is killed loses the work of the last seconds only.
The file is deleted when the evaluation is complete, or when the run gets newer weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import final

import numpy as np

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, DiskError, RunError
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.evaluation.effort.blocks import Blocks
from tfp_vae.runs.folder.files import Files, check_plain

__all__ = ["UNFINISHED", "Unfinished"]

UNFINISHED = "unfinished"
"""The folder of the run that holds the files."""

SECONDS = 2.0
"""Least time between two writes."""

PATIENCE = 20
"""The time between two writes is at least this many times as long as a write."""

IDENTITY = "identity"
"""The array with everything that decides the numbers, as JSON."""

logger = logging.getLogger("tfp_vae")


@final
class Unfinished(Blocks):
    """The finished parts of one evaluation, in a file of the run.

    A file that is damaged or belongs to another evaluation counts as missing. If the disk is full, the evaluation goes
    on without the file.

    Args:
      files: the run's folder.
      identity: everything that decides the numbers, such as the weights, the examples and the settings.
      clock: returns the time in seconds.
    """

    def __init__(
        self, files: Files, identity: Mapping[str, object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._files, self._clock = files, clock
        self._identity = json.dumps(identity, sort_keys=True)
        self.name = f"{UNFINISHED}/evaluation-{hashlib.sha256(self._identity.encode()).hexdigest()[:16]}.npz"
        self._stages = self._read()
        self.continued = bool(self._stages)
        self._due = clock() + SECONDS
        self._broken = False

    def finished(self, stage: str) -> list[np.ndarray]:
        """Return the columns of a stage, whose rows are its first examples. An empty list if there are none."""
        parts = self._stages.get(stage, [])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def keep(self, stage: str, columns: Sequence[np.ndarray]) -> None:
        """Add the results of the next examples of a stage, and write the file if it is time."""
        self._stages.setdefault(stage, []).append(list(columns))
        if self._clock() >= self._due and not self._broken:
            self._write()

    def release(self) -> None:
        """Free the memory of the finished parts, which the results of the evaluation hold too. The file stays."""
        self._stages = {}

    def remove(self) -> None:
        """Delete the file, because the evaluation is complete. The folder goes too, unless it has other files."""
        self._files.remove(self.name)
        with contextlib.suppress(OSError):
            self._files.own(UNFINISHED).rmdir()

    def _write(self) -> None:
        began = self._clock()
        self._stages = {stage: [self.finished(stage)] for stage in self._stages}
        arrays = {IDENTITY: np.array(self._identity)}
        for i, (stage, (columns,)) in enumerate(self._stages.items()):
            arrays |= {f"stage-{i}": np.array(stage)} | {f"{i}-{j}": column for j, column in enumerate(columns)}
        try:
            self._files.make_folder(UNFINISHED)
            self._files.write_bytes(self.name, storage.arrays_bytes(arrays))
        except DiskError as error:
            self._broken = True
            logger.warning("An interrupt would lose finished examples, because they were not saved: %s", error)
        self._due = self._clock() + max(SECONDS, PATIENCE * (self._clock() - began))

    def _read(self) -> dict[str, list[list[np.ndarray]]]:
        """Return the stages in the file, or nothing if it is missing, damaged, or of another evaluation."""
        if not self._files.has(self.name):
            return {}
        path = self._files.path(self.name)
        try:
            arrays = read_npz(path, lambda entries: check_plain(path, entries))
            if str(arrays[IDENTITY]) != self._identity:
                return {}
            names = [str(arrays[f"stage-{i}"]) for i in range(sum(name.startswith("stage-") for name in arrays))]
            widths = [sum(name.startswith(f"{i}-") for name in arrays) for i in range(len(names))]
            stages = {name: [[arrays[f"{i}-{j}"] for j in range(widths[i])]] for i, name in enumerate(names)}
        except (DataError, KeyError, RunError) as error:
            logger.warning("The evaluation starts over, because %s cannot be read: %s", path, error)
            return {}
        if any(len({len(column) for column in columns}) != 1 for (columns,) in stages.values()):
            logger.warning("The evaluation starts over, because the arrays in %s have different lengths.", path)
            return {}
        return stages
