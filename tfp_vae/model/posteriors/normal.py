"""Posteriors that are multivariate Normals. Their KL to a Normal prior has a closed form."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf, tfp
from tfp_vae.core.registry import Depth, Positive, record
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.posteriors.base import SCALE_FLOOR, NormalNoisePosterior

__all__ = ["DiagonalNormal", "FullCovarianceNormal", "HouseholderFlow"]


@final
@record
class DiagonalNormal(NormalNoisePosterior):
    """Normal with diagonal covariance, q(z|x) = N(z; loc, diag(scale^2)).

    params = (loc, s);  scale = scale_floor + softplus(s). The floor keeps the density finite even if the encoder
    becomes very certain. With s = 0 the scale is about log 2, which is close to the scale 1 of a standard prior.

    Sampling, density and KL cost O(D) per example. The family has no correlations between the dimensions of z given x,
    so the ELBO is loose if p(z|x) has them.

    ```python
    posterior = tv.posteriors.DiagonalNormal(latent_dim=2)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))  # loc 0, scale log 2
    q.stddev()  # [16, 2]
    ```

    Args:
      latent_dim: D, the dimension of z.
      scale_floor: smallest scale, in units of z.

    Returns (when called on params [B, 2 D]):
      `tfd.MultivariateNormalDiag`, batch [B], event [D]. Its KL to another multivariate Normal has a closed form.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, diagonal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    scale_floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    @property
    def params_size(self) -> int:
        """2 D: a loc and a scale for each dimension."""
        return 2 * self.latent_dim

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D].

        Args:
          params: [B, 2 D], the locs first, in float32 or float64. The type of q(z|x) is the same.
        """
        from tfp_vae.model.distributions.normals import MultivariateNormalDiag

        loc, s = tf.split(params, 2, axis=-1)
        return MultivariateNormalDiag(loc, self.scale_floor + tf.nn.softplus(s))

    def mean(self, params: Array, *, seed: Seed) -> Tensor:
        """Return the locs, [B, D]. This takes a tenth of the time of `self(params).mean()`."""
        del seed
        return tf.split(params, 2, axis=-1)[0]


@final
@record
class FullCovarianceNormal(NormalNoisePosterior):
    """Normal with full covariance, q(z|x) = N(z; loc, L L^T), with L lower triangular.

    params = (loc, entries of L in the order of `tfp.math.fill_triangular`). The diagonal of L is
    scale_floor + softplus(.), and the other entries are divided by D, so q starts close to a diagonal Normal.

    Parameters, sampling, density and the KL to a diagonal Normal cost O(D^2) per example. The family contains every
    Gaussian p(z|x), such as that of a linear decoder with Normal noise, so the ELBO of such a model can be tight. If D
    is in the hundreds, the last layer of the encoder holds most of the weights. `HouseholderFlow` then models
    correlations at a lower cost.

    Args:
      latent_dim: D, the dimension of z.
      scale_floor: smallest diagonal entry of L.

    Returns (when called on params [B, D + D (D + 1) / 2]):
      `tfd.MultivariateNormalTriL`, batch [B], event [D]. Its KL to another multivariate Normal has a closed form.

    References:
      Kingma and Welling (2019), An introduction to variational autoencoders.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    scale_floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    @property
    def params_size(self) -> int:
        """D + D (D + 1) / 2."""
        return self.latent_dim + self.latent_dim * (self.latent_dim + 1) // 2

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, D + D (D + 1) / 2]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalTriL

        loc, entries = tf.split(params, [self.latent_dim, -1], axis=-1)
        lower = tfp.math.fill_triangular(entries)
        diagonal = self.scale_floor + tf.nn.softplus(tf.linalg.diag_part(lower))
        return MultivariateNormalTriL(loc, tf.linalg.set_diag(lower / self.latent_dim, diagonal))


@final
@record
class HouseholderFlow(NormalNoisePosterior):
    """Normal whose covariance is rotated by Householder reflections, z = H_K ... H_1 z_0.

    z_0 ~ N(loc, diag(scale^2));  H_k = I - 2 v_k v_k^T / |v_k|^2, all from the encoder. U = H_K ... H_1 is orthogonal,
    so q(z|x) = N(z; U loc, U diag(scale^2) U^T): a Normal with correlations from K D numbers. Its KL to N(0, I) equals
    that of z_0. Samples and density cost O(K D) each, a KL O(K D^2).

    K = D - 1 reflections reach every covariance whose scales exceed the floor of 0.0001. Fewer give a family between
    the diagonal and the full one. 1e-6 is added to each entry of v, because the direction of a zero vector is not
    defined.

    ```python
    posterior = tv.posteriors.HouseholderFlow(latent_dim=2, reflections=1)
    params = np.random.default_rng(0).normal(size=(16, posterior.params_size)).astype(np.float32)
    q = posterior(params)
    q.covariance()  # [16, 2, 2], with correlations
    q.kl_divergence(tv.priors.StandardNormal(2)())  # [16], in closed form
    ```

    Args:
      latent_dim: D, the dimension of z.
      reflections: K, the number of reflections.

    Returns (when called on params [B, (2 + K) D], in the order loc, s, v_1, ..., v_K):
      `tfd.MultivariateNormalLinearOperator`, batch [B], event [D]. Its KL to another multivariate Normal has a closed
      form.

    References:
      Tomczak and Welling (2016), Improving variational auto-encoders using Householder flow.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    reflections: Depth = field(default=4, kw_only=True)

    @property
    def params_size(self) -> int:
        """(2 + K) D: loc, scale, and the vector of each reflection."""
        return (2 + self.reflections) * self.latent_dim

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, (2 + K) D]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalLinearOperator

        def product(operators: list[object]) -> Tensor:  # the last operator is applied first
            return tf.linalg.LinearOperatorComposition(operators, is_square=True, is_non_singular=True)

        base, *vectors = tf.split(params, [2 * self.latent_dim] + [self.latent_dim] * self.reflections, axis=-1)
        loc, s = tf.split(base, 2, axis=-1)
        turns = [tf.linalg.LinearOperatorHouseholder(vector + 1e-6) for vector in reversed(vectors)]
        stretch = tf.linalg.LinearOperatorDiag(SCALE_FLOOR + tf.nn.softplus(s), is_non_singular=True)
        return MultivariateNormalLinearOperator(product(turns).matvec(loc), product([*turns, stretch]))
