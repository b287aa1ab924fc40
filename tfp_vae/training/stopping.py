"""Early stopping: when the validation ELBO has not risen for long enough, told from the history of epochs alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Stop", "best_epoch", "stop"]

History = Sequence[Mapping[str, Any]]
"""The metrics of epochs 1, 2, and so on."""


class Stop(NamedTuple):
    """An early end: after which epoch, which epoch was the best, and for how many epochs a better one was awaited."""

    epoch: int
    best_epoch: int
    patience: int

    def __str__(self) -> str:
        return f"stopped early at epoch {self.epoch}, best at epoch {self.best_epoch}"

    def remedy(self) -> str:
        """Return what to do about it."""
        return f"raise --early-stopping (it is {self.patience}) to go on"


def best_epoch(history: History) -> int:
    """Return the first epoch of the greatest finite validation ELBO; 0 where there is none.

    Of equal values the first counts, as later ones cost more training for the same.
    """
    elbos = {line["epoch"]: line["validation_elbo"] for line in history if math.isfinite(line["validation_elbo"])}
    return max(elbos, key=lambda epoch: elbos[epoch], default=0)


def stop(history: History, patience: int | None) -> Stop | None:
    """Return the early end that a history has come to, or None.

    Training ends after epoch E if the validation ELBO of the last `patience` epochs did not exceed that of the best
    epoch B: E - B >= patience. It is a function of the history, so that a run that was interrupted and resumed ends
    where one left in peace does.

    The validation ELBO is noisy where its set is small; a patience of a few epochs then ends training by chance.

    ```python
    from tfp_vae.training.stopping import stop

    history = [{"epoch": i + 1, "validation_elbo": elbo} for i, elbo in enumerate((-30.0, -25.0, -26.0, -25.5))]
    stop(history, patience=2)  # Stop(epoch=4, best_epoch=2, patience=2)
    ```

    Args:
      history: the metrics of the epochs that were finished.
      patience: how many epochs without a new best are waited for; None waits for ever.

    References:
      Prechelt (1998), Early stopping - but when?
    """
    best = best_epoch(history)
    if patience is None or len(history) - best < patience:
        return None
    return Stop(len(history), best, patience)
