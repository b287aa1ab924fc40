"""Distributions of a network's function of noise: with a density given draws of the noise, or without any density."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import standard_normal, standard_uniform
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes
from tfp_vae.model.distributions.layered import Statistics
from tfp_vae.model.latent import NO_DENSITY

__all__ = ["OfNoise", "Sampler", "SemiImplicit"]


class OfNoise(tfd.Distribution):
    """A distribution of z, a function of e ~ N(0, I). Samples have a gradient.

    Args:
      like: a tensor with the shape and the type of one z, [*batch, D].
      noise_size: E.
      parameters: the other arguments of the distribution.
    """

    def __init__(self, like: Tensor, noise_size: int, **parameters: object) -> None:
        self._like, self._noise_size = like, noise_size
        super().__init__(
            dtype=like.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"like": like, "noise_size": noise_size, **parameters},
            name=type(self).__name__,
        )

    @abc.abstractmethod
    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        """Return n samples, [n, *batch, D]."""

    def _noise(self, count: int | Tensor, size: int, seed: Tensor) -> Tensor:
        """Return standard Normal numbers, [count, *batch, size]."""
        return standard_normal([count, *self._batch_sizes(), size], seed, self.dtype)

    def _batch_sizes(self) -> list[int | Tensor]:
        return axis_sizes(self.batch_shape, self.batch_shape_tensor())

    def _batch_shape(self) -> TensorShape:
        return self._like.shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return tf.shape(self._like)[:-1]

    def _event_shape(self) -> TensorShape:
        return self._like.shape[-1:]

    def _event_shape_tensor(self) -> Tensor:
        return tf.shape(self._like)[-1:]


@final
class Sampler(OfNoise):
    """The distribution of g(e) with e ~ N(0, I). It has samples with a gradient, but no density.

    Args:
      sampler: e [n, *batch, E] -> z [n, *batch, D].
      discriminator: standardized z [n, *batch, D] -> its logit, [n, *batch].
      like, noise_size: see `OfNoise`.
    """

    def __init__(
        self,
        sampler: Callable[[Tensor], Tensor],
        discriminator: Callable[[Tensor], Tensor],
        like: Tensor,
        noise_size: int,
    ) -> None:
        self._sampler, self.discriminator = sampler, discriminator
        super().__init__(like, noise_size, sampler=sampler, discriminator=discriminator)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return self._sampler(self._noise(n, self._noise_size, tfp.random.sanitize_seed(seed)))

    def _log_prob(self, z: Tensor) -> Tensor:
        raise UsageError(NO_DENSITY)


@final
class SemiImplicit(OfNoise):
    """q(z) = E_e[N(z; loc(e), diag(scale(e)^2))] with e ~ N(0, I), approximated by K draws of e.

    Each call of `sample` draws e_1, ..., e_K and then samples from the even mixture of their K Normals. So every z
    follows q(z) exactly, but samples of one call share the K Normals. The density is that of the mixture of the last
    call, and its logarithm is at most log q(z) in expectation at a fixed z. Given the draws of e, the samples are
    reparameterized samples of the mixture, so bounds and importance weights of one call are valid.

    Before the first sample, the density is that of draws of e from a fixed seed.

    Args:
      conditional: e [K, *batch, E] -> loc and scale, [K, *batch, D] each.
      components: K.
      like, noise_size: see `OfNoise`.

    References:
      Yin and Zhou (2018), Semi-implicit variational inference.
    """

    def __init__(
        self, conditional: Callable[[Tensor], Statistics], components: int, like: Tensor, noise_size: int
    ) -> None:
        self._conditional, self._components = conditional, components
        self._mixture: Statistics | None = None
        super().__init__(like, noise_size, conditional=conditional, components=components)

    def mixing(self, count: int, seed: Tensor) -> Statistics:
        """Return the loc and the scale of as many draws of e, [count, *batch, D] each."""
        return self._conditional(self._noise(count, self._noise_size, seed))

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        seed = tfp.random.sanitize_seed(seed)
        self._mixture = self.mixing(self._components, seed)
        u = standard_uniform([n, *self._batch_sizes()], fold(seed, 1), self.dtype)
        k = tf.minimum(tf.cast(u * self._components, tf.int32), self._components - 1)
        chosen = tf.one_hot(k, self._components, axis=1, dtype=self.dtype)[..., tf.newaxis]  # [n, K, *batch, 1]
        loc, scale = (tf.reduce_sum(chosen * each, axis=1) for each in self._mixture)
        return loc + scale * self._noise(n, self._like.shape[-1], fold(seed, 2))

    def _log_prob(self, z: Tensor) -> Tensor:
        if self._mixture is None:
            self._mixture = self.mixing(self._components, tf.zeros([2], tf.int32))
        locs, scales = self._mixture
        axis = -2 - (self.batch_shape.rank or 0)
        apart = tf.expand_dims(z + tf.zeros(tf.shape(locs)[1:], self.dtype), axis)  # [..., 1, *batch, D]
        terms = ((apart - locs) / scales) ** 2 + 2 * tf.math.log(scales) + math.log(2 * math.pi)
        each = -0.5 * tf.reduce_sum(terms, axis=-1)  # [..., K, *batch]
        return tf.reduce_logsumexp(each, axis=axis + 1) - math.log(self._components)
