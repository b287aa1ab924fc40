"""Small runs, and helpers to compare two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import numpy as np

from tests.helpers.builders import CODE_POSTERIORS, CODE_PRIORS, CODES, REAL_POSTERIORS, REAL_PRIORS, SMALL
from tfp_vae import reports
from tfp_vae.data.dataset import Dataset
from tfp_vae.model.likelihoods import ELEMENTWISE
from tfp_vae.model.networks import NETWORKS
from tfp_vae.runs.config import ModelConfig, TrainingConfig
from tfp_vae.runs.frames import Film
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import plan
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.fitting import Training


def small_model(**changes: object) -> ModelConfig:
    """A model that trains in a second."""
    return ModelConfig(**{"encoder": "mlp:hidden=16", "decoder": "mlp:hidden=16", **changes})


def small_training(**changes: object) -> TrainingConfig:
    """A training of two epochs in graph mode, which starts faster than XLA."""
    return TrainingConfig(**{"epochs": 2, "execution": "graph", **changes})


def start_run(folder: Path, **training: object) -> tuple[Run, Dataset]:
    """A new run on the digits before training."""
    config, dataset = plan("digits", None, None, small_model(), small_training(**training))
    return Run.create(folder, config), dataset


def train_run_data(
    folder: Path, dataset: str, training: Mapping[str, object] | None = None, **model: object
) -> reports.RunData:
    """Train a small run with frames, and return the run_data of its pictures."""
    config, data = plan(dataset, None, None, small_model(**model), small_training(**(training or {})))
    run = Run.create(folder, config)
    assert train(run, data, callbacks=[Film(run, data)])
    return reports.RunData(LoadedRun(run), data)


@final
class Interrupt(Callback):
    """Interrupt training as soon as `asked` returns True. It is asked before the first step and after each chunk."""

    def __init__(self, asked: Callable[[], bool]) -> None:
        self.asked = asked

    def begin(self, training: Training) -> None:
        if not training.over and self.asked():
            training.interrupt("interrupted")

    progress = epoch = begin


@final
class Observer(Callback):
    """Call a function with the training after each chunk of steps and each epoch."""

    def __init__(self, call: Callable[[Training], object]) -> None:
        self.call = call

    def progress(self, training: Training) -> None:
        self.call(training)

    epoch = progress


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def without_seconds(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


CONFIGS = [
    *({"posterior": SMALL.get(name, name)} for name in REAL_POSTERIORS),
    *({"posterior": CODES if name == "categorical" else name, "prior": "uniform"} for name in CODE_POSTERIORS),
    *({"prior": SMALL.get(name, name)} for name in REAL_PRIORS),
    *({"prior": SMALL.get(name, name), "posterior": CODES} for name in CODE_PRIORS),
    *({"likelihood": SMALL.get(name, name)} for name in ELEMENTWISE),
    *({"encoder": SMALL.get(name, name), "decoder": SMALL.get(name, name)} for name in NETWORKS),
]
"""The settings of a small model for each member of each table, with a fitting prior or posterior. The member is first.

The objective `rloo` trains all of them.
"""
