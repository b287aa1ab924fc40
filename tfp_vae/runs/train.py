"""Train a run on disk: `fit` with callbacks that write the run's files.

`train` claims the run's folder, reads its checkpoint if it has one, and calls `fit`. A run that was killed and resumed
ends with the same weights, bit for bit, as an uninterrupted one, because a checkpoint holds everything that training
needs to continue. No callback changes a number.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any, cast, final

import numpy as np

from tfp_vae.core.errors import DivergenceError, RunError, TfpVaeError
from tfp_vae.core.execution import AUTO, EXECUTIONS
from tfp_vae.core.lazy import tf
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation.metrics import MEASURE_NAMES, Measure
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import OBJECTIVES, ELBOEstimator, Objective, SemiSupervised, Weighted
from tfp_vae.runs import run as runs
from tfp_vae.runs.build import Builder, build_from_config
from tfp_vae.runs.config import RunConfig, TrainingConfig
from tfp_vae.runs.folder.checkpoint import BEST, FINAL, Checkpoint, shapes
from tfp_vae.runs.folder.records import TrainingResult
from tfp_vae.runs.recipe import check_fingerprint
from tfp_vae.runs.run import Run, logger
from tfp_vae.training.best import BestWeights
from tfp_vae.training.callbacks import CALLBACKS, Callback
from tfp_vae.training.fitting import Training, fit
from tfp_vae.training.history import Epoch, History, Snapshot, Totals
from tfp_vae.training.stopping import EarlyStopping, early_stop

__all__ = [
    "Checkpoints",
    "Start",
    "environment",
    "train",
    "trained_execution",
    "training_result",
    "weighted_objective",
    "write_snapshot",
]

SAVE_SECONDS = 10.0
"""The shortest time between two checkpoints within a training run."""

SAVE_SHARE = 0.05
"""The largest share of the time that saving may take. Checkpoints that take long to write are further apart."""

PACKAGES = ("tfp_vae", "tensorflow", "tensorflow-probability", "tf-keras", "numpy", "scipy", "matplotlib")


def train(run: Run, dataset: Dataset, *, callbacks: Iterable[Callback] = (), builder: Builder | None = None) -> bool:
    """Train a run from its start or from its checkpoint, and write its files.

    It calls `fit` with callbacks that write the run. The run's folder is locked while this process trains it. The log
    records the course of the training, and the state records how it ended.

    A checkpoint is written at least every ten seconds, or less often if saving would take more than a twentieth of the
    time. Training also writes one when it is interrupted, when it diverges (the last good one), and when it ends.

    ```python notest
    run = tv.runs.run.Run.open(Path("runs/digits"))
    dataset = tv.runs.recipe.reload(run.config())
    tv.runs.train.train(run, dataset, callbacks=[tv.training.Progress()])  # continues from its checkpoint
    ```

    Args:
      run: the run. Its config has been written.
      dataset: from `plan` or `reload`.
      callbacks: more callbacks, such as `Progress`, `frames.Film` and `tensorboard.Events`. They are called before the
        checkpoint is written, so that a checkpoint is never ahead of their files.
      builder: the function that builds a hand-built VAE. By default the config names it.

    Returns:
      Whether training reached its end. False if it was interrupted.

    Raises:
      DataError: the data set is not that of the run.
      DivergenceError: a value in the data, loss, gradient, weights or optimizer is no longer finite. The last good
        checkpoint remains.
      RunError: another process trains this run, its checkpoint is missing, damaged or belongs to another run, or its
        settings were Python objects.
      DiskError: a file could not be written.
    """
    objects = run.config().training.objects
    if objects:
        raise RunError(
            f"{run.folder}: `{objects[0]}` was a Python object, which the config cannot hold. "
            "Continue the training in Python with `tv.fit`."
        )
    check_fingerprint(run.config(), dataset)
    with run.claim(), run.log(), _mark_end(run) as ended:
        config = run.config()
        training = config.training
        checkpoints = Checkpoints(run, config.identity())
        resume = checkpoints.read(shapes(config, builder=builder)) if run.has_checkpoint() else None
        vae = build_from_config(config, dataset.train_mean, dataset.train.x, builder=builder)
        patience = training.early_stopping
        try:
            history = fit(
                vae,
                dataset,
                weighted_objective(training, training.steps(len(dataset.train)), len(dataset.train)),
                epochs=training.epochs,
                steps_per_epoch=training.steps_per_epoch,
                batch_size=training.batch_size,
                optimizer=training.optimizer,
                learning_rate=training.learning_rate,
                lr_schedule=training.lr_schedule,
                clip_norm=training.clip_norm,
                ema=training.ema,
                seed=training.seed,
                execution=training.execution if resume is None else trained_execution(run),
                binarization=config.data.binarization,
                callbacks=[
                    *([] if patience is None else [EarlyStopping(patience)]),
                    BestWeights(restore=False),
                    Start(run),
                    *(CALLBACKS.build(member) for member in training.callbacks),
                    *callbacks,
                    checkpoints,
                ],
                resume=resume,
            )
        except DivergenceError as error:
            last = checkpoints.good.step if checkpoints.good is not None else 0
            kept = f"The checkpoint after step {last} is kept." if last else "There is no checkpoint before it."
            raise DivergenceError(f"{error} {kept}") from error
        if history.finished:
            run.write(runs.TRAINING, training_result(run, vae, history).content())
        ended.append(history.finished)
    return ended[0]


def trained_execution(run: Run) -> str:
    """Return the execution that a run was trained with, because others draw other numbers.

    It is that of the config if the run does not know it, or if it was trained on other devices.
    """
    wanted = run.config().training.execution
    if wanted != AUTO:
        return wanted
    try:
        found = run.environment()
    except RunError:  # the file is damaged, and nothing else depends on it
        return wanted
    same = found is not None and found.devices == [device.name for device in tf.config.list_logical_devices()]
    return found.execution if found is not None and same and found.execution in EXECUTIONS else wanted


@contextmanager
def _mark_end(run: Run) -> Iterator[list[bool]]:
    """Record how the training in this block ended: finished, interrupted or failed.

    An exception continues after the state is written. If writing the state fails too, the first error counts.
    """
    ended: list[bool] = []
    run.mark("running")
    try:
        yield ended
    except BaseException as error:
        stopped = not isinstance(error, Exception)  # KeyboardInterrupt, SystemExit
        traceback = None if isinstance(error, TfpVaeError) else error
        logger.info("training ended by %s: %s", type(error).__name__, error, exc_info=traceback)
        with contextlib.suppress(TfpVaeError):
            run.mark("interrupted" if stopped else "failed", reason=str(error))
        raise
    run.mark("finished" if ended[0] else "interrupted")
    logger.info("training %s", "came to its end" if ended[0] else "was interrupted, after a checkpoint")


@final
class Checkpoints(Callback):
    """Write the checkpoints of a run, its metrics and its state.

    The metrics, the best weights and the position within the epoch are in the checkpoint itself, so it does not depend
    on other files. The file of metrics is written from it.

    Saving is synchronous. The next save waits at least twenty times as long as the last one took.

    Args:
      run: the run.
      identity: the digest of its config.
    """

    def __init__(self, run: Run, identity: str) -> None:
        self.good: Snapshot | None = None
        self._run, self._identity = run, identity
        self._ended, self._took = time.monotonic(), 0.0
        self._written: int | None = None

    def read(self, expected: Mapping[str, Any]) -> Snapshot:
        """Return the state in the run's checkpoint.

        Args:
          expected: shapes and types of the variables, from `checkpoint.shapes`.

        Raises:
          RunError: the checkpoint is missing, damaged or belongs to another run.
        """
        saved = self._run.checkpoint(expected)
        steps, distortion, rate = saved.epoch_sums
        totals = Totals(int(steps), float(distortion), float(rate))
        epochs = tuple(Epoch(**line) for line in saved.history)
        self.good = Snapshot(saved.step, totals, saved.variables, saved.seconds, epochs, saved.best)
        return self.good

    def begin(self, training: Training) -> None:
        """Start the clock."""
        del training
        self._ended = time.monotonic()

    def progress(self, training: Training) -> None:
        """Save within an epoch if it is time."""
        if self.are_due():
            self.good = training.snapshot()
            self._save(self.good)

    def epoch(self, training: Training) -> None:
        """Keep a copy of the state, and save it if it is time."""
        self.good = training.snapshot()
        if self.are_due():
            self._save(self.good)

    def end(self, training: Training) -> None:
        """Save the last state, or the last good one if training diverged."""
        if training.error is None:
            self.good = training.history.snapshot
        elif not isinstance(training.error, DivergenceError):
            return
        if self.good is not None and self.good.step != self._written:
            self._save(self.good)

    def are_due(self) -> bool:
        """Return whether it is time to save."""
        return time.monotonic() - self._ended > max(SAVE_SECONDS, self._took / SAVE_SHARE)

    def _save(self, snapshot: Snapshot) -> None:
        began = time.monotonic()
        write_snapshot(self._run, self._identity, snapshot)
        self._written = snapshot.step
        self._ended = time.monotonic()
        self._took = self._ended - began
        logger.info("wrote a checkpoint of step %d in %.2f s", snapshot.step, self._took)


def write_snapshot(run: Run, identity: str, snapshot: Snapshot, *, in_use: str = "") -> None:
    """Write the metrics, the checkpoint and the state of a run.

    The state comes last, so that a reader finds all epochs that it counts.

    Args:
      run: the run.
      identity: the digest of its config.
      snapshot: the state of its training.
      in_use: the weights that commands use by default, see `Checkpoint`.
    """
    history = [each._asdict() for each in snapshot.epochs]
    run.write_metrics(history)
    run.save_checkpoint(
        Checkpoint(
            snapshot.step,
            np.array(snapshot.totals),
            snapshot.variables,
            snapshot.seconds,
            history,
            snapshot.best,
            identity,
            in_use,
        )
    )
    run.mark("running", step=snapshot.step, epochs=len(history))


@final
class Start(Callback):
    """Write the environment of a run, log where training starts, and remove frames that training will replace.

    Args:
      run: the run.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def begin(self, training: Training) -> None:
        """Do all of that."""
        self._run.write(runs.ENVIRONMENT, {**environment(), "execution": training.execution})
        last = training.epochs * training.steps
        dataset = self._run.config().data.dataset
        logger.info("%s, %s, from step %d of %d", dataset, training.execution, training.step, last)
        self._run.discard_frames(after=len(training.history))


def weighted_objective(training: TrainingConfig, steps: int, examples: int) -> Objective:
    """Return the objective of a run with `steps` steps per epoch for as many examples, with all of its weights."""
    objective: Objective = OBJECTIVES.build(training.objective, examples=examples)
    if (training.beta, training.kl_warmup_epochs, training.free_bits) != (1, 0, 0):
        estimator, warmup_steps = cast("ELBOEstimator", objective), training.kl_warmup_epochs * steps
        objective = Weighted(estimator, beta=training.beta, warmup_steps=warmup_steps, free_bits=training.free_bits)
    if training.classifier_weight is not None:
        objective = SemiSupervised(objective, weight=training.classifier_weight)
    return objective


def measure(config: RunConfig, vae: VAE) -> Measure:
    """Return the kind of likelihood that a run gives, and the units of its densities.

    Args:
      config: the config of the run.
      vae: its VAE.
    """
    data = config.data
    names = {name: getattr(data, name).name for name in MEASURE_NAMES[1:]}
    masked = not vae.decoder.missingness.ignorable
    return Measure.of(
        vae.decoder.likelihood, config.model.likelihood.name, **names, masked=masked, log_scale=data.log_scale
    )


def training_result(run: Run, vae: VAE, history: History) -> TrainingResult:
    """Return the result of a finished run, for `training.json`.

    Args:
      run: the run.
      vae: its VAE.
      history: of its training.
    """
    config, last, best = run.config(), history[-1], history.best_epoch
    kind, train, validation = measure(config, vae), last.train._asdict(), last.validation._asdict()
    stopped = early_stop(history, config.training.early_stopping)
    is_early = stopped is not None and stopped.epoch < config.training.epochs
    return TrainingResult.model_validate(
        {
            "run": str(run.folder),
            "dataset": config.data.dataset,
            "epochs": len(history),
            "steps": last.step,
            "parameters": sum(int(np.prod(v.shape)) for v in vae.trainable_variables),
            **kind.describe(),
            "train": {**train, **kind.of_scaled_values(train)},
            "validation": {**validation, **kind.of_scaled_values(validation)},
            "best": {
                "epoch": best,
                "validation_elbo": history[best - 1].validation_elbo,
                "validation_bound": history[best - 1].validation_bound,
            }
            if best
            else None,
            "weights": FINAL if best == 0 or config.training.early_stopping is None else BEST,
            "remarks": list(history.remarks),
            "stopped_early": stopped._asdict() if stopped is not None and is_early else None,
            "ema": config.training.ema,
            "seconds": sum(each.seconds for each in history),
        }
    )


def environment() -> dict[str, Any]:
    """Return the versions and devices of this process.

    They affect the numbers of a run, because other versions may draw or sum differently.

    Returns:
      `python`, `platform`, `packages` (name -> version) and `devices`. `environment.json` holds them together with the
      execution.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "devices": [device.name for device in tf.config.list_logical_devices()],
    }
