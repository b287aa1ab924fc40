"""DataFrames and Parquet files as cells. Their types of columns become hints for the schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.readers.arrays import name_errors
from tfp_vae.data.schema.cells import Cells, text_array
from tfp_vae.data.schema.numerals import EXACT

if TYPE_CHECKING:
    from pandas import DataFrame, Series

__all__ = ["frame_cells", "load_parquet"]


def frame_cells(frame: DataFrame, source: str = "table") -> Cells:
    """Return the cells of a DataFrame as texts, with its categories, truth values and dates as hints.

    ```python
    import pandas as pd

    frame = pd.DataFrame({"age": [39, None], "member": [True, False]})
    tv.data.schema.frames.frame_cells(frame).columns[0]  # texts "39" and ""
    ```

    Args:
      frame: one row per example.
      source: the table's name in messages.

    Raises:
      UsageError: it is no DataFrame.
      DataError: it has no cells, two columns of one name, or infinite numbers.
    """
    if not hasattr(frame, "iloc") or not hasattr(frame, "columns"):
        raise UsageError(f"expected the path of a table or a DataFrame, found {type(frame).__name__}.")
    names = tuple(map(str, frame.columns))
    repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if repeated:
        raise DataError(f"{source}: expected different names of columns, found {repeated[0]!r} twice. Rename one.")
    if not names or not len(frame):
        raise DataError(f"{source}: expected rows and columns, found a table of shape {frame.shape}.")
    columns, hints = list[np.ndarray](), dict[str, Mapping[str, object]]()
    for place, name in enumerate(names):
        refuse_infinite(frame.iloc[:, place], name, source)
        texts, hint = column_texts(frame.iloc[:, place])
        columns.append(texts)
        if hint:
            hints[name] = hint
    return Cells(source, names, tuple(columns), np.arange(1, len(frame) + 1), hints, unit="row")


def refuse_infinite(series: Series, name: str, source: str) -> None:
    """Raise DataError if a column of numbers holds an infinite one, and name its row, counted from 1."""
    if series.dtype.kind == "f":
        infinite = np.flatnonzero(np.isinf(series.to_numpy(dtype=np.float64, na_value=np.nan)))
        if len(infinite):
            where = f"{plural(len(infinite), 'infinite number')} (first: row {infinite[0] + 1})"
            raise DataError(f"{source}: column {name!r} has {where}. Correct these cells, or empty them.")


def column_texts(series: Series) -> tuple[np.ndarray, dict[str, object]]:
    """Return the cells of a column as texts, with an empty text for a missing one, and settings that its type tells."""
    missing, kind, name = series.isna().to_numpy(), series.dtype.kind, str(series.dtype)
    hint: dict[str, object] = {}
    if name == "category":
        levels = [str(level) for level in series.cat.categories]
        is_ordered = bool(series.cat.ordered) and len(levels) > 1
        hint = {"kind": "ordinal", "levels": levels} if is_ordered else {"kind": "category", "words": levels}
        hint["reason"] = "an ordered category of the table" if is_ordered else "a category of the table"
        texts = [str(value) for value in series.astype(object)]
    elif kind == "b":
        hint = {"kind": "binary", "levels": ["False", "True"], "reason": "truth values"}
        texts = [str(value) for value in series.astype(object)]
    elif kind == "M":
        texts, form = moment_texts(series)
        hint = {"kind": "date", "format": form, "reason": "dates of the table"}
    elif kind == "m":
        texts = number_texts(series.dt.total_seconds() / 86_400, missing)
    elif kind in "iuf":
        texts = number_texts(series, missing)
    else:
        texts = [str(value) for value in series.astype(object)]
    return np.where(missing, text_array([""]), text_array(texts)), hint


def number_texts(series: Series, missing: np.ndarray) -> list[str]:
    """Return numbers as the shortest texts that have their value. Whole numbers have no decimal point."""
    if series.dtype.kind in "iu":
        return [str(value) for value in series.astype(object)]
    numbers = series.to_numpy(dtype=str(series.dtype).lower(), na_value=np.nan)
    known = numbers[~missing]
    if (np.isfinite(known) & (known == np.rint(known)) & (np.abs(known) < EXACT)).all():
        return [f"{value:.0f}" for value in numbers.tolist()]
    return [text.removesuffix(".0") for text in numbers.astype(str).tolist()]


def moment_texts(series: Series) -> tuple[list[str], str]:
    """Return dates as texts, and their format. Those with a time zone are in its local time."""
    moments = series.dt.tz_localize(None) if series.dt.tz is not None else series
    known = moments.dropna()
    form = "%Y-%m-%d"
    if (known != known.dt.normalize()).any():
        form = "%Y-%m-%d %H:%M:%S.%f" if known.dt.microsecond.any() else "%Y-%m-%d %H:%M:%S"
    return moments.dt.strftime(form).fillna("").astype(str).tolist(), form


def load_parquet(path: Path) -> DataFrame:
    """Return a Parquet file as a DataFrame.

    Raises:
      DataError: the file is missing or damaged, or the package pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{path}: reading .parquet files needs the package pyarrow.", remedy="Install tfp_vae[parquet]."
        ) from error
    with name_errors(path, (pa.ArrowException,), "Parquet file"):
        frame = parquet.read_table(path).to_pandas()
    return frame if frame.index.name is None else frame.reset_index()
