"""Discrete distributions over z: independent bits or one-hot vectors, and autoregressive ones.

z has float elements, because networks take it. A one-hot vector of K elements is one dimension of z, and z joins D of
them. Samples take one uniform number for each dimension, from `core.noise`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import final

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import standard_uniform
from tfp_vae.core.types import DType, Seed, Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes

__all__ = ["AutoregressiveCodes", "Bits", "Codes", "OneHots", "codes_of"]


class Codes(tfd.Distribution):
    """D independent discrete dimensions, q(z) = prod_d q_d(z_d). Samples have no gradient.

    The density of a z between codes is that of the relaxation: linear in z.

    Args:
      logits: the logits of all dimensions.
      batch_shape, batch_shape_tensor: the shape of the batch.
      event_size: the number of elements of z.
    """

    def __init__(self, logits: Tensor, batch_shape: TensorShape, batch_shape_tensor: Tensor, event_size: int) -> None:
        self._logits, self._batch, self._batch_tensor, self._size = logits, batch_shape, batch_shape_tensor, event_size
        super().__init__(
            dtype=logits.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"logits": logits},
            name=type(self).__name__,
        )

    @property
    def logits(self) -> Tensor:
        """The logits of all dimensions."""
        return self._logits

    @abc.abstractmethod
    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """Return log q_d(z_d), [..., D]."""

    @abc.abstractmethod
    def entropy_by_dimension(self) -> Tensor:
        """Return the entropy of each q_d, [..., D]."""

    @abc.abstractmethod
    def kl_by_dimension(self, other: Codes) -> Tensor:
        """Return KL(q_d || p_d) for codes of the same kind, [..., D]."""

    @abc.abstractmethod
    def at(self, u: Tensor) -> Tensor:
        """Return the z that uniform numbers u [..., D] in [0, 1) select."""

    @abc.abstractmethod
    def relaxed(self, n: int, temperature: float | Tensor, seed: Seed) -> tuple[Tensor, Tensor]:
        """Return n samples of z, and the relaxation of each by the Gumbel-softmax at a temperature.

        The relaxation is a differentiable function of the logits. It approaches its sample as the temperature falls.

        References:
          Jang, Gu and Poole (2017), Categorical reparameterization with Gumbel-softmax.
          Maddison, Mnih and Teh (2017), The concrete distribution.
        """

    @final
    def uniform(self, n: int | Tensor, rest: list[int], seed: Seed | Tensor | None) -> Tensor:
        """Return uniform numbers, [n, *batch, *rest]."""
        batch = axis_sizes(self._batch, self._batch_tensor)
        return standard_uniform([n, *batch, *rest], tfp.random.sanitize_seed(seed), self.dtype)

    @final
    def _log_prob(self, z: Tensor) -> Tensor:
        return tf.reduce_sum(self.log_prob_by_dimension(z), axis=-1)

    @final
    def _entropy(self) -> Tensor:
        return tf.reduce_sum(self.entropy_by_dimension(), axis=-1)

    @final
    def _variance(self) -> Tensor:
        mean = self.mean()
        return mean * (1 - mean)

    @final
    def _batch_shape(self) -> TensorShape:
        return self._batch

    @final
    def _batch_shape_tensor(self) -> Tensor:
        return self._batch_tensor

    @final
    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([self._size])

    @final
    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([self._size], tf.int32)


@tfd.RegisterKL(Codes, Codes)
def kl_of_codes(q: Codes, p: Codes, name: str | None = None) -> Tensor:
    """Return KL(q || p), the sum over the dimensions."""
    del name
    return tf.reduce_sum(q.kl_by_dimension(p), axis=-1)


def inside(u: Tensor, dtype: DType) -> Tensor:
    """Return uniform numbers moved by half a step of their grid, so that none is 0 or 1."""
    return u + tf.constant(2.0 ** -(24 if dtype == tf.float32 else 53), dtype)


@final
class Bits(Codes):
    """Independent bits, q(z) = prod_d sigmoid(l_d)^z_d sigmoid(-l_d)^(1 - z_d).

    Args:
      logits: [..., D].
    """

    def __init__(self, logits: Tensor) -> None:
        logits = tf.convert_to_tensor(logits)
        super().__init__(logits, logits.shape[:-1], tf.shape(logits)[:-1], logits.shape[-1])

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """Return z_d l_d - softplus(l_d), [..., D]."""
        return z * self.logits - tf.nn.softplus(self.logits)

    def entropy_by_dimension(self) -> Tensor:
        """Return softplus(l_d) - l_d sigmoid(l_d), [..., D]."""
        return tf.nn.softplus(self.logits) - self.logits * tf.sigmoid(self.logits)

    def kl_by_dimension(self, other: Codes) -> Tensor:
        """Return KL(q_d || p_d), [..., D]."""
        own, their = self.logits, other.logits
        return tf.sigmoid(own) * (own - their) - tf.nn.softplus(own) + tf.nn.softplus(their)

    def at(self, u: Tensor) -> Tensor:
        """Return 1 where u is below sigmoid(l_d), else 0."""
        return tf.cast(u < tf.sigmoid(self.logits), self.dtype)

    def antithetic(self, n: int, seed: Seed) -> tuple[Tensor, Tensor]:
        """Return two samples of z [n, ..., D] from u and from 1 - u."""
        u = inside(self.uniform(n, [self._size], seed), self.dtype)
        return self.at(u), self.at(1 - u)

    def relaxed(self, n: int, temperature: float | Tensor, seed: Seed) -> tuple[Tensor, Tensor]:
        """Return n samples of z and sigmoid((l + logit(u)) / temperature), [n, ..., D] each."""
        u = inside(self.uniform(n, [self._size], seed), self.dtype)
        noisy = self.logits + tf.math.log(u) - tf.math.log1p(-u)
        return tf.cast(noisy > 0, self.dtype), tf.sigmoid(noisy / tf.cast(temperature, self.dtype))

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return self.at(self.uniform(n, [self._size], seed))

    def _mean(self) -> Tensor:
        return tf.sigmoid(self.logits)

    def _mode(self) -> Tensor:
        return tf.cast(self.logits > 0, self.dtype)


@final
class OneHots(Codes):
    """Independent one-hot vectors, q(z) = prod_d softmax(l_d)_{k_d} with k_d the code of dimension d.

    z [..., D K] joins the D vectors.

    Args:
      logits: [..., D, K].
    """

    def __init__(self, logits: Tensor) -> None:
        logits = tf.convert_to_tensor(logits)
        self._shape = list(logits.shape[-2:])
        super().__init__(logits, logits.shape[:-2], tf.shape(logits)[:-2], self._shape[0] * self._shape[1])

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """Return log softmax(l_d)_{k_d}, [..., D]."""
        return tf.reduce_sum(self._split(z) * tf.nn.log_softmax(self.logits), axis=-1)

    def entropy_by_dimension(self) -> Tensor:
        """Return -sum_k p_k log p_k, [..., D]."""
        return -tf.reduce_sum(tf.nn.softmax(self.logits) * tf.nn.log_softmax(self.logits), axis=-1)

    def kl_by_dimension(self, other: Codes) -> Tensor:
        """Return KL(q_d || p_d), [..., D]."""
        difference = tf.nn.log_softmax(self.logits) - tf.nn.log_softmax(other.logits)
        return tf.reduce_sum(tf.nn.softmax(self.logits) * difference, axis=-1)

    def at(self, u: Tensor) -> Tensor:
        """Return the vectors of the codes whose cumulative probability passes u first."""
        above = u[..., tf.newaxis] >= tf.cumsum(tf.nn.softmax(self.logits), axis=-1)[..., :-1]  # [..., D, K - 1]
        return self._join(self._one_hot(tf.reduce_sum(tf.cast(above, tf.int32), axis=-1)))

    def relaxed(self, n: int, temperature: float | Tensor, seed: Seed) -> tuple[Tensor, Tensor]:
        """Return n samples of z and softmax((l + Gumbel noise) / temperature), [n, ..., D K] each."""
        u = inside(self.uniform(n, self._shape, seed), self.dtype)
        noisy = self.logits - tf.math.log(-tf.math.log(u))
        soft = tf.nn.softmax(noisy / tf.cast(temperature, self.dtype))
        return self._join(self._largest(noisy)), self._join(soft)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return self.at(self.uniform(n, self._shape[:1], seed))

    def _mean(self) -> Tensor:
        return self._join(tf.nn.softmax(self.logits))

    def _mode(self) -> Tensor:
        return self._join(self._largest(self.logits))

    def _largest(self, scores: Tensor) -> Tensor:
        return self._one_hot(tf.argmax(scores, axis=-1))

    def _one_hot(self, codes: Tensor) -> Tensor:
        return tf.one_hot(codes, self._shape[1], dtype=self.dtype)

    def _split(self, z: Tensor) -> Tensor:
        """Return z [..., D K] as [..., D, K]."""
        return tf.reshape(z, [*axis_sizes(z.shape[:-1], tf.shape(z)), *self._shape])

    def _join(self, vectors: Tensor) -> Tensor:
        """Return vectors [..., D, K] as z [..., D K]."""
        return tf.reshape(vectors, [*axis_sizes(vectors.shape[:-2], tf.shape(vectors)), self._size])


def codes_of(logits: Tensor, codes: int) -> Codes:
    """Return the codes with logits [..., D K]: bits if K is 1, else one-hot vectors."""
    if codes == 1:
        return Bits(logits)
    return OneHots(tf.reshape(logits, [*axis_sizes(logits.shape[:-1], tf.shape(logits)), -1, codes]))


@final
class AutoregressiveCodes(tfd.Distribution):
    """Discrete dimensions that depend on those before them, p(z) = prod_d p(z_d | z_1..z_{d-1}).

    The density takes one pass of the network, and a sample takes D passes.

    Args:
      conditional: z [..., D K] -> the codes whose dimension d is p(z_d | z_1..z_{d-1}).
      dimensions: D.
      event_size: D K.
      dtype: type of z.
    """

    def __init__(self, conditional: Callable[[Tensor], Codes], dimensions: int, event_size: int, dtype: DType) -> None:
        self._conditional, self._dimensions, self._size = conditional, dimensions, event_size
        super().__init__(
            dtype=tf.as_dtype(dtype),
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"conditional": conditional, "dimensions": dimensions, "event_size": event_size, "dtype": dtype},
            name="AutoregressiveCodes",
        )

    def _log_prob(self, z: Tensor) -> Tensor:
        return self._conditional(z).log_prob(z)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        """Return samples. Each pass completes one more dimension."""
        u = standard_uniform([n, self._dimensions], tfp.random.sanitize_seed(seed), self.dtype)
        (z,) = tf.while_loop(
            cond=lambda z: True,
            body=lambda z: (tf.ensure_shape(self._conditional(z).at(u), z.shape),),
            loop_vars=(tf.zeros([n, self._size], self.dtype),),
            maximum_iterations=self._dimensions,
        )
        return z

    def _batch_shape(self) -> TensorShape:
        return tf.TensorShape([])

    def _batch_shape_tensor(self) -> Tensor:
        return tf.constant([], tf.int32)

    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([self._size])

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([self._size], tf.int32)
