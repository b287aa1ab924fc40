"""Path gradients: estimators whose encoder gradient flows through the samples of z alone.

Each has the value of another objective. Only the gradient differs, because the score term of q, whose expectation is
zero or known, is removed.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Distribution, Seed, Tensor
from tfp_vae.objectives.bound import (
    Bound,
    Objective,
    SampleCount,
    average,
    log_mean_exp,
    mean_terms,
    no_value,
    samples_of,
)
from tfp_vae.objectives.elbo import ELBOEstimator, elbo_of
from tfp_vae.objectives.rate import CostFunction, RateCost, unweighted_cost

if TYPE_CHECKING:
    from tfp_vae.model.vae import VAE

__all__ = ["DReG", "StickingTheLanding"]


@final
@record
class StickingTheLanding(ELBOEstimator):
    """`MonteCarloELBO` without the score term in the encoder's gradient.

    The value is that of `MonteCarloELBO`. The encoder learns only along the path of z, with the parameters of
    log q(z|x) held fixed. The gradient stays unbiased, because the score term has expectation zero. Its variance falls
    to zero as q(z|x) approaches the exact posterior.

    A step costs one more gradient of the decoder with respect to z. It evaluates q at given points, so an inverse
    autoregressive posterior needs D passes.

    Args:
      mc_samples: S, samples of z per example.

    References:
      Roeder, Wu and Duvenaud (2017), Sticking the landing: simple, lower-variance gradient estimators for variational
        inference.
    """

    samples_components: ClassVar[bool] = True
    mc_samples: SampleCount = field(default=1, kw_only=True)

    def _estimate(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor, cost: CostFunction) -> Bound:
        del step
        path = sample_path(vae, x, vae.encoder(x), self.mc_samples, seed, cost)
        distortion, rates = (average(each, path.log_shares) for each in (path.log_px, path.log_ratios))
        plain = elbo_of(-distortion, rates, path.cost)
        if path.log_shares is None:
            even = tf.ones_like(path.log_px) / self.mc_samples
            return plain._replace(value=path.with_gradient(plain.value, even, even))
        shares = tf.exp(path.log_shares)
        gain = tf.stop_gradient(path.log_px - path.cost.weighted_sum(path.log_ratios))
        choice = no_value(tf.reduce_sum(gain * shares, axis=0))  # the weights of the components learn from it
        return plain._replace(value=path.with_gradient(plain.value, shares, shares) + choice)


@final
@record
class DReG(Objective):
    """`IWAE` with the doubly reparameterized gradient of the encoder.

    The value is that of `IWAE`. With normalized weights v_k, the encoder's gradient is sum_k v_k^2 d log w_k / d z_k
    along the path of z_k. The gradient of decoder and prior is sum_k v_k d log w_k, as for `IWAE`.

    The gradient is unbiased for the bound with K samples. The signal-to-noise ratio of the encoder's gradient grows
    like sqrt(K), whereas that of `IWAE` falls. A step costs one more gradient of the decoder with respect to z. It
    evaluates q at given points, so an inverse autoregressive posterior needs D passes.

    ```python
    tv.objectives.DReG(mc_samples=8).loss(vae, x, seed=(0, 2))  # the same number as IWAE(mc_samples=8)
    ```

    Args:
      mc_samples: K, samples of z per example.

    References:
      Tucker et al. (2019), Doubly reparameterized gradient estimators for Monte Carlo objectives.
    """

    mc_samples: SampleCount = field(default=5, kw_only=True)

    def _bound(self, vae: VAE, x: Array, seed: Seed, step: int | Tensor) -> Bound:
        del step
        path = sample_path(vae, x, vae.encoder(x), self.mc_samples, seed, unweighted_cost)
        log_ratio = tf.reduce_sum(path.log_ratios, axis=-1)
        log_w = path.log_px - log_ratio
        v = tf.nn.softmax(log_w, axis=0)
        value = path.with_gradient(log_mean_exp(log_w, self.mc_samples), v, v**2)
        return Bound(value, *mean_terms(path.log_px, log_ratio))


class Path(NamedTuple):
    """The values at fixed samples of z, and their slope along z.

    z: samples of q(z|x), [S, B, D], a function of the encoder.
    log_px: log p(x|z) at fixed z, [S, B].
    log_ratios: log q(z|x) - log p(z) by parts at fixed z and with q held fixed, [S, B, P].
    cost: cost of the rate, by the same parts.
    model: log p(x|z) + weighted log p(z), [S, B], from which decoder and prior learn.
    slope: d [log p(x|z) - weighted log_ratios] / d z, held fixed, [S, B, D].
    log_shares: see `Draws`.
    """

    z: Tensor
    log_px: Tensor
    log_ratios: Tensor
    cost: RateCost
    model: Tensor
    slope: Tensor
    log_shares: Tensor | None

    def with_gradient(self, value: Tensor, model_weights: Tensor, path_weights: Tensor) -> Tensor:
        """Return `value` [B] with the gradient of sum_s model_weights model + path_weights slope . z.

        The surrogate cancels in the value, and it alone remains in the gradient.
        """
        model_part = tf.stop_gradient(model_weights) * self.model
        path_part = tf.stop_gradient(path_weights) * tf.reduce_sum(self.slope * self.z, axis=-1)
        surrogate = tf.reduce_sum(model_part + path_part, axis=0)
        return tf.stop_gradient(value - surrogate) + surrogate


def sample_path(vae: VAE, x: Array, q: Distribution, samples: int, seed: Seed, cost: CostFunction) -> Path:
    """Draw z from q and return the slope at fixed z.

    At z itself the slope would be None or wrong, because bijectors cache the input of each output.

    The slope holds the parameters of q fixed, so the encoder's score term does not arise. The encoder learns through
    the path of z alone, and decoder and prior learn through `model`. It costs one gradient of the decoder with respect
    to z, in addition to the step's own.
    """
    p = vae.prior()
    z, log_shares = samples_of(vae, q, samples, seed)
    fixed = tf.stop_gradient(z)
    rate_cost = cost(q, p, fixed)
    with tf.GradientTape() as tape:
        tape.watch(fixed)
        log_px, log_pz = vae.decoder(fixed).log_prob(x), rate_cost.parts.log_prob(p, fixed)
        log_ratios = rate_cost.parts.log_prob(q, fixed) - log_pz
        total = log_px - rate_cost.weighted_sum(log_ratios)
    slope = tf.stop_gradient(tape.gradient(total, fixed))
    model = log_px + rate_cost.weighted_sum(log_pz)
    return Path(z, log_px, tf.stop_gradient(log_ratios), rate_cost, model, slope, log_shares)
