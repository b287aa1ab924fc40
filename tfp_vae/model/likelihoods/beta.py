"""The beta likelihood for x strictly between 0 and 1."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from tfp_vae.core.registry import record
from tfp_vae.core.supports import OPEN_UNIT, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood, EventShape, inverse_softplus, positive, stack_params

__all__ = ["Beta"]


@final
@record
class Beta(ElementwiseLikelihood):
    """Independent beta elements, p(x_i|z) = x_i^(a_i - 1) (1 - x_i)^(b_i - 1) / B(a_i, b_i), for x in (0, 1).

    a, b = 0.001 + softplus(.). If a or b is below 1, the density grows without limit towards that end. At 0 and 1
    themselves it is infinite or zero, so data that contain them are refused on load.

    Each density takes three log-gammas and their gradients, which makes it several times as expensive as a Normal.

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `model.distributions.beta.Beta`, batch [...], event `event_shape`.
    """

    discrete: ClassVar[bool] = False
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """(0, 1)."""
        return OPEN_UNIT

    @property
    def per_element(self) -> int:
        """2, the concentrations a and b."""
        return 2

    def elementwise(self, params: Tensor) -> Distribution:
        """Return beta distributions of params [..., *event_shape, 2]."""
        from tfp_vae.model.distributions import beta

        return beta.Beta(positive(params[..., 0]), positive(params[..., 1]))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return concentrations that sum to 2 and give the mean, clipped to [0.01, 0.99]."""
        mean = np.clip(mean, 1e-2, 1 - 1e-2)
        return stack_params(inverse_softplus(2 * mean), inverse_softplus(2 * (1 - mean)))
