"""A person's own data: a path -> arrays, by a reader for each kind of file or folder.

Which reader, is told by the name: `READERS` maps patterns of file names to them, and a folder is one of images. A
reader checks before it allocates, and leaves types as they are; what was decided while reading (the columns of a table,
whether images have colours) goes back into the `Reading`, so that new data for a run are read just so.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, final

import numpy as np
import pydantic

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.readers import arrays as files
from tfp_vae.data.readers import images, tables
from tfp_vae.data.readers.images import Channels

__all__ = ["READERS", "Examples", "Reading", "Source", "check_examples", "read", "reader_of"]

WHOLE = ""
"""The name of the one part of a source that is not split."""

MOST_SIDE = 1 << 14


def _split_size(value: Any) -> Any:
    """Read `28` or `28x32` as (height, width)."""
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", value)
    if found is None:
        raise ValueError("expected a height and a width, such as 28x32, or one number for both")
    return found[1], found[2] or found[1]


def _split_names(value: Any) -> Any:
    """Read `a,b` as a line of a CSV file: a name that holds a comma stands in double quotes."""
    if not isinstance(value, str):
        return value
    try:
        return tuple(part.strip() for row in csv.reader(io.StringIO(value, newline=""), strict=True) for part in row)
    except csv.Error as error:
        raise ValueError(f"expected names as in a line of a CSV file ({error})") from error


Side = Annotated[int, pydantic.Field(gt=0, le=MOST_SIDE)]

Columns = Annotated[tuple[str, ...], pydantic.Field(min_length=1), pydantic.BeforeValidator(_split_names)]
"""The names of the columns of a table to learn from, or text such as `a,b`."""

Size = Annotated[tuple[Side, Side], pydantic.BeforeValidator(_split_size)]
"""The height and width of images in pixels, or text such as `28x32` or `28`."""


@final
class Reading(pydantic.BaseModel):
    """How a source is read, where that is to be said; kept with a run, so that new data is read the same way.

    label_column: which column of a table holds labels.
    columns: which hold features, in this order; all others, if not given.
    resize: (height, width) to which images are brought.
    channels: `grey`, `colour`, or `auto` for what the images have.

    ```python
    reading = tv.data.readers.sources.Reading(resize="28", channels="grey")  # (28, 28) when validated
    reading.given()  # {"resize", "channels"}
    ```

    Raises:
      pydantic.ValidationError: an unknown key, no column, or a side beyond 1 to 16,384.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    label_column: str | None = None
    columns: Columns | None = None
    resize: Size | None = None
    channels: Channels = "auto"

    def given(self) -> set[str]:
        """Return the names of what is said."""
        return set(self.model_dump(exclude_defaults=True))


class Examples(NamedTuple):
    """Examples x [N, *event_shape] as the source holds them, their labels y [N], and their names in the source [N]."""

    x: np.ndarray
    y: np.ndarray | None
    names: np.ndarray | None = None


class Source(NamedTuple):
    """What was read: the examples of each split, under "" if there are none; and how to read more of the same."""

    parts: Mapping[str, Examples]
    reading: Reading


class Reader(NamedTuple):
    """A kind of file or folder: in words, how it is read, and what may be said of it."""

    text: str
    read: Callable[[Path, Reading, bool], Source]
    takes: frozenset[str] = frozenset()


def read(path: Path, reading: Reading | None = None, *, again: bool = False) -> Source:
    """Return what a path holds, checked for types and shapes.

    ```python
    from pathlib import Path

    np.savez("mine.npz", x_train=np.zeros([8, 3]), x_test=np.ones([2, 3]))
    tv.data.readers.sources.read(Path("mine.npz")).parts["test"].x  # [2, 3], float64 as in the file
    ```

    Args:
      path: an `.npy`, `.npz`, `.csv`, `.amat` or idx file, the latter two also gzipped, or a folder of images.
      reading: how it is read.
      again: whether `reading` is a run's, and this is new data for it: what it says of other kinds of files is left
        out, and labels may be absent.

    Returns:
      The examples of each split that the source has itself, [N, M], [N, H, W] or [N, H, W, C], and the reading
      completed.

    Raises:
      DataError: data that are missing or malformed, or a kind of file that is not read.
      UsageError: something said in `reading` that has no meaning for this kind.
    """
    reading, reader = reading or Reading(), reader_of(path)
    foreign = reading.given() - reader.takes
    if foreign and not again:
        raise UsageError(f"`{min(foreign)}` has no effect on {reader.text}: {path}. Leave it out.")
    source = reader.read(path, reading.model_copy(update=_defaults(foreign)), again)
    for examples in source.parts.values():
        check_examples(path, examples)
    return source


def _defaults(names: set[str]) -> dict[str, Any]:
    return {name: Reading.model_fields[name].default for name in names}


def reader_of(path: Path) -> Reader:
    """Return the reader for a path, by what it is called; for a folder, that of images.

    Raises:
      DataError: a file of another kind, or nothing there.
    """
    if path.is_dir():
        return FOLDER
    kind = next((kind for kind in READERS if re.search(kind, path.name)), None)
    if kind is None:
        found = "another kind" if path.exists() else "nothing of that name"
        raise DataError(f"{path}: expected {KINDS}, found {found}; convert it or check the path.")
    return READERS[kind]


def is_path(name: str) -> bool:
    """Return whether a name is meant as a path: something is there, or it looks like a file that is read.

    Decided without reading: a name with a folder or a known suffix is a path even where nothing is, so that the error
    speaks of a missing file and not of an unknown data set.
    """
    path = Path(name).expanduser()
    return bool(name) and (
        path.exists()
        or len(path.parts) > 1
        or name.endswith(os.sep)
        or any(re.search(kind, path.name) for kind in READERS)
    )


def check_examples(path: str | Path, examples: Examples) -> None:
    """Check that examples are numbers in the shape of vectors or images, each with a label or none.

    Args:
      path: where they come from, for messages.
      examples: not yet scaled.

    Raises:
      DataError: they have another type or shape, or labels of another number.
    """
    x, y, _ = examples
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: expected an array of numbers, found dtype {x.dtype}.")
    if not 2 <= x.ndim <= 4 or 0 in x.shape:
        raise DataError(
            f"{path}: expected an array [examples, features], [examples, height, width] or [examples, height, width, "
            f"channels], found shape {x.shape}."
        )
    if y is not None and y.shape != (len(x),):
        raise DataError(f"{path}: expected a label for each of {len(x)} examples, found labels of shape {y.shape}.")


def _from_npy(path: Path, reading: Reading, again: bool) -> Source:
    return Source({WHOLE: Examples(files.read_npy(path), None)}, reading)


def _from_npz(path: Path, reading: Reading, again: bool) -> Source:
    """Read one array; or `x`, and `y` if there are labels; or the arrays of splits.

    Those are `x_train` and `x_test`, and `x_validation` where it is, each with its `y_` where it is.
    """
    arrays = files.read_npz(path)
    splits = {key.removeprefix("x_"): x for key, x in arrays.items() if key in ("x_train", "x_validation", "x_test")}
    if {"train", "test"} <= splits.keys():
        return Source({name: Examples(x, arrays.get(f"y_{name}")) for name, x in splits.items()}, reading)
    x = arrays.get("x") if "x" in arrays else next(iter(arrays.values()), None)
    if x is None or ("x" not in arrays and len(arrays) != 1):
        raise DataError(
            f"{path}: expected one array, or x (and y), or x_train and x_test; found {sorted(arrays) or 'nothing'}."
        )
    return Source({WHOLE: Examples(x, arrays.get("y"))}, reading)


def _from_csv(path: Path, reading: Reading, again: bool) -> Source:
    """Read a table, and note its columns: new data for a run may have them in another order, and more of them."""
    table = tables.read_csv(path, columns=reading.columns, label_column=reading.label_column, label_optional=again)
    resolved = reading.model_copy(update={"columns": table.names})
    return Source({WHOLE: Examples(table.x, table.y)}, resolved)


def _from_amat(path: Path, reading: Reading, again: bool) -> Source:
    return Source({WHOLE: Examples(files.read_amat(path), None)}, reading)


def _from_idx(path: Path, reading: Reading, again: bool) -> Source:
    labels = _labels_beside(path)
    return Source({WHOLE: Examples(files.read_idx(path), None if labels is None else files.read_idx(labels))}, reading)


def _labels_beside(path: Path) -> Path | None:
    """Return the file of labels that lies beside an idx file of images, by the names that MNIST's files have.

    `train-images-idx3-ubyte` goes with `train-labels-idx1-ubyte`, either of them gzipped or not.
    """
    stem = path.name.removesuffix(".gz").replace("images-idx3", "labels-idx1")
    candidates = [path.with_name(stem), path.with_name(f"{stem}.gz")]
    return next((p for p in candidates if "labels-idx1" in stem and p != path and p.is_file()), None)


def _from_folder(path: Path, reading: Reading, again: bool) -> Source:
    """Read images; where one has colours, the run reads three channels from then on, of grey images too."""
    parts = images.read_folder(path, resize=reading.resize, channels=reading.channels)
    found = next(iter(parts.values())).x.shape[-1]
    resolved = reading.model_copy(update={"channels": "colour"}) if found > 1 else reading
    return Source({name: _examples(part) for name, part in parts.items()}, resolved)


def _examples(pictures: images.Pictures) -> Examples:
    return Examples(pictures.x, None if pictures.y is None else tables.labels_from_text(pictures.y), pictures.names)


FOLDER = Reader("a folder of images", _from_folder, frozenset({"resize", "channels"}))

READERS: dict[str, Reader] = {
    r"\.npy$": Reader("an .npy file", _from_npy),
    r"\.npz$": Reader("an .npz file", _from_npz),
    r"\.csv$": Reader("a .csv file", _from_csv, frozenset({"label_column", "columns"})),
    r"\.amat(\.gz)?$": Reader("an .amat file", _from_amat),
    r"([.-]idx\d?([.-]ubyte)?|-ubyte)(\.gz)?$": Reader("an idx file", _from_idx),
}
"""Patterns of files' names, and their readers."""

KINDS = ", ".join(reader.text for reader in READERS.values()) + ", or a folder of images"
