"""PyTorch through `torch.compile`."""

from __future__ import annotations

from typing import Any, final

import torch

from benchmarks.peers.torch_eager import Base


@final
class Peer(Base):
    """Hand-written PyTorch, its loss and its density compiled."""

    def prepare(self, function: Any) -> Any:
        """Return it compiled."""
        return torch.compile(function)
