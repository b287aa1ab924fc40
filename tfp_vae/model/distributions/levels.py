"""Distributions over a grid of levels, such as the 256 values of an 8-bit pixel."""

from __future__ import annotations

import abc
from typing import final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.types import Distribution, DType, Tensor, TensorShape

__all__ = ["CategoricalLevels", "OnGrid", "RoundedLogistic", "ScalarDistribution"]


class ScalarDistribution(tfd.Distribution):
    """A distribution over numbers, event [], whose samples have no gradient.

    Args:
      like: a distribution of the same batch shape.
      dtype: type of its values.
      parameters: the arguments of the constructor, by name.
    """

    def __init__(self, like: Distribution, dtype: object, parameters: dict[str, object]) -> None:
        self._like = like
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=type(self).__name__,
        )

    @abc.abstractmethod
    def _log_prob(self, x: Tensor) -> Tensor: ...

    @final
    def _batch_shape(self) -> TensorShape:
        return self._like.batch_shape

    @final
    def _batch_shape_tensor(self) -> Tensor:
        return self._like.batch_shape_tensor()

    @final
    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([])

    @final
    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([], tf.int32)


@final
class OnGrid(ScalarDistribution):
    """A distribution over the levels {0, ..., L-1} as one over the grid {0, 1/(L-1), ..., 1}.

    log p(x) = log P(k), k = round((L - 1) x). It is a probability, not a density. A value between two grid points is
    rounded to the nearer one.

    Args:
      over_levels: distribution over the levels, batch [...], event [].
      count: L, at least 2.
      dtype: type of the values.
    """

    def __init__(self, over_levels: Distribution, count: int, dtype: DType | str = "float32") -> None:
        self._over_levels, self._most = over_levels, count - 1
        super().__init__(over_levels, tf.as_dtype(dtype), {"over_levels": over_levels, "count": count, "dtype": dtype})

    def _log_prob(self, x: Tensor) -> Tensor:
        return self._over_levels.log_prob(tf.cast(tf.round(x * self._most), self._over_levels.dtype))

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return tf.cast(self._over_levels.sample(n, seed=seed), self.dtype) / self._most

    def _mean(self) -> Tensor:
        return self._over_levels.mean() / self._most

    def _mode(self) -> Tensor:
        return tf.cast(self._over_levels.mode(), self.dtype) / self._most


@final
class CategoricalLevels(tfd.Categorical):
    """A categorical distribution over the levels {0, ..., L-1}, P(k) = softmax(logits)_k, which has a mean.

    `tfd.Categorical` has none, because its categories are not ordered.

    Args:
      logits: [..., L].
    """

    def _mean(self) -> Tensor:
        level = tf.range(self.logits.shape[-1], dtype=self.logits.dtype)
        return tf.reduce_sum(tf.nn.softmax(self.logits) * level, axis=-1)


@final
class RoundedLogistic(ScalarDistribution):
    """A logistic rounded to the levels {0, ..., L-1}, with the tails added to the first and the last level.

    P(k) = sigmoid(b) - sigmoid(a),  a = (k - 1/2 - loc) / scale,  b = (k + 1/2 - loc) / scale.

    The density is computed as sigmoid(b) sigmoid(-a) (1 - exp(a - b)), because nothing cancels in the product. The
    difference would lose the small masses of fine levels. For example, with 65,536 levels and a scale of 100 levels,
    all masses would be zero in float32. At the ends, P(0) = sigmoid(b) and P(L - 1) = sigmoid(-a).

    The mean is a loop over the levels, so it costs far more than a density. Training does not use it.

    Args:
      loc: in levels, [...].
      scale: in levels, [...].
      count: L, at least 2. The density is defined on the levels only.

    References:
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
      Salimans et al. (2017), PixelCNN++: improving the PixelCNN with discretized logistic mixture likelihood and other
        modifications.
    """

    def __init__(self, loc: Tensor, scale: Tensor, count: int) -> None:
        self._logistic, self._most = tfd.Logistic(loc, scale), count - 1
        super().__init__(self._logistic, loc.dtype, {"loc": loc, "scale": scale, "count": count})

    def _log_prob(self, k: Tensor) -> Tensor:
        width = 1 / self._logistic.scale
        middle = (k - self._logistic.loc) * width
        below = tf.math.log_sigmoid(middle + width / 2)
        above = tf.math.log_sigmoid(width / 2 - middle)
        inside = below + above + tf.math.log(-tf.math.expm1(-width))
        return tf.where(k <= 0, below, tf.where(k >= self._most, above, inside))

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return tf.clip_by_value(tf.round(self._logistic.sample(n, seed=seed)), 0, self._most)

    def _mean(self) -> Tensor:
        """E[k] = sum_j P(k > j)."""
        loc, scale = self._logistic.loc, self._logistic.scale
        thresholds = tf.range(self._most, dtype=loc.dtype) + 0.5
        return tf.foldl(lambda total, t: total + tf.sigmoid((loc - t) / scale), thresholds, tf.zeros_like(loc))
