"""Priors over the latent variable z: () -> p(z), a `tfd.Distribution`."""

from __future__ import annotations

import abc
from typing import Any, final

import pydantic
from pydantic.dataclasses import dataclass

from tfp_vae._lazy import tf, tfd
from tfp_vae.members import Table

__all__ = ["PRIORS", "Prior", "StandardNormal"]


class Prior(abc.ABC):
    """A prior: a value that gives p(z) when called."""

    latent_dim: int

    @abc.abstractmethod
    def __call__(self, temperature: float = 1.0) -> Any:
        """Return p(z), batch [], event [D]; a temperature T other than 1 scales its spread by T."""


@final
@dataclass(frozen=True)
class StandardNormal(Prior):
    """Standard Normal, p(z) = N(z; 0, I).

    Args:
      latent_dim: D, the dimension of z.
      dtype: floating-point type of z.

    Returns (when called, with a temperature T):
      `tfd.MultivariateNormalDiag`, batch [], event [D]: N(0, T^2 I).
    """

    latent_dim: pydantic.PositiveInt
    dtype: str = "float32"

    def __call__(self, temperature: float = 1.0) -> Any:
        """Return N(0, T^2 I), batch [], event [D]."""
        scale = tf.fill([self.latent_dim], tf.cast(temperature, self.dtype))
        return tfd.MultivariateNormalDiag(tf.zeros([self.latent_dim], self.dtype), scale)


PRIORS = Table("prior", {"standard-normal": StandardNormal})
