"""`fit`: train a model in memory.

A `Training` divides each epoch into compiled calls of about a quarter of a second. Between them it calls its callbacks,
which show progress, save checkpoints or end the training. How the steps are divided changes no number.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import math
import signal
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae.core.batch import Batch, as_batch, check_context
from tfp_vae.core.errors import DataError, DivergenceError, UsageError, check_counts, require
from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.types import Array, Tensor
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.transforms.binarization import (
    BINARIZATIONS,
    Binarization,
    Unchanged,
    choose_transform,
    prepare,
    usual_binarization,
)
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import OBJECTIVES, Objective, usual_weight, with_labels
from tfp_vae.training.average import Average, copies
from tfp_vae.training.best import BestWeights
from tfp_vae.training.callbacks import CALLBACKS, Callback
from tfp_vae.training.history import Best, Epoch, History, Snapshot, Terms, Totals, Validation
from tfp_vae.training.loop import ADVICE, Trainer, Validator, epoch_batches
from tfp_vae.training.optimizers import OPTIMIZERS, SCHEDULES, Optimizer, Schedule
from tfp_vae.training.remarks import remarks
from tfp_vae.training.state import State
from tfp_vae.training.stopping import EarlyStopping

__all__ = ["Fit", "Training", "fit", "last_fit"]

CHUNK_SECONDS = 0.25
"""Target duration of one compiled call, so that progress moves and an interrupt takes effect soon."""

ABSURD = -100.0
"""Warn if the first ELBO of a density is below this many nats per value. Data in suitable units begin at about -2."""

UNSUITABLE_UNITS = (
    "the values are too large for the likelihood. Set `scaling=standard`, or `scaling=divided:by=255` for pixels."
)
"""The reason for an absurd ELBO, and its remedy."""

UNSUITABLE_COLUMNS = (
    "values of some columns do not fit their likelihoods. Look for wrong values in the table, or set `column` or "
    "`likelihood` to choose other likelihoods."
)
"""The same for a mixed table, which takes no other scaling."""

logger = logging.getLogger("tfp_vae")


@check_keywords
def fit(
    vae: VAE,
    data: Dataset | Array | Batch,
    objective: Objective | Member | str = "elbo",
    *,
    validation: Array | Batch | None = None,
    epochs: int = 100,
    steps_per_epoch: int | None = None,
    batch_size: int = 128,
    optimizer: Optimizer | Member | str = "adam",
    learning_rate: float = 1e-3,
    lr_schedule: Schedule | Member | str = "constant",
    clip_norm: float | None = None,
    ema: float | None = None,
    seed: int = 0,
    execution: str = AUTO,
    binarization: Binarization | Member | str | None = None,
    callbacks: Iterable[Callback | Member | str] = (),
    resume: Snapshot | None = None,
) -> History:
    """Train a model in place, in memory, and return the history of its training.

    Equal arguments give equal weights, bit for bit, on one machine with equal versions. `tfp-vae train` calls this
    function too, so equal settings give equal weights there.

    ```python
    data = tv.data.load("digits")
    history = tv.fit(vae, data, tv.objectives.ELBO(mc_samples=5), epochs=2, execution="graph")
    history[-1].validation_elbo  # nats per example
    ```

    If p(x|z) is a density and `data` is a scaled data set, the history holds densities in the units of the data.

    The first call compiles, which takes seconds under XLA. Memory holds the data, the weights with the optimizer's
    state, and the activations of one step.

    Args:
      vae: the model. Its variables change in place. With `ema` it has the averaged weights when training ends.
      data: a data set with splits, an array of training examples [N, *event_shape], or a `Batch` of them with the
        context of a conditional model.
      objective: the bound to maximize: a name from `OBJECTIVES` with settings, such as `iwae:mc_samples=5`, or an
        object. For beta, warm-up and free bits, use `objectives.Weighted`.
      validation: held-out examples, if `data` is an array or a batch. Without any, the validation columns are NaN.
      epochs: the total number of epochs, also of a resumed training.
      steps_per_epoch: by default one pass over the data.
      batch_size: examples per step.
      optimizer: a name from `OPTIMIZERS` with settings, or a `tf_keras` optimizer.
      learning_rate: the peak learning rate.
      lr_schedule: a name from `SCHEDULES`, or a function from the step to the learning rate.
      clip_norm: clip gradients to this global norm. None does not clip.
      ema: decay of an exponential moving average of the weights, see `Average`. None does not average.
      seed: seeds every random draw of the training.
      execution: `auto`, `xla`, `graph` or `eager`. `auto` takes the one that finishes first.
      binarization: how grey values become binary: a name from `BINARIZATIONS`, or an object. By default `dynamic` for
        grey data under a likelihood of binary data, else `none`. Data with a dequantization cannot have both.
      callbacks: called at fixed points of the training, in this order. They end in the reverse order. Pass
        objects, or names from `CALLBACKS` with settings.
      resume: the state of an interrupted training with the same settings and data, from which this one continues.

    Raises:
      UsageError: a setting does not exist or does not fit the model, or the encoder does not support missing cells.
      DataError: the data do not have the model's shape, the likelihood has no density for them, or they differ from
        those of the training to resume.
      DivergenceError: a value in the data, loss, gradient, weights or optimizer is no longer finite.
    """
    require(VAE, vae, "fit: vae")
    check_counts(epochs=epochs, batch_size=batch_size, steps_per_epoch=steps_per_epoch)
    check_positive(learning_rate=learning_rate, clip_norm=clip_norm)
    if isinstance(data, Dataset) and validation is not None:
        raise UsageError("`validation` goes with an array. A data set has a validation split of its own.")
    dataset = data if isinstance(data, Dataset) else _array_dataset(vae, data, validation)
    shape = tuple(vae.decoder.likelihood.event_shape)
    if dataset.event_shape != shape:
        raise DataError(f"{dataset.name}: expected examples of shape {shape}, found {dataset.event_shape}.")
    for split in (dataset.train, dataset.validation):
        if len(split):
            check_context(split.context, vae.context_size, "Training", len(split))
    if dataset.condition is not None and dataset.condition.is_partial and vae.classifier is None:
        raise UsageError(
            f"{dataset.name}: the class of some training rows is unknown, but the VAE has no classifier. Pass "
            "`classifier` to `VAE`, or build it with `tv.build`."
        )
    called = [CALLBACKS.resolve(each) for each in callbacks]
    settings = {
        "objective": objective,
        "epochs": epochs,
        "steps_per_epoch": steps_per_epoch,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "lr_schedule": lr_schedule,
        "clip_norm": clip_norm,
        "ema": ema,
        "seed": seed,
        "execution": execution,
        "binarization": _choose_binarization(vae, dataset, binarization),
    }
    training = _make_training(vae, dataset, settings)
    if resume is not None:
        training.resume(resume)
    patience = next((each.patience for each in called if isinstance(each, EarlyStopping)), None)
    _FITS[vae] = Fit(dataset, settings, training.steps, patience, training.history)
    history = training.run(called)
    if history.finished:
        restored = any(isinstance(each, BestWeights | EarlyStopping) and each.restore for each in called)
        history.remarks = remarks(vae, training.dataset, history, best=restored)
        for remark in history.remarks:
            logger.warning("%s", remark)
    return history


def _choose_binarization(vae: VAE, dataset: Dataset, asked: Binarization | Member | str | None) -> Binarization:
    """Return the binarization of a training. Without one, it suits the likelihood, and a warning names the choice."""
    if asked is None:
        support = vae.decoder.likelihood.support
        asked = "none" if dataset.noise is not None else usual_binarization(support, dataset.profile)
        if asked != "none":
            logger.warning(
                "%s: grey values are binarized at random in every step. Set `binarization` to choose another way.",
                dataset.name,
            )
    chosen: Binarization = BINARIZATIONS.resolve(asked)
    return chosen


def _make_training(vae: VAE, dataset: Dataset, settings: Mapping[str, Any]) -> Training:
    """Return a training at its start, with data that are ready for it. There is a validator if there are data for it.

    Args:
      vae: the model.
      dataset: the data, before binarization.
      settings: as `Fit` keeps them.
    """
    likelihood, transform, seed = vae.decoder.likelihood, settings["binarization"], settings["seed"]
    prepared = prepare(dataset, transform, seed, support=likelihood.support, advice=ADVICE)
    if likelihood.allows_missing:
        vae.check_missing(np.asarray(dataset.train.x), dataset.train.context)
    steps = settings["steps_per_epoch"] or math.ceil(len(dataset.train) / settings["batch_size"])
    total = settings["epochs"] * steps
    execution = choose(vae, settings["execution"], examples=len(dataset.train), steps=total)
    known = 0 if dataset.train.context is None else int(dataset.train.context.any(axis=1).sum())
    objective = OBJECTIVES.resolve(settings["objective"], examples=len(dataset.train))
    objective = with_labels(objective, vae, usual_weight(known, len(dataset.train)))
    validator = None
    if len(prepared.validation):
        validator = Validator(vae, objective, prepared.validation.batch, run_seed=seed, execution=execution)
    return Training(
        _make_trainer(vae, objective, prepared, settings, steps=total, execution=execution),
        validator,
        prepared,
        epochs=settings["epochs"],
        steps=steps,
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        seed=seed,
        execution=execution,
        log_scale=likelihood.change_of_units(dataset.train.log_scale, binarized=not isinstance(transform, Unchanged)),
    )


def _make_trainer(
    vae: VAE, objective: Objective, prepared: Dataset, settings: Mapping[str, Any], *, steps: int, execution: str
) -> Trainer:
    """Return a trainer of prepared data, with the optimizer and the learning rates of all steps."""
    rate = settings["learning_rate"]
    return Trainer(
        vae,
        objective,
        OPTIMIZERS.resolve(settings["optimizer"], rate),
        SCHEDULES.resolve(settings["lr_schedule"], rate, steps),
        prepared.train.batch,
        transform=choose_transform(prepared.noise, settings["binarization"]).batch,
        run_seed=settings["seed"],
        clip_norm=settings["clip_norm"],
        average=None if settings["ema"] is None else Average(copies(vae.trainable_variables), settings["ema"]),
        execution=execution,
        check=False,  # because `prepare` has checked the data
    )


def check_positive(**numbers: float | None) -> None:
    """Raise UsageError if a number, by the name of its setting, is not above 0. None passes."""
    for name, value in numbers.items():
        if value is not None and not value > 0:
            raise UsageError(f"`{name}` must be above 0, found {value:g}.")


class Fit(NamedTuple):
    """A call of `fit`.

    data: the data set, before binarization.
    settings: the keyword arguments and the objective, by name, with the binarization as an object.
    steps: the number of steps per epoch.
    patience: of early stopping, or None without it. The callbacks are not kept, because they may hold the VAE.
    history: the history that it returns.
    """

    data: Dataset
    settings: Mapping[str, object]
    steps: int
    patience: int | None
    history: History


_FITS: weakref.WeakKeyDictionary[VAE, Fit] = weakref.WeakKeyDictionary()


def last_fit(vae: VAE) -> Fit | None:
    """Return the last call of `fit` that trained a VAE in this process, or None.

    `save` takes the data, the settings and the optimizer's state from it. They are kept as long as the VAE exists.

    ```python
    history = tv.fit(vae, x, epochs=2, execution="graph")
    tv.training.fitting.last_fit(vae).settings["epochs"]  # 2
    ```
    """
    return _FITS.get(vae)


def _array_dataset(vae: VAE, x: Array | Batch, validation: Array | Batch | None) -> Dataset:
    """Return arrays as a data set without test examples, and without validation examples if there are none."""
    if np.ndim(as_batch(x).x) == 0:  # None, for example
        require(Dataset, x, "fit: data")
    train = _array_split(vae, x)
    held_out = train[:0] if validation is None else _array_split(vae, validation)
    return Dataset("array", "as given", train, held_out, train[:0])


def _array_split(vae: VAE, x: Array | Batch) -> Split:
    """Return fully observed examples as a split, with their context if they are a batch with one."""
    batch = as_batch(x)
    if batch.observed is not None:
        raise UsageError("`fit` does not support `observed`. Load a table with missing cells with `tv.data.load`.")
    batch = vae.batch_with_labels(batch)
    values = np.asarray(batch.x, np.float32)
    return Split(values, context=check_context(batch.context, vae.context_size, "Training", len(values)))


@final
@check_keywords
class Training:
    """A training that is under way, as callbacks see it.

    vae: the model with the weights that are trained. See `model` for the weights in use.
    dataset: the data, prepared for the likelihood.
    history: records of the finished epochs.
    step: the number of steps taken.
    steps: the number of steps per epoch.
    epochs: the total number of epochs.
    totals: sums over the steps of the epoch that has begun.
    execution: `xla`, `graph` or `eager`.
    best: the best weights so far, if a `BestWeights` callback keeps them.
    validates: whether there are validation data.
    error: the exception that ended training, or None.

    The trainer and the validator hold the data, and the model and the optimizer have their initial values. If an
    earlier training run with equal settings used the same two, nothing is compiled again.
    """

    def __init__(
        self,
        trainer: Trainer,
        validator: Validator | None,
        dataset: Dataset,
        *,
        epochs: int,
        steps: int,
        batch_size: int,
        learning_rate: float,
        seed: int,
        execution: str,
        log_scale: float,
    ) -> None:
        self.vae, self.history = trainer.vae, History()
        self.best: Best | None = None
        self.step, self.steps, self.epochs, self.totals = 0, steps, epochs, Totals()
        self.execution, self.validates = execution, validator is not None
        self._log_scale = log_scale
        self.error: BaseException | None = None
        self._learning_rate, self._seed, self.dataset = learning_rate, seed, dataset
        self._examples, self._batch_size = len(dataset.train), batch_size
        self._trainer, self._validator, self._average = trainer, validator, trainer.average
        self._state = State(trainer.vae, trainer.optimizer, trainer.average)
        self._chunk, self._seconds = 1, 0.0
        self._ended, self._interrupted = "", False
        self._captured: tuple[int, dict[str, np.ndarray]] | None = None

    def __repr__(self) -> str:
        return f"Training(step {self.step:,} of {self.epochs * self.steps:,})"

    @property
    def current_epoch(self) -> int:
        """The number of the epoch that is under way or has just ended, counted from 1."""
        return len(self.history) + (1 if self.totals.steps or not self.history.epochs else 0)

    @property
    def terms(self) -> Terms:
        """Means over the steps of the epoch so far, or over the last epoch if the next has not begun."""
        if self.totals.steps or not self.history.epochs:
            return self.totals.mean().rescale(self._log_scale)
        return self.history[-1].train

    @property
    def over(self) -> bool:
        """Whether no step is left. A stop waits until the epoch that has begun is over."""
        stopped = bool(self._ended) and not self.totals.steps
        return self._interrupted or stopped or len(self.history) >= self.epochs

    def stop(self, reason: str) -> None:
        """End training after the epoch that has begun, as if this had been its last.

        Args:
          reason: what `History.ended` will say.
        """
        self._ended = self._ended or reason

    def interrupt(self, reason: str) -> None:
        """End training now, between compiled calls. It can be resumed and is not finished.

        Args:
          reason: what `History.ended` will say.
        """
        self._ended, self._interrupted = reason, True

    @contextlib.contextmanager
    def model(self) -> Iterator[VAE]:
        """Return the model with the weights in use within this block: the averaged ones if training averages them."""
        if self._average is None:
            yield self.vae
            return
        with self._average.in_place_of(self.vae.trainable_variables):
            yield self.vae

    def snapshot(self) -> Snapshot:
        """Return a copy of all that a training needs to continue from here."""
        if self._captured is None or self._captured[0] != self.step:
            self._captured = self.step, self._state.capture()
        variables = self._captured[1]
        epochs, data = tuple(self.history), self._digest()
        return Snapshot(self.step, self.totals, variables, self._seconds, epochs, self.best, data)

    def _digest(self) -> str:
        """Return a text that differs for other data and for other noise on them."""
        return f"{self.dataset.fingerprint()} {self.dataset.dequantization}"

    def resume(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot. Seeds and schedules follow from its step.

        Raises:
          DataError: the snapshot belongs to a training on other data, or with another dequantization.
          RunError: the snapshot does not fit the model.
        """
        if snapshot.data and snapshot.data != self._digest():
            raise DataError(
                f"{self.dataset.name}: `resume` belongs to a training on other data. Pass the same training and "
                "validation examples with the same `dequantization`. To train this model on other data, leave out "
                "`resume`."
            )
        self._state.restore(snapshot.variables)
        self.step, self.totals, self._seconds = snapshot.step, snapshot.totals, snapshot.seconds
        self.history.epochs, self.best = list(snapshot.epochs), snapshot.best
        self._captured = snapshot.step, dict(snapshot.variables)

    def run(self, callbacks: list[Callback]) -> History:
        """Take the epochs that are left, and return the history."""
        with contextlib.ExitStack() as stack:
            try:
                for callback in callbacks:
                    stack.callback(callback.end, self)
                    callback.begin(self)
                if not self.over:
                    self._compile()
                while not self.over:
                    self._epoch(callbacks)
            except DivergenceError as error:
                self._fail(error)
                remedy = (
                    f"Try a smaller `learning_rate` (it is {self._learning_rate:g}) or `clip_norm=10`, "
                    "and check the data."
                )
                self.error = DivergenceError(f"training diverged: {error}.", remedy=remedy)
                raise self.error from error
            except BaseException as error:
                self._fail(error)
                self.error = error
                raise
            else:
                self.history.finished = not self._interrupted
                self.history.ended = self._ended or f"all {self.epochs:,} epochs"
                self.history.snapshot = self.snapshot()
            finally:
                if self._average is not None:
                    for weight, average in zip(self.vae.trainable_variables, self._average.variables, strict=True):
                        weight.assign(average)
        return self.history

    def _fail(self, error: BaseException) -> None:
        """Keep the state in the history, so that `save` finds the best weights and all that continues the training."""
        self.history.ended = f"ended by {type(error).__name__}"
        self.history.snapshot = self.snapshot()

    def _compile(self) -> None:
        """Compile all that an epoch runs, so that an interrupt within an epoch waits for no compilation.

        The validator compiles in a second thread, because each compilation uses one core.
        """
        if self.execution == "eager":
            return
        began, epoch = time.monotonic(), len(self.history)
        batches = tf.constant(epoch_batches(self._examples, self._batch_size, self.steps, self._seed, epoch))
        with ThreadPoolExecutor(1) as threads:
            context = contextvars.copy_context()
            validator = None if self._validator is None else threads.submit(context.run, self._validator.compile)
            self._trainer.compile(batches)
        if validator is not None:
            validator.result()
        took = time.monotonic() - began
        self._seconds += took
        logger.info("compiled in %.1f s", took)

    def _epoch(self, callbacks: list[Callback]) -> None:
        """Take the steps that are left of an epoch, unless interrupted, and close it."""
        epoch = len(self.history)
        batches = tf.constant(epoch_batches(self._examples, self._batch_size, self.steps, self._seed, epoch))
        while self.totals.steps < self.steps:
            is_first = self.step == 0
            self._advance(epoch, batches)
            if is_first:
                self._check_units()
            if self.totals.steps < self.steps:
                for callback in callbacks:
                    callback.progress(self)
                if self._interrupted:
                    return
        self._close(epoch)
        for callback in callbacks:
            callback.epoch(self)

    def _check_units(self) -> None:
        """Warn if the first ELBO of a density is absurd, as it is for pixels up to 255 that were not divided."""
        likelihood, elbo = self.vae.decoder.likelihood, self.totals.mean().elbo
        if not likelihood.discrete and elbo < ABSURD * math.prod(likelihood.event_shape):
            reason = UNSUITABLE_COLUMNS if isinstance(likelihood, Columns) else UNSUITABLE_UNITS
            logger.warning("the first ELBO is %s nats per example, because %s", f"{elbo:,.0f}", reason)

    def _advance(self, epoch: int, batches: Tensor) -> None:
        """Take one chunk of steps.

        A chunk has at most twice as many steps as the last, because the first call compiles and its time misleads.
        """
        began, taken = time.monotonic(), self.totals.steps
        end, first = min(taken + self._chunk, self.steps), epoch * self.steps
        with hold_interrupts():
            self.totals = self._trainer.run(batches, end, first, self.totals)
            self.step = first + self.totals.steps
        took = time.monotonic() - began
        self._seconds += took
        self._chunk = max(1, min(2 * self._chunk, int(CHUNK_SECONDS * (end - taken) / took)))

    def _close(self, epoch: int) -> None:
        """Validate, and add the epoch to the history."""
        began = time.monotonic()
        if self._validator is None:
            validation = Validation(math.nan, math.nan, math.nan, math.nan)
        else:
            with self.model():
                validation = self._validator().rescale(self._log_scale)
        rate = float(self._trainer.schedule(tf.constant(self.step - 1)))
        seconds = self._seconds + time.monotonic() - began
        record = Epoch(epoch + 1, self.step, *self.terms, *validation, rate, seconds)
        with hold_interrupts():
            self.history.epochs.append(record)
            self.totals, self._seconds = Totals(), 0.0


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Raise a KeyboardInterrupt at the end of this block, so that a step that was taken is also recorded.

    The second interrupt is raised at once. Handlers other than Python's own stay, such as those of the command line.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if received:
        raise KeyboardInterrupt
