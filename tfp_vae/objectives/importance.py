"""Bounds from importance weights w_k = p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x)."""

from __future__ import annotations

import math
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.objectives.bound import Bound, Draws, Objective, SampleCount, log_mean_exp

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["IWAE", "MIWAE", "Renyi"]

SampleFactor = Annotated[int, pydantic.Field(ge=1, le=316)]
"""A factor of a number of samples. The product of two is at most 100,000."""


@final
@record
class IWAE(Objective):
    """Importance-weighted bound, log 1/K sum_k w_k, w_k = p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x).

    The bound gets tighter as K grows. Its gap to log p(x) falls like var(w) / (2 K p(x)^2) if the weights have a
    finite variance. K = 1 is `MonteCarloELBO`.

    The signal-to-noise ratio of the encoder's gradient falls like 1 / sqrt(K), while that of the decoder's gradient
    grows like sqrt(K). Use `DReG` if the encoder learns poorly at large K.

    Args:
      mc_samples: K, samples of z per example.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
      Rainforth et al. (2018), Tighter variational bounds are not necessarily better.
    """

    samples_components: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=5, kw_only=True)

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        del step
        draws = self._draw(vae, x, self.mc_samples, seed)
        log_ratio = draws.log_ratio()
        return Bound(draws.log_average(draws.log_px - log_ratio), *draws.terms(log_ratio))


@final
@record
class MIWAE(Objective):
    """Mean of M importance-weighted bounds with K samples each.

    1/M sum_m log 1/K sum_k w_mk lies between `MonteCarloELBO` (K = 1) and `IWAE` (M = 1).

    A step costs M K passes of the decoder for each example. If M K is fixed, a larger M gives the encoder's gradient
    more signal and a larger K makes the bound tighter.

    Args:
      outer_samples: M, at most 316.
      inner_samples: K, at most 316.

    References:
      Rainforth et al. (2018), Tighter variational bounds are not necessarily better.
    """

    samples_components: ClassVar[bool] = True
    outer_samples: SampleFactor = field(default=2, kw_only=True)
    inner_samples: SampleFactor = field(default=5, kw_only=True)

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        del step
        draws = self._draw(vae, x, self.outer_samples * self.inner_samples, seed)
        log_ratio = draws.log_ratio()
        log_w = draws.log_px - log_ratio
        if draws.log_shares is not None:
            log_w = self._over_components(log_w + draws.log_shares)
        log_w = tf.reshape(log_w, [self.inner_samples, self.outer_samples, -1])
        value = tf.reduce_mean(log_mean_exp(log_w, self.inner_samples), axis=0)
        return Bound(value, *draws.terms(log_ratio))

    def _over_components(self, log_w: Tensor) -> Tensor:
        """Return the logarithms of the sums over components, [M K, B], given weights times shares."""
        count = self.outer_samples * self.inner_samples
        by_component = tf.reshape(log_w, [count, log_w.shape[0] // count, -1])
        return tf.reduce_logsumexp(by_component, axis=1) + math.log(count)


@final
@record
class Renyi(Objective):
    """Variational Renyi bound, 1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha).

    alpha = 0 is `IWAE`, and alpha -> 1 is the ELBO. For alpha in [0, 1] the expectation is a lower bound on log p(x).
    For alpha > 1 it lies below the ELBO.

    The power reduces the influence of weights above the average as alpha grows. Training maximizes the estimate from K
    samples. For alpha < 1 that estimate lies below the Renyi bound and approaches it as K grows.

    Args:
      alpha: order of the divergence, from 0 to 1,000.
      mc_samples: K, samples of z per example.

    References:
      Li and Turner (2016), Renyi divergence variational inference.
    """

    samples_components: ClassVar[bool] = True
    alpha: Annotated[float, pydantic.Field(ge=0, le=1_000, allow_inf_nan=False)] = field(default=0.5, kw_only=True)
    mc_samples: SampleCount = field(default=5, kw_only=True)

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        del step
        draws = self._draw(vae, x, self.mc_samples, seed)
        log_ratio = draws.log_ratio()
        return Bound(self._value(draws, draws.log_px - log_ratio), *draws.terms(log_ratio))

    def _value(self, draws: Draws, log_w: Tensor) -> Tensor:
        power = 1 - self.alpha
        if abs(power) < 1e-4:  # the limit, because rounding errors would dominate the quotient in float32
            return draws.average(log_w)
        return draws.log_average(power * log_w) / power
