"""Estimators of the gradient that need no gradient of the samples: leave-one-out, VIMCO and DisARM.

Each has the value of another objective. Only the gradient differs: that of the encoder comes from the score function,
E_q[f(z) d log q(z|x)], with a baseline or antithetic samples against its variance. They are unbiased for any z, so they
train discrete models.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, cast, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.objectives.bound import Bound, Objective, SampleCount, log_mean_exp, mean_terms, no_value
from tfp_vae.objectives.elbo import ELBOEstimator, elbo_of
from tfp_vae.objectives.rate import CostFunction, RateCost, has_closed_form_rate

if TYPE_CHECKING:
    from tfp_vae.model.distributions.codes import Bits
    from tfp_vae.model.vae import VAE

__all__ = ["RLOO", "VIMCO", "DisARM"]

SeveralSamples = Annotated[int, pydantic.Field(ge=2, le=10_000)]
"""A number of samples per example. Each is compared with the others, so there are at least two."""


class Scored(NamedTuple):
    """The ELBO of S fixed samples of z, with the contribution of each sample.

    log_q: log q(z|x), [S, B].
    gain: the contribution of each sample to the bound, [S, B]. It is log p(x|z), minus the weighted log-ratio of q and
      p if the rate has no closed form.
    bound: the bound, with the gradient of decoder and prior, and that of a closed-form rate.
    """

    log_q: Tensor
    gain: Tensor
    bound: Bound

    @classmethod
    def of(cls, vae: VAE, x: Array, q: Distribution, z: Tensor, cost: CostFunction) -> Scored:
        """Return the terms of samples z [S, B, D] of q, through which no gradient passes."""
        z, p = tf.stop_gradient(z), vae.prior()
        rate_cost, log_q, log_px = cost(q, p, z), q.log_prob(z), vae.decoder(z).log_prob(x)
        distortion = -tf.reduce_mean(log_px, axis=0)
        if has_closed_form_rate(vae.encoder.posterior, vae.prior):
            return cls(log_q, log_px, elbo_of(distortion, rate_cost.parts.kl_divergence(q, p), rate_cost))
        ratios = ratios_at(q, p, z, rate_cost)
        bound = elbo_of(distortion, tf.reduce_mean(ratios, axis=0), rate_cost)
        return cls(log_q, log_px - rate_cost.weighted_sum(ratios), bound)

    def with_score(self, weights: Tensor) -> Bound:
        """Return the bound with the gradient of sum_s weights_s log q(z_s|x) in addition to its own."""
        return self.bound._replace(value=self.bound.value + score_of(weights, self.log_q))


def ratios_at(q: Distribution, p: Distribution, z: Tensor, cost: RateCost) -> Tensor:
    """Return log q(z|x) - log p(z) by parts, [S, B, P], with q held fixed, because E[d log q] is zero."""
    return tf.stop_gradient(cost.parts.log_prob(q, z)) - cost.parts.log_prob(p, z)


def score_of(weights: Tensor, terms: Tensor) -> Tensor:
    """Return 0 with the gradient of sum_s weights_s terms_s, for weights and terms [S, B]."""
    return no_value(tf.reduce_sum(tf.stop_gradient(weights) * terms, axis=0))


def above_the_others(values: Tensor, samples: int) -> Tensor:
    """Return each value minus the mean of the other samples, for values [S, B]."""
    return (values - tf.reduce_mean(values, axis=0)) * (samples / (samples - 1))


@final
@record
class RLOO(ELBOEstimator):
    """Evidence lower bound with the leave-one-out score-function gradient.

    The value is that of `ELBO` if the rate has a closed form, else that of `MonteCarloELBO`. The gradient is that of
    1/S sum_s (f(z_s) - mean of f over the other samples) log q(z_s|x), plus that of f and of a closed-form rate. It is
    unbiased for every posterior with a density, discrete or not.

    A step costs one pass of the encoder and S passes of the decoder for each example. The variance falls with S.

    ```python
    posterior = tv.posteriors.Bernoulli(4)
    encoder = tv.Encoder(tv.networks.mlp((8, 8, 1), posterior.params_size), posterior)
    decoder = tv.Decoder(tv.networks.mlp((4,), vae.decoder.likelihood.params_size), vae.decoder.likelihood)
    model = tv.VAE(encoder, decoder, tv.priors.Uniform(4))
    tv.objectives.RLOO(mc_samples=4).loss(model, x, seed=(0, 2))  # a scalar, nats
    ```

    Args:
      mc_samples: S, samples of z per example, at least 2.

    References:
      Kool, van Hoof and Welling (2019), Buy 4 REINFORCE samples, get a baseline for free.
    """

    needs_reparameterized_posterior: ClassVar[bool] = False
    mc_samples: SeveralSamples = field(default=4, kw_only=True)

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        del step
        q = vae.encoder(x)
        scored = Scored.of(vae, x, q, q.sample(self.mc_samples, seed=seed), cost)
        return scored.with_score(above_the_others(scored.gain, self.mc_samples) / self.mc_samples)


@final
@record
class VIMCO(Objective):
    """`IWAE` with a score-function gradient whose baselines come from the other samples.

    The value is that of `IWAE`. The baseline of sample k is the bound in which the geometric mean of the other weights
    replaces w_k. The gradient is unbiased for every posterior with a density, discrete or not.

    A step costs one pass of the encoder, K passes of the decoder and K^2 numbers for each example.

    Args:
      mc_samples: K, samples of z per example, at least 2.

    References:
      Mnih and Rezende (2016), Variational inference for Monte Carlo objectives.
    """

    needs_reparameterized_posterior: ClassVar[bool] = False
    mc_samples: Annotated[int, pydantic.Field(ge=2, le=1_000)] = field(default=5, kw_only=True)

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        del step
        q, count = vae.encoder(x), self.mc_samples
        z = tf.stop_gradient(q.sample(count, seed=seed))
        log_q, log_px = q.log_prob(z), vae.decoder(z).log_prob(x)
        log_ratio = log_q - vae.prior().log_prob(z)
        log_w = log_px - log_ratio
        value = log_mean_exp(log_w, count)
        others = log_w - above_the_others(log_w, count)  # the mean of the other logarithms
        replaced = tf.where(tf.eye(count, dtype=tf.bool)[..., tf.newaxis], others, log_w[:, tf.newaxis])  # [K, K, B]
        score = score_of(value - log_mean_exp(replaced, count), log_q)
        return Bound(value + score, *mean_terms(log_px, log_ratio))


@final
@record
class DisARM(ELBOEstimator):
    """Evidence lower bound of bits with the gradient of antithetic pairs.

    The value is that of `ELBO` or `MonteCarloELBO` from 2 S samples. Each pair comes from u and 1 - u. With bits b and
    b', the gradient in the logit l_d is 1/2 (f(b) - f(b')) (-1)^b'_d [b_d != b'_d] sigmoid(|l_d|). It is unbiased, and
    its variance is at most that of two independent samples.

    A step costs one pass of the encoder and 2 S passes of the decoder for each example. It is for a `Bernoulli`
    posterior only.

    Args:
      mc_samples: S, antithetic pairs per example.

    Raises:
      UsageError: z does not consist of bits.

    References:
      Dong, Mnih and Tucker (2020), DisARM: an antithetic gradient estimator for binary latent variables.
      Yin, Ho, Yan, Qian and Zhou (2020), Probabilistic best subset selection via gradient-based optimization.
    """

    needs_reparameterized_posterior: ClassVar[bool] = False
    needs_codes: ClassVar[bool] = True
    needs_bits: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=1, kw_only=True)

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        del step
        q = cast("Bits", vae.encoder(x))
        first, second = q.antithetic(self.mc_samples, seed)
        scored = Scored.of(vae, x, q, tf.concat([first, second], axis=0), cost)
        difference = (scored.gain[: self.mc_samples] - scored.gain[self.mc_samples :])[..., tf.newaxis] / 2
        # (-1)^b'_d [b_d != b'_d] is b_d - b'_d
        slope = tf.reduce_mean(difference * (first - second) * tf.sigmoid(tf.abs(q.logits)), axis=0)  # [B, D]
        score = no_value(tf.reduce_sum(tf.stop_gradient(slope) * q.logits, axis=-1))
        return scored.bound._replace(value=scored.bound.value + score)
