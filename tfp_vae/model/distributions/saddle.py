"""Terms of saddle-point densities, which stay accurate in float32 at large counts and concentrations.

log Gamma(x) = (x - 1/2) log x - x + log(2 pi) / 2 + remainder(x). With this form, the large terms of a density cancel
by algebra and not by subtraction. Small terms remain, which the functions below compute.

References:
  Loader (2000), Fast and accurate computation of binomial probabilities.
"""

from __future__ import annotations

import math

from tfp_vae.core.lazy import tf
from tfp_vae.core.types import Tensor

__all__ = ["FEW", "NEAR", "SERIES", "binomial_deviance", "deviance", "stirling_remainder"]

FEW = 8.0
"""Smallest number at which five terms of Stirling's series give its remainder to 1e-12."""

NEAR = 0.1
"""Largest relative difference at which the series of `deviance` is used."""

SERIES = [1 / (2 * j + 1) for j in range(8, 0, -1)] + [0.0]
"""Coefficients of sum_{j=1}^{8} w^j / (2 j + 1), highest power first, which is accurate to 1e-16 for w up to 0.01."""


def stirling_remainder(x: Tensor) -> Tensor:
    """Return log Gamma(x) - (x - 1/2) log x + x - log(2 pi) / 2 for x > 0, which falls like 1 / (12 x)."""
    few, many = tf.minimum(x, FEW), tf.maximum(x, FEW)
    direct = tf.math.lgamma(few) - (few - 0.5) * tf.math.log(few) + few - math.log(2 * math.pi) / 2
    w = 1 / many**2
    series = (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - w / 1188) * w) * w) * w) / many
    return tf.where(x < FEW, direct, series)


def deviance(x: Tensor, mean: Tensor, excess: Tensor, log_ratio: Tensor) -> Tensor:
    """Return x log(x / mean) + mean - x for positive x and mean, by a series if the terms nearly cancel.

    Args:
      x: [...].
      mean: [...].
      excess: x - mean, in a form that does not lose digits.
      log_ratio: log(x / mean). Its digits count only if x and mean differ much.
    """
    v = excess / (x + mean)
    near = excess * v + 2 * x * v * tf.math.polyval([tf.cast(c, v.dtype) for c in SERIES], v**2)
    return tf.where(tf.abs(v) < NEAR, near, x * log_ratio - excess)


def binomial_deviance(a: Tensor, b: Tensor, shares: tuple[Tensor, Tensor], log_ratios: tuple[Tensor, Tensor]) -> Tensor:
    """Return a log(a / (n p)) + b log(b / (n q)) for positive a and b with n = a + b, and shares p and q = 1 - p.

    It is the sum of two `deviance`, whose excesses are opposite: a - n p = a q - b p.

    Args:
      a: [...].
      b: [...].
      shares: p and q, [...] each.
      log_ratios: log(a / (n p)) and log(b / (n q)).
    """
    p, q = shares
    excess, n = a * q - b * p, a + b
    return deviance(a, n * p, excess, log_ratios[0]) + deviance(b, n * q, -excess, log_ratios[1])
