"""`load`: a data set from a name, a path, an array or a table in memory, ready for training.

It reads, splits and scales like the command line, with the same fixed seed. Equal examples therefore give equal data
sets, whether they come from a file or from memory.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from tfp_vae.core.errors import DataError, UsageError, suggest
from tfp_vae.core.files import user_path
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.types import Array
from tfp_vae.data.condition import condition_on
from tfp_vae.data.dataset import LARGEST_EVENT, UNSCALED, Dataset, Origin
from tfp_vae.data.doubts import Doubt
from tfp_vae.data.downloads import Progress, data_folder
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers import sources
from tfp_vae.data.readers.images import Background, SplitFolders
from tfp_vae.data.readers.sources import (
    KINDS,
    SCHEMA,
    WHOLE,
    Examples,
    Reading,
    Source,
    check_examples,
    first_name,
    flat_labels,
    from_arrays,
    from_frame,
    shape_images,
)
from tfp_vae.data.readers.tables import Header, labels_from_objects
from tfp_vae.data.schema.layout import Schema
from tfp_vae.data.splits import from_source
from tfp_vae.data.transforms.dequantization import DEQUANTIZATIONS, add_noise
from tfp_vae.data.transforms.scaling import choose_scaling, scale, scaling_doubt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    InMemory: TypeAlias = "Array | DataFrame | tuple[Array, Array] | Mapping[str, Array]"
    Loadable: TypeAlias = "str | os.PathLike[str] | InMemory"

__all__ = ["load", "read"]

logger = logging.getLogger("tfp_vae")

OF_NAMED = {"condition", "labelled", "labelled_seed"}
"""The settings of `Reading` that named data sets take."""


@check_keywords
def load(
    source: Loadable,
    *,
    label_column: str | int | None = None,
    columns: str | Sequence[str] | None = None,
    drop_columns: str | Sequence[str] | None = None,
    image_shape: str | Sequence[int] | None = None,
    header: Header = "auto",
    arrays: str | Sequence[str] | Mapping[str, str] | None = None,
    split_folders: SplitFolders = "auto",
    resize: str | tuple[int, int] | None = None,
    channels: Literal["auto", "grey", "colour"] = "auto",
    background: Background = "auto",
    split_fractions: str | Sequence[float] | None = None,
    schema: str | os.PathLike[str] | Schema | None = None,
    column: str | Sequence[str] | Mapping[str, str] | None = None,
    id_column: str | Sequence[str] | None = None,
    missing: str | Sequence[str] | None = None,
    condition: str | Sequence[str] | None = None,
    labelled: int | None = None,
    labelled_seed: int = 0,
    scaling: str | Member | None = None,
    dequantization: str | Member = "none",
    data_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Return a data set with train, validation and test splits, scaled and checked.

    Named data sets and sources that hold splits keep them. Otherwise, a tenth of the examples goes to validation and a
    tenth to test, by a permutation from a fixed seed. `split_fractions` sets other shares. All values are held in
    memory as float32.

    ```python
    digits = tv.data.load("digits")  # 1,797 images of 8x8 with values in [0, 1]
    digits.sizes()  # {"train": 1437, "validation": 180, "test": 180}
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
    tv.data.load((x, y), scaling="standard").train.y  # 80 labels
    tv.data.load({"x_train": x[:80], "x_val": x[80:90], "x_test": x[90:]}).sizes()  # your own splits
    ```

    Args:
      source: a name from `DATASETS`, the path of a file or a folder of images, an array of examples [N, features],
        [N, height, width] or [N, height, width, channels], a pair of such an array and labels [N], a mapping of names
        such as `x_train`, `y_train` and `x_test` to arrays, or a pandas DataFrame with one row per example.
      label_column: the column of a table that holds labels, by name or position. Position 1 is the first, -1 the last.
      columns: the columns of a table that hold features, in this order. `*` and `?` are wildcards. By default all but
        the labels.
      drop_columns: columns of a table that are not features, such as an index.
      image_shape: height, width and perhaps channels of images that are stored as rows of numbers, such as `28x28`.
      header: whether the first line of a `.csv` file names its columns: `yes`, `no`, or `auto` to judge by its cells.
      arrays: the roles of arrays in an `.npz` file or a mapping, such as `{"x_train": "first", "y_train": "second"}` or
        `x_train=first,y_train=second`. By default their names tell.
      split_folders: `auto` if folders of images such as `train` and `test` are splits, `classes` if they are classes.
      resize: height and width for images from files.
      channels: `grey`, `colour`, or `auto` to keep the channels that images from files have.
      background: the colour behind transparent pixels, `white` or `black`.
      split_fractions: the shares of training, validation and test examples, such as `0.7,0.2,0.1`, for a source that
        lacks splits.
      schema: the schema of a mixed table, or the TOML file that holds it. By default the cells tell the kind of each
        column. A table is mixed if it has words or missing cells, or if you set one of these four.
      column: the kinds of columns, such as `{"age": "count"}` or `age=count,city=category`.
      id_column: columns that identify the rows. They are not features, but results name them.
      missing: texts or numbers that mark missing cells, such as `-200`.
      condition: y of a conditional model p(x|y): `label`, or columns of a table, which are then not features.
        Words become one value for each class, and numbers are standardized. If some rows lack their class, a model
        from `build` gets a classifier.
      labelled: hide the classes of all but this many training examples, equally many of each class.
      labelled_seed: decides which training examples keep their class.
      scaling: a name from `SCALINGS` with settings, such as `divided:by=255`. By default `pixels` for images with 8-bit
        values or values in [0, 1], `standard` for real values, else `none`.
      dequantization: a name from `DEQUANTIZATIONS`. `uniform` adds noise to integer levels in training and evaluation,
        so that a density bounds their log-probability. The values here stay as they are.
      data_dir: the folder of named data sets.
      progress: called with the progress of downloads.

    Raises:
      UsageError: the name is unknown, or a setting has no effect on this source.
      DataError: the data are missing or malformed, or hold values that are not finite or, with `dequantization`, that
        are no levels.
    """
    settings = locals()
    if schema is not None:
        settings |= {"table": schema} if isinstance(schema, Schema) else {"schema_file": os.fspath(schema)}
    reading = Reading.model_validate({name: settings[name] for name in Reading.model_fields if name in settings})
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        if not isinstance(source, str) and DATASETS.knows(name):
            name = str(Path(name).absolute())  # a path object never means the data set of that name
        raw = read(name, None if data_dir is None else os.fspath(data_dir), progress, reading)
    elif data_dir is not None:
        raise UsageError("`data_dir` has no effect on data in memory. Leave it out.")
    else:
        raw = read_memory(source, reading)
    dataset = scale_or_choose(raw, scaling, dequantization)
    if raw.held_out and raw.reading.split_fractions is None:
        logger.info("%s: splits are %s. Set `split_fractions` for other shares.", raw.name, raw.split_rule)
    if raw.profile.lack is not None:
        logger.warning("%s: %s.", raw.name, raw.profile.lack)
    for found in Doubt.find(raw):
        logger.warning("%s: %s", raw.name, found.text)
    return add_noise(raw, dataset, dequantization)


def scale_or_choose(raw: Dataset, scaling: str | Member | None, dequantization: str | Member) -> Dataset:
    """Return a data set with scaled values. Without a scaling, one is chosen and logged, with a doubt if there is one.

    Args:
      raw: before scaling.
      scaling, dequantization: see `load`.
    """
    if not raw.profile.finite:
        raw.check_finite()
    if raw.reading.table is not None:
        refuse_for_tables(scaling, dequantization)
        return scale(raw, choose_scaling(raw.profile))
    if scaling is not None:
        return scale(raw, scaling)
    chosen = str(DEQUANTIZATIONS.resolve(dequantization).usual_scaling(raw.profile))
    dataset, doubt = scale(raw, chosen), scaling_doubt(raw.profile, chosen)
    logger.info("%s: scaling is %s. Set `scaling` to choose another.", raw.name, chosen)
    if doubt is not None and raw.profile.largest > 1:
        logger.warning("%s: %s", raw.name, doubt)
    return dataset


def refuse_for_tables(scaling: str | Member | None, dequantization: str | Member) -> None:
    """Raise UsageError if a mixed table is to be scaled or to get noise, because its schema decides on both.

    Args:
      scaling, dequantization: see `load`.
    """
    given = {"scaling": scaling is not None, "dequantization": DEQUANTIZATIONS.member(dequantization).name != "none"}
    for name in (name for name, is_given in given.items() if is_given):
        raise UsageError(
            f"`{name}` has no effect on a mixed table, because the kind of each column decides. Set `column` instead."
        )


def read(
    name: str,
    data_dir: str | None = None,
    progress: Progress | None = None,
    reading: Reading | None = None,
    *,
    recorded: bool = False,
) -> Dataset:
    """Return a data set by name or path, split but not scaled. Its values may be missing or infinite.

    Args:
      name: a name from `DATASETS`, or the path of a file or folder.
      data_dir: the folder of named data sets. A file that is missing at its path is looked up there, too.
      progress: shows the progress of downloads.
      reading: how a file or folder is read.
      recorded: whether a run recorded these arguments. Then code is imported only inside `registry.allow_code`.
        Otherwise a file here with the name of a data set causes a warning, because you may have meant the file.

    Raises:
      UsageError: the name is neither that of a data set nor a path, or a setting of `reading` has no effect.
      DataError: the data are missing, malformed or empty.
    """
    reading, path = reading or Reading(), user_path(name)
    if DATASETS.knows(name):
        if reading.given() - OF_NAMED and not recorded:
            setting = first_name(reading.given() - OF_NAMED)
            raise UsageError(f"`{setting}` has no effect on the named data set {name}. Leave it out.")
        folder = data_folder(data_dir)
        if not recorded and path.exists() and path.resolve() != (folder / name).resolve():
            logger.warning("%s means the data set of that name. For the file or folder here, write ./%s.", name, name)
        member = DATASETS.member(name, recorded=recorded)
        dataset = DATASETS.build(member, folder=folder, progress=progress)
        if dataset.scaling != UNSCALED:
            raise UsageError(
                f"dataset {name!r}: expected values that are not scaled. Return `tv.data.load(..., scaling='none')`."
            )
        asked = {setting: getattr(reading, setting) for setting in reading.given() & OF_NAMED}
        dataset = replace(dataset, reading=dataset.reading.model_copy(update=asked))
    else:
        if not path.exists() and not sources.is_path(name):
            hint = suggest(name, DATASETS)
            raise UsageError(
                f"unknown dataset {name!r}. Choose from {', '.join(DATASETS)}, or give the path of {KINDS}"
                f"{'.' * bool(hint)}{hint}"
            )
        if not path.exists() and data_dir is not None:
            path = user_path(data_dir) / path.name
        try:
            dataset = from_source(name, sources.read(path, reading))
        except DataError as error:
            if path.exists():
                raise
            remedy = "Check the path, or name its folder with `data_dir`."
            raise DataError(error.problem, remedy=remedy) from error
    check_shapes(name, dataset)
    where = name if DATASETS.knows(name) else str(user_path(name).resolve())
    folder_path = None if data_dir is None else str(user_path(data_dir).resolve())
    columns = reading.columns is None and dataset.reading.columns is not None
    dataset = replace(dataset, name=name, origin=Origin(where, folder_path, columns))
    return apply_condition(dataset)


def apply_condition(dataset: Dataset) -> Dataset:
    """Return a data set with the contexts of the condition that its reading asks for, if it does."""
    reading = dataset.reading
    if reading.labelled is None and reading.labelled_seed:
        raise UsageError("`labelled_seed` has no effect without `labelled`. Leave it out, or set `labelled`.")
    if reading.condition is not None:
        return condition_on(dataset, reading.condition, reading.labelled, reading.labelled_seed)
    if reading.labelled is not None:
        raise UsageError("`labelled` needs a condition. Set `condition=label`.")
    return dataset


def check_shapes(name: str, dataset: Dataset) -> None:
    """Raise DataError if examples have different shapes, or too many values.

    Args:
      name: the data set's name in messages.
      dataset: before scaling.
    """
    shapes = {split_name: split.x.shape[1:] for split_name, split in dataset.splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(f"{name}: expected one shape of example in all splits, found {shapes}.")
    if math.prod(dataset.event_shape) > LARGEST_EVENT:
        raise DataError(f"{name}: expected examples of at most {LARGEST_EVENT:,} values, found {shapes['train']}.")


def read_memory(source: InMemory, reading: Reading) -> Dataset:
    """Return arrays or a table in memory as a data set that is split but not scaled.

    Args:
      source: see `load`.
      reading: the columns of a table, or the roles of arrays.

    Raises:
      UsageError: a setting of `reading` has no effect.
      DataError: the examples have the wrong type or shape.
    """
    name, text, takes = "array", "an array in memory", {"image_shape"}
    if isinstance(source, Mapping):
        name, text, takes = "arrays", "arrays in memory", {"image_shape", "arrays"}
    elif hasattr(source, "columns") and hasattr(source, "to_numpy"):
        name, text = "table", "a table in memory"
        takes = {"image_shape", "label_column", "columns", "drop_columns", "table"} | SCHEMA
    foreign = reading.given() - takes - sources.OF_ALL
    if foreign:
        raise UsageError(f"`{first_name(foreign)}` has no effect on {text}. Leave it out.")
    if name == "table":
        found = from_frame(source, reading)
    elif isinstance(source, Mapping):
        keys = {str(key): key for key in source}
        found = from_arrays(
            name, list(keys), lambda chosen: {each: as_array(source[keys[each]], each) for each in chosen}, reading
        )
    elif isinstance(source, tuple):
        if len(source) != 2:
            raise UsageError(f"expected a pair of examples and labels, found a tuple of {len(source)}.")
        x, labels = as_array(source[0], name), flat_labels(as_array(source[1], "labels"))
        found = Source({WHOLE: Examples(x, labels)}, reading)
    else:
        found = Source({WHOLE: Examples(as_array(source, name), None)}, reading)
    found = shape_images(name, found)
    parts = dict(found.parts)
    for split, examples in found.parts.items():
        check_examples(name, examples)
        y = examples.y
        if y is not None and y.dtype.kind not in "biufSU":
            parts[split] = examples._replace(y=labels_from_objects(y, name))
    dataset = from_source(name, found._replace(parts=parts))
    check_shapes(name, dataset)
    return apply_condition(dataset)


def as_array(values: Array, name: str) -> np.ndarray:
    """Return values as an array.

    Args:
      values: an array, or lists of equal length.
      name: the name of the values in messages.

    Raises:
      DataError: lists have several lengths.
    """
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name}: expected an array, found lists of several lengths. Pad or cut them.") from error
