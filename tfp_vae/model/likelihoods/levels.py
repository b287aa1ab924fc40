"""The common part of likelihoods for x on a grid of levels, such as 8-bit pixels divided by 255."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeAlias, final

import numpy as np
import pydantic

from tfp_vae.core.registry import check_keywords
from tfp_vae.core.supports import MOST_LEVELS, Support, level_count, levels
from tfp_vae.core.types import Distribution
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood

if TYPE_CHECKING:
    from tfp_vae.model.distributions.points import Points

__all__ = ["DEFAULT_LEVELS", "LevelLikelihood", "Levels"]

Levels: TypeAlias = Annotated[int, pydantic.Field(ge=2, le=MOST_LEVELS)] | None
"""The setting `levels`: L, or None to count it in the data."""

DEFAULT_LEVELS = 256
"""L if it is neither set nor found in the data."""


@check_keywords
class LevelLikelihood(ElementwiseLikelihood):
    """A likelihood for x on the grid {0, 1/(L-1), ..., 1}, with a probability for each of the L levels.

    Bits per dimension are defined, and you can compare them between likelihoods of this kind. Unlike a density, they do
    not depend on the units of the data.
    """

    discrete: ClassVar[bool] = True
    has_points: ClassVar[bool] = True
    levels: int | None

    @property
    @final
    def count(self) -> int:
        """L, the number of levels."""
        return self.levels or DEFAULT_LEVELS

    @property
    @final
    def support(self) -> Support:
        """The grid {0, 1/(L-1), ..., 1}."""
        return levels(self.count)

    @final
    def frequencies(self, x: np.ndarray) -> np.ndarray:
        """Return the share of each level in the columns of x [N, M], [M, L]. NaN does not count.

        Half an example is added to each level, so that none has the probability zero.
        """
        level = np.round(np.nan_to_num(x) * (self.count - 1)).astype(int)
        shares = []
        for column, observed in zip(level.T, ~np.isnan(x).T, strict=True):
            counts = np.bincount(column[observed], minlength=self.count) + 0.5
            shares.append(counts / counts.sum())
        return np.stack(shares)

    @final
    def points(self, elements: Distribution) -> Points:
        """Return the levels."""
        from tfp_vae.model.distributions import points

        return points.level_points(elements, self.count)

    @classmethod
    @final
    def settings_from(cls, settings: Mapping[str, object], x: np.ndarray) -> dict[str, object]:
        """Return the settings, with `levels` counted in the distinct values x [n, 1] if it is None."""
        return {**settings, "levels": settings["levels"] or level_count(x) or DEFAULT_LEVELS}
