"""Errors of imputed cells by the type of their column, as HI-VAE's authors measure them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from benchmarks.mixed.tables import NUMBERS, Hidden

__all__ = ["Errors", "average", "by_type", "column_errors"]

Errors: TypeAlias = dict[str, float]
"""An error for each column or for each type of columns."""


def column_errors(case: Hidden, found: np.ndarray) -> Errors:
    """Return the error of the hidden cells of each column.

    Numbers have the root mean squared error over the span of the column, categories the share of wrong words, and
    ordinals the mean distance in levels over the number of levels.

    Args:
      case: the table and its hidden cells.
      found: the imputed values, [N, C].
    """
    table = case.table
    errors = {}
    for (name, type_), span, cells, truth, guess in zip(
        table.types.items(), table.spans, case.cells.T, table.values.T, found.T, strict=True
    ):
        distance = guess[cells] - truth[cells]
        if type_ in NUMBERS:
            errors[name] = float(np.sqrt(np.mean(distance**2)) / span)
        elif type_ == "cat":
            errors[name] = float(np.mean(distance != 0))
        else:
            errors[name] = float(np.mean(np.abs(distance)) / (span + 1))
    return errors


def by_type(types: Mapping[str, str], errors: Mapping[str, float]) -> Errors:
    """Return the mean error over the columns of each type, given the type of each column."""
    return {
        type_: float(np.mean([errors[name] for name, own in types.items() if own == type_]))
        for type_ in dict.fromkeys(types.values())
    }


def average(errors: Mapping[str, float]) -> float:
    """Return the mean error over all columns."""
    return float(np.mean(list(errors.values())))
