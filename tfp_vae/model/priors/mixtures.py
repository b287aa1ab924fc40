"""Priors that are learned mixtures. They have no closed-form KL."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import field
from typing import Annotated, final

import numpy as np
import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Distribution, FloatType, Variable
from tfp_vae.model.priors.base import Prior

__all__ = ["NormalMixture", "Vamp"]

SCALE_FLOOR = 1e-3
"""Smallest scale of a component."""

Components = Annotated[int, pydantic.Field(ge=1, le=10_000)]


@final
@record
class NormalMixture(Prior):
    """Mixture of K diagonal Normals, p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2)), all learned.

    The weights are softmax(logits) and start equal. The locs start as samples from N(0, I) and the scales at 1. Each
    scale is at least 0.001. The density costs K Normals for each z. There is no closed-form KL. As in any mixture, some
    components may end up without data.

    Args:
      latent_dim: D, the dimension of z.
      seed: seed of the initial locs.
      dtype: type of the variables and of z.
      components: K, the number of components.

    Returns (when called, with a temperature T):
      `tfd.MixtureSameFamily`, batch [], event [D], with its scales multiplied by T.

    References:
      Dilokthanakul et al. (2016), Deep unsupervised clustering with Gaussian mixture variational autoencoders.
    """

    latent_dim: pydantic.PositiveInt
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    components: Components = field(default=10, kw_only=True)

    @functools.cached_property
    def learned(self) -> tuple[Variable, Variable, Variable]:
        """Logits [K], locs [K, D], and scales [K, D] before their softplus."""
        locs = np.random.default_rng(self.seed).normal(size=(self.components, self.latent_dim))
        return (
            tf.Variable(tf.zeros([self.components], self.dtype), name="logits"),
            tf.Variable(locs.astype(self.dtype), name="locs"),
            tf.Variable(tf.fill(locs.shape, tf.constant(0.54, self.dtype)), name="scales"),
        )

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return the mixture, batch [], event [D]."""
        logits, locs, s = self.learned
        normals = tfd.MultivariateNormalDiag(locs, temperature * (SCALE_FLOOR + tf.nn.softplus(s)))
        p: Distribution = tfd.MixtureSameFamily(tfd.Categorical(logits=logits), normals)
        return p


@final
@record
class Vamp(Prior):
    """VampPrior, p(z) = 1/K sum_k q(z|u_k): the posterior averaged over K learned pseudo-inputs u_k.

    The best prior for the ELBO is the aggregate posterior, a mixture of the posteriors of all N examples. This prior is
    a mixture of K < N posteriors at learned inputs. Pass the model's own encoder, so that its weights also receive the
    gradient of the prior.

    It costs K passes of the encoder per step and K densities for each z. With an inverse autoregressive posterior, each
    of these densities takes D passes.

    ```python
    prior = tv.priors.Vamp(2, vae.encoder, data_mean=x.mean(axis=0), components=4)
    model = tv.VAE(vae.encoder, vae.decoder, prior)
    tv.objectives.MonteCarloELBO().loss(model, x, seed=(0, 0))  # a scalar, nats
    ```

    Args:
      latent_dim: D, the dimension of z.
      encoder: x -> q(z|x). It is not validated, because a run checks its settings before it has an encoder.
      data_mean: the pseudo-inputs start around this mean of the data, [*event_shape].
      seed: seed of the initial pseudo-inputs.
      dtype: type of the pseudo-inputs, which the encoder must accept.
      components: K, the number of pseudo-inputs.

    Returns (when called):
      `model.distributions.mixtures.EvenMixture`, batch [], event [D].

    Raises:
      UsageError: a temperature other than 1, because it has no meaning for an arbitrary posterior, or an encoder with a
        context.

    References:
      Tomczak and Welling (2018), VAE with a VampPrior.
    """

    latent_dim: pydantic.PositiveInt
    encoder: pydantic.SkipValidation[Callable[[Array], Distribution]] = field(repr=False)
    data_mean: Array = field(repr=False)
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    components: Components = field(default=100, kw_only=True)

    def __post_init__(self) -> None:
        if getattr(self.encoder, "context_size", 0):
            raise ValueError(
                "a vamp prior does not support a condition, because its pseudo-inputs have no context. Choose "
                "`prior=learned-normal` or `prior=standard-normal`"
            )
        posterior = getattr(self.encoder, "posterior", None)
        if posterior is not None and posterior.capabilities.approximate:
            raise ValueError(
                f"a vamp prior needs the density of the posterior at any z, but {type(posterior).__name__} has one for "
                "its own samples only. Choose `prior=normal-mixture` or `prior=standard-normal`"
            )

    @functools.cached_property
    def learned(self) -> tuple[Variable]:
        """The pseudo-inputs, [K, *event_shape]."""
        mean = np.asarray(self.data_mean, self.dtype)
        noise = np.random.default_rng(self.seed).normal(scale=0.1, size=(self.components, *mean.shape))
        return (tf.Variable(mean + noise.astype(self.dtype), name="pseudo_inputs"),)

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return the mixture, batch [], event [D]."""
        from tfp_vae.model.distributions.mixtures import EvenMixture

        if temperature != 1.0:
            raise UsageError(f"A vamp prior has no temperature: expected 1, found {temperature:g}.")
        (pseudo_inputs,) = self.learned
        return EvenMixture(self.encoder(pseudo_inputs))
