"""Likelihoods for counts {0, 1, 2, ...}: Poisson, and negative binomial for counts that vary more."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import check_keywords, record
from tfp_vae.core.supports import COUNTS, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood, EventShape, inverse_softplus, positive, stack_params

__all__ = ["RATE_FLOOR", "CountLikelihood", "NegativeBinomial", "Poisson"]

RATE_FLOOR = 1e-6
"""Smallest rate or total count. It is lower than the floor of scales, because some counts have a rate near zero."""


@check_keywords
class CountLikelihood(ElementwiseLikelihood):
    """A likelihood for counts, with a probability for each of {0, 1, 2, ...}."""

    discrete: ClassVar[bool] = True

    @property
    @final
    def support(self) -> Support:
        """{0, 1, 2, ...}."""
        return COUNTS

    @final
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
