"""The abstract objective, and the bound on log p(x) that it returns for each example.

An objective draws z from q(z|x), evaluates log p(x|z), log p(z) and log q(z|x), and combines them. It knows nothing
else about the model.
"""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, cast, final

import pydantic

from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.model.latent import NO_DENSITY
from tfp_vae.objectives.rate import NO_CLOSED_FORM, has_closed_form_rate

if TYPE_CHECKING:
    from tfp_vae.model.distributions.mixtures import NormalMixture
    from tfp_vae.model.latent import Capabilities
    from tfp_vae.model.vae import VAE

__all__ = [
    "NO_COMPONENTS",
    "Bound",
    "Draws",
    "Objective",
    "SampleCount",
    "average",
    "log_mean_exp",
    "mean_terms",
    "no_value",
    "samples_of",
]

NO_COMPONENTS = (
    "{} cannot train {}, because the choice of a component has no gradient. Choose an objective that samples every "
    "component, such as `objective=monte-carlo-elbo` or iwae."
)

SampleCount = Annotated[int, pydantic.Field(ge=1, le=100_000)]
"""A number of samples per example."""


@check_keywords
class Bound(NamedTuple):
    """A bound on log p(x) and the two terms of the ELBO, in nats, each [B].

    The terms are always those of the unweighted ELBO, -distortion - rate, estimated from the bound's own samples. So
    you can compare the training curves of different objectives.

    value: the quantity that training maximizes.
    distortion: -E_q[log p(x|z)].
    rate: KL(q(z|x) || p(z)). Exact under `ELBO`, otherwise an estimate, which may be negative.
    """

    value: Tensor
    distortion: Tensor
    rate: Tensor


class Draws(NamedTuple):
    """S samples of z for each of B examples, with the distributions that they need.

    q: q(z|x), batch [B].
    p: p(z).
    z: samples of q, [S, B, D].
    log_px: log p(x|z), [S, B].
    log_shares: logarithms of the shares of the samples in an average, [S, B], for samples of each component of a
      mixture. None if all are alike.
    """

    q: Distribution
    p: Distribution
    z: Tensor
    log_px: Tensor
    log_shares: Tensor | None = None

    @property
    def distortion(self) -> Tensor:
        """The average of -log p(x|z_s), [B]."""
        return -self.average(self.log_px)

    def average(self, values: Tensor) -> Tensor:
        """Return the average over the samples, for values [S, B] or by parts, [S, B, P]."""
        return average(values, self.log_shares)

    def log_average(self, log_w: Tensor) -> Tensor:
        """Return the logarithm of the average of exp(log_w) over the samples, [S, B] -> [B]."""
        if self.log_shares is None:
            return log_mean_exp(log_w, log_w.shape[0])
        return tf.reduce_logsumexp(log_w + self.log_shares, axis=0)

    def terms(self, log_ratio: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distortion and the rate, [B] each, given log q(z|x) - log p(z) of the samples, [S, B]."""
        return self.distortion, self.average(log_ratio)

    def log_ratio(self) -> Tensor:
        """Return log q(z|x) - log p(z), [S, B].

        The densities are evaluated at the samples themselves, so a flow does not need its inverse.
        """
        return self.q.log_prob(self.z) - self.p.log_prob(self.z)


@check_keywords
class Objective(abc.ABC):
    """A bound on log p(x): an immutable function of (vae, x, seed, step).

    The value is always the bound itself. An estimator such as `DReG` changes only the gradient.

    To add an objective, subclass this class, define `_bound` and declare the capabilities below.
    """

    sense: ClassVar[Literal["lower", "upper"]] = "lower"
    """Whether E[value] is at most or at least log p(x). Training refuses an upper bound."""

    weighs_rate: ClassVar[bool] = False
    """Whether the bound is -distortion - rate, so that `Weighted` can change the weight of the rate."""

    needs_closed_form_rate: ClassVar[bool] = False
    """Whether KL(q(z|x) || p(z)) must have a closed form."""

    needs_reparameterized_posterior: ClassVar[bool] = True
    """Whether the gradient reaches the encoder through the samples of z."""

    samples_components: ClassVar[bool] = False
    """Whether it samples every component of a mixture, so it needs no gradient of the choice of one."""

    takes_implicit: ClassVar[bool] = False
    """Whether it trains posteriors without a density, and only those."""

    needs_dimensions: ClassVar[bool] = False
    """Whether q(z|x) must be a product of Normals of one dimension each."""

    mixes_examples: ClassVar[bool] = False
    """Whether the bound of an example depends on the others in its batch."""

    needs_codes: ClassVar[bool] = False
    """Whether z must consist of independent codes."""

    needs_bits: ClassVar[bool] = False
    """Whether these codes must be bits."""

    @property
    def is_elbo(self) -> bool:
        """Whether its value is the ELBO, so that validation need not compute both."""
        return self.weighs_rate

    @classmethod
    @final
    def trains(cls, posterior: Capabilities) -> bool:
        """Return whether this objective can train a posterior with these capabilities."""
        has_gradient = posterior.reparameterized or not cls._needs_reparameterized(posterior)
        return has_gradient and cls._has_codes(posterior)

    @classmethod
    def _needs_reparameterized(cls, posterior: Capabilities) -> bool:
        return cls.needs_reparameterized_posterior and not (cls.samples_components and posterior.mixture)

    @classmethod
    @final
    def check_codes(cls, posterior: Capabilities, *, name: str, found: str) -> None:
        """Raise UsageError if this objective needs codes or bits that a posterior does not have.

        Args:
          posterior: the capabilities of the posterior.
          name, found: the objective and the posterior, for the message.
        """
        if not cls._has_codes(posterior):
            raise UsageError(
                f"{name} needs a posterior over {'bits' if cls.needs_bits else 'codes'}, found {found}. Choose "
                "`posterior=bernoulli`, or another objective."
            )

    @classmethod
    def _has_codes(cls, posterior: Capabilities) -> bool:
        return (posterior.codes or not cls.needs_codes) and (posterior.bits or not cls.needs_bits)

    @final
    def bound(self, vae: VAE, x: Batch | Array, *, seed: int | Seed, step: int | Tensor = 0) -> Bound:
        """Return the bound for each example, with the distortion and the rate of the ELBO.

        Args:
          vae: the model.
          x: B examples, [B, *event_shape], or a batch of them.
          seed: an integer, or a stateless seed of two integers. The same seed draws the same z.
          step: the training step, from 0, for objectives that change during training.

        Raises:
          UsageError: the model lacks a capability that the objective needs, the batch lacks the context of a
            conditional model, or it has context or missing cells that the model does not support.
          DataError: x has another shape than the model's examples, or values outside the likelihood's support. Symbolic
            tensors are not checked, see `VAE.examples`.
        """
        self._check_model(vae)
        batch = vae.batch(x, f"The objective {type(self).__name__}")
        return self._bound_of(vae, batch._replace(x=tf.cast(batch.x, vae.dtype)), fold(seed), step)

    @final
    def loss(self, vae: VAE, x: Batch | Array, *, seed: int | Seed, step: int | Tensor = 0) -> Tensor:
        """Return the negative bound, averaged over the batch: a scalar, in nats.

        Pass a new seed at each step. Otherwise every step sees the same noise.

        ```python
        loss = tv.objectives.IWAE(mc_samples=8).loss(vae, x, seed=(0, 1))  # a scalar, nats
        ```

        Args:
          vae: the model.
          x: B examples, [B, *event_shape], or a batch of them.
          seed: an integer, or a stateless seed of two integers.
          step: the training step, from 0.

        Raises:
          UsageError: the bound cannot be maximized, see `check`.
          DataError: see `bound`.
        """
        self.check(vae)
        return -tf.reduce_mean(self.bound(vae, x, seed=seed, step=step).value)

    @final
    def check(self, vae: VAE) -> None:
        """Raise UsageError if training cannot maximize this bound for this model.

        The reason is either a missing capability of the model or an upper bound, whose maximum says nothing about
        log p(x).
        """
        self._check_gradient(vae)
        self._check_model(vae)

    def _bound_of(self, vae: VAE, batch: Batch, seed: Seed, step: int | Tensor) -> Bound:
        """Return the bound for the examples of a batch, whose values have the type of the model, without checks."""
        model, x = vae.condition(batch)
        return self._bound(model, x, seed, step)

    @abc.abstractmethod
    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        """Return the bound for x [B, *event_shape]."""

    def _check_gradient(self, vae: VAE) -> None:
        """Raise UsageError if the gradient does not lead to a model of the data."""
        if self.sense == "upper":
            raise UsageError(
                f"{type(self).__name__} is an upper bound on log p(x), so maximizing it does not fit the model. "
                "Train with a lower bound, such as `objective=elbo`."
            )
        posterior = vae.encoder.posterior
        if not self._needs_reparameterized(posterior.capabilities):
            return
        name, need = type(posterior).__name__, f"{type(self).__name__} needs a reparameterized posterior"
        if posterior.latent.discrete and not posterior.capabilities.reparameterized:
            raise UsageError(
                f"{need}, but samples of the discrete z of {name} have no gradient. Choose an objective for it, such "
                "as `objective=gumbel-softmax` or rloo."
            )
        if posterior.capabilities.mixture:
            raise UsageError(NO_COMPONENTS.format(type(self).__name__, name))
        if not posterior.capabilities.reparameterized:
            raise UsageError(
                f"{need}, but {name} does not declare that a gradient flows through its samples. Choose another, such "
                "as `posterior=diagonal-normal`, or set `reparameterized` in its `capabilities` if one does."
            )
        q = posterior(tf.zeros([1, posterior.params_size], vae.dtype))
        if q.reparameterization_type != tfd.FULLY_REPARAMETERIZED:
            raise UsageError(
                f"{need}. {name} claims to be one, but TFP has no gradient of the samples of its {type(q).__name__}. "
                "Choose another posterior, such as `posterior=diagonal-normal`."
            )

    def _check_model(self, vae: VAE) -> None:
        """Raise UsageError if the model lacks a capability that can be checked before z is drawn."""
        posterior = vae.encoder.posterior
        if posterior.capabilities.implicit:
            raise UsageError(NO_DENSITY)
        self.check_codes(posterior.capabilities, name=type(self).__name__, found=type(posterior).__name__)
        if self.needs_closed_form_rate and not has_closed_form_rate(posterior, vae.prior):
            raise UsageError(NO_CLOSED_FORM)

    def _draw(self, vae: VAE, x: Array, samples: int, seed: Seed) -> Draws:
        """Draw z from q(z|x) and decode it: one pass of the encoder and S of the decoder per example.

        There are as many samples of every component of a mixture.
        """
        q = vae.encoder(x)
        z, log_shares = samples_of(vae, q, samples, seed)
        return Draws(q, vae.prior(), z, vae.decoder(z).log_prob(x), log_shares)


def samples_of(vae: VAE, q: Distribution, samples: int, seed: Seed) -> tuple[Tensor, Tensor | None]:
    """Return differentiable samples of q(z|x), [S, B, D], and the logarithms of their shares if q is a mixture."""
    if vae.encoder.posterior.capabilities.mixture:
        return cast("NormalMixture", q).stratified(samples, seed)
    return q.sample(samples, seed=seed), None


def average(values: Tensor, log_shares: Tensor | None) -> Tensor:
    """Return the average over samples [S, B] or [S, B, P], each with its share if there are shares [S, B]."""
    if log_shares is None:
        return tf.reduce_mean(values, axis=0)
    shares = tf.exp(log_shares)
    return tf.reduce_sum((shares if len(values.shape) == 2 else shares[..., tf.newaxis]) * values, axis=0)


def mean_terms(log_px: Tensor, log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distortion and the rate, [B] each, as averages over samples [S, B]."""
    return -tf.reduce_mean(log_px, axis=0), tf.reduce_mean(log_ratio, axis=0)


def log_mean_exp(log_w: Tensor, samples: int) -> Tensor:
    """Return log 1/K sum_k exp(log_w_k) over the first axis, [K, ...] -> [...], without overflow."""
    return tf.reduce_logsumexp(log_w, axis=0) - math.log(samples)


def no_value(terms: Tensor) -> Tensor:
    """Return exact zeros with the gradient of the terms."""
    return terms - tf.stop_gradient(terms)
