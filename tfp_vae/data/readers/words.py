"""Words in a table: which columns hold words instead of numbers, and what to do with each.

`WordsFound` is the cause of the error for a table whose features hold words. It describes every column.
"""

from __future__ import annotations

import csv
import io
import math
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, final

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import DataError

__all__ = ["ColumnFacts", "WordsFound", "describe_columns", "join_names", "name_setting"]

MOST_LISTED = 100
"""The most different words of a column to collect. Columns of labels have fewer."""


MOST_MISTAKES = 0.1
"""The largest share of words in a column of numbers that count as mistakes."""


class ColumnFacts(NamedTuple):
    """Facts about a column of a table.

    name: its name.
    numbers, missing, words: the number of cells of each kind.
    different: the different words, in the order of the file. At most 100 are collected.
    """

    name: str
    numbers: int
    missing: int
    words: int
    different: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """Whether the column holds words. A word among numbers is a mistake instead."""
        return self.words > max(1, self.numbers)

    @property
    def is_class(self) -> bool:
        """Whether the words repeat, as labels do."""
        return self.is_text and 1 < len(self.different) < min(MOST_LISTED, self.words)


@final
class WordsFound(Exception):
    """The cause of the `DataError` for a table whose features hold words.

    Args:
      columns: facts about each column of the table.

    Attributes:
      header: whether the first line of the file was read as names, once that is known.
    """

    def __init__(self, columns: Sequence[ColumnFacts]) -> None:
        super().__init__("the table has words")
        self.columns = tuple(columns)
        self.header: Literal["auto", "yes", "no"] = "auto"

    @property
    def are_columns(self) -> bool:
        """Whether the words of some column are too many to be mistakes, so that the table is a mixed one."""
        return any(column.words > MOST_MISTAKES * (column.numbers + column.words) for column in self.columns)

    def error(self, path: Path, features: Sequence[str]) -> DataError | None:
        """Return the error with the settings that help, or None if no feature is a column of words.

        Args:
          path: the file.
          features: the names of the columns to learn from.
        """
        wrong = [column for column in self.columns if column.is_text and column.name in features]
        if not wrong:
            return None
        names = [column.name for column in wrong]
        which = f"column {names[0]!r} holds" if len(names) == 1 else f"columns {list_names(names)} hold"
        labels = next((column.name for column in wrong if column.is_class), None)
        others = [name for name in names if name != labels]
        steps = [] if labels is None else [name_setting("label_column", labels)]
        steps += [name_setting("drop_columns", join_names(others))] if others else []
        example = wrong[0].different[0][:40]
        return DataError(f"{path}: {which} words, such as {example!r}. Set {' and '.join(steps)}.")


def join_names(names: Iterable[object], separator: str = ",") -> str:
    """Return names as a line of a CSV file, in which double quotes enclose a name that holds the separator."""
    line = io.StringIO()
    csv.writer(line, delimiter=separator, lineterminator="").writerow(names)
    return line.getvalue()


def name_setting(setting: str, value: str) -> str:
    """Return a setting with its value for a message. A value with spaces is quoted, as a shell needs it.

    ```python
    from tfp_vae.data.readers.words import join_names, name_setting

    name_setting("drop_columns", join_names(["id", "mean area"]))  # "`drop_columns='id,mean area'`"
    ```
    """
    return f"`{setting}={shlex.quote(value)}`"


def describe_columns(
    names: Sequence[str],
    rows: Iterable[Sequence[str]],
    parse: Callable[[str], float | None],
    *,
    before: int = 0,
    features: Collection[str] = (),
) -> list[ColumnFacts]:
    """Return facts about each column of a table.

    Args:
      names: the names of the columns.
      rows: the cells of each row. Rows of another length are left out.
      parse: returns the number in a cell, NaN if it is missing, or None for a word.
      before: the number of rows before these, in which all features are numbers.
      features: the names of the features.
    """
    counts = [[before if name in features else 0, 0, 0] for name in names]  # numbers, missing, words
    different: list[dict[str, None]] = [{} for _ in names]
    for row in rows:
        for count, words, cell in zip(counts, different, row if len(row) == len(names) else (), strict=False):
            number = parse(cell)
            count[2 if number is None else int(math.isnan(number))] += 1
            if number is None and len(words) < MOST_LISTED:
                words[cell.strip()] = None
    described = zip(names, counts, different, strict=True)
    return [
        ColumnFacts(name, numbers, missing, found, tuple(words)) for name, (numbers, missing, found), words in described
    ]
