"""Priors over a discrete z: uniform, learned, or autoregressive.

Their `codes` is that of the posterior's `Latent`: K for one-hot vectors of K elements, and 1 for bits.
"""

from __future__ import annotations

import functools
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Width, check_keywords, record
from tfp_vae.core.types import Distribution, FloatType, Tensor, Variable
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.priors.base import Prior

if TYPE_CHECKING:
    from tfp_vae.model.distributions.codes import Codes
    from tfp_vae.model.distributions.flows import MaskedNetwork

__all__ = ["Autoregressive", "CodePrior", "Learned", "Uniform"]


@check_keywords
class CodePrior(Prior):
    """A prior over D bits, or over D one-hot vectors."""

    codes: int

    @property
    @final
    def latent(self) -> Latent:
        """The space of z."""
        return Latent.bits(self.latent_dim) if self.codes == 1 else Latent.one_hots(self.latent_dim, self.codes)


@final
@record
class Uniform(CodePrior):
    """Uniform over all values of a discrete z, p(z) = K^-D.

    It learns nothing. The rate is D log K minus the entropy of q(z|x), with K = 2 for bits.

    ```python
    p = tv.priors.Uniform(latent_dim=4, codes=10)()
    p.sample(16, seed=(0, 0))  # [16, 40], one-hot vectors of 10 elements
    ```

    Args:
      latent_dim: D, the number of dimensions.
      codes: K for one-hot vectors of K elements, or 1 for bits.
      dtype: type of z.

    Returns (when called, with a temperature, which has no effect):
      `model.distributions.codes.Codes`, batch [], event [D K].
    """

    capabilities: ClassVar[Capabilities] = Capabilities(codes=True)
    latent_dim: pydantic.PositiveInt
    codes: pydantic.PositiveInt = 1
    dtype: FloatType = field(default="float32", repr=False)

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return p(z), batch [], event [D K]."""
        from tfp_vae.model.distributions.codes import codes_of

        del temperature
        p: Distribution = codes_of(tf.zeros([self.latent.size], self.dtype), self.codes)
        return p


@final
@record
class Learned(CodePrior):
    """Independent discrete dimensions with learned probabilities, p(z) = prod_d softmax(l_d)_{k_d}.

    It starts uniform. The best such prior has the frequencies of the codes under the aggregate posterior.

    Args:
      latent_dim: D, the number of dimensions.
      codes: K for one-hot vectors of K elements, or 1 for bits.
      dtype: type of the logits and of z.

    Returns (when called, with a temperature T, which divides the logits):
      `model.distributions.codes.Codes`, batch [], event [D K].
    """

    capabilities: ClassVar[Capabilities] = Capabilities(codes=True)
    latent_dim: pydantic.PositiveInt
    codes: pydantic.PositiveInt = 1
    dtype: FloatType = field(default="float32", repr=False)

    @functools.cached_property
    def learned(self) -> tuple[Variable]:
        """The logits, [D K]."""
        return (tf.Variable(tf.zeros([self.latent.size], self.dtype), name="logits"),)

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return p(z), batch [], event [D K]."""
        from tfp_vae.model.distributions.codes import codes_of

        (logits,) = self.learned
        p: Distribution = codes_of(logits / temperature, self.codes)
        return p


@final
@record
class Autoregressive(CodePrior):
    """Discrete dimensions that depend on those before them, p(z) = prod_d p(z_d | z_1..z_{d-1}).

    A masked network with two hidden layers computes the logits of all dimensions in one pass, so the probability is as
    cheap for any D. Sampling takes D passes. There is no closed-form KL.

    Args:
      latent_dim: D, the number of dimensions.
      codes: K for one-hot vectors of K elements, or 1 for bits.
      seed: seed of the initial weights.
      dtype: type of the weights and of z.
      hidden: width of the hidden layers.

    Returns (when called, with a temperature T, which divides the logits):
      `model.distributions.codes.AutoregressiveCodes`, batch [], event [D K].

    References:
      Germain et al. (2015), MADE: masked autoencoder for distribution estimation.
    """

    latent_dim: pydantic.PositiveInt
    codes: pydantic.PositiveInt = 1
    seed: int = 0
    dtype: FloatType = field(default="float32", repr=False)
    hidden: Width = field(default=128, kw_only=True)

    @functools.cached_property
    def learned(self) -> tuple[MaskedNetwork]:
        """The masked network."""
        from tfp_vae.model.distributions.flows import MaskedNetwork

        sizes = {"inputs": self.codes, "outputs": self.codes}
        return (MaskedNetwork(self.latent_dim, 0, self.seed, hidden=self.hidden, dtype=self.dtype, **sizes),)

    def __call__(self, temperature: float = 1.0) -> Distribution:
        """Return p(z), batch [], event [D K]."""
        from tfp_vae.model.distributions.codes import AutoregressiveCodes, Bits, OneHots

        (network,) = self.learned

        def conditional(z: Tensor) -> Codes:
            logits = network(z) / temperature  # [..., D, K]
            return Bits(logits[..., 0]) if self.codes == 1 else OneHots(logits)

        return AutoregressiveCodes(conditional, self.latent_dim, self.latent.size, self.dtype)
