"""A place in memory for finished parts of an evaluation, which can interrupt it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import final

import numpy as np

from tfp_vae.evaluation.effort.blocks import Blocks


@final
class MemoryBlocks(Blocks):
    """Keeps at most `most` batches, and interrupts the evaluation at the next."""

    def __init__(self, most: int = 10**9) -> None:
        self.most = most
        self.stages: dict[str, list[Sequence[np.ndarray]]] = defaultdict(list)

    def finished(self, stage: str) -> list[np.ndarray]:
        parts = self.stages.get(stage, [])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def keep(self, stage: str, columns: Sequence[np.ndarray]) -> None:
        if sum(map(len, self.stages.values())) == self.most:
            raise InterruptedError
        self.stages[stage].append(columns)
