"""A defensive mixture of the encoder's q(z|x), its refinement, and a wider copy of the refinement."""

from __future__ import annotations

import math
from dataclasses import field
from typing import TYPE_CHECKING, final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Positive, record
from tfp_vae.core.seeds import fold_each
from tfp_vae.core.types import Seed, Tensor
from tfp_vae.evaluation.proposals.base import Joint, Proposal, Refinement, even_uniform
from tfp_vae.evaluation.proposals.local import Local, Samples, Steps
from tfp_vae.model.posteriors import MEAN_SAMPLES

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["Mixture"]

SHARES = (0.1, 0.6, 0.3)
"""Shares of samples from the encoder's q(z|x), from the refined one, and from its wider copy."""


@final
@record
class Mixture(Refinement):
    """Samples from three distributions, weighted by the density of their mixture.

    q(z) = 0.1 q(z|x) + 0.6 r(z) + 0.3 w(z), where r is the result of `local`. w is r with distances from its mean
    multiplied by 1 + widening / sqrt(D). An ELBO favours distributions that are too narrow, so w covers the tails of
    p(z|x). The encoder's q(z|x) covers regions that r has left. Each weight is divided by the density of the whole
    mixture, so it is at most ten times that of the encoder's proposal.

    Every sample chooses its component with these shares, so the mean weight is an unbiased estimate of p(x) for any K.
    The choices of an example are spread evenly over its samples.

    Fitting costs as much as `local`. Each sample needs three densities at a given z, so an inverse autoregressive
    posterior takes 3 D passes of its flow.

    ```python
    refine = tv.evaluation.proposals.Mixture(steps=5)
    tv.evaluation.estimate(vae, x[:4], iw_samples=20, seed=(0, 3), refine=refine, execution="graph").ess  # [4]
    ```

    Args:
      steps: number of gradient steps, see `Local`.
      samples: samples of z in each step.
      learning_rate: the first step size of Adam.
      widening: how much wider the third component is.

    References:
      Hesterberg (1995), Weighted average importance sampling and defensive mixture distributions.
    """

    steps: Steps = field(default=50, kw_only=True)
    samples: Samples = field(default=8, kw_only=True)
    learning_rate: Positive = field(default=0.1, kw_only=True)
    widening: Positive = field(default=1.0, kw_only=True)

    @property
    def local(self) -> Local:
        """The refinement of the second component."""
        return Local(steps=self.steps, samples=self.samples, learning_rate=self.learning_rate)

    @property
    def effort(self) -> str:
        """The number of steps."""
        return self.local.effort

    def check(self, vae: VAE) -> None:
        """Raise an error if the posterior has no differentiable samples, or no density at a given z.

        Raises:
          UsageError: the posterior lacks one of these.
        """
        self.local.check(vae)
        posterior, dtype = vae.encoder.posterior, vae.dtype
        if posterior.capabilities.approximate:
            raise UsageError(
                f"`refine=mixture` needs the density of a posterior at any z, but {type(posterior).__name__} has one "
                "for its own samples only. Use `refine=local`."
            )
        try:
            posterior(tf.zeros([1, posterior.params_size], dtype)).log_prob(tf.zeros([1, posterior.latent.size], dtype))
        except NotImplementedError as error:
            raise UsageError(
                f"`refine=mixture` needs the density of a posterior at any z, but {type(posterior).__name__} has none. "
                "Use `refine=local`."
            ) from error

    def fit(self, joint: Joint, params: Tensor, seed: Seed, places: Tensor) -> Proposal:
        """Return the parameters of the encoder and the refined ones, [B, P] each, and the refined mean, [B, D]."""
        (refined,) = self.local.fit(joint, params, seed, places)
        posterior = joint.vae.encoder.posterior
        if posterior.capabilities.normal:
            return params, refined, posterior(refined).mean()
        z, _ = posterior.draw_each(refined, MEAN_SAMPLES, fold_each(seed, places, 1))  # one seed for each example
        return params, refined, tf.reduce_mean(z, axis=0)

    def draw_each(self, joint: Joint, proposal: Proposal, n: int, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """Return n samples of the mixture for each example, [n, B, D], and its log-densities there, [n, B]."""
        params, refined, mean = proposal
        posterior, width = joint.vae.encoder.posterior, 1 + self.widening / math.sqrt(mean.shape[-1])
        (own, _), (narrow, _) = (posterior.draw_each(each, n, seeds) for each in (params, refined))
        u = even_uniform(n, seeds, mean.dtype)[..., tf.newaxis]  # [n, B, 1]
        wide = mean + width * (narrow - mean)
        z = tf.stop_gradient(tf.where(u < SHARES[0], own, tf.where(u < SHARES[0] + SHARES[1], narrow, wide)))
        log_wide = posterior(refined).log_prob(mean + (z - mean) / width) - mean.shape[-1] * math.log(width)
        densities = posterior(params).log_prob(z), posterior(refined).log_prob(z), log_wide
        shares = [math.log(share) + density for share, density in zip(SHARES, densities, strict=True)]
        return z, tf.reduce_logsumexp(tf.stack(shares), axis=0)
