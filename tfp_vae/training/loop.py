"""The compiled training loop: many steps in one call, over data resident in memory.

A `Trainer` holds the model, the data and a compiled loop, and is told which steps to take next; a `Validator` gives the
ELBO of held-out data after them; an `Average` follows the weights. None of them knows files or epochs beyond the
batches it is given: `session` puts them together into a training that can be interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from tfp_vae.core.errors import DivergenceError, UsageError
from tfp_vae.core.execution import compiled, resident
from tfp_vae.core.lazy import tf
from tfp_vae.core.seeds import Purpose, fold, generator, seed_for
from tfp_vae.model.networks import dropping
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import Bound, Objective

__all__ = ["Average", "Terms", "Totals", "Trainer", "Validator", "epoch_batches"]

Transform = Callable[[Any, Any], Any]
"""What is done to a batch in every step, such as dynamic binarization: (x, seed) -> x."""


class Terms(NamedTuple):
    """The ELBO and its two terms, in nats per example.

    elbo = -distortion - rate, whatever the objective.
    """

    elbo: float
    distortion: float
    rate: float


class Totals(NamedTuple):
    """Sums over an epoch's steps so far, of batch means in nats.

    They are carried from one compiled call to the next, so that an epoch's averages do not depend on how it was cut.
    """

    steps: int = 0
    distortion: float = 0.0
    rate: float = 0.0

    def mean(self) -> Terms:
        """Return the averages over the steps; NaN where there was none."""
        steps = self.steps or math.nan
        return Terms(-(self.distortion + self.rate) / steps, self.distortion / steps, self.rate / steps)


class Health(NamedTuple):
    """What has to stay finite in one step: the data as they came, the loss, the gradient and the weights.

    The loss alone tells too little: binarization makes 0 of NaN, and so does a fused product and relu, whose gradient
    is NaN all the same. Of the data, the gradient and the weights it is the sum of all elements, which is finite only
    if each of them is, and takes a tenth of the time of a norm.

    data: sum of the batch as gathered.
    loss: of the step.
    gradient: sum of all its elements, before it is clipped.
    weights: sum of all, after the step.
    """

    data: Any
    loss: Any
    gradient: Any
    weights: Any

    def first_bad(self) -> str | None:
        """Return the name of the first quantity that is not finite, or None."""
        return next((name for name, value in self._asdict().items() if not np.isfinite(value)), None)


def epoch_batches(examples: int, batch_size: int, steps: int, run_seed: int, epoch: int) -> np.ndarray:
    """Return the indices of an epoch's batches, int32 [steps, batch_size].

    They walk through a random permutation of the examples, then through another: ceil(examples / batch_size) steps see
    every example, and fill the last batch up with the first of a new permutation.

    ```python
    tv.training.loop.epoch_batches(examples=10, batch_size=4, steps=3, run_seed=0, epoch=0)  # [3, 4], of 0..9
    ```

    Args:
      examples: N.
      batch_size: B.
      steps: T.
      run_seed: with the epoch's number it decides the permutations.
      epoch: counted from 0.
    """
    draw = generator(run_seed, Purpose.SHUFFLE, epoch)
    passes = math.ceil(steps * batch_size / examples)
    indices = np.concatenate([draw.permutation(examples) for _ in range(passes)])
    return indices[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


@final
class Average:
    """An exponential moving average of weights, a_t = sum_s d^(t-s) w_s / sum_s d^(t-s) over the steps s = 1..t.

    w_s are the weights after step s, and d is the decay: about the last 1 / (1 - d) steps count. Those before the
    first step have no part in it. It is taken as a_t = a_(t-1) + r_t (w_t - a_(t-1)), r_t = (1 - d) / (1 - d^t), so
    that a_(t-1) and t are all that it needs to go on.

    A second copy of the weights, and a multiplication and an addition for each of them and each step.

    Args:
      variables: they hold the average, one for each that is averaged, such as those of a second model.
      decay: d, between 0 and 1.

    Raises:
      UsageError: a decay outside (0, 1).

    References:
      Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.
      Kingma and Ba (2015), Adam: a method for stochastic optimization, section 7.2.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        if not 0 < decay < 1:
            raise UsageError(f"expected a decay above 0 and below 1, found {decay:g}.")
        self.variables, self.decay = variables, decay

    def update(self, weights: Sequence[Any], step: Any) -> None:
        """Let the average follow the weights after `step`, counted from 0.

        Args:
          weights: in the order of the variables.
          step: its number, a tensor in a compiled loop.
        """
        rate = self._rate(step)
        for average, weight in zip(self.variables, weights, strict=True):
            average.assign_add(tf.cast(rate, average.dtype) * (weight - average))

    def _rate(self, step: Any) -> Any:
        taken = tf.cast(step, tf.float32) + 1
        return (1 - self.decay) / -tf.math.expm1(taken * math.log(self.decay))  # 1 - d^t, exact where d is near 1


@final
class Trainer:
    """Takes optimization steps, many in one compiled call.

    The data stay on the device, batches are gathered by index, and the seed of every draw is folded from (run seed,
    purpose, step); so the weights do not depend on how the steps are cut into calls.

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
    trainer.run(batches, end=4, first_step=0, totals=tv.training.loop.Totals()).mean()  # nats per example
    ```

    The first call compiles, which takes seconds under XLA. Memory: the data, the weights with the optimizer's state,
    and the activations of S B samples of one step.

    Args:
      vae: the model; its variables are changed in place.
      objective: the bound whose negative mean is minimized.
      optimizer: a `tf_keras` optimizer.
      schedule: step -> learning rate.
      x: training examples, [N, *event_shape]. An array that `execution.resident` need not copy is the trainer's own
        memory from then on: leave it as it is.
      transform: applied to every batch, with a seed of its own.
      run_seed: seeds every draw.
      clip_norm: gradients are scaled down to this global norm; None leaves them.
      average: follows the model's trainable variables, in the same loop; None averages nothing.
      execution: `xla`, `graph` or `eager`.

    Raises:
      UsageError: the objective does not support the model, or is an upper bound; see `Objective.check`.
    """

    def __init__(
        self,
        vae: VAE,
        objective: Objective,
        optimizer: Any,
        schedule: Callable[[Any], Any],
        x: Any,
        *,
        transform: Transform,
        run_seed: int,
        clip_norm: float | None = None,
        average: Average | None = None,
        execution: str = "xla",
    ) -> None:
        objective.check(vae)
        self.vae, self.objective, self.optimizer, self.schedule = vae, objective, optimizer, schedule
        self._x = resident(x)
        self._transform = transform
        self._run_seed = run_seed
        self._clip_norm = clip_norm
        self._average = average
        self._variables = vae.trainable_variables
        optimizer.build(self._variables)
        self._loop = compiled(self._steps, execution)

    def run(self, batches: Any, end: int, first_step: int, totals: Totals) -> Totals:
        """Take an epoch's next steps, up to `end`, and return the sums over all its steps so far.

        Args:
          batches: int32 [T, B], from `epoch_batches`.
          end: how many of the T steps will have been taken.
          first_step: the global number of the epoch's first step.
          totals: the sums so far; they tell how many steps were taken.

        Returns:
          The sums of the epoch's first `end` steps, in nats, float64.

        Raises:
          DivergenceError: at the first step whose data, loss, gradient or weights are not finite; or after the call
            whose steps leave an optimizer's state that is not.
        """
        sums = (tf.constant(totals.distortion, tf.float64), tf.constant(totals.rate, tf.float64))
        counts = (tf.constant(totals.steps), tf.constant(end), tf.constant(first_step))
        taken, (distortion, rate), health, state = self._loop(self._x, batches, counts, sums)
        bad = Health(*(float(h) for h in health)).first_bad() or (None if np.isfinite(state) else "optimizer's state")
        if bad is not None:
            raise DivergenceError(f"a value that is not finite in the {bad} at step {first_step + int(taken)}")
        return Totals(int(taken), float(distortion), float(rate))

    def _steps(self, x: Any, batches: Any, counts: Any, sums: Any) -> Any:
        """Return the steps taken, the sums, the last step's health, and whether the optimizer's state is finite.

        The loop ends with the first step that is not healthy.
        """
        begin, end, first_step = counts

        def healthy(i: Any, sums: Any, health: Health) -> Any:
            del sums
            return (i < end) & tf.reduce_all(tf.math.is_finite(tf.stack(health)))

        def step(i: Any, sums: Any, health: Health) -> Any:
            bound, health = self._step(tf.gather(x, batches[i]), first_step + i)
            terms = (bound.distortion, bound.rate)
            return i + 1, tuple(s + _mean64(t) for s, t in zip(sums, terms, strict=True)), health

        zero = tf.zeros([], x.dtype)
        start = (begin, sums, Health(zero, zero, zero, zero))
        taken, sums, health = tf.while_loop(healthy, step, start, parallel_iterations=1)
        return taken, sums, health, _sum([v for v in self.optimizer.variables if v.dtype.is_floating])

    def _step(self, x: Any, step: Any) -> tuple[Bound, Health]:
        data, x = x, self._transform(x, seed_for(self._run_seed, Purpose.BINARIZATION, step))
        seed = seed_for(self._run_seed, Purpose.LATENT, step)
        with tf.GradientTape() as tape, dropping(seed_for(self._run_seed, Purpose.DROPOUT, step)):
            bound = self.objective.bound(self.vae, x, seed=seed, step=step)
            loss = -tf.reduce_mean(bound.value)
        gradients = tape.gradient(loss, self._variables)
        gradient = _sum(gradients)
        if self._clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        # The rate waits for the whole gradient, and so does every update: XLA can then change the weights in place,
        # where it would first copy those that a gradient still needs.
        self.optimizer.learning_rate = self.schedule(step) + 0.0 * gradient
        self.optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
        if self._average is not None:
            self._average.update(self._variables, step)
        return bound, Health(_sum([data]), loss, gradient, _sum(self._variables))


def _sum(tensors: Any) -> Any:
    return tf.add_n([tf.reduce_sum(tensor) for tensor in tensors if tensor is not None])


def _mean64(terms: Any) -> Any:
    return tf.cast(tf.reduce_mean(terms), tf.float64)


@final
class Validator:
    """The mean ELBO of held-out data, the same draws every time it is asked.

    Of one sample of z for each example, if the objective is `objectives.elbo_for`'s: the same noise every time, so
    that the figures of two epochs differ by the weights alone. The last batch is filled up with the last example, which
    is counted once.

    ```python
    validate = tv.training.loop.Validator(vae, tv.objectives.elbo_for(vae), x, run_seed=0, execution="eager")
    validate().elbo  # nats per example
    ```

    Args:
      vae: the model.
      objective: gives the ELBO's terms.
      x: held-out examples, [N, *event_shape], as the likelihood takes them.
      run_seed: seeds the draws.
      batch_size: how many examples at once.
      execution: `xla`, `graph` or `eager`.
    """

    def __init__(
        self, vae: VAE, objective: Objective, x: Any, *, run_seed: int, batch_size: int = 500, execution: str = "xla"
    ) -> None:
        self._vae, self._objective = vae, objective
        self._examples = len(x)
        self._batch_size = min(batch_size, self._examples)
        self._batches = [self._padded(x, start) for start in range(0, self._examples, self._batch_size)]
        self._seed = (run_seed, int(Purpose.VALIDATION))
        self._bound = compiled(self._terms, execution)

    def __call__(self) -> Terms:
        """Return the ELBO, distortion and rate, averaged over all examples.

        One pass of encoder and decoder over all held-out examples.
        """
        parts = [np.asarray(self._bound(batch, tf.constant(i))) for i, batch in enumerate(self._batches)]
        distortion, rate = np.concatenate(parts, axis=1)[:, : self._examples].mean(axis=1, dtype=np.float64)
        return Terms(float(-distortion - rate), float(distortion), float(rate))

    def _padded(self, x: Any, start: int) -> Any:
        rows = np.minimum(np.arange(start, start + self._batch_size), self._examples - 1)
        return tf.convert_to_tensor(np.asarray(x)[rows])

    def _terms(self, x: Any, batch: Any) -> Any:
        bound = self._objective.bound(self._vae, x, seed=fold(self._seed, batch))
        return tf.stack([bound.distortion, bound.rate])
