"""Optimizers and learning-rate schedules.

`OPTIMIZERS` maps names to functions from a learning rate to a `tf_keras` optimizer. `SCHEDULES` maps names to functions
from the peak rate and the number of steps to a `Schedule`. The trainer sets the optimizer's learning rate at each step.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Protocol

import pydantic

from tfp_vae.core.lazy import keras, tf
from tfp_vae.core.registry import NonNegative, Positive, Table, check_keywords
from tfp_vae.core.types import Array, Tensor

__all__ = ["OPTIMIZERS", "SCHEDULES", "Optimizer", "Schedule", "adam", "adamw", "constant", "cosine", "sgd"]


class Optimizer(Protocol):
    """A `tf_keras` optimizer, as far as training uses it."""

    learning_rate: Any

    @property
    @abc.abstractmethod
    def variables(self) -> Sequence[Any]:
        """Its state: step counts and moments."""

    @abc.abstractmethod
    def build(self, var_list: Sequence[Any]) -> None:
        """Make the state for these variables."""

    @abc.abstractmethod
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> object:
        """Take one step."""


class Schedule(Protocol):
    """The learning rate as a function of the step."""

    @abc.abstractmethod
    def __call__(self, step: Array, /) -> Tensor:
        """Return the learning rate at a step, a tensor counted from 0."""


Decay = Annotated[float, pydantic.Field(ge=0, lt=1, allow_inf_nan=False)]


@check_keywords
def adam(
    learning_rate: float,
    *,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
) -> Optimizer:
    """Adam: steps scaled by running means of the gradient and its square.

        m <- beta_1 m + (1 - beta_1) g,  v <- beta_2 v + (1 - beta_2) g^2,
        w <- w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)  at step t = 1, 2, ...

    It stores two numbers per weight.

    Args:
      learning_rate: roughly the largest change of a weight in one step.
      beta_1: decay of the mean gradient.
      beta_2: decay of the mean squared gradient.
      epsilon: keeps the quotient finite if gradients vanish.

    References:
      Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """
    from tfp_vae.training.adam import Adam

    optimizer: Optimizer = Adam(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
    return optimizer


@check_keywords
def adamw(learning_rate: float, *, weight_decay: NonNegative = 4e-3) -> Optimizer:
    """Adam with decoupled weight decay.

    Each step also subtracts weight_decay * learning_rate times the weight. Unlike a penalty in the loss, this decay is
    not scaled by the mean squared gradient.

    Args:
      learning_rate: see `adam`.
      weight_decay: share of a weight to subtract per step, times the learning rate.

    References:
      Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """
    optimizer: Optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    return optimizer


@check_keywords
def sgd(learning_rate: float, *, momentum: Decay = 0.0) -> Optimizer:
    """Stochastic gradient descent, optionally with momentum.

    w <- w + v, with v <- momentum v - rate g. Its learning rate has to suit the model, while Adam's suits most models.
    """
    optimizer: Optimizer = keras.optimizers.SGD(learning_rate, momentum=momentum)
    return optimizer


OPTIMIZERS: Table[Optimizer] = Table(
    "optimizer", {"adam": adam, "adamw": adamw, "sgd": sgd}, base=Optimizer, takes=("learning_rate",)
)


@check_keywords
def constant(learning_rate: float, total_steps: int) -> Schedule:
    """Keep the learning rate the same at every step."""
    del total_steps
    return lambda step: tf.fill(tf.shape(step), learning_rate)


@check_keywords
def cosine(
    learning_rate: float,
    total_steps: int,
    *,
    floor: Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)] = 0.0,
) -> Schedule:
    """Half a cosine, from the learning rate at step 0 to `floor` times it at the last step.

    rate(t) = learning_rate (floor + (1 - floor) (1 + cos(pi t / T)) / 2) at step t of T.

    If you give a run more epochs, its cosine becomes longer, so its rate rises again.

    ```python
    schedule = tv.training.optimizers.cosine(1e-3, 100, floor=0.1)
    [float(schedule(step)) for step in (0, 50, 100)]  # 0.001, 0.00055, 0.0001
    ```

    Args:
      learning_rate: the rate at step 0.
      total_steps: T, the steps of all epochs. Later steps keep the rate of step T.
      floor: the last rate as a share of the first, from 0 to 1.

    References:
      Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts.
    """

    def at(step: Array) -> Tensor:
        progress = tf.minimum(tf.cast(step, tf.float32) / total_steps, 1.0)
        return learning_rate * (floor + (1 - floor) * 0.5 * (1 + tf.cos(math.pi * progress)))

    return at


SCHEDULES: Table[Schedule] = Table(
    "learning-rate schedule",
    {"constant": constant, "cosine": cosine},
    base=Schedule,
    group="schedules",
    takes=("learning_rate", "total_steps"),
)
