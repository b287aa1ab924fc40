"""Training: the loop, its optimizers and schedules, and when it stops."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.training import (
        loop,
        optimizers,
        progress,
        stopping,
    )

__all__ = [
    "loop",
    "optimizers",
    "progress",
    "stopping",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
