"""Types of the arguments and results of this package, for editors and type checkers.

Tensors are `Any` at run time, so reading them imports neither TensorFlow nor TFP. `Distribution` is a protocol, so type
checkers know the results of its methods, which TFP does not annotate.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np

__all__ = ["Array", "Bijector", "DType", "Distribution", "FloatType", "Seed", "Tensor", "TensorShape", "Variable"]

if TYPE_CHECKING:
    from tensorflow import DType, Tensor, TensorShape, Variable
    from tensorflow_probability.python.bijectors import Bijector
else:
    DType = Tensor = TensorShape = Variable = Bijector = Any

if TYPE_CHECKING:
    Array: TypeAlias = np.ndarray | Tensor
else:
    Array = Any
"""An array or a tensor. Functions accept either."""

Seed: TypeAlias = "tuple[int, int] | Tensor"
"""A stateless seed: two integers."""

FloatType: TypeAlias = Literal["float32", "float64"]
"""The name of the type of learned variables."""


class Distribution(Protocol):
    """A distribution of TFP, `tfd.Distribution`, with the types of its most common methods.

    The batch shape indexes independent distributions, and the event shape is that of one value. Log-probabilities are
    in nats and summed over the event.
    """

    @property
    @abc.abstractmethod
    def dtype(self) -> DType:
        """The type of its values."""

    @property
    @abc.abstractmethod
    def reparameterization_type(self) -> object:
        """Whether its samples are differentiable functions of its parameters, `tfd.FULLY_REPARAMETERIZED` if so."""

    @property
    @abc.abstractmethod
    def parameters(self) -> Mapping[str, Any]:
        """The arguments of its constructor, by name."""

    @property
    @abc.abstractmethod
    def batch_shape(self) -> TensorShape:
        """The shape of the batch of distributions."""

    @property
    @abc.abstractmethod
    def event_shape(self) -> TensorShape:
        """The shape of one value."""

    @abc.abstractmethod
    def batch_shape_tensor(self) -> Tensor:
        """Return the batch shape as a tensor, for shapes that are not known statically."""

    @abc.abstractmethod
    def event_shape_tensor(self) -> Tensor:
        """Return the event shape as a tensor."""

    @abc.abstractmethod
    def sample(self, sample_shape: int | Sequence[int] | Tensor = (), seed: Seed | None = None) -> Tensor:
        """Return samples, [*sample_shape, *batch_shape, *event_shape]."""

    @abc.abstractmethod
    def log_prob(self, value: Array) -> Tensor:
        """Return the log-probability or log-density of a value, in nats."""

    @abc.abstractmethod
    def prob(self, value: Array) -> Tensor:
        """Return the probability or density of a value."""

    @abc.abstractmethod
    def mean(self) -> Tensor:
        """Return the mean, [*batch_shape, *event_shape]."""

    @abc.abstractmethod
    def mode(self) -> Tensor:
        """Return the mode, [*batch_shape, *event_shape]."""

    @abc.abstractmethod
    def variance(self) -> Tensor:
        """Return the variance of each element, [*batch_shape, *event_shape]."""

    @abc.abstractmethod
    def stddev(self) -> Tensor:
        """Return the standard deviation of each element, [*batch_shape, *event_shape]."""

    @abc.abstractmethod
    def covariance(self) -> Tensor:
        """Return the covariance of a vector, [*batch_shape, D, D]."""

    @abc.abstractmethod
    def entropy(self) -> Tensor:
        """Return the entropy, [*batch_shape], in nats."""

    @abc.abstractmethod
    def kl_divergence(self, other: Distribution) -> Tensor:
        """Return KL(self || other), [*batch_shape], in nats. TFP raises NotImplementedError without a closed form."""
