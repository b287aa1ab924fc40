"""The compiled loop: many optimization steps in one call, over data resident in memory.

A `Trainer` takes steps and a `Validator` computes the ELBO of held-out data. `fit` calls both and decides when epochs
and training end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias, cast, final

import numpy as np

from tfp_vae.core.batch import Batch, as_batch, check_context, map_batch
from tfp_vae.core.errors import DataError, DivergenceError, UsageError
from tfp_vae.core.execution import compile_function, to_device
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import Purpose, fold, generator, seed_for
from tfp_vae.core.types import Array, DType, Seed, Tensor, Variable
from tfp_vae.data.dataset import Split, check_split
from tfp_vae.data.transforms.binarization import Binarization
from tfp_vae.model.networks import dropping
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import Bound, Objective, SemiSupervised, elbo_for, with_labels
from tfp_vae.training.average import Average
from tfp_vae.training.history import Totals, Validation
from tfp_vae.training.optimizers import Optimizer, Schedule

__all__ = ["Trainer", "Validator", "epoch_batches"]

ADVICE = "Choose a likelihood that fits, another scaling, or a `binarization`."
"""How to fix training data outside the likelihood's support."""

LAST_STEP = 2**31 - 1
"""A step at which the schedules of an objective, such as a warm-up, have ended."""

Transform: TypeAlias = Callable[[Tensor, Seed], Tensor]
"""A map of a batch in every step, such as dynamic binarization: (x, seed) -> x."""


class Health(NamedTuple):
    """Values of one step that must be finite.

    The loss alone is not enough, because binarization maps NaN to 0. So does a fused product and relu, although its
    gradient is NaN. A sum is finite only if each element is, and takes a tenth of the time of a norm.

    data: the sum of the batch before binarization, without missing cells.
    loss: the step's loss.
    gradient: the sum of its elements before clipping.
    weights: their sum after the step.

    All have the type of the model.
    """

    data: Array
    loss: Array
    gradient: Array
    weights: Array

    def first_bad(self) -> str | None:
        """Return the name of the first quantity that is not finite, or None."""
        return next((name for name, value in self._asdict().items() if not np.isfinite(value)), None)


def epoch_batches(examples: int, batch_size: int, steps: int, run_seed: int, epoch: int) -> np.ndarray:
    """Return the indices of an epoch's batches, int32 [steps, batch_size].

    They follow one random permutation of the examples after another. So ceil(examples / batch_size) steps see every
    example, and the first examples of a new permutation fill the last batch.

    ```python
    tv.training.loop.epoch_batches(examples=10, batch_size=4, steps=3, run_seed=0, epoch=0)  # [3, 4], of 0..9
    ```

    Args:
      examples: N.
      batch_size: B.
      steps: T.
      run_seed: decides the permutations, together with the epoch's number.
      epoch: counted from 0.
    """
    draw = generator(run_seed, Purpose.SHUFFLE, epoch)
    passes = math.ceil(steps * batch_size / examples)
    indices = np.concatenate([draw.permutation(examples) for _ in range(passes)])
    return indices[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def check_training_data(vae: VAE, x: np.ndarray, transform: Transform, run_seed: int) -> None:
    """Raise DataError if a model cannot have produced training examples x [N, *event_shape].

    A binarization declares the values that it takes. Of any other transform, the result of one call is checked.

    Args:
      vae: the model.
      x: the examples before the transform.
      transform: applied to every batch.
      run_seed: seeds the transform.
    """
    likelihood, binarization = vae.decoder.likelihood, getattr(transform, "__self__", None)
    shape, support = tuple(map(int, likelihood.event_shape)), likelihood.support
    if x.shape[1:] != shape:
        raise DataError(f"array: expected examples of shape {shape}, found {x.shape[1:]}.")
    if isinstance(binarization, Binarization):
        support = binarization.takes(support)
    else:
        seed = seed_for(run_seed, Purpose.BINARIZATION, 0)
        x = np.concatenate([np.asarray(transform(x[i : i + 1_000], seed)) for i in range(0, len(x), 1_000)])
    check_split("array, train split", Split(x), support, ADVICE)


@final
@check_keywords
class Trainer:
    """Take optimization steps, many in one compiled call.

    The data stay on the device and batches are gathered by index. The seed of every draw is folded from (run seed,
    purpose, step), so the weights do not depend on how the steps are divided into calls.

    ```python
    trainer = tv.training.loop.Trainer(
        vae,
        tv.objectives.ELBO(),
        tv.training.optimizers.adam(1e-3),
        tv.training.optimizers.constant(1e-3, 4),
        x,
        transform=tv.data.transforms.binarization.Unchanged().batch,
        run_seed=0,
        execution="eager",  # "xla" for dense networks, "graph" for convolutions on a CPU
    )
    batches = tv.training.loop.epoch_batches(len(x), batch_size=8, steps=4, run_seed=0, epoch=0)
    trainer.run(batches, end=4, first_step=0, totals=tv.training.Totals()).mean()  # nats per example
    ```

    The first call compiles, which takes seconds under XLA. Memory: the data, the weights with the optimizer's state,
    and the activations of S B samples of one step.

    Args:
      vae: the model. Its variables change in place. A batch gets the model's type, float32 or float64.
      objective: the bound to maximize.
      optimizer: a `tf_keras` optimizer.
      schedule: the learning rate at a step.
      x: training examples, [N, *event_shape], or a batch of them with their context. Do not change the arrays
        afterwards, because they may not be copied.
      transform: applied to every batch, with a seed of its own.
      run_seed: seeds every draw. An integer variable may hold it, so that several training runs share a compiled loop.
      clip_norm: clip gradients to this global norm. None does not clip.
      average: follows the trainable weights. None does not average.
      execution: `xla`, `graph` or `eager`.
      check: whether to check that x has the model's shape and lies in the likelihood's support. `fit` has checked it.
      batch_size: B, if the number of examples or steps will change, see `load`. A graph then serves all of them.

    Raises:
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
      UsageError: the objective cannot train this model.
    """

    def __init__(
        self,
        vae: VAE,
        objective: Objective,
        optimizer: Optimizer,
        schedule: Schedule,
        x: Array | Batch,
        *,
        transform: Transform,
        run_seed: int | Variable,
        clip_norm: float | None = None,
        average: Average | None = None,
        execution: str = "xla",
        check: bool = True,
        batch_size: int | None = None,
    ) -> None:
        objective.check(vae)
        if check:
            check_training_data(vae, np.asarray(as_batch(x).x), transform, int(run_seed))
        self.vae, self.objective, self.optimizer, self.schedule = vae, objective, optimizer, schedule
        self._bound = objective
        if isinstance(objective, SemiSupervised):  # whose classification has examples of its own
            self._bound = SemiSupervised(objective.objective)
        self.load(x)
        self._transform = transform
        self._run_seed = run_seed
        self._clip_norm = clip_norm
        self.average = average
        self._variables, self._dtype = vae.trainable_variables, vae.dtype
        optimizer.build(self._variables)
        signature = None if batch_size is None else loop_signature(self._data, batch_size)
        self._loop = compile_function(self._steps, execution, signature)

    def load(self, x: Array | Batch) -> None:
        """Use other examples x [N, *event_shape] of the same type, or a batch of them, from now on."""
        batch = as_batch(x)
        batch = self.vae.batch_with_labels(batch)
        context = check_context(batch.context, self.vae.context_size, "Training", len(batch.x))
        known = np.zeros(0, np.int32)
        if isinstance(self.objective, SemiSupervised):
            known = np.flatnonzero(np.any(context, axis=1)).astype(np.int32)
        parts = (batch.x, context, known if len(known) else None)
        self._has_labels = len(known) > 0
        self._data = tuple(to_device(part) for part in parts if part is not None)

    def compile(self, batches: Array) -> None:
        """Compile the loop without taking a step.

        Args:
          batches: of any epoch, from `epoch_batches`.
        """
        self.run(batches, 0, 0, Totals())

    def run(self, batches: Array, end: int, first_step: int, totals: Totals) -> Totals:
        """Take an epoch's next steps, up to `end`, and return the sums over all its steps so far.

        Args:
          batches: int32 [T, B], from `epoch_batches`.
          end: how many of the T steps to have taken at the end.
          first_step: the epoch's first step, counted from the start of the training.
          totals: the sums over the steps taken so far.

        Returns:
          The sums of the epoch's first `end` steps, in nats, float64.

        Raises:
          DivergenceError: the data, loss, gradient or weights of a step are not finite, or the optimizer's state is
            not finite after the call.
        """
        sums = (tf.constant(totals.distortion, tf.float64), tf.constant(totals.rate, tf.float64))
        counts = (tf.constant(totals.steps), tf.constant(end), tf.constant(first_step))
        taken, (distortion, rate), health, state = self._loop(self._data, batches, counts, sums)
        bad = Health(*(float(h) for h in health)).first_bad() or (None if np.isfinite(state) else "optimizer's state")
        if bad is not None:
            raise DivergenceError(f"a value that is not finite in the {bad} at step {first_step + int(taken)}")
        return Totals(int(taken), float(distortion), float(rate))

    def _steps(
        self, data: tuple[Tensor, ...], batches: Tensor, counts: tuple[Tensor, ...], sums: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...], Health, Tensor]:
        """Return the steps taken, the sums, the last step's health, and the sum of the optimizer's state.

        The loop ends at the first step with a value that is not finite.
        """
        begin, end, first_step = counts

        def healthy(i: Tensor, sums: tuple[Tensor, ...], health: Health) -> Tensor:
            del sums
            return (i < end) & tf.reduce_all(tf.math.is_finite(tf.stack(health)))

        def step(i: Tensor, sums: tuple[Tensor, ...], health: Health) -> tuple[Tensor, tuple[Tensor, ...], Health]:
            bound, health = self._step(data, batches[i], first_step + i)
            terms = (bound.distortion, bound.rate)
            means = (tf.cast(tf.reduce_mean(term), tf.float64) for term in terms)
            return i + 1, tuple(s + mean for s, mean in zip(sums, means, strict=True)), health

        zero = tf.zeros([], self._dtype)
        start = (begin, sums, Health(zero, zero, zero, zero))
        taken, sums, health = tf.while_loop(healthy, step, start, parallel_iterations=1)
        return taken, sums, health, _sum([v for v in self.optimizer.variables if v.dtype.is_floating], self._dtype)

    def _step(self, data: tuple[Tensor, ...], rows: Tensor, step: Tensor) -> tuple[Bound, Health]:
        x, *context = (tf.gather(part, rows) for part in (data[:-1] if self._has_labels else data))
        shown = tf.where(tf.math.is_nan(x), tf.zeros_like(x), x) if self.vae.decoder.likelihood.allows_missing else x
        x = self._transform(x, seed_for(self._run_seed, Purpose.BINARIZATION, step))
        x = tf.cast(x, self._dtype)
        seed = seed_for(self._run_seed, Purpose.LATENT, step)
        with tf.GradientTape() as tape, dropping(seed_for(self._run_seed, Purpose.DROPOUT, step)):
            # This skips the check of the values, so that an infinite value or NaN ends the loop in every execution.
            batch = Batch(x, context=context[0] if context else None)
            bound = self._bound._bound_of(self.vae, batch, seed, step)  # noqa: SLF001
            loss = -tf.reduce_mean(bound.value)
            if self._has_labels:
                loss -= self._classification(data, tf.shape(rows)[0], step)
        gradients = tape.gradient(loss, self._variables)
        self._check_reach(gradients)
        gradient = _sum(gradients, self._dtype)
        if self._clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        # Each update depends on the sum of the gradient. XLA then knows that the old weights are no longer needed and
        # updates them in place.
        rate = tf.cast(self.schedule(step), tf.float32)
        self.optimizer.learning_rate = rate + tf.cast(0.0 * gradient, tf.float32)
        self.optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        if self.average is not None:
            self.average.update(self._variables, step)
        health = Health(
            data=_sum([shown, *context], self._dtype),
            loss=tf.cast(loss, self._dtype),
            gradient=gradient,
            weights=_sum(self._variables, self._dtype),
        )
        return bound, health

    def _classification(self, data: tuple[Tensor, ...], count: Tensor, step: Tensor) -> Tensor:
        """Return the mean of alpha log q(y|x) over the data, from random examples whose class is known.

        Few of the step's own examples may have a class. The expectation is the same, but the noise is much smaller.
        """
        x, context, known = data
        seed = seed_for(self._run_seed, Purpose.LABELLED, step)
        chosen = tf.random.stateless_uniform([count], fold(seed, 0), maxval=tf.shape(known)[0], dtype=tf.int32)
        rows = tf.gather(known, chosen)
        x = tf.cast(self._transform(tf.gather(x, rows), fold(seed, 1)), self._dtype)
        share = tf.cast(tf.shape(known)[0] / tf.shape(data[0])[0], self._dtype)
        batch = Batch(x, context=tf.gather(context, rows))
        return share * cast("SemiSupervised", self.objective).classification(self.vae, batch)

    def _check_reach(self, gradients: list[Tensor | None]) -> None:
        """Raise UsageError if a network has trainable variables, but no gradient reaches any of them."""
        reached = {id(v) for v, gradient in zip(self._variables, gradients, strict=True) if gradient is not None}
        for part, network in (("encoder", self.vae.encoder.network), ("decoder", self.vae.decoder.network)):
            own = set(map(id, getattr(network, "trainable_variables", ())))
            if own and not own & reached:
                raise UsageError(
                    f"No gradient reaches the {part}'s network, because the loss does not depend on its variables in a "
                    "differentiable way. Replace the operations without a gradient, such as rounding, or wrap the "
                    "network in `tv.networks.Fixed` if it should not learn."
                )


def loop_signature(data: tuple[Tensor, ...], batch_size: int) -> tuple[object, ...]:
    """Return the signature of the loop for any number of examples like the parts of `data`, and any number of steps."""
    count, total = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.float64)
    parts = tuple(tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in data)
    batches = tf.TensorSpec([None, batch_size], tf.int32)
    return parts, batches, (count, count, count), (total, total)


def _sum(tensors: Iterable[Tensor | None], dtype: DType) -> Tensor:
    """Return the sum of the elements of all tensors that are not None."""
    return tf.add_n([tf.cast(tf.reduce_sum(tensor), dtype) for tensor in tensors if tensor is not None])


@final
@check_keywords
class Validator:
    """Compute the mean ELBO and the mean of the objective's bound of held-out data, with the same draws at every call.

    If the model has a classifier, y counts as unknown, so they are bounds on log p(x).

    The values of two epochs differ by the weights alone, because their noise is the same. The first examples
    fill up the last batch, but no example counts twice.

    The ELBO is that of `objectives.elbo_for`, with one sample per example. If the objective bounds log p(x) in another
    way, such as `IWAE`, its bound takes a second pass, with the objective's own number of samples. Schedules such as a
    warm-up of beta count as over, so that the bounds of all epochs compare.

    ```python
    validate = tv.training.loop.Validator(vae, tv.objectives.IWAE(mc_samples=5), x, run_seed=0, execution="eager")
    validate().bound, validate().elbo  # nats per example
    ```

    Args:
      vae: the model.
      objective: the bound that training maximizes.
      x: held-out examples, [N, *event_shape], or a batch of them with their context.
      run_seed: seeds the draws. An integer variable may hold it.
      batch_size: examples at once.
      execution: `xla`, `graph` or `eager`.
      pad: whether fewer examples are padded to `batch_size`, so that any number of them shares a compiled function.

    Raises:
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
    """

    def __init__(
        self,
        vae: VAE,
        objective: Objective,
        x: Array | Batch,
        *,
        run_seed: int | Variable,
        batch_size: int = 500,
        execution: str = "xla",
        pad: bool = False,
    ) -> None:
        self._vae, self._elbo = vae, with_labels(elbo_for(vae), vae)
        self._objective = None if objective.is_elbo else objective  # because its bound is then the ELBO
        self._most, self._pad = batch_size, pad
        self.load(x)
        self._seed = (run_seed, int(Purpose.VALIDATION))
        self._bound = compile_function(self._terms, execution)

    def load(self, x: Array | Batch) -> None:
        """Use other examples x [N, *event_shape] from now on, or a batch of them with their context.

        Raises:
          DataError: x has another shape than the model's examples, or values outside the likelihood's support.
        """
        batch = self._vae.batch(x, "Validation")
        if self._vae.classifier is not None:
            batch = batch._replace(context=np.zeros_like(batch.context))
        self._examples = len(batch.x)
        self._batch_size = self._most if self._pad else min(self._most, self._examples)
        self._batches = [self._padded(batch, start) for start in range(0, self._examples, self._batch_size)]

    def compile(self) -> None:
        """Compile the computation, which takes one of its batches."""
        self._bound(self._batches[0], tf.constant(0))

    def __call__(self) -> Validation:
        """Return the ELBO, distortion, rate and bound, averaged over all examples."""
        parts = [np.asarray(self._bound(batch, tf.constant(i))) for i, batch in enumerate(self._batches)]
        means = np.concatenate(parts, axis=1)[:, : self._examples].mean(axis=1, dtype=np.float64)
        distortion, rate = map(float, means[:2])
        elbo = -distortion - rate
        return Validation(elbo, distortion, rate, elbo if self._objective is None else float(means[2]))

    def _padded(self, batch: Batch, start: int) -> Batch:
        rows = np.arange(start, start + self._batch_size) % self._examples
        return map_batch(lambda part: tf.cast(np.asarray(part)[rows], self._vae.dtype), batch)

    def _terms(self, x: Batch, index: Tensor) -> Tensor:
        seed = fold(self._seed, index)
        bound = self._elbo.bound(self._vae, x, seed=seed)
        rows = [bound.distortion, bound.rate]
        if self._objective is not None:
            rows.append(self._objective.bound(self._vae, x, seed=seed, step=LAST_STEP).value)
        return tf.stack(rows)
