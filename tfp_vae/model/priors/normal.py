"""The standard Normal prior."""

from __future__ import annotations

from typing import ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution, FloatType
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.priors.base import Prior

__all__ = ["StandardNormal"]


@final
@record
class StandardNormal(Prior):
    """Standard Normal, p(z) = N(z; 0, I).

    It learns nothing. The rate of a diagonal Normal is sum_d (loc_d^2 + scale_d^2 - 1) / 2 - log scale_d.

    ```python
    p = tv.priors.StandardNormal(2)()
    p.log_prob(np.zeros([16, 2], np.float32))  # [16], each -log(2 pi)
    ```

    Args:
      latent_dim: D, the dimension of z.
      dtype: floating-point type of z.

    Returns (when called, with a temperature T):
      `tfd.MultivariateNormalDiag`, batch [], event [D]: N(0, T^2 I).

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, diagonal=True, standard=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    dtype: FloatType = "float32"

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return N(0, T^2 I), batch [], event [D]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalDiag

        scale = tf.fill([self.latent_dim], tf.cast(temperature, self.dtype))
        return MultivariateNormalDiag(tf.zeros([self.latent_dim], self.dtype), scale)
