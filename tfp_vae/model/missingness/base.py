"""The interface of assumptions about why cells are missing."""

from __future__ import annotations

import abc
from typing import ClassVar

from tfp_vae.core.registry import check_keywords
from tfp_vae.core.types import Array, Distribution, Tensor, Variable

__all__ = ["Missingness"]


@check_keywords
class Missingness(abc.ABC):
    """A model of the mask, p(mask|x): a value that turns p(x|z) into p(x_observed, mask|z).

    A decoder applies it to what its likelihood returns, so every bound and estimate takes the mask into account.
    """

    ignorable: ClassVar[bool]
    """Whether the mask is independent of the missing cells given the observed ones, so no density includes it."""

    assumption: ClassVar[str]
    """The assumption, as the end of a sentence that begins with 'cells are missing'."""

    @property
    def learned(self) -> tuple[Variable, ...]:
        """Variables of p(mask|x)."""
        return ()

    @property
    def density_size(self) -> int:
        """About how many numbers p(mask|x) takes for each z, for estimates of memory."""
        return 0

    @abc.abstractmethod
    def __call__(self, p: Distribution) -> Distribution:
        """Return p(x_observed, mask|z), batch [...], event [C], where NaN marks a missing cell.

        Args:
          p: p(x|z), from the likelihood.
        """

    @abc.abstractmethod
    def mask_log_prob(self, p: Distribution, values: Array) -> Tensor:
        """Return the log-probability that each cell of values [..., C] is observed or missing as it is, [..., C].

        Args:
          p: what this object returned.
          values: rows, with NaN in missing cells.
        """

    @abc.abstractmethod
    def given_missing(self, p: Distribution) -> Distribution:
        """Return the distribution of each cell if it is missing, p_j(x_j|z, missing), batch [...], event [C].

        Args:
          p: what this object returned.
        """
