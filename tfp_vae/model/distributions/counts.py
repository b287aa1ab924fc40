"""Distributions of counts with densities that stay accurate in float32 at counts in the millions."""

from __future__ import annotations

import math
from typing import final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.types import Tensor
from tfp_vae.model.distributions.saddle import binomial_deviance, deviance, stirling_remainder

__all__ = ["MOST", "NegativeBinomial", "Poisson"]

MOST = 30.0
"""Largest absolute logit whose sigmoid is divided by. Beyond, log p or log q is linear in the logit to 1e-13."""


@final
class Poisson(tfd.Poisson):
    """Poisson distribution, p(x) = rate^x exp(-rate) / x!, whose density is accurate at large counts.

    log p(x) = -deviance(x, rate) - remainder(x) - log(2 pi x) / 2,  deviance(x, r) = x log(x / r) + r - x,

    for x > 0, where the remainder is the error of Stirling's formula for log x!. The usual form x log r - r - log x!
    subtracts terms as large as x log x, so at a count of a million its float32 result is wrong by several nats.

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
        some, rate = tf.maximum(x, 1.0), self.rate
        distance = deviance(some, rate, some - rate, tf.math.log(some / rate))
        return tf.where(x > 0, -distance - stirling_remainder(some) - tf.math.log(2 * math.pi * some) / 2, -rate)


@final
class NegativeBinomial(tfd.NegativeBinomial):
    """Negative binomial distribution, Gamma(x + r) / (x! Gamma(r)) q^r p^x, p = sigmoid(logits), q = 1 - p.

    For x > 0 and n = x + r, with the remainders R of Stirling's formula,

    log p(x) = -D(x, r) - R(x) - R(r) + R(n) - log(2 pi x n / r) / 2,  D(x, r) = x log(x / (n p)) + r log(r / (n q)).

    The density has no large terms that cancel. The usual form subtracts log Gamma(r) from log Gamma(x + r), so its
    float32 result is wrong by several nats if r is a million.

    ```python
    from tfp_vae.model.distributions.counts import NegativeBinomial

    p = NegativeBinomial(np.float32(1e6), logits=np.float32(np.log(0.01)))  # mean 10^4, nearly a Poisson
    p.log_prob(np.float32(1e4))  # -log(2 pi 10^4 1.01) / 2, to the last digits of float32
    ```

    Args:
      total_count: r, above 0, [...].
      logits: [...].

    References:
      Loader (2000), Fast and accurate computation of binomial probabilities.
    """

    def _log_prob(self, x: Tensor) -> Tensor:
        r, logits = tf.convert_to_tensor(self.total_count), self._logits_parameter_no_checks()
        some, inside = tf.maximum(x, 1.0), tf.clip_by_value(logits, -MOST, MOST)
        n = some + r
        ratios = some / (n * tf.sigmoid(inside)), r / (n * tf.sigmoid(-inside))
        beyond = tf.nn.relu(-MOST - logits), tf.nn.relu(logits - MOST)
        log_ratios = tf.math.log(ratios[0]) + beyond[0], tf.math.log(ratios[1]) + beyond[1]
        distance = binomial_deviance(some, r, (tf.sigmoid(logits), tf.sigmoid(-logits)), log_ratios)
        remainder = stirling_remainder(some) + (stirling_remainder(r) - stirling_remainder(n))
        positive = -distance - remainder - (tf.math.log(2 * math.pi * some) + tf.math.log1p(some / r)) / 2
        return tf.where(x > 0, positive, -r * tf.nn.softplus(logits))
