"""The ELBO with separate weights for the three parts of the rate, among them the total correlation of q(z)."""

from __future__ import annotations

import math
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, final

import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.objectives.bound import Bound, SampleCount
from tfp_vae.objectives.elbo import ELBOEstimator, elbo_of
from tfp_vae.objectives.rate import NO_DIMENSIONS, CostFunction, has_closed_form_rate, log_prob_by_dimension

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["TotalCorrelation"]

Weight = Annotated[float, pydantic.Field(ge=0, le=1e6, allow_inf_nan=False)]


class Parts(NamedTuple):
    """Estimates of the parts of log q(z|x) - log p(z), to which they add up, in nats.

    information: log q(z|x) - log q(z), whose mean is the mutual information of z and the index of its example.
    correlation: log q(z) - sum_d log q(z_d), whose mean is the total correlation.
    dimensions: sum_d log q(z_d) - log p(z), whose mean is sum_d KL(q(z_d) || p(z_d)) if p(z) has independent
      dimensions.
    """

    information: Tensor
    correlation: Tensor
    dimensions: Tensor

    @classmethod
    def of(cls, q: Distribution, p: Distribution, z: Tensor, log_weights: Tensor) -> Parts:
        """Return the parts at samples z [S, B, D], given the weights of B posteriors at each of B samples, [B, B].

        It takes S B^2 D densities of one dimension.
        """
        own = tf.reduce_sum(log_prob_by_dimension(q, z), axis=-1)  # [S, B]
        each = log_prob_by_dimension(q, z[:, :, tf.newaxis])  # log q(z_d|x_j), [S, B, B, D]
        joint = tf.reduce_logsumexp(tf.reduce_sum(each, axis=-1) + log_weights, axis=-1)
        factors = tf.reduce_sum(tf.reduce_logsumexp(each + log_weights[..., tf.newaxis], axis=-2), axis=-1)
        return cls(own - joint, joint - factors, factors - p.log_prob(z))


def log_weights_of(batch: Tensor, examples: int | None, like: Tensor) -> Tensor:
    """Return logarithms of weights [B, B] with which sum_j w_ij q(z|x_j) estimates q(z) at a sample of q(z|x_i).

    The own posterior has the weight 1 / N that it has in q(z), and the others share the rest, so the estimate is
    unbiased if the batch is a random part of N examples.
    """
    if examples is None:
        return -tf.math.log(tf.cast(batch, like.dtype)) * tf.ones([batch, batch], like.dtype)
    others = tf.cast(tf.maximum(batch - 1, 1), like.dtype)
    apart = math.log(max(examples - 1, 1) / examples) - tf.math.log(others)
    return tf.linalg.set_diag(
        tf.fill([batch, batch], apart), tf.fill([batch], tf.cast(-math.log(examples), like.dtype))
    )


@final
@record
class TotalCorrelation(ELBOEstimator):
    """Evidence lower bound whose rate is split in three parts, each with a weight (beta-TCVAE).

    -distortion - alpha I(n; z) - beta TC - gamma sum_d KL(q(z_d) || p(z_d)).

    q(z) = 1/N sum_n q(z|x_n) is the aggregate posterior, I(n; z) the information of z about the index of its example,
    and TC = KL(q(z) || prod_d q(z_d)) the total correlation. A large beta makes the dimensions of z independent over
    the data, at a smaller cost in information than the whole rate with a weight. With all weights 1 it is the ELBO.

    q(z) is estimated from the batch: the example's own posterior has the weight 1 / N, and the others share the rest.
    So the estimate of q(z) is unbiased, but that of its logarithm is too low for few examples in a batch. Only the
    excess of the weights over 1 depends on it, because the rate itself is exact or unbiased.

    A step costs S passes of the decoder and S D B densities of one dimension for each example.

    ```python
    objective = tv.objectives.TotalCorrelation(examples=1_000, beta=4.0)
    objective.bound(vae, x, seed=(0, 0)).value  # [16], nats
    ```

    Args:
      examples: N, the size of the training split. Training from settings sets it. By default q(z) is the mixture of the
        batch alone.
      mc_samples: S, samples of z per example.
      alpha: weight of the information of z about the index.
      beta: weight of the total correlation.
      gamma: weight of the divergence of the dimensions from those of the prior.

    Raises:
      UsageError: the posterior is not diagonal, so the densities of its dimensions are not known.

    References:
      Chen, Li, Grosse and Duvenaud (2018), Isolating sources of disentanglement in variational autoencoders.
    """

    needs_dimensions: ClassVar[bool] = True
    mixes_examples: ClassVar[bool] = True
    examples: pydantic.PositiveInt | None = None
    mc_samples: SampleCount = field(default=1, kw_only=True)
    alpha: Weight = field(default=1.0, kw_only=True)
    beta: Weight = field(default=6.0, kw_only=True)
    gamma: Weight = field(default=1.0, kw_only=True)

    @property
    def is_elbo(self) -> bool:
        """Whether all weights are 1."""
        return self.alpha == self.beta == self.gamma == 1

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        del step
        draws = self._draw(vae, x, self.mc_samples, seed)
        rate_cost = cost(draws.q, draws.p, draws.z)
        if has_closed_form_rate(vae.encoder.posterior, vae.prior):
            rates = rate_cost.parts.kl_divergence(draws.q, draws.p)
        else:
            rates = draws.average(rate_cost.parts.log_ratio(draws.q, draws.p, draws.z))
        plain = elbo_of(draws.distortion, rates, rate_cost)
        if self.is_elbo:
            return plain
        parts = Parts.of(draws.q, draws.p, draws.z, log_weights_of(tf.shape(x)[0], self.examples, draws.z))
        weights = self.alpha - 1, self.beta - 1, self.gamma - 1
        excess = tf.add_n([weight * draws.average(part) for weight, part in zip(weights, parts, strict=True)])
        return plain._replace(value=plain.value - excess)

    def _check_model(self, vae: VAE) -> None:
        posterior = vae.encoder.posterior
        if not posterior.capabilities.diagonal:
            raise UsageError(NO_DIMENSIONS.format("TotalCorrelation", type(posterior).__name__))
