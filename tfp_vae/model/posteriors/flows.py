"""Posteriors that are normalizing flows. They have no closed-form KL."""

from __future__ import annotations

import abc
import functools
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.registry import Depth, Width, check_keywords, record
from tfp_vae.core.types import Array, Bijector, Distribution, FloatType, Seed, Tensor
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.posteriors.base import SCALE_FLOOR, NormalNoisePosterior

if TYPE_CHECKING:
    from tfp_vae.model.distributions.flows import CouplingFlow, MaskedFlow

__all__ = ["MEAN_SAMPLES", "FlowPosterior", "InverseAutoregressiveFlow", "RealNVP"]

MEAN_SAMPLES = 64
"""Number of samples that estimate E_q[z|x] of a flow."""


@check_keywords
class FlowPosterior(NormalNoisePosterior):
    """A flow from a diagonal Normal whose layers receive a context from the encoder.

    The layers belong to the value, so two encoders that are given one value share the weights of its flow.

    log q(z|x) = log N(z_0; loc, diag(scale^2)) - log |det dz/dz_0|, with z_0 the point that the flow maps to z. The
    bijector remembers the last pair that it mapped, so the density of a fresh sample needs no inversion. A copy such as
    `tf.stop_gradient(z)` is a different tensor, so its density inverts the flow.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reparameterized=True)
    context: int

    @property
    @abc.abstractmethod
    def flow(self) -> CouplingFlow | MaskedFlow:
        """The layers of the flow."""

    @abc.abstractmethod
    def bijector(self, context: Array) -> Bijector:
        """Return the map from z_0 to z, given the context [B, C]."""

    @property
    @final
    def params_size(self) -> int:
        """2 D + context."""
        return 2 * self.latent_dim + self.context

    @property
    @final
    def learned(self) -> tuple[object, ...]:
        """The networks of the layers."""
        return self.flow.networks

    @final
    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D], from params [B, 2 D + context]."""
        from tfp_vae.model.distributions.normals import MultivariateNormalDiag

        base, context = tf.split(params, [2 * self.latent_dim, self.context], axis=-1)
        loc, s = tf.split(base, 2, axis=-1)
        start = MultivariateNormalDiag(loc, SCALE_FLOOR + tf.nn.softplus(s))
        q: Distribution = tfd.TransformedDistribution(start, self.bijector(context))
        return q

    @final
    def mean(self, params: Array, *, seed: Seed) -> Tensor:
        """Return E_q[z|x], [B, D], as the average of 64 samples.

        The standard error of each entry is 1/8 of the standard deviation of q(z|x).
        """
        return tf.reduce_mean(self(params).sample(MEAN_SAMPLES, seed=seed), axis=0)


@final
@record
class InverseAutoregressiveFlow(FlowPosterior):
    """Inverse autoregressive flow from a diagonal Normal, conditioned on x.

    z_0 ~ N(loc, diag(scale^2)) and z_t = (z_{t-1} - m_t) exp(-a_t). Masked networks compute m_t and a_t from z_{t-1}
    and from a context that the encoder provides. a_t is bounded to (-2, 2) by 2 tanh(. / 2), so no layer scales by more
    than e^2. m_t is bounded to (-8, 8), because a larger shift would cost the density digits. Sampling takes one pass,
    and so does the density of a fresh sample. The density of any other z takes D passes.

    There is no closed-form KL, so train with `MonteCarloELBO` or an importance-weighted bound. `StickingTheLanding`,
    `DReG` and a `Vamp` prior need the density at other points, so they pay the D passes at every step.

    ```python
    posterior = tv.posteriors.InverseAutoregressiveFlow(latent_dim=2, hidden=8, context=4)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    z = q.sample(3, seed=(0, 0))  # [3, 16, 2]
    q.log_prob(z)  # [3, 16], without an inversion
    ```

    Args:
      latent_dim: D, the dimension of z.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      depth: number of flow layers.
      hidden: width of the two hidden layers of each masked network.
      context: number of values that the encoder passes to the layers, in addition to loc and scale.

    Returns (when called on params [B, 2 D + context]):
      `tfd.TransformedDistribution`, batch [B], event [D].

    Raises:
      UsageError: a depth outside 1 to 100, or a width outside 1 to 65,536.

    References:
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    depth: Depth = field(default=2, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)
    context: Width = field(default=64, kw_only=True)

    @functools.cached_property
    def flow(self) -> MaskedFlow:
        """The masked autoregressive layers, from z to z_0."""
        from tfp_vae.model.distributions.flows import MaskedFlow

        return MaskedFlow(
            self.latent_dim, self.context, self.seed, depth=self.depth, hidden=self.hidden, dtype=self.dtype
        )

    def bijector(self, context: Array) -> Bijector:
        """Return the inverse of the layers, a `tfb.Invert`."""
        return tfp.bijectors.Invert(self.flow(context))


@final
@record
class RealNVP(FlowPosterior):
    """Coupling flow from a diagonal Normal, conditioned on x. Sampling and density take one pass each.

    z_0 ~ N(loc, diag(scale^2)). Each layer keeps the first half of z_{t-1} and maps the second half z to z exp(a) + m.
    A network computes m and a from the first half and from a context that the encoder provides. m is bounded to
    (-8, 8) and a to (-2, 2). The dimensions are reversed between layers.

    A layer is less flexible than an autoregressive one of the same width because it copies half of z. But the density
    at any z is as cheap as a sample, which suits `StickingTheLanding`, `DReG` and a `Vamp` prior. There is no
    closed-form KL.

    Args:
      latent_dim: D, the dimension of z, at least 2.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      depth: number of coupling layers.
      hidden: width of the two hidden layers of each network.
      context: number of values that the encoder passes to the layers, in addition to loc and scale.

    Returns (when called on params [B, 2 D + context]):
      `tfd.TransformedDistribution`, batch [B], event [D].

    Raises:
      UsageError: D below 2, because one dimension cannot be halved.

    References:
      Dinh, Sohl-Dickstein and Bengio (2017), Density estimation using Real NVP.
    """

    latent_dim: Annotated[int, pydantic.Field(ge=2)]
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    depth: Depth = field(default=4, kw_only=True)
    hidden: Width = field(default=128, kw_only=True)
    context: Width = field(default=64, kw_only=True)

    @functools.cached_property
    def flow(self) -> CouplingFlow:
        """The coupling layers, from z_0 to z."""
        from tfp_vae.model.distributions.flows import CouplingFlow

        return CouplingFlow(
            self.latent_dim, self.context, self.seed, depth=self.depth, hidden=self.hidden, dtype=self.dtype
        )

    def bijector(self, context: Array) -> Bijector:
        """Return the layers as a `tfb.Chain`."""
        return self.flow(context)
