"""Engines: the compiled functions of one kind of model, which all estimators of this kind share in a process.

Compiling takes seconds, and a grid search fits the same kind of model many times. An engine holds one VAE whose weights
are set before each use, so the estimators themselves hold plain arrays.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar, final

import numpy as np

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Variable
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import Unchanged
from tfp_vae.model.vae import VAE
from tfp_vae.runs.build import build_model
from tfp_vae.runs.config import ModelConfig, TrainingConfig
from tfp_vae.runs.train import weighted_objective
from tfp_vae.training.average import Average, copies
from tfp_vae.training.callbacks import Callback
from tfp_vae.training.fitting import Training
from tfp_vae.training.history import History
from tfp_vae.training.loop import Trainer, Validator
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.state import State

__all__ = ["MOST_ENGINES", "Engine", "engine_for"]

T = TypeVar("T")

MOST_ENGINES, MOST_LOOPS = 8, 4
"""The most engines of a process, and the most loops of an engine. A new one replaces the one unused for longest."""

FEW_ROWS, LARGE_BATCH = 64, 500
"""Validation rows are padded to one of these numbers, so that their number seldom compiles anything."""

_ENGINES: OrderedDict[str, Engine] = OrderedDict()
_LOCK = threading.Lock()


@check_keywords
def engine_for(model: ModelConfig, event_shape: tuple[int, ...], vae: VAE | None = None) -> Engine:
    """Return the engine of a kind of model.

    Args:
      model: the settings of the model.
      event_shape: the shape of one example.
      vae: a VAE of this kind that nobody else uses, which a new engine takes. By default, it builds one.
    """
    key = f"{event_shape} {model.model_dump_json()}"
    with _LOCK:
        return keep(
            _ENGINES, key, MOST_ENGINES, lambda: Engine(build_model(model, event_shape) if vae is None else vae)
        )


def keep(found: OrderedDict[str, T], key: str, most: int, make: Callable[[], T]) -> T:
    """Return the value of a key, made if it is not there, and keep the values that were used last."""
    if key not in found:
        found[key] = make()
    found.move_to_end(key)
    while len(found) > most:
        found.popitem(last=False)
    return found[key]


class Loops(NamedTuple):
    """The compiled functions of a training run.

    trainer, validator: take steps, and compute the validation bound.
    seed: holds the seed of the training run.
    optimizer: the variables of the optimizer before the first step.
    """

    trainer: Trainer
    validator: Validator
    seed: Variable
    optimizer: Sequence[np.ndarray]


@final
@check_keywords
class Engine:
    """A VAE with its compiled functions. Its weights change with each use, so only one thread uses it at a time.

    Args:
      vae: the VAE. Its weights do not matter.
    """

    def __init__(self, vae: VAE) -> None:
        self._vae = vae
        self._state, self._lock = State(self._vae), threading.RLock()
        self._weights: Mapping[str, np.ndarray] | None = None
        self._loops: OrderedDict[str, Loops] = OrderedDict()

    @contextlib.contextmanager
    def hold(self, weights: Mapping[str, np.ndarray]) -> Iterator[VAE]:
        """Return the VAE with these weights, for use within this block only.

        Args:
          weights: from `State.capture`. Do not change them afterwards.
        """
        with self._lock:
            if self._weights is not weights:
                self._state.restore(weights)
                self._weights = weights
            yield self._vae

    def train(
        self,
        data: Dataset,
        training: TrainingConfig,
        weights: Mapping[str, np.ndarray],
        callbacks: Sequence[Callback],
        *,
        execution: str,
    ) -> tuple[Mapping[str, np.ndarray], History]:
        """Return the weights in use after a training run, and its history.

        Args:
          data: scaled, and checked against the likelihood.
          training: the settings.
          weights: the initial weights.
          callbacks: see `training.fit`.
          execution: `xla`, `graph` or `eager`.

        Raises:
          DivergenceError: a value in the data, loss, gradient, weights or optimizer is no longer finite.
        """
        vae, steps = self._vae, training.steps(len(data.train))
        with self.hold(weights):
            self._weights = None  # because training changes them
            loops = self._loops_for(data, training, execution)
            loops.seed.assign(training.seed)
            loops.trainer.load(data.train.x)
            loops.validator.load(data.validation.x)
            for variable, value in zip(loops.trainer.optimizer.variables, loops.optimizer, strict=True):
                variable.assign(value)
            if loops.trainer.average is not None:
                for average, weight in zip(loops.trainer.average.variables, vae.trainable_variables, strict=True):
                    average.assign(weight)
            history = Training(
                loops.trainer,
                loops.validator,
                data,
                epochs=training.epochs,
                steps=steps,
                batch_size=training.batch_size,
                learning_rate=training.learning_rate,
                seed=training.seed,
                execution=execution,
                log_scale=vae.decoder.likelihood.change_of_units(data.train.log_scale, binarized=False),
            ).run(list(callbacks))
            return self._state.capture(), history

    def _loops_for(self, data: Dataset, training: TrainingConfig, execution: str) -> Loops:
        """Return the compiled functions for the settings of a training run."""
        settings = training.model_dump(exclude={"seed", "epochs", "early_stopping", "callbacks"})
        steps = training.steps(len(data.train))
        lasts = training.lr_schedule.name != "constant" or training.kl_warmup_epochs > 0
        size = FEW_ROWS if len(data.validation) <= FEW_ROWS else LARGE_BATCH
        objective = weighted_objective(training, steps, len(data.train))
        key = f"{settings} {objective} {execution} {size} {(training.epochs, steps) if lasts else ''}"

        def make() -> Loops:
            vae, seed = self._vae, tf.Variable(training.seed, trainable=False, dtype=tf.int32)
            trainer = Trainer(
                vae,
                objective,
                OPTIMIZERS.build(training.optimizer, training.learning_rate),
                SCHEDULES.build(training.lr_schedule, training.learning_rate, training.epochs * steps),
                data.train.x,
                transform=Unchanged().batch,
                run_seed=seed,
                clip_norm=training.clip_norm,
                average=None if training.ema is None else Average(copies(vae.trainable_variables), training.ema),
                execution=execution,
                check=False,
                batch_size=training.batch_size,
            )
            validator = Validator(
                vae, objective, data.validation.x, run_seed=seed, batch_size=size, execution=execution, pad=True
            )
            return Loops(trainer, validator, seed, [variable.numpy() for variable in trainer.optimizer.variables])

        return keep(self._loops, key, MOST_LOOPS, make)
