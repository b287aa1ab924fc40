"""Keep the weights of the best epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from tfp_vae.core.registry import check_keywords
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.history import Best
from tfp_vae.training.state import State, weights_in_use

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["BestWeights", "keep_best"]


def keep_best(training: Training) -> None:
    """Copy the weights to `training.best` if the last epoch's validation bound is finite and exceeds all before it.

    It does nothing within an epoch. A resumed training calls it first, because an error of another callback may have
    ended the training before it was called.
    """
    if training.totals.steps or not training.history.epochs:
        return
    bound, best = training.history[-1].validation_bound, training.best
    if math.isfinite(bound) and (best is None or bound > best.bound):
        training.best = Best(training.step, bound, weights_in_use(training.snapshot().variables))


@final
@check_keywords
class BestWeights(Callback):
    """Keep a copy of the weights after the epoch with the greatest validation bound, in `training.best`.

    ```python
    keep = tv.training.BestWeights()
    tv.fit(vae, tv.data.load("digits"), epochs=2, execution="graph", callbacks=[keep])  # best weights
    ```

    Args:
      restore: whether the model gets these weights when training ends.
    """

    def __init__(self, *, restore: bool = True) -> None:
        self.restore = restore

    def begin(self, training: Training) -> None:
        """Copy the weights of a training that is resumed after an epoch."""
        keep_best(training)

    def epoch(self, training: Training) -> None:
        """Copy the weights if the epoch's validation bound is finite and exceeds all before it."""
        keep_best(training)

    def end(self, training: Training) -> None:
        """Restore the best weights if asked to."""
        if self.restore and training.best is not None:
            State(training.vae).restore(training.best.variables)
