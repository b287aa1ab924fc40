"""The Gumbel-softmax relaxation: a gradient for codes through samples between the codes."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, cast, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Positive, record
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.objectives.bound import Bound, SampleCount, no_value
from tfp_vae.objectives.elbo import ELBOEstimator, elbo_of
from tfp_vae.objectives.rate import CostFunction, RateCost, has_closed_form_rate

if TYPE_CHECKING:
    from tfp_vae.model.distributions.codes import Codes
    from tfp_vae.model.vae import VAE

__all__ = ["GumbelSoftmax"]


@final
@record
class GumbelSoftmax(ELBOEstimator):
    """Evidence lower bound of codes with the gradient of a relaxation.

    The value is that of `ELBO` or `MonteCarloELBO` at the codes themselves, never at their relaxation. Decoder and
    prior learn from the codes too. Only the encoder's gradient is that of the relaxation
    softmax((l + Gumbel noise) / temperature), or of its sigmoid for bits. A rate in closed form has its exact gradient.

    The gradient is biased. The bias falls with the temperature, and the variance grows. The temperature falls
    geometrically from `temperature` to `final_temperature` over `annealing_steps` steps.

    A step costs one pass of the encoder and 2 S passes of the decoder for each example. With `straight_through`, the
    decoder is differentiated at the codes instead of at their relaxation, so S passes are enough, with another bias.

    ```python
    objective = tv.objectives.GumbelSoftmax(temperature=1.0, final_temperature=0.3, annealing_steps=1_000)
    float(objective.temperature_at(500))  # 0.548, the geometric mean of both
    ```

    Args:
      mc_samples: S, samples of z per example.
      temperature: the temperature of the first step.
      final_temperature: the temperature after the annealing.
      annealing_steps: steps until then.
      straight_through: whether to differentiate the decoder at the codes.

    Raises:
      UsageError: z does not consist of independent codes.

    References:
      Jang, Gu and Poole (2017), Categorical reparameterization with Gumbel-softmax.
      Maddison, Mnih and Teh (2017), The concrete distribution: a continuous relaxation of discrete random variables.
      Bengio, Leonard and Courville (2013), Estimating or propagating gradients through stochastic neurons.
    """

    needs_reparameterized_posterior: ClassVar[bool] = False
    needs_codes: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=1, kw_only=True)
    temperature: Positive = field(default=1.0, kw_only=True)
    final_temperature: Positive = field(default=0.5, kw_only=True)
    annealing_steps: Annotated[int, pydantic.Field(ge=1, le=1_000_000_000)] = field(default=10_000, kw_only=True)
    straight_through: bool = field(default=False, kw_only=True)

    def temperature_at(self, step: int | Tensor) -> Tensor:
        """Return the temperature of a step, counted from 0."""
        share = tf.minimum(tf.cast(step, tf.float32) / self.annealing_steps, 1.0)
        return self.temperature * (self.final_temperature / self.temperature) ** share

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        q, p = cast("Codes", vae.encoder(x)), vae.prior()
        codes, soft = q.relaxed(self.mc_samples, self.temperature_at(step), seed)
        z = codes + no_value(soft) if self.straight_through else codes
        rate_cost, log_px = cost(q, p, codes), vae.decoder(z).log_prob(x)
        distortion = -tf.reduce_mean(log_px, axis=0)
        if has_closed_form_rate(vae.encoder.posterior, vae.prior):
            bound = elbo_of(distortion, rate_cost.parts.kl_divergence(q, p), rate_cost)
        else:
            # the entropy of q has its exact gradient, so this log q has none
            log_ratios = tf.stop_gradient(rate_cost.parts.log_prob(q, codes)) - rate_cost.parts.log_prob(p, z)
            bound = elbo_of(distortion, tf.reduce_mean(log_ratios, axis=0), rate_cost)
            bound = bound._replace(value=bound.value + no_value(rate_cost.weighted_sum(q.entropy()[..., tf.newaxis])))
        if self.straight_through:
            return bound
        along = tf.reduce_mean(tf.reduce_sum(self._slope(vae, x, soft, rate_cost) * soft, axis=-1), axis=0)
        return bound._replace(value=bound.value + no_value(along))

    def _slope(self, vae: VAE, x: Array, soft: Tensor, cost: RateCost) -> Tensor:
        """Return the slope along z of each sample's contribution to the bound at its relaxation, fixed, [S, B, D]."""
        z = tf.stop_gradient(soft)
        with tf.GradientTape() as tape:
            tape.watch(z)
            total = vae.decoder(z).log_prob(x)
            if not has_closed_form_rate(vae.encoder.posterior, vae.prior):
                total += cost.weighted_sum(cost.parts.log_prob(vae.prior(), z))
        return tf.stop_gradient(tape.gradient(total, z))
