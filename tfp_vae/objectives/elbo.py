"""The evidence lower bound, with the rate in closed form or estimated.

Estimators of the ELBO subclass `ELBOEstimator`, which lets `Weighted` change the cost of their rate.
"""

from __future__ import annotations

import abc
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, final

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords, record
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.objectives.adversarial import Adversarial
from tfp_vae.objectives.bound import Bound, Objective, SampleCount
from tfp_vae.objectives.rate import CostFunction, RateCost, has_closed_form_rate, unweighted_cost

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["ELBO", "ELBOEstimator", "MonteCarloELBO", "elbo_for", "elbo_of"]


class ELBOEstimator(Objective):
    """An estimator of the ELBO, -distortion - rate, whose rate can be given another cost.

    To add one, define `_estimate`. Pass the rate through the cost that it receives, and `Weighted` will support the new
    objective.
    """

    weighs_rate: ClassVar[bool] = True

    @abc.abstractmethod
    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        """Return the bound for x [B, *event_shape] at a training step, with the rate at the given cost."""

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        return self._estimate(vae, x, seed, step, unweighted_cost)


def elbo_of(distortion: Tensor, rates: Tensor, cost: RateCost) -> Bound:
    """Return the bound of a distortion [B] and rates [B, P] at a cost."""
    value = -distortion - cost.weighted_sum(rates) - cost.constant
    return Bound(value, distortion, tf.reduce_sum(rates, axis=-1))


@final
@record
class ELBO(ELBOEstimator):
    """Evidence lower bound with the closed-form rate.

    ELBO(x) = 1/S sum_s log p(x|z_s) - KL(q(z|x) || p(z)),  z_s ~ q(z|x).

    The distortion is estimated with S reparameterized samples and the rate is exact. A step costs one pass of the
    encoder and S passes of the decoder for each example.

    E[ELBO] = log p(x) - KL(q(z|x) || p(z|x)), so the gap measures how far q(z|x) is from the exact posterior. More
    samples make the gradient less noisy, but they do not close the gap.

    ```python
    bound = tv.objectives.ELBO(mc_samples=5).bound(vae, x, seed=(0, 2))
    np.allclose(bound.value, -bound.distortion - bound.rate)  # True
    ```

    Args:
      mc_samples: S, samples of z per example.

    Raises:
      UsageError: the posterior and the prior have no closed-form KL. `MonteCarloELBO` estimates it.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
      Rezende, Mohamed and Wierstra (2014), Stochastic backpropagation and approximate inference in deep generative
      models.
    """

    needs_closed_form_rate: ClassVar[bool] = True
    samples_components: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=1, kw_only=True)

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        del step
        draws = self._draw(vae, x, self.mc_samples, seed)
        rate_cost = cost(draws.q, draws.p, draws.z)
        return elbo_of(draws.distortion, rate_cost.parts.kl_divergence(draws.q, draws.p), rate_cost)


@final
@record
class MonteCarloELBO(ELBOEstimator):
    """Evidence lower bound with the rate estimated from the same samples.

    ELBO(x) = 1/S sum_s [log p(x|z_s) + log p(z_s) - log q(z_s|x)],  z_s ~ q(z|x).

    It works with every posterior and prior that have a density. If the closed form exists too, both estimators have
    the same expectation. This one has zero variance if q(z|x) is the exact posterior.

    The estimate of one rate from one sample has a variance of about D / 2 nats^2 between Normals. The mean over a batch
    is much less noisy.

    ```python
    prior = tv.priors.NormalMixture(2, components=3)  # has no closed-form KL
    model = tv.VAE(vae.encoder, vae.decoder, prior)
    tv.objectives.MonteCarloELBO(mc_samples=5).loss(model, x, seed=(0, 2))  # a scalar, nats
    ```

    Args:
      mc_samples: S, samples of z per example.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes, equation 6.
      Roeder, Wu and Duvenaud (2017), Sticking the landing: simple, lower-variance gradient estimators for variational
        inference.
    """

    samples_components: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=1, kw_only=True)

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        del step
        draws = self._draw(vae, x, self.mc_samples, seed)
        rate_cost = cost(draws.q, draws.p, draws.z)
        log_ratio = rate_cost.parts.log_ratio(draws.q, draws.p, draws.z)
        return elbo_of(draws.distortion, draws.average(log_ratio), rate_cost)


@check_keywords
def elbo_for(vae: VAE) -> Objective:
    """Return the objective that measures a model's ELBO, with the closed-form rate if the model has one.

    For a posterior without a density it is `Adversarial`, which estimates the ELBO.

    It uses one sample per example. The mean over a data set has little noise, but a single example's value has much.

    ```python
    elbo = tv.objectives.elbo_for(vae).bound(vae, x, seed=(0, 5)).value  # [16], nats
    ```
    """
    if vae.encoder.posterior.capabilities.implicit:
        return Adversarial()
    return ELBO() if has_closed_form_rate(vae.encoder.posterior, vae.prior) else MonteCarloELBO()
