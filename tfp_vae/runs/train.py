"""The course of a training: epochs, validation, metrics, checkpoints.

`train` claims the run's folder and drives a `_Training`, which cuts epochs into compiled calls of a quarter of a second
and between them hears of interrupts, reports progress and saves. What a checkpoint holds is all that it needs to go on:
a training that was killed and resumed ends with the same weights, bit for bit, as one left in peace. Callbacks are told
and asked; none of them changes a number.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any, NamedTuple, cast, final

import numpy as np

from tfp_vae.core.errors import DivergenceError, TfpVaeError
from tfp_vae.core.execution import choose
from tfp_vae.core.lazy import tf
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.transforms.binarization import BINARIZATIONS
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import OBJECTIVES, Objective, Weighted, elbo_for
from tfp_vae.runs import archive
from tfp_vae.runs import run as runs
from tfp_vae.runs.archive import Best, Checkpoint
from tfp_vae.runs.checkpoint import capture, restore, shapes
from tfp_vae.runs.config import RunConfig, TrainingConfig, build
from tfp_vae.runs.run import Run, logger
from tfp_vae.training.loop import Average, Terms, Totals, Trainer, Validator, epoch_batches
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.training.stopping import Stop, stop

__all__ = ["Report", "environment", "train"]

CHUNK_SECONDS = 0.25
"""About how long one compiled call takes, so that progress moves and an interrupt is heard."""

SAVE_SECONDS = 10.0
"""How long training goes on without a checkpoint."""

SAVE_SHARE = 0.05
"""The most of the time that is spent on checkpoints: where they take long, they are further apart."""

PACKAGES = ("tfp_vae", "tensorflow", "tensorflow-probability", "tf-keras", "numpy", "scipy", "matplotlib")


class Report(NamedTuple):
    """Where training is: the epoch (from 1), its step, its training terms so far; at an epoch's end, validation.

    epoch: from 1 on.
    step: of the epoch, after which this is told.
    steps: how many the epoch has.
    train: means over the epoch's steps so far, nats per example.
    validation: after the epoch's last step; None before it.
    """

    epoch: int
    step: int
    steps: int
    train: Terms
    validation: Terms | None


def train(
    run: Run,
    dataset: Dataset,
    *,
    starting: Callable[[str, int], None] = lambda execution, step: None,
    observe: Callable[[Report], None] = lambda report: None,
    stopping: Callable[[], bool] = lambda: False,
    filming: Callable[[int, VAE], None] = lambda epoch, vae: None,
    recording: Callable[[Mapping[str, Any]], None] = lambda line: None,
) -> bool:
    """Train a run from its start, or on from its checkpoint, and write what it learns.

    The run's folder belongs to this process meanwhile; what happens is told in its log, and in its state what became
    of it.

    What is kept when: a checkpoint after ten seconds at most, or later where saving takes more than a twentieth of the
    time, when training is stopped, when it diverges (the last good one), and at its end. Validation data are seen after
    each epoch and decide which weights are kept as the best, and an early end where one is asked for.

    ```python notest
    run = tv.runs.run.Run.open(Path("runs/digits"))
    with tv.training.progress.training_progress(run.config().training.epochs) as observe:
        tv.runs.load.train(run, tv.runs.recipe.reload(run.config()), observe=observe)  # goes on from its checkpoint
    ```

    Args:
      run: the run, its config written.
      dataset: from `plan` or `reload`.
      starting: told how steps are run, and how many are done, before the first.
      observe: told of progress a few times a second.
      stopping: asked as often; once it says yes, a checkpoint is written and training ends.
      filming: shown the model in use before the first step, and after each epoch; see `film.Film`.
      recording: told the metrics of each epoch as it ends, and first those of the epochs that are done; see
        `events.Events`.

    Returns:
      Whether training came to its end; False if it was stopped.

    Raises:
      DivergenceError: a value that is not finite in the data, the loss, the gradient, the weights or the optimizer's
        state; the last good checkpoint stays.
      RunError: another process trains this run, or its checkpoint is missing, damaged or of another run.
      DiskError: the run could not be written to.
    """
    with run.claimed(), run.log(), _outcome(run) as done:
        training = _Training(run, dataset, observe, stopping, filming, recording)
        starting(training.execution, training.step)
        done.append(training.run())
    return done[0]


@contextmanager
def _outcome(run: Run) -> Iterator[list[bool]]:
    """Write into the run what becomes of the training within: finished (or not), stopped, or failed.

    What was raised goes on; the state is written first, and if that fails too, the first error is the one that is told.
    """
    done: list[bool] = []
    run.mark("running")
    try:
        yield done
    except BaseException as error:
        stopped = not isinstance(error, Exception)  # KeyboardInterrupt, SystemExit
        traceback = None if isinstance(error, TfpVaeError) else error
        logger.info("training ended by %s: %s", type(error).__name__, error, exc_info=traceback)
        with contextlib.suppress(TfpVaeError):  # the first error is the one to tell of
            run.mark("interrupted" if stopped else "failed", reason=str(error))
        raise
    run.mark("finished" if done[0] else "interrupted")
    logger.info("training %s", "came to its end" if done[0] else "was interrupted, after a checkpoint")


def _trainer(config: RunConfig, vae: VAE, averaged: VAE | None, x: np.ndarray, execution: str) -> Trainer:
    """Return what takes the steps, and keeps in `averaged` the moving average of the weights."""
    training, steps = config.training, config.training.steps(len(x))
    return Trainer(
        vae,
        _objective(training, steps),
        OPTIMIZERS.build(training.optimizer, training.learning_rate),
        SCHEDULES.build(training.lr_schedule, training.learning_rate, training.epochs * steps),
        x,
        transform=BINARIZATIONS.build(config.data.binarization).batch,
        run_seed=training.seed,
        clip_norm=training.clip_norm,
        average=_average(averaged, training.ema),
        execution=execution,
    )


@final
class _Training:
    """The course of one training: epochs, validation, metrics, checkpoints.

    Metrics, best weights and the place in the epoch are in the checkpoint itself, so that it has to agree with no other
    file; those that people read are written from it.
    """

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        observe: Callable[[Report], None],
        stopping: Callable[[], bool],
        filming: Callable[[int, VAE], None],
        recording: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._folder, self._dataset, self._observe, self._stopping = run, dataset, observe, stopping
        self._filming, self._recording = filming, recording
        self._config = run.config()
        training = self._config.training
        self._seed, self._epochs = training.seed, training.epochs
        self._steps = training.steps(len(dataset.train))
        saved = run.checkpoint(shapes(self._config)) if run.has_checkpoint() else None
        data_mean = dataset.train.x.mean(axis=0)
        self._vae = build(self._config, data_mean)
        self._averaged = None if training.ema is None else build(self._config, data_mean)
        self._in_use = self._vae if self._averaged is None else self._averaged
        self.execution = execution = choose(self._vae, training.execution)
        self._trainer = _trainer(self._config, self._vae, self._averaged, dataset.train.x, execution)
        self._validator = Validator(
            self._in_use, elbo_for(self._in_use), dataset.validation.x, run_seed=self._seed, execution=execution
        )
        self._step, self._totals, self._metrics = 0, Totals(), list[dict[str, Any]]()
        self._best: Best | None = None
        self._seconds = 0.0
        self._chunk, self._saves = 1, _Saves(run)
        self._good: Checkpoint | None = None
        run.write(runs.ENVIRONMENT, {**environment(), "execution": execution})
        if saved is not None:
            self._resume(saved)
        logger.info("%s, %s, from step %d of %d", self._config.data.dataset, execution, self._step, self._last_step)

    @property
    def step(self) -> int:
        """How many steps are done."""
        return self._step

    @property
    def _last_step(self) -> int:
        return self._epochs * self._steps

    def run(self) -> bool:
        """Take the epochs that are left."""
        for line in self._metrics:
            self._recording(line)
        self._folder.discard_frames(after=self._step // self._steps)
        if self._step % self._steps == 0:
            self._filming(self._step // self._steps, self._in_use)
        try:
            for epoch in range(self._step // self._steps, self._epochs):
                if self._stop() is not None:
                    break
                if not self._epoch(epoch):
                    self._keep()
                    self._save()
                    return False
        except DivergenceError as error:
            self._save()
            raise DivergenceError(f"training diverged: {error}; {self._advice()}") from error
        self._save()
        self._folder.write(runs.TRAINING, self._result())
        return True

    def _stop(self) -> Stop | None:
        """Return the early end that the epochs have come to; an epoch that is begun is brought to its end first.

        Only between epochs: a resumed training that had begun another would otherwise throw away steps that were taken.
        """
        begun = self._totals.steps > 0
        return None if begun else stop(self._metrics, self._config.training.early_stopping)

    def _epoch(self, epoch: int) -> bool:
        """Take the steps left of an epoch; return whether it came to its end."""
        batches = tf.constant(
            epoch_batches(len(self._dataset.train), self._config.training.batch_size, self._steps, self._seed, epoch)
        )
        while self._totals.steps < self._steps:
            if self._stopping():
                return False
            self._advance(epoch, batches)
        self._close(epoch)
        return True

    def _advance(self, epoch: int, batches: Any) -> None:
        """Take one chunk of steps, sized to last about `CHUNK_SECONDS`; its size changes no number.

        Twice as many steps at most as in the call before: the first call compiles, and would mislead.
        """
        began, taken = time.monotonic(), self._totals.steps
        end = min(taken + self._chunk, self._steps)
        first = epoch * self._steps
        self._totals = self._trainer.run(batches, end, first, self._totals)
        self._step = first + self._totals.steps
        took = time.monotonic() - began
        self._seconds += took
        self._chunk = max(1, min(2 * self._chunk, int(CHUNK_SECONDS * (end - taken) / took)))
        if end < self._steps:
            if self._saves.are_due():
                self._keep()
                self._save()
            self._observe(Report(epoch + 1, end, self._steps, self._totals.mean(), None))

    def _close(self, epoch: int) -> None:
        """Validate, note the epoch's metrics, and save if it is time.

        Frames are taken before the checkpoint, so that a checkpoint is never ahead of the film.
        """
        began = time.monotonic()
        train, validation = self._totals.mean(), self._validator()
        learning_rate = float(self._trainer.schedule(tf.constant(self._step - 1)))
        self._metrics.append(
            {
                "epoch": epoch + 1,
                "step": self._step,
                **train._asdict(),
                **{f"validation_{name}": value for name, value in validation._asdict().items()},
                "learning_rate": learning_rate,
                "seconds": self._seconds + time.monotonic() - began,
            }
        )
        self._recording(self._metrics[-1])
        self._totals, self._seconds = Totals(), 0.0
        self._filming(epoch + 1, self._in_use)
        self._keep()
        if self._saves.are_due():
            self._save()
        self._observe(Report(epoch + 1, self._steps, self._steps, train, validation))

    def _keep(self) -> None:
        """Note the state as the last good one, in memory, and as the best one if it is.

        Copies of all variables, so that what is saved after a divergence is from before it.
        """
        variables = capture(self._vae, self._trainer.optimizer, self._averaged)
        if self._is_best():
            self._best = Best(self._step, self._metrics[-1]["validation_elbo"], archive.in_use(variables))
        self._good = Checkpoint(
            self._step,
            np.array(self._totals),
            variables,
            self._seconds,
            self._metrics,
            self._best,
            self._config.identity(),
        )

    def _is_best(self) -> bool:
        """Return whether an epoch has just ended whose validation ELBO is finite and above all before it."""
        if not self._metrics or self._metrics[-1]["step"] != self._step:
            return False
        elbo = self._metrics[-1]["validation_elbo"]
        return bool(np.isfinite(elbo) and (self._best is None or elbo > self._best.elbo))

    def _save(self) -> None:
        """Write the last good state."""
        if self._good is not None:
            self._saves.save(self._good)

    def _resume(self, saved: Checkpoint) -> None:
        """Go on from a checkpoint; nothing else is restored, as seeds and schedules follow from the step."""
        restore(saved.variables, self._vae, self._trainer.optimizer, self._averaged)
        steps, distortion, rate = saved.epoch_sums
        self._step, self._totals = saved.step, Totals(int(steps), float(distortion), float(rate))
        self._seconds, self._best, self._metrics = saved.seconds, saved.best, [dict(line) for line in saved.history]
        self._good = saved

    def _advice(self) -> str:
        last = self._good.step if self._good is not None else None
        kept = f"the checkpoint after step {last} is kept" if last else "there is no checkpoint before it"
        rate = self._config.training.learning_rate
        return f"{kept}. Try a smaller --learning-rate (it is {rate:g}) or --clip-norm 10, and look at the data."

    def _result(self) -> dict[str, Any]:
        last, best, ended = self._metrics[-1], self._best, self._stop()
        return {
            "run": str(self._folder.folder),
            "dataset": self._config.data.dataset,
            "epochs": len(self._metrics),
            "steps": self._step,
            "parameters": sum(int(np.prod(v.shape)) for v in self._vae.trainable_variables),
            "train": {name: last[name] for name in Terms._fields},
            "validation": {name: last[f"validation_{name}"] for name in Terms._fields},
            "best": None if best is None else {"epoch": best.step // self._steps, "validation_elbo": best.elbo},
            "stopped_early": ended._asdict() if ended is not None and ended.epoch < self._epochs else None,
            "ema": self._config.training.ema,
            "seconds": sum(line["seconds"] for line in self._metrics),
        }


@final
class _Saves:
    """The checkpoints that a training writes, and when the next is due.

    Saving is synchronous: the time it takes is measured, and the next save put off by twenty times that, if that is
    more than `SAVE_SECONDS`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ended, self._took = time.monotonic(), 0.0
        self._written: Checkpoint | None = None

    def are_due(self) -> bool:
        """Return whether it is time: after `SAVE_SECONDS`, later if saving takes more than its share."""
        return time.monotonic() - self._ended > max(SAVE_SECONDS, self._took / SAVE_SHARE)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write metrics, checkpoint and state, in this order: a reader finds at least the epochs the state tells of."""
        if checkpoint is self._written:  # at the end of an epoch, which was the last
            return
        began = time.monotonic()
        self._run.write_metrics(checkpoint.history)
        self._run.save_checkpoint(checkpoint)
        self._run.mark("running", step=checkpoint.step, epochs=len(checkpoint.history))
        self._written = checkpoint
        self._ended = time.monotonic()
        self._took = self._ended - began
        logger.info("wrote a checkpoint of step %d in %.2f s", checkpoint.step, self._took)


def _objective(training: TrainingConfig, steps: int) -> Objective:
    """Return the objective of a run whose epochs have `steps` steps, with the weight of its rate."""
    objective = OBJECTIVES.build(training.objective)
    if (training.beta, training.kl_warmup_epochs, training.free_bits) == (1, 0, 0):
        return cast("Objective", objective)
    warmup_steps = training.kl_warmup_epochs * steps
    return Weighted(objective, beta=training.beta, warmup_steps=warmup_steps, free_bits=training.free_bits)


def _average(averaged: VAE | None, decay: float | None) -> Average | None:
    """Return what lets the weights of `averaged` follow those that are trained."""
    return None if averaged is None or decay is None else Average(averaged.trainable_variables, decay)


def environment() -> dict[str, Any]:
    """Return the versions and the devices that a run is made with.

    Returns:
      `python`, `platform`, `packages` (name -> version) and `devices`, as `environment.json` holds them beside the
      execution. What is in it decides numbers: other versions may give other draws or sums.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "devices": [device.name for device in tf.config.list_logical_devices()],
    }
