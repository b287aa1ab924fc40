"""X as scikit-learn passes it, as numbers for a model and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.transforms.scaling import scale
from tfp_vae.interop.sklearn.fitted import describe_rows
from tfp_vae.interop.sklearn.rows import as_type, fill_rows, learn_rows, read_rows, rows_like, value_errors
from tfp_vae.runs.config import DataConfig


def people() -> pd.DataFrame:
    n = 24
    return pd.DataFrame(
        {
            "name": [f"P{i:03d}" for i in range(n)],
            "height": np.round(np.random.default_rng(0).normal(170, 9, n), 1),
            "city": pd.Categorical(["Rome", "Oslo", "Bern"] * 8),
            "member": [True, False] * 12,
            "since": pd.date_range("2020-01-01", periods=n, freq="37D"),
        }
    )


def described(x: np.ndarray | pd.DataFrame, **settings: str) -> tuple[BaseEstimator, DataConfig, dict[str, object]]:
    """Return an estimator that knows the columns of X, the config of its data and the types of its columns."""
    estimator = BaseEstimator()
    rows = learn_rows(estimator, x, **settings)
    split = Split(rows.x)
    data = scale(Dataset("X", "all", split, split, split, rows.reading), "none")
    return estimator, describe_rows(data), dict(rows.types or {})


def test_complete_numbers_share_one_likelihood(rng: np.random.Generator) -> None:
    x = rng.normal(size=(5, 3))
    assert learn_rows(BaseEstimator(), x).reading.table is None
    named = learn_rows(BaseEstimator(), pd.DataFrame(x, columns=["a", "b", "c"]))
    assert named.reading.table is None
    assert named.reading.columns == ("a", "b", "c")
    np.testing.assert_array_equal(named.x, x)


def test_array_with_missing_cells_is_a_mixed_table_without_ids(rng: np.random.Generator) -> None:
    x = np.stack([np.arange(30.0), rng.normal(size=30)], axis=1)  # the first column looks like an index
    x[3, 1] = np.nan
    estimator = BaseEstimator()
    rows = learn_rows(estimator, x)
    assert rows.reading.table is not None
    assert [column.name for column in rows.reading.table.modelled] == ["x0", "x1"]
    np.testing.assert_allclose(rows.x, x, rtol=1e-6)
    assert estimator.n_features_in_ == 2


def test_words_dates_and_ids_of_a_frame_are_recognized() -> None:
    estimator, data, _ = described(people())
    assert data.reading.table is not None
    kinds = {column.name: column.kind for column in data.reading.table.columns}
    assert kinds == {"name": "id", "height": "real", "city": "category", "member": "binary", "since": "date"}
    assert list(estimator.feature_names_in_) == list(people().columns)


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.ones([1, 2]), "1 sample"),
        (np.array([[0.0, np.inf], [1.0, 2.0]]), "infinity"),
        (np.array([["a", "b"], ["c", "d"]]), "could not convert"),
        (people().head(1), "n_samples=1"),
    ],
)
def test_unsuitable_rows_are_value_errors(x: np.ndarray | pd.DataFrame, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        learn_rows(BaseEstimator(), x)


def test_errors_in_data_become_value_errors() -> None:
    with pytest.raises(UsageError, match="wrong cell") as caught, value_errors():
        raise DataError("wrong cell")
    assert isinstance(caught.value, ValueError)


def test_missing_cells_are_refused_if_the_fit_had_none(rng: np.random.Generator) -> None:
    estimator, data, _ = described(rng.normal(size=(6, 2)))
    with pytest.raises(ValueError, match="NaN"):
        read_rows(estimator, np.array([[0.0, np.nan]]), data)


def test_values_return_in_the_types_of_the_frame() -> None:
    frame = people()
    estimator, data, types = described(frame)
    again = rows_like(read_rows(estimator, frame, data), data, types)
    assert isinstance(again, pd.DataFrame)
    pd.testing.assert_frame_equal(again, frame.drop(columns="name"), check_dtype=True, check_freq=False)


def test_values_of_levels_return_as_the_numbers_of_an_array() -> None:
    x = np.array([[2.0, 0.25], [5.0, np.nan], [2.0, 1.5], [9.0, 2.5]] * 20)
    estimator, data, _ = described(x, column="x0=ordinal")
    again = rows_like(read_rows(estimator, x, data), data, None)
    np.testing.assert_allclose(again, x, rtol=1e-6)


def test_filled_frame_keeps_other_cells_types_and_ids() -> None:
    frame = people()
    frame.loc[2, "city"] = np.nan
    frame.loc[[0, 5], "height"] = np.nan
    estimator, data, _ = described(frame)
    known = read_rows(estimator, frame, data)
    filled = np.where(np.isnan(known), 0.5, known)
    result = fill_rows(frame, known, filled, data)
    assert isinstance(result, pd.DataFrame)
    pd.testing.assert_series_equal(result.dtypes, frame.dtypes)
    assert not result.isna().any(axis=None)
    pd.testing.assert_frame_equal(result.where(frame.notna()), frame)
    assert frame["city"].isna().sum() == 1


def test_filled_array_keeps_its_type(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 2)).astype(np.float32)
    x[4, 1] = np.nan
    estimator, data, _ = described(x)
    known = read_rows(estimator, x, data)
    result = fill_rows(x, known, np.where(np.isnan(known), 7, known), data)
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.where(np.isnan(x), 7, x))


@pytest.mark.parametrize(
    ("texts", "kind", "expected"),
    [
        (["1", "2"], np.dtype(np.int64), [1, 2]),
        (["1.5", ""], np.dtype(np.float64), [1.5, np.nan]),
        (["True", "False"], np.dtype(bool), [True, False]),
        (["a", "b"], pd.CategoricalDtype(["b", "a"]), ["a", "b"]),
    ],
)
def test_texts_take_the_type_of_a_column(texts: list[str], kind: object, expected: list[object]) -> None:
    found = as_type(np.array(texts), kind)
    pd.testing.assert_series_equal(found, pd.Series(expected, dtype=kind), check_names=False)
