"""Tables of numbers in CSV files: columns by name, one of them a label, missing values as NaN.

`read_csv` reads the tables of `sources`, and `csv_bytes` writes embeddings and scores. Each reads or writes the other's
files without changing a digit. Numbers are float64 until they are scaled.
"""

from __future__ import annotations

import csv
import io
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfp_vae.core.errors import DataError
from tfp_vae.data.readers.arrays import name_errors

__all__ = ["DELIMITERS", "MISSING", "Columns", "csv_bytes", "find_column", "labels_from_text", "read_csv"]

logger = logging.getLogger("tfp_vae")

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts of a missing value, in small letters."""

DELIMITERS = (",", ";", "\t")

MOST_COLUMNS = 1 << 20
"""The most columns of a table."""


class Columns(NamedTuple):
    """The columns of a table.

    x: the features, float64 [N, M].
    y: the labels [N], if there is a label column.
    names: the names of the M features.
    """

    x: np.ndarray
    y: np.ndarray | None
    names: tuple[str, ...]


def read_csv(
    path: Path, *, columns: Sequence[str] | None = None, label_column: str | None = None, label_optional: bool = False
) -> Columns:
    r"""Read a table of numbers with one row per example and one column per feature.

    The first line names the columns. If it holds only numbers, the names are 1, 2, 3 and so on. Commas, semicolons or
    tabs divide the cells, whichever the first line has most of. An empty cell, NA, NaN, null, none or a question mark
    is a missing value.

    ```python
    from pathlib import Path

    from tfp_vae.data.readers.tables import read_csv

    Path("flowers.csv").write_text("length,width,kind\n5.1,3.5,setosa\n7.0,NA,versicolor\n")
    read_csv(Path("flowers.csv"), label_column="kind")  # x [2, 2] with a NaN, y of texts, names ("length", "width")
    ```

    Args:
      path: the file, in UTF-8.
      columns: the features, in this order. By default all columns but the labels.
      label_column: the column of labels, which are numbers or texts.
      label_optional: whether that column may be absent.

    Raises:
      DataError: the file is missing, empty or not a table, a column does not exist, or a cell is not a number.
    """
    malformed = (csv.Error, UnicodeError)
    with name_errors(path, malformed, "CSV file in UTF-8"), path.open(encoding="utf-8-sig", newline="") as stream:
        first = stream.readline()  # which decides the delimiter, because later lines may have commas in quotes
        stream.seek(0)
        reader = csv.reader(stream, delimiter=max(DELIMITERS, key=first.count), strict=True)
        rows: Iterator[tuple[int, list[str]]] = ((reader.line_num, row) for row in reader if row)
        line, head = next(rows, (0, []))
        if not head or len(head) > MOST_COLUMNS:
            raise DataError(f"{path}: expected a table with 1 to {MOST_COLUMNS:,} columns, found {len(head)}.")
        header = [cell.strip() for cell in head]
        if not any(parse_number(cell) is None for cell in head):
            header, rows = [str(i + 1) for i in range(len(head))], itertools.chain([(line, head)], rows)
        if label_optional and label_column not in header:
            label_column = None
        wanted = tuple(columns) if columns else tuple(name for name in header if name != label_column)
        places = [find_column(header, name, path) for name in wanted]
        label = None if label_column is None else find_column(header, label_column, path)
        x, labels = read_rows(rows, header, places, label, path)
    return Columns(x, None if label is None else labels_from_text(labels), wanted)


def read_rows(
    rows: Iterator[tuple[int, list[str]]], header: Sequence[str], places: Sequence[int], label: int | None, path: Path
) -> tuple[np.ndarray, list[str]]:
    """Return the numbers of a table, [N, M], and its labels as texts. An error names the line and the column.

    Args:
      rows: line numbers and cells.
      header: the names of all columns.
      places: the indices of the features.
      label: the index of the labels, if there are any.
      path: the file, for messages.
    """
    x, labels, unlabelled = [], list[str](), list[int]()
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}, line {line}: expected {len(header)} cells, found {len(row)}. Correct that line.")
        try:
            numbers = np.array([float(row[place]) for place in places])  # fast if nothing is missing
        except ValueError:
            cells = {place: parse_number(row[place]) for place in places}
            wrong = next((place for place, number in cells.items() if number is None), None)
            if wrong is not None:
                raise DataError(
                    f"{path}, line {line}: expected a number in column {header[wrong]!r}, found {row[wrong][:40]!r}. "
                    "Correct it, or to train on these data, choose features with `columns` and name the label with "
                    "`label_column`."
                ) from None
            numbers = np.array([cells[place] for place in places], np.float64)
        x.append(numbers)
        if label is not None:
            labels.append(row[label].strip())
            unlabelled.extend([] if labels[-1] else [line])
    if not x:
        raise DataError(f"{path}: expected a line of numbers for each example, found only the names of the columns.")
    if unlabelled:
        many = "1 row has" if len(unlabelled) == 1 else f"{len(unlabelled):,} rows have"
        text = "%s: %s no label, the first on line %d. Such rows form a class of their own."
        logger.warning(text, path, many, unlabelled[0])
    return np.array(x, np.float64).reshape(len(x), len(places)), labels


def parse_number(cell: str) -> float | None:
    """Return the number in a cell, NaN if it is missing, or None if the cell is something else."""
    text = cell.strip()
    try:
        return float("nan") if text.lower() in MISSING else float(text)
    except ValueError:
        return None


def find_column(names: Sequence[str], name: str, source: Path | str) -> int:
    """Return the index of a column.

    Args:
      names: the names of all columns.
      name: the column.
      source: the table's name in messages.

    Raises:
      DataError: there is no such column, or more than one.
    """
    if names.count(name) != 1:
        found = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise DataError(
            f"{source}: expected one column named {name!r}, found {names.count(name)} among {found}. Check the name."
        )
    return names.index(name)


def labels_from_text(labels: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return labels as whole numbers if all are written as such, else as texts.

    No two labels become one, and none changes. For example, 02130 stays a text, and so do 1_0 and 1.0.

    Args:
      labels: as they stand in a file.

    Returns:
      int64 [N], or texts [N] if one label is a text or a number beyond 64 bits.
    """
    texts = np.array(labels)
    try:
        numbers = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return texts
    return numbers if numbers.astype(np.str_).tolist() == texts.tolist() else texts


def csv_bytes(columns: Mapping[str, np.ndarray]) -> bytes:
    """Return columns as a CSV file in UTF-8, with numbers that are read back unchanged.

    Args:
      columns: names, and arrays [N] of numbers or texts.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()
