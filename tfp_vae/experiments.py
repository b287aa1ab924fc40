"""Experiments: train a run, restore it, sample from it, evaluate it. What the commands do, without the talking."""

from __future__ import annotations

import functools
import math
import platform
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae import runs
from tfp_vae._lazy import tf
from tfp_vae.binarization import BINARIZATIONS
from tfp_vae.checkpoints import capture, restore
from tfp_vae.config import RunConfig, build
from tfp_vae.datasets import Dataset
from tfp_vae.errors import DivergenceError
from tfp_vae.evaluation import Estimates, Progress, estimate, summarize
from tfp_vae.execution import AUTO, choose
from tfp_vae.latent import SHOWN, Region, generate_within
from tfp_vae.objectives import OBJECTIVES, RateWeight, plain_elbo
from tfp_vae.optimizers import OPTIMIZERS, SCHEDULES
from tfp_vae.preparation import held_out_view
from tfp_vae.runs import Checkpoint, Run
from tfp_vae.seeds import Purpose, seed_for
from tfp_vae.training import Terms, Totals, Trainer, Validator, epoch_batches
from tfp_vae.vae import VAE

__all__ = ["Report", "Restored", "environment", "evaluate", "sample", "train"]

CHUNK_SECONDS = 0.25
"""About how long one compiled call takes, so that progress moves and an interrupt is heard."""

SAVE_SECONDS = 10.0
"""How long training may go on without a checkpoint, if an epoch ends."""

SAMPLES_AT_ONCE = 1_000
"""Samples decoded together; part of what a seed means."""

PACKAGES = ("tfp_vae", "tensorflow", "tensorflow-probability", "tf-keras", "numpy", "scipy", "matplotlib")


class Report(NamedTuple):
    """Where training is: the epoch (from 1), its step, its training terms so far; at an epoch's end, validation."""

    epoch: int
    step: int
    steps: int
    train: Terms
    validation: Terms | None


@final
class Restored:
    """A run's model, with the weights of its checkpoint."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.config = run.config()
        self.vae: VAE = build(self.config)
        checkpoint = run.checkpoint()
        self.step = checkpoint.step
        restore(checkpoint.variables, self.vae)


def train(
    run: Run,
    dataset: Dataset,
    *,
    starting: Callable[[str], None] = lambda execution: None,
    observe: Callable[[Report], None] = lambda report: None,
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Train a run from its start, or on from its checkpoint, and write what it learns.

    Args:
      run: the run, its config written.
      dataset: from `plan` or `reload`.
      starting: told how steps are run, before the first.
      observe: told of progress a few times a second.
      stopping: asked as often; once it says yes, a checkpoint is written and training ends.

    Returns:
      Whether training came to its end; False if it was stopped.

    Raises:
      DivergenceError: a loss, gradient norm or weight that is not finite; the last good checkpoint stays.
    """
    training = _Training(run, dataset, observe, stopping)
    starting(training.execution)
    return training.run()


@final
class _Training:
    """The course of one training: epochs, validation, metrics, checkpoints."""

    def __init__(
        self, run: Run, dataset: Dataset, observe: Callable[[Report], None], stopping: Callable[[], bool]
    ) -> None:
        self._folder, self._dataset, self._observe, self._stopping = run, dataset, observe, stopping
        self._config = run.config()
        training = self._config.training
        self._seed, self._epochs = training.seed, training.epochs
        self._steps = training.steps(len(dataset.train))
        self._vae = build(self._config, dataset.train.x.mean(axis=0))
        self.execution = execution = choose(self._vae, training.execution)
        schedule = SCHEDULES.build(training.lr_schedule, training.learning_rate, self._epochs * self._steps)
        self._trainer = Trainer(
            self._vae,
            OBJECTIVES.build(training.objective),
            OPTIMIZERS.build(training.optimizer, training.learning_rate),
            schedule,
            dataset.train.x,
            transform=_batch_transform(self._config, execution),
            run_seed=self._seed,
            rate_weight=_rate_weight(self._config, self._steps),
            clip_norm=training.clip_norm,
            execution=execution,
        )
        self._validator = Validator(
            self._vae, plain_elbo(self._vae), dataset.validation.x, run_seed=self._seed, execution=execution
        )
        self._step, self._totals, self._metrics = 0, Totals(), list[dict[str, Any]]()
        self._chunk, self._saved_at = 1, time.monotonic()
        self._good: Checkpoint | None = None
        run.write(runs.ENVIRONMENT, {**environment(), "execution": execution})
        if (run.folder / runs.CHECKPOINT).exists():
            self._resume()

    def run(self) -> bool:
        """Take the epochs that are left."""
        try:
            for epoch in range(self._step // self._steps, self._epochs):
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

    def _epoch(self, epoch: int) -> bool:
        """Take the steps left of an epoch; return whether it came to its end."""
        began = time.monotonic()
        batches = tf.constant(
            epoch_batches(len(self._dataset.train), self._config.training.batch_size, self._steps, self._seed, epoch)
        )
        while self._totals.steps < self._steps:
            if self._stopping():
                return False
            self._advance(epoch, batches)
        self._close(epoch, time.monotonic() - began)
        return True

    def _advance(self, epoch: int, batches: Any) -> None:
        """Take one chunk of steps, sized to last about `CHUNK_SECONDS`; its size changes no number."""
        began, taken = time.monotonic(), self._totals.steps
        end = min(taken + self._chunk, self._steps)
        first = epoch * self._steps
        self._totals = self._trainer.run(batches, end, first, self._totals)
        self._step = first + self._totals.steps
        per_step = (time.monotonic() - began) / (end - taken)
        self._chunk = max(1, min(2 * self._chunk, int(CHUNK_SECONDS / per_step)))
        if end < self._steps:
            self._observe(Report(epoch + 1, end, self._steps, self._totals.mean(), None))

    def _close(self, epoch: int, seconds: float) -> None:
        """Validate, note the epoch's metrics, and save if it is time."""
        train, validation = self._totals.mean(), self._validator()
        learning_rate = float(self._trainer.schedule(tf.constant(self._step - 1)))
        self._metrics.append(
            {
                "epoch": epoch + 1,
                "step": self._step,
                **train._asdict(),
                **{f"validation_{name}": value for name, value in validation._asdict().items()},
                "learning_rate": learning_rate,
                "seconds": seconds,
            }
        )
        self._totals = Totals()
        self._keep()
        if time.monotonic() - self._saved_at > SAVE_SECONDS:
            self._save()
        self._observe(Report(epoch + 1, self._steps, self._steps, train, validation))

    def _keep(self) -> None:
        """Note the state as the last good one, in memory."""
        variables = capture(self._vae, self._trainer.optimizer)
        self._good = Checkpoint(self._step, np.array(self._totals), variables)

    def _save(self) -> None:
        """Write the last good state."""
        if self._good is not None:
            self._folder.write_metrics(self._metrics)
            self._folder.save_checkpoint(self._good)
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        saved = self._folder.checkpoint()
        restore(saved.variables, self._vae, self._trainer.optimizer)
        steps, distortion, rate = saved.epoch_sums
        self._step, self._totals = saved.step, Totals(int(steps), float(distortion), float(rate))
        self._metrics = [line for line in self._folder.metrics() if line["step"] <= saved.step]

    def _advice(self) -> str:
        last = self._metrics[-1]["epoch"] if self._metrics else None
        kept = f"the checkpoint after epoch {last} is kept" if last else "no epoch was finished before it"
        rate = self._config.training.learning_rate
        return f"{kept}. Try a smaller --learning-rate (it is {rate:g}) or --clip-norm 10, and look at the data."

    def _result(self) -> dict[str, Any]:
        last = self._metrics[-1]
        return {
            "run": str(self._folder.folder),
            "dataset": self._config.data.dataset,
            "epochs": self._epochs,
            "steps": self._step,
            "parameters": sum(int(np.prod(v.shape)) for v in self._vae.trainable_variables),
            "train": {name: last[name] for name in Terms._fields},
            "validation": {name: last[f"validation_{name}"] for name in Terms._fields},
            "seconds": sum(line["seconds"] for line in self._metrics),
        }


def _rate_weight(config: RunConfig, steps: int) -> Callable[[Any], RateWeight]:
    """Return step -> the weight of the rate: beta, reached in a straight line over the warm-up, and its free bits."""
    training = config.training
    warmup = training.kl_warmup_epochs * steps
    floor = training.free_bits * config.model.latent_dim

    def at(step: Any) -> RateWeight:
        share = tf.minimum((tf.cast(step, tf.float32) + 1) / warmup, 1.0) if warmup else 1.0
        return RateWeight(training.beta * share, floor)

    return at


def _batch_transform(config: RunConfig, execution: str) -> Callable[[Any, Any], Any]:
    binarization = BINARIZATIONS.build(config.data.binarization)
    return lambda x, seed: binarization.batch(x, seed, execution)


def sample(
    restored: Restored,
    n: int,
    *,
    seed: int,
    temperature: float = 1.0,
    show: str = "mean",
    region: Region | None = None,
) -> np.ndarray:
    """Return n samples of a run's p(x), [n, *event_shape].

    Args:
      restored: the run.
      n: how many.
      seed: the sampling seed.
      temperature: scales the prior's spread.
      show: `mean` for E[x|z] with z from the prior, `draw` for x drawn from p(x|z).
      region: where z has to lie; anywhere, if not given. See `latent.generate_within`.
    """
    generate = (
        restored.vae.generate if region is None else functools.partial(generate_within, restored.vae, region=region)
    )
    parts = [
        SHOWN[show](
            generate(min(SAMPLES_AT_ONCE, n - start), seed=_sample_seed(seed, 0, start), temperature=temperature),
            _sample_seed(seed, 1, start),
        )
        for start in range(0, n, SAMPLES_AT_ONCE)
    ]
    return np.concatenate([np.asarray(part) for part in parts])


def _sample_seed(seed: int, stage: int, start: int) -> Any:
    return seed_for(seed, Purpose.SAMPLE, stage, start)


def evaluate(
    restored: Restored,
    dataset: Dataset,
    *,
    split: str = "test",
    iw_samples: int = 100,
    max_examples: int | None = None,
    seed: int = 0,
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> tuple[dict[str, Any], Estimates]:
    """Return a run's result on a split, and the estimates of each example.

    Args:
      restored: the run.
      dataset: its data, from `reload`.
      split: `train`, `validation` or `test`.
      iw_samples: K, the importance samples for each example.
      max_examples: only the first of them; all, if not given.
      seed: the evaluation seed.
      execution: `auto`, `xla`, `graph` or `eager`; they do not draw the same numbers.
      progress: told of the number of importance samples just taken.
    """
    began = time.monotonic()
    x = held_out_view(restored.config, dataset, split).x[:max_examples]
    execution = choose(restored.vae, execution)
    estimates = estimate(
        restored.vae,
        x,
        iw_samples=iw_samples,
        seed=seed_for(seed, Purpose.EVALUATION),
        execution=execution,
        progress=progress,
    )
    result = {
        "run": str(restored.run.folder),
        "dataset": restored.config.data.dataset,
        "split": split,
        "num_examples": len(x),
        "iw_samples": iw_samples,
        "seed": seed,
        "execution": execution,
        "step": restored.step,
        **summarize(estimates, math.prod(x.shape[1:]), discrete=restored.vae.decoder.likelihood.discrete)._asdict(),
        "seconds": time.monotonic() - began,
    }
    return result, estimates


def environment() -> dict[str, Any]:
    """Return the versions and the devices that a run is made with."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "devices": [device.name for device in tf.config.list_logical_devices()],
    }
