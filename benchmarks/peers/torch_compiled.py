"""PyTorch through `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from benchmarks.peers.torch_eager import Base


@final
class Peer(Base):
    """Hand-written PyTorch with a compiled loss and density."""

    def prepare(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Return the function compiled."""
        compiled: Callable[..., Tensor] = torch.compile(function)
        return compiled
