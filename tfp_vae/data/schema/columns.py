"""Columns of a mixed table: their kinds, and the numbers that represent their cells.

A number column holds the number itself, a date the days since 1970-01-01, and a column of words k / (L - 1) for the
k-th of L levels. So every kind has one number per cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias, final

import numpy as np
import pydantic

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import BaseRecord
from tfp_vae.core.supports import LARGEST_EXACT
from tfp_vae.data.schema.cells import Distinct, text_array
from tfp_vae.data.schema.dates import date_text, parse_date
from tfp_vae.data.schema.numerals import NO_UNIT, PLAIN, Notation, Style, Unit

__all__ = ["KINDS", "LEVEL_KINDS", "MODELLED", "NUMBER_KINDS", "Column", "Kind"]

Kind: TypeAlias = Literal[
    "real", "positive", "count", "binary", "category", "ordinal", "date", "id", "index", "constant", "dropped"
]

KINDS: Mapping[Kind, str] = {
    "real": "real numbers",
    "positive": "numbers above 0",
    "count": "whole numbers of at least 0",
    "binary": "one of two words",
    "category": "one of several words without order",
    "ordinal": "one of several words or numbers in order",
    "date": "dates or times",
    "id": "names of rows, which are not modelled",
    "index": "the number of each row, which is not modelled",
    "constant": "one value, which is not modelled",
    "dropped": "a column that is left out",
}
"""The kinds of columns, each with a description."""

NUMBER_KINDS = frozenset[Kind]({"real", "positive", "count"})

LEVEL_KINDS = frozenset[Kind]({"binary", "category", "ordinal"})

MODELLED = NUMBER_KINDS | LEVEL_KINDS | {"date"}
"""The kinds of columns that a model learns."""


@final
class Column(BaseRecord):
    """A column of a mixed table.

    name: its name.
    kind: one of `KINDS`.
    reason: why this kind was chosen.
    levels: the words of a binary, a category or an ordinal, in order, or the only word of a constant.
    format: the format of dates, such as `%Y-%m-%d`.
    decimals: the most decimals of its numbers, or None to write each number in full.
    padded: whether every number has all of the decimals, and every day and month two digits.
    decimal: the decimal mark.
    thousands: the separator between groups of three digits.
    prefix, suffix: the unit before and after each number, such as `$` or `%`.
    missing: texts that mark missing cells, in addition to `cells.MARKERS`, such as an empty cell, NA and NaN.
    low, high: the least and the greatest number, to which decoded numbers are clipped.
    share_missing: the share of missing cells.
    suspicious: numbers that may mark missing cells.
    spikes: counts that are far more frequent than their neighbours. Each gets a probability of its own.

    ```python
    column = tv.data.schema.Column(name="size", kind="ordinal", levels=("S", "M", "L"))
    column.encode(["M", "", "L"])  # [0.5, nan, 1.0]
    column.decode([0.5, 0.9])  # ["M", "L"]
    ```

    Raises:
      UsageError: a binary has other than two levels, levels or spikes repeat, or dates have no format.
    """

    name: str
    kind: Kind
    reason: str = ""
    levels: tuple[str, ...] = ()
    format: str | None = None
    decimals: int | None = None
    padded: bool = True
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    prefix: str = ""
    suffix: str = ""
    missing: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    share_missing: float = 0.0
    suspicious: tuple[str, ...] = ()
    spikes: tuple[Annotated[int, pydantic.Field(ge=0, lt=LARGEST_EXACT)], ...] = ()

    def model_post_init(self, context: object, /) -> None:
        """Check that the settings fit the kind."""
        words = {level.strip() for level in self.levels}
        if self.kind in LEVEL_KINDS and (len(words) != len(self.levels) or len(words) < 2):
            raise UsageError(f"column {self.name!r}: expected at least two different levels, found {self.levels}.")
        if self.kind == "binary" and len(words) != 2:
            raise UsageError(f"column {self.name!r}: expected two levels of a binary, found {len(words)}.")
        if self.kind == "date" and not self.format:
            raise UsageError(f"column {self.name!r}: expected a `format` of dates, such as %Y-%m-%d.")
        if self.decimal == self.thousands:
            raise UsageError(f"column {self.name!r}: expected different marks for `decimal` and `thousands`.")
        if self.unit != NO_UNIT and self.kind not in NUMBER_KINDS:
            raise UsageError(f"column {self.name!r}: expected a `prefix` or `suffix` only around numbers.")
        if self.spikes and (self.kind != "count" or len(set(self.spikes)) < len(self.spikes)):
            raise UsageError(f"column {self.name!r}: expected different counts as `spikes` of a count column.")

    @property
    def is_modelled(self) -> bool:
        """Whether a model learns the column."""
        return self.kind in MODELLED

    @property
    def notation(self) -> Notation:
        """The marks in its numbers."""
        return Notation(self.decimal, self.thousands)

    @property
    def unit(self) -> Unit:
        """The text around its numbers."""
        return Unit(self.prefix, self.suffix)

    @property
    def is_plain(self) -> bool:
        """Whether it holds numbers that are written as programs write them."""
        return self.kind in NUMBER_KINDS and self.notation == PLAIN and self.unit == NO_UNIT

    @property
    def span(self) -> str:
        """Its words, or its least and greatest number, as text."""
        if self.levels:
            return list_names(self.levels)
        if self.low is None or self.high is None:
            return ""
        return " to ".join(self.texts([self.low, self.high]))

    def describe(self) -> dict[str, object]:
        """Return the facts about the column as a JSON object.

        ```python
        tv.data.schema.Column(name="age", kind="count", low=17.0, high=90.0).describe()  # range "17 to 90", ...
        ```
        """
        return {
            "name": self.name,
            "kind": self.kind,
            "reason": self.reason,
            "range": self.span or None,
            "levels": list(self.levels) or None,
            "share_missing": self.share_missing,
            "suspicious": list(self.suspicious),
        }

    def distinct(self, cells: np.ndarray | Sequence[str]) -> Distinct:
        """Return the different texts among cells [N], without the missing ones."""
        words = self.levels if self.kind in LEVEL_KINDS else ()
        return Distinct.of(cells if isinstance(cells, np.ndarray) else text_array(cells), self.missing, words)

    def numbers(self, texts: Sequence[str]) -> np.ndarray:
        """Return the number that represents each text, float64 [N], and NaN for a text that the column cannot hold.

        Args:
          texts: without surrounding spaces.
        """
        if self.kind == "date":
            form = str(self.format)
            return np.array([np.nan if (days := parse_date(text, form)) is None else days for text in texts])
        if self.kind in LEVEL_KINDS:
            return self.places(texts) / (len(self.levels) - 1)
        numbers = self.notation.parse_all(self.unit.strip_all(texts))
        if self.kind == "positive":
            return np.where(numbers > 0, numbers, np.nan)
        is_count = (numbers >= 0) & (numbers == np.rint(numbers))
        return np.where(is_count, numbers, np.nan) if self.kind == "count" else numbers

    def places(self, texts: Sequence[str]) -> np.ndarray:
        """Return the index of the level of each text, or NaN. Levels that are numbers match other spellings."""
        known = {level.strip(): float(place) for place, level in enumerate(self.levels)}
        levels = dict(zip(PLAIN.parse_all(list(known)).tolist(), known.values(), strict=True))

        def place(text: str) -> float:
            number = None if text in known else PLAIN.parse(text)
            return known.get(text, np.nan) if number is None else levels.get(number, np.nan)

        return np.array([place(text) for text in texts])

    def encode(self, cells: np.ndarray | Sequence[str]) -> np.ndarray:
        """Return the numbers of cells, float64 [N]. Missing cells are NaN, and so are those that it cannot hold.

        Args:
          cells: texts [N].
        """
        found = self.distinct(cells)
        return found.spread(self.numbers(found.texts))

    def decode(self, values: np.ndarray | Sequence[float]) -> np.ndarray:
        """Return numbers as texts [N], in the format of the column. NaN becomes an empty text.

        Numbers are rounded to the decimals of the column and clipped to its range.

        Args:
          values: float [N].
        """
        low, high = (-np.inf if self.low is None else self.low, np.inf if self.high is None else self.high)
        numbers = np.clip(np.asarray(values, np.float64), low, high)
        if self.kind == "constant":
            return text_array([self.levels[0] if self.levels else ""] * len(numbers))
        if self.kind in LEVEL_KINDS:
            numbers = np.clip(np.rint(numbers * (len(self.levels) - 1)), 0, len(self.levels) - 1)
        elif self.kind == "count":
            numbers = np.maximum(np.rint(numbers), 0)
        found, places = np.unique(numbers, return_inverse=True)
        known = found[np.isfinite(found)].tolist()
        return text_array([*self.texts(known), *[""] * (len(found) - len(known))])[places]

    def texts(self, numbers: Sequence[float]) -> list[str]:
        """Return the texts of numbers within the range, or of the indices of levels."""
        if self.kind in LEVEL_KINDS:
            return [self.levels[int(number)] for number in numbers]
        if self.kind == "date":
            form, padded = str(self.format), self.padded
            return [date_text(number, form, padded=padded) for number in numbers]
        style, notation = Style(0 if self.kind == "count" else self.decimals, self.padded), self.notation
        return [self.unit.wrap(style.text(number, notation)) for number in numbers]
