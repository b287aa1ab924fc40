"""Implicit distributions: a sampler without a density, and a discriminator that estimates a ratio of densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import standard_normal
from tfp_vae.core.types import DType, Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes
from tfp_vae.model.latent import NO_DENSITY

__all__ = ["Sampler"]


@final
class Sampler(tfd.Distribution):
    """The distribution of g(e) with e ~ N(0, I). It has samples with a gradient, but no density.

    Args:
      sampler: e [n, *batch, E] -> z [n, *batch, D].
      discriminator: standardized z [n, *batch, D] -> its logit, [n, *batch].
      noise_size: E.
      batch_shape, batch_shape_tensor: the shape of the batch.
      event_size: D.
      dtype: the type of z.
    """

    def __init__(
        self,
        sampler: Callable[[Tensor], Tensor],
        discriminator: Callable[[Tensor], Tensor],
        noise_size: int,
        batch_shape: TensorShape,
        batch_shape_tensor: Tensor,
        event_size: int,
        dtype: DType,
    ) -> None:
        self._sampler, self.discriminator, self._noise_size = sampler, discriminator, noise_size
        self._batch, self._batch_tensor, self._size = batch_shape, batch_shape_tensor, event_size
        super().__init__(
            dtype=dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"sampler": sampler, "discriminator": discriminator, "noise_size": noise_size},
            name="Sampler",
        )

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        batch = axis_sizes(self._batch, self._batch_tensor)
        noise = standard_normal([n, *batch, self._noise_size], tfp.random.sanitize_seed(seed), self.dtype)
        return self._sampler(noise)

    def _log_prob(self, z: Tensor) -> Tensor:
        raise UsageError(NO_DENSITY)

    def _batch_shape(self) -> TensorShape:
        return self._batch

    def _batch_shape_tensor(self) -> Tensor:
        return self._batch_tensor

    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([self._size])

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([self._size], tf.int32)
