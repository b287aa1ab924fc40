"""Weighting of the rate: beta, its linear warm-up, and free bits, for any estimator of the ELBO."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, final

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.objectives.bound import Bound, Objective
from tfp_vae.objectives.elbo import ELBOEstimator
from tfp_vae.objectives.rate import BY_DIMENSION, BY_LAYER, NO_SEPARATE_RATES, WHOLE, RateCost, has_separate_rates

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["Weighted"]


@final
@check_keywords
@dataclass(frozen=True)
class Weighted(Objective):
    """An estimator of the ELBO with another weight of the rate.

    -distortion - beta_t sum_d max(lambda, mean_batch KL(q(z_d|x) || p(z_d))),  beta_t = beta min((t + 1) / warm-up, 1).

    With lambda = 0 the sum is the rate itself, for any posterior and prior. With free bits, a dimension whose mean rate
    is below lambda costs lambda and gets no gradient, so nothing pulls it towards the prior. If z has layers, the sum
    is over the layers, and a layer of D_l dimensions has D_l lambda free nats. Its rate is the mean of
    log q(z_l|.) - log p(z_l|.) over the samples of the batch.

    With beta above 1 the value is still a lower bound on log p(x), but a looser one. With beta below 1 it is not a
    bound. Free bits also loosen the bound. The reported distortion and rate stay unweighted.

    ```python
    objective = tv.objectives.Weighted(tv.objectives.ELBO(), beta=4.0, warmup_steps=1_000, free_bits=0.5)
    objective.bound(vae, x, seed=(0, 0), step=10).value  # [16], nats
    ```

    Args:
      objective: the estimator of the ELBO.
      beta: weight of the rate after the warm-up, at least 0.
      warmup_steps: number of steps in which the weight rises linearly from beta / warm-up to beta.
      free_bits: lambda, nats per latent dimension that are exempt from the cost.

    Raises:
      UsageError: the objective has no rate to weigh, a number is out of range, or free bits are used with a model whose
        rate is not a sum of closed-form rates of each dimension.

    References:
      Higgins et al. (2017), beta-VAE: learning basic visual concepts with a constrained variational framework.
      Bowman et al. (2016), Generating sentences from a continuous space.
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow, appendix C.8.
    """

    weighs_rate: ClassVar[bool] = False
    objective: ELBOEstimator
    beta: float = field(default=1.0, kw_only=True)
    warmup_steps: int = field(default=0, kw_only=True)
    free_bits: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.objective, ELBOEstimator):
            raise UsageError(
                f"{self.objective!r} has no rate to weigh. Choose an estimator of the ELBO, such as `objective=elbo`."
            )
        for name in ("beta", "warmup_steps", "free_bits"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise UsageError(f"`{name}` must be a finite number of at least 0, found {value}.")

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        cost = functools.partial(self._cost, self._beta_at(step))
        return self.objective._estimate(vae, x, seed, step, cost)  # noqa: SLF001

    def _beta_at(self, step: int | Tensor) -> float | Tensor:
        if not self.warmup_steps:
            return self.beta
        return self.beta * tf.minimum((tf.cast(step, tf.float32) + 1) / self.warmup_steps, 1.0)

    def _cost(self, beta: float | Tensor, q: Distribution, p: Distribution, z: Tensor) -> RateCost:
        """Return the cost of the rate in a batch.

        The gradient is stopped while deciding which dimensions cost more than their free nats. At the threshold the
        weight jumps, like the slope of a maximum.
        """
        beta = tf.cast(beta, q.dtype)
        if not self.free_bits:
            return RateCost(WHOLE, beta[tf.newaxis])
        blocks = getattr(q, "blocks", None)  # which a z in layers has
        if blocks is None:
            parts, free = BY_DIMENSION, tf.cast(self.free_bits, q.dtype)
            rates = tf.reduce_mean(parts.kl_divergence(q, p), axis=0)
        else:
            parts, free = BY_LAYER, tf.constant([self.free_bits * size for size in blocks], q.dtype)
            rates = tf.reduce_mean(parts.log_ratio(q, p, z), axis=[0, 1])
        costly = tf.cast(tf.stop_gradient(rates) > free, q.dtype)
        return RateCost(parts, beta * costly, beta * tf.reduce_sum(free * (1 - costly)))

    def _check_model(self, vae: VAE) -> None:
        self.objective._check_model(vae)  # noqa: SLF001
        if self.free_bits and not has_separate_rates(vae.encoder.posterior, vae.prior):
            families = vae.encoder.posterior, vae.prior
            raise UsageError(NO_SEPARATE_RATES.format(*(type(family).__name__ for family in families)))

    def _check_gradient(self, vae: VAE) -> None:
        self.objective._check_gradient(vae)  # noqa: SLF001
