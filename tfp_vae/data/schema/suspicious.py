"""Suspicious values: numbers that probably mark missing cells, such as -200 in columns of positive numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

__all__ = ["Tally", "find_suspicious"]

LEAST_REPEATS = 3
"""A placeholder occurs at least this many times in a column."""

LEAST_REST = 0.05
"""The smallest share of other values in a column with a placeholder. With fewer, the column may be sparse."""

NINES = frozenset({99.0, 999.0, 9_999.0, 99_999.0, 999_999.0})
"""Positive placeholders. Negative whole numbers may be placeholders too."""

ROUND = -9.0
"""A number at or below this is a placeholder if it is the least of several columns of positive numbers."""


class Tally(NamedTuple):
    """The different numbers of a column, in any order, and how often each occurs."""

    values: np.ndarray
    counts: np.ndarray

    def end(self, sign: float) -> tuple[float, bool, bool]:
        """Return the least number times `sign`, whether it is far from the rest, and whether the rest has its sign.

        The second and third are False if the number occurs too rarely for a placeholder, or is none by its digits.

        Args:
          sign: 1 for the least number, -1 for the greatest.
        """
        order = np.argsort(sign * self.values)
        if len(order) < 2:
            return np.nan, False, False
        values, counts = sign * self.values[order], self.counts[order]
        value, rest = sign * values[0], counts[1:].sum()
        is_code = value == np.rint(value) and (value < 0 or value in NINES)
        often = counts[0] >= LEAST_REPEATS and rest >= max(LEAST_REPEATS, LEAST_REST * counts.sum())
        apart = values[1] - values[0] > values[-1] - values[1] > 0
        below = sign > 0 and value <= ROUND and values[1] >= 0
        return float(value), bool(is_code and often and apart), bool(is_code and often and below)


def find_suspicious(columns: Mapping[str, Tally]) -> dict[str, list[float]]:
    """Return the numbers of each column that may mark missing cells.

    Such a number is the least or the greatest of a column and occurs at least three times. It is further from the other
    numbers than they are from each other. A negative whole number may also be the least of several columns of positive
    numbers.

    ```python
    from tfp_vae.data.schema.suspicious import Tally, find_suspicious

    find_suspicious({"co": Tally(np.array([-200.0, 1.2, 2.6]), np.array([9, 60, 31]))})  # {"co": [-200.0]}
    ```

    Args:
      columns: the numbers of each column by its name.
    """
    found = {name: list[float]() for name in columns}
    shared: dict[float, list[str]] = {}
    for name, tally in columns.items():
        for sign in (1.0, -1.0):
            value, apart, below = tally.end(sign)
            if apart:
                found[name].append(value)
            elif below:
                shared.setdefault(value, []).append(name)
            if below:
                shared.setdefault(value, [])
    least = {value for value in shared for name in columns if value in found[name]}
    for value, names in shared.items():
        for name in names if len(names) > 1 or value in least else ():
            found[name].append(value)
    return {name: values for name, values in found.items() if values}
