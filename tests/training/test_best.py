"""`BestWeights` keeps the weights of the epoch with the highest validation ELBO."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.models import SHAPE, make
from tests.helpers.runs import assert_same
from tfp_vae.model.vae import VAE
from tfp_vae.training import BestWeights, Callback, State, Training, fit


class Keep(Callback):
    """Capture the weights in use after each epoch, and the best weights of the training."""

    def __init__(self) -> None:
        self.weights: list[dict[str, np.ndarray]] = []
        self.best_steps: list[int] = []

    def epoch(self, training: Training) -> None:
        with training.model() as vae:
            self.weights.append(State(vae).capture())
        self.best_steps.append(0 if training.best is None else training.best.step)


def worsen(restore: bool, *, ema: float | None = None, validate: bool = True) -> tuple[VAE, Keep]:
    """Train three epochs of two steps. The last two epochs move the weights far away."""
    x = np.random.default_rng(0).integers(0, 2, (20, *SHAPE)).astype(np.float32)
    vae, keep = make(), Keep()
    jump = lambda step: tf.where(step < 2, 1e-3, 20.0)  # noqa: E731
    settings = {"epochs": 3, "batch_size": 10, "execution": "eager", "lr_schedule": jump, "ema": ema}
    fit(vae, x, validation=x if validate else None, callbacks=[BestWeights(restore=restore), keep], **settings)
    return vae, keep


@pytest.mark.slow
@pytest.mark.parametrize("ema", [None, 0.5])
def test_the_model_gets_the_best_weights(ema: float | None) -> None:
    vae, keep = worsen(True, ema=ema)
    assert keep.best_steps == [2, 2, 2]
    assert_same(State(vae).capture(), keep.weights[0])


@pytest.mark.slow
def test_the_model_keeps_the_last_weights_by_default() -> None:
    vae, keep = worsen(False)
    assert keep.best_steps == [2, 2, 2]
    assert_same(State(vae).capture(), keep.weights[-1])


def test_without_validation_no_weights_are_the_best() -> None:
    vae, keep = worsen(True, validate=False)
    assert keep.best_steps == [0, 0, 0]
    assert_same(State(vae).capture(), keep.weights[-1])
    assert all(math.isfinite(array.sum()) for array in keep.weights[-1].values())
