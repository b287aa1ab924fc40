"""The Poisson distribution with a density that stays accurate in float32 at counts in the millions."""

from __future__ import annotations

import math
from typing import final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.types import Tensor

__all__ = ["FEW", "SERIES", "Poisson"]

FEW = 16.0
"""Smallest count at which the first three terms of Stirling's series give log x! to 1e-11."""

SERIES = [1 / (2 * j + 1) for j in range(8, 0, -1)] + [0.0]
"""Coefficients of sum_{j=1}^{8} w^j / (2 j + 1), highest power first, which is accurate to 1e-16 for w up to 0.01."""


@final
class Poisson(tfd.Poisson):
    """Poisson distribution, p(x) = rate^x exp(-rate) / x!, whose density is accurate at large counts.

    log p(x) = -deviance(x, rate) - remainder(x) - log(2 pi x) / 2,  deviance(x, r) = x log(x / r) + r - x,

    where the remainder is the error of Stirling's formula for log x!. The usual form x log r - r - log x! subtracts
    terms as large as x log x, so at a count of a million its float32 result is wrong by several nats. That form is used
    for counts below 16 only.

    ```python
    from tfp_vae.model.distributions.counts import Poisson

    Poisson(np.float32(1e6)).log_prob(np.float32(1e6))  # -log(2 pi 10^6) / 2, to the last digits of float32
    ```

    Args:
      rate: mean and variance, above 0, [...].

    References:
      Loader (2000), Fast and accurate computation of binomial probabilities.
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        many = tf.maximum(x, FEW)
        remainder = (1 / 12 - (1 / 360 - 1 / (1260 * many**2)) / many**2) / many
        large = -self._deviance(many) - remainder - tf.math.log(2 * math.pi * many) / 2
        return tf.where(x < FEW, super()._log_prob(tf.minimum(x, FEW)), large)

    def _deviance(self, x: Tensor) -> Tensor:
        """Return x log(x / r) + r - x, by a series in v = (x - r) / (x + r) if the terms nearly cancel."""
        rate = self.rate
        v = (x - rate) / (x + rate)
        near = (x - rate) * v + 2 * x * v * tf.math.polyval([tf.cast(c, v.dtype) for c in SERIES], v**2)
        return tf.where(tf.abs(v) < 0.1, near, x * tf.math.log(x / rate) + rate - x)
