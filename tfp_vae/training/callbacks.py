"""Callbacks: code that runs at fixed points of a training."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

from tfp_vae.core.registry import Table, check_keywords

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["CALLBACKS", "Callback"]


@check_keywords
class Callback(abc.ABC):  # noqa: B024
    """Base class of objects that follow a training. Override the methods that you need.

    Callbacks are called in the order in which `fit` receives them, between compiled calls. They can read everything in
    `training` and may call `training.stop` or `training.interrupt`. They draw no random
    numbers of the training, so they never change its weights.

    ```python
    class Target(tv.training.Callback):
        def epoch(self, training):
            if training.history[-1].elbo > -25:
                training.stop("reached the target")

    tv.fit(vae, x, epochs=2, execution="graph", callbacks=[Target()]).ended
    ```
    """

    def begin(self, training: Training) -> None:  # noqa: B027
        """Run before the first step, after a resumed training has its weights back."""

    def progress(self, training: Training) -> None:  # noqa: B027
        """Run a few times a second within an epoch."""

    def epoch(self, training: Training) -> None:  # noqa: B027
        """Run after each epoch, when `training.history[-1]` is that epoch's record."""

    def end(self, training: Training) -> None:  # noqa: B027
        """Run once after the last step, also if an error ended training: then `training.error` holds it."""


CALLBACKS: Table[Callback] = Table("callback", {}, base=Callback)
"""The callbacks that a config may name: those of installed packages, and your own as `module:Name`."""
