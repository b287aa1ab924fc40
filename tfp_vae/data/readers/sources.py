"""Your own data: a path -> arrays, by a reader for each kind of file or folder.

The name decides on the reader: `READERS` maps patterns of file names to them, and a folder holds images. A reader
checks a file before it allocates memory, and keeps the types of values. Facts that it finds while reading, such as the
columns of a table, go back into the `Reading`, so that new data for a run are read in the same way.

To add a kind of file, write a function that returns a `Source` and enter it in `READERS`.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar, final

import numpy as np
import pydantic

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.files import user_path
from tfp_vae.core.registry import BaseRecord, split_numbers
from tfp_vae.core.supports import FINITE, NOT_INFINITE, Support
from tfp_vae.data.profile import SPLITS
from tfp_vae.data.readers import arrays, images, tables
from tfp_vae.data.readers.images import Background, Channels, SplitFolders
from tfp_vae.data.readers.roles import WHOLE, Assignment, role_of
from tfp_vae.data.readers.tables import COMMAS, Header, TextFormat
from tfp_vae.data.readers.words import WordsFound
from tfp_vae.data.schema.cells import Cells, ProblemsFound
from tfp_vae.data.schema.columns import Column as SchemaColumn
from tfp_vae.data.schema.frames import load_parquet
from tfp_vae.data.schema.guess import Overrides, split_kinds
from tfp_vae.data.schema.layout import Schema, split_texts
from tfp_vae.data.schema.tables import read_table
from tfp_vae.data.transforms.scaling import PIXEL

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = [
    "KINDS",
    "READERS",
    "SCHEMA",
    "WHOLE",
    "Examples",
    "Reader",
    "Reading",
    "Source",
    "check_examples",
    "first_name",
    "from_arrays",
    "from_mixed_table",
    "is_path",
    "read",
    "reader_of",
]

T = TypeVar("T")

logger = logging.getLogger("tfp_vae")

MOST_SIDE = 1 << 14
"""The largest height or width of an image."""


def split_size(value: T) -> T | tuple[str, str]:
    """Return `28` or `28x32` as (height, width), and anything else unchanged."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", value)
    if found is None:
        raise ValueError("expected a height and a width, such as 28x32, or one number for both")
    return found[1], found[2] or found[1]


def split_shape(value: T) -> T | tuple[str, ...]:
    """Return `28`, `28x28` or `32x32x3` as (height, width[, channels]), and anything else unchanged."""
    if not isinstance(value, str):
        return value
    sides = tuple(value.split("x"))
    if not all(map(str.isdecimal, sides)) or len(sides) > 3:
        raise ValueError("expected a height and a width such as 28x28, or 32x32x3 for colours")
    return sides * 2 if len(sides) == 1 else sides


def split_names_of_all(value: object) -> object:
    """Return `a,b` as names, tuples of names from a repeated option as one tuple, and anything else unchanged."""
    if not isinstance(value, list | tuple):
        return split_texts(value)
    return tuple(name for part in value for name in (part if isinstance(part, list | tuple) else (part,)))


def check_kinds(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Return texts such as `age=count`, or raise UsageError if one has no column or no kind."""
    split_kinds(pairs)
    return pairs


def join_roles(value: T) -> T | tuple[str, ...]:
    """Return a mapping of roles to names of arrays as texts such as `x_train=first`, and anything else unchanged."""
    return tuple(f"{role}={name}" for role, name in value.items()) if isinstance(value, Mapping) else value


def check_roles(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """Return texts such as `x_train=first`, or raise UsageError if one has no role or no name."""
    for pair in pairs:
        role, _, name = pair.partition("=")
        if not name or role_of(role) is None:
            example = "x_train=first,y_train=second"
            raise UsageError(f"expected roles of arrays, such as {example}, found {pair!r}")
    return pairs


def as_name(value: T) -> T | str:
    """Return a number as text, because columns may be numbered, and anything else unchanged."""
    return str(value) if isinstance(value, int) else value


def check_fractions(shares: tuple[float, ...]) -> tuple[float, ...]:
    """Return the shares of three splits, or raise UsageError if they do not sum to 1 or leave none for training."""
    found = ",".join(f"{share:g}" for share in shares)
    if len(shares) != len(SPLITS) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise UsageError(f"expected three shares that sum to 1, such as 0.8,0.1,0.1, found {found}")
    if not shares[0]:
        raise UsageError(f"expected a share of training examples above 0, found {found}")
    return shares


Share = Annotated[float, pydantic.Field(ge=0, le=1, allow_inf_nan=False)]

Fractions = Annotated[
    tuple[Share, ...],
    pydantic.AfterValidator(check_fractions),
    pydantic.BeforeValidator(split_numbers),
]
"""The shares of training, validation and test examples, or text such as `0.8,0.1,0.1`."""

Side = Annotated[int, pydantic.Field(gt=0, le=MOST_SIDE)]

Columns = Annotated[tuple[str, ...], pydantic.Field(min_length=1), pydantic.BeforeValidator(split_texts)]
"""The names of the columns of a table to learn from, or text such as `a,b`."""

Names = Annotated[tuple[str, ...], pydantic.Field(min_length=1), pydantic.BeforeValidator(split_names_of_all)]
"""Names from an option that may be repeated, or text such as `a,b`."""

Kinds = Annotated[
    tuple[str, ...],
    pydantic.Field(min_length=1),
    pydantic.AfterValidator(check_kinds),
    pydantic.BeforeValidator(split_names_of_all),
    pydantic.BeforeValidator(join_roles),
]
"""The kinds of columns of a table, such as `age=count`."""

Column = Annotated[str, pydantic.BeforeValidator(as_name)]
"""The name of a column of a table, or its position."""

Arrays = Annotated[
    tuple[str, ...],
    pydantic.Field(min_length=1),
    pydantic.AfterValidator(check_roles),
    pydantic.BeforeValidator(split_texts),
    pydantic.BeforeValidator(join_roles),
]
"""The roles of arrays and their names, or text such as `x_train=first,x_test=second`."""

ImageShape = Annotated[
    tuple[Side, ...], pydantic.Field(min_length=2, max_length=3), pydantic.BeforeValidator(split_shape)
]
"""The height, width and perhaps channels of the images in rows of numbers, or text such as `28x28`."""

Size = Annotated[tuple[Side, Side], pydantic.BeforeValidator(split_size)]
"""The height and width of images in pixels, or text such as `28x32` or `28`."""


Labelled = Annotated[int, pydantic.Field(ge=2, le=1_000_000_000)]
"""A number of examples whose class is known."""

SeedNumber = Annotated[int, pydantic.Field(ge=0, le=2**31 - 1)]
"""A seed."""


@final
class Reading(BaseRecord):
    """How a source is read. A run keeps it, so that new data are read in the same way.

    label_column: the column of a table that holds labels, by name or position. Position 1 is the first, -1 the last.
    columns: the columns that hold features, in this order. `*` and `?` are wildcards. By default all others.
    drop_columns: columns that are not features.
    image_shape: the height, the width and perhaps the channels of images that are stored as rows of numbers.
    header: whether the first line of a table names its columns: `yes`, `no`, or `auto` to judge by its cells.
    arrays: the roles of the arrays in a file, such as `x_train=first`. By default their names tell.
    split_folders: whether folders such as `train` and `test` are splits (`auto`) or classes like others (`classes`).
    resize: the height and width to which images are resized.
    channels: `grey`, `colour`, or `auto` to keep the channels of the images.
    background: the colour behind transparent pixels: `white`, `black`, or `auto` for white with a warning.
    split_fractions: the shares of training, validation and test examples, if the source lacks splits. By default
      0.8, 0.1 and 0.1.
    schema_file: the TOML file with the schema of a mixed table, see `data.schema.Schema`.
    column: the kinds of columns, such as `age=count`. By default their cells tell.
    id_column: the columns that identify rows. They are not features.
    missing: texts or numbers that mark missing cells, in addition to the usual ones.
    condition: the labels or the columns of a table that a conditional model receives, see `data.condition`. They are
      not features.
    labelled: the number of training examples that keep their class of the condition. By default all do.
    labelled_seed: decides which ones.
    table: the schema of a mixed table, once it is known. Other sources have none.

    ```python
    reading = tv.data.readers.sources.Reading(resize="28", channels="grey")  # (28, 28) when validated
    reading.given()  # {"resize", "channels"}
    ```

    Raises:
      UsageError: a key is unknown, there is no column, or a side is outside 1 to 16,384.
    """

    label_column: Column | None = None
    columns: Columns | None = None
    drop_columns: Names | None = None
    image_shape: ImageShape | None = None
    header: Header = "auto"
    arrays: Arrays | None = None
    split_folders: SplitFolders = "auto"
    resize: Size | None = None
    channels: Channels = "auto"
    background: Background = "auto"
    split_fractions: Fractions | None = None
    schema_file: str | None = None
    column: Kinds | None = None
    id_column: Names | None = None
    missing: Names | None = None
    condition: Names | None = None
    labelled: Labelled | None = None
    labelled_seed: SeedNumber = 0
    table: Schema | None = None

    def given(self) -> set[str]:
        """Return the names of the settings that are not at their defaults."""
        return set(self.model_dump(exclude_defaults=True))

    def of_table(self) -> Reading:
        """Return how a table is read, whose columns of the condition identify rows instead of being features.

        The labels are no such column, because they are not features anyway.
        """
        labels = {self.label_column, "label"} if self.label_column is not None else set()
        wanted = [name for name in self.condition or () if name not in labels]
        if not wanted or self.table is not None:
            return self
        return self.model_copy(update={"id_column": tuple(dict.fromkeys([*(self.id_column or ()), *wanted]))})

    @property
    def is_mixed(self) -> bool:
        """Whether a table is read as a mixed one whatever its cells hold, because its schema or a part is given."""
        return self.table is not None or bool(self.given() & SCHEMA)

    @property
    def numbers(self) -> Support:
        """The values that examples may have before scaling: numbers, and in a mixed table also missing cells."""
        return FINITE if self.table is None else NOT_INFINITE


class Examples(NamedTuple):
    """Examples of a source.

    x: the examples [N, *event_shape], in the type of the source.
    y: their labels [N], if there are any.
    names: their names in the source [N], if they have any.
    lines: their line numbers in a file of text [N]. The first line is 1.
    ids: the columns of a table that identify its rows: texts [N] by name.
    form: the marks in a table of text.
    """

    x: np.ndarray
    y: np.ndarray | None
    names: np.ndarray | None = None
    lines: np.ndarray | None = None
    ids: Mapping[str, np.ndarray] = MappingProxyType({})
    form: TextFormat = COMMAS


class Source(NamedTuple):
    """The contents of a source.

    parts: the examples of each split, or under "" if there are no splits.
    reading: how to read more of the same.
    """

    parts: Mapping[str, Examples]
    reading: Reading


OF_ALL = {"split_fractions", "condition", "labelled", "labelled_seed"}
"""The settings of `Reading` that every kind of source takes."""


class Reader(NamedTuple):
    """A kind of file or folder.

    text: the kind in words.
    read: reads a path. Its third argument is whether new data for a run are read.
    takes: the settings of `Reading` that have an effect.
    """

    text: str
    read: Callable[[Path, Reading, bool], Source]
    takes: frozenset[str] = frozenset()


def read(path: Path, reading: Reading | None = None, *, again: bool = False) -> Source:
    """Return the contents of a path, checked for types and shapes.

    ```python
    from pathlib import Path

    np.savez("mine.npz", x_train=np.zeros([8, 3]), x_test=np.ones([2, 3]))
    tv.data.readers.sources.read(Path("mine.npz")).parts["test"].x  # [2, 3], float64 as in the file
    ```

    Args:
      path: a file of a kind in `READERS`, or a folder of images. Text and idx files may be gzipped.
      reading: how it is read.
      again: whether `reading` belongs to a run and these are new data for it. Then labels may be absent, and settings
        for other kinds of files are ignored.

    Returns:
      The examples of each split that the source itself has, [N, M], [N, H, W] or [N, H, W, C], and the completed
      reading.

    Raises:
      DataError: the data are missing or malformed, or tfp_vae does not read this kind of file.
      UsageError: a setting of `reading` has no effect on this kind.
    """
    reading, reader = reading or Reading(), reader_of(path)
    foreign = reading.given() - reader.takes - OF_ALL
    if foreign and not again:
        raise UsageError(f"`{first_name(foreign)}` has no effect on {reader.text}: {path}. Leave it out.")
    defaults = {name: Reading.model_fields[name].default for name in foreign}
    source = shape_images(path, reader.read(path, reading.model_copy(update=defaults), again))
    for examples in source.parts.values():
        check_examples(path, examples)
    return source


def first_name(settings: Collection[str]) -> str:
    """Return the first of some settings of `Reading`, by the name that users give it."""
    return min("schema" if name in ("schema_file", "table") else name for name in settings)


def shape_images(path: str | Path, source: Source) -> Source:
    """Return a source with its rows of numbers as images, if its reading has an `image_shape`.

    Whole numbers from 0 to 255 become 8-bit pixels, whatever type the file gives them.

    Raises:
      DataError: the rows have another number of values.
    """
    shape = source.reading.image_shape
    if shape is None:
        return source
    is_pixels = all(
        examples.x.dtype.kind in "fiu"
        and bool(((examples.x >= 0) & (examples.x <= PIXEL) & (examples.x == np.rint(examples.x))).all())
        for examples in source.parts.values()
    )
    parts = {}
    for name, examples in source.parts.items():
        x = examples.x
        if x.ndim == 2 and x.shape[1] != math.prod(shape):
            raise DataError(
                f"{path}: expected rows of {math.prod(shape)} values for images of {'x'.join(map(str, shape))}, found "
                f"{x.shape[1]}. Name the labels with `label_column`, or leave out columns with `drop_columns`."
            )
        x = x.astype(np.uint8) if is_pixels else x
        parts[name] = examples._replace(x=x.reshape(len(x), *shape) if x.ndim == 2 else x)
    return Source(parts, source.reading)


def reader_of(path: Path) -> Reader:
    """Return the reader for a path. Its name decides, and a folder holds images.

    Raises:
      DataError: nothing is there, or tfp_vae does not read this kind of file.
    """
    if path.is_dir():
        return FOLDER
    kind = next((kind for kind in READERS if re.search(kind, path.name, re.IGNORECASE)), None)
    if kind is None:
        found = "another kind" if path.exists() else "nothing of that name"
        raise DataError(f"{path}: expected {KINDS}, found {found}.", remedy="Convert it or check the path.")
    return READERS[kind]


def is_path(name: str) -> bool:
    """Return whether a name means a path, because something is there or because it looks like a file or folder.

    A name with a folder or a known suffix is a path even if nothing is there, so that the error reports a missing file
    rather than an unknown data set.

    Args:
      name: a name or path that the user wrote.
    """
    path = user_path(name)
    known = any(re.search(kind, path.name, re.IGNORECASE) for kind in READERS)
    return bool(name) and (known or len(path.parts) > 1 or name.endswith(os.sep) or path.exists())


def check_examples(path: str | Path, examples: Examples) -> None:
    """Check that examples are numbers in the shape of vectors or images, each with a label or none.

    Args:
      path: their origin, for messages.
      examples: before scaling.

    Raises:
      DataError: they have another type or shape, or labels of another number.
    """
    x, y = examples.x, examples.y
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: expected an array of numbers, found dtype {x.dtype}.")
    if not 2 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(
            f"{path}: expected an array [examples, features], [examples, height, width] or [examples, height, width, "
            f"channels], found shape {x.shape}."
        )
    if y is not None and y.shape != (len(x),):
        raise DataError(
            f"{path}: expected a label for each of {len(x)} examples, found labels of shape {y.shape}. Pass one number "
            "or text for each."
        )


def from_npy(path: Path, reading: Reading, again: bool) -> Source:
    """Read one array."""
    return Source({WHOLE: Examples(arrays.read_npy(path), None)}, reading)


def from_npz(path: Path, reading: Reading, again: bool) -> Source:
    """Read the arrays whose roles are known, see `from_arrays`. The others are not even unpacked."""
    archive = arrays.Archive(path)
    return from_arrays(str(path), archive.names(), archive.read, reading, again)


def from_arrays(
    source: str,
    names: Sequence[str],
    read: Callable[[Collection[str]], Mapping[str, np.ndarray]],
    reading: Reading,
    again: bool = False,
) -> Source:
    """Return the examples and labels of each split among arrays, and warn about arrays that are not used.

    Args:
      source: where the arrays are, for messages.
      names: the names of all arrays.
      read: returns the arrays of some of these names.
      reading: its `arrays` may give the role of each array. Otherwise the names tell, see `roles.Assignment`.
      again: whether these are new data for a run. Then `arrays` has no effect if they have other names.
    """
    chosen = reading.arrays or ()
    if again and any(pair.partition("=")[2] not in names for pair in chosen):
        chosen = ()
    found, unused = Assignment.of(source, names, chosen)
    if unused:
        advice = "" if again else " Add those you need to `arrays`." if chosen else " Set `arrays` to choose others."
        logger.warning("%s: arrays that are not used: %s.%s", source, ", ".join(unused), advice)
    values = read(set(found.values()))
    parts = {role.split: Examples(values[name], None) for role, name in found.items() if role.kind == "x"}
    labels = {role.split: flat_labels(values[name]) for role, name in found.items() if role.kind == "y"}
    return Source({split: each._replace(y=labels.get(split)) for split, each in parts.items()}, reading)


def flat_labels(y: np.ndarray) -> np.ndarray:
    """Return labels [N] for [N] or [N, 1], and labels of any other shape unchanged."""
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def from_csv(path: Path, reading: Reading, again: bool) -> Source:
    """Read a table, and record its columns, because new data may have them in another order and more of them.

    A table of numbers is read as it is. One with words or missing cells is a mixed table, and so is any table for which
    you give a schema or a part of one.
    """
    reading = reading.of_table()
    if reading.is_mixed:
        return from_mixed_table(path, reading, again)
    only_numbers = again or reading.image_shape is not None
    try:
        source = from_numbers(path, reading, again)
    except DataError as error:
        if only_numbers or not isinstance(error.__cause__, WordsFound):
            raise
        if not error.__cause__.are_columns:
            raise full_error(path, reading, error) from error.__cause__
        return from_mixed_table(path, reading.model_copy(update={"header": error.__cause__.header}))
    is_whole = only_numbers or not np.isnan(source.parts[WHOLE].x).any()
    header = source.reading.header  # so that a warning about the first line is not printed twice
    return source if is_whole else from_mixed_table(path, reading.model_copy(update={"header": header}))


def full_error(path: Path, reading: Reading, error: DataError) -> DataError:
    """Return the error that lists all words among the numbers of a table, or the first one if there are no more.

    Args:
      path: the table.
      reading: how it is read.
      error: the first problem.
    """
    try:
        from_mixed_table(path, reading)
    except DataError as full:
        found = full.__cause__
        return full if isinstance(found, ProblemsFound) and len(found.problems) > 1 else error
    return error


def from_numbers(path: Path, reading: Reading, again: bool) -> Source:
    """Read a table of numbers, in which NaN marks a missing cell.

    Raises:
      DataError: a cell is a word. `WordsFound` is its cause.
    """
    table = tables.read_csv(
        path,
        columns=reading.columns,
        label_column=reading.label_column,
        drop_columns=reading.drop_columns,
        header=reading.header,
        again=again,
    )
    known = {"columns": table.names, "label_column": table.label or reading.label_column, "header": table.header}
    examples = Examples(table.x, table.y, lines=table.lines, form=TextFormat(delimiter=table.delimiter))
    return Source({WHOLE: examples}, reading.model_copy(update=known))


def from_mixed_table(source: Path | DataFrame, reading: Reading, again: bool = False) -> Source:
    """Read a mixed table, and record its schema, so that new data are read in the same way.

    Args:
      source: a file or a DataFrame.
      reading: how it is read. With `table`, the schema is known and the other settings have no effect.
      again: whether these are new data for a run, whose first line may differ.

    Raises:
      UsageError: the rows are to be images.
    """
    if reading.image_shape is not None:
        setting = first_name(reading.given() & (SCHEMA | {"table"}))
        raise UsageError(f"`{setting}` has no effect on rows that are images. Leave out `{setting}` or `image_shape`.")
    known, label = reading.table, reading.label_column
    if known is not None:
        table = read_table(source, overrides=Overrides(header="auto" if again else known.header), schema=known)
    else:
        dropped = (*(reading.drop_columns or ()), *([] if label is None else [label]))
        overrides = Overrides(
            column=reading.column or (),
            drop_columns=dropped,
            id_column=reading.id_column or (),
            missing=reading.missing or (),
            header=reading.header,
        )
        written = None if reading.schema_file is None else Schema.load(user_path(reading.schema_file))
        table = read_table(source, overrides=overrides, schema=written)
    schema, values, cells = table.schema, table.values, table.cells
    if known is None and reading.columns is not None:
        places = tables.find_columns(schema.names, reading.columns, cells.source)
        values, kept = values[:, sorted(places)], {schema.names[place] for place in places}
        columns = (c if c.name in kept or not c.is_modelled else leave_out(c) for c in schema.columns)
        schema = schema.model_copy(update={"columns": tuple(columns)})
    y = None
    if label is not None and (known is None or label in cells.names):
        label = cells.names[tables.find_column(cells.names, label, cells.source)]
        y = read_labels(cells, label)
    examples = Examples(values, y, lines=table.lines_of_text, ids=table.id_texts, form=table.form)
    found = {"table": schema, "columns": schema.names, "label_column": label, "header": schema.header}
    return Source({WHOLE: examples}, reading.model_copy(update=found))


def read_labels(cells: Cells, name: str) -> np.ndarray:
    """Return the labels [N] in a column of a mixed table, with a warning if some are missing."""
    texts = [text.strip() for text in cells.column(name)]
    place = "on line" if cells.unit == "line" else "in row"
    tables.warn_about_labels(
        cells.source, [f"{place} {cells.lines[row]}" for row, text in enumerate(texts) if not text]
    )
    return tables.labels_from_text(texts)


def from_parquet(path: Path, reading: Reading, again: bool) -> Source:
    """Read a Parquet file like a DataFrame, see `from_frame`."""
    reading = reading.of_table()
    if reading.is_mixed:
        return from_mixed_table(path, reading, again)
    return from_frame(load_parquet(path), reading, path, again)


def from_frame(frame: DataFrame, reading: Reading, path: Path | None = None, again: bool = False) -> Source:
    """Return the rows of a DataFrame, and the reading with the names of its columns, as for a CSV file.

    Args:
      frame: one row per example. With other values than numbers, or missing cells, it is a mixed table.
      reading: how it is read.
      path: the file that it comes from, if there is one.
      again: whether these are new data for a run. Then the column of labels may be absent.
    """
    reading = reading.of_table()
    if reading.is_mixed:
        return from_mixed_table(path or frame, reading, again)
    name = "table" if path is None else str(path)
    names, label_column = list(map(str, frame.columns)), reading.label_column
    if again and label_column not in names:
        label_column = None
    dropped = None if again else reading.drop_columns
    places, label = tables.choose_columns(names, reading.columns, label_column, name, dropped)
    features = frame.iloc[:, places]
    is_mixed = any(getattr(kind, "kind", "O") not in "fiub" for kind in features.dtypes)
    if again and is_mixed:
        raise DataError(f"{name}: expected columns of numbers, as the run was trained on. Convert them to numbers.")
    if not again and (is_mixed or bool(features.isna().any(axis=None))) and reading.image_shape is None:
        return from_mixed_table(path or frame, reading)
    y = None
    if label is not None:
        y = frame.iloc[:, label].to_numpy()
        if y.dtype.kind not in "iu":  # float, for example, if one is missing
            y = tables.labels_from_objects(frame.iloc[:, label].astype(object).to_numpy(), name)
    x = features.to_numpy(dtype=np.float64, na_value=np.nan)
    wanted = tuple(names[place] for place in places)
    known = {"columns": wanted, "label_column": reading.label_column if label is None else names[label]}
    return Source({WHOLE: Examples(x, y)}, reading.model_copy(update=known))


def leave_out(column: SchemaColumn) -> SchemaColumn:
    """Return a column that is not modelled, because it is not among the columns to learn from."""
    return column.model_copy(update={"kind": "dropped", "reason": "not among the columns to learn from"})


def from_amat(path: Path, reading: Reading, again: bool) -> Source:
    """Read rows of 0s and 1s."""
    return Source({WHOLE: Examples(arrays.read_amat(path), None)}, reading)


def from_idx(path: Path, reading: Reading, again: bool) -> Source:
    """Read images, and labels from a file next to them that is named like MNIST's, gzipped or not.

    For example, `train-labels-idx1-ubyte` holds the labels of `train-images-idx3-ubyte`. A dot may replace a hyphen.
    """
    x, labels = arrays.read_idx(path), None
    start, found, end = path.name.lower().removesuffix(".gz").rpartition("images")
    if found:
        name = re.escape(start + "labels" + re.sub(r"idx\d", "idx1", end))
        wanted = re.sub(r"\\[.-]", "[.-]", name) + r"(\.gz)?"
        with arrays.name_errors(path):
            neighbours = [other for other in sorted(path.parent.iterdir()) if re.fullmatch(wanted, other.name.lower())]
        labels = next(map(arrays.read_idx, neighbours), None)
        if labels is None and not again:
            logger.warning("%s: found no file of labels next to it, so the examples have no labels.", path)
    return Source({WHOLE: Examples(x, labels)}, reading)


def from_folder(path: Path, reading: Reading, again: bool) -> Source:
    """Read images. If one has colours, the run reads three channels from then on, of grey images too."""
    parts = images.read_folder(
        path,
        resize=reading.resize,
        channels=reading.channels,
        split_folders=reading.split_folders,
        background=reading.background,
    )
    if next(iter(parts.values())).x.shape[-1] > 1:
        reading = reading.model_copy(update={"channels": "colour"})
    labels = {name: None if each.y is None else tables.labels_from_text(each.y) for name, each in parts.items()}
    return Source({name: Examples(each.x, labels[name], each.names) for name, each in parts.items()}, reading)


ROWS = frozenset({"image_shape"})
"""The settings of arrays and other files with a row of numbers for each example."""

SCHEMA = frozenset({"schema_file", "column", "id_column", "missing"})
"""The settings that decide on the schema of a table."""

TABLE = ROWS | SCHEMA | {"label_column", "columns", "drop_columns", "header", "table"}
"""The settings of tables."""

FOLDER = Reader("a folder of images", from_folder, frozenset({"split_folders", "resize", "channels", "background"}))

READERS: dict[str, Reader] = {
    r"\.npy$": Reader("an .npy file", from_npy, ROWS),
    r"\.npz$": Reader("an .npz file", from_npz, ROWS | {"arrays"}),
    r"\.([ct]sv|txt|tab)(\.gz)?$": Reader("a .csv, .tsv or .txt file", from_csv, TABLE),
    r"\.parquet$": Reader("a .parquet file", from_parquet, TABLE - {"header"}),
    r"\.amat(\.gz)?$": Reader("an .amat file", from_amat, ROWS),
    r"([.-]idx\d?([.-]ubyte)?|-ubyte)(\.gz)?$": Reader("an idx file", from_idx),
}
"""Patterns of file names in any case, and their readers."""

KINDS = ", ".join(reader.text for reader in READERS.values()) + ", or a folder of images"
"""All kinds in words."""
