"""Supports: sets of values, which decide which likelihoods have a probability for an array.

Each likelihood has a support. `first_violation` checks data against it on load, so a density is never evaluated outside
its support. Comparisons are exact, except for `levels`, which allows a hundredth of a step for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError

__all__ = [
    "BINARY",
    "COUNTS",
    "FINITE",
    "LARGEST",
    "LARGEST_EXACT",
    "MISSING_ADVICE",
    "NEAR_UNIT",
    "NOT_INFINITE",
    "OPEN_UNIT",
    "POSITIVE",
    "PRESENT",
    "REAL",
    "UNIT",
    "Support",
    "Violation",
    "by_column",
    "check_values",
    "first_violation",
    "level_count",
    "levels",
    "looks_like_ink",
    "multiples",
    "preimage",
    "usual_numbers",
]

MOST_LEVELS = 65_536
"""The largest number of levels."""

PAPER, STROKE = 0.3, 0.4
"""The smallest share of the background of ink. The median of all other values lies at least this far above it, relative
to the range."""

LARGEST = np.float32(1e12)
"""Numbers of this size are too large for densities in single precision, because their squares would overflow."""

LARGEST_EXACT = 2**24
"""Whole numbers up to this one are exact in single precision."""

MISSING_ADVICE = "Fill in missing values, remove their rows, or use `likelihood=columns`, which allows missing cells."
"""How to fix missing values."""


class Support(NamedTuple):
    """A set of values.

    text: its name in messages.
    contains: x [...] -> bool [...], whether each element belongs to the set. NaN belongs to `NOT_INFINITE` only.
    discrete: whether the set has gaps, so that its values have probabilities, not densities.
    columns: the name and the set of each column, if they differ, see `by_column`.
    """

    text: str
    contains: Callable[[np.ndarray], np.ndarray]
    discrete: bool = False
    columns: tuple[tuple[str, Support], ...] = ()

    def describe(self, violation: Violation) -> str:
        """Return the values that an element may have in words, such as `values in {0, 1} in column 'smoker'`.

        Args:
          violation: a value outside. If a number is only too large, the text is its limit.
        """
        name, support = self.columns[violation.element[0]] if self.columns else (None, self)
        is_large = support in (REAL, POSITIVE) and LARGEST <= abs(violation.value) < np.inf
        expected = f"numbers below {LARGEST:g} in size" if is_large else f"values in {support.text}"
        return expected if name is None else f"{expected} in column {name!r}"


class Violation(NamedTuple):
    """The first value outside a support.

    row: its row in the data.
    value: the value.
    element: the index of the element in its example.
    """

    row: int
    value: float
    element: tuple[int, ...]


BINARY = Support("{0, 1}", lambda x: (x == 0) | (x == 1), discrete=True)
OPEN_UNIT = Support("(0, 1)", lambda x: (x > 0) & (x < 1))
UNIT = Support("[0, 1]", lambda x: (x >= 0) & (x <= 1))
COUNTS = Support("{0, 1, 2, ...}", lambda x: (x >= 0) & (x == np.round(x)) & np.isfinite(x), discrete=True)
REAL = Support("the real numbers", lambda x: np.abs(x) < LARGEST)
POSITIVE = Support("(0, inf)", lambda x: (x > 0) & (x < LARGEST))
FINITE = Support("the real numbers", np.isfinite)
"""All numbers. Data may hold larger ones than a model may see, because a scaling may make them small."""

NEAR_UNIT = Support("[0, 1], or less than 1 from it,", lambda x: (x > -1) & (x < 2))
"""Draws from a density of pixels in [0, 1]. Pixels from 0 to 255 are outside."""

PRESENT = Support("values that are there", lambda x: ~np.isnan(x))
"""Values that are not missing."""

NOT_INFINITE = Support("values that are not infinite", lambda x: ~np.isinf(x))
"""Values that are finite or missing."""


def levels(count: int) -> Support:
    """Return the support of `count` levels, scaled to the unit interval: {0, 1/(count - 1), ..., 1}.

    A value counts as a level within a hundredth of a step. Float32 is that exact up to 65,536 levels, which is the
    limit. Two levels are `BINARY` itself.

    ```python
    from tfp_vae.core.supports import first_violation, levels

    first_violation(np.array([[0.0, 0.5], [1.0, 0.3]]), levels(3))  # row 1, value 0.3, element (1,)
    ```
    """

    def contains(x: np.ndarray) -> np.ndarray:
        scaled = x * (count - 1)
        return np.asarray((x >= 0) & (x <= 1) & (np.abs(scaled - np.round(scaled)) < 1e-2))

    return BINARY if count == 2 else Support(f"{{0, 1/{count - 1}, ..., 1}} ({count} levels)", contains, discrete=True)


def by_column(columns: Mapping[str, Support]) -> Support:
    """Return the support of rows [N, C] whose C columns have sets of their own, and of NaN for missing cells.

    ```python
    from tfp_vae.core.supports import BINARY, COUNTS, by_column

    rows = by_column({"smoker": BINARY, "visits": COUNTS})
    rows.contains(np.array([[1.0, 7.0], [np.nan, 0.5]]))  # [[True, True], [True, False]]
    ```

    Args:
      columns: the set of each column by name, in their order.
    """
    places: dict[int, list[int]] = {}  # columns that share a set are checked together
    for place, support in enumerate(columns.values()):
        places.setdefault(id(support), []).append(place)

    def contains(x: np.ndarray) -> np.ndarray:
        if x.shape[-1:] != (len(columns),):
            return np.zeros(x.shape, bool)
        inside: np.ndarray = np.isnan(x)
        sets = list(columns.values())
        for shared in places.values():
            inside[..., shared] |= sets[shared[0]].contains(x[..., shared])
        return inside

    return Support("the values of each column", contains, columns=tuple(columns.items()))


def multiples(step: float) -> Support:
    """Return the support of levels at a distance: the multiples of `step`, of either sign.

    Like `levels`, it allows a hundredth of a step for rounding, and takes up to 65,536 levels on each side of zero.

    ```python
    from tfp_vae.core.supports import multiples

    multiples(0.5).contains(np.array([-1.5, 0.2]))  # [True, False]
    ```
    """

    def contains(x: np.ndarray) -> np.ndarray:
        scaled = x / step
        return np.asarray((np.abs(scaled) < MOST_LEVELS) & (np.abs(scaled - np.round(scaled)) < 1e-2))

    return Support("whole numbers" if step == 1 else f"multiples of {step:.6g}", contains, discrete=True)


def preimage(support: Support, maps: Sequence[Callable[[np.ndarray], np.ndarray]], text: str) -> Support:
    """Return the values that all of some maps take into a support.

    Args:
      support: the set.
      maps: x [N, ...] -> values of the same shape.
      text: its name in messages.
    """

    def contains(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.all([support.contains(each(x)) for each in maps], axis=0))

    return Support(text, contains)


def usual_numbers(limit: np.ndarray) -> Support:
    """Return the numbers of a usual size.

    Args:
      limit: for each element of an example, the size from which a number is unusual.
    """
    return Support(FINITE.text, lambda x: np.abs(x) < limit)


def first_violation(x: np.ndarray, support: Support) -> Violation | None:
    """Return the first value of x [N, ...] that does not belong to `support`, or None.

    It reads a thousand rows at a time and stops at the first thousand with a value outside.
    """
    start = 0
    for rows in chunks(x):
        wrong = ~support.contains(rows)
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            return Violation(start + int(where[0]), float(rows[where]), tuple(map(int, where[1:])))
        start += len(rows)
    return None


def check_values(name: str, x: np.ndarray, support: Support, advice: str) -> None:
    """Raise DataError if a value of x [N, ...] lies outside `support`, and name its row.

    Args:
      name: the name of the examples in the message.
      x: the examples.
      support: the values that are allowed.
      advice: how to fix it, as a sentence.
    """
    violation = first_violation(x, support)
    if violation is not None:
        where = f"found {violation.value:g} in row {violation.row}"
        advice = MISSING_ADVICE if np.isnan(violation.value) else advice
        raise DataError(f"{name}: expected {support.describe(violation)}, {where}. {advice}")


def level_count(x: np.ndarray) -> int | None:
    """Return the smallest number of levels that contains all of x [N, ...], or None if x has no levels in [0, 1].

    For example, 8-bit pixels divided by 255 have 256 levels. The number is 1 + 1 / gap for the smallest gap between two
    values, at most 65,536. Data that skip every second level, such as even pixels only, therefore have fewer levels.
    """
    if first_violation(x, UNIT) is not None:
        return None
    values = np.unique(np.concatenate([np.unique(rows) for rows in chunks(x)]))
    gaps = np.diff(values)
    smallest = gaps.min() if len(gaps) else 1.0
    count = round(1 / smallest) + 1 if smallest > 1 / MOST_LEVELS else MOST_LEVELS + 1
    return count if count <= MOST_LEVELS and levels(count).contains(values).all() else None


def looks_like_ink(x: np.ndarray, margin: float = 0.0) -> bool:
    """Return whether images are strokes on an empty background, such as handwritten digits.

    At least three tenths of their values are the least value, and most other values are far above it. A photo has few
    pixels of the least value. A medical scan has many, but most other values are low.

    ```python
    from tfp_vae.core.supports import looks_like_ink

    looks_like_ink(np.eye(8)), looks_like_ink(1 - np.eye(8))  # True, False
    ```

    Args:
      x: at least one value, of images of any shape. A thousand images are enough to tell.
      margin: how far the background may lie above the least value, relative to the range.
    """
    low, high = x.min(), x.max()
    span = float(high) - float(low)
    strokes = x[x > low + margin * span]
    is_background = 1 - strokes.size / x.size >= PAPER
    return bool(strokes.size and is_background and np.median(strokes, overwrite_input=True) - low >= STROKE * span)


def chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a thousand rows at a time, so a check needs little memory."""
    for start in range(0, len(x), 1_000):
        yield x[start : start + 1_000]
