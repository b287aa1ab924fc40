"""Discretized logistic likelihoods: a logistic rounded to L levels, and mixtures of K of them."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, final

import numpy as np
import pydantic

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import EventShape, inverse_softplus, positive, stack_params
from tfp_vae.model.likelihoods.levels import LevelLikelihood, Levels

__all__ = ["DiscretizedLogistic", "DiscretizedLogisticMixture"]


@final
@record
class DiscretizedLogistic(LevelLikelihood):
    """Independent logistic elements rounded to L levels, with the tails added to the first and the last level.

    p(x_i = k/(L-1) | z) = F(k + 1/2) - F(k - 1/2), where F is the distribution function of a logistic with loc_i and
    scale_i in units of levels. F(-1/2) is replaced by 0 and F(L - 1/2) by 1.

    The decoder gives loc and scale = 0.001 + softplus(s) on the scale of x, and both are multiplied by L - 1. The cost
    of a density does not depend on L, but the mean takes a loop over the L levels.

    ```python
    likelihood = tv.likelihoods.DiscretizedLogistic((8, 8, 1), levels=17)
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))
    p.log_prob(x)  # [16], nats, for x on {0, 1/16, ..., 1}
    ```

    Args:
      event_shape: shape of one example.
      levels: L. If None, it is counted in the training data.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `model.distributions.levels.OnGrid`, batch [...], event `event_shape`.

    References:
      Kingma et al. (2016), Improved variational inference with inverse autoregressive flow.
    """

    event_shape: EventShape
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """2, a loc and a scale."""
        return 2

    def elementwise(self, params: Tensor) -> Distribution:
        """Return distributions over the levels of params [..., *event_shape, 2]."""
        from tfp_vae.model.distributions.levels import OnGrid

        return OnGrid(rounded_logistic(params[..., 0], params[..., 1], self.count), self.count, params.dtype)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean and a scale of 0.1."""
        return stack_params(mean, inverse_softplus(0.1))


@final
@record
class DiscretizedLogisticMixture(LevelLikelihood):
    """Independent mixtures of K discretized logistics, p(x_i|z) = sum_j softmax(logits_i)_j P_j(x_i|z).

    Each P_j is a `DiscretizedLogistic`. An element can have several modes, at K times the cost of one logistic. Unlike
    in PixelCNN++, channels and neighbouring pixels are independent given z.

    Args:
      event_shape: shape of one example.
      components: K.
      levels: L. If None, it is counted in the training data.

    Returns (when called on params [..., 3 K prod(event_shape)]):
      `tfd.Independent` of `model.distributions.levels.OnGrid`, batch [...], event `event_shape`.

    References:
      Salimans et al. (2017), PixelCNN++: improving the PixelCNN with discretized logistic mixture likelihood and other
      modifications.
    """

    event_shape: EventShape
    components: Annotated[int, pydantic.Field(ge=1, le=1_000)] = field(default=5, kw_only=True)
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """3 K: a logit, a loc and a scale for each component."""
        return 3 * self.components

    def elementwise(self, params: Tensor) -> Distribution:
        """Return distributions over the levels of params [..., *event_shape, 3 K]."""
        from tfp_vae.model.distributions.levels import OnGrid

        logits, loc, s = tf.split(params, 3, axis=-1)
        components = rounded_logistic(loc, s, self.count)
        mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components)
        return OnGrid(mixture, self.count, params.dtype)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return components of equal weight, spread evenly within 0.3 of the mean, with scales of 0.1."""
        offsets = np.linspace(-0.3, 0.3, self.components)
        around = mean[:, np.newaxis] + offsets - offsets.mean()  # a single component lies at the mean
        return np.concatenate([np.zeros_like(around), around, np.full_like(around, inverse_softplus(0.1))], axis=-1)


def rounded_logistic(loc: Tensor, s: Tensor, count: int) -> Distribution:
    """Return a logistic rounded to the levels {0, ..., count - 1}, from the outputs loc and s of a decoder.

    Args:
      loc: on the scale of x, in [0, 1], [...].
      s: scale before its softplus, on the same scale, [...].
      count: L, the number of levels.
    """
    from tfp_vae.model.distributions.levels import RoundedLogistic

    return RoundedLogistic(loc * (count - 1), positive(s) * (count - 1), count)
