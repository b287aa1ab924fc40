"""Posteriors over z in layers, for a hierarchical prior."""

from __future__ import annotations

import functools
from dataclasses import field
from typing import Annotated, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Widths, check_keywords, record
from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import Array, Distribution, FloatType, Seed, Tensor
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.networks import Network, mlp
from tfp_vae.model.posteriors.base import SCALE_FLOOR, NormalNoisePosterior
from tfp_vae.model.posteriors.flows import MEAN_SAMPLES

__all__ = ["HIDDEN", "BottomUp", "LayeredPosterior", "TopDown", "networks_between"]

HIDDEN = (100, 100)
"""Widths of the hidden layers of a network between two layers of z, unless you choose others."""

LayerSizes = Annotated[Widths, pydantic.Field(max_length=20)]
"""Sizes of the layers of z, from the one next to x upwards."""


def networks_between(
    inputs: tuple[int, ...], outputs: tuple[int, ...], hidden: tuple[int, ...], seed: int, dtype: FloatType
) -> tuple[Network, ...]:
    """Return a network from one layer of z to the loc and the scale of another, for each pair of sizes."""
    return tuple(
        mlp((size,), 2 * target, seed=integer(seed, Purpose.INITIALIZATION, 4, i), dtype=dtype, hidden=hidden)
        for i, (size, target) in enumerate(zip(inputs, outputs, strict=True))
    )


@check_keywords
class LayeredPosterior(NormalNoisePosterior):
    """A posterior over z = (z_1, ..., z_L), with z_1 next to x.

    It needs `priors.Hierarchical`, and a decoder of z_1, see `networks.LowestLayer`. There is no closed-form KL, so
    train with `MonteCarloELBO` or an importance-weighted bound.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True, layers=True)
    shares_networks: ClassVar[bool] = False
    """Whether the prior uses the networks of `top_down`."""
    layers: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.latent_dim < 2:
            raise ValueError(f"latent_dim: expected a number of at least 2 for two layers, found {self.latent_dim}")
        if len(self.layers) == 1:
            raise ValueError(f"layers: expected the sizes of at least two layers, found {self.layers[0]}")
        if self.layers and sum(self.layers) != self.latent_dim:
            total = f"{' + '.join(map(str, self.layers))} = {sum(self.layers)}"
            raise ValueError(f"latent_dim: expected the sum of the layers, {total}, found {self.latent_dim}")

    @property
    @final
    def blocks(self) -> tuple[int, ...]:
        """D_1, ..., D_L. Without `layers`, there are two, and the upper one has a third of the dimensions."""
        upper = max(1, self.latent_dim // 3)
        return self.layers or (self.latent_dim - upper, upper)

    @property
    @final
    def latent(self) -> Latent:
        """The space of z, R^D in layers."""
        return Latent.layers(self.blocks)

    @property
    def top_down(self) -> tuple[Network, ...]:
        """The networks of p(z_l|z_l+1) that the prior shares, from the highest layer down. Empty if it has its own."""
        return ()

    @final
    def mean(self, params: Array, *, seed: Seed) -> Tensor:
        """Return E_q[z|x], [B, D]. That of the layer drawn first is exact, and others are averages of 64 samples."""
        q = self(params)
        return tf.reduce_mean(q.locs(q.sample(MEAN_SAMPLES, seed=seed)), axis=0)  # type: ignore[attr-defined]


@final
@record
class BottomUp(LayeredPosterior):
    """Layers from x upwards, q(z|x) = q(z_1|x) q(z_2|z_1) ... q(z_L|z_L-1), each a diagonal Normal.

    The encoder returns the Normal of z_1. A small network maps each sampled layer to the Normal of the next one.

    ```python
    posterior = tv.posteriors.BottomUp(latent_dim=6, layers=(4, 2), hidden=(8,))
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    z = q.sample(3, seed=(0, 0))  # [3, 16, 6], the first four of them z_1
    q.log_prob_by_layer(z)  # [3, 16, 2]
    ```

    Args:
      latent_dim: D, the number of dimensions of all layers together.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      layers: sizes of the layers from z_1 to z_L, which add up to D. By default, z_2 has a third of D and z_1 the rest.
      hidden: widths of the hidden layers of each network between layers.

    Returns (when called on params [B, 2 D_1]):
      `model.distributions.layered.LayeredNormal`, batch [B], event [D].

    Raises:
      UsageError: D below 2, or layers that do not add up to D.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    layers: LayerSizes = field(default=(), kw_only=True)
    hidden: Widths = field(default=HIDDEN, kw_only=True)

    @property
    def params_size(self) -> int:
        """2 D_1: a loc and a scale for each dimension of z_1."""
        return 2 * self.blocks[0]

    @functools.cached_property
    def learned(self) -> tuple[Network, ...]:
        """The networks from each layer to the next."""
        return networks_between(self.blocks[:-1], self.blocks[1:], self.hidden, self.seed, self.dtype)

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D_1]."""
        from tfp_vae.model.distributions.layered import LayeredNormal, Statistics, conditionals

        loc, s = tf.split(params, 2, axis=-1)
        first = Statistics(loc, SCALE_FLOOR + tf.nn.softplus(s))
        q: Distribution = LayeredNormal(first, conditionals(self.learned, SCALE_FLOOR), self.blocks, "up")
        return q


@final
@record
class TopDown(LayeredPosterior):
    """Layers from the top down, q(z|x) = q(z_L|x) q(z_L-1|z_L, x) ... q(z_1|z_2, x), each a diagonal Normal.

    The encoder returns a Normal N_l(x) of every layer. The highest layer is drawn from N_L(x). For the others,
    q(z_l|z_l+1, x) is proportional to the product of N_l(x) and p(z_l|z_l+1): precisions add up, and the loc is the
    average of both locs, weighted by precision. So the posterior and the prior share the networks between layers, and
    each layer of the posterior only has to add the information of x about it.

    ```python
    posterior = tv.posteriors.TopDown(latent_dim=6, layers=(4, 2), hidden=(8,))
    prior = tv.priors.Hierarchical(6, posterior)  # with the same networks
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    q.sample(3, seed=(0, 0))  # [3, 16, 6], the first four of them z_1
    ```

    Args:
      latent_dim: D, the number of dimensions of all layers together.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      layers: sizes of the layers from z_1 to z_L, which add up to D. By default, z_2 has a third of D and z_1 the rest.
      hidden: widths of the hidden layers of each network between layers.

    Returns (when called on params [B, 2 D]):
      `model.distributions.layered.LayeredNormal`, batch [B], event [D].

    Raises:
      UsageError: D below 2, or layers that do not add up to D.

    References:
      Sonderby et al. (2016), Ladder variational autoencoders.
    """

    shares_networks: ClassVar[bool] = True
    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    layers: LayerSizes = field(default=(), kw_only=True)
    hidden: Widths = field(default=HIDDEN, kw_only=True)

    @property
    def params_size(self) -> int:
        """2 D: a loc and a scale for each dimension of all layers."""
        return 2 * self.latent_dim

    @functools.cached_property
    def top_down(self) -> tuple[Network, ...]:
        """The networks of p(z_l|z_l+1), from the highest layer down."""
        sizes = self.blocks[::-1]
        return networks_between(sizes[:-1], sizes[1:], self.hidden, self.seed, self.dtype)

    @property
    def learned(self) -> tuple[Network, ...]:
        """The networks of `top_down`."""
        return self.top_down

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D], the locs of all layers first."""
        from tfp_vae.model.distributions.layered import LayeredNormal, Statistics, conditionals, merge_into

        loc, s = tf.split(params, 2, axis=-1)
        locs, scales = (tf.split(each, self.blocks, axis=-1) for each in (loc, SCALE_FLOOR + tf.nn.softplus(s)))
        *lower, top = map(Statistics, locs, scales)
        others = map(merge_into, lower[::-1], conditionals(self.top_down, SCALE_FLOOR))
        q: Distribution = LayeredNormal(top, tuple(others), self.blocks, "down")
        return q
