"""Likelihoods for real x with outliers: Laplace and Student's t."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, final

import numpy as np
import pydantic

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import Positive, check_keywords, record
from tfp_vae.core.supports import REAL, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import (
    SCALE_FLOOR,
    ElementwiseLikelihood,
    EventShape,
    inverse_softplus,
    positive,
    stack_params,
)

if TYPE_CHECKING:
    from tfp_vae.model.distributions.points import Points

__all__ = ["Laplace", "OutlierLikelihood", "StudentT"]


@check_keywords
class OutlierLikelihood(ElementwiseLikelihood):
    """A likelihood for real x with outliers, with a loc and a scale for each element and z.

    scale = 0.001 + softplus(s). The scales start at 0.3, which suits data of about unit spread.
    """

    discrete: ClassVar[bool] = False
    has_points: ClassVar[bool] = True

    @property
    @final
    def support(self) -> Support:
        """The real numbers."""
        return REAL

    @property
    @final
    def per_element(self) -> int:
        """2, a loc and a scale."""
        return 2

    @final
    def points(self, elements: Distribution) -> Points:
        """Return points that reach 200 scales from loc."""
        from tfp_vae.model.distributions import points

        return points.wide_points(elements, elements.parameters["loc"], elements.parameters["scale"])

    @final
    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean and a scale of 0.3."""
        return stack_params(mean, inverse_softplus(0.3))


@final
@record
class Laplace(OutlierLikelihood):
    """Independent Laplace elements, p(x_i|z) = exp(-|x_i - loc_i| / scale_i) / (2 scale_i), for real x with outliers.

    The cost of an outlier grows as |x - loc| and not as its square. The best loc is therefore the conditional median,
    while that of a Normal is the conditional mean. scale = 0.001 + softplus(s), one for each element and z. The scales
    start at 0.3, which suits data of about unit spread, so standardize other data first.

    ```python
    likelihood = tv.likelihoods.Laplace((3,))
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))  # loc 0, scale 0.69
    p.log_prob(np.full([16, 3], 40.0, np.float32))  # [16], about -174 nats
    ```

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `tfd.Laplace`, batch [...], event `event_shape`.
    """

    event_shape: EventShape

    def elementwise(self, params: Tensor) -> Distribution:
        """Return Laplace distributions of params [..., *event_shape, 2]."""
        elements: Distribution = tfd.Laplace(params[..., 0], positive(params[..., 1]))
        return elements


@final
@record
class StudentT(OutlierLikelihood):
    """Independent elements with Student's t, for real x with outliers that are far away.

    p(x_i|z) is proportional to (1 + y_i^2 / df)^(-(df + 1) / 2) / scale_i,  y_i = (x_i - loc_i) / scale_i.

    The cost of an outlier grows as log |x - loc|, so one wrong cell does not decide where the others lie. It approaches
    a Normal as df grows. scale = floor + softplus(s), one for each element and z. The scales start at 0.3 above the
    floor, which suits data of about unit spread, so standardize other data first.

    ```python
    likelihood = tv.likelihoods.StudentT((3,), df=3)
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))  # loc 0, scale 0.69
    p.log_prob(np.full([16, 3], 40.0, np.float32))  # [16], about -42 nats
    ```

    Args:
      event_shape: shape of one example.
      df: degrees of freedom, above 1. The variance is infinite up to 2.
      floor: the smallest scale. A larger one keeps the density from narrowing around values that occur often.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `tfd.StudentT`, batch [...], event `event_shape`.
    """

    event_shape: EventShape
    df: Annotated[float, pydantic.Field(gt=1, le=1_000)] = field(default=5.0, kw_only=True)
    floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    def elementwise(self, params: Tensor) -> Distribution:
        """Return Student's t distributions of params [..., *event_shape, 2]."""
        from tfp_vae.model.distributions.student import StudentT as Elements

        df = tf.constant(self.df, params.dtype)
        elements: Distribution = Elements(df, params[..., 0], positive(params[..., 1], self.floor))
        return elements
