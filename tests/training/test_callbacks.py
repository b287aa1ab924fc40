"""Your own callbacks follow a training and may end it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.models import SHAPE, make
from tests.helpers.runs import assert_same
from tfp_vae.training import BestWeights, Callback, History, Progress, State, Training, fit


def short(**more: object) -> tuple[object, History]:
    x = np.random.default_rng(0).integers(0, 2, (20, *SHAPE)).astype(np.float32)
    vae = make()
    return vae, fit(vae, x, **{"validation": x, "epochs": 2, "batch_size": 10, "execution": "eager", **more})


class Stop(Callback):
    """Stop after the first epoch."""

    def epoch(self, training: Training) -> None:
        training.stop("reached the target")


class Broken(Callback):
    """Fail in the first epoch."""

    def epoch(self, training: Training) -> None:
        raise KeyError("mine")


class Witness(Callback):
    """Keep the error that training reports at its end."""

    error: BaseException | None = None

    def end(self, training: Training) -> None:
        self.error = training.error


def test_a_callback_may_stop_training() -> None:
    _, history = short(callbacks=[Stop()])
    assert (len(history), history.ended, history.finished) == (1, "reached the target", True)


@pytest.mark.slow
def test_callbacks_change_no_weight() -> None:
    without, _ = short()
    watched, _ = short(callbacks=[Callback(), Progress(), BestWeights(restore=False)])
    assert_same(State(watched).capture(), State(without).capture())


def test_other_callbacks_end_if_one_fails() -> None:
    witness = Witness()
    with pytest.raises(KeyError, match="mine"):
        short(callbacks=[witness, Broken()])
    assert isinstance(witness.error, KeyError)
