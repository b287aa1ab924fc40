"""Runs on disk: config, folder, checkpoints, results; training and loading one."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.runs import (
        build,
        checkpoint,
        config,
        frames,
        load,
        lock,
        metrics,
        recipe,
        results,
        run,
        tensorboard,
        train,
    )

__all__ = [
    "build",
    "checkpoint",
    "config",
    "frames",
    "load",
    "lock",
    "metrics",
    "recipe",
    "results",
    "run",
    "tensorboard",
    "train",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
