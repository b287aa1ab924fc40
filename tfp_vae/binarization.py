"""Binarization: how grey values in [0, 1] become the binary data that a Bernoulli likelihood needs."""

from __future__ import annotations

import abc
from typing import Any, final

import numpy as np
from pydantic.dataclasses import dataclass

from tfp_vae._lazy import tf
from tfp_vae.errors import UsageError
from tfp_vae.members import Table
from tfp_vae.noise import uniform
from tfp_vae.seeds import Seed
from tfp_vae.supports import BINARY, UNIT, Support

__all__ = ["BINARIZATIONS", "Binarization", "Dynamic", "Static", "Threshold", "Unchanged"]


class Binarization(abc.ABC):
    """What is done to training data and to held-out data at load, and to each batch in every step."""

    @abc.abstractmethod
    def takes(self, support: Support) -> Support:
        """Return the values it makes fit for a likelihood of `support`."""

    @abc.abstractmethod
    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the training data x [N, ...] as it is kept in memory."""

    @abc.abstractmethod
    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the held-out data x [N, ...], drawn once."""

    def batch(self, x: Any, seed: Seed) -> Any:
        """Return a training batch x [B, ...] as a step sees it."""
        del seed
        return x


def _bernoulli(x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return (draw.random(x.shape, np.float32) < x).astype(x.dtype)


class _ToBinary(Binarization):
    """What the binarizations that do change the data have in common."""

    @final
    def takes(self, support: Support) -> Support:
        """Return [0, 1], if the likelihood is one of binary data, or has a density at 0 and 1."""
        if not support.contains(np.array([0.0, 1.0])).all() or (support.discrete and support is not BINARY):
            raise UsageError(
                f"binarized data is of no use to a likelihood on {support.text}; choose --binarization none."
            )
        return UNIT


@final
@dataclass(frozen=True)
class Dynamic(_ToBinary):
    """Each value is the probability of a 1, drawn anew in every step; held-out data is drawn once.

    References:
      Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks.
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x as it is."""
        return x

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return one draw."""
        return _bernoulli(x, draw)

    def batch(self, x: Any, seed: Seed) -> Any:
        """Return a draw of the batch."""
        return tf.cast(uniform(tf.shape(x), seed, x.dtype) < x, x.dtype)


@final
@dataclass(frozen=True)
class Static(_ToBinary):
    """Each value is the probability of a 1, drawn once."""

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return one draw."""
        return _bernoulli(x, draw)

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return one draw."""
        return _bernoulli(x, draw)


@final
@dataclass(frozen=True)
class Threshold(_ToBinary):
    """Values of one half and more become 1, others 0."""

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return 1 where x >= 0.5, else 0."""
        return (x >= 0.5).astype(x.dtype)

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return 1 where x >= 0.5, else 0."""
        return self.training(x, draw)


@final
@dataclass(frozen=True)
class Unchanged(Binarization):
    """The data as it is."""

    def takes(self, support: Support) -> Support:
        """Return what the likelihood takes."""
        return support

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x as it is."""
        return x

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x as it is."""
        return x


BINARIZATIONS = Table("binarization", {"dynamic": Dynamic, "static": Static, "threshold": Threshold, "none": Unchanged})
