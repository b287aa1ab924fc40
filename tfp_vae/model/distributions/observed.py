"""Distributions that TensorFlow Probability lacks.

Most stand behind a likelihood (`OnGrid`, `RoundedLogistic`, `Poisson`, `IndependentBernoulli`), one behind a prior and
the aggregate posterior (`EvenMixture`). Their densities are rewritten where the stock form is slow or loses digits in
float32; tests hold each against the plain form in float64. None is reparameterized: no gradient flows through a sample.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any, final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.seeds import fold

__all__ = ["EvenMixture", "IndependentBernoulli", "OnGrid", "Poisson", "RoundedLogistic"]

FACTORS = 16
"""How many factors 1 + exp(-|l|), each in (1, 2], are multiplied before a logarithm is taken."""

NEVER = -1e30
"""A logit whose element is 0 for certain, and adds nothing to a density."""


class _OfNumbers(tfd.Distribution):
    """A distribution over numbers, event [], that has no reparameterization.

    Args:
      parameters: what it was made of, by name.
      dtype: of its values.
    """

    def __init__(self, parameters: dict[str, Any], dtype: Any) -> None:
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters=parameters,
            name=type(self).__name__,
        )

    @property
    @abc.abstractmethod
    def _like(self) -> Any:
        """A distribution of the same batch shape."""

    @final
    def _batch_shape(self) -> Any:
        return self._like.batch_shape

    @final
    def _batch_shape_tensor(self) -> Any:
        return self._like.batch_shape_tensor()

    @final
    def _event_shape(self) -> Any:
        return tf.TensorShape([])

    @final
    def _event_shape_tensor(self) -> Any:
        return tf.constant([], tf.int32)


@final
class OnGrid(_OfNumbers):
    """A distribution over the levels {0, ..., L-1}, seen on the grid {0, 1/(L-1), ..., 1}.

    A value between grid points is taken as the nearest.

    log p(x) = log P(k), k = round((L - 1) x); a probability, not a density.

    Args:
      over_levels: the distribution over the levels, batch [...], event [].
      count: L.
      mean: gives its mean, [...], in levels.
    """

    def __init__(self, over_levels: Any, count: int, mean: Callable[[], Any]) -> None:
        self._over_levels, self._most, self._level_mean = over_levels, count - 1, mean
        super().__init__({"over_levels": over_levels, "count": count, "mean": mean}, tf.float32)

    @property
    def _like(self) -> Any:
        return self._over_levels

    def _log_prob(self, x: Any) -> Any:
        return self._over_levels.log_prob(tf.cast(tf.round(x * self._most), self._over_levels.dtype))

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        return tf.cast(self._over_levels.sample(n, seed=seed), self.dtype) / self._most

    def _mean(self) -> Any:
        return self._level_mean() / self._most


@final
class RoundedLogistic(_OfNumbers):
    """A logistic rounded to the levels {0, ..., L-1}, the first and the last taking the tails.

    P(k) = sigmoid(b) - sigmoid(a),  a = (k - 1/2 - loc) / scale,  b = (k + 1/2 - loc) / scale, taken as
    sigmoid(b) sigmoid(-a) (1 - exp(a - b)). Nothing cancels in the product, where the difference loses a fine level's
    mass: of 65,536 levels at a scale of 100 of them, float32 leaves none.

    The tails: P(0) = sigmoid(b) and P(L - 1) = sigmoid(-a). Its mean is a sum over the levels, which `likelihoods`
    supplies; a sample is the logistic's, rounded and clipped.

    Args:
      loc: in levels, [...].
      scale: in levels, [...].
      count: L, at least 2; the density of what is not one of the levels is not defined.

    References:
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
      Salimans et al. (2017), PixelCNN++: improving the PixelCNN with discretized logistic mixture likelihood and other
        modifications.
    """

    def __init__(self, loc: Any, scale: Any, count: int) -> None:
        self._logistic, self._most = tfd.Logistic(loc, scale), count - 1
        super().__init__({"loc": loc, "scale": scale, "count": count}, loc.dtype)

    @property
    def _like(self) -> Any:
        return self._logistic

    def _log_prob(self, k: Any) -> Any:
        width = 1 / self._logistic.scale
        middle = (k - self._logistic.loc) * width
        below = tf.math.log_sigmoid(middle + width / 2)
        above = tf.math.log_sigmoid(width / 2 - middle)
        inside = below + above + tf.math.log(-tf.math.expm1(-width))
        return tf.where(k <= 0, below, tf.where(k >= self._most, above, inside))

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        return tf.clip_by_value(tf.round(self._logistic.sample(n, seed=seed)), 0, self._most)


@final
class Poisson(_OfNumbers):
    """The Poisson distribution, `tfd.Poisson(rate)`, with a density that keeps its digits at large counts.

    log p(x) = -deviance(x, rate) - remainder(x) - log(2 pi x) / 2,  deviance(x, r) = x log(x / r) + r - x,

    where `remainder` is what Stirling's formula leaves of log x!. In x log r - r - log x! terms of the size of
    x log x cancel: in float32 a count of a million comes out nats off. That form serves counts below 16 only.

    ```python
    from tfp_vae.model.distributions.observed import Poisson

    Poisson(np.float32(1e6)).log_prob(np.float32(1e6))  # -log(2 pi 10^6) / 2, to float32's digits
    ```

    Args:
      rate: [...], above 0.

    References:
      Loader (2000), Fast and accurate computation of binomial probabilities.
    """

    def __init__(self, rate: Any) -> None:
        self._stock = tfd.Poisson(rate)
        super().__init__({"rate": rate}, self._stock.dtype)

    @property
    def _like(self) -> Any:
        return self._stock

    def _log_prob(self, x: Any) -> Any:
        many = tf.maximum(x, FEW)
        large = -_deviance(many, self._stock.rate) - _remainder(many) - tf.math.log(2 * math.pi * many) / 2
        return tf.where(x < FEW, self._stock.log_prob(tf.minimum(x, FEW)), large)

    def _sample_n(self, n: Any, seed: Any = None) -> Any:
        return self._stock.sample(n, seed=seed)

    def _mean(self) -> Any:
        return self._stock.mean()

    def _mode(self) -> Any:
        return self._stock.mode()

    def _variance(self) -> Any:
        return self._stock.variance()


FEW = 16.0
"""Counts from which on the first three terms of Stirling's series leave less than 1e-11 of log x!."""

SERIES = [1 / (2 * j + 1) for j in range(8, 0, -1)] + [0.0]
"""Coefficients of sum_{j=1}^{8} w^j / (2 j + 1), the highest power first: to 1e-16 for w up to 0.01."""


def _deviance(x: Any, rate: Any) -> Any:
    """Return x log(x / r) + r - x, by its series in v = (x - r) / (x + r) where the terms would cancel."""
    v = (x - rate) / (x + rate)
    near = (x - rate) * v + 2 * x * v * tf.math.polyval([tf.cast(c, v.dtype) for c in SERIES], v**2)
    return tf.where(tf.abs(v) < 0.1, near, x * tf.math.log(x / rate) + rate - x)


def _remainder(x: Any) -> Any:
    """Return log x! - log(sqrt(2 pi x) (x / e)^x), for x of 16 and more."""
    return (1 / 12 - (1 / 360 - 1 / (1260 * x**2)) / x**2) / x


@final
class EvenMixture(tfd.Distribution):
    """An even mixture of the K members of a batch of distributions, p(z) = 1/K sum_k p_k(z).

    Unlike `tfd.MixtureSameFamily` it gives each member z of its full batch shape, as flows with a context need.

    The density costs K densities for each z, and K D numbers of memory; a draw takes K and keeps one, as a batch of
    distributions draws all of its members. The draw carries no gradient.

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

    In float32 a product of 16 factors of at most 2 is at most 65,536 and loses no more than a few last bits, while 15
    of 16 logarithms are saved. It broadcasts: x [B, ...] against logits [S, B, ...] gives [S, B] without a copy of x.

    An infinite logit has no density here, not even of what it makes certain: it gives NaN, which training stops at.

    Args:
      elements: `tfd.Bernoulli`, batch [..., *event_shape], with logits in float32 or float64.
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
        size, x = self.event_shape.num_elements(), tf.cast(x, self._logits.dtype)
        flat = (tf.reshape(v, [*_leading(v, self._event_ndims), size]) for v in (x, self._logits))
        return _bernoulli_log_prob(*flat)

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
def _bernoulli_log_prob(x: Any, logits: Any) -> tuple[Any, Any]:
    """Return sum_i x_i l_i - softplus(l_i) over the last axis of x and logits l, with gradients l and x - sigmoid(l).

    Each part is worked out by itself, so that XLA reads every logit once and writes none of what lies between.
    """
    parts = zip(_parts(x, 0.0), _parts(logits, NEVER), strict=True)
    linear, factors = zip(*(_terms(*part) for part in parts), strict=True)
    value = tf.reduce_sum(sum(linear) - tf.math.log(math.prod(factors)), axis=-1)

    def gradient(upstream: Any) -> tuple[Any, Any]:
        scale = upstream[..., tf.newaxis]
        return _summed_to(x, scale * logits), _summed_to(logits, scale * (x - tf.sigmoid(logits)))

    return value, gradient


def _terms(x: Any, logits: Any) -> tuple[Any, Any]:
    """Return x l - max(l, 0) and 1 + exp(-|l|) of each element."""
    return x * logits - tf.nn.relu(logits), 1 + tf.exp(-tf.abs(logits))


def _parts(values: Any, padding: float) -> list[Any]:
    """Return `FACTORS` parts, all of one size, of the last axis of values, padded if need be.

    Padded with x = 0 and a logit so low that its factor is 1, an element adds nothing.
    """
    missing = -values.shape[-1] % FACTORS
    if missing:
        values = tf.pad(values, [[0, 0]] * (values.shape.rank - 1) + [[0, missing]], constant_values=padding)
    parts: list[Any] = tf.split(values, FACTORS, axis=-1)
    return parts


def _summed_to(like: Any, values: Any) -> Any:
    """Return values summed over the axes along which `like` was broadcast.

    What a gradient has to be brought to, since the density broadcasts x against the logits.
    """
    values = tf.reduce_sum(values, axis=list(range(values.shape.rank - like.shape.rank)))
    stretched = [i for i, size in enumerate(like.shape) if size == 1 and values.shape[i] != 1]
    return tf.reduce_sum(values, axis=stretched, keepdims=True)
