"""Finished parts of an evaluation, kept so that an interrupted one can continue.

An evaluation consists of stages, such as the samples of each proposal, and a stage works through its examples in
order. After each batch it passes the results to `Blocks.keep`. Before it begins, it asks for those that are there
already. This module stores nothing itself: `runs.folder.unfinished` keeps blocks in a run.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import final

import numpy as np

__all__ = ["NO_BLOCKS", "Blocks"]


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
