"""PyTorch through `torch.compile`."""

from __future__ import annotations

from typing import final

import torch

from benchmarks.peers.torch_eager import Base, Model, takes
from benchmarks.problem import Problem

__all__ = ["Peer", "takes"]


@final
class Peer(Base):
    """Hand-written PyTorch, its loss and its density compiled."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, torch.compile(Model(problem)))
        self._log_px = torch.compile(self._plain.log_px)
