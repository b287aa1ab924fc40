"""Rows: X as scikit-learn passes it, as numbers for a model, and numbers of a model in the form of X.

Complete arrays and tables of numbers share one likelihood, as in `tfp-vae train`. A table with words or missing cells,
or an array with missing cells, is a mixed table with a likelihood for each column.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np
from sklearn.utils.validation import validate_data

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.types import Array
from tfp_vae.data.readers.sources import WHOLE, Reading, Source, from_mixed_table
from tfp_vae.data.schema.layout import Schema
from tfp_vae.data.transforms.scaling import SCALINGS
from tfp_vae.runs.config import DataConfig

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from sklearn.base import BaseEstimator

    Rows: TypeAlias = "Array | DataFrame"

__all__ = [
    "BLOCK",
    "FLOATS",
    "Number",
    "Switch",
    "TableRows",
    "Whole",
    "fill_rows",
    "is_frame",
    "learn_rows",
    "read_rows",
    "rows_like",
    "value_errors",
]

BLOCK = 4_096
"""Many rows are computed this many at a time, so that memory beyond X and the results stays bounded."""

FLOATS = (np.float64, np.float32)
"""Types of arrays that are used as they are. Other numbers become the first."""

Whole: TypeAlias = int
"""A whole number that `fit` checks, because scikit-learn wants constructors to check nothing.

The annotations `int`, `float` and `bool` would make `check_keywords` check it.
"""

Number: TypeAlias = float
"""A number that `fit` checks."""

Switch: TypeAlias = bool
"""A truth value."""

NO_NAMES = ("id", "index")
"""Kinds of columns that name the rows. No column of an array does, because scikit-learn's arrays hold features."""


class TableRows(NamedTuple):
    """Rows for training, before scaling.

    x: the numbers, [N, C]. Missing cells of a mixed table are NaN.
    reading: how they were read.
    types: the types of the columns of a DataFrame by name. None for an array.
    """

    x: np.ndarray
    reading: Reading
    types: Mapping[str, object] | None


@contextlib.contextmanager
def value_errors() -> Iterator[None]:
    """Raise errors in data as UsageError in this block. It is a ValueError, which scikit-learn expects."""
    try:
        yield
    except DataError as error:
        raise UsageError(str(error)) from error


def is_frame(x: Rows) -> TypeGuard[DataFrame]:
    """Return whether X is a DataFrame of pandas."""
    return hasattr(x, "iloc") and hasattr(x, "columns")


def has_numbers_only(frame: DataFrame) -> bool:
    """Return whether all cells of a table are numbers."""
    kinds = [getattr(kind, "kind", "O") for kind in frame.dtypes]
    return all(kind in "fiu" for kind in kinds) and not bool(frame.isna().any(axis=None))


def learn_rows(
    estimator: BaseEstimator,
    x: Rows,
    *,
    mixed: bool = False,
    schema: str | os.PathLike[str] | Schema | None = None,
    column: str | Mapping[str, str] | None = None,
    missing: str | Sequence[str] | None = None,
) -> TableRows:
    """Return the rows that an estimator is fitted to, and record their columns in it.

    Args:
      estimator: gets `n_features_in_` and `feature_names_in_`.
      x: an array [N, C] or a DataFrame.
      mixed: whether each column has a likelihood of its own, even if the table has neither words nor missing cells.
      schema, column, missing: see `data.load`.

    Raises:
      ValueError: there are fewer than two rows, or values are infinite or no numbers.
    """
    settings: dict[str, Any] = {"column": column, "missing": missing}
    settings |= {"table": schema} if isinstance(schema, Schema) else {"schema_file": schema and os.fspath(schema)}
    reading = Reading(**{name: value for name, value in settings.items() if value is not None})
    mixed = mixed or reading.is_mixed
    if is_frame(x) and (mixed or not has_numbers_only(x)):
        validate_data(estimator, x, skip_check_array=True)
        if len(x) < 2:
            raise UsageError(f"Found a table with n_samples={len(x)}, while a minimum of 2 is required.")
        source = from_mixed_table(x, reading)
        kinds = {str(name): kind for name, kind in zip(x.columns, x.dtypes, strict=True)}
        return TableRows(source.parts[WHOLE].x, source.reading, kinds)
    names = tuple(map(str, x.columns)) if is_frame(x) else None
    types = None if names is None else dict.fromkeys(names, np.dtype(np.float64))
    values = validate_data(estimator, x, dtype=FLOATS, ensure_all_finite="allow-nan", ensure_min_samples=2)
    if mixed or np.isnan(values).any():
        source = from_array(values, names_of(estimator), reading)
        return TableRows(source.parts[WHOLE].x, source.reading, types)
    return TableRows(values, Reading(columns=names), types)


def names_of(estimator: BaseEstimator) -> list[str]:
    """Return the names of the columns of X: their own, or x0, x1 and so on."""
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(map(str, names))


def from_array(x: np.ndarray, names: Sequence[str], reading: Reading, *, again: bool = False) -> Source:
    """Return an array with missing cells as a mixed table. Columns that look like ids are numbers like any other."""
    import pandas as pd

    frame = pd.DataFrame(x, columns=list(names))
    source = from_mixed_table(frame, reading, again)
    schema = source.reading.table
    alike = [] if again or schema is None else [each.name for each in schema.columns if each.kind in NO_NAMES]
    if not alike:
        return source
    kinds = (*(reading.column or ()), *(f"{name}=real" for name in alike))
    return from_mixed_table(frame, reading.model_copy(update={"column": kinds}))


def read_rows(estimator: BaseEstimator, x: Rows, data: DataConfig) -> np.ndarray:
    """Return new rows scaled for a fitted model, float32 [N, C]. Missing cells of a mixed table are NaN.

    Args:
      estimator: fitted to rows with the same columns.
      x: an array or a DataFrame.
      data: the data of the fit.

    Raises:
      ValueError: the columns differ from those of the fit, or values are infinite, no numbers, or missing although all
        were known in the fit.
    """
    table = data.reading.table
    if table is not None and is_frame(x):
        validate_data(estimator, x, skip_check_array=True, reset=False)
        values = from_mixed_table(x, data.reading, again=True).parts[WHOLE].x
    else:
        finite = True if table is None else "allow-nan"
        values = validate_data(estimator, x, dtype=FLOATS, ensure_all_finite=finite, reset=False)
        if table is not None:
            values = from_array(values, names_of(estimator), data.reading, again=True).parts[WHOLE].x
    scaling, scaled = SCALINGS.build(data.scaling), np.empty(values.shape, np.float32)
    for start in range(0, len(values), BLOCK):  # so that no other copy of all rows is needed
        scaled[start : start + BLOCK] = scaling(values[start : start + BLOCK])
    return scaled


def rows_like(x: np.ndarray, data: DataConfig, types: Mapping[str, object] | None) -> Rows:
    """Return values of a model, scaled as it sees them, in the form and the units of the X that it was fitted to.

    Columns that the model does not learn, such as ids, are left out. Constant columns have their value.

    Args:
      x: values, [N, C].
      data: the data of the fit.
      types: the types of the columns, or None if X was an array.
    """
    import pandas as pd

    schema, values = data.reading.table, data.unscaled(x)
    if schema is None:
        return values if types is None else pd.DataFrame(values, columns=list(types))
    texts = schema.decode(values)
    if types is None:
        exact = {each.name: numbers for each, numbers in zip(schema.modelled, values.T, strict=True) if not each.levels}
        columns = [exact.get(name, np.array([float(t or "nan") for t in text])) for name, text in texts.items()]
        return np.stack(columns, axis=1)
    return pd.DataFrame({name: as_type(text, types.get(name)) for name, text in texts.items()})


def fill_rows(x: Rows, known: np.ndarray, filled: np.ndarray, data: DataConfig) -> Rows:
    """Return X with its missing cells filled in. Other cells and columns keep their values.

    Numbers of a DataFrame have as many decimals as in the table of the fit.

    Args:
      x: an array or a DataFrame with the columns of a mixed table.
      known: its cells as the model sees them, [N, C], with NaN in missing cells.
      filled: the same with all cells filled in.
      data: the data of the fit.
    """
    schema = data.reading.table
    if schema is None:
        raise UsageError("Only the cells of a mixed table are filled in.")
    missing = {each.name: np.isnan(column) for each, column in zip(schema.modelled, known.T, strict=True)}
    if not is_frame(x):
        values = np.asarray(rows_like(filled, data, None))
        holes = [missing.get(each.name, np.isnan(x[:, place])) for place, each in enumerate(schema.columns)]
        return np.where(np.stack(holes, axis=1), values, x).astype(x.dtype)
    texts, result = schema.decode(data.unscaled(filled)), x.copy()
    for place, name in enumerate(map(str, x.columns)):
        column = result.iloc[:, place].copy()
        holes = missing.get(name, column.isna().to_numpy())
        if name in texts and holes.any():
            column[holes] = as_type(texts[name][holes], column.dtype).to_numpy()
            result.isetitem(place, column)
    return result


def as_type(texts: np.ndarray, kind: Any) -> Series:
    """Return the texts of a column in the type of a DataFrame's column. An empty text is a missing cell."""
    import pandas as pd

    code = getattr(kind, "kind", "O")
    series = pd.Series(texts.astype(object)).replace("", None)
    if code in "iuf":
        numbers = pd.to_numeric(series)
        whole = code != "f" and not numbers.isna().any() and bool((numbers == numbers.round()).all())
        return numbers.astype(kind) if whole else numbers.astype(np.float64)
    if code == "b":
        return series.map({"True": True, "False": False}).astype(kind if series.notna().all() else object)
    if code == "M":
        return pd.to_datetime(series).astype(kind) if getattr(kind, "tz", None) is None else pd.to_datetime(series)
    return series.astype(kind) if str(kind) == "category" else series
