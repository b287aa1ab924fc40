"""Even mixtures of distributions: the VampPrior and the aggregate posterior of a model."""

from __future__ import annotations

import math
from typing import final

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Distribution, Tensor, TensorShape

__all__ = ["EvenMixture"]


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
