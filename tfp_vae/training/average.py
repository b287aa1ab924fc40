"""An exponential moving average of weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Tensor, Variable

__all__ = ["Average", "copies"]


@final
@check_keywords
class Average:
    """The exponential moving average of weights, a_t = sum_s d^(t-s) w_s / sum_s d^(t-s) over the steps s = 1..t.

    Here w_s are the weights after step s and d is the decay, so about the last 1 / (1 - d) steps count. The initial
    weights do not count. The recursion a_t = a_(t-1) + r_t (w_t - a_(t-1)) with r_t = (1 - d) / (1 - d^t) needs only
    the last average and t.

    The cost is a second copy of the weights, and a multiplication and an addition per weight and step.

    Args:
      variables: hold the average, one for each averaged weight, such as `copies(vae.trainable_variables)`.
      decay: d, between 0 and 1.

    Raises:
      UsageError: the decay is not between 0 and 1.

    References:
      Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.
      Kingma and Ba (2015), Adam: a method for stochastic optimization, section 7.2.
    """

    def __init__(self, variables: Sequence[Variable], decay: float) -> None:
        if not 0 < decay < 1:
            raise UsageError(f"expected a decay above 0 and below 1, found {decay:g}.")
        self.variables, self.decay = variables, decay

    def update(self, weights: Sequence[Array], step: Array) -> None:
        """Include the weights after a step in the average.

        Args:
          weights: in the order of the variables.
          step: the step's number, counted from 0.
        """
        rate = self._rate(step)
        for average, weight in zip(self.variables, weights, strict=True):
            average.assign_add(tf.cast(rate, average.dtype) * (weight - average))

    def _rate(self, step: Array) -> Tensor:
        """Return r_t, the share of the new weights in the average after a step."""
        taken = tf.cast(step, tf.float32) + 1
        return (1 - self.decay) / -tf.math.expm1(taken * math.log(self.decay))  # 1 - d^t, exact for d near 1

    @contextlib.contextmanager
    def in_place_of(self, weights: Sequence[Variable]) -> Iterator[None]:
        """Give a model the averaged weights within this block, and its own weights again after it.

        Args:
          weights: in the order of the variables.
        """
        own = [weight.numpy() for weight in weights]
        try:
            for weight, average in zip(weights, self.variables, strict=True):
                weight.assign(average)
            yield
        finally:
            for weight, value in zip(weights, own, strict=True):
                weight.assign(value)


def copies(weights: Sequence[Variable]) -> list[Variable]:
    """Return new variables with the values of these weights, for an `Average` to follow them."""
    return [tf.Variable(weight, trainable=False, name="average") for weight in weights]
