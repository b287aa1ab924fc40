"""The interface of random maps of scaled values: binarizations, and the noise of dequantizations."""

from __future__ import annotations

import abc
from typing import ClassVar

import numpy as np

from tfp_vae.core.seeds import Seed
from tfp_vae.core.supports import Support
from tfp_vae.core.types import Tensor

__all__ = ["Transform"]


class Transform(abc.ABC):
    """A map of training data and of held-out data, once or in every step.

    draws: whether the map is random, so that equal examples may differ afterwards.
    """

    draws: ClassVar[bool]

    @abc.abstractmethod
    def takes(self, support: Support) -> Support:
        """Return the values that data may have before the map for a likelihood of `support`.

        Args:
          support: the values that the likelihood has a probability or a density for.

        Raises:
          UsageError: the likelihood cannot use the mapped data.
        """

    @abc.abstractmethod
    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the training data x [N, ...] to keep in memory."""

    @abc.abstractmethod
    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the held-out data x [N, ...], mapped once. Mapping them twice with one seed changes nothing."""

    def batch(self, x: Tensor, seed: Seed) -> Tensor:
        """Return a training batch x [B, ...] for one step.

        Args:
          x: examples that `training` returned.
          seed: a stateless seed, folded from the run's seed and the step.
        """
        del seed
        return x
