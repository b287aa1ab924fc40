"""Distributions that TensorFlow Probability lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

from tfp_vae._lazy import tf, tfd
from tfp_vae.seeds import fold

__all__ = ["EvenMixture", "OnGrid"]


@final
class OnGrid(tfd.Distribution):
    """A distribution over the levels {0, ..., L-1}, seen on the grid {0, 1/(L-1), ..., 1}.

    A value between grid points is taken as the nearest.

    Args:
      over_levels: the distribution over the levels, batch [...], event [].
      count: L.
      mean: gives its mean, [...], in levels.
    """

    def __init__(self, over_levels: Any, count: int, mean: Callable[[], Any]) -> None:
        self._over_levels, self._most, self._level_mean = over_levels, count - 1, mean
        super().__init__(
            dtype=tf.float32,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"over_levels": over_levels, "count": count, "mean": mean},
            name="OnGrid",
        )

    def _batch_shape(self) -> Any:
        return self._over_levels.batch_shape

    def _batch_shape_tensor(self) -> Any:
        return self._over_levels.batch_shape_tensor()

    def _event_shape(self) -> Any:
        return tf.TensorShape([])

    def _event_shape_tensor(self) -> Any:
        return tf.constant([], tf.int32)

    def _log_prob(self, x: Any) -> Any:
        return self._over_levels.log_prob(tf.cast(tf.round(x * self._most), self._over_levels.dtype))

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        return tf.cast(self._over_levels.sample(n, seed=seed), self.dtype) / self._most

    def _mean(self) -> Any:
        return self._level_mean() / self._most


@final
class EvenMixture(tfd.Distribution):
    """An even mixture of the K members of a batch of distributions, p(z) = 1/K sum_k p_k(z).

    Unlike `tfd.MixtureSameFamily` it gives each member z of its full batch shape, as flows with a context need.

    Args:
      members: batch [K], event [D].
    """

    def __init__(self, members: Any) -> None:
        self._members = members
        super().__init__(
            dtype=members.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"members": members},
            name="EvenMixture",
        )

    def _batch_shape(self) -> Any:
        return tf.TensorShape([])

    def _batch_shape_tensor(self) -> Any:
        return tf.constant([], tf.int32)

    def _event_shape(self) -> Any:
        return self._members.event_shape

    def _event_shape_tensor(self) -> Any:
        return self._members.event_shape_tensor()

    def _log_prob(self, z: Any) -> Any:
        count = self._members.batch_shape[0]
        each = self._members.log_prob(tf.repeat(z[..., tf.newaxis, :], count, axis=-2))  # [..., K]
        return tf.reduce_logsumexp(each, axis=-1) - math.log(count)

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        count = self._members.batch_shape[0]
        which = tf.random.stateless_uniform([n], fold(seed, 0), 0, count, tf.int32)
        return tf.gather(self._members.sample(n, seed=fold(seed, 1)), which, batch_dims=1)
