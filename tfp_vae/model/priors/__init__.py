"""Priors over the latent variable z: () -> p(z), a `tfd.Distribution`.

`PRIORS` names them. A prior is called at every step, as its parameters may be learned; what it learns is held by the
VAE, and trains with the rest. A temperature is for sampling alone: densities, bounds and evaluation take T = 1. Where
posterior and prior are both Normals the rate is closed-form; else choose an objective that estimates it, such as
`MonteCarloELBO`.
"""

from __future__ import annotations

import abc
import functools
from dataclasses import field
from typing import Annotated, Any, ClassVar, final

import numpy as np
import pydantic
from pydantic.dataclasses import dataclass

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import Depth, Table, Width
from tfp_vae.model.latent import Capabilities, Latent

__all__ = ["PRIORS", "AutoregressiveFlow", "NormalMixture", "Prior", "RealNVP", "StandardNormal", "Vamp"]

SCALE_FLOOR = 1e-3
Components = Annotated[int, pydantic.Field(ge=1, le=10_000)]


class Prior(abc.ABC):
    """A prior: a value that gives p(z) when called.

    A learned prior lowers the rate by moving p(z) towards the aggregate posterior q(z) = E_x q(z|x): of the rate, I(x;
    z) + KL(q(z) || p(z)), it can remove the second term only.

    References:
      Hoffman and Johnson (2016), ELBO surgery: yet another way to carve up the variational evidence lower bound.
    """

    capabilities: ClassVar[Capabilities] = Capabilities()
    """Properties of p(z) at a temperature of 1."""

    latent_dim: int

    @property
    def latent(self) -> Latent:
        """The space of z, R^D."""
        return Latent.vector(self.latent_dim)

    @property
    def learned(self) -> tuple[Any, ...]:
        """What the prior learns: modules, variables.

        They are made once and belong to this value: models that are given the same value share them.
        """
        return ()

    @abc.abstractmethod
    def __call__(self, temperature: float = 1.0) -> Any:
        """Return p(z), batch [], event [D]; a temperature T other than 1 scales the spread of its Normals by T."""


def _standard(latent_dim: int, dtype: str, temperature: float) -> Any:
    """Return N(0, T^2 I), batch [], event [D], T the temperature."""
    from tfp_vae.model.distributions.normals import MultivariateNormalDiag

    scale = tf.fill([latent_dim], tf.cast(temperature, dtype))
    return MultivariateNormalDiag(tf.zeros([latent_dim], dtype), scale)


@final
@dataclass(frozen=True)
class StandardNormal(Prior):
    """Standard Normal, p(z) = N(z; 0, I).

    Nothing is learned. Under it the rate of a diagonal Normal is sum_d (loc_d^2 + scale_d^2 - 1) / 2 - log scale_d.

    ```python
    p = tv.priors.StandardNormal(2)()
    p.log_prob(np.zeros([16, 2], np.float32))  # [16], each -log(2 pi)
    ```

    Args:
      latent_dim: D, the dimension of z.
      dtype: floating-point type of z.

    Returns (when called, with a temperature T):
      `tfd.MultivariateNormalDiag`, batch [], event [D]: N(0, T^2 I).

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(normal=True, diagonal=True, standard=True, reparameterized=True)
    latent_dim: pydantic.PositiveInt
    dtype: str = "float32"

    def __call__(self, temperature: float = 1.0) -> Any:
        """Return N(0, T^2 I), batch [], event [D]."""
        return _standard(self.latent_dim, self.dtype, temperature)


@final
@dataclass(frozen=True)
class NormalMixture(Prior):
    """Mixture of K diagonal Normals, p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)), all learned.

    The weights are softmax(logits), even at first; locs begin at draws from N(0, I) and scales at 1, each scale at
    least 0.001. The density costs K Normals for each z. There is no closed-form KL to it. Components can be left
    without data, as any mixture's.

    Args:
      latent_dim: D, the dimension of z.
      seed: decides where the components begin.
      components: K.

    Returns (when called, with a temperature T):
      `tfd.MixtureSameFamily`, batch [], event [D], its scales multiplied by T.

    References:
      Dilokthanakul et al. (2016), Deep unsupervised clustering with Gaussian mixture variational autoencoders.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    components: Components = field(default=10, kw_only=True)

    @functools.cached_property
    def learned(self) -> tuple[Any, ...]:
        """Logits [K], locs [K, D], and scales [K, D] before their softplus."""
        locs = np.random.default_rng(self.seed).normal(size=(self.components, self.latent_dim))
        return (
            tf.Variable(tf.zeros([self.components]), name="logits"),
            tf.Variable(locs.astype(np.float32), name="locs"),
            tf.Variable(tf.fill([self.components, self.latent_dim], 0.54), name="scales"),
        )

    def __call__(self, temperature: float = 1.0) -> Any:
        """Return the mixture, batch [], event [D]."""
        logits, locs, s = self.learned
        normals = tfd.MultivariateNormalDiag(locs, temperature * (SCALE_FLOOR + tf.nn.softplus(s)))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), normals)


@final
@dataclass(frozen=True)
class Vamp(Prior):
    """VampPrior, p(z) = 1/K sum_k q(z|u_k): the posterior of K learned pseudo-inputs u_k.

    Costs K passes of the encoder for each step, and K densities for each z; with an inverse autoregressive posterior
    each of those takes D passes.

    The optimal prior for the ELBO is the aggregate posterior, a mixture of N posteriors; this is a mixture of K < N,
    which learns where they are worth most. It holds the encoder that it is given: share the model's own, whose weights
    the prior's gradient then reaches too.

    ```python
    prior = tv.priors.Vamp(2, vae.encoder, data_mean=x.mean(axis=0), components=4)
    model = tv.VAE(vae.encoder, vae.decoder, prior)
    tv.objectives.MonteCarloELBO().loss(model, x, seed=(0, 0))  # a scalar, nats
    ```

    Args:
      latent_dim: D, the dimension of z.
      encoder: x -> q(z|x).
      data_mean: about which the pseudo-inputs begin, [*event_shape].
      seed: decides where they begin.
      components: K.

    Returns (when called):
      `distributions.EvenMixture`, batch [], event [D].

    Raises:
      UsageError: a temperature other than 1, which has no meaning for the posterior of any family.

    References:
      Tomczak and Welling (2018), VAE with a VampPrior.
    """

    latent_dim: pydantic.PositiveInt
    encoder: Any = field(repr=False)
    data_mean: Any = field(repr=False)
    seed: int = 0
    components: Components = field(default=100, kw_only=True)

    @functools.cached_property
    def learned(self) -> tuple[Any, ...]:
        """The pseudo-inputs, [K, *event_shape]."""
        mean = np.asarray(self.data_mean, np.float32)
        noise = np.random.default_rng(self.seed).normal(scale=0.1, size=(self.components, *mean.shape))
        return (tf.Variable(mean + noise.astype(np.float32), name="pseudo_inputs"),)

    def __call__(self, temperature: float = 1.0) -> Any:
        """Return the mixture, batch [], event [D]."""
        from tfp_vae.model.distributions.observed import EvenMixture

        if temperature != 1.0:
            raise UsageError(f"a vamp prior has no temperature: expected 1, found {temperature:g}.")
        (pseudo_inputs,) = self.learned
        return EvenMixture(self.encoder(pseudo_inputs))


class _Flow(Prior):
    """A flow from N(0, I).

    log p(z) = log N(u; 0, T^2 I) - log |det dz/du|, z = f(u). Unlike a posterior's, its layers see no context.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True)

    @property
    @abc.abstractmethod
    def flow(self) -> Any:
        """The layers."""

    @property
    @final
    def learned(self) -> tuple[Any, ...]:
        """The networks of the layers."""
        networks: tuple[Any, ...] = self.flow.networks
        return networks

    @final
    def __call__(self, temperature: float = 1.0) -> Any:
        """Return the flow of N(0, T^2 I), batch [], event [D]."""
        return tfd.TransformedDistribution(_standard(self.latent_dim, "float32", temperature), self.flow())


@final
@dataclass(frozen=True)
class AutoregressiveFlow(_Flow):
    """Masked autoregressive flow from N(0, I): density in one pass, sampling in D.

    Each layer is z_i = u_i exp(a_i) + m_i, with m_i and a_i a masked network of z_1..z_{i-1}; a_i is bounded to
    (-2, 2), as 2 tanh(. / 2), so that no layer scales by more than e^2. The dimensions are reversed between layers.

    Training and evaluation ask for the density alone, so its cost at a step is one pass whatever D; sampling, of which
    pictures are made, takes D. There is no closed-form KL to it.

    Args:
      latent_dim: D, the dimension of z.
      seed: decides the initial weights.
      depth: number of flow layers.
      hidden: width of the two hidden layers of each masked network.

    Returns (when called, with a temperature T):
      `tfd.TransformedDistribution`, batch [], event [D], of N(0, T^2 I).

    References:
      Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow for density estimation.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    depth: Depth = field(default=2, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)

    @functools.cached_property
    def flow(self) -> Any:
        """The layers, from u to z."""
        from tfp_vae.model.distributions.flows import MaskedFlow

        return MaskedFlow(self.latent_dim, 0, self.seed + 1, depth=self.depth, hidden=self.hidden)


@final
@dataclass(frozen=True)
class RealNVP(_Flow):
    """Coupling flow from N(0, I): density and sampling in one pass.

    Each layer keeps the first half of u and takes the second to u exp(a) + m, with m and a a network of the first half,
    a bounded to (-2, 2); the dimensions are reversed between layers.

    A layer is less flexible than one of `AutoregressiveFlow`, but pictures need no D passes. There is no closed-form KL
    to it.

    ```python
    prior = tv.priors.RealNVP(2, hidden=8)
    z = prior(temperature=0.7).sample(16, seed=(0, 0))  # [16, 2]
    prior().log_prob(z)  # [16], nats
    ```

    Args:
      latent_dim: D, the dimension of z, at least 2.
      seed: decides the initial weights.
      depth: number of coupling layers.
      hidden: width of the two hidden layers of each network.

    Returns (when called, with a temperature T):
      `tfd.TransformedDistribution`, batch [], event [D], of N(0, T^2 I).

    Raises:
      pydantic.ValidationError: D under 2.

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP.
      Xu et al. (2019), On the necessity and effectiveness of learning the prior of variational auto-encoder.
    """

    latent_dim: Annotated[int, pydantic.Field(ge=2)]
    seed: int = 0
    depth: Depth = field(default=4, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)

    @functools.cached_property
    def flow(self) -> Any:
        """The layers, from u to z."""
        from tfp_vae.model.distributions.flows import CouplingFlow

        return CouplingFlow(self.latent_dim, 0, self.seed + 1, depth=self.depth, hidden=self.hidden)


PRIORS = Table(
    "prior",
    {
        "standard-normal": StandardNormal,
        "normal-mixture": NormalMixture,
        "vamp": Vamp,
        "autoregressive-flow": AutoregressiveFlow,
        "real-nvp": RealNVP,
    },
)
