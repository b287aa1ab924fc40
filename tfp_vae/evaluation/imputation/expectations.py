"""The expectations of p(x|z) that imputation averages: the mean of each number, and the probability of each word."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.supports import BINARY
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods import Categorical, Columns, Likelihood
from tfp_vae.model.likelihoods.levels import LevelLikelihood

__all__ = ["Block", "blocks", "expectations", "require_columns"]


class Block(NamedTuple):
    """Columns with the same likelihood, and the slice of the expectations that belongs to them.

    places: the index of each column in the table, [n].
    levels: L, the number of levels that have a probability each, or 0 for numbers.
    ordered: whether the order of the levels has a meaning.
    binary: whether the values are 0 and 1 without levels, so that their mean is the probability of 1.
    part: the slice of n numbers, or of n L probabilities.
    """

    places: np.ndarray
    levels: int
    ordered: bool
    binary: bool
    part: slice

    def best(self, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the imputed values and their probabilities, [B, n] each, given the expectations [B, F].

        Numbers are their mean, with probability NaN. Words are the most probable one, and ordered levels the median,
        which minimizes the mean distance in levels.
        """
        found = expected[:, self.part]
        if self.binary:
            return np.round(found), np.maximum(found, 1 - found)
        if not self.levels:
            return found, np.full(found.shape, np.nan)
        table = found.reshape(len(found), -1, self.levels)  # [B, n, L]
        level = np.argmax(table, axis=-1)
        if self.ordered:
            level = np.minimum(np.sum(np.cumsum(table, axis=-1) < 0.5, axis=-1), self.levels - 1)
        return level / (self.levels - 1), np.take_along_axis(table, level[..., np.newaxis], axis=-1)[..., 0]


def require_columns(likelihood: Likelihood, what: str) -> Columns:
    """Return the likelihood of a model for tables.

    Args:
      likelihood: the likelihood of a decoder.
      what: the caller, for the error.

    Raises:
      UsageError: the likelihood does not describe each column.
    """
    if isinstance(likelihood, Columns):
        return likelihood
    raise UsageError(
        f"{what} needs a model of the columns of a table, but the likelihood is {type(likelihood).__name__}. Build the "
        "model with `likelihood=columns`."
    )


def blocks(likelihood: Likelihood) -> list[Block]:
    """Return the columns of a table by likelihood, in the order of the parts of p(x|z).

    Raises:
      UsageError: the likelihood is not `Columns`.
    """
    found, start = [], 0
    for places, family in require_columns(likelihood, "Imputation").groups:
        levels = family.count if isinstance(family, LevelLikelihood) else 0
        size = len(places) * max(1, levels)
        ordered, binary = not isinstance(family, Categorical), not levels and family.support is BINARY
        found.append(Block(places, levels, ordered, binary, slice(start, start + size)))
        start += size
    return found


def expectations(p: Distribution, parts: list[Block]) -> tuple[Tensor, Tensor]:
    """Return the means and variances of the columns of p(x|z), and the probabilities of levels, [..., F] each.

    The variance belonging to a probability is 0.

    Args:
      p: p(x|z) of `Columns`.
      parts: its columns, from `blocks`.
    """
    means, variances = [], []
    for block, group in zip(parts, p.parameters["groups"], strict=True):
        if not block.levels:
            means.append(group.elements.mean())
            variances.append(group.elements.variance())
            continue
        table = level_probabilities(group.elements, block.levels)  # [..., n, L]
        flat = tf.reshape(table, tf.concat([tf.shape(table)[:-2], [table.shape[-2] * block.levels]], axis=0))
        means.append(flat)
        variances.append(tf.zeros_like(flat))
    return tf.concat(means, axis=-1), tf.concat(variances, axis=-1)


def level_probabilities(elements: Distribution, levels: int) -> Tensor:
    """Return the probability of each level, [..., n, L], for n distributions over the grid {0, 1/(L-1), ..., 1}."""
    over_levels = elements.parameters.get("over_levels")
    if isinstance(over_levels, tfd.Categorical):
        return over_levels.probs_parameter()
    grid = tf.reshape(
        tf.linspace(tf.constant(0, elements.dtype), 1, levels), [levels, *[1] * elements.batch_shape.rank]
    )
    log_p = elements.log_prob(grid)
    return tf.exp(tf.transpose(log_p, [*range(1, log_p.shape.rank), 0]))
