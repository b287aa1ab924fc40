"""Bernoulli likelihoods: the discrete one for binary x, and the continuous one for x in [0, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from tfp_vae.core.lazy import tfd
from tfp_vae.core.registry import record
from tfp_vae.core.supports import BINARY, UNIT, Support
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood, EventShape, logit, stack_params

if TYPE_CHECKING:
    from tfp_vae.model.distributions.points import Points

__all__ = ["Bernoulli", "ContinuousBernoulli"]


@final
@record
class Bernoulli(ElementwiseLikelihood):
    """Independent Bernoulli elements, p(x|z) = prod_i Bernoulli(x_i; sigmoid(logits_i)), for binary x.

    Grey values must be binarized first (see `tv.data.transforms`). Training on them is common, but the
    formula is then neither a probability nor a density. The density costs one exponential per element.

    ```python
    likelihood = tv.likelihoods.Bernoulli(event_shape=(8, 8, 1))
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))  # every probability is 1/2
    p.log_prob(x)  # [16], each -64 log 2
    ```

    Args:
      event_shape: shape of one example, such as (28, 28, 1).

    Returns (when called on the logits [..., prod(event_shape)]):
      `model.distributions.bernoulli.IndependentBernoulli`, batch [...], event `event_shape`. It equals
      `tfd.Independent(tfd.Bernoulli(logits))` but has a faster density. The density does not check that x is binary.

    References:
      Kingma and Welling (2014), Auto-encoding variational Bayes.
    """

    discrete: ClassVar[bool] = True
    has_points: ClassVar[bool] = True
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """{0, 1}."""
        return BINARY

    @property
    def per_element(self) -> int:
        """1, a logit."""
        return 1

    def elementwise(self, params: Tensor) -> Distribution:
        """Return Bernoulli distributions with logits [..., *event_shape, 1]."""
        elements: Distribution = tfd.Bernoulli(logits=params[..., 0], dtype=params.dtype)
        return elements

    def points(self, elements: Distribution) -> Points:
        """Return 0 and 1."""
        from tfp_vae.model.distributions import points

        return points.binary_points(elements)

    def joint(self, elements: Distribution) -> Distribution:
        """Return the distribution of the event, whose density takes one exponential per element."""
        from tfp_vae.model.distributions.bernoulli import IndependentBernoulli

        return IndependentBernoulli(elements, len(self.event_shape))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return logit(mean)."""
        return stack_params(logit(mean))


@final
@record
class ContinuousBernoulli(ElementwiseLikelihood):
    """Independent continuous Bernoulli elements, for x in [0, 1].

    p(x_i|z) = C(l_i) l_i^x_i (1 - l_i)^(1 - x_i),  l = sigmoid(logits).

    C(l) = 2 artanh(1 - 2 l) / (1 - 2 l), and 2 at l = 1/2, near which TFP uses a series. Without this normalizer the
    formula would be the Bernoulli loss of grey values, which is not a density.

    E[x_i|z] is closer to 1/2 than l_i, so even a confident decoder gives greyish means. Because it is a density, log
    p(x) of mostly black and white images is large and positive.

    Args:
      event_shape: shape of one example.

    Returns (when called on the logits [..., prod(event_shape)]):
      `tfd.Independent` of `tfd.ContinuousBernoulli`, batch [...], event `event_shape`.

    References:
      Loaiza-Ganem and Cunningham (2019), The continuous Bernoulli: fixing a pervasive error in variational
      autoencoders.
    """

    discrete: ClassVar[bool] = False
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """[0, 1]."""
        return UNIT

    @property
    def unbounded_at(self) -> Support:
        """{0, 1}, where the density grows slowly, as log |logit|."""
        return BINARY

    @property
    def per_element(self) -> int:
        """1, a logit."""
        return 1

    def elementwise(self, params: Tensor) -> Distribution:
        """Return continuous Bernoulli distributions with logits [..., *event_shape, 1]."""
        elements: Distribution = tfd.ContinuousBernoulli(logits=params[..., 0], dtype=params.dtype)
        return elements

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return logit(mean). The resulting mean is on the same side of 1/2, but closer to it."""
        return stack_params(logit(mean))
