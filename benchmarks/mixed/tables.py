"""The mixed tables of HI-VAE, and the cells that its authors hid."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from pandas import DataFrame, Series, read_csv

__all__ = ["MASKS", "NUMBERS", "TABLES", "Hidden", "MixedTable", "hide", "read"]

TABLES = ("wine", "adult")
"""The tables, the smaller one first."""

MASKS = ("Missing20_1", "Missing20_2", "Missing20_3", "Missing50_1")
"""The files of hidden cells. A name holds the percentage and a number."""

NUMBERS = ("real", "pos", "count")
"""The types of columns that hold numbers. `cat` and `ordinal` hold levels 1, 2, 3 and so on."""


@final
class MixedTable(NamedTuple):
    """A table with columns of different types.

    types: the type of each column by name, from `data_types.csv`: `real`, `pos`, `count`, `cat` or `ordinal`.
    values: the numbers, and the levels as numbers, [N, C]. NaN in cells that are truly missing.
    """

    types: dict[str, str]
    values: np.ndarray

    @property
    def spans(self) -> np.ndarray:
        """The greatest less the least value of each column, [C]."""
        return np.asarray(np.nanmax(self.values, axis=0) - np.nanmin(self.values, axis=0))

    def frame(self, values: np.ndarray) -> DataFrame:
        """Return values [N, C] with words in the place of the levels of categories, and NaN where they have NaN."""

        def words(column: np.ndarray) -> Series:
            return Series([None if np.isnan(level) else f"word {level:.0f}" for level in column.tolist()], dtype=object)

        columns = zip(self.types.items(), values.T, strict=True)
        return DataFrame({name: words(column) if type_ == "cat" else column for (name, type_), column in columns})


@final
class Hidden(NamedTuple):
    """A table with hidden cells.

    table: the table.
    cells: whether a cell is hidden whose value is known, bool [N, C].
    """

    table: MixedTable
    cells: np.ndarray

    @property
    def holes(self) -> np.ndarray:
        """The values with NaN in hidden cells, [N, C]."""
        return np.where(self.cells, np.nan, self.table.values)


def read(folder: Path, name: str) -> MixedTable:
    """Return one of `TABLES` from a folder with a subfolder for each."""
    types = read_csv(folder / name / "data_types.csv")["type"]
    values = read_csv(folder / name / "data.csv", header=None).to_numpy(np.float64)
    return MixedTable({f"{place}-{type_}": type_ for place, type_ in enumerate(types, 1)}, values)


def hide(folder: Path, name: str, mask: str) -> Hidden:
    """Return one of `TABLES` with the cells of one of `MASKS` hidden. The files count rows and columns from 1."""
    table = read(folder, name)
    rows, places = read_csv(folder / name / f"{mask}.csv", header=None).to_numpy().T - 1
    cells = np.zeros(table.values.shape, bool)
    cells[rows, places] = True
    return Hidden(table, cells & ~np.isnan(table.values))
