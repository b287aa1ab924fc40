"""`read_table`: a mixed table from a file or a DataFrame as a schema, numbers and the original cells."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfp_vae.core.display import list_names, plural
from tfp_vae.core.errors import DataError
from tfp_vae.core.files import user_path
from tfp_vae.core.registry import check_keywords
from tfp_vae.data.readers.tables import TextFormat
from tfp_vae.data.schema.cells import Cells
from tfp_vae.data.schema.files import read_cells
from tfp_vae.data.schema.frames import frame_cells, load_parquet
from tfp_vae.data.schema.guess import Overrides, guess_values, notices, revise
from tfp_vae.data.schema.layout import Schema

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["TABLE_FILES", "Table", "open_cells", "read_table"]

logger = logging.getLogger("tfp_vae")

TABLE_FILES = re.compile(r"\.((csv|tsv|txt|tab)(\.gz)?|parquet)$", re.IGNORECASE)
"""The names of files that hold a mixed table."""


@check_keywords
class Table(NamedTuple):
    """A mixed table.

    schema: the kind of each column.
    values: the numbers of the C modelled columns, float64 [N, C]. Missing cells are NaN.
    ids: the columns that identify the rows, texts [N] each, by name.
    lines: the line of each row in a file of text [N], or its row in another table, counted from 1.
    cells: the original texts of all columns.
    """

    schema: Schema
    values: np.ndarray
    ids: Mapping[str, np.ndarray]
    lines: np.ndarray
    cells: Cells

    @property
    def form(self) -> TextFormat:
        """The marks between its cells and in its numbers, if it is a file of text."""
        return TextFormat(delimiter=self.cells.delimiter, decimal=self.schema.decimal)

    @property
    def id_texts(self) -> dict[str, np.ndarray]:
        """The columns that identify the rows as arrays of text [N], by name."""
        return {name: np.array(column.tolist(), np.str_) for name, column in self.ids.items()}

    @property
    def lines_of_text(self) -> np.ndarray | None:
        """The line of each row if the table is a file of text, or None."""
        return self.lines if self.cells.unit == "line" else None


@check_keywords
def read_table(
    source: str | os.PathLike[str] | DataFrame, *, overrides: Overrides | None = None, schema: Schema | None = None
) -> Table:
    r"""Return a mixed table with numbers for its cells.

    ```python
    from pathlib import Path

    Path("people.csv").write_text("name,age,member\nAnn,39,yes\nBob,,no\nEve,51,yes\nTom,18,no\n")
    table = tv.data.schema.read_table("people.csv")
    table.schema.names, table.values[0]  # ("age", "member"), [39.0, 1.0]
    table.schema.fill(table.cells, np.full((4, 2), 40.4))["age"]  # texts "39", "40", "51" and "18"
    ```

    Args:
      source: a `.csv`, `.tsv`, `.txt`, `.tab` or `.parquet` file, the first four also gzipped, or a DataFrame.
      overrides: your choices, which come before any guess and before `schema`.
      schema: the schema of another table, such as that of a run, or one from a file. By default it is guessed.

    Raises:
      DataError: the file is missing or malformed, or cells do not fit their columns.
    """
    overrides = overrides or Overrides()
    cells = open_cells(source, overrides, schema)
    values: np.ndarray | None = None
    if schema is None:
        schema, values = guess_values(cells, overrides)
        for text in notices(schema):
            logger.warning("%s: %s", cells.source, text)
    else:
        schema = revise(schema, cells, overrides)
    if not schema.modelled:
        raise no_column_error(cells, schema)
    others = [repr(name) for name in cells.names if name not in {column.name for column in schema.columns}]
    if others:
        verb = "is" if len(others) == 1 else "are"
        text = "%s: %s not in the schema and left out: %s."
        logger.warning(text, cells.source, f"{plural(len(others), 'column')} {verb}", list_names(others))
    named = [column.name for column in schema.columns if column.kind in ("id", "index") and column.name in cells.names]
    values = schema.encode(cells) if values is None else values
    return Table(schema, values, {name: cells.column(name) for name in named}, cells.lines, cells)


def no_column_error(cells: Cells, schema: Schema) -> DataError:
    """Return the error for a table without a column that a model can learn.

    Args:
      cells: the table.
      schema: its schema.
    """
    kinds = list_names([f"{column.name!r} ({column.kind})" for column in schema.columns])
    remedy = "Choose a kind for a column, such as `column=NAME=category`."
    if all(column.kind == "constant" for column in schema.columns):
        remedy = "A constant column has the same value in every row, or only missing cells. Add rows that differ."
    elif len(cells.names) == 1:
        remedy = f"Commas, semicolons, tabs or bars separate the cells of a table. {remedy}"
    return DataError(f"{cells.source}: expected a column to learn from, found {kinds}.", remedy=remedy)


def open_cells(source: str | os.PathLike[str] | DataFrame, overrides: Overrides, schema: Schema | None = None) -> Cells:
    """Return the cells of a file or a DataFrame.

    Args:
      source, overrides, schema: see `read_table`.

    Raises:
      DataError: the file is missing, malformed or of another kind.
    """
    if not isinstance(source, str | os.PathLike):
        return frame_cells(source)
    path = user_path(os.fspath(source))
    kind = TABLE_FILES.search(path.name)
    if kind is None:
        expected = "a .csv, .tsv, .txt, .tab or .parquet file"
        raise DataError(f"{path}: expected {expected}, found another name. Save it as one of them.")
    if kind[1].lower() == "parquet":
        return frame_cells(load_parquet(path), str(path))
    if schema is None:
        return read_cells(path, overrides.header)
    return read_cells(path, overrides.header, is_numbered=schema.header == "no", known=schema.names)
