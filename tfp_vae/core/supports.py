"""Supports: which values an array holds, and so which observation models have a probability for it.

A likelihood has a support; data are held against it at load, by `first_violation`, so that a density is never asked for
what it has none for. Comparisons are exact but for `levels`, which allows a hundredth of a step for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = [
    "BINARY",
    "COUNTS",
    "NEAR_UNIT",
    "NOT_INFINITE",
    "OPEN_UNIT",
    "PRESENT",
    "REAL",
    "UNIT",
    "Support",
    "Violation",
    "first_violation",
    "level_count",
    "levels",
]

MOST_LEVELS = 65_536


class Support(NamedTuple):
    """A set of values: how a message writes it, which elements of an array belong to it, whether it has gaps.

    text: as a message writes it.
    contains: x [...] -> bool [...]; NaN is in none but `NOT_INFINITE`.
    discrete: whether it has gaps, so that probabilities and not densities are meant.
    """

    text: str
    contains: Callable[[np.ndarray], np.ndarray]
    discrete: bool = False


class Violation(NamedTuple):
    """The first value outside a support: which row of the data, and the value."""

    row: int
    value: float


BINARY = Support("{0, 1}", lambda x: (x == 0) | (x == 1), discrete=True)
OPEN_UNIT = Support("(0, 1)", lambda x: (x > 0) & (x < 1))
UNIT = Support("[0, 1]", lambda x: (x >= 0) & (x <= 1))
COUNTS = Support("{0, 1, 2, ...}", lambda x: (x >= 0) & (x == np.round(x)) & np.isfinite(x), discrete=True)
REAL = Support("the real numbers", np.isfinite)
NEAR_UNIT = Support("[0, 1], or less than 1 from it,", lambda x: (x > -1) & (x < 2))
"""What draws from a density of pixels in [0, 1] may be; pixels that were not divided are not in it."""

PRESENT = Support("values that are there", lambda x: ~np.isnan(x))
NOT_INFINITE = Support("values that are not infinite", lambda x: ~np.isinf(x))
"""What values are that are not missing, and what those are that are not infinite."""


def levels(count: int) -> Support:
    """Return the support of `count` levels, scaled to the unit interval: {0, 1/(count - 1), ..., 1}.

    A value counts as a level within a hundredth of a step, which float32 keeps up to the 65,536 levels there may be.
    Two levels are `BINARY` itself.

    ```python
    from tfp_vae.core.supports import first_violation, levels

    first_violation(np.array([[0.0, 0.5], [1.0, 0.3]]), levels(3))  # Violation(row=1, value=0.3)
    ```
    """

    def contains(x: np.ndarray) -> np.ndarray:
        scaled = x * (count - 1)
        return np.asarray((x >= 0) & (x <= 1) & (np.abs(scaled - np.round(scaled)) < 1e-2))

    return BINARY if count == 2 else Support(f"{{0, 1/{count - 1}, ..., 1}} ({count} levels)", contains, discrete=True)


def first_violation(x: np.ndarray, support: Support) -> Violation | None:
    """Return the first value of x [N, ...] that does not belong to `support`, or None.

    A pass over x that ends at the first thousand rows with a value outside.
    """
    start = 0
    for rows in _pieces(x):
        wrong = ~support.contains(rows)
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            return Violation(start + int(where[0]), float(rows[where]))
        start += len(rows)
    return None


def level_count(x: np.ndarray) -> int | None:
    """Return the smallest number of levels on which all of x lies, or None; 8-bit pixels over 255 lie on 256.

    By the smallest gap between two values that occur: data that skip levels everywhere, such as even pixels alone, are
    taken to lie on fewer.

    Args:
      x: [N, ...].

    Returns:
      From 1 + 1 / gap, at most 65,536; None of values outside [0, 1], or off any such grid.
    """
    if first_violation(x, UNIT) is not None:
        return None
    values = np.unique(np.concatenate([np.unique(rows) for rows in _pieces(x)]))
    gaps = np.diff(values)
    smallest = gaps.min() if len(gaps) else 1.0
    count = round(1 / smallest) + 1 if smallest > 1 / MOST_LEVELS else MOST_LEVELS + 1
    return count if count <= MOST_LEVELS and levels(count).contains(values).all() else None


def _pieces(x: np.ndarray) -> Iterator[np.ndarray]:
    """Give a thousand rows at a time, so that a check takes no memory of the size of the data."""
    for start in range(0, len(x), 1_000):
        yield x[start : start + 1_000]
