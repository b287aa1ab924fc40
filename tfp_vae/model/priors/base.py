"""The interface of priors over z."""

from __future__ import annotations

import abc
from typing import ClassVar

from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Distribution
from tfp_vae.model.latent import Capabilities, Latent

__all__ = ["Prior"]


@check_keywords
class Prior(abc.ABC):
    """A prior: a value that returns p(z) when called.

    A prior is called at every step, because its parameters may be learned. A learned prior lowers the rate by moving
    p(z) towards the aggregate posterior q(z) = E_x q(z|x). The rate is I(x; z) + KL(q(z) || p(z)), and a prior can only
    remove the second term.

    References:
      Hoffman and Johnson (2016), ELBO surgery: yet another way to carve up the variational evidence lower bound.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    """Properties of p(z) at a temperature of 1."""

    latent_dim: int

    context_size: int = 0
    """C, the number of values of the context y if this is a family p(z|y), else 0."""

    @property
    def latent(self) -> Latent:
        """The space of z, R^D."""
        return Latent.vector(self.latent_dim)

    @property
    def learned(self) -> tuple[object, ...]:
        """Modules and variables that the prior learns.

        They are created once and belong to this value. Models that are given the same value therefore share them.
        """
        return ()

    def given(self, context: Array) -> Prior:
        """Return p(z|y) for a context [C], or for one context of each example, [B, C].

        It shares the learned variables. Most priors are the same for every y.
        """
        del context
        return self

    @abc.abstractmethod
    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return p(z), batch [], event [D].

        Args:
          temperature: T, which multiplies the scales of the prior's Normals. Use it for sampling only. Densities,
            bounds and evaluation need T = 1.
        """
