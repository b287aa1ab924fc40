"""The interface of observation models, and the maps between a network's output and the parameters of a density."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import numpy as np
import pydantic
from numpy.typing import ArrayLike

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.supports import Support
from tfp_vae.core.types import Array, Distribution, Tensor, Variable

if TYPE_CHECKING:
    from tfp_vae.model.distributions.points import Points

__all__ = [
    "SCALE_FLOOR",
    "ElementwiseLikelihood",
    "EventShape",
    "Likelihood",
    "inverse_softplus",
    "logit",
    "positive",
    "stack_params",
]

EventShape: TypeAlias = tuple[pydantic.PositiveInt, ...]
"""Shape of one example, such as (28, 28, 1)."""

SCALE_FLOOR = 1e-3
"""Smallest scale that a decoder can give. It limits how much a constant pixel can add to log p(x)."""


@check_keywords
class Likelihood(abc.ABC):
    """An observation model: a value that turns a decoder's output into p(x|z).

    Most models have the same density for every element of an example. `ElementwiseLikelihood` is their base class, and
    `Columns` gives each column of a table a model of its own. Settings outside their limits raise `UsageError`, which
    is a ValueError.
    """

    discrete: ClassVar[bool]
    """Whether p(x|z) is a probability, so that bits per dimension are defined. Otherwise it is a density."""

    allows_missing: ClassVar[bool] = False
    """Whether x may have missing cells, which are NaN. The density is then that of the observed cells."""

    event_shape: tuple[int, ...]

    @property
    @abc.abstractmethod
    def support(self) -> Support:
        """The values that have a probability or a density under this model."""

    @property
    def unbounded_at(self) -> Support | None:
        """The values at which log p(x|z) can grow without limit, or None if it is bounded everywhere.

        A probability is at most 1, but a narrow density can be arbitrarily high. If the data have few distinct values,
        the model can put a spike on each of them. The height of such a spike only reflects the floor of the scales.
        """
        return None if self.discrete else self.support

    @property
    def learned(self) -> tuple[Variable, ...]:
        """Variables that the family learns in addition to the network.

        They are created once and belong to this value, so decoders that are given the same value share them. To learn
        separate variables, give each decoder a value of its own.
        """
        return ()

    @classmethod
    def settings_from(cls, settings: Mapping[str, object], x: np.ndarray) -> dict[str, object]:
        """Return the settings, with those that are None chosen from the data if the family can do so.

        Args:
          settings: all settings of the family.
          x: the distinct values of the training data on the scale of the likelihood, [n, 1]. If the data have too many
            distinct values to list, it is one NaN.
        """
        del x
        return dict(settings)

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """The number of values that the decoder's network returns for each z."""

    def change_of_units(self, log_scale: float, *, binarized: bool) -> float:
        """Return how many nats the log-density of the data lies below that of the scaled values.

        It is 0 for probabilities, and for binarized values, because zeros and ones have no units.

        Args:
          log_scale: see `Scaling.log_scale`.
          binarized: whether the values were binarized after they were scaled.
        """
        return 0.0 if self.discrete or binarized else log_scale

    @abc.abstractmethod
    def __call__(self, params: Array) -> Distribution:
        """Return p(x|z), batch [...], event `event_shape`, from params [..., params_size].

        Args:
          params: output of the decoder's network, with any leading axes.

        Returns:
          A `tfd.Distribution`. Its `log_prob` is summed over the event, in nats, and its `mean` is E[x|z].
        """

    @abc.abstractmethod
    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return params [params_size] at which p(x|z) has about the mean `data_mean` for every z.

        Used as the last bias of a decoder, they make training start from a model in which x does not depend on z. This
        saves the epochs that a decoder would need to learn the mean.

        Args:
          data_mean: mean of the training data, [*event_shape].
        """


@check_keywords
class ElementwiseLikelihood(Likelihood):
    """A likelihood with the same density for every element, log p(x|z) = sum_i log p(x_i|z), in nats.

    The decoder's network returns `per_element` numbers for each of the M elements of the event, with the numbers of one
    element next to each other. A new model is a class with the decorator `core.registry.record` that defines `support`,
    `per_element`, `elementwise` and `initial`, and an entry in `LIKELIHOODS`.
    """

    has_points: ClassVar[bool] = False
    """Whether `points` is defined, so that the probability of a missing cell may depend on its value."""

    @property
    @abc.abstractmethod
    def per_element(self) -> int:
        """P, the number of parameters of each element of the event."""

    @abc.abstractmethod
    def elementwise(self, params: Tensor) -> Distribution:
        """Return the distributions of the elements, batch [..., *event_shape], from params [..., *event_shape, P]."""

    @abc.abstractmethod
    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return params [M, P] at which M elements have about the means `mean` [M]."""

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return params [M, P] at which each element has about the distribution of its column of x.

        By default only the means agree.

        Args:
          x: training examples, [N, M], with NaN for missing cells. Each column has an observed one.
        """
        return self.initial(np.nanmean(x, axis=0))

    def points(self, elements: Distribution) -> Points:
        """Return points that represent each element, for integrals over a missing one.

        Args:
          elements: from `elementwise`, batch [..., n].

        Raises:
          NotImplementedError: `has_points` is false.
        """
        raise NotImplementedError(f"{type(self).__name__} has no points")

    @property
    def params_size(self) -> int:
        """M P, the number of values that the decoder's network returns for each z."""
        return self.per_element * math.prod(self.event_shape)

    def __call__(self, params: Array) -> Distribution:
        """Return p(x|z), batch [...], event `event_shape`, from params [..., params_size]."""
        shape = tf.concat([tf.shape(params)[:-1], self.event_shape, [self.per_element]], axis=0)
        return self.joint(self.elementwise(tf.reshape(params, shape)))

    def joint(self, elements: Distribution) -> Distribution:
        """Return the distribution of the event, batch [...], from those of its independent elements."""
        p: Distribution = tfd.Independent(elements, reinterpreted_batch_ndims=len(self.event_shape))
        return p

    @property
    def features_per_element(self) -> int:
        """F, the number of `features` of each element."""
        return 1

    def features(self, x: Tensor) -> Tensor:
        """Return numbers that suit the input of a network, [..., F], for elements x [...] of the support."""
        return x[..., tf.newaxis]

    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return params [params_size] at which p(x|z) has about the mean `data_mean` for every z."""
        return self.initial(np.ravel(data_mean).astype(np.float64)).astype(np.float32).ravel()


def positive(s: Tensor, floor: float = SCALE_FLOOR) -> Tensor:
    """Return floor + softplus(s), a positive parameter from an unbounded output of a network, of the same shape."""
    return floor + tf.nn.softplus(s)


def inverse_softplus(value: np.ndarray | float) -> np.ndarray:
    """Return log(exp(v) - 1) for v > 0, in a form that does not overflow for large v."""
    return np.asarray(value + np.log(-np.expm1(np.negative(value))))


def logit(mean: np.ndarray) -> np.ndarray:
    """Return log(m / (1 - m)) with m clipped to [0.001, 0.999], because no pixel is certain.

    The clipped logits are within 6.9 of zero, where the sigmoid still has a useful gradient.
    """
    mean = np.clip(mean, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(mean / (1 - mean)))


def stack_params(*columns: np.ndarray | float) -> np.ndarray:
    """Return P columns, each of shape [M] or a constant, as one array [M, P]."""
    return np.stack(np.broadcast_arrays(*columns), axis=-1)
