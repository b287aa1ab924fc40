"""The Laplace likelihood for real x with outliers."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from tfp_vae.core.lazy import tfd
from tfp_vae.core.registry import record
from tfp_vae.core.supports import REAL, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood, EventShape, inverse_softplus, positive, stack_params

__all__ = ["Laplace"]


@final
@record
class Laplace(ElementwiseLikelihood):
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

    discrete: ClassVar[bool] = False
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """The real numbers."""
        return REAL

    @property
    def per_element(self) -> int:
        """2, a loc and a scale."""
        return 2

    def elementwise(self, params: Tensor) -> Distribution:
        """Return Laplace distributions of params [..., *event_shape, 2]."""
        elements: Distribution = tfd.Laplace(params[..., 0], positive(params[..., 1]))
        return elements

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean and a scale of 0.3."""
        return stack_params(mean, inverse_softplus(0.3))
