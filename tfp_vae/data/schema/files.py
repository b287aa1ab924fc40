"""Files of mixed tables: text with any delimiter -> cells. One error lists all problems of a file."""

from __future__ import annotations

import csv
import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError
from tfp_vae.data.readers.arrays import name_errors
from tfp_vae.data.readers.tables import (
    BELOW,
    MOST_COLUMNS,
    SEPARATOR_LINE,
    TAB_FILE,
    Header,
    TextFormat,
    fill_names,
    is_number,
    names_columns,
    open_text,
    shorten,
    split_lines,
    warn_about_header,
    warn_about_spare_names,
)
from tfp_vae.data.schema.cells import MARKERS, Cells, list_problems, text_array
from tfp_vae.data.schema.numerals import NO_UNIT, Unit, without_unit

__all__ = ["find_delimiter", "is_header", "read_cells"]

logger = logging.getLogger("tfp_vae")

DELIMITERS = (",", ";", "\t", "|")

SAMPLE = 1 << 16
"""The number of characters at the start of a file that decide on its delimiter."""

BLOCK = 4_096
"""The rows that are turned into columns at once."""

COMMA_NUMBER = re.compile(r"\s*[+-]?\d+,\d+\s*", re.ASCII)


class Row(NamedTuple):
    """A row of a file and its first line, counted from 1."""

    line: int
    cells: list[str]


def read_cells(path: Path, header: Header = "auto", *, is_numbered: bool = False, known: Sequence[str] = ()) -> Cells:
    r"""Return the cells of a table in a text file, plain or gzipped, in UTF-8 or UTF-16.

    Commas, semicolons, tabs or bars separate the cells. The first line names the columns, or the names are 1, 2, 3 and
    so on. If its cells leave a doubt, the choice is logged with the setting that overrides it.

    ```python
    from pathlib import Path

    Path("people.csv").write_text("name;age\nAnn;39\nBob;\n")
    tv.data.schema.files.read_cells(Path("people.csv")).columns[1]  # texts "39" and ""
    ```

    Args:
      path: the file.
      header: whether the first line names the columns. By default, its cells and those below tell.
      is_numbered: whether columns are named by position, because these are new data for a table without names.
      known: names of columns that the table must have, if a schema tells. A first line with one of them is no example.

    Raises:
      DataError: the file is missing, empty or malformed, or its first line has none of the known names. One error
        lists all lines with too few or too many cells.
    """
    with name_errors(path, (UnicodeError,), "table in UTF-8"), open_text(path) as stream:
        sample = stream.read(SAMPLE)
        stream.seek(0)
        excel = SEPARATOR_LINE.match(sample)
        if excel:
            stream.readline()
        delimiter = "\t" if TAB_FILE.search(path.name) else excel[1] if excel else find_delimiter(sample)
        lines = split_lines(stream, delimiter, path, 1 if excel else 0)
        mark = TextFormat.of(path, delimiter).delimiter
        return collect(skip_empty(lines, path), path, header, mark, is_numbered=is_numbered, known=known)


def skip_empty(lines: Iterator[tuple[int, list[str]]], path: Path) -> Iterator[Row]:
    """Yield the rows that have a cell which is not empty, and warn about the others.

    Args:
      lines: the first line of each row, and its cells.
      path: the file, for the warning.
    """
    empty = list[int]()
    for line, cells in lines:
        if any(map(str.strip, cells)):
            yield Row(line, cells)
        elif len(cells) > 1:
            empty.append(line)
    if empty:
        verb = "is" if len(empty) == 1 else "are"
        which = f"{plural(len(empty), 'row')} without any text (first: line {empty[0]}) {verb} left out"
        logger.warning("%s: %s.", path, which)


def find_delimiter(sample: str) -> str:
    r"""Return the delimiter of a table by its first characters.

    It splits every row into the same number of cells. Of several, the one with the most cells wins, but commas in
    all numbers of semicolon-separated cells are decimal marks.

    ```python
    from tfp_vae.data.schema.files import find_delimiter

    find_delimiter("1,5;2,5\n3,5;4,0\n")  # ";"
    ```
    """
    lines = sample.splitlines(keepends=True)
    lines = lines[:-1] if len(sample) == SAMPLE and len(lines) > 1 else lines
    sizes, best = dict[str, float](), DELIMITERS[0]
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(lines[:BELOW], delimiter=delimiter) if row]
        except csv.Error:
            continue
        lengths = [len(row) for row in rows]
        most = max(set(lengths), key=lengths.count, default=0)
        if delimiter == ";" and most > 1 and lengths.count(most) == len(rows):
            commas = [cell for row in rows for cell in row if "," in cell]
            if commas and all(COMMA_NUMBER.fullmatch(without_unit(cell)) for cell in commas):
                return ";"
        sizes[delimiter] = 0 if most < 2 else most * (lengths.count(most) / len(rows)) ** 4
        if sizes[delimiter] > sizes.get(best, 0):
            best = delimiter
    return best


def collect(
    rows: Iterator[Row], path: Path, header: Header, delimiter: str, *, is_numbered: bool, known: Sequence[str] = ()
) -> Cells:
    """Return the rows of a table as columns.

    Args:
      rows: from the first one on.
      path: the file, for messages.
      header: whether the first row names the columns.
      delimiter: the mark between cells, for the record.
      is_numbered: whether columns are named by position.
      known: names of columns that the table must have.
    """
    first = next(rows, Row(0, []))
    if not first.cells or len(first.cells) > MOST_COLUMNS:
        raise DataError(f"{path}: expected a table with 1 to {MOST_COLUMNS:,} columns, found {len(first.cells)}.")
    below = list(itertools.islice(rows, BELOW))
    wider = header != "no" and all(len(row.cells) == len(first.cells) + 1 for row in below)
    if wider and any(row.cells[-1].strip() for row in below):
        first = Row(first.line, ["", *first.cells])  # as R writes tables, in which the names of rows have no name
    head = [cell.strip() for cell in first.cells]
    if known and header == "auto" and not is_numbered:
        header = check_names(head, known, path)
    kind = decide(header, head, [row.cells for row in below], path, is_numbered=is_numbered)
    is_named = kind == "yes" and not is_numbered
    names = fill_names(head) if is_named else [str(i) for i in range(1, len(head) + 1)]
    if is_named and not known:
        warn_about_spare_names(head, names, path)
    start = below if kind == "yes" else [first, *below]
    columns, lines, problems = split_columns(itertools.chain(start, rows), len(names))
    repeated = {name: names.count(name) for name in names if names.count(name) > 1}
    problems[:0] = [f"{count} columns are named {name!r}" for name, count in repeated.items()]
    if problems:
        raise list_problems(str(path), problems, "Correct the file.")
    if not lines:
        raise DataError(f"{path}: expected a row for each example, found only the names of the columns.")
    return Cells(str(path), tuple(names), columns, np.array(lines), header=kind, delimiter=delimiter)


def check_names(head: Sequence[str], known: Sequence[str], path: Path) -> Literal["yes"]:
    """Return `yes` if the first line of a table names a known column.

    Raises:
      DataError: it names none.
    """
    if set(fill_names(head)) & set(known):
        return "yes"
    raise DataError(
        f"{path}: expected the names of columns in the first line ({shorten(known)}), found {shorten(head)}.",
        remedy="Correct the names, or add a line of names above it if it is an example.",
    )


def split_columns(rows: Iterator[Row], count: int) -> tuple[tuple[np.ndarray, ...], list[int], list[str]]:
    """Return the columns of rows, the line of each row, and the problems of rows that lack cells or have too many.

    Args:
      rows: the examples.
      count: the number of columns.
    """
    parts: list[list[np.ndarray]] = [[] for _ in range(count)]
    lines, problems = list[int](), list[str]()
    for block in batches(rows):
        whole = list[list[str]]()
        for line, cells in block:
            kept = cells if any(map(str.strip, cells[count:])) else cells[:count]  # the line may end with delimiters
            if len(kept) == count:
                whole.append(kept)
                lines.append(line)
            else:
                problems.append(f"line {line}: expected {plural(count, 'cell')}, found {len(cells)}")
        for part, texts in zip(parts, zip(*whole, strict=True), strict=False):
            part.append(text_array(texts))
    joined = []
    for part in parts:
        joined.append(np.concatenate(part) if part else text_array([]))
        part.clear()  # so that only one column is held twice
    return tuple(joined), lines, problems


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """Yield rows in lists of up to 4,096."""
    while block := list(itertools.islice(rows, BLOCK)):
        yield block


def decide(
    header: Header, first: Sequence[str], below: Sequence[Sequence[str]], path: Path, *, is_numbered: bool
) -> Literal["yes", "no"]:
    """Return `yes` or `no` for the first line of a table, and warn if its cells leave a doubt.

    Args:
      header: the setting.
      first: the cells of the first line.
      below: the cells of lines below it.
      path: the file, for the warning.
      is_numbered: whether these are new data for a table without names.
    """
    if header != "auto":
        return header
    found = is_header(first, below)
    has_numbers = any(map(has_number, first)) or not any(has_number(cell) for row in below for cell in row)
    if has_numbers and below:
        warn_about_header(found, first, path, is_numbered)
    return "yes" if found else "no"


def is_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first line of a table names the columns, judged by its cells and those below.

    A word above a column of numbers is a name. Otherwise, names differ from all words below them, and a number with a
    unit is no name if cells below it have the same unit.

    ```python
    from tfp_vae.data.schema.files import is_header

    is_header(["city", "size"], [["Rome", "big"], ["Oslo", "big"]])  # True
    is_header(["Rome", "big"], [["Paris", "big"], ["Oslo", "small"]])  # False, because words repeat and names do not
    ```

    Args:
      first: the cells of the first line.
      below: the cells of lines below it.
    """
    if any(map(is_number, first)):
        return names_columns(first, below)
    rows = [row for row in below if len(row) == len(first)]
    columns = [[row[i].strip() for row in rows] for i in range(len(first))]
    for name, cells in zip(first, columns, strict=True):
        present = [cell for cell in cells if cell.lower() not in MARKERS]
        if name.lower() not in MARKERS and present and not has_number(name) and all(map(has_number, present)):
            return True  # a name above numbers
    units = [Unit.find([name, *cells]) for name, cells in zip(first, columns, strict=True) if has_number(name)]
    if any(unit != NO_UNIT for unit in units):
        return False  # because names of columns hardly have the unit of their cells
    return any(first) and not any(name and name in cells for name, cells in zip(first, columns, strict=True))


def has_number(cell: str) -> bool:
    """Return whether a cell holds a number, with or without a unit."""
    return is_number(cell) or is_number(without_unit(cell))
