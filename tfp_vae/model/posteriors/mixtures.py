"""Posteriors that are mixtures, for a p(z|x) with several modes. They have no closed-form KL."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import from_each
from tfp_vae.core.registry import Positive, record
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.posteriors.base import SCALE_FLOOR, Posterior, draw_at_once

__all__ = ["NormalMixture"]


@final
@record
class NormalMixture(Posterior):
    """Mixture of K diagonal Normals, q(z|x) = sum_k w_k N(z; loc_k, diag(scale_k^2)), all from the encoder.

    w = softmax(logits);  scale = scale_floor + softplus(s), as for `DiagonalNormal`.

    The choice of a component has no gradient, so objectives draw their S samples from every component, and weigh them
    by w_k / S. Values and gradients are then unbiased, and `IWAE` becomes the tighter bound of the reference. A step
    takes K S passes of the decoder and K^2 S Normals for each example. `DReG` does not support mixtures.

    Evaluation draws from the mixture itself, at the cost of K Normals for the density of each z.

    ```python
    posterior = tv.posteriors.NormalMixture(latent_dim=2, components=3)
    params = np.random.default_rng(0).normal(size=(16, posterior.params_size)).astype(np.float32)
    q = posterior(params)
    q.log_prob(q.sample(5, seed=(0, 0)))  # [5, 16], nats
    z, log_shares = q.stratified(5, seed=(0, 0))  # [15, 16, 2] and [15, 16], whose exponentials add up to 1
    ```

    Args:
      latent_dim: D, the dimension of z.
      components: K, the number of Normals, from 1 to 1,000.
      scale_floor: smallest scale, in units of z.

    Returns (when called on params [B, K + 2 K D], in the order logits, locs, s):
      `model.distributions.mixtures.NormalMixture`, batch [B], event [D].

    References:
      Morningstar et al. (2021), Automatic differentiation variational inference with mixtures.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(mixture=True)
    latent_dim: pydantic.PositiveInt
    components: Annotated[int, pydantic.Field(ge=1, le=1_000)] = field(default=4, kw_only=True)
    scale_floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    @property
    def params_size(self) -> int:
        """K + 2 K D: a logit for each component, and a loc and a scale for each of its dimensions."""
        return self.components * (1 + 2 * self.latent_dim)

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, K + 2 K D]."""
        from tfp_vae.model.distributions import mixtures

        logits, rest = tf.split(params, [self.components, -1], axis=-1)
        locs, s = tf.split(tf.reshape(rest, [-1, 2 * self.components, self.latent_dim]), 2, axis=-2)
        q: Distribution = mixtures.NormalMixture(logits, locs, self.scale_floor + tf.nn.softplus(s))
        return q

    def typical(self, params: Array, *, seed: Seed) -> Tensor:
        """Return the loc of the component with the largest weight, [B, D], because means may lie between the modes."""
        del seed
        return self(params).largest()  # type: ignore[attr-defined]

    def draw_each(self, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor]:
        """Return the same samples and densities as `Posterior.draw_each`, for all examples at once."""
        return draw_at_once(self, params, n, seeds)

    def draw_components(self, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Return n samples of every component, [n K, B, D], their log q(z|x) and the logarithms of their shares.

        Args:
          params: output of the encoder's network, [B, P].
          n: number of samples of each component.
          seeds: one stateless seed per example, [B, 2].
        """
        with from_each(seeds):
            q = self(params)
            z, log_shares = q.stratified(n, seed=(0, 0))  # type: ignore[attr-defined]
            return z, q.log_prob(z), log_shares
