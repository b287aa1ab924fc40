"""Finished parts of an evaluation, kept so that an interrupted one can continue.

An evaluation consists of stages, such as the samples of each proposal, and a stage works through its examples in
order. `in_batches` passes the results of each batch to `Blocks.keep`, and begins after those that are there already.
This module stores nothing itself: `runs.folder.unfinished` keeps blocks in a run.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import final

import numpy as np

from tfp_vae.core.errors import UsageError

__all__ = ["NO_BLOCKS", "Blocks", "in_batches"]


class Blocks(abc.ABC):
    """A place for the results of finished examples, by stage."""

    @abc.abstractmethod
    def finished(self, stage: str) -> list[np.ndarray]:
        """Return the columns of a stage, whose rows are its first examples. An empty list if there are none."""

    @abc.abstractmethod
    def keep(self, stage: str, columns: Sequence[np.ndarray]) -> None:
        """Add the results of the next examples of a stage, arrays with one row for each."""

    def within(self, name: str) -> Blocks:
        """Return the same place for a part of the evaluation, whose stages are called `<name>/<stage>`."""
        return _Part(self, name)


@final
class _Part(Blocks):
    """The stages of one part of an evaluation."""

    def __init__(self, whole: Blocks, name: str) -> None:
        self._whole, self._name = whole, name

    def finished(self, stage: str) -> list[np.ndarray]:
        return self._whole.finished(f"{self._name}/{stage}")

    def keep(self, stage: str, columns: Sequence[np.ndarray]) -> None:
        self._whole.keep(f"{self._name}/{stage}", columns)


@final
class _Nothing(Blocks):
    """Keeps nothing."""

    def finished(self, stage: str) -> list[np.ndarray]:
        del stage
        return []

    def keep(self, stage: str, columns: Sequence[np.ndarray]) -> None:
        del stage, columns

    def within(self, name: str) -> Blocks:
        del name
        return self


NO_BLOCKS = _Nothing()
"""For an evaluation that starts over after an interrupt."""


def in_batches(
    count: int,
    size: int,
    compute: Callable[[slice], Sequence[np.ndarray]],
    skipped: Callable[[int], None],
    blocks: Blocks,
    stage: str,
) -> list[np.ndarray]:
    """Return the columns that `compute` gives for all batches of `count` examples. It skips those that are finished.

    Args:
      count: number of examples.
      size: examples at once.
      compute: returns the columns of one batch.
      skipped: called with the number of examples that are finished already, if there are any.
      blocks: the place of finished batches.
      stage: their name there.

    Raises:
      UsageError: no example.
    """
    if count < 1:
        raise UsageError("expected at least one example, found none.")
    done = blocks.finished(stage)
    first = len(done[0]) if done else 0
    columns = columns_like(done, count)
    if first:
        skipped(first)
        put(columns, 0, done)
    for start in range(first, count, size):
        part = compute(slice(start, min(start + size, count)))
        blocks.keep(stage, part)
        columns = columns or columns_like(part, count)
        put(columns, start, part)
    return columns


def columns_like(part: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Return empty columns of `count` examples, like those of some of them."""
    return [np.empty((count, *column.shape[1:]), column.dtype) for column in part]


def put(columns: Sequence[np.ndarray], start: int, part: Sequence[np.ndarray]) -> None:
    """Write the columns of some examples, from the index `start` on, into the columns of all."""
    for column, values in zip(columns, part, strict=True):
        column[start : start + len(values)] = values
