"""Early stopping: end a training whose validation ELBO no longer rises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, final

from tfp_vae.core.errors import UsageError
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.history import Epoch, History, best_epoch

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["EarlyStopping", "Stop", "early_stop"]


class Stop(NamedTuple):
    """An early end.

    epoch: the epoch after which training ends.
    best_epoch: the epoch with the greatest validation ELBO, or 0 if none was finite.
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


def early_stop(history: History | Sequence[Epoch], patience: int | None) -> Stop | None:
    """Return the early end that a history has reached, or None.

    Training ends after epoch E if the validation ELBO of the last `patience` epochs did not exceed that of the best
    epoch B: E - B >= patience. The rule depends on the history only, so a run that was interrupted and resumed ends
    where an uninterrupted run does.

    With few validation examples the ELBO is noisy, and a patience of a few epochs may end training by chance.

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
class EarlyStopping(Callback):
    """Stop training after `patience` epochs without a better validation ELBO, see `early_stop`.

    Args:
      patience: how many epochs to wait for a better one.

    Raises:
      UsageError: the patience is below 1, or training has no validation data.
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise UsageError(f"`patience` must be at least 1, found {patience}.")
        self.patience = patience

    def begin(self, training: Training) -> None:
        """Stop a resumed training that had already reached its early end."""
        if not training.validates:
            raise UsageError("`early_stopping` needs validation data. Pass some, or leave it out.")
        if not training.totals.steps:
            self._check(training)

    def epoch(self, training: Training) -> None:
        """Stop training if the early end is reached."""
        self._check(training)

    def _check(self, training: Training) -> None:
        found = early_stop(training.history, self.patience)
        if found is not None:
            training.stop(str(found))
