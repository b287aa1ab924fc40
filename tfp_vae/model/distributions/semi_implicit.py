"""Semi-implicit distributions: Normals whose parameters are a network's function of noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import standard_normal, standard_uniform
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import DType, Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes
from tfp_vae.model.distributions.layered import Statistics

__all__ = ["SemiImplicit"]


@final
class SemiImplicit(tfd.Distribution):
    """q(z) = E_e[N(z; loc(e), diag(scale(e)^2))] with e ~ N(0, I), approximated by K draws of e.

    Each call of `sample` draws e_1, ..., e_K and then samples from the even mixture of their K Normals. So every z
    follows q(z) exactly, but samples of one call share the K Normals. The density is that of the mixture of the last
    call, and its logarithm is at most log q(z) in expectation at a fixed z. Given the draws of e, the samples are
    reparameterized samples of the mixture, so bounds and importance weights of one call are valid.

    Before the first sample, the density is that of draws of e from a fixed seed.

    Args:
      conditional: e [K, *batch, E] -> loc and scale, [K, *batch, D] each.
      components: K.
      noise_size: E.
      batch_shape, batch_shape_tensor: the shape of the batch.
      event_size: D.
      dtype: the type of z.

    References:
      Yin and Zhou (2018), Semi-implicit variational inference.
    """

    def __init__(
        self,
        conditional: Callable[[Tensor], Statistics],
        components: int,
        noise_size: int,
        batch_shape: TensorShape,
        batch_shape_tensor: Tensor,
        event_size: int,
        dtype: DType,
    ) -> None:
        self._conditional, self._components, self._noise_size = conditional, components, noise_size
        self._batch, self._batch_tensor, self._size = batch_shape, batch_shape_tensor, event_size
        self._locs: Tensor | None = None
        self._scales: Tensor | None = None
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"conditional": conditional, "components": components, "noise_size": noise_size},
            name="SemiImplicit",
        )

    def mixing(self, count: int, seed: Tensor) -> Statistics:
        """Return the loc and the scale of as many draws of e, [count, *batch, D] each."""
        batch = axis_sizes(self._batch, self._batch_tensor)
        return self._conditional(standard_normal([count, *batch, self._noise_size], seed, self.dtype))

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        seed = tfp.random.sanitize_seed(seed)
        self._locs, self._scales = self.mixing(self._components, seed)
        batch = axis_sizes(self._batch, self._batch_tensor)
        u = standard_uniform([n, *batch], fold(seed, 1), self.dtype)
        k = tf.minimum(tf.cast(u * self._components, tf.int32), self._components - 1)
        chosen = tf.one_hot(k, self._components, axis=1, dtype=self.dtype)[..., tf.newaxis]  # [n, K, *batch, 1]
        loc, scale = (tf.reduce_sum(chosen * each, axis=1) for each in (self._locs, self._scales))
        return loc + scale * standard_normal([n, *batch, self._size], fold(seed, 2), self.dtype)

    def _log_prob(self, z: Tensor) -> Tensor:
        if self._locs is None:
            self._locs, self._scales = self.mixing(self._components, tf.zeros([2], tf.int32))
        axis = -2 - (self._batch.rank or 0)
        apart = tf.expand_dims(z + tf.zeros(tf.shape(self._locs)[1:], self.dtype), axis)  # [..., 1, *batch, D]
        terms = ((apart - self._locs) / self._scales) ** 2 + 2 * tf.math.log(self._scales) + math.log(2 * math.pi)
        each = -0.5 * tf.reduce_sum(terms, axis=-1)  # [..., K, *batch]
        return tf.reduce_logsumexp(each, axis=axis + 1) - math.log(self._components)

    def _batch_shape(self) -> TensorShape:
        return self._batch

    def _batch_shape_tensor(self) -> Tensor:
        return self._batch_tensor

    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([self._size])

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([self._size], tf.int32)
