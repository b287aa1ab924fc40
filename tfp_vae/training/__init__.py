"""Training: `fit`, the compiled loop, optimizers, schedules and callbacks. It never touches a folder.

To add a callback, subclass `Callback` and pass an object of your class to `fit`. To add an optimizer or a schedule,
write a function and enter it in `OPTIMIZERS` or `SCHEDULES` of `optimizers`.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.training import (
        average,
        callbacks,
        fitting,
        history,
        loop,
        optimizers,
        progress,
        remarks,
        state,
        stopping,
    )
    from tfp_vae.training.average import Average
    from tfp_vae.training.best import BestWeights
    from tfp_vae.training.callbacks import CALLBACKS, Callback
    from tfp_vae.training.fitting import Training, fit
    from tfp_vae.training.history import Epoch, History, Snapshot, Terms, Totals, Validation
    from tfp_vae.training.loop import Trainer, Validator
    from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Schedule
    from tfp_vae.training.progress import Progress
    from tfp_vae.training.state import State
    from tfp_vae.training.stopping import EarlyStopping, early_stop

_PLACES = {
    "Average": "average",
    "BestWeights": "best",
    "CALLBACKS": "callbacks",
    "Callback": "callbacks",
    "EarlyStopping": "stopping",
    "Epoch": "history",
    "History": "history",
    "OPTIMIZERS": "optimizers",
    "Optimizer": "optimizers",
    "Progress": "progress",
    "SCHEDULES": "optimizers",
    "Schedule": "optimizers",
    "Snapshot": "history",
    "State": "state",
    "Terms": "history",
    "Totals": "history",
    "Trainer": "loop",
    "Training": "fitting",
    "Validation": "history",
    "Validator": "loop",
    "early_stop": "stopping",
    "fit": "fitting",
}

__all__ = [
    "CALLBACKS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Average",
    "BestWeights",
    "Callback",
    "EarlyStopping",
    "Epoch",
    "History",
    "Optimizer",
    "Progress",
    "Schedule",
    "Snapshot",
    "State",
    "Terms",
    "Totals",
    "Trainer",
    "Training",
    "Validation",
    "Validator",
    "average",
    "callbacks",
    "early_stop",
    "fit",
    "fitting",
    "history",
    "loop",
    "optimizers",
    "progress",
    "remarks",
    "state",
    "stopping",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
