"""Variational families over the latent variable z: parameters -> q(z|x), a `tfd.Distribution`."""

from __future__ import annotations

import abc
from dataclasses import field
from typing import Any, final

import pydantic
from pydantic.dataclasses import dataclass

from tfp_vae._lazy import tf, tfd
from tfp_vae.members import Table

__all__ = ["POSTERIORS", "DiagonalNormal", "Posterior"]


class Posterior(abc.ABC):
    """A variational family: a value that turns an encoder's output into q(z|x)."""

    latent_dim: int

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """How many numbers the encoder's network gives for each example."""

    @abc.abstractmethod
    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, params_size]."""


@final
@dataclass(frozen=True)
class DiagonalNormal(Posterior):
    """Normal with diagonal covariance, q(z|x) = N(z; loc, diag(scale^2)).

    params = (loc, s);  scale = scale_floor + softplus(s). The floor keeps the density finite however sure the
    encoder becomes.

    Args:
      latent_dim: D, the dimension of z.
      scale_floor: the smallest scale, in units of z.

    Returns (when called on params [B, 2 D]):
      `tfd.MultivariateNormalDiag`, batch [B], event [D]. Its KL to another multivariate Normal is closed-form.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    latent_dim: pydantic.PositiveInt
    scale_floor: pydantic.PositiveFloat = field(default=1e-4, kw_only=True)

    @property
    def params_size(self) -> int:
        """2 D: a loc and a scale for each dimension."""
        return 2 * self.latent_dim

    def __call__(self, params: Any) -> Any:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D]."""
        loc, s = tf.split(params, 2, axis=-1)
        return tfd.MultivariateNormalDiag(loc, self.scale_floor + tf.nn.softplus(s))


POSTERIORS = Table("posterior", {"diagonal-normal": DiagonalNormal})
