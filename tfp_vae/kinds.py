"""Kinds of data: which values an array holds, and so which observation models have a density for it."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np

from tfp_vae.errors import DataError

__all__ = ["Kind", "Violation", "check_finite", "first_violation", "kind_of"]


class Kind(str, enum.Enum):
    """What the values of a data set are, from the narrowest to the widest."""

    BINARY = "binary"
    UNIT = "unit-interval"
    REAL = "real"

    def __str__(self) -> str:
        return self.value


SETS: dict[Kind, str] = {Kind.BINARY: "{0, 1}", Kind.UNIT: "[0, 1]", Kind.REAL: "the real numbers"}
"""How a message writes each kind's set of values."""


class Violation(NamedTuple):
    """The first value outside a kind: which row of the data, and the value."""

    row: int
    value: float


_OUTSIDE = {
    Kind.BINARY: lambda x: (x != 0) & (x != 1),
    Kind.UNIT: lambda x: ~((x >= 0) & (x <= 1)),
    Kind.REAL: lambda x: ~np.isfinite(x),
}


def first_violation(x: np.ndarray, kind: Kind) -> Violation | None:
    """Return the first value of x [N, ...] that does not belong to `kind`, or None. Reads a thousand rows at a time."""
    for start in range(0, len(x), 1000):
        rows = x[start : start + 1000]
        wrong = _OUTSIDE[kind](rows)
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            return Violation(start + int(where[0]), float(rows[where]))
    return None


def kind_of(x: np.ndarray) -> Kind:
    """Return the narrowest kind that all of x belongs to; x must be finite."""
    return next(kind for kind in Kind if first_violation(x, kind) is None)


def check_finite(x: np.ndarray, name: str) -> None:
    """Raise DataError naming the first row of x [N, ...] that holds NaN or infinity."""
    violation = first_violation(x, Kind.REAL)
    if violation is not None:
        raise DataError(
            f"{name}: expected finite numbers, found {violation.value} in row {violation.row}; remove or mend that row."
        )
