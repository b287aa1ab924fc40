"""Binarization: how grey values in [0, 1] become the binary data that a Bernoulli likelihood needs.

Training data and held-out data are treated apart: what is drawn of the former depends on the run's seed, of the latter
on one that all runs share, so that figures of different runs compare. Only `Dynamic` draws within the compiled step;
the others are done with before training begins.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import uniform
from tfp_vae.core.registry import Table, record
from tfp_vae.core.seeds import Seed
from tfp_vae.core.supports import BINARY, UNIT, Support

__all__ = ["BINARIZATIONS", "Binarization", "Dynamic", "Static", "Threshold", "Unchanged"]


class Binarization(abc.ABC):
    """What is done to training data and to held-out data at load, and to each batch in every step.

    draws: whether it draws what becomes of values between 0 and 1, so that equal examples may come to differ.
    """

    draws: ClassVar[bool]

    @abc.abstractmethod
    def takes(self, support: Support) -> Support:
        """Return the values it makes fit for a likelihood of `support`.

        Args:
          support: the values that the likelihood has a probability for.

        Returns:
          The values that data may have before this.

        Raises:
          UsageError: a likelihood to which binary data are of no use.
        """

    @abc.abstractmethod
    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the training data x [N, ...] as it is kept in memory."""

    @abc.abstractmethod
    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the held-out data x [N, ...], drawn once."""

    def batch(self, x: Any, seed: Seed) -> Any:
        """Return a training batch x [B, ...] as a step sees it.

        Args:
          x: as `training` left it.
          seed: a stateless seed, folded from the run's seed and the step.
        """
        del seed
        return x


def _bernoulli(x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Return 1 with probability x, else 0, elementwise and in the type of x [N, ...]."""
    return (draw.random(x.shape, np.float32) < x).astype(x.dtype)


class _ToBinary(Binarization):
    """What the binarizations that do change the data have in common."""

    @final
    def takes(self, support: Support) -> Support:
        """Return [0, 1], if the likelihood is one of binary data, or has a density at 0 and 1."""
        if not support.contains(np.array([0.0, 1.0])).all() or (support.discrete and support is not BINARY):
            raise UsageError(f"A likelihood on {support.text} cannot use binarized data. Choose `binarization=none`.")
        return UNIT


@final
@record
class Dynamic(_ToBinary):
    """Each value is the probability of a 1, drawn anew in every step; held-out data is drawn once.

    What is maximized is the expected bound E_b[log p(b)] over b_i ~ Bernoulli(x_i): the grey values stay in play, and
    noise that is new at every step keeps a decoder from learning single pixels by heart. Figures do not compare with
    those of static binarization.

    ```python
    batch = tv.data.transforms.binarization.Dynamic().batch(np.full([2, 3], 0.5, np.float32), seed=(0, 0))  # [2, 3]
    ```

    References:
      Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks.
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """

    draws: ClassVar[bool] = True

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
@record
class Static(_ToBinary):
    """Each value is the probability of a 1, drawn once.

    As in the fixed binarized MNIST of Larochelle and Murray, but drawn from the run's seed: with few examples it
    overfits sooner than `Dynamic`.

    References:
      Larochelle and Murray (2011), The neural autoregressive distribution estimator.
    """

    draws: ClassVar[bool] = True

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return one draw."""
        return _bernoulli(x, draw)

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return one draw."""
        return _bernoulli(x, draw)


@final
@record
class Threshold(_ToBinary):
    """Values of one half and more become 1, others 0.

    Nothing is drawn: strokes come out thinner or thicker than a draw's, and log p(x) higher, as edges have no noise.
    Figures compare only with those of the same threshold.
    """

    draws: ClassVar[bool] = False

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return 1 where x >= 0.5, else 0."""
        return (x >= 0.5).astype(x.dtype)

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return 1 where x >= 0.5, else 0."""
        return self.training(x, draw)


@final
@record
class Unchanged(Binarization):
    """The data as it is.

    For likelihoods of grey values, counts, real values, or data that are binary already.
    """

    draws: ClassVar[bool] = False

    def takes(self, support: Support) -> Support:
        """Return what the likelihood takes."""
        return support

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x as it is."""
        return x

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x as it is."""
        return x


BINARIZATIONS: Table[Binarization] = Table(
    "binarization", {"dynamic": Dynamic, "static": Static, "threshold": Threshold, "none": Unchanged}, base=Binarization
)
