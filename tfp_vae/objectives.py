"""Objectives: lower bounds on log p(x), one value per example, whose negative mean is the loss."""

from __future__ import annotations

import abc
from dataclasses import field
from typing import Any, NamedTuple, final

import pydantic
from pydantic.dataclasses import dataclass

from tfp_vae._lazy import tf
from tfp_vae.members import Table
from tfp_vae.seeds import Seed

__all__ = ["ELBO", "OBJECTIVES", "Bound", "MonteCarloELBO", "Objective"]


class Bound(NamedTuple):
    """A bound on log p(x) and the ELBO's two terms, in nats, each [B]."""

    value: Any
    distortion: Any
    rate: Any


class Objective(abc.ABC):
    """A lower bound on log p(x): a small frozen record, a function of (vae, x, seed)."""

    @abc.abstractmethod
    def bound(self, vae: Any, x: Any, *, seed: Seed) -> Bound:
        """Return the bound for each example of x [B, *event_shape], with its distortion and rate."""

    @final
    def loss(self, vae: Any, x: Any, *, seed: Seed) -> Any:
        """Return the negative bound, averaged over the batch: a scalar, in nats."""
        return -tf.reduce_mean(self.bound(vae, x, seed=seed).value)


def _draw(vae: Any, x: Any, mc_samples: int, seed: Seed) -> tuple[Any, Any, Any]:
    q = vae.encoder(x)
    z = q.sample(mc_samples, seed=seed)  # [S, B, D]
    return q, z, -tf.reduce_mean(vae.decoder(z).log_prob(x), axis=0)


@final
@dataclass(frozen=True)
class ELBO(Objective):
    """Evidence lower bound with the closed-form rate.

    ELBO(x) = 1/S sum_s log p(x|z_s) - KL(q(z|x) || p(z)),  z_s ~ q(z|x).

    The distortion is estimated with S reparameterized samples, the rate is exact. Its cost is one pass of the
    encoder and S of the decoder for each example.

    Args:
      mc_samples: S, the samples of z for each example.

    Raises:
      NotImplementedError: TFP knows no closed-form KL for this posterior and prior.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    mc_samples: pydantic.PositiveInt = field(default=1, kw_only=True)

    def bound(self, vae: Any, x: Any, *, seed: Seed) -> Bound:
        """Return the ELBO of x [B, *event_shape], with its distortion and rate, each [B]."""
        q, _, distortion = _draw(vae, x, self.mc_samples, seed)
        rate = q.kl_divergence(vae.prior())
        return Bound(-distortion - rate, distortion, rate)


@final
@dataclass(frozen=True)
class MonteCarloELBO(Objective):
    """Evidence lower bound with the rate estimated from the same samples.

    ELBO(x) = 1/S sum_s [log p(x|z_s) + log p(z_s) - log q(z_s|x)],  z_s ~ q(z|x).

    Right for every posterior and prior that have a density. Where the closed form exists too, both have the same
    expectation; this one has no variance at all where q(z|x) is the exact posterior.

    Args:
      mc_samples: S, the samples of z for each example.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes, equation 6.
    """

    mc_samples: pydantic.PositiveInt = field(default=1, kw_only=True)

    def bound(self, vae: Any, x: Any, *, seed: Seed) -> Bound:
        """Return the ELBO of x [B, *event_shape], with its distortion and rate, each [B]."""
        q, z, distortion = _draw(vae, x, self.mc_samples, seed)
        rate = tf.reduce_mean(q.log_prob(z) - vae.prior().log_prob(z), axis=0)
        return Bound(-distortion - rate, distortion, rate)


OBJECTIVES = Table("objective", {"elbo": ELBO, "monte-carlo-elbo": MonteCarloELBO})
