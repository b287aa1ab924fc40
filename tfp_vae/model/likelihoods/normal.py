"""Normal likelihoods: of real x, with a scale that is fixed, shared or given by the decoder, and of log x."""

from __future__ import annotations

import functools
import math
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import Positive, record
from tfp_vae.core.supports import POSITIVE, REAL, Support
from tfp_vae.core.types import Distribution, FloatType, Tensor, Variable
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

__all__ = ["LogNormal", "Normal"]


@final
@record
class Normal(ElementwiseLikelihood):
    """Independent Normal elements, p(x|z) = prod_i N(x_i; loc_i, scale_i^2), for real x.

    If the scale is fixed, the distortion is |x - loc|^2 / (2 scale^2) + M log(scale sqrt(2 pi)). The scale then decides
    how much a squared error weighs against the rate, while a learned scale finds this balance itself. A learned scale
    is at least `floor`, so a constant element gains at most -log(floor) - 0.9 nats.

    Because it is a density, log p(x) depends on the units of the data. Compare it only between models of the same
    scaled data.

    ```python
    likelihood = tv.likelihoods.Normal((3,), scale="per-element")
    p = likelihood(np.zeros([16, likelihood.params_size], np.float32))  # loc 0, scale 0.69
    p.log_prob(np.zeros([16, 3], np.float32))  # [16], nats
    ```

    Args:
      event_shape: shape of one example.
      dtype: type of the shared scale.
      scale: a number fixes the scale. `shared` learns one scale for all elements and all z. With `per-element`, the
        decoder gives one for each element. A learned scale starts at 0.3 above its floor, which suits data of about
        unit spread, so standardize other data first.
      floor: the smallest scale that can be learned. A larger one keeps the density from narrowing around values that
        occur often, such as whole numbers.

    Returns (when called on params [..., P prod(event_shape)], with P = 2 for `per-element` and P = 1 otherwise):
      `tfd.Independent` of `tfd.Normal`, batch [...], event `event_shape`.

    References:
      Rybkin, Daniilidis and Levine (2021), Simple and effective VAE training with calibrated decoders.
    """

    discrete: ClassVar[bool] = False
    has_points: ClassVar[bool] = True
    event_shape: EventShape
    dtype: FloatType = field(default="float32", repr=False)
    scale: Positive | Literal["shared", "per-element"] = field(default="shared", kw_only=True)
    floor: Positive = field(default=SCALE_FLOOR, kw_only=True)

    @property
    def support(self) -> Support:
        """The real numbers."""
        return REAL

    @property
    def unbounded_at(self) -> Support | None:
        """The real numbers, or None if the scale is fixed."""
        return self.support if isinstance(self.scale, str) else None

    @property
    def per_element(self) -> int:
        """2 with `per-element`, a loc and a scale. Otherwise 1, a loc."""
        return 2 if self.scale == "per-element" else 1

    @functools.cached_property
    def learned(self) -> tuple[Variable, ...]:
        """The logarithm of the shared scale, which starts at log 0.3. Empty for other scales."""
        return (tf.Variable(math.log(0.3), dtype=self.dtype, name="log_scale"),) if self.scale == "shared" else ()

    def elementwise(self, params: Tensor) -> Distribution:
        """Return Normal distributions of params [..., *event_shape, P]."""
        if self.scale == "per-element":
            scale = positive(params[..., 1], self.floor)
        elif self.scale == "shared":
            scale = self.floor + tf.cast(tf.exp(self.learned[0]), params.dtype)
        else:
            scale = tf.constant(self.scale, params.dtype)
        elements: Distribution = tfd.Normal(params[..., 0], scale)
        return elements

    def points(self, elements: Distribution) -> Points:
        """Return equidistant points, up to six scales from loc."""
        from tfp_vae.model.distributions import points

        return points.normal_points(elements.parameters["loc"], elements.parameters["scale"])

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean, and a scale of 0.3 if the decoder gives it."""
        return stack_params(*(mean, inverse_softplus(0.3))[: self.per_element])

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return the mean, and the standard deviation of each column if the decoder gives the scale."""
        return stack_params(*(np.nanmean(x, axis=0), scale_of(x, self.floor))[: self.per_element])


@final
@record
class LogNormal(ElementwiseLikelihood):
    """Independent log-normal elements, log x_i ~ N(loc_i, scale_i^2) given z, for x above 0.

    Prices, weights and durations often vary by factors, not by differences. The density is that of x itself, so it
    compares with the density of any other likelihood of the same x. The median is exp(loc).

    scale = 0.001 + softplus(s), one for each element and z. The scales start at 0.5. The size of x does not matter,
    because loc is a logarithm.

    ```python
    likelihood = tv.likelihoods.LogNormal((3,))
    p = likelihood(likelihood.initial_params([0.1, 1.0, 400.0]))
    p.mean()  # [0.1, 1, 400]
    ```

    Args:
      event_shape: shape of one example.

    Returns (when called on params [..., 2 prod(event_shape)]):
      `tfd.Independent` of `tfd.LogNormal`, batch [...], event `event_shape`.
    """

    discrete: ClassVar[bool] = False
    has_points: ClassVar[bool] = True
    event_shape: EventShape

    @property
    def support(self) -> Support:
        """(0, inf)."""
        return POSITIVE

    @property
    def per_element(self) -> int:
        """2, a loc and a scale of log x."""
        return 2

    def elementwise(self, params: Tensor) -> Distribution:
        """Return log-normal distributions of params [..., *event_shape, 2]."""
        elements: Distribution = tfd.LogNormal(params[..., 0], positive(params[..., 1]))
        return elements

    def points(self, elements: Distribution) -> Points:
        """Return points whose logarithms are equidistant, up to six scales from loc."""
        from tfp_vae.model.distributions import points

        return points.normal_points(elements.parameters["loc"], elements.parameters["scale"], is_log=True)

    def features(self, x: Tensor) -> Tensor:
        """Return log x."""
        return tf.math.log(tf.maximum(x, 1e-12))[..., tf.newaxis]

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return a scale of 0.5 and the loc that gives the mean, at least 0.01."""
        scale = 0.5
        return stack_params(np.log(np.maximum(mean, 1e-2)) - scale**2 / 2, inverse_softplus(scale - SCALE_FLOOR))

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return the mean and the standard deviation of the logarithm of each column."""
        return stack_params(np.nanmean(np.log(x), axis=0), scale_of(np.log(x)))


def scale_of(x: np.ndarray, floor: float = SCALE_FLOOR) -> np.ndarray:
    """Return the output of a decoder that gives the standard deviation of each column of x [N, M].

    The scale is at least 0.009 above the floor, because the gradient vanishes at it.
    """
    return inverse_softplus(np.maximum(np.nanstd(x, axis=0) - floor, 9e-3))
