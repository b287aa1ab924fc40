"""The rate KL(q(z|x) || p(z)) in a bound: when it has a closed form, and how much it costs.

An estimator of the ELBO passes its rate through a `RateCost`. The unweighted cost is the rate itself. `Weighted` passes
another cost to change beta or to leave some nats free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Distribution, Tensor

if TYPE_CHECKING:
    from tfp_vae.model.distributions.layered import LayeredNormal
    from tfp_vae.model.posteriors import Posterior
    from tfp_vae.model.priors import Prior

__all__ = [
    "BY_DIMENSION",
    "BY_LAYER",
    "NO_CLOSED_FORM",
    "NO_DIMENSIONS",
    "NO_SEPARATE_RATES",
    "WHOLE",
    "CostFunction",
    "RateCost",
    "RateParts",
    "has_closed_form_rate",
    "has_separate_rates",
    "kl_by_dimension",
    "log_prob_by_dimension",
    "marginals",
    "unweighted_cost",
]

NO_CLOSED_FORM = (
    "The objective elbo needs the KL of posterior and prior in closed form, which only two Normals or "
    "two families of independent codes have. Choose `objective=monte-carlo-elbo`, or `objective=gumbel-softmax` for "
    "codes, which estimate it."
)

NO_SEPARATE_RATES = (
    "Free bits need the rate of each latent dimension in closed form, or that of each layer: expected a "
    "diagonal-normal posterior and a standard-normal prior, codes and a uniform or learned prior, or a z in layers, "
    "found {} and {}. Choose those, or leave out `free_bits`."
)

NO_DIMENSIONS = (
    "{} needs a posterior whose dimensions are independent Normals, found {}. Choose `posterior=diagonal-normal`, or "
    "another objective."
)


@check_keywords
def has_closed_form_rate(posterior: Posterior | type[Posterior], prior: Prior | type[Prior]) -> bool:
    """Return whether KL(q(z|x) || p(z)) has a closed form, because both are multivariate Normals, or both codes.

    Args:
      posterior: a family of posteriors, or its class.
      prior: a prior, or its class.
    """
    return posterior.capabilities.closed_form_kl(prior.capabilities)


@check_keywords
def has_separate_rates(posterior: Posterior | type[Posterior], prior: Prior | type[Prior]) -> bool:
    """Return whether the rate is a sum that free bits support.

    It has one closed-form rate for each dimension of diagonal Normals or of codes, or one estimate for each layer.

    Args:
      posterior: a family of posteriors, or its class.
      prior: a prior, or its class.
    """
    q, p = posterior.capabilities, prior.capabilities
    return q.separable_kl(p) or (q.layers and p.layers)


class RateParts(NamedTuple):
    """A way to write the rate as a sum of P parts.

    log_prob: (distribution, z) -> log-densities that add up to log p(z), [..., P].
    kl_divergence: (q, p) -> closed-form rates, [B, P].
    """

    log_prob: Callable[[Distribution, Tensor], Tensor]
    kl_divergence: Callable[[Distribution, Distribution], Tensor]

    def log_ratio(self, q: Distribution, p: Distribution, z: Tensor) -> Tensor:
        """Return log q(z|x) - log p(z) by parts, [..., P]."""
        return self.log_prob(q, z) - self.log_prob(p, z)


def marginals(normal: Distribution) -> Distribution:
    """Return the Normals of each dimension of a diagonal Normal: batch [..., D], event [].

    TFP's own diagonal multivariate Normal returns only the sum over dimensions.
    """
    dimensions: Distribution = tfd.Normal(normal.mean(), normal.stddev())
    return dimensions


def log_prob_by_dimension(distribution: Distribution, z: Tensor) -> Tensor:
    """Return log p(z_d), [..., D], of a diagonal Normal or of codes."""
    own = getattr(distribution, "log_prob_by_dimension", None)  # which codes have
    return marginals(distribution).log_prob(z) if own is None else own(z)


def kl_by_dimension(q: Distribution, p: Distribution) -> Tensor:
    """Return KL(q(z_d) || p(z_d)), [..., D], of two diagonal Normals or two codes."""
    own = getattr(q, "kl_by_dimension", None)
    return marginals(q).kl_divergence(marginals(p)) if own is None else own(p)


def no_closed_form(q: Distribution, p: Distribution) -> Tensor:
    """Raise UsageError, because a rate has no closed form."""
    raise UsageError(NO_CLOSED_FORM)


WHOLE = RateParts(
    lambda distribution, z: distribution.log_prob(z)[..., tf.newaxis],
    lambda q, p: q.kl_divergence(p)[..., tf.newaxis],
)
"""The rate as one part, for any posterior and prior."""

BY_DIMENSION = RateParts(log_prob_by_dimension, kl_by_dimension)
"""The rate as D parts, for diagonal Normals and for codes."""


def log_prob_by_layer(distribution: Distribution, z: Tensor) -> Tensor:
    """Return log p(z_l | z_n), [..., L], of a `LayeredNormal`."""
    return cast("LayeredNormal", distribution).log_prob_by_layer(z)


BY_LAYER = RateParts(log_prob_by_layer, no_closed_form)
"""The rate as one part for each layer of z, which only has estimates."""


class RateCost(NamedTuple):
    """The cost of the rate in a batch: sum_p weights_p rate_p + constant, in nats.

    parts: a way to write the rate as a sum of P parts.
    weights: cost of one nat of each part, [P].
    constant: cost that does not depend on the rate.
    """

    parts: RateParts
    weights: Tensor
    constant: Tensor | float = 0.0

    def weighted_sum(self, values: Tensor) -> Tensor:
        """Return sum_p weights_p values_p for values [..., P]."""
        return tf.reduce_sum(self.weights * values, axis=-1)


CostFunction = Callable[[Distribution, Distribution, Tensor], RateCost]
"""(q, p, z) -> the cost of the rate in the batch of q(z|x), given samples z [S, B, D] of q."""


def unweighted_cost(q: Distribution, p: Distribution, z: Tensor) -> RateCost:
    """Return the rate itself as its cost."""
    del p, z
    return RateCost(WHOLE, tf.cast(1.0, q.dtype)[tf.newaxis])
