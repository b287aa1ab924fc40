"""Distributions of counts with densities that stay accurate in float32 at counts in the millions.

`Inflated` gives single counts that are frequent, such as 0, a probability of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.distributions.levels import ScalarDistribution
from tfp_vae.model.distributions.saddle import binomial_deviance, deviance, stirling_remainder

__all__ = ["MOST", "Inflated", "NegativeBinomial", "Poisson"]

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


@final
class Inflated(ScalarDistribution):
    """A distribution q of counts in which K single counts have more probability, p(x) = w_0 q(x) + sum_k w_k [x = v_k].

    The weights are w = softmax(logits). The mixture is computed from logarithms, so tiny probabilities of q count, too.

    ```python
    from tfp_vae.model.distributions.counts import Inflated, Poisson

    p = Inflated(Poisson(np.float32(3.0)), np.float32([0.0, 0.0]), [0])  # half of the counts are 0 for another reason
    p.prob(np.float32(0))  # (1 + exp(-3)) / 2
    ```

    Args:
      counts: q, batch [...], event [].
      logits: of q and the single counts, [..., 1 + K].
      values: the K single counts, all different.
    """

    def __init__(self, counts: Distribution, logits: Tensor, values: Sequence[int]) -> None:
        self._counts, self._values = counts, tf.constant(list(values), counts.dtype)
        self._log_weights = tf.nn.log_softmax(logits)
        super().__init__(counts, counts.dtype, {"counts": counts, "logits": logits, "values": values})

    def _log_prob(self, x: Tensor) -> Tensor:
        rest = self._log_weights[..., 0] + self._counts.log_prob(x)
        at = tf.equal(x[..., tf.newaxis], self._values)
        single = tf.reduce_sum(tf.where(at, self._log_weights[..., 1:], tf.zeros([], x.dtype)), axis=-1)
        both = tf.reduce_logsumexp(tf.stack([rest, single + tf.zeros_like(rest)], axis=-1), axis=-1)
        return tf.where(tf.reduce_any(at, axis=-1), both, rest)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        seeds = tfp.random.split_seed(seed, n=2, salt="inflated")
        which = tfd.Categorical(logits=self._log_weights).sample(n, seed=seeds[0])
        single = tf.gather(self._values, tf.maximum(which - 1, 0))
        return tf.where(which > 0, single, self._counts.sample(n, seed=seeds[1]))

    def _mean(self) -> Tensor:
        weights = tf.exp(self._log_weights)
        return weights[..., 0] * self._counts.mean() + tf.reduce_sum(weights[..., 1:] * self._values, axis=-1)

    def _variance(self) -> Tensor:
        weights, mean = tf.exp(self._log_weights), self._mean()
        inside = self._counts.variance() + (self._counts.mean() - mean) ** 2
        between = (self._values - mean[..., tf.newaxis]) ** 2
        return weights[..., 0] * inside + tf.reduce_sum(weights[..., 1:] * between, axis=-1)

    def _mode(self) -> Tensor:
        own = self._counts.mode()
        shape = tf.concat([tf.shape(own), tf.shape(self._values)], axis=0)
        candidates = tf.concat([own[..., tf.newaxis], tf.broadcast_to(self._values, shape)], axis=-1)
        log_p = tf.stack([self._log_prob(each) for each in tf.unstack(candidates, axis=-1)], axis=-1)
        return tf.gather(candidates, tf.argmax(log_p, axis=-1), axis=-1, batch_dims=len(own.shape))
