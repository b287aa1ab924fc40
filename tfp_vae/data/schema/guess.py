"""Guesses: the kind of each column of a table, judged by its cells and its name, with the reason in words."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import pydantic
from typing_extensions import final

from tfp_vae.core.display import list_names, plural
from tfp_vae.core.errors import UsageError, suggest
from tfp_vae.core.registry import BaseRecord, check_keywords
from tfp_vae.core.supports import LARGEST_EXACT
from tfp_vae.data.readers.roles import LABEL_WORDS, words_of
from tfp_vae.data.readers.tables import Header, find_column, find_columns
from tfp_vae.data.readers.words import join_names, name_setting
from tfp_vae.data.schema.cells import Cells, Distinct, list_problems
from tfp_vae.data.schema.columns import KINDS, LEVEL_KINDS, MODELLED, NUMBER_KINDS, Column, Kind
from tfp_vae.data.schema.dates import date_text, find_formats, parse_date
from tfp_vae.data.schema.layout import Schema, misfits, split_texts
from tfp_vae.data.schema.numerals import NO_UNIT, NOTATIONS, PLAIN, Notation, Style, Unit, without_unit
from tfp_vae.data.schema.spikes import find_spikes
from tfp_vae.data.schema.suspicious import Tally, find_suspicious

__all__ = ["Overrides", "guess_schema", "guess_values", "notices", "revise", "split_kinds"]

T = TypeVar("T")

MOST_LEVELS = 100
"""The most words of a category in a table of any size."""

LARGE_LEVELS = 1_000
"""The most words of a category if each occurs ten times on average."""

FEW_CODES = 12
"""The most different whole numbers that are levels in order."""

LITTLE = 0.8
"""Whole numbers whose variance is below this part of their mean vary less than counts."""

MOST_CODES = 32
"""The most different whole numbers that are levels in order because they vary less than counts."""

LEAST_OF_EACH = 5
"""Each level of whole numbers occurs at least this many times on average."""

MOST_LOSS = 0.1
"""Nats per cell that a log-normal may fit worse than a normal, because it keeps positive numbers positive."""

LARGEST_COUNT = 100_000
"""Whole numbers up to this one are counts."""

FEWEST_ROWS = 4
"""The fewest rows of a table with an index or an id."""

NUMBERS_MOSTLY = 0.9
"""If at least this share of the cells are numbers or dates, a word among them is a mistake."""

ID_WORDS = frozenset({"id", "ids", "uuid", "guid", "identifier", "key", "index", "rownames"})

CATEGORY_WORDS = frozenset({"code", "type", "kind", "zone", "group", "cluster", "category", "species", *LABEL_WORDS})
"""Words in the names of columns whose whole numbers have no order."""

DATE_WORDS = frozenset({"date", "day", "dt"})
"""Words in the names of columns whose eight digits are dates."""

FIRST_WORDS = frozenset({"no", "n", "false", "f", "off", "absent", "negative", "none", "0"})
"""Words that come first in a column of two words, in small letters."""

CHOSEN = "chosen by you"
"""The reason of a kind that the user chose."""

DOUBTED = ", although"
"""The words before the other format in the reason of a date that fits two."""

SCALES = (
    ("low", "medium", "high"),
    ("low", "moderate", "high"),
    ("small", "medium", "large"),
    ("xxs", "xs", "s", "m", "l", "xl", "xxl"),
    ("mild", "moderate", "severe"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("very poor", "poor", "fair", "average", "good", "very good", "excellent"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("very low", "low", "medium", "high", "very high"),
    ("bronze", "silver", "gold", "platinum"),
    ("first", "second", "third", "fourth", "fifth"),
)
"""Words in order, in small letters. A column of at least three of them is ordinal."""


def split_kinds(value: T) -> T | dict[str, str]:
    """Return texts such as `age=count,size=ordinal` as a mapping, and anything else unchanged."""
    pairs = split_texts(value)
    if not isinstance(pairs, list | tuple):
        return value
    found = dict[str, str]()
    for pair in pairs:
        name, equals, kind = str(pair).rpartition("=")
        if not equals or not name or kind not in KINDS:
            raise UsageError(
                f"expected a column and its kind, such as age=count, found {pair!r}. Kinds are {', '.join(KINDS)}."
                f"{suggest(kind, KINDS)}"
            )
        found[name] = kind
    return found


Texts = Annotated[tuple[str, ...], pydantic.BeforeValidator(split_texts)]

Kinds = Annotated[Mapping[str, Kind], pydantic.BeforeValidator(split_kinds)]


@final
class Overrides(BaseRecord):
    """Your choices about a table, which come before any guess.

    column: the kinds of columns by name, with wildcards, or text such as `age=count,size=ordinal`.
    drop_columns: columns to leave out, by name, position or wildcard.
    id_column: columns that name the rows.
    missing: texts that mark missing cells, such as `-200`.
    header: whether the first line of a file names the columns.

    ```python
    tv.data.schema.Overrides(column="age=count,pay*=positive", missing="-200")
    ```

    Raises:
      UsageError: a kind is unknown.
    """

    column: Kinds = pydantic.Field(default_factory=dict)
    drop_columns: Texts = ()
    id_column: Texts = ()
    missing: Texts = ()
    header: Header = "auto"

    def kinds(self, names: Sequence[str], source: str) -> dict[str, Kind]:
        """Return the kinds that the user chose for some of the columns of a table.

        Args:
          names: the names of all columns.
          source: the table's name in messages.

        Raises:
          DataError: there is no such column.
        """
        chosen = dict[str, Kind]()
        for name, kind in self.column.items():
            chosen.update({names[place]: kind for place in find_columns(names, [name], source)})
        chosen.update({names[find_column(names, name, source)]: "id" for name in self.id_column})
        chosen.update({names[place]: "dropped" for place in find_columns(names, self.drop_columns, source)})
        return chosen


class Numbers(NamedTuple):
    """The texts of a column as numbers.

    notation: their notation.
    values: the number in each text, or NaN.
    share: the share of cells with a number.
    unit: the text around each of them.
    """

    notation: Notation
    values: np.ndarray
    share: float
    unit: Unit = NO_UNIT


class Guess(NamedTuple):
    """The kind of a column, the reason, and the settings that the kind needs."""

    kind: Kind
    reason: str
    settings: Mapping[str, object] = {}


@check_keywords
def guess_schema(cells: Cells, overrides: Overrides | None = None) -> Schema:
    """Return the schema of a table. Every guess has its reason in the column.

    ```python
    from tfp_vae.data.schema.cells import Cells, text_array

    columns = [text_array(["39", "50", ""]), text_array(["yes", "no", "yes"])]
    schema = tv.data.schema.guess_schema(Cells("people", ("age", "member"), tuple(columns), np.arange(3)))
    [column.kind for column in schema.columns]  # ["count", "binary"]
    ```

    Args:
      cells: the texts of the table.
      overrides: your choices, which come before any guess.

    Raises:
      DataError: cells do not fit their columns. One error lists all problems.
    """
    return guess_values(cells, overrides or Overrides())[0]


def guess_values(cells: Cells, overrides: Overrides) -> tuple[Schema, np.ndarray]:
    """Return the schema of a table, and its cells as numbers, float64 [N, C] for C modelled columns.

    Both take one pass over each column.

    Args:
      cells, overrides: see `guess_schema`.
    """
    chosen = overrides.kinds(cells.names, cells.source)
    commas = any(has_comma_decimals(column) for column in cells.columns) or cells.delimiter == ";"
    columns, problems, tallies, values = list[Column](), dict[str, str](), dict[str, Tally](), list[np.ndarray]()
    for name, texts in zip(cells.names, cells.columns, strict=True):
        hint = cells.hints.get(name, {})
        found = Distinct.of(texts, overrides.missing, get_words(hint, "levels") or get_words(hint, "words"))
        guess = Judge(name, found, len(cells.lines), commas, hint).guess(chosen.get(name))
        column = Column(
            name=name,
            kind=guess.kind,
            reason=guess.reason,
            missing=overrides.missing,
            share_missing=found.share_missing,
            **guess.settings,
        )
        column, tally = with_range(column, found, cells, problems)
        columns.append(column)
        if column.is_modelled:
            values.append(found.spread(tally.values))
        if column.kind in NUMBER_KINDS:
            tallies[name] = tally
    if problems:
        setting = name_setting("column", join_names([f"{next(iter(problems))}=category"]))
        remedy = "Correct these cells, set `missing` to the texts of missing cells, or choose a kind, such as"
        raise list_problems(cells.source, list(problems.values()), f"{remedy} {setting}.")
    schema = Schema(columns=tuple(mark_suspicious(columns, tallies)), header=cells.header)
    return schema, np.stack(values, axis=1) if values else np.empty((len(cells.lines), 0))


def revise(schema: Schema, cells: Cells, overrides: Overrides) -> Schema:
    """Return a schema with the user's choices for a table.

    Args:
      schema: the schema of this table or of another one.
      cells: the texts of the table.
      overrides: the choices. The kind of a column that has one is replaced, with all its settings.

    Raises:
      DataError: there is no such column, or its cells do not fit the kind.
    """
    chosen = overrides.kinds(cells.names, cells.source)
    columns, problems = {column.name: column for column in schema.columns}, dict[str, str]()
    if overrides.missing:
        for name in columns.keys() & set(cells.names):
            columns[name] = with_missing(columns[name], overrides.missing, cells, problems)
    if problems:
        raise list_problems(cells.source, list(problems.values()), "Correct these cells, or change the schema.")
    if chosen:
        places = [place for place, name in enumerate(cells.names) if name in chosen]
        names, texts = tuple(cells.names[i] for i in places), tuple(cells.columns[i] for i in places)
        fresh = Overrides(column=chosen, missing=overrides.missing)
        revised = guess_schema(cells._replace(names=names, columns=texts), fresh)
        columns.update({column.name: column for column in revised.columns})
    return schema.model_copy(update={"columns": tuple(columns.values())})


def with_missing(column: Column, missing: Sequence[str], cells: Cells, problems: dict[str, str]) -> Column:
    """Return a column with more texts that mark missing cells, and the range of the other cells.

    Args:
      column: the column.
      missing: the texts.
      cells: the table that has it.
      problems: gets the cells that the column cannot hold.
    """
    column = column.model_copy(update={"missing": tuple(dict.fromkeys((*column.missing, *missing)))})
    found = column.distinct(cells.column(column.name))
    column = column.model_copy(update={"share_missing": found.share_missing, "suspicious": ()})
    return with_range(column, found, cells, problems)[0]


def get_words(hint: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Return the `levels` that the source of a column knows, or the `words` that do not mark missing cells."""
    levels = hint.get(name, ())
    return tuple(map(str, levels)) if isinstance(levels, list | tuple) else ()


def has_comma_decimals(column: np.ndarray) -> bool:
    """Return whether the numbers of a column have decimal commas that cannot be thousands separators."""
    found = Distinct.of(column[:1_000]).texts
    comma, point = NOTATIONS[:2]
    if not found or not any("," in text for text in found):
        return False
    return not np.isnan(comma.parse_all(found)).any() and bool(np.isnan(point.parse_all(found)).any())


def with_range(column: Column, found: Distinct, cells: Cells, problems: dict[str, str]) -> tuple[Column, Tally]:
    """Return a column with the range of its numbers, and enter the cells that it cannot hold as its problem."""
    if not column.is_modelled:
        return column, Tally(np.empty(0), np.empty(0))
    values = column.numbers(found.texts)
    for problem in misfits(column, found, values, cells):
        problems[column.name] = problem
    if column.kind not in LEVEL_KINDS and np.isfinite(values).any():
        column = column.model_copy(update={"low": float(np.nanmin(values)), "high": float(np.nanmax(values))})
    return column, Tally(values, found.counts)


@final
class Judge:
    """The evidence about a column.

    Args:
      name: its name.
      found: its different texts.
      rows: the number of rows of the table.
      commas: whether a comma is more likely a decimal mark than a mark of thousands.
      hint: settings that the source of the table knows.
    """

    def __init__(self, name: str, found: Distinct, rows: int, commas: bool, hint: Mapping[str, object]) -> None:
        self.name, self.found, self.rows, self.commas, self.hint = name, found, rows, commas, hint
        self.words = set(words_of(name))

    def guess(self, chosen: Kind | None) -> Guess:
        """Return the kind of the column.

        Args:
          chosen: the kind that the user chose, or None.
        """
        texts = self.found.texts
        if chosen is not None and (chosen not in MODELLED or len(texts) > 1):
            return Guess(chosen, CHOSEN, self.settings(chosen))
        if len(texts) < 2:
            cells = "observed cell" if self.found.share_missing else "cell"
            reason = f"every {cells} has the same value" if texts else "every cell is missing"
            return Guess("constant", reason, {"levels": tuple(texts)})
        for kind in KINDS:
            if kind == self.hint.get("kind"):
                return Guess(kind, str(self.hint["reason"]), self.settings(kind))
        if self.forms:
            return self.guess_date()
        return self.guess_number() if self.numbers.share >= NUMBERS_MOSTLY else self.guess_words()

    @property
    def is_unique(self) -> bool:
        """Whether all rows have a cell, and no two the same."""
        return len(self.found.texts) == self.rows >= FEWEST_ROWS

    @functools.cached_property
    def numbers(self) -> Numbers:
        """The texts as numbers in the notation that fits most cells, with a unit if few are numbers without one."""
        plain, unit = self.read(NO_UNIT), Unit.find(self.found.texts)
        if plain.share >= NUMBERS_MOSTLY or unit == NO_UNIT:
            return plain
        return max(plain, self.read(unit), key=lambda each: each.share)

    def read(self, unit: Unit) -> Numbers:
        """Return the texts as numbers with a unit, in the notation that fits most cells."""
        counts, texts = self.found.counts, unit.strip_all(self.found.texts)
        others = sorted(NOTATIONS, key=lambda notation: (notation.decimal == ",") != self.commas)
        best = Numbers(PLAIN, np.full(len(counts), np.nan), 0.0, unit)
        for notation in (PLAIN, *others):
            values = notation.parse_all(texts)
            share = float(counts[np.isfinite(values)].sum()) / max(1, int(counts.sum()))
            if share > best.share:
                best = Numbers(notation, values, share, unit)
            if share == 1:
                break
        return best

    @property
    def varies_little(self) -> bool:
        """Whether the variance of whole numbers is so far below their mean that no likelihood of counts fits."""
        counts = self.found.counts
        mean = float(np.average(self.numbers.values, weights=counts))
        variance = float(np.average((self.numbers.values - mean) ** 2, weights=counts))
        return variance < LITTLE * mean

    @functools.cached_property
    def forms(self) -> list[str]:
        """The formats of dates that fit all cells, or the one that fits most if the others are mistakes.

        Eight digits are a date if the column's name says so.
        """
        if self.numbers.share < 1:
            return find_formats(self.found.texts, NUMBERS_MOSTLY)
        if not self.words & DATE_WORDS or any(len(text) != 8 for text in self.found.texts):
            return []
        fits = all(parse_date(text, "%Y%m%d") is not None for text in self.found.texts)
        return ["%Y%m%d"] if fits else []

    def settings(self, kind: Kind) -> dict[str, object]:
        """Return the settings that a kind needs for the cells of this column."""
        texts = self.found.texts
        if kind in LEVEL_KINDS:
            return {"levels": get_words(self.hint, "levels") or order_levels(texts)}
        if kind == "constant":
            return {"levels": tuple(texts[:1])}
        if kind == "date":
            form = str(self.hint["format"] if "format" in self.hint else [*self.forms, "%Y-%m-%d"][0])
            return {"format": form, "padded": has_two_digits(texts, form)}
        if kind not in NUMBER_KINDS:
            return {}
        notation, values, _, unit = self.numbers
        numerals = zip(unit.strip_all(texts), values.tolist(), strict=True)
        style = Style.of([text for text, value in numerals if np.isfinite(value)], notation)
        marks = {"decimal": notation.decimal, "thousands": notation.thousands, **unit._asdict()}
        return {**style._asdict(), **marks, **({"spikes": self.spikes} if kind == "count" else {})}

    @functools.cached_property
    def spikes(self) -> tuple[int, ...]:
        """The frequent values of a column of counts."""
        values, counts = self.numbers.values, self.found.counts
        whole = (values >= 0) & (values == np.rint(values)) & (values < LARGEST_EXACT)
        numbers, places = np.unique(values[whole], return_inverse=True)
        return find_spikes(Tally(numbers, np.bincount(places, counts[whole], len(numbers)).astype(int)))

    def guess_date(self) -> Guess:
        """Return the guess for dates."""
        doubt = f"{DOUBTED} {self.forms[1]} fits too" if len(self.forms) > 1 else ""
        return Guess("date", f"dates or times of the format {self.forms[0]}{doubt}", self.settings("date"))

    def guess_number(self) -> Guess:
        """Return the guess for numbers."""
        values = self.numbers.values[np.isfinite(self.numbers.values)]
        low, high, span = values.min(), values.max(), f"from {values.min():g} to {values.max():g}"
        span += f" with the unit {self.numbers.unit}" if self.numbers.unit != NO_UNIT else ""
        guess = self.guess_whole(values, span) if (values == np.rint(values)).all() else None
        if guess is not None:
            return guess
        if len(values) == len(self.found.texts) == 2:
            return Guess("binary", "two different numbers", self.settings("binary"))
        if low > 0 and high >= 2 * low:
            if self.varies_by_factors:
                return Guess("positive", f"numbers {span}, all above 0", self.settings("positive"))
            return Guess("real", f"numbers {span}, which a normal fits better than a log-normal", self.settings("real"))
        return Guess("real", f"numbers {span}", self.settings("real"))

    @property
    def varies_by_factors(self) -> bool:
        """Whether a log-normal fits positive numbers as well as a normal, or nearly.

        The mean log-density of numbers with the geometric mean g is -log(g s) + constant under the best log-normal,
        where s is the standard deviation of their logarithms. Under the best normal, their own deviation is in place
        of g s. A value near 0 makes s large, and a model of such logarithms then predicts absurdly large means.
        """
        finite = np.isfinite(self.numbers.values)
        values, weights = self.numbers.values[finite], self.found.counts[finite]
        x, log_x = values / values.max(), np.log(values) - np.log(values.max())
        center, log_center = np.average(x, weights=weights), np.average(log_x, weights=weights)
        spread = np.sqrt(np.average((x - center) ** 2, weights=weights))
        log_spread = np.sqrt(np.average((log_x - log_center) ** 2, weights=weights))
        return bool(np.exp(log_center) * log_spread <= np.exp(MOST_LOSS) * spread)

    def guess_whole(self, values: np.ndarray, span: str) -> Guess | None:
        """Return the guess for whole numbers, or None if only their size matters.

        Args:
          values: the different numbers.
          span: their range in words.
        """
        low, high, size = values.min(), values.max(), len(values)
        if self.is_unique and size == self.rows and (np.diff(values[self.found.codes]) == 1).all():
            return Guess("index", "it counts the rows")
        if self.words & ID_WORDS and (self.is_unique or size > max(20, self.rows / 10)):
            return Guess("id", "whole numbers under the name of an id")
        levels = self.guess_codes(values, span)
        if levels is not None:
            return levels
        if size > 2 and 2 * low <= high <= LARGEST_COUNT and low >= 0:
            shown = [f"{value}" for value in self.spikes]
            often = f", often {list_names(shown)}" if shown else ""
            return Guess("count", f"whole numbers {span}{often}", self.settings("count"))
        return None

    def guess_codes(self, values: np.ndarray, span: str) -> Guess | None:
        """Return the guess for few whole numbers that are levels, or None.

        Args:
          values, span: see `guess_whole`.
        """
        low, high, size = values.min(), values.max(), len(values)
        if low < 0 or not 2 < size == len(self.found.texts) or self.found.counts.sum() < LEAST_OF_EACH * size:
            return None
        if size <= FEW_CODES and high - low <= 2 * FEW_CODES:
            if self.words & CATEGORY_WORDS:
                reason = f"{size} different whole numbers under the name of a category"
                return Guess("category", reason, self.settings("category"))
            if low >= 1:
                return Guess("ordinal", f"{size} different whole numbers {span}", self.settings("ordinal"))
        if size <= MOST_CODES and high - low <= 2 * size and self.varies_little:
            reason = f"{size} different whole numbers {span}, which vary less than counts"
            return Guess("ordinal", reason, self.settings("ordinal"))
        return None

    def guess_words(self) -> Guess:
        """Return the guess for words."""
        texts, size, total = self.found.texts, len(self.found.texts), int(self.found.counts.sum())
        if size == 2:
            return Guess("binary", "two different words", self.settings("binary"))
        if self.is_unique or (self.words & ID_WORDS and size > max(20, self.rows / 10)):
            return Guess("id", "a different word in every row" if self.is_unique else "words under the name of an id")
        if scale_of(texts):
            return Guess("ordinal", f"{size} words in order", self.settings("ordinal"))
        if (size <= MOST_LEVELS and 2 * size <= max(20, total)) or size <= min(LARGE_LEVELS, total / 10):
            return Guess("category", f"{size} different words", self.settings("category"))
        return Guess("dropped", f"text with {size:,} different words in {total:,} cells")


def scale_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the scale that holds all of at least three words, or an empty tuple."""
    small = {text.lower() for text in texts}
    fitting = [scale for scale in SCALES if small <= set(scale) and len(small) == len(texts) >= 3]
    return fitting[0] if fitting else ()


def order_levels(texts: Sequence[str]) -> tuple[str, ...]:
    """Return words in order: numbers by size, a known scale, `no` before `yes`, and else by the alphabet."""
    scale = scale_of(texts)

    def key(text: str) -> tuple[float, str]:
        number = PLAIN.parse(without_unit(text))
        if scale:
            return scale.index(text.lower()), text
        if number is not None:
            return number, text
        return (-np.inf if len(texts) == 2 and text.lower() in FIRST_WORDS else np.inf), text

    return tuple(sorted(texts, key=key))


def has_two_digits(texts: Sequence[str], form: str) -> bool:
    """Return whether dates are written with two digits for days, months and hours."""
    return all((days := parse_date(text, form)) is None or date_text(days, form) == text for text in texts)


def mark_suspicious(columns: Sequence[Column], tallies: Mapping[str, Tally]) -> list[Column]:
    """Return columns with the numbers that may mark missing cells."""
    found = find_suspicious(tallies)
    marked = {name: {"suspicious": tuple(f"{value:g}" for value in values)} for name, values in found.items()}
    return [column.model_copy(update=marked.get(column.name, {})) for column in columns]


def notices(schema: Schema) -> list[str]:
    """Return sentences about the guesses that may be wrong, with the settings that override them.

    ```python
    Column = tv.data.schema.Column
    schema = tv.data.schema.Schema(columns=(Column(name="co", kind="real", suspicious=("-200",)),))
    tv.data.schema.guess.notices(schema)  # "-200 is far from the other values of 1 column ('co'). ..."
    ```

    Args:
      schema: as `guess_schema` returns it.
    """
    texts, values, marks = list[str](), dict[str, list[str]](), dict[str, list[str]]()
    for column in schema.columns:
        for value in column.suspicious:
            values.setdefault(value, []).append(repr(column.name))
        if column.kind == "dropped" and column.reason != CHOSEN:
            setting = name_setting("column", join_names([f"{column.name}=category"]))
            texts.append(f"column {column.name!r} is left out: {column.reason}. Set {setting} to use it.")
        if column.kind == "ordinal" and column.reason == CHOSEN:
            order = list_names(column.levels)
            texts.append(f"the order of column {column.name!r} is {order}. A schema file can change that.")
        if DOUBTED in column.reason:
            texts.append(f"column {column.name!r} has {column.reason}. Change its `format` in a schema file if needed.")
        if column.kind in NUMBER_KINDS and column.notation != PLAIN:
            mark = "decimal commas" if column.decimal == "," else f"{column.thousands!r} as the thousands separator"
            marks.setdefault(mark, []).append(repr(column.name))
    for mark, names in marks.items():
        where = f"{plural(len(names), 'column')} ({list_names(names)})"
        texts.append(f"the numbers of {where} are read with {mark}. A schema file can change that.")
    for value, names in values.items():
        where = f"{plural(len(names), 'column')} ({list_names(names)})"
        remedy = f"If it marks missing cells, set `missing={value}`."
        texts.append(f"{value} is far from the other values of {where}. {remedy}")
    return texts + unit_notices(schema)


def unit_notices(schema: Schema) -> list[str]:
    """Return a sentence about each unit, with the setting that reads the cells as words."""
    found = dict[Unit, list[str]]()
    for column in schema.columns:
        if column.unit != NO_UNIT:
            found.setdefault(column.unit, []).append(column.name)
    texts = list[str]()
    for unit, names in found.items():
        where = f"{plural(len(names), 'column')} ({list_names([repr(name) for name in names])})"
        setting = name_setting("column", join_names([f"{names[0]}=category"]))
        text = f"the cells of {where} are read as numbers with the unit {unit}, such as {unit.wrap('12')}."
        texts.append(f"{text} Set {setting} to read them as words.")
    return texts
