"""scikit-learn's imputers on standardized numbers and one-hot codes of categories."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # scikit-learn hides the imputer without it
from sklearn.impute import IterativeImputer, KNNImputer

from benchmarks.mixed.tables import Hidden

__all__ = ["DONORS", "LONG", "METHODS", "NEIGHBOURS", "Codes", "constants", "iterate", "neighbours"]

NEIGHBOURS = 10
"""The nearest rows whose mean fills a cell."""

LONG, DONORS = 10_000, 2_000
"""In tables of more than `LONG` rows, the nearest rows are searched among `DONORS` random rows."""


@final
class Codes(NamedTuple):
    """The columns of a table as numbers for scikit-learn.

    A category with L levels gets L - 1 codes. The most frequent level has none, because the others determine it. With a
    code of its own, a linear regression would predict each code from the others, which are missing in the same rows.

    blocks: the levels of each column [L], the most frequent one first, or an empty array for numbers and ordinals.
    loc, scale: mean and standard deviation of the observed cells of each column, [C] each.
    """

    blocks: list[np.ndarray]
    loc: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, case: Hidden) -> Codes:
        """Return the codes of a table, chosen from its observed cells."""
        holes, types = case.holes, case.table.types.values()
        blocks = [
            frequent_first(column[~np.isnan(column)]) if type_ == "cat" else np.empty(0)
            for type_, column in zip(types, holes.T, strict=True)
        ]
        return cls(blocks, np.nanmean(holes, axis=0), np.nanstd(holes, axis=0))

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return standardized numbers and the codes of levels, [N, F], for x [N, C]. NaN stays NaN."""
        parts = []
        for levels, column, numbers in zip(self.blocks, x.T, ((x - self.loc) / self.scale).T, strict=True):
            codes = (column[:, np.newaxis] == levels[1:]).astype(np.float64)
            codes[np.isnan(column)] = np.nan
            parts.append(codes if len(levels) else numbers[:, np.newaxis])
        return np.concatenate(parts, axis=1)

    def decode(self, codes: np.ndarray, case: Hidden) -> np.ndarray:
        """Return values [N, C] for codes [N, F]: the level with the greatest code, and ordinals rounded to a level."""
        sizes = [len(levels) - 1 if len(levels) else 1 for levels in self.blocks]
        splits = np.split(codes, np.cumsum(sizes)[:-1], axis=1)
        columns = []
        for i, (levels, part, type_) in enumerate(zip(self.blocks, splits, case.table.types.values(), strict=True)):
            if len(levels):
                whole = np.column_stack([1 - part.sum(axis=1), part])
                columns.append(levels[whole.argmax(axis=1)])
                continue
            value = self.loc[i] + self.scale[i] * part[:, 0]
            seen = case.holes[:, i]
            columns.append(np.clip(np.rint(value), np.nanmin(seen), np.nanmax(seen)) if type_ == "ordinal" else value)
        return np.stack(columns, axis=1)


def frequent_first(column: np.ndarray) -> np.ndarray:
    """Return the levels of a column [N], the most frequent one first."""
    levels, counts = np.unique(column, return_counts=True)
    return np.asarray(levels[np.argsort(-counts, kind="stable")])


def constants(case: Hidden) -> np.ndarray:
    """Return the mean of numbers, the median of ordinals and the most frequent word in each cell, [N, C]."""

    def constant(type_: str, column: np.ndarray) -> float:
        seen = column[~np.isnan(column)]
        if type_ == "cat":
            return float(frequent_first(seen)[0])
        return float(np.median(seen) if type_ == "ordinal" else seen.mean())

    row = [constant(*pair) for pair in zip(case.table.types.values(), case.holes.T, strict=True)]
    return np.tile(row, (len(case.cells), 1))


def neighbours(case: Hidden) -> np.ndarray:
    """Return the mean of the nearest rows in each cell, [N, C]."""
    codes = Codes.of(case)
    x = codes.encode(case.holes)
    donors = np.random.default_rng(0).permutation(len(x))[: DONORS if len(x) > LONG else None]
    return codes.decode(KNNImputer(n_neighbors=NEIGHBOURS).fit(x[donors]).transform(x), case)


def iterate(case: Hidden) -> np.ndarray:
    """Return the predictions of linear regressions in each cell, [N, C], as `IterativeImputer` makes them."""
    codes = Codes.of(case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it ends after ten rounds
        filled = IterativeImputer(random_state=0).fit_transform(codes.encode(case.holes))
    return codes.decode(filled, case)


METHODS: dict[str, Callable[[Hidden], np.ndarray]] = {
    "mean, median or mode": constants,
    "nearest neighbours": neighbours,
    "iterative, Bayesian ridge": iterate,
}
"""scikit-learn's imputers by name. Each returns values for all cells, [N, C]."""
