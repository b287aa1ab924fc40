"""Objectives: bounds on log p(x), one value per example, whose negative mean is the loss.

An objective draws z from q(z|x), takes log p(x|z), log p(z) and log q(z|x) at them, and puts them together: that is all
it knows of a model. `OBJECTIVES` names them. Each gives a `Bound`, whose terms are the plain ELBO's whatever the bound,
so that training curves of different objectives compare.

With S samples a step costs one pass of the encoder and S of the decoder for each example, and the activations of all of
them in memory; other costs are noted where they arise.

Value and gradient are separate. `StickingTheLanding` and `DReG` report the same bound as `MonteCarloELBO` and `IWAE`,
and differ in how its gradient is estimated.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import field
from typing import Annotated, Any, ClassVar, NamedTuple, final

import pydantic
from pydantic.dataclasses import dataclass

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import Table
from tfp_vae.core.seeds import Seed

__all__ = [
    "ELBO",
    "IWAE",
    "MIWAE",
    "OBJECTIVES",
    "PLAIN",
    "Bound",
    "DReG",
    "MonteCarloELBO",
    "Objective",
    "RateWeight",
    "Renyi",
    "StickingTheLanding",
    "has_closed_form_rate",
    "has_separate_rates",
    "plain_elbo",
]


class Bound(NamedTuple):
    """A bound on log p(x) and the ELBO's two terms, in nats, each [B].

    The terms are always those of the plain ELBO, -distortion - rate, estimated from the bound's own samples.

    value: the bound that the objective maximizes.
    distortion: -E_q[log p(x|z)].
    rate: KL(q(z|x) || p(z)), closed-form under `ELBO`, else estimated; an estimate may be negative.
    """

    value: Any
    distortion: Any
    rate: Any


class RateWeight(NamedTuple):
    """How much the rate counts in an objective that weighs it.

    With free bits, each of the D dimensions of z may hold lambda = floor / D nats at no gain in giving them up: what is
    weighed is sum_d max(lambda, mean_batch KL(q(z_d|x) || p(z_d))), which is at least the rate.

    beta: its weight; 1 in a bound.
    floor: D lambda, nats; 0 for no free bits.

    Of beta above 1 the objective is still a lower bound on log p(x), a looser one; below 1 it is none. Free bits loosen
    it too: with lambda above a dimension's rate nothing pulls that dimension towards the prior.

    ```python
    weight = tv.objectives.RateWeight(beta=4.0, floor=1.0)  # half a nat free in each of 2 dimensions
    tv.objectives.ELBO().bound(vae, x, seed=(0, 0), weight=weight).value  # [16], nats; their mean is at most the ELBO's
    ```

    References:
      Higgins et al. (2017), beta-VAE.
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow, appendix C.8.
    """

    beta: Any = 1.0
    floor: float = 0.0

    def is_plain(self) -> bool:
        """Return whether it changes nothing, whatever the step."""
        return not self.floor and not tf.is_tensor(self.beta) and bool(self.beta == 1)


PLAIN = RateWeight()
Samples = Annotated[int, pydantic.Field(ge=1, le=100_000)]
SamplesOfEither = Annotated[int, pydantic.Field(ge=1, le=316)]
"""A factor of a number of samples: the product of two is at most 100,000."""


class Objective(abc.ABC):
    """A bound on log p(x): a small frozen record, a function of (vae, x, seed).

    Its value is the bound itself; an estimator with a name of its own changes only the gradient.

    A new one defines `_bound`, and says whether it has a rate to weigh. The reparameterized samples carry the gradient
    to the encoder, so q(z|x) has to be a family whose draws are differentiable, as all in `posteriors` are.
    """

    weighs_rate: ClassVar[bool] = False
    """Whether the bound has a rate that can be given another weight."""

    needs_closed_form_rate: ClassVar[bool] = False
    """Whether the KL of posterior and prior has to be known in closed form."""

    @final
    def bound(self, vae: Any, x: Any, *, seed: Seed, weight: RateWeight = PLAIN) -> Bound:
        """Return the bound for each example of x [B, *event_shape], with the plain ELBO's distortion and rate.

        Args:
          vae: the model.
          x: examples as the likelihood takes them, [B, *event_shape].
          seed: a stateless seed, two integers; the same seed gives the same z.
          weight: how much the rate counts; with free bits the batch decides, through its mean rates, which dimensions
            count.

        Raises:
          UsageError: another weight than `PLAIN` where there is no rate to weigh; free bits where posterior or prior
            has no closed-form rate for each dimension; a model without the closed form that the objective needs.
        """
        if not (self.weighs_rate or weight.is_plain()):
            raise UsageError(
                f"expected the rate's plain weight, as {type(self).__name__} has no rate to weigh, found {weight}; "
                f"choose from {', '.join(name for name, one in OBJECTIVES.items() if one.weighs_rate)}."
            )
        return self._bound(vae, x, seed, weight)

    @abc.abstractmethod
    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        """Return the bound, its rate weighed if `weighs_rate`."""

    @final
    def loss(self, vae: Any, x: Any, *, seed: Seed) -> Any:
        """Return the negative bound, averaged over the batch: a scalar, in nats.

        What `training.Trainer` minimizes with the plain weight. The seed has to change from step to step, or every step
        sees the same noise.

        ```python
        loss = tv.objectives.IWAE(mc_samples=8).loss(vae, x, seed=(0, 1))  # a scalar, nats
        ```

        Args:
          vae: the model.
          x: examples as the likelihood takes them, [B, *event_shape].
          seed: a stateless seed, two integers.
        """
        return -tf.reduce_mean(self.bound(vae, x, seed=seed).value)


def has_closed_form_rate(posterior: Any, prior: Any) -> bool:
    """Return whether KL(q(z|x) || p(z)) is known in closed form: both are multivariate Normals.

    Args:
      posterior: a family of `posteriors`, or its class.
      prior: one of `priors`, or its class.
    """
    return bool(posterior.is_normal and prior.is_normal)


def has_separate_rates(posterior: Any, prior: Any) -> bool:
    """Return whether the rate is a sum of closed-form rates of the dimensions: both are diagonal Normals."""
    return bool(posterior.is_diagonal and prior.is_diagonal)


def plain_elbo(vae: Any) -> Objective:
    """Return the objective that gives a model's ELBO: with its closed-form rate where there is one.

    Of one sample for each example: its mean over a data set has little noise, that of a single example much.
    """
    closed = has_closed_form_rate(vae.encoder.posterior, vae.prior)
    return ELBO() if closed else MonteCarloELBO()


class _Draws(NamedTuple):
    """S samples of z for each example and their log-densities."""

    q: Any
    p: Any
    z: Any  # [S, B, D]
    log_px: Any  # log p(x|z), [S, B]

    @property
    def distortion(self) -> Any:
        """-1/S sum_s log p(x|z_s), [B]."""
        return -tf.reduce_mean(self.log_px, axis=0)

    def log_ratio(self) -> Any:
        """Return log q(z|x) - log p(z), [S, B].

        At the samples themselves, so that a flow's density needs no inversion.
        """
        return self.q.log_prob(self.z) - self.p.log_prob(self.z)


def _draw(vae: Any, x: Any, samples: int, seed: Seed) -> _Draws:
    q = vae.encoder(x)
    z = q.sample(samples, seed=seed)
    return _Draws(q, vae.prior(), z, vae.decoder(z).log_prob(x))


class _Parts(NamedTuple):
    """The P parts of which a rate is the sum.

    A whole rate is one part. Free bits need those of the dimensions, which add up to it where both are diagonal
    Normals.
    """

    log_prob: Callable[[Any, Any], Any]  # (distribution, z) -> log-densities, [..., P]
    rates: Callable[[Any, Any], Any]  # (q, p) -> closed-form rates, [B, P]


def _marginals(normal: Any) -> Any:
    """Return the Normals of which a diagonal one is the product: batch [..., D], event [].

    TFP's diagonal multivariate Normal gives the sum over dimensions only.
    """
    return tfd.Normal(normal.mean(), normal.stddev())


_WHOLE = _Parts(
    lambda distribution, z: distribution.log_prob(z)[..., tf.newaxis],
    lambda q, p: q.kl_divergence(p)[..., tf.newaxis],
)
_EACH_DIMENSION = _Parts(
    lambda distribution, z: _marginals(distribution).log_prob(z),
    lambda q, p: _marginals(q).kl_divergence(_marginals(p)),
)


class _Weighing(NamedTuple):
    """What the parts of a rate cost in a batch: sum_p weights_p rate_p + constant.

    parts: of which the rate is the sum.
    weights: what a nat of each costs, beta or 0.
    constant: what the free dimensions cost.
    """

    parts: _Parts
    weights: Any  # [P]
    constant: Any = 0.0

    def log_ratio(self, q: Any, p: Any, z: Any) -> Any:
        """Return log q(z|x) - log p(z) by parts, [..., P]."""
        return self.parts.log_prob(q, z) - self.parts.log_prob(p, z)

    def of(self, values: Any) -> Any:
        """Return sum_p weights_p values_p, of values [..., P]."""
        return tf.reduce_sum(self.weights * values, axis=-1)

    def bound(self, distortion: Any, rates: Any) -> Bound:
        """Return the bound with a distortion [B] and the rates [B, P], weighed."""
        value = -distortion - self.of(rates) - self.constant
        return Bound(value, distortion, tf.reduce_sum(rates, axis=-1))


def _weighing(vae: Any, q: Any, p: Any, weight: RateWeight) -> _Weighing:
    """Return how the rate of a batch is weighed.

    With free bits a dimension counts where its closed-form rate, averaged over the batch, is above its share of the
    floor; one that does not costs that share, of which nothing can be learned.

    Which dimensions count is decided with gradients stopped; on the edge the weight jumps, as a maximum's slope does.
    """
    beta = tf.cast(weight.beta, q.dtype)
    if not weight.floor:
        return _Weighing(_WHOLE, beta[tf.newaxis])
    if not has_separate_rates(vae.encoder.posterior, vae.prior):
        families = vae.encoder.posterior, vae.prior
        raise UsageError(NO_SEPARATE_RATES.format(*(type(family).__name__ for family in families)))
    rates = tf.stop_gradient(_EACH_DIMENSION.rates(q, p))
    free = weight.floor / rates.shape[-1]
    counted = tf.cast(tf.reduce_mean(rates, axis=0) > free, q.dtype)
    return _Weighing(_EACH_DIMENSION, beta * counted, beta * free * tf.reduce_sum(1 - counted))


NO_SEPARATE_RATES = (
    "free bits need the rate of each latent dimension in closed form: expected a diagonal-normal posterior under a "
    "standard-normal prior, found {} under {}; choose those, or leave out --free-bits."
)


def _mean_terms(log_px: Any, log_ratio: Any) -> tuple[Any, Any]:
    """Return the distortion and the rate, [B] each, as averages over the samples [S, B]."""
    return -tf.reduce_mean(log_px, axis=0), tf.reduce_mean(log_ratio, axis=0)


def _log_mean_exp(log_w: Any, samples: int) -> Any:
    """Return log 1/K sum_k exp(log_w_k) over the first axis, [K, ...] -> [...], without overflow."""
    return tf.reduce_logsumexp(log_w, axis=0) - math.log(samples)


@final
@dataclass(frozen=True)
class ELBO(Objective):
    """Evidence lower bound with the closed-form rate.

    ELBO(x) = 1/S sum_s log p(x|z_s) - KL(q(z|x) || p(z)),  z_s ~ q(z|x).

    The distortion is estimated with S reparameterized samples, the rate is exact. Its cost is one pass of the
    encoder and S of the decoder for each example.

    E[ELBO] = log p(x) - KL(q(z|x) || p(z|x)): the gap is how far the posterior family is from the exact posterior, and
    no number of samples closes it. More samples make the gradient less noisy.

    ```python
    bound = tv.objectives.ELBO(mc_samples=5).bound(vae, x, seed=(0, 2))
    np.allclose(bound.value, -bound.distortion - bound.rate)  # True
    ```

    Args:
      mc_samples: S, the samples of z for each example.

    Raises:
      UsageError: this posterior and prior have no closed-form KL; `MonteCarloELBO` estimates it.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
      Rezende, Mohamed and Wierstra (2014), Stochastic backpropagation and approximate inference in deep generative
      models.
    """

    weighs_rate: ClassVar[bool] = True
    needs_closed_form_rate: ClassVar[bool] = True
    mc_samples: Samples = field(default=1, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        if not has_closed_form_rate(vae.encoder.posterior, vae.prior):
            raise UsageError(NO_CLOSED_FORM)
        draws = _draw(vae, x, self.mc_samples, seed)
        weighing = _weighing(vae, draws.q, draws.p, weight)
        return weighing.bound(draws.distortion, weighing.parts.rates(draws.q, draws.p))


NO_CLOSED_FORM = (
    "the objective elbo needs the KL of posterior and prior in closed form, which only Normals have; choose "
    "--objective monte-carlo-elbo, which estimates it."
)


@final
@dataclass(frozen=True)
class MonteCarloELBO(Objective):
    """Evidence lower bound with the rate estimated from the same samples.

    ELBO(x) = 1/S sum_s [log p(x|z_s) + log p(z_s) - log q(z_s|x)],  z_s ~ q(z|x).

    Right for every posterior and prior that have a density. Where the closed form exists too, both have the same
    expectation; this one has no variance at all where q(z|x) is the exact posterior.

    Each estimate of a rate has the variance of log q - log p under q, of the order of D / 2 nats^2 for one sample
    between Normals; over a batch it averages out.

    ```python
    prior = tv.priors.NormalMixture(2, components=3)  # to which no KL has a closed form
    model = tv.VAE(vae.encoder, vae.decoder, prior)
    tv.objectives.MonteCarloELBO(mc_samples=5).loss(model, x, seed=(0, 2))  # a scalar, nats
    ```

    Args:
      mc_samples: S, the samples of z for each example.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes, equation 6.
      Roeder, Wu and Duvenaud (2017), Sticking the landing: simple, lower-variance gradient estimators for variational
        inference.
    """

    weighs_rate: ClassVar[bool] = True
    mc_samples: Samples = field(default=1, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        draws = _draw(vae, x, self.mc_samples, seed)
        weighing = _weighing(vae, draws.q, draws.p, weight)
        log_ratio = weighing.log_ratio(draws.q, draws.p, draws.z)
        return weighing.bound(draws.distortion, tf.reduce_mean(log_ratio, axis=0))


@final
@dataclass(frozen=True)
class IWAE(Objective):
    """Importance-weighted bound, log 1/K sum_k w_k, w_k = p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x).

    Tighter with every K. The encoder's gradient loses signal against its noise as K grows; `DReG` does not.

    The gap to log p(x) falls like var(w) / (2 K p(x)^2) where the weights have a variance. K = 1 is `MonteCarloELBO`.
    The signal-to-noise ratio of the encoder's gradient falls like 1 / sqrt(K), that of the decoder's rises like
    sqrt(K).

    Args:
      mc_samples: K.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
      Rainforth et al. (2018), Tighter variational bounds are not necessarily better.
    """

    mc_samples: Samples = field(default=5, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        draws = _draw(vae, x, self.mc_samples, seed)
        log_ratio = draws.log_ratio()
        value = _log_mean_exp(draws.log_px - log_ratio, self.mc_samples)
        return Bound(value, *_mean_terms(draws.log_px, log_ratio))


@final
@dataclass(frozen=True)
class MIWAE(Objective):
    """Mean of M importance-weighted bounds of K samples each.

    Between `MonteCarloELBO` (K = 1) and `IWAE` (M = 1).

    Costs M K samples. With M K fixed, a larger M gives the encoder a gradient of more signal, a larger K a tighter
    bound.

    Args:
      outer_samples: M, at most 316.
      inner_samples: K, at most 316.

    References:
      Rainforth et al. (2018), Tighter variational bounds are not necessarily better.
    """

    outer_samples: SamplesOfEither = field(default=2, kw_only=True)
    inner_samples: SamplesOfEither = field(default=5, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        draws = _draw(vae, x, self.outer_samples * self.inner_samples, seed)
        log_ratio = draws.log_ratio()
        log_w = tf.reshape(draws.log_px - log_ratio, [self.inner_samples, self.outer_samples, -1])
        value = tf.reduce_mean(_log_mean_exp(log_w, self.inner_samples), axis=0)
        return Bound(value, *_mean_terms(draws.log_px, log_ratio))


@final
@dataclass(frozen=True)
class Renyi(Objective):
    """Variational Renyi bound, 1/(1 - alpha) log 1/K sum_k w_k^(1 - alpha).

    alpha = 0 is `IWAE`, alpha -> 1 the ELBO; between, it lies between them. In expectation a lower bound for alpha in
    [0, 1], and below the ELBO for alpha > 1.

    With w^(1 - alpha) in place of w, weights above the average count less as alpha grows. For finitely many samples it
    is the K-sample estimate that is maximized, which for alpha < 1 lies below the Renyi bound itself, and nears it with
    K.

    Args:
      alpha: from 0 to 1,000.
      mc_samples: K.

    References:
      Li and Turner (2016), Renyi divergence variational inference.
    """

    alpha: Annotated[float, pydantic.Field(ge=0, le=1_000, allow_inf_nan=False)] = field(default=0.5, kw_only=True)
    mc_samples: Samples = field(default=5, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        draws = _draw(vae, x, self.mc_samples, seed)
        log_ratio = draws.log_ratio()
        return Bound(self._value(draws.log_px - log_ratio), *_mean_terms(draws.log_px, log_ratio))

    def _value(self, log_w: Any) -> Any:
        power = 1 - self.alpha
        if abs(power) < 1e-4:  # the limit; in float32 the quotient would be rounding over rounding
            return tf.reduce_mean(log_w, axis=0)
        return _log_mean_exp(power * log_w, self.mc_samples) / power


@final
@dataclass(frozen=True)
class StickingTheLanding(Objective):
    """`MonteCarloELBO` in value; in gradient, the encoder's score term, of expectation zero, is left out.

    The encoder learns along the path of z alone, at log q(z|x) with its parameters held: no noise is left where q(z|x)
    is the exact posterior. Needs the density of q at given z: with an inverse autoregressive posterior, D passes.

    The gradient stays unbiased; as q(z|x) nears the exact posterior its variance falls to zero, where that of the
    ELBO's does not. A step costs a further gradient of the decoder, at z.

    Args:
      mc_samples: S.

    References:
      Roeder, Wu and Duvenaud (2017), Sticking the landing.
    """

    weighs_rate: ClassVar[bool] = True
    mc_samples: Samples = field(default=1, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        path = _path(vae, x, self.mc_samples, seed, weight)
        even = tf.ones_like(path.log_px) / self.mc_samples
        plain = path.weighing.bound(-tf.reduce_mean(path.log_px, axis=0), tf.reduce_mean(path.log_ratios, axis=0))
        return plain._replace(value=path.with_gradient(plain.value, even, even))


@final
@dataclass(frozen=True)
class DReG(Objective):
    """`IWAE` in value; in gradient, the encoder's doubly reparameterized one.

    With normalized weights v_k, the encoder's gradient is sum_k v_k^2 d log w_k / d z_k, along the path of z_k; the
    decoder's and the prior's is sum_k v_k d log w_k, as for `IWAE`. Needs the density of q at given z, as
    `StickingTheLanding`.

    Unbiased for the gradient of the bound of K samples. The signal-to-noise ratio of the encoder's gradient grows like
    sqrt(K), where that of `IWAE` falls. A step costs a further gradient of the decoder, at z.

    ```python
    tv.objectives.DReG(mc_samples=8).loss(vae, x, seed=(0, 2))  # the same number as IWAE(mc_samples=8)
    ```

    Args:
      mc_samples: K.

    References:
      Tucker et al. (2019), Doubly reparameterized gradient estimators for Monte Carlo objectives.
    """

    mc_samples: Samples = field(default=5, kw_only=True)

    def _bound(self, vae: Any, x: Any, seed: Seed, weight: RateWeight) -> Bound:
        path = _path(vae, x, self.mc_samples, seed, PLAIN)
        log_ratio = tf.reduce_sum(path.log_ratios, axis=-1)
        log_w = path.log_px - log_ratio
        v = tf.nn.softmax(log_w, axis=0)
        value = path.with_gradient(_log_mean_exp(log_w, self.mc_samples), v, v**2)
        return Bound(value, *_mean_terms(path.log_px, log_ratio))


class _Path(NamedTuple):
    """What path gradients are made of: values at z held still, and their slope along z."""

    z: Any  # [S, B, D], a function of the encoder
    log_px: Any  # log p(x|z) at z held still, [S, B]
    log_ratios: Any  # log q(z|x) - log p(z) by parts at z held still, [S, B, P], q held too
    weighing: _Weighing  # of those parts
    model: Any  # what decoder and prior learn from: log p(x|z) + weighed log p(z), [S, B]
    slope: Any  # d [log p(x|z) - weighed log_ratios] / d z, held, [S, B, D]

    def with_gradient(self, value: Any, model_weights: Any, path_weights: Any) -> Any:
        """Return `value` [B] with the gradient of sum_s model_weights model + path_weights slope . z.

        In value the surrogate cancels; in gradient it alone is left.
        """
        model_part = tf.stop_gradient(model_weights) * self.model
        path_part = tf.stop_gradient(path_weights) * tf.reduce_sum(self.slope * self.z, axis=-1)
        surrogate = tf.reduce_sum(model_part + path_part, axis=0)
        return tf.stop_gradient(value - surrogate) + surrogate


def _path(vae: Any, x: Any, samples: int, seed: Seed, weight: RateWeight) -> _Path:
    """Draw z and take the slope at z held still.

    At z itself the slope would be None, or wrong: bijectors remember where their output came from.

    The encoder's score term does not arise: in the slope the parameters of q are held, and they enter through the path
    of z alone; those of decoder and prior enter through `model`. Costs one gradient of the decoder with respect to z,
    beside the step's own.
    """
    q, p = vae.encoder(x), vae.prior()
    z, weighing = q.sample(samples, seed=seed), _weighing(vae, q, p, weight)
    still = tf.stop_gradient(z)
    with tf.GradientTape() as tape:
        tape.watch(still)
        log_px, log_pz = vae.decoder(still).log_prob(x), weighing.parts.log_prob(p, still)
        log_ratios = weighing.parts.log_prob(q, still) - log_pz
        total = log_px - weighing.of(log_ratios)
    slope = tf.stop_gradient(tape.gradient(total, still))
    return _Path(z, log_px, tf.stop_gradient(log_ratios), weighing, log_px + weighing.of(log_pz), slope)


OBJECTIVES = Table(
    "objective",
    {
        "elbo": ELBO,
        "monte-carlo-elbo": MonteCarloELBO,
        "iwae": IWAE,
        "sticking-the-landing": StickingTheLanding,
        "dreg": DReG,
        "renyi": Renyi,
        "miwae": MIWAE,
    },
)
