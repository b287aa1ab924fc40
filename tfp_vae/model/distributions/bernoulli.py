"""Independent Bernoulli variables with a faster density than TFP's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.types import Distribution, Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes

__all__ = ["FACTORS", "IndependentBernoulli", "bernoulli_log_prob"]

FACTORS = 16
"""Number of factors 1 + exp(-|l|), each in (1, 2], that are multiplied before taking one logarithm."""


@tf.custom_gradient
def bernoulli_log_prob(x: Tensor, logits: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Return sum_i x_i l_i - softplus(l_i) over the last axis, in nats, with its gradients l and x - sigmoid(l).

    softplus(l) = max(l, 0) + log(1 + exp(-|l|)). The axis is split into `FACTORS` parts, and the factors 1 + exp(-|l|)
    of all parts are multiplied before the logarithm. XLA then reads every logit once and writes no intermediate values.

    Args:
      x: [..., M], binary. Its leading axes broadcast against those of the logits.
      logits: [..., M], of the same type.
    """

    def split(values: Tensor, padding: float) -> list[Tensor]:
        missing = -values.shape[-1] % FACTORS
        if missing:
            values = tf.pad(values, [[0, 0]] * (values.shape.rank - 1) + [[0, missing]], constant_values=padding)
        return list(tf.split(values, FACTORS, axis=-1))

    def sum_like(target: Tensor, values: Tensor) -> Tensor:
        """Sum over the axes along which `target` was broadcast."""
        values = tf.reduce_sum(values, axis=list(range(values.shape.rank - target.shape.rank)))
        stretched = [i for i, size in enumerate(target.shape) if size == 1 and values.shape[i] != 1]
        return tf.reduce_sum(values, axis=stretched, keepdims=True)

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
        scale = upstream[..., tf.newaxis]
        return sum_like(x, scale * logits), sum_like(logits, scale * (x - tf.sigmoid(logits)))

    # padding with x = 0 and a logit of -1e30 adds nothing, because the factor is then 1
    parts = list(zip(split(x, 0.0), split(logits, -1e30), strict=True))
    linear = sum(x_part * l_part - tf.nn.relu(l_part) for x_part, l_part in parts)
    factors = math.prod(1 + tf.exp(-tf.abs(l_part)) for _, l_part in parts)
    return tf.reduce_sum(linear - tf.math.log(factors), axis=-1), gradient


@final
class IndependentBernoulli(tfd.Distribution):
    """Independent Bernoulli variables, p(x) = prod_i sigmoid(l_i)^x_i sigmoid(-l_i)^(1 - x_i).

    It equals `tfd.Independent(elements)`, but its density costs about half as much. It takes one exponential for each
    element instead of two softplus, and one logarithm for each 16 elements. In float32 a product of 16 factors of at
    most 2 is at most 65,536, so only a few last bits are lost.

    x [B, ...] and logits [S, B, ...] broadcast to [S, B] without a copy of x. Samples have no gradient. An infinite
    logit gives NaN, even for the x that it makes certain, and training then stops with an error.

    ```python
    import tensorflow_probability as tfp

    from tfp_vae.model.distributions.bernoulli import IndependentBernoulli

    elements = tfp.distributions.Bernoulli(logits=np.zeros([5, 16, 64], np.float32), dtype=np.float32)
    IndependentBernoulli(elements, 1).log_prob(x.reshape(16, 64))  # [5, 16], each -64 log 2
    ```

    Args:
      elements: `tfd.Bernoulli`, batch [..., *event_shape], with logits in float32 or float64.
      event_ndims: number of axes of the event.
    """

    def __init__(self, elements: Distribution, event_ndims: int) -> None:
        self._independent, self._event_ndims = tfd.Independent(elements, event_ndims), event_ndims
        self._logits = tf.convert_to_tensor(elements.parameters["logits"], elements.dtype)
        super().__init__(
            dtype=elements.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"elements": elements, "event_ndims": event_ndims},
            name="IndependentBernoulli",
        )

    @property
    def logits(self) -> Tensor:
        """The logits, [..., *event_shape]."""
        return self._logits

    def _batch_shape(self) -> TensorShape:
        return self._independent.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._independent.batch_shape_tensor()

    def _event_shape(self) -> TensorShape:
        return self._independent.event_shape

    def _event_shape_tensor(self) -> Tensor:
        return self._independent.event_shape_tensor()

    def _log_prob(self, x: Tensor) -> Tensor:
        def flatten(values: Tensor) -> Tensor:
            leading = values.shape.rank - self._event_ndims
            sizes = axis_sizes(values.shape[:leading], tf.shape(values))
            return tf.reshape(values, [*sizes, self.event_shape.num_elements()])

        return bernoulli_log_prob(flatten(tf.cast(x, self._logits.dtype)), flatten(self._logits))

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return self._independent.sample(n, seed=seed)

    def _mean(self) -> Tensor:
        return self._independent.mean()

    def _mode(self) -> Tensor:
        return self._independent.mode()

    def _variance(self) -> Tensor:
        return self._independent.variance()

    def _entropy(self) -> Tensor:
        return self._independent.entropy()
