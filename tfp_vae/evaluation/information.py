"""Information in the latent variable: rate per dimension, mutual information, aggregate posterior, reconstructions.

`decomposition` splits the rate, and `rate_per_dimension` and `rate_per_layer` divide it among parts of z.
`reconstruction_error` and `posterior_means` use E_q[z|x]. The aggregate posterior q(z) = 1/N sum_n q(z|x_n) is the
exact mixture over the given examples, an `EvenMixture` whose density costs N densities for each z.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tfp_vae.core.batch import Batch, batch_rows
from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO, choose
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.seeds import fold
from tfp_vae.core.types import Array, Seed, Tensor
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.importance import slices
from tfp_vae.model.compilation import compile_for
from tfp_vae.model.distributions.mixtures import EvenMixture
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import has_closed_form_rate
from tfp_vae.objectives.rate import BY_LAYER, kl_by_dimension, log_prob_by_dimension

__all__ = [
    "Decomposition",
    "decomposition",
    "mixture_densities",
    "posterior_means",
    "rate_per_dimension",
    "rate_per_layer",
    "reconstruction_error",
]

EXAMPLES_AT_ONCE = 500

VALUES_AT_ONCE = 1 << 23
"""Largest number of values that the densities of all components at some z take at once."""

LAYER_SAMPLES = 10
"""Samples of z for each example that estimate the rate of each layer."""

MOST_COMPONENTS = 10_000
"""Most Normals or codes in the mixture q(z)."""

MOST_FLOWS = 500
"""Most flows in the mixture q(z), because one density of a flow can take D passes."""

MOST_DRAWS = 2_000
"""Most samples of z from q(z), each from another example."""


@check_keywords
class Decomposition(NamedTuple):
    """The parts of the rate, estimated from the same samples, in nats with Monte Carlo standard errors.

    E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || p(z)), with q(z) = 1/N sum_n q(z|x_n) (Hoffman and Johnson, 2016).
    KL(q(z) || p(z)) = TC + sum_d KL(q(z_d) || p(z_d)), if p(z) has independent dimensions (Chen et al., 2018).

    mutual_information: I(n; z) between z and the index of its example among N, at most log N.
    aggregate_kl: KL(q(z) || p(z)), the divergence of the aggregate posterior from the prior. With a prior p(z|y) it is
      E[log q(z) - log p(z|y)], the rest of the rate. It is -I(y; z) if the draws of q(z|x, y) for each y follow p(z|y).
    examples: N.
    total_correlation: KL(q(z) || prod_d q(z_d)), which is 0 if the dimensions are independent over the data. None
      unless each q(z|x) has independent dimensions: diagonal Normals or codes.
    dimension_kl: aggregate_kl minus the total correlation, E[sum_d log q(z_d) - log p(z)].
    """

    mutual_information: float
    mutual_information_se: float
    aggregate_kl: float
    aggregate_kl_se: float
    examples: int
    total_correlation: float | None = None
    total_correlation_se: float | None = None
    dimension_kl: float | None = None
    dimension_kl_se: float | None = None

    @property
    def ceiling(self) -> float:
        """The largest mutual information that N examples can show, log N."""
        return math.log(self.examples)


@check_keywords
def decomposition(
    vae: VAE, x: Array | Batch, *, seed: Seed, most_components: int | None = None, execution: str = AUTO
) -> Decomposition:
    """Return the mutual information of x and z, and the divergence of the aggregate posterior from the prior.

    I = E[log q(z|x_n) - log q(z)],  KL = E[log q(z) - log p(z)],  z ~ q(z), at most one sample for each n.
    TC = E[log q(z) - sum_d log q(z_d)] is the part of KL that comes from dimensions that depend on each other.

    q(z) is the exact mixture of the posteriors of the examples. A mutual information near log N only shows that z
    distinguishes the examples. The information about the population is larger.

    The cost is N min(N, 2,000) densities of q(z|x), in pieces of about 8 million values. As an estimate of I(x; z) in
    the population, I is too low because it is at most log N. The divergence is too large by the same amount, because
    their sum is the rate.

    ```python
    parts = tv.evaluation.decomposition(vae, x, seed=(0, 0))
    parts.mutual_information + parts.aggregate_kl  # the rate in nats, up to Monte Carlo error
    parts.ceiling  # log 16
    ```

    Args:
      vae: the model.
      x: examples in random order, [N, *event_shape]. Only the first 10,000 are used, or 500 if q(z|x) is a flow.
      seed: a stateless seed, two integers.
      most_components: another limit on the number of examples.
      execution: `auto`, `xla`, `graph` or `eager`.

    Raises:
      DataError: x has another shape than the model's examples, or values outside the likelihood's support.
      UsageError: the density of q(z|x) is known for its own samples only.

    References:
      Hoffman and Johnson (2016), ELBO surgery.
      Chen, Li, Grosse and Duvenaud (2018), Isolating sources of disentanglement in variational autoencoders.
    """
    posterior = vae.encoder.posterior
    if posterior.capabilities.approximate:
        raise UsageError(
            "The decomposition of the rate needs the density of each q(z|x) at the samples of the others, but "
            f"{type(posterior).__name__} has one for its own samples only. Leave it out."
        )
    most = most_components or (MOST_COMPONENTS if posterior.capabilities.exact_mean else MOST_FLOWS)
    batch = batch_rows(vae.batch(x, "The decomposition"), slice(0, most))
    x, pieces = batch.x, slices(len(batch.x), EXAMPLES_AT_ONCE)
    params = tf.concat([params_of(vae, batch_rows(batch, rows)) for rows in pieces], axis=0)
    densities = compile_for(vae, mixture_densities, execution=choose(vae, execution))
    draws = min(len(x), MOST_DRAWS)
    at_once = min(draws, max(1, VALUES_AT_ONCE // (len(x) * posterior.latent.size)))
    rows = np.minimum(np.arange(math.ceil(draws / at_once) * at_once), draws - 1).reshape(-1, at_once)
    context = [] if batch.context is None else [np.asarray(batch.context)]
    parts = [
        densities(params, tf.constant(some, tf.int32), fold(seed, i), *(y[some] for y in context))
        for i, some in enumerate(rows)
    ]
    log_own, log_all, log_prior, *log_factors = (
        np.concatenate(column)[:draws].astype(np.float64) for column in zip(*parts, strict=True)
    )
    information, divergence = log_own - log_all, log_all - log_prior
    by_dimension: dict[str, float] = {}
    for log_each in log_factors:
        correlation, rest = log_all - log_each, log_each - log_prior
        by_dimension = {
            "total_correlation": float(correlation.mean()),
            "total_correlation_se": standard_error(correlation),
            "dimension_kl": float(rest.mean()),
            "dimension_kl_se": standard_error(rest),
        }
    return Decomposition(
        mutual_information=float(information.mean()),
        mutual_information_se=standard_error(information),
        aggregate_kl=float(divergence.mean()),
        aggregate_kl_se=standard_error(divergence),
        examples=len(x),
        **by_dimension,
    )


def params_of(vae: VAE, batch: Batch) -> Tensor:
    """Return the parameters of q(z|x), or of q(z|x, y), for a batch from `VAE.batch`, [B, P]."""
    model, x = vae.condition(batch)
    return model.encoder.params(x)


def mixture_densities(vae: VAE, params: Tensor, rows: Array, seed: Seed, *context: Tensor) -> tuple[Tensor, ...]:
    """Return log q(z_m|x_m), log q(z_m) and log p(z_m), each [M], for one sample z_m of each of M posteriors.

    If the posterior has independent dimensions, the sum of the log q(z_md) over the dimensions d comes last.

    Args:
      vae: the model.
      params: parameters of the posteriors of all N examples, [N, P]. Their even mixture is q(z).
      rows: the M examples whose posteriors are sampled, integers [M].
      seed: a stateless seed, two integers.
      context: the contexts of the M examples, if the model has a condition.
    """
    vae = vae.given(*context) if context else vae
    own = vae.encoder.posterior(tf.gather(params, rows))
    z = own.sample(seed=seed)
    log_own = own.log_prob(z)
    z = tf.stop_gradient(z)  # a new tensor, for which no bijector has cached the density of another posterior
    members, log_prior = vae.encoder.posterior(params), vae.prior().log_prob(z)
    if not has_independent_dimensions(vae):
        return log_own, EvenMixture(members).log_prob(z), log_prior
    each = log_prob_by_dimension(members, z[:, tf.newaxis])  # [M, N, D]
    log_all, log_each = (
        tf.reduce_logsumexp(part, axis=1) - math.log(params.shape[0]) for part in (tf.reduce_sum(each, axis=-1), each)
    )
    return log_own, log_all, log_prior, tf.reduce_sum(log_each, axis=-1)


def has_independent_dimensions(vae: VAE) -> bool:
    """Return whether q(z|x) is a product of distributions of each dimension: of Normals or of codes."""
    capabilities = vae.encoder.posterior.capabilities
    return capabilities.diagonal or capabilities.codes


@check_keywords
def rate_per_dimension(vae: VAE, x: Array | Batch) -> np.ndarray | None:
    """Return E_x KL(q(z_d|x) || p(z_d)) for each dimension d, in nats: [D], float64.

    They add up to the rate if the posterior is diagonal, and to the rate minus its total correlation otherwise. The
    result is None unless both are Normal or both are codes, because other marginals have no closed form.

    A dimension with a rate near 0 is not used: its q(z_d|x) is the prior for every x.

    Args:
      vae: the model.
      x: examples, [N, *event_shape].
    """
    if not has_closed_form_rate(vae.encoder.posterior, vae.prior):
        return None
    batch, total = vae.batch(x, "The rate per dimension"), np.zeros([])
    for rows in slices(len(batch.x), EXAMPLES_AT_ONCE):
        model, values = vae.condition(batch_rows(batch, rows))
        rates = kl_by_dimension(model.encoder(values), model.prior())
        total = total + np.asarray(rates, np.float64).sum(axis=0)
    return np.asarray(total / len(batch.x))


@check_keywords
def rate_per_layer(vae: VAE, x: Array | Batch, *, seed: Seed) -> np.ndarray | None:
    """Return E[log q(z_l|.) - log p(z_l|.)] of each layer l of z, in nats: [L], float64, z_1 first.

    They are averages over the examples and 10 samples of each. They add up to the rate. With a top-down posterior, each
    is the mean of a KL and thus at least 0. With a bottom-up posterior, only their sum is, and z_1 may have a negative
    one if z_2 tells much about it. The result is None unless z has layers.

    ```python
    posterior = tv.posteriors.BottomUp(3, layers=(2, 1), hidden=(8,))
    encoder = tv.Encoder(tv.networks.mlp((8, 8, 1), posterior.params_size), posterior)
    decoder = tv.Decoder(tv.networks.LowestLayer(tv.networks.mlp((2,), 64), 2), vae.decoder.likelihood)
    model = tv.VAE(encoder, decoder, tv.priors.Hierarchical(3, posterior))
    tv.evaluation.rate_per_layer(model, x, seed=(0, 0))  # [2]
    ```

    Args:
      vae: the model.
      x: examples, [N, *event_shape].
      seed: a stateless seed, two integers.
    """
    if not (vae.encoder.posterior.capabilities.layers and vae.prior.capabilities.layers):
        return None
    batch, total = vae.batch(x, "The rate per layer"), np.zeros([])
    for i, rows in enumerate(slices(len(batch.x), EXAMPLES_AT_ONCE)):
        model, values = vae.condition(batch_rows(batch, rows))
        q, p = model.encoder(values), model.prior()
        z = q.sample(LAYER_SAMPLES, seed=fold(seed, i))
        ratios = BY_LAYER.log_ratio(q, p, z)
        total = total + np.asarray(ratios, np.float64).mean(axis=0).sum(axis=0)
    return np.asarray(total / len(batch.x))


@check_keywords
def reconstruction_error(vae: VAE, x: Array | Batch, *, seed: Seed) -> float:
    """Return the mean squared error of E[x'|z] at z = E_q[z|x], over examples and elements of x [N, *event_shape].

    It is in squared units of x as the model sees it. People find it easy to read, but training minimizes the
    distortion, which also depends on the scale of p(x|z). For a table, it is the average over columns of the error of
    their observed cells. Words count by the distance of their numbers, so use it for tables of numbers only.
    """
    batch = vae.batch(x, "The reconstruction error", density=False)
    total, observed = np.zeros([]), np.zeros([])
    for rows in slices(len(batch.x), EXAMPLES_AT_ONCE):
        model, x = vae.condition(batch_rows(batch, rows))
        squares = (x - model.decoder(model.encoder.typical(x, seed=seed)).mean()) ** 2
        total = total + np.nansum(np.asarray(squares, np.float64), axis=0)
        observed = observed + np.sum(~np.isnan(np.asarray(x)), axis=0)
    return float(np.mean(total[observed > 0] / observed[observed > 0]))


@check_keywords
def posterior_means(vae: VAE, x: Array | Batch, *, seed: Seed) -> np.ndarray:
    """Return E_q[z|x] of examples x [N, *event_shape]: [N, D].

    The means are in closed form for Normals. For flows they are averages of 64 samples, which depend on the seed.
    """
    batch, mean = vae.batch(x, "A posterior mean", density=False), vae.encoder.posterior.mean
    parts = slices(len(batch.x), EXAMPLES_AT_ONCE)
    return np.concatenate(
        [mean(params_of(vae, batch_rows(batch, rows)), seed=fold(seed, i)) for i, rows in enumerate(parts)]
    )
