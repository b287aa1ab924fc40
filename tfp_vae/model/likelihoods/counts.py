"""Likelihoods for counts {0, 1, 2, ...}: Poisson, and negative binomials for counts that vary more or have spikes."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, final

import numpy as np
import pydantic

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords, record, split_numbers
from tfp_vae.core.supports import COUNTS, LARGEST_EXACT, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood, EventShape, inverse_softplus, positive, stack_params

if TYPE_CHECKING:
    from tfp_vae.model.distributions.points import Points

__all__ = ["RATE_FLOOR", "CountLikelihood", "InflatedNegativeBinomial", "NegativeBinomial", "Poisson"]

RATE_FLOOR = 1e-6
"""Smallest rate or total count. It is lower than the floor of scales, because some counts have a rate near zero."""


@check_keywords
class CountLikelihood(ElementwiseLikelihood):
    """A likelihood for counts, with a probability for each of {0, 1, 2, ...}."""

    discrete: ClassVar[bool] = True
    has_points: ClassVar[bool] = True

    @property
    @final
    def support(self) -> Support:
        """{0, 1, 2, ...}."""
        return COUNTS

    @final
    def points(self, elements: Distribution) -> Points:
        """Return bins of counts."""
        from tfp_vae.model.distributions import points

        return points.count_points(elements)

    def features(self, x: Tensor) -> Tensor:
        """Return log(1 + x), because counts can be very large."""
        return tf.math.log1p(tf.nn.relu(x))[..., tf.newaxis]


@final
@record
class Poisson(CountLikelihood):
    """Independent Poisson elements, p(x_i|z) = rate_i^x_i exp(-rate_i) / x_i!, for counts.

    rate = 10^-6 + softplus(s). The variance equals the mean. Most counts vary more than that, and the model then uses z
    to explain noise. `NegativeBinomial` suits such data better.

    The density is that of `model.distributions.counts.Poisson`, accurate in float32 at counts in the millions.

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., prod(event_shape)]):
      `tfd.Independent` of `model.distributions.counts.Poisson`, batch [...], event `event_shape`.
    """

    event_shape: EventShape

    @property
    def per_element(self) -> int:
        """1, a rate."""
        return 1

    def elementwise(self, params: Tensor) -> Distribution:
        """Return Poisson distributions of params [..., *event_shape, 1]."""
        from tfp_vae.model.distributions import counts

        return counts.Poisson(positive(params[..., 0], RATE_FLOOR))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean as the rate, at least 0.01."""
        return stack_params(inverse_softplus(np.maximum(mean, 1e-2)))


@final
@record
class NegativeBinomial(CountLikelihood):
    """Independent negative binomial elements, for counts that vary more than those of a Poisson.

    p(x_i|z) = Gamma(x_i + r_i) / (x_i! Gamma(r_i)) (1 - l_i)^r_i l_i^x_i,  l = sigmoid(logits).

    The mean is r exp(logits) and the variance is mean + mean^2 / r. It is a Poisson whose rate has a gamma distribution
    of shape r, and it approaches a Poisson as r grows. r = 10^-6 + softplus(s), one for each element and z.

    The density is that of `model.distributions.counts.NegativeBinomial`, accurate in float32 even if it is nearly a
    Poisson with counts in the millions.

    ```python
    likelihood = tv.likelihoods.NegativeBinomial((3,))
    p = likelihood(likelihood.initial_params([0.5, 4.0, 1_000.0]))  # r = 2
    p.mean()  # [0.5, 4, 1000]
    p.variance()  # [0.625, 12, 501_000]
    ```

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `model.distributions.counts.NegativeBinomial`, batch [...], event `event_shape`.

    References:
      Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics.
    """

    event_shape: EventShape

    @property
    def per_element(self) -> int:
        """2, a total count r and a logit."""
        return 2

    def elementwise(self, params: Tensor) -> Distribution:
        """Return negative binomial distributions of params [..., *event_shape, 2]."""
        from tfp_vae.model.distributions import counts

        return counts.NegativeBinomial(positive(params[..., 0], RATE_FLOOR), logits=params[..., 1])

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return a total count of 2 and the logit that gives the mean, at least 0.01."""
        return stack_params(inverse_softplus(2.0), np.log(np.maximum(mean, 1e-2) / 2))

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return the total count, from 0.1 to 100, and the logit that give the mean and the variance of each column."""
        mean, excess = np.maximum(np.nanmean(x, axis=0), 1e-2), np.nanvar(x, axis=0) - np.nanmean(x, axis=0)
        total = np.clip(mean**2 / np.maximum(excess, 1e-9), 0.1, 100)
        return stack_params(inverse_softplus(total), np.log(mean / total))


START_WEIGHT = 0.1
"""The probability that single values have together before training, in addition to that of the negative binomial."""


@final
@record
class InflatedNegativeBinomial(CountLikelihood):
    """Independent counts in which single values are frequent, such as 0, or 40 among hours of work per week.

    p(x_i|z) = w_0 NB(x_i) + sum_k w_k [x_i = v_k],  w = softmax(0, s_1, ..., s_K).

    NB is the density of `NegativeBinomial`, with r and a logit for each element and z. The weights depend on z, too. A
    negative binomial alone has to be wide to reach a spike, so it draws the spike too rarely and its neighbours too
    often. With `at=0`, this is the zero-inflated negative binomial.

    ```python
    likelihood = tv.likelihoods.InflatedNegativeBinomial((1,), at=(0, 40))
    p = likelihood(np.float32([[30.0, 0.0, 1.0, 2.0]]))  # r = 30, mean 30, and the weights softmax(0, 1, 2)
    p.mean()  # 0.09 * 30 + 0.67 * 40
    ```

    Args:
      event_shape: shape of one example.
      at: v_1, ..., v_K, the frequent values, all different.

    Returns (when called on params [..., (2 + K) prod(event_shape)]):
      `tfd.Independent` of `model.distributions.counts.Inflated`, batch [...], event `event_shape`.

    Raises:
      UsageError: a value repeats.

    References:
      Lambert (1992), Zero-inflated Poisson regression, with an application to defects in manufacturing.
    """

    event_shape: EventShape
    at: Annotated[
        tuple[Annotated[int, pydantic.Field(ge=0, lt=LARGEST_EXACT)], ...],
        pydantic.Field(min_length=1, max_length=100),
        pydantic.BeforeValidator(split_numbers),
    ] = field(default=(0,), kw_only=True)

    def __post_init__(self) -> None:
        if len(set(self.at)) < len(self.at):
            raise UsageError(f"`at` must name each value once, found {', '.join(map(str, self.at))}")

    @property
    def per_element(self) -> int:
        """2 + K: a total count r, a logit, and the weights of the frequent values."""
        return 2 + len(self.at)

    def elementwise(self, params: Tensor) -> Distribution:
        """Return inflated negative binomial distributions of params [..., *event_shape, 2 + K]."""
        from tfp_vae.model.distributions import counts

        q = counts.NegativeBinomial(positive(params[..., 0], RATE_FLOOR), logits=params[..., 1])
        logits = tf.concat([tf.zeros_like(params[..., :1]), params[..., 2:]], axis=-1)
        return counts.Inflated(q, logits, self.at)

    @property
    def features_per_element(self) -> int:
        """1 + K, the logarithm and one for each frequent value."""
        return 1 + len(self.at)

    def features(self, x: Tensor) -> Tensor:
        """Return log(1 + x), and for each frequent value 1 if it is x, else 0."""
        at = tf.equal(x[..., tf.newaxis], tf.constant(self.at, x.dtype))
        return tf.concat([tf.math.log1p(tf.nn.relu(x))[..., tf.newaxis], tf.cast(at, x.dtype)], axis=-1)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return a total count of 2, a logit that gives the mean, and a tenth of the probability on frequent values.

        Frequent values have less if their mean is above that of the data.
        """
        weight = START_WEIGHT * np.minimum(1, np.maximum(mean, 1e-2) / max(1e-2, np.mean(self.at)))
        rest = np.maximum((mean - weight * np.mean(self.at)) / (1 - weight), 1e-2)
        logits = [np.log(weight / len(self.at) / (1 - weight))] * len(self.at)
        return stack_params(inverse_softplus(2.0), np.log(rest / 2), *logits)

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return the share of each frequent value, and the mean and the variance of the other counts of each column."""
        columns = []
        for column in x.T:
            seen = column[~np.isnan(column)]
            others = seen[~np.isin(seen, self.at)]
            shares = np.array([np.sum(seen == value) for value in self.at]) + 0.5
            rest = NegativeBinomial((1,)).initial_marginal((others if len(others) else seen)[:, np.newaxis])[0]
            columns.append(np.concatenate([rest, np.log(shares / (len(others) + 0.5))]))
        return np.stack(columns)
