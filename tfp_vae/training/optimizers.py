"""Optimizers and learning-rate schedules: the only place, beside the networks, that touches Keras.

`OPTIMIZERS` makes `tf_keras` optimizers of a learning rate, `SCHEDULES` functions of the step, which `training.Trainer`
asks at every step. How a gradient is clipped and weights are averaged is the trainer's.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import pydantic

from tfp_vae.core.lazy import keras, tf
from tfp_vae.core.registry import NonNegative, Positive, Table

__all__ = ["OPTIMIZERS", "SCHEDULES", "adam", "adamw", "constant", "cosine", "sgd"]


Decay = Annotated[float, pydantic.Field(ge=0, lt=1, allow_inf_nan=False)]


def adam(
    learning_rate: Any,
    *,
    beta_1: Decay = 0.9,
    beta_2: Decay = 0.999,
    epsilon: Positive = 1e-7,
) -> Any:
    """Adam: steps scaled by running means of the gradient and its square.

        m <- beta_1 m + (1 - beta_1) g,  v <- beta_2 v + (1 - beta_2) g^2,
        w <- w - learning_rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)  at step t, from 1 on.

    Keeps two numbers for each weight.

    Args:
      learning_rate: about the most that a weight moves in a step.
      beta_1: how much of the mean gradient is kept.
      beta_2: how much of the mean square is kept.
      epsilon: keeps the quotient finite where gradients vanish.

    References:
      Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """
    return keras.optimizers.Adam(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


def adamw(learning_rate: Any, *, weight_decay: NonNegative = 4e-3) -> Any:
    """Adam with weight decay apart from the gradient.

    Each step also takes weight_decay * learning_rate times a weight off it: the decay is not scaled by the gradients'
    mean square, as one that is part of the loss would be.

    Args:
      learning_rate: as of `adam`.
      weight_decay: the share of a weight, times the learning rate, that is taken off at each step.

    References:
      Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """
    return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)


def sgd(learning_rate: Any, *, momentum: Decay = 0.0) -> Any:
    """Stochastic gradient descent, with momentum if asked.

    w <- w + v, with v <- momentum v - rate g. Needs a learning rate that suits the model, where Adam's suits most.
    """
    return keras.optimizers.SGD(learning_rate, momentum=momentum)


OPTIMIZERS = Table("optimizer", {"adam": adam, "adamw": adamw, "sgd": sgd})


def constant(learning_rate: float, total_steps: int) -> Any:
    """Keep the learning rate the same at every step."""
    del total_steps
    return lambda step: tf.fill(tf.shape(step), learning_rate)


def cosine(
    learning_rate: float,
    total_steps: int,
    *,
    floor: Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)] = 0.0,
) -> Any:
    """Half a cosine, from the learning rate at step 0 to `floor` times it at the last step.

    A run that is given more epochs is on a longer cosine, and its rate rises again.

    rate(t) = learning_rate (floor + (1 - floor) (1 + cos(pi t / T)) / 2) at step t of T.

    ```python
    schedule = tv.training.optimizers.cosine(1e-3, 100, floor=0.1)
    [float(schedule(step)) for step in (0, 50, 100)]  # 0.001, 0.00055, 0.0001
    ```

    Args:
      learning_rate: at step 0.
      total_steps: T, all epochs' steps; from there on the rate stays at `floor` times that at step 0.
      floor: from 0 to 1.

    References:
      Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts.
    """

    def at(step: Any) -> Any:
        progress = tf.minimum(tf.cast(step, tf.float32) / total_steps, 1.0)
        return learning_rate * (floor + (1 - floor) * 0.5 * (1 + tf.cos(math.pi * progress)))

    return at


SCHEDULES = Table("learning-rate schedule", {"constant": constant, "cosine": cosine})
