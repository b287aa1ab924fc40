"""Distributions that TensorFlow Probability lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, final

from tfp_vae._lazy import tf, tfd
from tfp_vae.seeds import fold

__all__ = ["EvenMixture", "IndependentBernoulli", "OnGrid"]

FACTORS = 16
"""How many factors 1 + exp(-|l|), each in (1, 2], are multiplied before a logarithm is taken."""


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


@final
class IndependentBernoulli(tfd.Distribution):
    """Independent Bernoulli elements, as `tfd.Independent(elements)`, whose density costs about half as much.

    log p(x) = sum_i x_i l_i - softplus(l_i),  softplus(l) = max(l, 0) + log(1 + exp(-|l|)).

    One exponential for each element where TFP takes two softplus; and as each 1 + exp(-|l|) lies in (1, 2], the sum of
    their logarithms is taken as that of the logarithms of products of 16.

    Args:
      elements: `tfd.Bernoulli`, batch [..., *event_shape], with logits.
      event_ndims: the number of axes of the event.
    """

    def __init__(self, elements: Any, event_ndims: int) -> None:
        self._independent, self._logits = tfd.Independent(elements, event_ndims), elements.logits
        self._event_ndims = event_ndims
        super().__init__(
            dtype=elements.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"elements": elements, "event_ndims": event_ndims},
            name="IndependentBernoulli",
        )

    @property
    def logits(self) -> Any:
        """The logits, [..., *event_shape]."""
        return self._logits

    def _batch_shape(self) -> Any:
        return self._independent.batch_shape

    def _batch_shape_tensor(self) -> Any:
        return self._independent.batch_shape_tensor()

    def _event_shape(self) -> Any:
        return self._independent.event_shape

    def _event_shape_tensor(self) -> Any:
        return self._independent.event_shape_tensor()

    def _log_prob(self, x: Any) -> Any:
        inner = tf.reduce_sum(x * self._logits, axis=list(range(-self._event_ndims, 0)))
        size = self.event_shape.num_elements()
        return inner - _sum_of_softplus(tf.reshape(self._logits, [*_leading(self._logits, self._event_ndims), size]))

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        return self._independent.sample(n, seed=seed)

    def _mean(self) -> Any:
        return self._independent.mean()

    def _mode(self) -> Any:
        return self._independent.mode()

    def _variance(self) -> Any:
        return self._independent.variance()

    def _entropy(self) -> Any:
        return self._independent.entropy()


def _leading(values: Any, event_ndims: int) -> list[Any]:
    """Return the axes before the event's, as numbers where they are known."""
    known, dynamic = values.shape[: values.shape.rank - event_ndims], tf.shape(values)
    return [dynamic[i] if size is None else size for i, size in enumerate(known)]


@tf.custom_gradient
def _sum_of_softplus(logits: Any) -> tuple[Any, Any]:
    """Return sum_i log(1 + exp(l_i)) over the last axis of logits l [..., M], with its gradient sigmoid(l)."""
    e = tf.exp(-tf.abs(logits))
    groups = math.ceil(logits.shape[-1] / FACTORS)
    padding = [[0, 0]] * (logits.shape.rank - 1) + [[0, FACTORS * groups - logits.shape[-1]]]
    factors = tf.split(1 + tf.pad(e, padding), FACTORS, axis=-1)
    value = tf.reduce_sum(tf.nn.relu(logits), axis=-1) + tf.reduce_sum(tf.math.log(math.prod(factors)), axis=-1)
    return value, lambda upstream: upstream[..., tf.newaxis] * tf.sigmoid(logits)
