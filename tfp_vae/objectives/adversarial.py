"""Adversarial variational Bayes: an estimate of the ELBO for a posterior without a density."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, cast, final

import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.noise import standard_normal
from tfp_vae.core.registry import record
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.objectives.bound import Bound, Objective, SampleCount, no_value

if TYPE_CHECKING:
    from tfp_vae.model.distributions.implicit import Sampler
    from tfp_vae.model.vae import VAE

__all__ = ["Adversarial"]

LEAST_SCALE = 1e-3
"""Smallest scale of the Normal with which samples are compared, in units of z."""


@final
@record
class Adversarial(Objective):
    """Estimate of the evidence lower bound of an `Implicit` posterior, by a discriminator.

    log q(z|x) - log p(z) = T(x, z) + log r(z|x) - log p(z).

    r(z|x) is a Normal with the moments of `contrast_samples` samples of q(z|x) (adaptive contrast). The discriminator
    learns to tell samples of q from those of r, and the logit T of the best one is log q(z|x) - log r(z|x). The encoder
    learns along the path of z with T and r held fixed. Each step trains both, with the same optimizer.

    The value is an estimate of the ELBO and not a bound: a poor discriminator makes the rate look too small. Judge a
    model with `evaluation.annealed_log_likelihood` instead.

    A step costs S passes of the decoder and its gradient in z, and S + M passes of the sampler for each example.

    Args:
      mc_samples: S, samples of z per example, of both players.
      contrast_samples: M, samples that estimate the moments of q(z|x), at least 2.

    Raises:
      UsageError: the posterior is not `Implicit`.

    References:
      Mescheder, Nowozin and Geiger (2017), Adversarial variational Bayes.
    """

    takes_implicit: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=1, kw_only=True)
    contrast_samples: Annotated[int, pydantic.Field(ge=2, le=10_000)] = field(default=16, kw_only=True)

    @property
    def is_elbo(self) -> bool:
        """Whether its value estimates the ELBO: always."""
        return True

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        del step
        q, p = cast("Sampler", vae.encoder(x)), vae.prior()
        z = q.sample(self.mc_samples, seed=fold(seed, 0))
        loc, variance = tf.nn.moments(tf.stop_gradient(q.sample(self.contrast_samples, seed=fold(seed, 1))), axes=[0])
        count = self.contrast_samples
        scale = tf.maximum(tf.sqrt(variance * (count / (count - 1))), LEAST_SCALE)
        contrast, fixed = tfd.MultivariateNormalDiag(loc, scale), tf.stop_gradient(z)
        with tf.GradientTape() as tape:
            tape.watch(fixed)
            log_px, log_pz = vae.decoder(fixed).log_prob(x), p.log_prob(fixed)
            logits = q.discriminator((fixed - loc) / scale)
            gain = log_px + log_pz - contrast.log_prob(fixed) - logits
        slope = tf.stop_gradient(tape.gradient(gain, fixed))
        log_ratio = tf.stop_gradient(gain - log_px)
        distortion, rate = -tf.reduce_mean(log_px, axis=0), -tf.reduce_mean(log_ratio, axis=0)
        noise = standard_normal([self.mc_samples, tf.shape(z)[1], z.shape[-1]], fold(seed, 2), z.dtype)
        verdicts = tf.math.log_sigmoid(logits) + tf.math.log_sigmoid(-q.discriminator(noise))
        learned = log_pz + verdicts + tf.reduce_sum(slope * z, axis=-1)
        return Bound(-distortion - rate + no_value(tf.reduce_mean(learned, axis=0)), distortion, rate)

    def _check_model(self, vae: VAE) -> None:
        posterior = vae.encoder.posterior
        if not posterior.capabilities.implicit:
            raise UsageError(
                f"Adversarial estimates the density of an implicit posterior, but {type(posterior).__name__} has one. "
                "Choose `posterior=implicit`, or another objective."
            )
