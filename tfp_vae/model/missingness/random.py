"""Cells that are missing at random, whose mask is ignored."""

from __future__ import annotations

from dataclasses import field
from typing import ClassVar, final

import pydantic

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Array, Distribution, Tensor
from tfp_vae.model.missingness.base import Missingness

__all__ = ["Random"]


@final
@record
class Random(Missingness):
    """Missing at random: whether a cell is missing may depend on the observed cells of its row only.

    The mask then says nothing about the missing cells, so it is left out, and log p(x) is that of the observed cells.

    Args:
      likelihood: the family of p(x|z), of any kind.

    References:
      Rubin (1976), Inference and missing data.
    """

    ignorable: ClassVar[bool] = True
    assumption: ClassVar[str] = "at random, given the observed cells of their row"

    likelihood: pydantic.SkipValidation[object] = field(repr=False)

    def __call__(self, p: Distribution) -> Distribution:
        """Return p(x|z) as it is."""
        return p

    def mask_log_prob(self, p: Distribution, values: Array) -> Tensor:
        """Return 0 for each cell, because the mask is ignored."""
        del p
        return tf.zeros_like(values)

    def given_missing(self, p: Distribution) -> Distribution:
        """Return p(x|z) as it is."""
        return p
