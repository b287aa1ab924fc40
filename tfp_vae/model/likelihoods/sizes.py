"""Likelihoods for rows of counts whose totals vary for reasons that z should not explain, such as sequencing depth."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar, final

import numpy as np
import pydantic
from numpy.typing import ArrayLike

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Positive, check_keywords, record
from tfp_vae.core.supports import COUNTS, Support
from tfp_vae.core.types import Array, Distribution, Tensor
from tfp_vae.model.likelihoods.base import EventShape, Likelihood, inverse_softplus, positive, stack_params
from tfp_vae.model.likelihoods.counts import RATE_FLOOR

__all__ = ["SIZE_FACTORS", "SizeFactorLikelihood", "SizeFactorNegativeBinomial", "SizeFactorPoisson"]

LogSize = Annotated[float, pydantic.Field(ge=-20, le=20, allow_inf_nan=False)] | None
"""The mean of the logarithm of the size, or None."""

SIZE_FACTORS = ("size-factor-poisson", "size-factor-negative-binomial")
"""The names of these likelihoods in `LIKELIHOODS`."""

LEAST_SCALE = 0.01
"""Smallest standard deviation of the log size that data can give. Totals that never vary would give 0."""


@check_keywords
class SizeFactorLikelihood(Likelihood):
    """A likelihood for M counts, x_j given z and a size l, with mean l pi_j(z) and sum_j pi_j = 1.

    The size l is log-normal and does not depend on z, and log p(x|z) is the logarithm of the integral over l. So it is
    the probability of the counts themselves, and z has no reason to encode the size.

    log_size: mean of log l. None is log M, one count for each element.
    size_scale: standard deviation of log l.
    """

    discrete: ClassVar[bool] = True
    log_size: float | None
    size_scale: float | None

    @property
    @final
    def support(self) -> Support:
        """{0, 1, 2, ...}."""
        return COUNTS

    @property
    @abc.abstractmethod
    def per_element(self) -> int:
        """P, the number of parameters of each element."""

    @property
    @final
    def params_size(self) -> int:
        """M P, the number of values that the decoder's network returns for each z."""
        return self.per_element * math.prod(self.event_shape)

    @abc.abstractmethod
    def rows(self, params: Tensor, log_size: float, size_scale: float) -> Distribution:
        """Return the distribution of rows, batch [...], event [M], from params [..., M, P]."""

    @abc.abstractmethod
    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return params [M, P] at which M elements have about the means `mean` [M], up to a common factor."""

    @classmethod
    @final
    def settings_from_sizes(cls, settings: Mapping[str, object], sizes: tuple[float, float]) -> dict[str, object]:
        """Return the settings, with those of the size that are None taken from the totals of the training rows.

        Args:
          settings: all settings of the family.
          sizes: the mean and the standard deviation of the logarithm of the totals.
        """
        log_size, scale = settings["log_size"], settings["size_scale"]
        return {
            **settings,
            "log_size": round(sizes[0], 4) if log_size is None else log_size,
            "size_scale": max(LEAST_SCALE, round(sizes[1], 4)) if scale is None else scale,
        }

    @final
    def __call__(self, params: Array) -> Distribution:
        """Return p(x|z), batch [...], event `event_shape`, from params [..., params_size]."""
        size, params = math.prod(self.event_shape), tf.convert_to_tensor(params)
        shape = tf.concat([tf.shape(params)[:-1], [size, self.per_element]], axis=0)
        log_size = math.log(size) if self.log_size is None else self.log_size
        each = tf.ensure_shape(tf.reshape(params, shape), [*params.shape[:-1], size, self.per_element])
        return self.rows(each, log_size, 1.0 if self.size_scale is None else self.size_scale)

    @final
    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return params [params_size] at which the elements have about the shares of the mean `data_mean`.

        The settings of the size decide the mean of the total.
        """
        return self.initial(np.ravel(data_mean).astype(np.float64)).astype(np.float32).ravel()


@final
@record
class SizeFactorPoisson(SizeFactorLikelihood):
    """Rows of counts whose totals vary, x_j ~ Poisson(l pi_j) with a random size l of each row and shares pi.

    log l ~ N(log_size, size_scale^2) and pi = softmax(logits). A row of given total is multinomial. z explains the
    shares of the elements, and l the total. `SizeFactorNegativeBinomial` suits counts that vary more.

    ```python
    likelihood = tv.likelihoods.SizeFactorPoisson((3,), log_size=np.log(100.0), size_scale=0.5)
    p = likelihood(likelihood.initial_params([1.0, 1.0, 2.0]))
    p.log_prob(np.float32([30, 24, 51]))  # a scalar, nats
    ```

    Args:
      event_shape: shape of one example, (M,).
      log_size: mean of log l. By default that of the logarithm of the training rows' totals. log M without data.
      size_scale: standard deviation of log l. By default from the totals of the training rows. 1 without data.

    Returns (when called on params [..., M]):
      `model.distributions.sizes.SizeFactorPoisson`, batch [...], event [M].
    """

    event_shape: Annotated[EventShape, pydantic.Field(max_length=1)]
    log_size: LogSize = field(default=None, kw_only=True)
    size_scale: Positive | None = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """1, the logit of a share."""
        return 1

    def rows(self, params: Tensor, log_size: float, size_scale: float) -> Distribution:
        """Return the distribution of rows, batch [...], event [M], from params [..., M, 1]."""
        from tfp_vae.model.distributions import sizes

        return sizes.SizeFactorPoisson(params[..., 0], log_size, size_scale)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the logarithm of the mean, at least 0.01."""
        return stack_params(np.log(np.maximum(mean, 1e-2)))


@final
@record
class SizeFactorNegativeBinomial(SizeFactorLikelihood):
    """Rows of counts whose totals vary, x_j ~ NegativeBinomial with a random size l of each row and shares pi.

    Given z and l, x_j has the mean m = l pi_j and the variance m + m^2 / r_j, with log l ~ N(log_size, size_scale^2),
    pi = softmax(logits), and r = 10^-6 + softplus(s) for each element and z. Use it for tables in which each row counts
    the same things with an effort that varies, such as the genes in a cell, the words in a document or the species in a
    sample. z explains the shares of the elements, and l the total.

    ```python
    likelihood = tv.likelihoods.SizeFactorNegativeBinomial((3,), log_size=np.log(100.0), size_scale=0.5)
    p = likelihood(likelihood.initial_params([1.0, 1.0, 2.0]))  # r = 2
    p.log_prob(np.float32([[30, 24, 51], [3, 2, 5]]))  # [2], nats
    ```

    Args:
      event_shape: shape of one example, (M,).
      log_size: mean of log l. By default that of the logarithm of the training rows' totals. log M without data.
      size_scale: standard deviation of log l. By default from the totals of the training rows. 1 without data.

    Returns (when called on params [..., 2 M]):
      `model.distributions.sizes.SizeFactorNegativeBinomial`, batch [...], event [M].

    References:
      Lopez et al. (2018), Deep generative modeling for single-cell transcriptomics. It samples l from a posterior of
        its own. Here the integral over l is computed.
    """

    event_shape: Annotated[EventShape, pydantic.Field(max_length=1)]
    log_size: LogSize = field(default=None, kw_only=True)
    size_scale: Positive | None = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """2, the logit of a share and a total count r."""
        return 2

    def rows(self, params: Tensor, log_size: float, size_scale: float) -> Distribution:
        """Return the distribution of rows, batch [...], event [M], from params [..., M, 2]."""
        from tfp_vae.model.distributions import sizes

        total_count = positive(params[..., 1], RATE_FLOOR)
        return sizes.SizeFactorNegativeBinomial(params[..., 0], total_count, log_size, size_scale)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the logarithm of the mean, at least 0.01, and a total count of 2."""
        return stack_params(np.log(np.maximum(mean, 1e-2)), inverse_softplus(2.0))
