"""Cells: a table as the texts of its file, column by column.

A column is an array of NumPy's `StringDType`, which needs 16 bytes for a short text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, final

import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import check_keywords
from tfp_vae.data.readers.tables import MISSING
from tfp_vae.data.schema.numerals import NOTATIONS, PLAIN, without_unit

__all__ = ["MARKERS", "Cells", "Distinct", "ProblemsFound", "list_problems", "text_array"]

MARKERS = MISSING | {"#n/a", "<na>", "nat", "-", "--", "."}
"""Texts of a missing cell in a mixed table, in small letters."""

LISTED = 20
"""The most problems of a table that an error lists."""

TEXT = np.dtypes.StringDType()


@check_keywords
class Cells(NamedTuple):
    """The cells of a table.

    source: the table's name in messages.
    names: the names of its columns.
    columns: the texts of each column, [N] each, unchanged.
    lines: the line of each row in the file [N], or its row in a DataFrame, counted from 1.
    hints: settings of columns that the source itself knows, such as the levels of a DataFrame's category.
    header: whether the first line of the file names the columns.
    delimiter: the mark between the cells of a file, see `readers.tables.TextFormat`.
    unit: whether `lines` counts lines or rows.
    """

    source: str
    names: tuple[str, ...]
    columns: tuple[np.ndarray, ...]
    lines: np.ndarray
    hints: Mapping[str, Mapping[str, object]] = MappingProxyType({})
    header: Literal["yes", "no"] = "yes"
    delimiter: str = ","
    unit: Literal["line", "row"] = "line"

    def column(self, name: str) -> np.ndarray:
        """Return the texts of a column."""
        return self.columns[self.names.index(name)]

    def rows(self, part: slice) -> Cells:
        """Return some of the rows."""
        return self._replace(columns=tuple(column[part] for column in self.columns), lines=self.lines[part])


def text_array(texts: Iterable[str]) -> np.ndarray:
    """Return texts [N] as an array of `StringDType`."""
    return np.array(list(texts), dtype=TEXT)


def list_problems(source: str, problems: Sequence[str], remedy: str) -> DataError:
    """Return the error for all problems of a table, one on a line.

    Args:
      source: the table's name.
      problems: descriptions without a full stop. At most 20 are listed.
      remedy: the action to take, as a sentence.
    """
    listed = "".join(f"\n  {problem}" for problem in problems[:LISTED])
    more = f"\n  and {len(problems) - LISTED:,} more" if len(problems) > LISTED else ""
    error = DataError(f"{source}: {plural(len(problems), 'problem')}.{listed}{more}", remedy=remedy)
    error.__cause__ = ProblemsFound(problems)
    return error


@final
class ProblemsFound(Exception):
    """The cause of the `DataError` that lists the problems of a table.

    Args:
      problems: their descriptions.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("the table has problems")
        self.problems = tuple(problems)


class Distinct(NamedTuple):
    """The different texts of a column, which are few in most columns.

    texts: without surrounding spaces, in the order of their first row. Missing cells are left out.
    codes: the index of each cell's text, or -1 if the cell is missing, [N].
    """

    texts: list[str]
    codes: np.ndarray

    @classmethod
    def of(cls, column: np.ndarray, missing: Sequence[str] = (), words: Sequence[str] = ()) -> Distinct:
        """Return the different texts of a column.

        ```python
        from tfp_vae.data.schema.cells import Distinct, text_array

        Distinct.of(text_array(["b", " a", "NA", "b"]))  # texts ["b", "a"], codes [0, 1, -1, 0]
        ```

        Args:
          column: texts [N].
          missing: texts that mark missing cells, in addition to `MARKERS`. A number marks all its spellings.
          words: texts that do not, even if they are in `MARKERS`.
        """
        raw: dict[str, int] = {}
        codes = np.fromiter((raw.setdefault(cell, len(raw)) for cell in column), np.int64, len(column))
        kept: dict[str, int] = {}
        numbers = {PLAIN.parse(text) for text in missing} - {None}
        places = np.full(len(raw), -1)
        for place, text in enumerate(map(str.strip, raw)):
            marked = text.lower() in MARKERS or text in missing
            if numbers and not marked:
                number = without_unit(text)
                marked = bool(numbers & {PLAIN.parse(number), NOTATIONS[0].parse(number)})
            if not marked or text in words:
                places[place] = kept.setdefault(text, len(kept))
        return cls(list(kept), places[codes] if len(codes) else codes)

    @property
    def counts(self) -> np.ndarray:
        """The number of cells with each text."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.texts))

    @property
    def share_missing(self) -> float:
        """The share of cells that are missing."""
        return float(np.mean(self.codes < 0)) if len(self.codes) else 0.0

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return a value for each cell [N] from one for each text. Missing cells are NaN."""
        return np.asarray(np.append(values, np.nan)[self.codes], np.float64)

    def first_rows(self, wanted: np.ndarray) -> dict[str, int]:
        """Return the first row with each of some texts.

        Args:
          wanted: whether each text is one of them.
        """
        if not wanted.any():
            return {}
        codes, rows = np.unique(self.codes, return_index=True)
        pairs = zip(codes.tolist(), rows.tolist(), strict=True)
        return {self.texts[code]: row for code, row in pairs if code >= 0 and wanted[code]}
