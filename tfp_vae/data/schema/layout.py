"""The layout of a mixed table: its columns in order, and a schema file in TOML that you can edit."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from typing_extensions import Self, final

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import DataError, UsageError, cut, one_line, suggest
from tfp_vae.core.files import write_bytes
from tfp_vae.core.registry import BaseRecord
from tfp_vae.data.readers.arrays import name_errors
from tfp_vae.data.schema.cells import Cells, Distinct, list_problems, text_array
from tfp_vae.data.schema.columns import KINDS, Column
from tfp_vae.data.schema.dates import date_text
from tfp_vae.data.schema.numerals import NO_UNIT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Schema", "misfits", "split_texts"]

T = TypeVar("T")


def split_texts(value: T) -> T | tuple[str, ...]:
    """Return `a,b` as texts, and anything else unchanged. Double quotes enclose a text that holds a comma."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(part.strip() for row in csv.reader(io.StringIO(value, newline=""), strict=True) for part in row)
    except csv.Error as error:
        raise ValueError(f"expected names as in a line of a CSV file ({error})") from error


@final
class Schema(BaseRecord):
    """The columns of a mixed table.

    columns: all of them, in the order of the table.
    header: whether the first line of its file names the columns. If not, columns are found by position.

    ```python
    Column = tv.data.schema.Column
    schema = tv.data.schema.Schema(columns=(Column(name="age", kind="count"), Column(name="id", kind="id")))
    schema.modelled  # the column `age`
    tv.data.schema.Schema.from_toml(schema.to_toml()) == schema  # True
    ```

    Raises:
      UsageError: two columns have one name.
    """

    columns: tuple[Column, ...]
    header: Literal["yes", "no"] = "yes"

    def model_post_init(self, context: object, /) -> None:
        """Check that names are unique."""
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if repeated:
            raise UsageError(f"schema: expected different names of columns, found {repeated[0]!r} twice.")

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The columns that a model learns."""
        return tuple(column for column in self.columns if column.is_modelled)

    @property
    def not_modelled(self) -> tuple[Column, ...]:
        """The columns that a model does not learn, such as ids."""
        return tuple(column for column in self.columns if not column.is_modelled)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that a model learns."""
        return tuple(column.name for column in self.modelled)

    @property
    def decimal(self) -> Literal[".", ","]:
        """The decimal mark of its numbers: a comma if one column has it."""
        return "," if any(column.decimal == "," for column in self.columns) else "."

    def __getitem__(self, name: str) -> Column:
        """Return a column by name."""
        for column in self.columns:
            if column.name == name:
                return column
        near = suggest(name, [column.name for column in self.columns])
        raise UsageError(f"The schema has no column {name!r}.{near}")

    def encode(self, cells: Cells) -> np.ndarray:
        """Return the cells of a table as numbers, float64 [N, C] for C modelled columns. Missing cells are NaN.

        The columns of the table may be in another order, and it may have more of them.

        Raises:
          DataError: columns are absent, or cells do not fit their columns. One error lists all problems.
        """
        absent = [f"there is no column {name!r}" for name in self.names if name not in cells.names]
        values, wrong = np.full((len(cells.lines), len(self.modelled)), np.nan), list[str]()
        for place, column in enumerate(self.modelled):
            if column.name not in cells.names:
                continue
            found = column.distinct(cells.column(column.name))
            numbers = column.numbers(found.texts)
            values[:, place] = found.spread(numbers)
            wrong.extend(misfits(column, found, numbers, cells))
        if absent or wrong:
            remedy = "Correct these cells, or change the schema." if wrong else "Add them. Their cells may be empty."
            raise list_problems(cells.source, [*absent, *wrong], remedy)
        return values

    def decode(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return numbers as texts: an array [N] for each column by name, in the order of the table.

        Words, whole numbers, decimals and dates are written as in the table. Constant columns are included. Ids,
        indices and dropped columns are not.

        Args:
          values: float [N, C] for C modelled columns. NaN becomes an empty text.
        """
        places = {name: place for place, name in enumerate(self.names)}
        if values.ndim != 2 or values.shape[1] != len(places):
            raise UsageError(f"expected values for {len(places)} columns, found shape {values.shape}.")
        decoded = dict[str, np.ndarray]()
        for column in self.columns:
            if column.is_modelled or column.kind == "constant":
                decoded[column.name] = column.decode(values[:, places.get(column.name, 0)])
        return decoded

    def fill(self, cells: Cells, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return all columns of a table with missing cells filled in, by name. Other cells keep every character.

        Missing cells of a constant column get its value.

        Args:
          cells: the table.
          values: float [N, C] for its modelled columns. NaN leaves a cell as it is.
        """
        filled = dict(zip(cells.names, cells.columns, strict=True))
        for place, column in enumerate(self.modelled):
            texts = filled[column.name].copy()
            holes = np.flatnonzero((column.distinct(texts).codes < 0) & np.isfinite(values[:, place]))
            texts[holes] = column.decode(values[holes, place])
            filled[column.name] = texts
        for name, holes in self.constant_holes(cells).items():
            filled[name] = np.where(holes, text_array([self[name].levels[0]]), filled[name])
        return filled

    def constant_holes(self, cells: Cells) -> dict[str, np.ndarray]:
        """Return whether each cell is missing, bool [N], for each constant column that has a value and missing cells.

        Args:
          cells: a table.
        """
        constant = [each for each in self.columns if each.kind == "constant" and each.levels]
        holes = {
            each.name: each.distinct(cells.column(each.name)).codes < 0 for each in constant if each.name in cells.names
        }
        return {name: missing for name, missing in holes.items() if missing.any()}

    def to_toml(self) -> str:
        """Return the schema as the text of a TOML file."""
        head = "# The columns of a table. Kinds are:\n"
        head += "".join(f"#   {kind}: {text}\n" for kind, text in KINDS.items())
        lines = [head, f"header = {toml_text(self.header)}\n"]
        for column in self.columns:
            settings = column.model_dump(exclude_defaults=True)
            lines.append("\n[[columns]]\n")
            lines.extend(f"{name} = {toml_value(value)}\n" for name, value in settings.items() if value is not None)
        return "".join(lines)

    @classmethod
    def from_toml(cls, text: str, source: str = "schema") -> Self:
        """Return the schema in the text of a TOML file.

        Args:
          text: the text.
          source: the file's name in messages.

        Raises:
          DataError: the text is no TOML, or a setting is unknown or wrong.
        """
        try:
            found = tomllib.loads(text)
            columns = found.pop("columns", [])
            if not isinstance(columns, list) or not columns:
                raise UsageError("expected [[columns]], found none.")
            return cls.model_validate({**found, "columns": [as_column(each) for each in columns]})
        except (tomllib.TOMLDecodeError, UsageError) as error:
            raise DataError(f"{source}: {one_line(error)}", remedy="Correct the schema file.") from error

    def save(self, path: Path) -> None:
        """Write the schema as a TOML file."""
        write_bytes(path, self.to_toml().encode())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the schema in a TOML file.

        Raises:
          DataError: the file is missing or malformed.
        """
        with name_errors(path, (UnicodeError,), "schema file in UTF-8"):
            text = path.read_text(encoding="utf-8-sig")
        return cls.from_toml(text, str(path))


def misfits(column: Column, found: Distinct, numbers: np.ndarray, cells: Cells) -> list[str]:
    """Return the problem of a column with texts that it cannot hold, or nothing if it holds all.

    Args:
      column: the column.
      found: its texts.
      numbers: the number of each text, or NaN.
      cells: the table, for the line of each row.
    """
    wrong = found.first_rows(np.isnan(numbers))
    if not wrong:
        return []
    shown = [f"{cut(text, 40)!r} ({cells.unit} {cells.lines[row]})" for text, row in wrong.items()]
    expected = f"one of {list_names(column.levels)}" if column.levels else KINDS[column.kind]
    expected = f"dates such as {date_text(0.0, column.format)}" if column.format else expected
    expected = f"{expected}, written as {column.unit.wrap('12')}" if column.unit != NO_UNIT else expected
    return [f"column {column.name!r}: expected {expected}, found {list_names(shown)}"]


def as_column(settings: Mapping[str, object]) -> Column:
    """Return the column with settings from a file, or raise UsageError that names the column."""
    if not isinstance(settings, Mapping):
        raise UsageError(f"expected the settings of a column, found {settings!r}.")
    try:
        return Column.model_validate(settings)
    except UsageError as error:
        name = repr(settings.get("name", "without a name"))
        raise error if name in str(error) else UsageError(f"column {name}: {error}") from error


def toml_text(text: str) -> str:
    """Return a text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: object) -> str:
    """Return a text, a number, a truth value or texts as TOML writes them."""
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value)
    return f"[{', '.join(map(toml_value, value))}]" if isinstance(value, list | tuple) else str(value)
