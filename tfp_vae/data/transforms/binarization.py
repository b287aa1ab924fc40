"""Binarizations: ways to turn grey values in [0, 1] into the binary data that a Bernoulli likelihood needs.

Random draws of the training data follow from the run's seed. Those of held-out data follow from one fixed seed, so that
figures of different runs compare. Only `Dynamic` draws within the compiled step. The others are applied once, by
`prepare`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import align
from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import uniform
from tfp_vae.core.registry import Table, record
from tfp_vae.core.seeds import FIXED_SEED, Purpose, Seed, generator, places_of
from tfp_vae.core.supports import BINARY, UNIT, Support
from tfp_vae.core.types import Tensor
from tfp_vae.data.profile import SPLITS, Profile
from tfp_vae.data.transforms.base import Transform

if TYPE_CHECKING:
    from tfp_vae.data.dataset import Dataset, Split
    from tfp_vae.data.transforms.dequantization import UniformNoise

__all__ = [
    "BINARIZATIONS",
    "Binarization",
    "Dynamic",
    "Static",
    "Threshold",
    "Unchanged",
    "choose_transform",
    "prepare",
    "transform_each",
    "transform_held_out",
    "usual_binarization",
]


class Binarization(Transform):
    """A map of training data and of held-out data to binary data, once or in every step.

    draws: whether values between 0 and 1 are drawn at random, so that equal examples may differ afterwards.
    """


class ToBinary(Binarization):
    """Base class of the binarizations that change grey values."""

    @final
    def takes(self, support: Support) -> Support:
        """Return [0, 1], if the likelihood has a probability or a density at 0 and 1."""
        if not support.contains(np.array([0.0, 1.0])).all() or (support.discrete and support is not BINARY):
            raise UsageError(f"A likelihood on {support.text} cannot use binarized data. Choose `binarization=none`.")
        return UNIT

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return 1 with probability x, else 0, for each element and in the type of x [N, ...]."""
        return (draw.random(x.shape, np.float32) < x).astype(x.dtype)


@final
@record
class Dynamic(ToBinary):
    """Redraw training pixels in every step, with the grey value as the probability of 1.

    Held-out data are drawn once. The objective is the expected bound E_b[log p(b)] over b_i ~ Bernoulli(x_i). New noise
    in every step keeps the decoder from memorizing single pixels. Figures do not compare with those of static
    binarization.

    ```python
    batch = tv.data.transforms.binarization.Dynamic().batch(np.full([2, 3], 0.5, np.float32), seed=(0, 0))  # [2, 3]
    ```

    References:
      Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks.
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """

    draws: ClassVar[bool] = True

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x."""
        return x

    def batch(self, x: Tensor, seed: Seed) -> Tensor:
        """Return a draw of the batch."""
        return tf.cast(uniform(tf.shape(x), seed, x.dtype) < x, x.dtype)


@final
@record
class Static(ToBinary):
    """Draw every pixel once, with its grey value as the probability of 1.

    The fixed binarized MNIST of Larochelle and Murray was made in this way. Here, training data are drawn from the
    run's seed. With few examples the model overfits sooner than under `Dynamic`.

    References:
      Larochelle and Murray (2011), The neural autoregressive distribution estimator.
    """

    draws: ClassVar[bool] = True

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return one draw."""
        return self.held_out(x, draw)


@final
@record
class Threshold(ToBinary):
    """Set values of at least one half to 1, others to 0.

    Nothing is random, so edges have no noise and log p(x) is higher than for drawn pixels. Figures compare only with
    those of the same threshold.
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
    """Leave the data unchanged.

    Suits likelihoods of grey values, counts or real values, and data that are binary already.
    """

    draws: ClassVar[bool] = False

    def takes(self, support: Support) -> Support:
        """Return the support of the likelihood."""
        return support

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x."""
        return x

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x."""
        return x


BINARIZATIONS: Table[Binarization] = Table(
    "binarization", {"dynamic": Dynamic, "static": Static, "threshold": Threshold, "none": Unchanged}, base=Binarization
)


NO_ROOM = (
    "The noise of `dequantization` adds up to one level. Choose a `scaling` that leaves room for it, such as "
    "`scaling=divided:by=256` for 8-bit pixels, or `likelihood=normal`."
)


def usual_binarization(support: Support, profile: Profile) -> str:
    """Return the name of the binarization to use by default: `dynamic` for grey data under a likelihood of binary data.

    Args:
      support: the values that the likelihood has a probability for.
      profile: facts about the data after scaling.
    """
    return "dynamic" if support is BINARY and profile.grey else "none"


def choose_transform(noise: UniformNoise | None, binarization: Binarization) -> Transform:
    """Return the map that data go through: the noise of their dequantization if they have one, else a binarization.

    Args:
      noise: of the data, or None.
      binarization: from `BINARIZATIONS`.

    Raises:
      UsageError: there are both.
    """
    if noise is None:
        return binarization
    if not isinstance(binarization, Unchanged):
        raise UsageError("`dequantization` and `binarization` cannot be combined. Leave one of them out.")
    return noise


def prepare(
    dataset: Dataset,
    binarization: Binarization,
    run_seed: int,
    *,
    support: Support | None = None,
    advice: str | Callable[[], str] = "Choose a likelihood that fits.",
) -> Dataset:
    """Return the data set that a run trains on. A data set that was prepared in this way before is returned unchanged.

    Training data are binarized from the run's seed. Held-out data are binarized from a fixed one, so that evaluations
    of different runs compare. The noise of a dequantization is added likewise. Training data are aligned in memory, so
    that TensorFlow takes them without a copy. The result keeps the fingerprint of the data set, because it has the same
    source.

    Args:
      dataset: scaled.
      binarization: from `BINARIZATIONS`.
      run_seed: the run's.
      support: of the likelihood, to check the data against. None checks nothing.
      advice: how to fix data that do not fit, for the error.

    Raises:
      DataError: a value lies outside the support. The error names its row.
      UsageError: the likelihood cannot use binary data or noise, or the data would get both.
    """
    noise = dataset.noise
    transform = choose_transform(noise, binarization)
    if support is not None:
        takes = transform.takes(support)
        if noise is not None:
            dataset.check_support(takes, NO_ROOM)
        elif not dataset.profile.fits(takes):  # the profile may not be able to tell, so the data decide
            dataset.check_support(takes, advice)
    if dataset.transform == transform:
        return dataset
    train = align(transform.training(dataset.train.x, generator(run_seed, Purpose.BINARIZATION)))
    result = replace(
        dataset,
        train=replace(dataset.train, x=train),
        validation=transform_held_out(dataset.validation, transform),
        test=transform_held_out(dataset.test, transform),
    )
    return result.remember(profile=dataset.profile, fingerprint=dataset.fingerprint(), transform=transform)


def transform_held_out(split: Split, transform: Transform) -> Split:
    """Return a split as evaluation sees it: binarized or with noise once, from a fixed seed that all runs share.

    Doing so twice changes nothing. Each split of a data set has its own seed. Examples that do not belong to a data set
    use that of the training split.

    Args:
      split: scaled, with values that the transform takes.
      transform: from `choose_transform`.
    """
    index = SPLITS.index(split.part) if split.part in SPLITS else 0
    return replace(split, x=transform.held_out(split.x, generator(FIXED_SEED, Purpose.HELD_OUT, index)))


def transform_each(split: Split, transform: Transform) -> Split:
    """Return new examples as evaluation sees them: binarized or with noise once, each by a seed from its own values.

    Equal examples stay equal, and the result for an example depends on neither its index nor the others.

    Args:
      split: scaled, with values that the transform takes.
      transform: from `choose_transform`.
    """
    if not transform.draws:
        return transform_held_out(split, transform)
    draws = (generator(FIXED_SEED, Purpose.HELD_OUT, 0, place) for place in places_of(split.x).tolist())
    parts = [transform.held_out(x[np.newaxis], draw) for x, draw in zip(split.x, draws, strict=True)]
    return replace(split, x=np.concatenate(parts) if parts else split.x)
