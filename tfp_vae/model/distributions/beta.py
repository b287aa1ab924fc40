"""The beta distribution with a density that stays accurate in float32 at large concentrations."""

from __future__ import annotations

import math
from typing import final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.types import Tensor
from tfp_vae.model.distributions.saddle import binomial_deviance, stirling_remainder

__all__ = ["LEAST", "Beta"]

LEAST = 1e-12
"""Smallest x in a division. The gradient divides by its square, which must fit into float32."""


@final
class Beta(tfd.Beta):
    """Beta distribution, p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b).

    For 0 < x < 1 and n = a + b, with the remainders R of Stirling's formula,

    log p(x) = -D(a, b) - R(a) - R(b) + R(n) + log(a b / (2 pi n)) / 2 - log x - log(1 - x),

    where D(a, b) = a log(a / (n x)) + b log(b / (n (1 - x))). The usual form subtracts log B(a, b) from the powers, and
    all three terms grow like n. At concentrations of 10^4 its float32 result is therefore wrong by 0.001 nats.

    Args:
      concentration1: a, above 0, [...].
      concentration0: b, above 0, [...].

    References:
      Loader (2000), Fast and accurate computation of binomial probabilities.
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        a, b = tf.convert_to_tensor(self.concentration1), tf.convert_to_tensor(self.concentration0)
        is_inside, n = (x > 0) & (x < 1), a + b
        p = tf.where(is_inside, x, 0.5 * tf.ones_like(x))
        least = tf.maximum(p, LEAST)
        log_ratios = (
            tf.math.log(a / (n * least)) + tf.math.log(least) - tf.math.log(p),
            tf.math.log(b / (n * (1 - p))),
        )
        remainder = stirling_remainder(n) - stirling_remainder(a) - stirling_remainder(b)
        constant = remainder + tf.math.log(a / n * b / (2 * math.pi)) / 2
        inside = constant - binomial_deviance(a, b, (p, 1 - p), log_ratios) - tf.math.log(p) - tf.math.log1p(-p)
        powers = tf.math.xlogy(a - 1, x) + tf.math.xlog1py(b - 1, -x)  # infinite at 0 and 1, unless a or b is 1
        return tf.where(is_inside, inside, powers + constant - a * tf.math.log(a / n) - b * tf.math.log(b / n))
