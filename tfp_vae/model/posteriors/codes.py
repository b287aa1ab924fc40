"""Posteriors over a discrete z: independent bits, or independent one-hot vectors."""

from __future__ import annotations

import abc
from dataclasses import field
from typing import Annotated, ClassVar, final

import pydantic

from tfp_vae.core.registry import check_keywords, record
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.posteriors.base import Posterior, draw_at_once

__all__ = ["Bernoulli", "Categorical", "CodePosterior"]


@check_keywords
class CodePosterior(Posterior):
    """A family of independent discrete dimensions, whose encoder returns the logits of each.

    Samples have no gradient, so train with an estimator for discrete z, such as `objective=gumbel-softmax`. The rate
    has a closed form if the prior's dimensions are independent too.
    """

    @property
    @abc.abstractmethod
    def latent(self) -> Latent:
        """The space of z."""

    @property
    @final
    def params_size(self) -> int:
        """The number of logits."""
        return self.latent.size

    @final
    def __call__(self, params: Array) -> Distribution:
        """Return q(z|x), batch [B], event [D K], from the logits [B, D K]."""
        from tfp_vae.model.distributions.codes import codes_of

        q: Distribution = codes_of(params, self.latent.codes)
        return q

    @final
    def typical(self, params: Array, *, seed: Seed) -> Tensor:
        """Return the most probable z, [B, D K], because means lie between the codes."""
        del seed
        return self(params).mode()

    @final
    def draw_each(self, params: Array, n: int, seeds: Array) -> tuple[Tensor, Tensor]:
        """Return the same samples and probabilities as `Posterior.draw_each`, for all examples at once."""
        return draw_at_once(self, params, n, seeds)


@final
@record
class Bernoulli(CodePosterior):
    """Independent bits, q(z|x) = prod_d Bernoulli(z_d; sigmoid(l_d)).

    A z holds at most D log 2 nats about x. Sampling, probability and KL cost O(D) for each example.

    ```python
    posterior = tv.posteriors.Bernoulli(latent_dim=8)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))  # each bit is 1 with probability 1/2
    q.sample(3, seed=(0, 0))  # [3, 16, 8], of 0 and 1
    q.kl_divergence(tv.priors.Uniform(8)())  # [16], each 0
    ```

    Args:
      latent_dim: D, the number of bits.

    Returns (when called on params [B, D]):
      `model.distributions.codes.Bits`, batch [B], event [D].

    References:
      Mnih and Gregor (2014), Neural variational inference and learning in belief networks.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(codes=True, bits=True)
    latent_dim: pydantic.PositiveInt

    @property
    def latent(self) -> Latent:
        """The space of z, {0, 1}^D."""
        return Latent.bits(self.latent_dim)


@final
@record
class Categorical(CodePosterior):
    """Independent one-hot vectors, q(z|x) = prod_d Categorical(k_d; softmax(l_d)).

    Each of D dimensions is one of K codes. z [D K] joins their one-hot vectors, and the decoder takes all D K elements.
    A z holds at most D log K nats about x. Sampling, probability and KL cost O(D K) for each example.

    ```python
    posterior = tv.posteriors.Categorical(latent_dim=4, codes=10)
    q = posterior(np.zeros([16, posterior.params_size], np.float32))
    q.sample(3, seed=(0, 0))  # [3, 16, 40], one-hot vectors of 10 elements
    ```

    Args:
      latent_dim: D, the number of one-hot vectors.
      codes: K, the number of codes of each dimension, at least 2.

    Returns (when called on params [B, D K]):
      `model.distributions.codes.OneHots`, batch [B], event [D K].

    Raises:
      UsageError: K outside 2 to 65,536.

    References:
      Jang, Gu and Poole (2017), Categorical reparameterization with Gumbel-softmax.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(codes=True)
    latent_dim: pydantic.PositiveInt
    codes: Annotated[int, pydantic.Field(ge=2, le=65_536)] = field(default=10, kw_only=True)

    @property
    def latent(self) -> Latent:
        """The space of z: D one-hot vectors of K elements."""
        return Latent.one_hots(self.latent_dim, self.codes)
