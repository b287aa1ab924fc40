"""A prior over z in layers."""

from __future__ import annotations

import functools
from dataclasses import field
from typing import Annotated, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Widths, record
from tfp_vae.core.types import Distribution, FloatType
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.networks import Network
from tfp_vae.model.posteriors.base import SCALE_FLOOR
from tfp_vae.model.posteriors.layered import HIDDEN, LayeredPosterior, networks_between
from tfp_vae.model.priors.base import Prior

__all__ = ["Hierarchical"]


@final
@record
class Hierarchical(Prior):
    """Layers from the top down, p(z) = p(z_L) p(z_L-1|z_L) ... p(z_1|z_2), with p(z_L) = N(0, I).

    Each p(z_l|z_l+1) is a diagonal Normal whose loc and scale are a small network of the layer above. The decoder takes
    z_1 alone, see `networks.LowestLayer`. So the layers above z_1 form a flexible prior of z_1, and describe the
    examples more abstractly.

    ```python
    posterior = tv.posteriors.BottomUp(latent_dim=6, layers=(4, 2), hidden=(8,))
    prior = tv.priors.Hierarchical(6, posterior, hidden=(8,))
    z = prior().sample(16, seed=(0, 0))  # [16, 6], the first four of them z_1
    ```

    Args:
      latent_dim: D, the number of dimensions of all layers together.
      posterior: the posterior, which has the sizes of the layers. A `TopDown` posterior shares its networks.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      hidden: widths of the hidden layers of each network between layers, by default 100,100. Leave it out if the
        posterior shares its networks.

    Returns (when called, with a temperature T):
      `model.distributions.layered.LayeredNormal`, batch [], event [D], with the scales of all layers multiplied by T.

    Raises:
      UsageError: a posterior without layers, or a `hidden` for the networks of the posterior.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
      Sonderby et al. (2016), Ladder variational autoencoders.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True, layers=True)
    latent_dim: pydantic.PositiveInt
    posterior: Annotated[LayeredPosterior, pydantic.PlainValidator(lambda posterior: posterior)] = field(repr=False)
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    hidden: Widths | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.posterior, LayeredPosterior):
            raise ValueError(
                f"a hierarchical prior needs a posterior with layers, found {type(self.posterior).__name__}. Choose "
                "`posterior=bottom-up` or top-down, or another prior"
            )
        if self.hidden is not None and self.posterior.shares_networks:
            raise ValueError(
                f"a {type(self.posterior).__name__} posterior shares its networks with the prior. Set their `hidden` "
                "in the posterior instead"
            )

    @property
    def latent(self) -> Latent:
        """The space of z, that of the posterior."""
        return self.posterior.latent

    @functools.cached_property
    def learned(self) -> tuple[Network, ...]:
        """The networks from each layer to the one below, from the highest down."""
        sizes, hidden = self.latent.blocks[::-1], HIDDEN if self.hidden is None else self.hidden
        return self.posterior.top_down or networks_between(sizes[:-1], sizes[1:], hidden, self.seed, self.dtype)

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return p(z), batch [], event [D]."""
        from tfp_vae.model.distributions.layered import LayeredNormal, Statistics, conditionals

        top, blocks = self.latent.blocks[-1], self.latent.blocks
        first = Statistics(tf.zeros([top], self.dtype), tf.fill([top], tf.cast(temperature, self.dtype)))
        others = conditionals(self.learned, SCALE_FLOOR, temperature)
        p: Distribution = LayeredNormal(first, others, blocks, "down")
        return p
