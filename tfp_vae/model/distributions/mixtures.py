"""Mixtures: even ones of any distributions, as the aggregate posterior of a model, and those of a few Normals."""

from __future__ import annotations

import math
from typing import final

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import standard_normal, standard_uniform
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Distribution, Seed, Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes

__all__ = ["EvenMixture", "NormalMixture"]


@final
class EvenMixture(tfd.Distribution):
    """An even mixture of the K members of a batch of distributions, p(z) = 1/K sum_k p_k(z).

    The density takes K densities and K D numbers of memory for each z. Unlike `tfd.MixtureSameFamily`, it passes each
    member a z of its full batch shape, because flows with a context need that. A sample costs K samples
    and keeps one, because a batch of distributions samples all of its members. Samples have no gradient.

    ```python
    from tfp_vae.model.distributions.mixtures import EvenMixture

    aggregate = EvenMixture(vae.encoder(x))  # the aggregate posterior of 16 examples
    aggregate.log_prob(aggregate.sample(100, seed=(0, 1)))  # [100], nats
    ```

    Args:
      members: batch [K], event [D].
    """

    def __init__(self, members: Distribution) -> None:
        self._members = members
        super().__init__(
            dtype=members.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"members": members},
            name="EvenMixture",
        )

    def _batch_shape(self) -> TensorShape:
        return tf.TensorShape([])

    def _batch_shape_tensor(self) -> Tensor:
        return tf.constant([], tf.int32)

    def _event_shape(self) -> TensorShape:
        return self._members.event_shape

    def _event_shape_tensor(self) -> Tensor:
        return self._members.event_shape_tensor()

    def _log_prob(self, z: Tensor) -> Tensor:
        count = self._members.batch_shape[0]
        each = self._members.log_prob(tf.repeat(z[..., tf.newaxis, :], count, axis=-2))  # [..., K]
        return tf.reduce_logsumexp(each, axis=-1) - math.log(count)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        count, seed = self._members.batch_shape[0], tfp.random.sanitize_seed(seed)
        which = tf.random.stateless_uniform([n], fold(seed, 0), 0, count, tf.int32)
        return tf.gather(self._members.sample(n, seed=fold(seed, 1)), which, batch_dims=1)


@final
class NormalMixture(tfd.Distribution):
    """A mixture of K diagonal Normals, q(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)).

    The density takes K Normals and K D numbers for each z. Samples have no gradient, because that of the choice of a
    component is not defined. `stratified` samples every component instead. Noise comes from `core.noise`.

    Args:
      logits: [*batch, K], with w = softmax(logits).
      locs, scales: [*batch, K, D].
    """

    def __init__(self, logits: Tensor, locs: Tensor, scales: Tensor) -> None:
        self._logits, self._locs, self._scales = logits, locs, scales
        super().__init__(
            dtype=locs.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"logits": logits, "locs": locs, "scales": scales},
            name="NormalMixture",
        )

    @property
    def log_weights(self) -> Tensor:
        """The log w_k, [*batch, K]."""
        return tf.nn.log_softmax(self._logits)

    def stratified(self, n: int, seed: Seed | Tensor) -> tuple[Tensor, Tensor]:
        """Return n samples of every component, for a batch [B], and the logarithm of the share of each.

        The sum of share times f(z) over all samples is an unbiased estimate of E_q[f(z)]. Its gradient is unbiased too,
        because both the samples and the shares are differentiable.

        Returns:
          z: [n K, B, D], in which the component varies faster than the sample.
          log_shares: log w_k - log n, [n K, B].

        References:
          Morningstar et al. (2021), Automatic differentiation variational inference with mixtures.
        """
        components, d = self._locs.shape[-2:]
        batch = axis_sizes(self.batch_shape, self.batch_shape_tensor())
        noise = standard_normal([n, *batch, components, d], tfp.random.sanitize_seed(seed), self.dtype)
        z = tf.transpose(self._locs + self._scales * noise, [0, 2, 1, 3])  # [n, K, B, D]
        log_shares = tf.tile(tf.transpose(self.log_weights), [n, 1]) - math.log(n)
        return tf.reshape(z, [n * components, -1, d]), log_shares

    def largest(self) -> Tensor:
        """Return the loc of the component with the largest weight, [*batch, D]."""
        return self._component(tf.argmax(self._logits, axis=-1), self._locs)

    def _log_prob(self, z: Tensor) -> Tensor:
        terms = ((z[..., tf.newaxis, :] - self._locs) / self._scales) ** 2 + 2 * tf.math.log(self._scales)
        each = self.log_weights - 0.5 * tf.reduce_sum(terms + math.log(2 * math.pi), axis=-1)
        return tf.reduce_logsumexp(each, axis=-1)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        seed = tfp.random.sanitize_seed(seed)
        batch = axis_sizes(self.batch_shape, self.batch_shape_tensor())
        u = standard_uniform([n, *batch], seed, self.dtype)[..., tf.newaxis]
        above = u >= tf.cumsum(tf.nn.softmax(self._logits), axis=-1)[..., :-1]  # [n, *batch, K - 1]
        k = tf.reduce_sum(tf.cast(above, tf.int32), axis=-1)
        noise = standard_normal([n, *batch, self._locs.shape[-1]], fold(seed, 1), self.dtype)  # as in `from_each`
        return tf.stop_gradient(self._component(k, self._locs) + self._component(k, self._scales) * noise)

    def _component(self, k: Tensor, values: Tensor) -> Tensor:
        """Return the values of component k [..., *batch], [..., *batch, D], for values [*batch, K, D]."""
        chosen = tf.one_hot(k, values.shape[-2], dtype=self.dtype)[..., tf.newaxis]
        return tf.reduce_sum(chosen * values, axis=-2)

    def _mean(self) -> Tensor:
        return self._average(self._locs)

    def _variance(self) -> Tensor:
        mean = self._mean()
        return self._average(self._scales**2 + (self._locs - mean[..., tf.newaxis, :]) ** 2)

    def _stddev(self) -> Tensor:
        return tf.sqrt(self._variance())

    def _average(self, values: Tensor) -> Tensor:
        """Return sum_k w_k values_k, [*batch, D], for values [*batch, K, D]."""
        return tf.reduce_sum(tf.nn.softmax(self._logits)[..., tf.newaxis] * values, axis=-2)

    def _batch_shape(self) -> TensorShape:
        return self._logits.shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return tf.shape(self._logits)[:-1]

    def _event_shape(self) -> TensorShape:
        return self._locs.shape[-1:]

    def _event_shape_tensor(self) -> Tensor:
        return tf.shape(self._locs)[-1:]
