"""What the latent variable holds: rate per dimension, mutual information, the aggregate posterior, reconstructions.

`decomposition` splits the rate, `rate_per_dimension` spreads it over the dimensions, `reconstruction_error` and
`posterior_means` look at E_q[z|x]. The aggregate posterior q(z) = 1/N sum_n q(z|x_n) is the exact mixture over the
examples given, an `EvenMixture` whose density costs N densities for each z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.execution import AUTO, choose, compile_function
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.seeds import Seed, fold
from tfp_vae.evaluation.diagnostics import standard_error
from tfp_vae.evaluation.importance import cut
from tfp_vae.model.distributions.mixtures import EvenMixture
from tfp_vae.model.vae import VAE
from tfp_vae.objectives import has_closed_form_rate

__all__ = [
    "Decomposition",
    "decomposition",
    "posterior_means",
    "rate_per_dimension",
    "reconstruction_error",
]

EXAMPLES_AT_ONCE = 500

VALUES_AT_ONCE = 1 << 23
"""How many values the densities of all components at some z may take at once."""

MOST_COMPONENTS, MOST_FLOWS = 10_000, 500
"""Examples whose posteriors make up q(z): of Normals, and of flows, whose density can take D passes."""

MOST_DRAWS = 2_000
"""Draws of z from q(z), no two from the same example."""


class Decomposition(NamedTuple):
    """The rate's two parts, estimated from the same draws; nats, each with its Monte Carlo standard error.

    E_x KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || p(z)), with q(z) = 1/N sum_n q(z|x_n) (Hoffman and Johnson, 2016).

    mutual_information: I(n; z) between z and which of the N examples it came from; at most log N.
    aggregate_kl: KL(q(z) || p(z)), how far the aggregate posterior is from the prior.
    examples: N.
    """

    mutual_information: float
    mutual_information_se: float
    aggregate_kl: float
    aggregate_kl_se: float
    examples: int

    @property
    def ceiling(self) -> float:
        """The largest mutual information that N examples can show, log N."""
        return math.log(self.examples)


def decomposition(
    vae: VAE, x: np.ndarray, *, seed: Seed, most_components: int | None = None, execution: str = AUTO
) -> Decomposition:
    """Return the mutual information of x and z and the aggregate posterior's divergence from the prior.

    q(z) is the exact mixture of the examples' posteriors, of which z are drawn, at most one from each:
    I = E log q(z|x_n) - log q(z),  KL = E log q(z) - log p(z).

    A mutual information close to log N says only that the examples are told apart: the population's is larger.

    Costs min(N, 2,000) N densities of q(z|x), taken in pieces of about 8 million values. I is biased low as an estimate
    of I(x; z) in the population, being at most log N, and the divergence is too large by as much: their sum is the
    rate.

    ```python
    from tfp_vae.evaluation.information import decomposition

    parts = decomposition(vae, x, seed=(0, 0))
    parts.mutual_information + parts.aggregate_kl  # the rate, nats, up to Monte Carlo error
    parts.ceiling  # log 16
    ```

    Args:
      vae: the model.
      x: examples in an order without meaning, [N, *event_shape]; of more than 10,000 (500 if q(z|x) is a flow), the
        first are taken.
      seed: a stateless seed, two integers.
      most_components: how many are taken at most, instead.
      execution: `auto`, `xla`, `graph` or `eager`.

    Returns:
      `Decomposition`, five numbers.

    References:
      Hoffman and Johnson (2016), ELBO surgery.
    """
    x = x[: most_components or (MOST_COMPONENTS if vae.encoder.posterior.capabilities.normal else MOST_FLOWS)]
    params = tf.concat([vae.encoder.params(part) for part in _parts(x)], axis=0)
    densities = compile_function(lambda rows, seed: _densities(vae, params, rows, seed), choose(vae, execution))
    draws = min(len(x), MOST_DRAWS)
    at_once = min(draws, max(1, VALUES_AT_ONCE // (len(x) * vae.encoder.posterior.latent_dim)))
    rows = np.minimum(np.arange(math.ceil(draws / at_once) * at_once), draws - 1).reshape(-1, at_once)
    parts = [densities(tf.constant(some, tf.int32), fold(seed, i)) for i, some in enumerate(rows)]
    log_own, log_all, log_prior = (np.concatenate(column)[:draws] for column in zip(*parts, strict=True))
    return Decomposition(*_mean(log_own - log_all), *_mean(log_all - log_prior), len(x))


def _densities(vae: VAE, params: Any, rows: Any, seed: Any) -> tuple[Any, Any, Any]:
    """Return log q(z_m|x_m), log q(z_m) and log p(z_m), each [M], for z_m drawn from the posteriors of `rows` [M]."""
    own = vae.encoder.posterior(tf.gather(params, rows))
    z = own.sample(seed=seed)
    log_own = own.log_prob(z)
    z = tf.stop_gradient(z)  # another tensor, of which no bijector remembers another posterior's density
    return log_own, EvenMixture(vae.encoder.posterior(params)).log_prob(z), vae.prior().log_prob(z)


def _mean(values: np.ndarray) -> tuple[float, float]:
    values = values.astype(np.float64)
    return float(values.mean()), standard_error(values)


def rate_per_dimension(vae: VAE, x: np.ndarray) -> np.ndarray | None:
    """Return E_x KL(q(z_d|x) || p(z_d)) for each dimension d, in nats: [D], float64.

    Of a diagonal posterior they sum to the rate; of one with correlations, to the rate less its total correlation.
    None unless posterior and prior are both Normal, as other marginals have no closed form.

    A dimension whose rate is near 0 is not used: its q(z_d|x) is the prior's for every x.

    Args:
      vae: the model.
      x: examples, [N, *event_shape].
    """
    if not has_closed_form_rate(vae.encoder.posterior, vae.prior):
        return None
    return _example_mean(x, lambda part: _marginal(vae.encoder(part)).kl_divergence(_marginal(vae.prior())))


def _marginal(normal: Any) -> Any:
    """Return the Normals of each dimension of a multivariate Normal: batch [..., D], event []."""
    return tfd.Normal(normal.mean(), normal.stddev())


def reconstruction_error(vae: VAE, x: np.ndarray, *, seed: Seed) -> float:
    """Return the mean squared error of E[x'|z] at z = E_q[z|x], over examples and elements of x [N, *event_shape].

    In squared units of x as the model sees it. It is a figure for people: what the model is trained on is the
    distortion, which also counts how sure the decoder is.
    """
    squares = _example_mean(x, lambda part: (part - vae.decoder(vae.encoder.mean(part, seed=seed)).mean()) ** 2)
    return float(squares.mean())


def posterior_means(vae: VAE, x: np.ndarray, *, seed: Seed) -> np.ndarray:
    """Return E_q[z|x] of examples x [N, *event_shape]: [N, D].

    Closed-form of Normals; of flows, averages of 64 draws each, which the seed decides.
    """
    return np.concatenate([vae.encoder.mean(part, seed=fold(seed, i)) for i, part in enumerate(_parts(x))])


def _parts(x: np.ndarray) -> Iterator[np.ndarray]:
    return (x[start:end] for start, end in cut(len(x), EXAMPLES_AT_ONCE))


def _example_mean(x: np.ndarray, values: Callable[[np.ndarray], Any]) -> np.ndarray:
    """Return the mean over the examples of `values` [B, ...] of each part of x."""
    total = sum(np.asarray(values(part), np.float64).sum(axis=0) for part in _parts(x))
    return np.asarray(total / len(x))
