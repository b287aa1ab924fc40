"""Posteriors with a network of noise: the density is an approximation from draws of the noise, or there is none."""

from __future__ import annotations

import functools
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, cast, final

import pydantic

from tfp_vae.core.lazy import tf, tfp
from tfp_vae.core.registry import Width, Widths, record
from tfp_vae.core.seeds import Purpose, integer
from tfp_vae.core.types import Array, Distribution, FloatType, Seed, Tensor
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.networks import Network, apply_to_last_axis, mlp
from tfp_vae.model.posteriors.base import SCALE_FLOOR, Posterior, draw_at_once
from tfp_vae.model.posteriors.flows import MEAN_SAMPLES
from tfp_vae.model.posteriors.layered import networks_between

if TYPE_CHECKING:
    from tfp_vae.model.distributions.implicit import SemiImplicit as SemiImplicitDistribution

__all__ = ["Implicit", "SemiImplicit"]


@final
@record
class SemiImplicit(Posterior):
    """Normals mixed by a network of noise, q(z|x) = E_e[N(z; loc + m(h, e), diag(scale(h, e)^2))], e ~ N(0, I).

    The encoder returns loc, s and a context h. The network returns m and t, with scale = 0.0001 + softplus(s + t). So
    q(z|x) can bend, be skewed or have several modes.

    Its density has no closed form. Each step and each call that samples draws K values of e for every example, and uses
    the even mixture of their K Normals in place of q(z|x). Given these draws, samples and densities are exact. So every
    bound is a lower bound on log p(x), averaged over them, and the ELBO grows with K towards that of q(z|x) itself.

    A step takes K passes of the small network and K S Normals for each example. The rate has no closed form. `vamp`
    priors, `refine=mixture` and the decomposition of the rate are refused, because they need the density at points that
    are not samples of q(z|x).

    ```python
    posterior = tv.posteriors.SemiImplicit(latent_dim=2, components=8, hidden=(8,), context=4)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    q.log_prob(q.sample(5, seed=(0, 0)))  # [5, 16], by the mixture of 8 Normals that was sampled
    ```

    Args:
      latent_dim: D, the dimension of z.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      components: K, draws of e that approximate the density, from 1 to 1,000.
      noise: number of elements of e.
      hidden: widths of the hidden layers of the network.
      context: number of values that the encoder passes to the network, in addition to loc and s.

    Returns (when called on params [B, 2 D + context]):
      `model.distributions.implicit.SemiImplicit`, batch [B], event [D].

    References:
      Yin and Zhou (2018), Semi-implicit variational inference.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True, approximate=True)
    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    components: Annotated[int, pydantic.Field(ge=1, le=1_000)] = field(default=16, kw_only=True)
    noise: Width = field(default=8, kw_only=True)
    hidden: Widths = field(default=(64,), kw_only=True)
    context: Width = field(default=32, kw_only=True)

    @property
    def params_size(self) -> int:
        """2 D + context."""
        return 2 * self.latent_dim + self.context

    @functools.cached_property
    def learned(self) -> tuple[Network, ...]:
        """The network from h and e to m and t."""
        sizes = (self.context + self.noise,), (self.latent_dim,)
        return networks_between(*sizes, self.hidden, self.seed, self.dtype)

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D + context]."""
        from tfp_vae.model.distributions import implicit
        from tfp_vae.model.distributions.layered import Statistics

        loc, s, h = tf.split(params, [self.latent_dim, self.latent_dim, self.context], axis=-1)

        def conditional(noise: Tensor) -> Statistics:
            (network,) = self.learned
            m, t = tf.split(apply_to_last_axis(network, beside(h, noise)), 2, axis=-1)
            return Statistics(loc + m, SCALE_FLOOR + tf.nn.softplus(s + t))

        q: Distribution = implicit.SemiImplicit(conditional, self.components, loc, self.noise)
        return q

    def mean(self, params: Array, *, seed: Seed) -> Tensor:
        """Return E_q[z|x], [B, D], as the average of the locs of 64 draws of e."""
        q = cast("SemiImplicitDistribution", self(params))
        return tf.reduce_mean(q.mixing(MEAN_SAMPLES, tfp.random.sanitize_seed(seed)).loc, axis=0)

    def draw_each(self, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor]:
        """Return the same samples and densities as `Posterior.draw_each`, for all examples at once."""
        return draw_at_once(self, params, n, seeds)


@final
@record
class Implicit(Posterior):
    """A sampler z = loc + g(h, e) with e ~ N(0, I), whose density is not known.

    The encoder returns loc and a context h, and a network g maps h and the noise e to z. q(z|x) can have any shape. A
    second network, the discriminator, tells samples of q(z|x) from those of a Normal with the same moments. Its logit
    estimates the logarithm of the ratio of the two densities, from which `objectives.Adversarial` estimates the ELBO.

    Both networks belong to this value, so a checkpoint has their weights and the state of their optimizer.

    There is no density, so only `Adversarial` trains it, and importance-weighted figures are refused. Estimate log p(x)
    with `evaluation.annealed_log_likelihood`.

    ```python
    posterior = tv.posteriors.Implicit(latent_dim=2, hidden=(8,), context=4)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    q.sample(5, seed=(0, 0))  # [5, 16, 2]
    ```

    Args:
      latent_dim: D, the dimension of z.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      noise: number of elements of e.
      hidden: widths of the hidden layers of both networks.
      context: number of values that the encoder passes to the networks, in addition to loc.

    Returns (when called on params [B, D + context]):
      `model.distributions.implicit.Sampler`, batch [B], event [D].

    References:
      Mescheder, Nowozin and Geiger (2017), Adversarial variational Bayes.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True, approximate=True, implicit=True)
    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    noise: Width = field(default=16, kw_only=True)
    hidden: Widths = field(default=(128, 128), kw_only=True)
    context: Width = field(default=32, kw_only=True)

    @property
    def params_size(self) -> int:
        """D + context."""
        return self.latent_dim + self.context

    @functools.cached_property
    def learned(self) -> tuple[Network, Network]:
        """The network of the sampler, and the discriminator."""
        inputs, outputs = (self.context + self.noise, self.params_size + self.latent_dim), (self.latent_dim, 1)
        sizes = zip(inputs, outputs, (5, 6), strict=True)
        sampler, discriminator = (
            mlp(
                (size,),
                target,
                seed=integer(self.seed, Purpose.INITIALIZATION, i),
                dtype=self.dtype,
                hidden=self.hidden,
            )
            for size, target, i in sizes
        )
        return sampler, discriminator

    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, D + context]."""
        from tfp_vae.model.distributions.implicit import Sampler

        loc, h = tf.split(params, [self.latent_dim, self.context], axis=-1)
        sampler, discriminator = self.learned
        seen = tf.stop_gradient(params)  # q(z|x) depends on x through them alone

        q: Distribution = Sampler(
            lambda noise: loc + apply_to_last_axis(sampler, beside(h, noise)),
            lambda z: tf.squeeze(apply_to_last_axis(discriminator, beside(seen, z)), axis=-1),
            loc,
            self.noise,
        )
        return q

    def mean(self, params: Array, *, seed: Seed) -> Tensor:
        """Return E_q[z|x], [B, D], as the average of 64 samples."""
        return tf.reduce_mean(self(params).sample(MEAN_SAMPLES, seed=seed), axis=0)


def beside(context: Tensor, values: Tensor) -> Tensor:
    """Return a context [*batch, C] joined to values [n, *batch, E], [n, *batch, C + E]."""
    tiled = tf.broadcast_to(context, tf.concat([tf.shape(values)[:-1], tf.shape(context)[-1:]], axis=0))
    return tf.concat([tiled, values], axis=-1)
