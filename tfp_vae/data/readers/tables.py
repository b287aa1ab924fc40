"""Tables of numbers in CSV files: columns by name, one of them a label, missing values as NaN.

`read_csv` reads the tables of `sources`, and `csv_blocks` writes embeddings and scores. Each reads or writes the
other's files without changing a digit. Numbers are float64 until they are scaled.
"""

from __future__ import annotations

import csv
import io
import itertools
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TextIO, TypeAlias, cast, final

import numpy as np
import pydantic

from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError, one_line, suggest
from tfp_vae.core.registry import BaseRecord
from tfp_vae.data.readers.arrays import name_errors, open_plain, read_at_most
from tfp_vae.data.readers.words import WordsFound, describe_columns, join_names, name_setting

__all__ = [
    "COMMAS",
    "DELIMITERS",
    "MISSING",
    "Columns",
    "Header",
    "TextFormat",
    "choose_columns",
    "csv_blocks",
    "find_column",
    "find_columns",
    "labels_from_objects",
    "labels_from_text",
    "names_columns",
    "read_csv",
]

logger = logging.getLogger("tfp_vae")

Header: TypeAlias = Literal["auto", "yes", "no"]
"""Whether the first line of a table names its columns. `auto` judges by its cells."""

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts of a missing value, in small letters."""

DELIMITERS = (",", ";", "\t")

ROWS_AT_ONCE = 10_000
"""Rows that are written at once, because a Python object for each cell of a long table would need much memory."""

MOST_COLUMNS = 1 << 20
"""The most columns of a table."""

TAB_FILE = re.compile(r"\.(tsv|tab)(\.gz)?$", re.IGNORECASE)
"""The names of files in which tabs separate the cells."""

UTF16 = (b"\xff\xfe", b"\xfe\xff")
"""The first bytes of a text in UTF-16, as Excel writes it."""

SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""The first line by which Excel tells the delimiter."""

MOST_UNPACKED = 1 << 30
"""The most bytes of a gzipped table, unpacked."""

BELOW = 100
"""The number of lines below the first that tell whether it holds names."""

FEW_NAMES, MANY_NAMES = 3, 8
"""The fewest columns whose names may be 0, 1, 2, and the fewest for other evenly spaced numbers, such as years."""


class Columns(NamedTuple):
    """The columns of a table.

    x: the features, float64 [N, M].
    y: the labels [N], if there is a label column.
    names: the names of the M features.
    lines: the first line of each row in the file [N]. The first line of the file is 1.
    label: the name of the label column, if there is one.
    header: whether the first line was read as names, or `auto` if it could be nothing else.
    delimiter: the mark between cells, see `TextFormat`.
    """

    x: np.ndarray
    y: np.ndarray | None
    names: tuple[str, ...]
    lines: np.ndarray
    label: str | None
    header: Header
    delimiter: str = ","


@final
class TextFormat(BaseRecord):
    """The marks in a table of text.

    delimiter: the mark between cells. A file whose name tells that it is a tab has a comma here, because files of other
      names have no tabs for this reason.
    decimal: the decimal mark of numbers.
    """

    delimiter: Annotated[str, pydantic.Field(pattern=r"^[^\"\r\n]$")] = ","
    decimal: Literal[".", ","] = "."

    @classmethod
    def of(cls, path: Path, delimiter: str) -> TextFormat:
        """Return the format of a file in which a mark separates cells."""
        return COMMAS if TAB_FILE.search(path.name) else cls(delimiter=delimiter)

    def of_file(self, path: Path) -> TextFormat:
        """Return the format for a file whose name may decide on the mark between cells."""
        return TextFormat(delimiter="\t", decimal=self.decimal) if TAB_FILE.search(path.name) else self

    def write(self, value: object) -> object:
        """Return a number as text with the decimal mark, and any other value unchanged."""
        return repr(value).replace(".", self.decimal) if isinstance(value, float) else value

    def __str__(self) -> str:
        marks = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
        decimals = " and numbers have decimal commas" if self.decimal == "," else ""
        return f"{marks.get(self.delimiter, repr(self.delimiter))} separate cells{decimals}"


COMMAS = TextFormat()
"""The marks of programs: commas between cells, and decimal points."""


def read_csv(
    path: Path,
    *,
    columns: Sequence[str] | None = None,
    label_column: str | None = None,
    drop_columns: Sequence[str] | None = None,
    header: Header = "auto",
    again: bool = False,
) -> Columns:
    r"""Read a table of numbers with one row per example and one column per feature.

    The first line names the columns, or the names are 1, 2, 3 and so on. If its cells leave a doubt, the choice is
    logged with the setting that overrides it. Commas, semicolons or tabs separate the cells, whichever is most frequent
    in the first line. Only tabs separate them in a `.tsv` or `.tab` file. An empty cell, NA, NaN, null, none or a
    question mark is a missing value.

    ```python
    from pathlib import Path

    from tfp_vae.data.readers.tables import read_csv

    Path("flowers.csv").write_text("length,width,kind\n5.1,3.5,setosa\n7.0,NA,versicolor\n")
    read_csv(Path("flowers.csv"), label_column="kind")  # x [2, 2] with a NaN, y of texts, names ("length", "width")
    ```

    Args:
      path: the file, in UTF-8, plain or gzipped.
      columns: the features, in this order, see `choose_columns`. By default all columns but the labels.
      label_column: the column of labels, which are numbers or texts.
      drop_columns: columns that are not features.
      header: whether the first line names the columns. By default, its cells and those below tell.
      again: whether these are new data for a run. Then the column of labels may be absent, the first line must name
        the columns of a run that has names, and columns without names are found by position.

    Raises:
      DataError: the file is missing, empty or not a table, a column does not exist, or a cell is not a number.
    """
    with name_errors(path, (UnicodeError,), "CSV file in UTF-8"), open_text(path) as stream:
        first = stream.readline()  # which decides the delimiter, because later lines may have commas in quotes
        excel = SEPARATOR_LINE.match(first)
        if not excel:
            stream.seek(0)
        delimiter = "\t" if TAB_FILE.search(path.name) else excel[1] if excel else max(DELIMITERS, key=first.count)
        rows = split_lines(stream, delimiter, path, 1 if excel else 0)
        line, head = next(rows, (0, []))
        if not head or len(head) > MOST_COLUMNS:
            raise DataError(f"{path}: expected a table with 1 to {MOST_COLUMNS:,} columns, found {len(head)}.")
        names, below = [cell.strip() for cell in head], list(itertools.islice(rows, BELOW))
        is_chosen = header == "no" and not again
        is_numbered = again and columns is not None and header == "no"
        if again and columns is not None:
            header = judge_new(header, columns, names, [row for _, row in below], path)
        elif any(map(is_number, names)):
            header = decide_header(header, names, [row for _, row in below], path, again)
        full = [row for _, row in below if len(row) == len(head)]
        rows = itertools.chain([(line, head)] if header == "no" else [], below, rows)
        given = names
        names = [str(i + 1) for i in range(len(head))] if header == "no" or is_numbered else fill_names(given)
        if again and label_column not in names:
            label_column = None
        places, label = choose_columns(names, columns, label_column, path, None if again else drop_columns)
        if not again and header != "no":
            warn_about_spare_names([given[place] for place in places], [names[place] for place in places], path)
        if is_chosen and looks_like_names([head[place] for place in places], [[r[i] for i in places] for r in full]):
            logger.warning(MAY_BE_NAMES, path, shorten(head))
        try:
            x, labels, lines = read_rows(rows, names, places, label, path, again)
        except DataError as error:
            if isinstance(error.__cause__, WordsFound):
                error.__cause__.header = header
            raise
    y, label_name = (None, None) if label is None else (labels_from_text(labels), names[label])
    mark = TextFormat.of(path, delimiter).delimiter
    return Columns(x, y, tuple(names[place] for place in places), lines, label_name, header, mark)


def split_lines(stream: TextIO, delimiter: str, path: Path, before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line of each row, counted from 1, and its cells. Empty lines are left out.

    Args:
      stream: open at the first row.
      delimiter: the mark between cells.
      path: the file, for messages.
      before: the number of lines before the first row.

    Raises:
      DataError: a quote is not closed, or a cell is too long.
    """
    reader, first = csv.reader(stream, delimiter=delimiter, strict=True), before + 1
    try:
        for row in reader:
            if row:
                yield first, row
            first = before + reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}, line {first}: not a readable CSV file, because the cells of this row cannot be told apart "
            f"({one_line(error)}).",
            remedy="Check its quotes. A quote within quotes is doubled.",
        ) from error


def fill_names(names: Sequence[str]) -> list[str]:
    """Return names of columns with `column_1` for the first column if it has none, and so on."""
    taken = set(names)
    return [name or next(free for free in spare_names(i) if free not in taken) for i, name in enumerate(names, 1)]


def warn_about_spare_names(given: Sequence[str], names: Sequence[str], path: Path) -> None:
    """Print the names of columns that have none in the file.

    Args:
      given: the names in the file.
      names: from `fill_names`.
      path: the file, for the warning.
    """
    chosen = [name for name, own in zip(names, given, strict=True) if not own]
    if chosen:
        count, verb = plural(len(chosen), "column"), "is" if len(chosen) == 1 else "are"
        advice = "To choose a name, write it into the first line"
        logger.warning("%s: %s without a name %s called %s. %s.", path, count, verb, shorten(chosen), advice)


def spare_names(place: int) -> Iterator[str]:
    """Yield names for a column without one."""
    yield f"column_{place}"
    yield from (f"column_{place}_{i}" for i in itertools.count(2))


def decide_header(
    header: Header, first: Sequence[str], below: Sequence[Sequence[str]], path: Path, again: bool = False
) -> Header:
    """Return `yes` or `no` for a first line with numbers, and warn if nobody chose.

    Args:
      header: the setting.
      first: the cells of the first line.
      below: the cells of lines below it.
      path: the file, for the warning.
      again: whether these are new data for a run, which have no settings.
    """
    if header != "auto":
        return header
    is_header = names_columns(first, below)
    warn_about_header(is_header, first, path, again)
    return "yes" if is_header else "no"


def warn_about_header(is_header: bool, first: Sequence[str], path: Path, again: bool) -> None:
    """Warn that the first line of a table leaves a doubt, with the advice to override the choice.

    Args:
      is_header: whether it was read as names.
      first: the cells of the first line.
      path: the file, for the warning.
      again: whether these are new data for a run, which have no settings.
    """
    text, advice = HEADER_FOUND if is_header else NO_HEADER_FOUND
    logger.warning(f"{text} {advice[again]}", path, shorten(first))


def judge_new(
    header: Header, columns: Sequence[str], first: Sequence[str], below: Sequence[Sequence[str]], path: Path
) -> Header:
    """Return whether the first line of new data for a run names the columns, or `no` if it holds an example.

    Args:
      header: of the run's own data. `no` if they had no names, so that columns are found by position.
      columns: the names of the run's features.
      first: the cells of the first line.
      below: the cells of lines below it.
      path: the file, for messages.

    Raises:
      DataError: the file lacks columns of the run.
    """
    is_header, trained = names_columns(first, below), f"the run was trained on the columns {shorten(columns)}"
    if header == "no":
        if max(map(int, columns)) > len(first):
            raise DataError(
                f"{path}: {trained} of a table without names, found {len(first)} columns.",
                remedy="Add the missing columns, in the same order.",
            )
        if is_header:
            logger.warning(POSITIONS, path, shorten(first))
        return "yes" if is_header else "no"
    missing = [name for name in columns if name not in fill_names(first)]
    if missing and not is_header:
        raise DataError(
            f"{path}: {trained}, but the first line ({shorten(first)}) is read as an example.",
            remedy="Add a first line that names the columns.",
        )
    if missing:
        raise DataError(
            f"{path}: {trained}. The first line ({shorten(first)}) is read as names and has no {shorten(missing)}.",
            remedy="Correct the names, or add a line of names above it if it is an example.",
        )
    return "yes"


HEADER_FOUND = (
    "%s: the first line (%s) is read as the names of the columns.",
    ("Set `header=no` if it is an example.", "If it is an example, add a line of names above it."),
)
"""The warning about a first line of names, with the advice for the data of a run and for new data."""

NO_HEADER_FOUND = (
    "%s: the first line (%s) is read as an example, and the columns are named 1, 2, 3 and so on.",
    ("Set `header=yes` if it names the columns.", "If it names the columns, remove it."),
)
"""The warning about a first line with an example, with the advice for the data of a run and for new data."""

MAY_BE_NAMES = (
    "%s: the first line (%s) has empty cells or words above numbers, as names of columns do. Set `header=yes` if it "
    "names the columns."
)

POSITIONS = (
    "%s: the first line (%s) is read as names. Columns are matched by position, because the run was trained on a table "
    "without names."
)


def open_text(path: Path) -> TextIO:
    """Open a table for reading, unpacked within a limit if it is gzipped. Its first bytes tell UTF-16 from UTF-8.

    Raises:
      DataError: it unpacks to more than 2^30 bytes.
    """
    stream = open_plain(path)
    if not isinstance(stream, io.BufferedReader):
        with stream:
            content = read_at_most(stream, MOST_UNPACKED + 1)
        if len(content) > MOST_UNPACKED:
            many = f"{path}: expected at most {MOST_UNPACKED:,} bytes once unpacked, found more. Save it as .npy."
            raise DataError(many)
        stream = io.BufferedReader(cast("io.RawIOBase", io.BytesIO(content)))
    encoding = "utf-16" if stream.peek(2)[:2] in UTF16 else "utf-8-sig"
    return io.TextIOWrapper(stream, encoding=encoding, newline="")


def names_columns(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first line of a table holds names, judged by its cells and those below.

    Texts above numbers are names. Numbers are usually an example, because a lost row is worse than a row too many.
    But they are names if they count the columns, as 0, 1, 2 or 1, 2, 3 do. Of many columns, any evenly spaced whole
    numbers are names.

    ```python
    from tfp_vae.data.readers.tables import names_columns

    names_columns(["0", "1", "2"], [["0.5", "1.5", "0"]])  # True
    names_columns(["5.1", "3.5", "setosa"], [["4.9", "3.0", "setosa"]])  # False
    ```

    Args:
      first: the cells of the first line.
      below: the cells of lines below it.
    """
    texts = [i for i, cell in enumerate(first) if parse_number(cell) is None]
    numbers = [cell for cell in first if is_number(cell)]
    if not numbers:
        return bool(texts)
    rows = [row for row in below if len(row) == len(first)]
    if any(is_number(row[i]) for row in rows for i in texts):
        return True
    if any(row[i].strip() == first[i] for row in rows for i in texts):
        return False  # because labels repeat, and names do not
    spaced, start = spacing(numbers)
    series = sum(spacing(row)[0] == spaced for row in rows)
    if not spaced or (series and 2 * series >= len(rows)):
        return False  # because the rows are windows of a series, and so is the first line
    counts = spaced == 1 and start in (0, 1) and len(numbers) >= FEW_NAMES
    return counts or len(numbers) >= MANY_NAMES or (bool(texts) and len(numbers) > 1)


def looks_like_names(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a cell of the first line is no number, but every cell below it is one.

    Args:
      first: the cells of the first line.
      below: the cells of lines below it.
    """
    gaps = [i for i, cell in enumerate(first) if not is_number(cell)]
    return bool(below) and any(all(is_number(row[i]) for row in below) for i in gaps)


def is_number(cell: str) -> bool:
    """Return whether a cell holds a number that is not missing."""
    number = parse_number(cell)
    return number is not None and not math.isnan(number)


def spacing(cells: Sequence[str]) -> tuple[int, int]:
    """Return the step and the start of whole numbers that rise in equal steps, or (0, 0) for other cells."""
    if len(cells) < 2 or not all(cell.strip().isdecimal() and len(cell.strip()) < 10 for cell in cells):
        return 0, 0
    numbers = [int(cell) for cell in cells]
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    return (steps.pop(), numbers[0]) if len(steps) == 1 and min(steps) > 0 else (0, 0)


def read_rows(
    rows: Iterable[tuple[int, list[str]]],
    header: Sequence[str],
    places: Sequence[int],
    label: int | None,
    path: Path,
    again: bool = False,
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return the numbers of a table, [N, M], its labels as texts, and the line of each row.

    An error names the line and the column.

    Args:
      rows: line numbers and cells.
      header: the names of all columns.
      places: the indices of the features.
      label: the index of the labels, if there are any.
      path: the file, for messages.
      again: whether these are new data for a run, which must have its columns.
    """
    x, labels, lines, unlabelled = list[np.ndarray](), list[str](), list[int](), list[int]()
    for line, row in rows:
        if len(row) != len(header):
            expected = plural(len(header), "cell")
            raise DataError(f"{path}, line {line}: expected {expected}, found {len(row)}. Correct that line.")
        picked = [row[place] for place in places]
        try:
            if "_" in "".join(picked):
                raise ValueError
            numbers = np.array(list(map(float, picked)))  # fast if nothing is missing
        except ValueError:
            cells = {place: parse_number(row[place]) for place in places}
            wrong = next((place for place, number in cells.items() if number is None), None)
            if wrong is not None:
                features, rest = [header[place] for place in places], itertools.chain([row], (row for _, row in rows))
                setting = name_setting("drop_columns", join_names([header[wrong]]))
                missing = name_setting("missing", join_names([row[wrong].strip()[:40]]))
                choices = f", set {missing} if it marks a missing cell, or leave out the column with {setting}."
                words = WordsFound(describe_columns(header, rest, parse_number, before=len(x), features=features))
                raise (None if again else words.error(path, features)) or DataError(
                    f"{path}, line {line}: expected a number in column {header[wrong]!r}, found {row[wrong][:40]!r}. "
                    f"Correct it{'.' if again else choices}"
                ) from words
            numbers = np.array([cells[place] for place in places], np.float64)
        x.append(numbers)
        lines.append(line)
        if label is not None:
            labels.append(row[label].strip())
            unlabelled.extend([] if labels[-1] else [line])
    if not x:
        raise DataError(f"{path}: expected a line of numbers for each example, found only the names of the columns.")
    warn_about_labels(path, [f"on line {line}" for line in unlabelled])
    return np.array(x, np.float64).reshape(len(x), len(places)), labels, np.array(lines)


def warn_about_labels(source: Path | str, places: Sequence[str]) -> None:
    """Warn about rows without a label, if there are any.

    Args:
      source: the table's name in messages.
      places: where each of them is, such as `on line 3`.
    """
    if places:
        many = "1 row has" if len(places) == 1 else f"{len(places):,} rows have"
        text = "%s: %s no label, the first %s. Such rows form a class of their own, except for `condition`."
        logger.warning(text, source, many, places[0])


def parse_number(cell: str) -> float | None:
    """Return the number in a cell, NaN if it is missing, or None if the cell is something else, such as 1_0."""
    text = cell.strip()
    if "_" in text:
        return None  # because Python would read 1_0 as 10
    try:
        return float("nan") if text.lower() in MISSING else float(text)
    except ValueError:
        return None


def choose_columns(
    names: Sequence[str],
    columns: Sequence[str] | None,
    label_column: str | None,
    source: Path | str,
    drop: Sequence[str] | None = None,
) -> tuple[list[int], int | None]:
    """Return the indices of the features, and that of the labels if there are any.

    ```python
    from tfp_vae.data.readers.tables import choose_columns

    choose_columns(["id", "x1", "x2", "kind"], ["x*"], "-1", "t.csv")  # ([1, 2], 3)
    choose_columns(["id", "x1", "x2", "kind"], None, "-1", "t.csv", drop=["id"])  # ([1, 2], 3)
    ```

    Args:
      names: the names of all columns.
      columns: the features, in this order, see `find_columns`. By default all columns but the labels.
      label_column: the labels, by name or position, see `find_column`.
      source: the table's name in messages.
      drop: columns that are not features, see `find_columns`.

    Raises:
      DataError: there is no such column, or more than one of that name, or no feature is left.
    """
    label = None if label_column is None else find_column(names, label_column, source)
    dropped = find_columns(names, drop or (), source)
    if columns:
        places = find_columns(names, columns, source, without=label)
    else:
        places = [i for i in range(len(names)) if i != label]
        repeated = [] if len(set(names)) == len(names) else [names[i] for i in places if i not in dropped]
        find_columns(names, repeated, source)  # refuses a name that occurs twice
    places = [place for place in places if place not in dropped]
    if not places:
        raise DataError(f"{source}: expected at least one column to learn from, found none left of {shorten(names)}.")
    return places, label


def find_columns(
    names: Sequence[str], wanted: Sequence[str], source: Path | str, without: int | None = None
) -> list[int]:
    """Return the indices of columns by name, position or wildcard. `*` means any text and `?` one character.

    Args:
      names: the names of all columns.
      wanted: the columns, in this order.
      source: the table's name in messages.
      without: the index of a column that no wildcard selects. A wildcard does not select a column twice either.

    Raises:
      DataError: there is no such column, or more than one of that name.
    """
    places = list[int]()
    for name in wanted:
        if name in names or not set(name) & {"*", "?"}:
            places.append(find_column(names, name, source))
            continue
        pattern = name.replace("[", "[[]")
        found = [i for i, each in enumerate(names) if fnmatchcase(each, pattern) and i != without and i not in places]
        if not found:
            raise DataError(f"{source}: expected columns like {name!r}, found none among {shorten(names)}.")
        places.extend(found)
    return places


def find_column(names: Sequence[str], name: str, source: Path | str) -> int:
    """Return the index of a column.

    Args:
      names: the names of all columns.
      name: the column, or its position. Position 1 is the first column and -1 the last. If columns have whole numbers
        as names, only -1, -2 and so on are positions.
      source: the table's name in messages.

    Raises:
      DataError: there is no such column, or more than one.
    """
    if name not in names and re.fullmatch(r"-?[1-9]\d{0,6}", name):
        place, is_numbered = int(name), any(each.isdecimal() for each in names)
        if 1 <= abs(place) <= len(names) and (place < 0 or not is_numbered):
            return place - 1 if place > 0 else len(names) + place
    if names.count(name) != 1:
        remedy = "Rename one of them." if name in names else suggest(name, names).strip() or "Check the name."
        raise DataError(
            f"{source}: expected one column named {name!r}, found {names.count(name) or 'none'} among "
            f"{shorten(names)}. {remedy}"
        )
    return names.index(name)


def shorten(names: Sequence[str]) -> str:
    """Return the first twelve names, divided by commas."""
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


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


def labels_from_objects(labels: np.ndarray, source: str) -> np.ndarray:
    """Return labels in memory as those of a CSV file: missing ones are empty texts, with a warning.

    Args:
      labels: Python objects [N], such as texts, numbers, None and NA.
      source: their name in messages.
    """
    texts = np.where([is_missing(label) for label in labels], "", labels.astype(str))
    warn_about_labels(source, [f"in row {row} (counted from 0)" for row in np.flatnonzero(texts == "")])
    return labels_from_text(texts)


def is_missing(label: object) -> bool:
    """Return whether an object marks a missing label: None, NaN, or pandas' NA or NaT. Texts never do."""
    return not isinstance(label, str) and str(label).lower() in {"none", "nan", "<na>", "nat"}


def csv_blocks(columns: Mapping[str, np.ndarray], *, header: bool = True, form: TextFormat = COMMAS) -> Iterator[bytes]:
    """Yield columns as a CSV file in UTF-8, in blocks of rows, with numbers that are read back unchanged.

    The text of a long table may need more memory than its numbers, so it never exists as a whole.

    Args:
      columns: names, and arrays [N] of numbers or texts.
      header: whether the first line holds the names.
      form: the marks between cells and in numbers.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=form.delimiter, lineterminator="\n")
    if header:
        writer.writerow(columns)
    for start in range(0, max(map(len, columns.values()), default=0) or 1, ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        cells: Iterable[list[object]] = (column[part].tolist() for column in columns.values())
        if form.decimal != ".":
            cells = ([form.write(cell) for cell in column] for column in cells)
        writer.writerows(zip(*cells, strict=True))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
