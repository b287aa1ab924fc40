"""Tables of numbers in CSV files -> arrays: columns by name, one of them a label, missing values as NaN.

`read_csv` is what `sources` reads a table with, `csv_bytes` what commands write embeddings and scores with; a file
written by the one is read by the other without a changed digit. Python's `csv` does the quoting; numbers are float64
until they are scaled.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from tfp_vae.core.errors import DataError, one_line
from tfp_vae.data.readers.arrays import check_file, not_there

__all__ = ["MISSING", "Columns", "csv_bytes", "find_column", "labels_from_text", "read_csv"]

logger = logging.getLogger("tfp_vae")

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What stands for a value that is not there, in small letters."""

DELIMITERS = (",", ";", "\t")
MOST_COLUMNS = 1 << 20


class Columns(NamedTuple):
    """Rows x, float64 [N, M], their labels y [N] if there is a label column, and the names of the M columns."""

    x: np.ndarray
    y: np.ndarray | None
    names: tuple[str, ...]


def read_csv(
    path: Path, *, columns: Sequence[str] | None = None, label_column: str | None = None, label_optional: bool = False
) -> Columns:
    r"""Read a table of numbers: a row for each example, a column for each feature.

    The first line names the columns unless all it holds are numbers; then they are called 1, 2, 3 and so on. Cells are
    divided by commas, semicolons or tabs, whichever the first line has most of. An empty cell, NA, NaN, null, none or
    a question mark is a missing value.

    ```python
    from pathlib import Path

    from tfp_vae.data.readers.tables import read_csv

    Path("flowers.csv").write_text("length,width,kind\n5.1,3.5,setosa\n7.0,NA,versicolor\n")
    read_csv(Path("flowers.csv"), label_column="kind")  # x [2, 2] with a NaN, y of texts, names ("length", "width")
    ```

    Args:
      path: the file, in UTF-8.
      columns: the features, in this order; all but the label's, in the file's order, if not given.
      label_column: the name of the column that holds labels: numbers or texts.
      label_optional: whether that column may be absent.

    Returns:
      `Columns`: x float64 [N, M], y [N] or None, and M names.

    Raises:
      DataError: a file that is missing, empty or not a table; a column that is not there; a cell that is no number.
    """
    with _reading(path), path.open(encoding="utf-8-sig", newline="") as stream:
        header, rows = _opened(stream, path)
        if label_optional and label_column not in header:
            label_column = None
        wanted = tuple(columns) if columns else tuple(name for name in header if name != label_column)
        places = [find_column(header, name, path) for name in wanted]
        label = None if label_column is None else find_column(header, label_column, path)
        x, labels = _values(rows, header, places, label, path)
    if not len(x):
        raise DataError(f"{path}: expected a line of numbers for each example, found only the names of the columns.")
    return Columns(x, None if label is None else labels_from_text(labels), wanted)


def _opened(stream: TextIO, path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the columns' names, and the rows with their line numbers.

    The delimiter is guessed from the first line alone, so that a comma within a quoted cell further down plays no part.

    Raises:
      DataError: an empty file, or more than 2^20 columns.
    """
    first = stream.readline()
    delimiter = max(DELIMITERS, key=first.count)
    stream.seek(0)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    rows = ((reader.line_num, row) for row in reader if row)
    number, head = next(rows, (0, []))
    if not head or len(head) > MOST_COLUMNS:
        raise DataError(f"{path}: expected a table with 1 to {MOST_COLUMNS:,} columns, found {len(head)}; get it anew.")
    if all(_is_number(cell) for cell in head):
        return [str(i + 1) for i in range(len(head))], _with_first(number, head, rows)
    return [cell.strip() for cell in head], rows


def _with_first(number: int, head: list[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    yield number, head
    yield from rows


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float:
    """Return a cell's number, NaN if it is missing."""
    text = cell.strip()
    return float("nan") if text.lower() in MISSING else float(text)


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


def _values(
    rows: Iterator[tuple[int, list[str]]], header: list[str], places: list[int], label: int | None, path: Path
) -> tuple[np.ndarray, list[str]]:
    """Return the numbers at `places` of each row, [N, M], and the texts at `label`.

    Return the numbers at `places` of each row, [N, M], and the texts at `label`; a wrong cell is named by its line.
    """
    x, labels, unlabelled = [], list[str](), list[int]()
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}, line {line}: expected {len(header)} cells, found {len(row)}; mend that line.")
        x.append(_numbers(row, header, places, f"{path}, line {line}"))
        if label is not None:
            labels.append(row[label].strip())
            unlabelled.extend([] if labels[-1] else [line])
    _warn_of_unlabelled(unlabelled, path)
    return np.array(x, np.float64).reshape(len(x), len(places)), labels


def _warn_of_unlabelled(lines: Sequence[int], path: Path) -> None:
    if lines:
        many = "1 row has" if len(lines) == 1 else f"{len(lines):,} rows have"
        logger.warning("%s: %s no label, the first on line %d; without a label is a class too.", path, many, lines[0])


def _numbers(row: list[str], header: list[str], places: list[int], where: str) -> np.ndarray:
    with suppress(ValueError):
        return np.array([float(row[place]) for place in places])  # fast, where nothing is missing
    try:
        return np.array([_number(row[place]) for place in places])
    except ValueError:
        wrong = next(place for place in places if not _is_number(row[place]))
        raise DataError(
            f"{where}: expected a number in column {header[wrong]!r}, found {row[wrong][:40]!r}. Correct it, "
            "or to train on these data, choose features with `columns` and name the label with `label_column`."
        ) from None


def labels_from_text(labels: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return labels as whole numbers if all are written as such, else as texts.

    So no two labels become one, and none changes: 02130 stays what it is, and so do 1_0 and 1.0.

    Args:
      labels: as they stand in a file.

    Returns:
      int64 [N], or texts [N]; one text among numbers, or one number beyond 64 bits, makes all of them texts.
    """
    texts = np.array(labels)
    try:
        numbers = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return texts
    return numbers if numbers.astype(np.str_).tolist() == texts.tolist() else texts


def csv_bytes(columns: Mapping[str, np.ndarray]) -> bytes:
    """Return columns of one length as a CSV file in UTF-8, numbers written so that they are read back unchanged.

    Args:
      columns: names, and arrays [N] each, of numbers or texts.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a table into a DataError that names it."""
    try:
        check_file(path)
        yield
    except (csv.Error, UnicodeError) as error:
        raise DataError(f"{path}: not a readable CSV file in UTF-8 ({one_line(error)}); save it again.") from error
    except FileNotFoundError as error:
        raise not_there(path) from error
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror or error}).") from error
