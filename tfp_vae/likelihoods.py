"""Observation models over the data x: parameters -> p(x|z), a `tfd.Distribution`."""

from __future__ import annotations

import abc
import math
from typing import Any, ClassVar, final

import numpy as np
import pydantic
from numpy.typing import ArrayLike
from pydantic.dataclasses import dataclass

from tfp_vae._lazy import tf, tfd
from tfp_vae.kinds import Kind
from tfp_vae.members import Table

__all__ = ["LIKELIHOODS", "Bernoulli", "Likelihood"]


class Likelihood(abc.ABC):
    """An observation model: a value that turns a decoder's output into p(x|z)."""

    accepts: ClassVar[frozenset[Kind]]
    """The kinds of data that have a density under this model."""

    event_shape: tuple[int, ...]

    @property
    @abc.abstractmethod
    def params_size(self) -> int:
        """How many numbers the decoder's network gives for each z."""

    @abc.abstractmethod
    def __call__(self, params: Any) -> Any:
        """Return p(x|z), batch [...], event `event_shape`, from params [..., params_size]."""

    @abc.abstractmethod
    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return the params [params_size] at which p(x|z) has the mean `data_mean`, `event_shape`, for every z."""


@final
@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Independent Bernoulli pixels, p(x|z) = prod_i Bernoulli(x_i; sigmoid(logits_i)), for binary x.

    Args:
      event_shape: shape of one example, such as (28, 28, 1).

    Returns (when called on params [..., prod(event_shape)], the logits):
      `tfd.Independent(tfd.Bernoulli(logits))`, batch [...], event `event_shape`; `log_prob` in nats, summed over
      the event. Valid for x in {0, 1} only: TFP computes a number for other x, but no log-probability.
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({Kind.BINARY})
    event_shape: tuple[pydantic.PositiveInt, ...]

    @property
    def params_size(self) -> int:
        """One logit for each element of the event."""
        return math.prod(self.event_shape)

    def __call__(self, params: Any) -> Any:
        """Return p(x|z), batch [...], event `event_shape`, from logits [..., params_size]."""
        logits = tf.reshape(params, tf.concat([tf.shape(params)[:-1], self.event_shape], axis=0))
        pixels = tfd.Bernoulli(logits=logits, dtype=params.dtype)
        return tfd.Independent(pixels, reinterpreted_batch_ndims=len(self.event_shape))

    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return logit(data_mean), flat; means are kept within [0.001, 0.999], as no pixel is certain."""
        mean = np.clip(np.ravel(data_mean).astype(np.float64), 1e-3, 1 - 1e-3)
        return np.log(mean / (1 - mean)).astype(np.float32)


LIKELIHOODS = Table("likelihood", {"bernoulli": Bernoulli})
