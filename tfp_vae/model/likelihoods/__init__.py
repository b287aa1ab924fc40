"""Observation models over the data x: parameters -> p(x|z), a `tfd.Distribution`.

`LIKELIHOODS` names them. A likelihood says how many numbers it needs of each element, `per_element`, which values it
has a probability for, `support`, and where the decoder's last bias starts, `initial_params`; elements are independent
given z. The support is checked once, when data are loaded: a density asked for values outside it gives a number all the
same. Values are probabilities (`discrete`) or densities, whose logarithms may be positive and do not compare with those
of probabilities.
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal, final

import numpy as np
import pydantic
from numpy.typing import ArrayLike

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import Positive, Table, record
from tfp_vae.core.supports import BINARY, COUNTS, MOST_LEVELS, OPEN_UNIT, REAL, UNIT, Support, level_count, levels

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Beta",
    "Categorical",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Laplace",
    "Likelihood",
    "NegativeBinomial",
    "Normal",
    "Poisson",
]

EventShape = tuple[pydantic.PositiveInt, ...]
SCALE_FLOOR = 1e-3
"""The smallest scale of a density whose scale is learned; it bounds what a constant pixel can add to log p(x)."""


class Likelihood(abc.ABC):
    """An observation model: a value that turns a decoder's output into p(x|z).

    The decoder's output has `per_element` numbers for each element of the event, the element's own last.

    log p(x|z) = sum_i log p(x_i|z) over the M elements of an example, in nats.

    To add one, mark a subclass with `core.registry.record`, write `support`, `per_element`, `elementwise` and
    `initial`, and enter it in `LIKELIHOODS`. A setting outside its limits raises `pydantic.ValidationError`, which is a
    ValueError.
    """

    discrete: ClassVar[bool]
    """Whether p(x|z) is a probability, so that bits per dimension are meant; else a density."""

    event_shape: tuple[int, ...]

    @property
    @abc.abstractmethod
    def support(self) -> Support:
        """The values that have a probability, or a density, under this model."""

    @property
    def unbounded_at(self) -> Support | None:
        """The values at which log p(x|z) grows without end as the params are varied; None if it is bounded everywhere.

        A probability is at most 1. A density is large where it is narrow: where the data have few values, it can stand
        on them, and its logarithm says how narrow it was let to be (scales have a floor of 0.001).
        """
        return None if self.discrete else self.support

    @property
    @abc.abstractmethod
    def per_element(self) -> int:
        """How many parameters each element of the event has."""

    @abc.abstractmethod
    def elementwise(self, params: Any) -> Any:
        """Return the distributions of the elements, batch [..., *event_shape], from params [..., *event_shape, P]."""

    @abc.abstractmethod
    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the params [M, P] of elements whose mean is `mean`, [M]."""

    @property
    def learned(self) -> tuple[Any, ...]:
        """The variables that the family itself learns, beside the network.

        They are made once and belong to this value: decoders that are given the same value share them, and learn them
        together. For a variable of its own, give each decoder a value of its own.
        """
        return ()

    @classmethod
    def settings_from(cls, settings: Mapping[str, Any], x: np.ndarray) -> dict[str, Any]:
        """Return the settings with what the data x decide where the user does not.

        Args:
          settings: all settings, those that were not given as None.
          x: training data as the likelihood takes them, [N, *event_shape].
        """
        del x
        return dict(settings)

    @property
    def params_size(self) -> int:
        """How many numbers the decoder's network gives for each z."""
        return self.per_element * math.prod(self.event_shape)

    def __call__(self, params: Any) -> Any:
        """Return p(x|z), batch [...], event `event_shape`, from params [..., params_size]; log_prob in nats.

        Args:
          params: the decoder's output, any leading axes.

        Returns:
          A `tfd.Distribution` whose log_prob sums over the event, and whose mean is E[x|z].
        """
        shape = tf.concat([tf.shape(params)[:-1], self.event_shape, [self.per_element]], axis=0)
        return self.joint(self.elementwise(tf.reshape(params, shape)))

    def joint(self, elements: Any) -> Any:
        """Return the distribution of the event, batch [...], whose elements are independent."""
        return tfd.Independent(elements, reinterpreted_batch_ndims=len(self.event_shape))

    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return the params [params_size] at which p(x|z) has about the mean `data_mean`, for every z.

        With weights small at first, the decoder starts at the model in which x does not depend on z, which saves the
        epochs that would be spent to get there.

        Args:
          data_mean: mean of the training data, [*event_shape].
        """
        return self.initial(np.ravel(data_mean).astype(np.float64)).astype(np.float32).ravel()


def _logit(mean: np.ndarray) -> np.ndarray:
    """Return logit(mean), means kept within [0.001, 0.999], as no element is certain.

    The logits of the ends are 6.9 away from 0, from where the sigmoid still has a gradient to come back by.
    """
    mean = np.clip(mean, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(mean / (1 - mean)))


def _inverse_softplus(value: np.ndarray | float) -> np.ndarray:
    """Return log(exp(v) - 1), in a form in which large v do not overflow."""
    return np.asarray(value + np.log(-np.expm1(np.negative(value))))


def _columns(*columns: np.ndarray | float) -> np.ndarray:
    """Return columns, some of them constants, as [M, P]."""
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _scale(s: Any) -> Any:
    return SCALE_FLOOR + tf.nn.softplus(s)


@final
@record
class Bernoulli(Likelihood):
    """Independent Bernoulli elements, p(x|z) = prod_i Bernoulli(x_i; sigmoid(logits_i)), for binary x.

    Binarize grey values first (see `binarization`), as for them the sum is neither a probability nor a density, however
    common it is to train on it.

    ```python
    likelihood = tv.likelihoods.Bernoulli(event_shape=(8, 8, 1))
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))  # every probability 1/2
    p.log_prob(x)  # [16], each -64 log 2
    ```

    Args:
      event_shape: shape of one example, such as (28, 28, 1).

    Returns (when called on the logits [..., prod(event_shape)]):
      `distributions.IndependentBernoulli`, batch [...], event `event_shape`: `tfd.Independent(tfd.Bernoulli(logits))`
      with a faster density. Valid for x in {0, 1} only: it gives a number for other x, but no log-probability.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    discrete: ClassVar[bool] = True
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """{0, 1}."""
        return BINARY

    @property
    def per_element(self) -> int:
        """A logit."""
        return 1

    def elementwise(self, params: Any) -> Any:
        """Return Bernoulli distributions of logits [..., *event_shape, 1]."""
        return tfd.Bernoulli(logits=params[..., 0], dtype=params.dtype)

    def joint(self, elements: Any) -> Any:
        """Return the distribution of the event, with one exponential for each element in its density."""
        from tfp_vae.model.distributions.observed import IndependentBernoulli

        return IndependentBernoulli(elements, len(self.event_shape))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return logit(mean)."""
        return _columns(_logit(mean))


@final
@record
class ContinuousBernoulli(Likelihood):
    """Independent continuous Bernoulli elements, for x in [0, 1].

    p(x_i|z) = C(l_i) l_i^x_i (1 - l_i)^(1 - x_i),  l = sigmoid(logits).

    What a Bernoulli likelihood of grey values lacks is its normalizer C; with it this is a density.

    C(l) = 2 artanh(1 - 2 l) / (1 - 2 l), and 2 at l = 1/2, near which TFP takes a series. E[x_i|z] is not l: it lies
    nearer to 1/2, so that even a sure decoder's means look grey. A density: log p(x) of images that are mostly black
    and white is large and positive.

    Args:
      event_shape: shape of one example.

    Returns (when called on the logits [..., prod(event_shape)]):
      `tfd.Independent` of `tfd.ContinuousBernoulli`, batch [...], event `event_shape`.

    References:
      Loaiza-Ganem and Cunningham (2019), The continuous Bernoulli.
    """

    discrete: ClassVar[bool] = False
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """[0, 1]."""
        return UNIT

    @property
    def unbounded_at(self) -> Support:
        """{0, 1}, and slowly: as log |logit|."""
        return BINARY

    @property
    def per_element(self) -> int:
        """A logit."""
        return 1

    def elementwise(self, params: Any) -> Any:
        """Return continuous Bernoulli distributions of logits [..., *event_shape, 1]."""
        return tfd.ContinuousBernoulli(logits=params[..., 0])

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return logit(mean), whose sign is right; the mean itself is a little nearer to one half."""
        return _columns(_logit(mean))


@final
@record
class Normal(Likelihood):
    """Independent Normal elements, p(x|z) = prod_i N(x_i; loc_i, scale_i^2), for real x.

    With a fixed scale the distortion is |x - loc|^2 / (2 scale^2) + M log(scale sqrt(2 pi)), so that the scale decides
    what a squared error weighs against the rate; a learned one finds the balance. To that 0.001 is added, so that an
    element which never changes gains at most 6 nats. A density: figures of data that are scaled differently do not
    compare.

    ```python
    likelihood = tv.likelihoods.Normal((3,), scale="per-element")
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))  # loc 0, scale 0.69
    p.log_prob(np.zeros([16, 3], np.float32))  # [16], nats
    ```

    Args:
      event_shape: shape of one example.
      scale: a number fixes it; `shared` learns one for all elements and all z; `per-element` lets the decoder give
        one for each. One that is learned starts at 0.3, which suits data of about unit scale: bring others there.

    Returns (when called on params [..., P prod(event_shape)], P = 2 with a scale per element, else 1):
      `tfd.Independent` of `tfd.Normal`, batch [...], event `event_shape`.

    References:
      Rybkin, Daniilidis and Levine (2021), Simple and effective VAE training with calibrated decoders.
    """

    discrete: ClassVar[bool] = False
    event_shape: EventShape
    scale: Positive | Literal["shared", "per-element"] = field(default="shared", kw_only=True)

    @property
    def support(self) -> Support:
        """The real numbers."""
        return REAL

    @property
    def unbounded_at(self) -> Support | None:
        """The real numbers, unless the scale is fixed."""
        return self.support if isinstance(self.scale, str) else None

    @property
    def per_element(self) -> int:
        """A loc, and a scale if the decoder gives it."""
        return 2 if self.scale == "per-element" else 1

    @functools.cached_property
    def learned(self) -> tuple[Any, ...]:
        """The logarithm of the shared scale, if there is one; it starts at log 0.3."""
        return (tf.Variable(math.log(0.3), name="log_scale"),) if self.scale == "shared" else ()

    def elementwise(self, params: Any) -> Any:
        """Return Normal distributions of params [..., *event_shape, P]."""
        loc = params[..., 0]
        return tfd.Normal(loc, _SCALES.get(self.scale, _fixed)(self, params))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean, and a scale of 0.3 where the decoder gives it."""
        return _columns(*(mean, _inverse_softplus(0.3))[: self.per_element])


def _fixed(likelihood: Normal, params: Any) -> Any:
    return tf.constant(likelihood.scale, params.dtype)


_SCALES: dict[Any, Callable[[Normal, Any], Any]] = {
    "shared": lambda likelihood, params: SCALE_FLOOR + tf.cast(tf.exp(likelihood.learned[0]), params.dtype),
    "per-element": lambda likelihood, params: _scale(params[..., 1]),
}


@final
@record
class Laplace(Likelihood):
    """Independent Laplace elements, p(x_i|z) = exp(-|x_i - loc_i| / scale_i) / (2 scale_i), for real x with outliers.

    The scales start at 0.3, which suits data of about unit scale: bring others there.

    Its loc is pulled towards the conditional median, where a Normal's is pulled towards the mean, so single wild values
    cost |x - loc| and not its square. scale = 0.001 + softplus(s), one for each element and z.

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `tfd.Laplace`, batch [...], event `event_shape`.
    """

    discrete: ClassVar[bool] = False
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """The real numbers."""
        return REAL

    @property
    def per_element(self) -> int:
        """A loc and a scale."""
        return 2

    def elementwise(self, params: Any) -> Any:
        """Return Laplace distributions of params [..., *event_shape, 2]."""
        return tfd.Laplace(params[..., 0], _scale(params[..., 1]))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean, and a scale of 0.3."""
        return _columns(mean, _inverse_softplus(0.3))


@final
@record
class Beta(Likelihood):
    """Independent beta elements, p(x_i|z) = Beta(x_i; a_i, b_i), for x strictly between 0 and 1.

    a, b = 0.001 + softplus(.). With a or b below 1 the density has no bound at that end, and at 0 and 1 themselves it
    is infinite or zero: data that reach the ends are refused at load. Its two log-gammas and their gradients make it
    several times as dear as a Normal.

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `tfd.Beta`, batch [...], event `event_shape`.
    """

    discrete: ClassVar[bool] = False
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """(0, 1)."""
        return OPEN_UNIT

    @property
    def per_element(self) -> int:
        """Two concentrations."""
        return 2

    def elementwise(self, params: Any) -> Any:
        """Return beta distributions of params [..., *event_shape, 2]."""
        return tfd.Beta(_scale(params[..., 0]), _scale(params[..., 1]))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return concentrations of that mean that sum to 2."""
        mean = np.clip(mean, 1e-2, 1 - 1e-2)
        return _columns(_inverse_softplus(2 * mean), _inverse_softplus(2 * (1 - mean)))


class _OnLevels(Likelihood):
    """What models of integer levels share: x on {0, 1/(L-1), ..., 1}; L is counted in the data, or given.

    A probability for each level, so that bits per dimension mean something and figures compare between these models:
    unlike a density's they do not change with the scale of the data.
    """

    discrete: ClassVar[bool] = True
    levels: int | None

    @property
    @final
    def count(self) -> int:
        """L."""
        return self.levels or DEFAULT_LEVELS

    @property
    @final
    def support(self) -> Support:
        """The grid of levels."""
        return levels(self.count)

    @classmethod
    @final
    def settings_from(cls, settings: Mapping[str, Any], x: np.ndarray) -> dict[str, Any]:
        """Return the settings, the levels counted in the data x [N, ...] where they are not given."""
        counted = {} if settings["levels"] else {"levels": level_count(x) or DEFAULT_LEVELS}
        return {**settings, **counted}


Levels = Annotated[int, pydantic.Field(ge=2, le=MOST_LEVELS)] | None
DEFAULT_LEVELS = 256


@final
@record
class Categorical(_OnLevels):
    """Independent categorical elements over L levels, p(x_i = k/(L-1) | z) = softmax(logits_i)_k.

    The most flexible, and the largest: the decoder gives L numbers for each element.

    It knows nothing of the order of the levels, and has to learn that 127 is near 128: it needs more data than a
    logistic. Of 28x28 pixels on 256 levels the decoder's last layer gives 200,704 numbers for each z.

    Args:
      event_shape: shape of one example.
      levels: L; counted in the data if not given.

    Returns (when called on params [..., L prod(event_shape)]):
      `tfd.Independent` of `distributions.OnGrid`, batch [...], event `event_shape`.

    References:
      van den Oord, Kalchbrenner and Kavukcuoglu (2016), Pixel recurrent neural networks.
    """

    event_shape: EventShape
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """A logit for each level."""
        return self.count

    def elementwise(self, params: Any) -> Any:
        """Return distributions over the levels of logits [..., *event_shape, L]."""
        return _on_grid(tfd.Categorical(logits=params), self.count, _categorical_mean(params))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return logits that fall with the distance from the mean."""
        grid = np.linspace(0, 1, self.count)
        return np.asarray(-4 * np.abs(grid - mean[:, np.newaxis]))


def _categorical_mean(logits: Any) -> Any:
    level = tf.range(logits.shape[-1], dtype=logits.dtype)
    return lambda: tf.reduce_sum(tf.nn.softmax(logits) * level, axis=-1)


@final
@record
class DiscretizedLogistic(_OnLevels):
    """Independent logistic elements rounded to L levels, the first and last taking the tails.

    p(x_i = k/(L-1) | z) = F(k + 1/2) - F(k - 1/2), F the distribution function of a logistic with loc_i and scale_i, in
    units of levels; F(-1/2) is taken as 0 and F(L - 1/2) as 1.

    The decoder gives loc on the scale of x, [0, 1], and s with scale = 0.001 + softplus(s) on the same; both are
    multiplied by L - 1. The density costs the same for any L, its mean a loop over the L levels.

    ```python
    likelihood = tv.likelihoods.DiscretizedLogistic((8, 8, 1), levels=17)
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))
    p.log_prob(x)  # [16], nats; x on {0, 1/16, ..., 1}
    ```

    Args:
      event_shape: shape of one example.
      levels: L; counted in the data if not given.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `distributions.OnGrid`, batch [...], event `event_shape`.

    References:
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
    """

    event_shape: EventShape
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """A loc and a scale."""
        return 2

    def elementwise(self, params: Any) -> Any:
        """Return distributions over the levels of params [..., *event_shape, 2]."""
        rounded, mean = _rounded_logistic(params[..., 0], params[..., 1], self.count)
        return _on_grid(rounded, self.count, mean)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean, and a scale of 0.1."""
        return _columns(mean, _inverse_softplus(0.1))


@final
@record
class DiscretizedLogisticMixture(_OnLevels):
    """Independent mixtures of K discretized logistics; see `DiscretizedLogistic`.

    p(x_i|z) = sum_j softmax(logits_i)_j P_j(x_i|z): several modes for each element, at K times the cost of one. Unlike
    PixelCNN++, channels and neighbouring pixels are independent given z.

    Args:
      event_shape: shape of one example.
      components: K.
      levels: L; counted in the data if not given.

    Returns (when called on params [..., 3 K prod(event_shape)]):
      `tfd.Independent` of `distributions.OnGrid`, batch [...], event `event_shape`.

    References:
      Salimans et al. (2017), PixelCNN++.
    """

    event_shape: EventShape
    components: Annotated[int, pydantic.Field(ge=1, le=1_000)] = field(default=5, kw_only=True)
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """A logit, a loc and a scale for each component."""
        return 3 * self.components

    def elementwise(self, params: Any) -> Any:
        """Return distributions over the levels of params [..., *event_shape, 3 K]."""
        logits, loc, s = tf.split(params, 3, axis=-1)
        rounded, means = _rounded_logistic(loc, s, self.count)
        mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=logits), rounded)
        return _on_grid(mixture, self.count, lambda: tf.reduce_sum(tf.nn.softmax(logits) * means(), axis=-1))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return equal components spread evenly around the mean, with scales of 0.1."""
        offsets = np.linspace(-0.3, 0.3, self.components)
        around = mean[:, np.newaxis] + offsets - offsets.mean()  # one alone is at the mean
        return np.concatenate([np.zeros_like(around), around, np.full_like(around, _inverse_softplus(0.1))], axis=-1)


def _rounded_logistic(loc: Any, s: Any, count: int) -> tuple[Any, Callable[[], Any]]:
    """Return logistics rounded to the levels 0..count-1, from locs in [0, 1], and a function that gives their means.

    The mean is a function, as its loop over the levels costs far more than a density, and training never asks for it.
    """
    from tfp_vae.model.distributions.observed import RoundedLogistic

    loc, scale = loc * (count - 1), _scale(s) * (count - 1)

    def mean() -> Any:
        """E[k] = sum_j P(k > j)."""
        thresholds = tf.range(count - 1, dtype=loc.dtype) + 0.5
        return tf.foldl(lambda total, t: total + tf.sigmoid((loc - t) / scale), thresholds, tf.zeros_like(loc))

    return RoundedLogistic(loc, scale, count), mean


def _on_grid(over_levels: Any, count: int, mean: Callable[[], Any]) -> Any:
    from tfp_vae.model.distributions.observed import OnGrid

    return OnGrid(over_levels, count, mean)


@final
@record
class Poisson(Likelihood):
    """Independent Poisson elements, p(x_i|z) = rate_i^x_i exp(-rate_i) / x_i!, for counts.

    Its density is `distributions.Poisson`'s, which keeps its digits in float32 at counts of millions.

    rate = 10^-6 + softplus(s). Variance and mean are equal under it; counts that vary more, as most do, are called
    surprising, and z is spent on explaining noise: see `NegativeBinomial`.

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., prod(event_shape)]):
      `tfd.Independent` of `distributions.Poisson`, batch [...], event `event_shape`.
    """

    discrete: ClassVar[bool] = True
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """{0, 1, 2, ...}."""
        return COUNTS

    @property
    def per_element(self) -> int:
        """A rate."""
        return 1

    def elementwise(self, params: Any) -> Any:
        """Return Poisson distributions of params [..., *event_shape, 1]."""
        from tfp_vae.model.distributions import observed as distributions

        return distributions.Poisson(_positive(params[..., 0]))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean as rate."""
        return _columns(_inverse_softplus(np.maximum(mean, 1e-2)))


@final
@record
class NegativeBinomial(Likelihood):
    """Independent negative binomial elements, for counts that vary more than Poisson's.

    p(x_i|z) = Gamma(x_i + r_i) / (x_i! Gamma(r_i)) (1 - l_i)^r_i l_i^x_i, l = sigmoid(logits), of mean r exp(logits).

    Its variance is mean + mean^2 / r, so that r -> infinity is Poisson's; a Poisson whose rate is gamma-distributed, of
    shape r. r = 10^-6 + softplus(s), one for each element and z.

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `tfd.NegativeBinomial`, batch [...], event `event_shape`.

    References:
      Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics.
    """

    discrete: ClassVar[bool] = True
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """{0, 1, 2, ...}."""
        return COUNTS

    @property
    def per_element(self) -> int:
        """A total count r and a logit."""
        return 2

    def elementwise(self, params: Any) -> Any:
        """Return negative binomial distributions of params [..., *event_shape, 2]."""
        return tfd.NegativeBinomial(_positive(params[..., 0]), logits=params[..., 1])

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return a total count of 2 and the logit that gives the mean."""
        return _columns(_inverse_softplus(2.0), np.log(np.maximum(mean, 1e-2) / 2))


def _positive(s: Any) -> Any:
    """Return a number above 0, nearer to it than a scale may come: a count that is never seen has a rate of about 0."""
    return 1e-6 + tf.nn.softplus(s)


LIKELIHOODS: Table[Likelihood] = Table(
    "likelihood",
    {
        "bernoulli": Bernoulli,
        "continuous-bernoulli": ContinuousBernoulli,
        "normal": Normal,
        "laplace": Laplace,
        "beta": Beta,
        "categorical": Categorical,
        "discretized-logistic": DiscretizedLogistic,
        "discretized-logistic-mixture": DiscretizedLogisticMixture,
        "poisson": Poisson,
        "negative-binomial": NegativeBinomial,
    },
    base=Likelihood,
    takes=("event_shape",),
)
