"""The space of the latent variable z, and the capabilities of the families over it.

A posterior and a prior fit together if they have the same `Latent`. Objectives and evaluation ask for a `Capabilities`
instead of for the class of a family, so a family from your own module is treated like a built-in one.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import numpy as np
import pydantic

from tfp_vae.core.registry import record

__all__ = ["ACTIVE_VARIANCE", "NO_DENSITY", "Capabilities", "Latent", "active_dimensions"]

ACTIVE_VARIANCE = 0.01
"""A dimension of z is active if the variance of its posterior means over the examples exceeds this."""

NO_DENSITY = (
    "An implicit posterior has samples but no density, so importance weights and bounds from its density do not exist. "
    "Train with `objective=adversarial`, and estimate log p(x) with `tv.evaluation.annealed_log_likelihood` or "
    "evaluate with `ais_steps=1000`, which do not use the posterior."
)


def active_dimensions(means: np.ndarray, own_variance: np.ndarray | float = 0.0) -> np.ndarray:
    """Return whether each dimension of z is active, Var_x(E_q[z|x]) > 0.01: bool [D].

    ```python
    from tfp_vae.model.latent import active_dimensions

    active_dimensions(np.array([[0.0, 1.0], [0.1, 2.0]]))  # [False, True]
    ```

    Args:
      means: the posterior means of N examples, [N, D].
      own_variance: the variance of the errors of the means, [D], which adds to their variance over the examples.

    References:
      Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders.
    """
    variances = np.array([column.var() for column in means.T])  # one by one, because a copy of all takes much memory
    return np.asarray(variances - own_variance > ACTIVE_VARIANCE)


@final
@record
class Latent:
    """The space of z.

    ```python
    from tfp_vae.model.latent import Latent

    Latent.vector(2)  # Latent(event_shape=(2,), blocks=(2,), discrete=False)
    Latent.vector(2).size  # 2
    Latent.vector(2) == tv.priors.StandardNormal(2).latent  # True
    ```

    Args:
      event_shape: shape of one z, `(D,)` for a vector.
      blocks: sizes of the layers of z, from the one next to x upwards. Their sum is `size`. A model without a hierarchy
        has one block.
      discrete: whether z takes discrete values, so that p(z) is a probability and not a density.
      codes: K if z consists of one-hot vectors of K elements each, else 1.

    Raises:
      UsageError: sizes that are not positive, blocks that do not add up to `size`, or codes that do not divide it.
    """

    event_shape: tuple[pydantic.PositiveInt, ...]
    blocks: tuple[pydantic.PositiveInt, ...]
    discrete: bool = False
    codes: pydantic.PositiveInt = 1

    def __post_init__(self) -> None:
        if sum(self.blocks) != self.size:
            raise ValueError(f"expected blocks that add up to {self.size}, found {self.blocks}")
        if self.size % self.codes:
            raise ValueError(f"expected codes that divide {self.size}, found {self.codes}")

    def __str__(self) -> str:
        shape = "x".join(map(str, self.event_shape if self.codes == 1 else (self.dimensions, self.codes)))
        layers = f" in {len(self.blocks)} blocks" if len(self.blocks) > 1 else ""
        return f"{shape} {'discrete' if self.discrete else 'continuous'}{layers}"

    @classmethod
    def vector(cls, size: int) -> Latent:
        """Return the space of real vectors, R^size, in one block."""
        return cls((size,), (size,))

    @classmethod
    def layers(cls, sizes: tuple[int, ...]) -> Latent:
        """Return the space of real vectors whose elements are those of one layer after the other."""
        return cls((sum(sizes),), sizes)

    @classmethod
    def bits(cls, size: int) -> Latent:
        """Return the space of vectors of bits, {0, 1}^size."""
        return cls((size,), (size,), discrete=True)

    @classmethod
    def one_hots(cls, dimensions: int, codes: int) -> Latent:
        """Return the space of vectors that join D one-hot vectors of K elements, in D K elements."""
        return cls((dimensions * codes,), (dimensions * codes,), discrete=True, codes=codes)

    @property
    def size(self) -> int:
        """The number of values in one z."""
        return math.prod(self.event_shape)

    @property
    def dimensions(self) -> int:
        """D, the number of latent dimensions. A one-hot vector is one dimension."""
        return self.size // self.codes

    def as_codes(self, z: np.ndarray) -> np.ndarray:
        """Return values z [..., size] of a discrete z, or their means, as whole numbers [..., D].

        They are the positions in one-hot vectors, from 0 to K - 1, or the bits. A mean gives the most probable code.

        ```python
        tv.model.latent.Latent.one_hots(2, 3).as_codes(np.array([0, 0, 1, 0.2, 0.7, 0.1]))  # [2, 1]
        ```
        """
        if self.codes == 1:
            return np.asarray(z > 0.5, np.int64)
        return np.asarray(z.reshape(*z.shape[:-1], self.dimensions, self.codes).argmax(axis=-1))


class Capabilities(NamedTuple):
    """Properties of a family over z, true for all parameters. A family has only those that it declares.

    normal: the distribution is a multivariate Normal, so its mean and its KL to another one are exact.
    diagonal: it is a Normal with independent dimensions, so such a KL is a sum over the dimensions.
    standard: it is N(0, I) itself.
    reparameterized: a sample is a differentiable function of the parameters, so gradients pass through it.
    codes: it consists of independent discrete dimensions and is a `model.distributions.codes.Codes`. Its mean, its
      entropy and its KL to another such distribution are exact, and its samples have a relaxation.
    bits: each of these dimensions is a bit.
    layers: it is a `model.distributions.layered.LayeredNormal`, whose density is a product over the layers of z.
    mixture: it is a `model.distributions.mixtures.NormalMixture`, whose mean is exact. A gradient passes through
      samples of each component, but not through the choice of a component.
    approximate: its density is that of a random approximation, which each call of `sample` draws anew. It is valid for
      the samples of this call only.
    implicit: it has samples but no density at all, and a discriminator.
    """

    normal: bool = False
    diagonal: bool = False
    standard: bool = False
    reparameterized: bool = False
    codes: bool = False
    bits: bool = False
    layers: bool = False
    mixture: bool = False
    approximate: bool = False
    implicit: bool = False

    @property
    def exact_mean(self) -> bool:
        """Whether the mean and the standard deviations are exact."""
        return self.normal or self.codes or self.mixture

    def closed_form_kl(self, other: Capabilities) -> bool:
        """Return whether the KL from this family to another is exact: both are multivariate Normals, or both codes."""
        return (self.normal and other.normal) or (self.codes and other.codes)

    def separable_kl(self, other: Capabilities) -> bool:
        """Return whether that KL is moreover a sum over dimensions: both are diagonal Normals, or both codes."""
        return (self.diagonal and other.diagonal) or (self.codes and other.codes)
