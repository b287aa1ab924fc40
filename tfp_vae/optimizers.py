"""Optimizers and learning-rate schedules: the only place, beside the networks, that touches Keras."""

from __future__ import annotations

import math
from typing import Annotated, Any

import pydantic

from tfp_vae._lazy import keras, tf
from tfp_vae.members import NonNegative, Positive, Table

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

    References:
      Kingma and Ba (2015), Adam: a method for stochastic optimization.
    """
    return keras.optimizers.Adam(learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)


def adamw(learning_rate: Any, *, weight_decay: NonNegative = 4e-3) -> Any:
    """Adam with weight decay apart from the gradient.

    References:
      Loshchilov and Hutter (2019), Decoupled weight decay regularization.
    """
    return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)


def sgd(learning_rate: Any, *, momentum: Decay = 0.0) -> Any:
    """Stochastic gradient descent, with momentum if asked."""
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

    References:
      Loshchilov and Hutter (2017), SGDR: stochastic gradient descent with warm restarts.
    """

    def at(step: Any) -> Any:
        progress = tf.minimum(tf.cast(step, tf.float32) / total_steps, 1.0)
        return learning_rate * (floor + (1 - floor) * 0.5 * (1 + tf.cos(math.pi * progress)))

    return at


SCHEDULES = Table("learning-rate schedule", {"constant": constant, "cosine": cosine})
