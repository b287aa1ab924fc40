"""Early stopping: end a training whose validation bound no longer rises, and go back to its best weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, final

from tfp_vae.core.errors import UsageError, check_counts
from tfp_vae.core.registry import check_keywords
from tfp_vae.training.best import keep_best
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.history import Epoch, History, best_epoch
from tfp_vae.training.state import State

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["EarlyStopping", "Stop", "early_stop"]


class Stop(NamedTuple):
    """An early end.

    epoch: the epoch after which training ends.
    best_epoch: the epoch with the greatest validation bound, or 0 if none was finite.
    patience: how many epochs training waited for a better one.
    """

    epoch: int
    best_epoch: int
    patience: int

    def __str__(self) -> str:
        return f"stopped early at epoch {self.epoch}, best at epoch {self.best_epoch}"

    def remedy(self) -> str:
        """Return how to continue such a training."""
        return f"Raise `early_stopping` (it is {self.patience}) to continue"


@check_keywords
def early_stop(history: History | Sequence[Epoch], patience: int | None) -> Stop | None:
    """Return the early end that a history has reached, or None.

    Training ends after epoch E if the validation bound of the last `patience` epochs did not exceed that of the best
    epoch B: E - B >= patience. The bound is that of the objective. The rule depends on the history only, so a run that
    was interrupted and resumed ends where an uninterrupted run does.

    With few validation examples the bound is noisy, and a patience of a few epochs may end training by chance.

    ```python
    history = tv.fit(vae, tv.data.load("digits"), epochs=4, learning_rate=1e-30, execution="graph")
    tv.training.early_stop(history, patience=2)  # Stop(epoch=4, best_epoch=1, patience=2)
    ```

    Args:
      history: the finished epochs.
      patience: how many epochs to wait for a better one. None waits forever.

    References:
      Prechelt (1998), Early stopping - but when?
    """
    best = best_epoch(history)
    if patience is None or len(history) - best < patience:
        return None
    return Stop(len(history), best, patience)


@final
@check_keywords
class EarlyStopping(Callback):
    """Stop training after `patience` epochs without a better validation bound, see `early_stop`.

    The model then gets the weights of the best epoch, also if all epochs were needed. The history's snapshot still
    holds the last weights, so that a training with more patience can continue.

    ```python
    stop = tv.training.EarlyStopping(patience=1)
    tv.fit(vae, x, validation=x, epochs=3, execution="graph", callbacks=[stop]).best_epoch  # its weights are in use
    ```

    Args:
      patience: how many epochs to wait for a better one.
      restore: whether the model gets the best weights when training ends.

    Raises:
      UsageError: the patience is below 1, or training has no validation data.
    """

    def __init__(self, patience: int, *, restore: bool = True) -> None:
        check_counts(patience=patience)
        self.patience, self.restore = patience, restore

    def begin(self, training: Training) -> None:
        """Stop a resumed training that had already reached its early end."""
        if not training.validates:
            raise UsageError("`early_stopping` needs validation data. Pass some, or leave it out.")
        keep_best(training)
        if not training.totals.steps:
            self._check(training)

    def epoch(self, training: Training) -> None:
        """Keep the best weights, and stop training if the early end is reached."""
        keep_best(training)
        self._check(training)

    def end(self, training: Training) -> None:
        """Restore the best weights if training came to its end. An interrupted training keeps its last ones."""
        history, kept = training.history, training.best
        best = history.best_epoch
        if self.restore and history.finished and best and kept is not None and kept.step == history[best - 1].step:
            State(training.vae).restore(kept.variables)

    def _check(self, training: Training) -> None:
        found = early_stop(training.history, self.patience)
        if found is not None:
            training.stop(str(found))
