"""Priors that are normalizing flows. They have no closed-form KL."""

from __future__ import annotations

import abc
import functools
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tfd
from tfp_vae.core.registry import Depth, Width, check_keywords, record
from tfp_vae.core.types import Distribution, FloatType
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.priors.base import Prior
from tfp_vae.model.priors.normal import StandardNormal

if TYPE_CHECKING:
    from tfp_vae.model.distributions.flows import CouplingFlow, MaskedFlow

__all__ = ["AutoregressiveFlow", "FlowPrior", "RealNVP"]


@check_keywords
class FlowPrior(Prior):
    """A flow from N(0, I).

    log p(z) = log N(u; 0, T^2 I) - log |det dz/du|, z = f(u). Unlike a posterior's, its layers receive no context.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True)
    dtype: FloatType

    @property
    @abc.abstractmethod
    def flow(self) -> CouplingFlow | MaskedFlow:
        """The layers of the flow."""

    @property
    @final
    def learned(self) -> tuple[object, ...]:
        """The networks of the layers."""
        return self.flow.networks

    @final
    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return the flow of N(0, T^2 I), batch [], event [D]."""
        start = StandardNormal(self.latent_dim, self.dtype)(temperature)
        p: Distribution = tfd.TransformedDistribution(start, self.flow())
        return p


@final
@record
class AutoregressiveFlow(FlowPrior):
    """Masked autoregressive flow from N(0, I). The density takes one pass, sampling D.

    Each layer is z_i = u_i exp(a_i) + m_i, with m_i and a_i from a masked network of z_1..z_{i-1}. a_i is bounded to
    (-2, 2) by 2 tanh(. / 2), so no layer scales by more than e^2, and m_i to (-8, 8). The dimensions are reversed
    between layers.

    Training and evaluation only need the density, so a step costs one pass for any D. Pictures need samples, which take
    D passes. There is no closed-form KL.

    Args:
      latent_dim: D, the dimension of z.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      depth: number of flow layers.
      hidden: width of the two hidden layers of each masked network.

    Returns (when called, with a temperature T):
      `tfd.TransformedDistribution`, batch [], event [D], of N(0, T^2 I).

    References:
      Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow for density estimation.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    depth: Depth = field(default=2, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)

    @functools.cached_property
    def flow(self) -> MaskedFlow:
        """The layers, from u to z."""
        from tfp_vae.model.distributions.flows import MaskedFlow

        return MaskedFlow(self.latent_dim, 0, self.seed + 1, depth=self.depth, hidden=self.hidden, dtype=self.dtype)


@final
@record
class RealNVP(FlowPrior):
    """Coupling flow from N(0, I). Density and sampling take one pass each.

    Each layer keeps the first half of u and maps the second half v to v exp(a) + m. A network computes m and a from the
    first half. m is bounded to (-8, 8) and a to (-2, 2). The dimensions are reversed between layers.

    A layer is less flexible than one of `AutoregressiveFlow`, but sampling takes one pass instead of D. There is no
    closed-form KL.

    ```python
    prior = tv.priors.RealNVP(2, hidden=8)
    z = prior(temperature=0.7).sample(16, seed=(0, 0))  # [16, 2]
    prior().log_prob(z)  # [16], nats
    ```

    Args:
      latent_dim: D, the dimension of z, at least 2.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      depth: number of coupling layers.
      hidden: width of the two hidden layers of each network.

    Returns (when called, with a temperature T):
      `tfd.TransformedDistribution`, batch [], event [D], of N(0, T^2 I).

    Raises:
      UsageError: D below 2.

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP.
      Xu et al. (2019), On the necessity and effectiveness of learning the prior of variational auto-encoder.
    """

    latent_dim: Annotated[int, pydantic.Field(ge=2)]
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    depth: Depth = field(default=4, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)

    @functools.cached_property
    def flow(self) -> CouplingFlow:
        """The layers, from u to z."""
        from tfp_vae.model.distributions.flows import CouplingFlow

        return CouplingFlow(self.latent_dim, 0, self.seed + 1, depth=self.depth, hidden=self.hidden, dtype=self.dtype)
