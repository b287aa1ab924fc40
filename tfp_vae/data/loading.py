"""`load`: a data set from a name, a path, an array or a table in memory, ready to train on.

It reads, splits and scales as the command line does, with the same rule and the same fixed seed, so equal examples give
equal data sets whether they come from a file or from memory.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pydantic

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.registry import Member, first_problem
from tfp_vae.core.types import Array
from tfp_vae.data.dataset import DATASETS, Dataset, Origin, from_source, read, scaled, warn_of_namesake
from tfp_vae.data.downloads import Progress
from tfp_vae.data.profile import suited_scaling, warn_of_assumption, warn_of_lack
from tfp_vae.data.readers.sources import WHOLE, Examples, Reading, Source, check_examples
from tfp_vae.data.readers.tables import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    Loadable: TypeAlias = "str | os.PathLike[str] | Array | DataFrame | tuple[Array, Array]"

__all__ = ["load"]

logger = logging.getLogger("tfp_vae")


def load(
    source: Loadable,
    *,
    label_column: str | None = None,
    columns: str | Sequence[str] | None = None,
    resize: str | tuple[int, int] | None = None,
    channels: Literal["auto", "grey", "colour"] = "auto",
    scaling: str | Member | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Return a data set with train, validation and test splits, scaled and checked.

    Named data sets and files that hold splits keep them. Otherwise, a tenth of the examples goes to validation and a
    tenth to test, by a permutation from a fixed seed. All values are held in memory as float32.

    ```python
    digits = tv.data.load("digits")  # 1,797 images of 8x8 with values in [0, 1]
    digits.sizes()  # {"train": 1437, "validation": 180, "test": 180}
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
    tv.data.load((x, y), scaling="standard").train.y  # 80 labels
    ```

    Args:
      source: a name from `DATASETS`, the path of a file or a folder of images, an array of examples [N, features],
        [N, height, width] or [N, height, width, channels], a pair of such an array and labels [N], or a pandas
        DataFrame with one row per example.
      label_column: the column of a table that holds labels.
      columns: the columns of a table that hold features, in this order. By default all but the labels.
      resize: height and width for images from files.
      channels: `grey`, `colour`, or `auto` to keep the channels that images from files have.
      scaling: a name from `SCALINGS` with settings, such as `divided:by=255`. By default `pixels` for images with 8-bit
        values or values in [0, 1], `standard` for vectors of real values, else `none`.
      data_dir: the folder of named data sets.
      progress: called with the progress of downloads.

    Raises:
      UsageError: the name is unknown, or a setting has no effect on this source.
      DataError: the data are missing or malformed, or hold values that are not finite.
    """
    said = {"label_column": label_column, "columns": columns, "resize": resize, "channels": channels}
    try:
        reading = Reading.model_validate(said)
    except pydantic.ValidationError as error:
        raise UsageError(f"`data.load`: {first_problem(error)}.") from error
    if isinstance(source, str | os.PathLike):
        folder = None if data_dir is None else os.fspath(data_dir)
        name = os.fspath(source)
        if not isinstance(source, str) and DATASETS.knows(name):
            name = str(Path(name).absolute())  # a path object never means the data set of that name
        warn_of_namesake(name, folder)
        raw = read(name, data_dir=folder, progress=progress, reading=reading)
        origin = Origin(
            name if DATASETS.knows(name) else str(Path(name).expanduser().resolve()),
            None if folder is None else str(Path(folder).expanduser().resolve()),
        )
    else:
        if data_dir is not None:
            raise UsageError("`data_dir` has no effect on data in memory. Leave it out.")
        raw, origin = _from_memory(source, reading), None
    chosen = suited_scaling(raw, None) if scaling is None else scaling
    dataset = scaled(raw, chosen)
    if scaling is None:
        logger.info("%s: scaling is %s. Set `scaling` to choose another.", raw.name, chosen)
        warn_of_assumption(raw.name, raw.parts, dataset.scaling)
    warn_of_lack(raw)
    return replace(dataset, origin=origin)


def _from_memory(source: Array | DataFrame | tuple[Array, Array], reading: Reading) -> Dataset:
    """Return arrays or a table as a data set that is split but not scaled."""
    is_table = hasattr(source, "columns") and hasattr(source, "to_numpy")
    name, takes = ("table", {"label_column", "columns"}) if is_table else ("array", set[str]())
    foreign = sorted(reading.given() - takes)
    if foreign:
        raise UsageError(f"`{foreign[0]}` has no effect on {'a table' if is_table else 'an array'} in memory.")
    if is_table:
        examples, reading = _from_frame(source, reading)
    elif isinstance(source, tuple):
        if len(source) != 2:
            raise UsageError(f"expected a pair of examples and labels, found a tuple of {len(source)}.")
        examples = Examples(np.asarray(source[0]), np.asarray(source[1]))
    else:
        examples = Examples(np.asarray(source), None)
    check_examples(name, examples)
    return from_source(name, Source({WHOLE: examples}, reading))


def _from_frame(frame: DataFrame, reading: Reading) -> tuple[Examples, Reading]:
    """Return the rows of a DataFrame, and the reading with the names of its columns, as for a CSV file."""
    label = reading.label_column
    names = list(map(str, frame.columns))
    wanted = reading.columns or tuple(name for name in names if name != label)
    for name in wanted if label is None else (*wanted, label):
        if names.count(name) != 1:
            found = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            raise DataError(
                f"table: expected one column named {name!r}, found {names.count(name)} among {found}. Check the name."
            )
    features = frame.iloc[:, [names.index(name) for name in wanted]]
    kinds = {name: getattr(kind, "kind", "O") for name, kind in zip(wanted, features.dtypes, strict=True)}
    other = [repr(name) for name, kind in kinds.items() if kind not in "fiub"]
    if other:
        more = f" and {len(other) - 5} more" if len(other) > 5 else ""
        raise DataError(
            f"table: expected columns of numbers, found other values in {', '.join(other[:5])}{more}. Name the labels "
            "with `label_column`, and the features with `columns`."
        )
    x = features.to_numpy(dtype=np.float64, na_value=np.nan)
    if label is None:
        return Examples(x, None), reading.model_copy(update={"columns": wanted})
    y = frame.iloc[:, names.index(label)].to_numpy()
    y = y if y.dtype.kind in "iu" else typed(y.astype(str))
    return Examples(x, y), reading.model_copy(update={"columns": wanted})
