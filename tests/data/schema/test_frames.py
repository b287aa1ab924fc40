"""DataFrames: every type of column becomes texts with hints, and returns as the same values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.schema import Overrides, read_table
from tfp_vae.data.schema.frames import frame_cells, load_parquet

FRAME = pd.DataFrame(
    {
        "category": pd.Categorical(["a", "b", None, "a"]),
        "ordered": pd.Categorical(["low", "top", "low", "mid"], ["low", "mid", "top", "never"], ordered=True),
        "bool": [True, False, True, True],
        "boolean": pd.array([True, None, False, True], dtype="boolean"),
        "Int64": pd.array([1, None, 3, 7], dtype="Int64"),
        "Float64": pd.array([1.5, None, 3.0, 7.0], dtype="Float64"),
        "float32": np.array([0.1, 0.2, np.nan, 5], np.float32),
        "day": pd.to_datetime(["2020-01-01", None, "2020-01-03", "2021-05-05"]),
        "moment": pd.to_datetime(["2020-01-01 10:00:00", None, "2020-01-03 00:00:00", "2021-05-05 23:59:59"]),
        "zone": pd.to_datetime(["2020-01-01 10:00:00"] * 3 + [None]).tz_localize("Europe/Berlin"),
        "text": ["x", "y", None, "x"],
        "hours": pd.to_timedelta([12, 24, 36, 48], unit="h"),
        "whole": [1.0, np.nan, 3.0, -4.0],
    }
)

TEXTS = {
    "category": ["a", "b", "", "a"],
    "ordered": ["low", "top", "low", "mid"],
    "bool": ["True", "False", "True", "True"],
    "boolean": ["True", "", "False", "True"],
    "Int64": ["1", "", "3", "7"],
    "Float64": ["1.5", "", "3", "7"],
    "float32": ["0.1", "0.2", "", "5"],
    "day": ["2020-01-01", "", "2020-01-03", "2021-05-05"],
    "moment": ["2020-01-01 10:00:00", "", "2020-01-03 00:00:00", "2021-05-05 23:59:59"],
    "zone": ["2020-01-01 10:00:00"] * 3 + [""],
    "text": ["x", "y", "", "x"],
    "hours": ["0.5", "1", "1.5", "2"],
    "whole": ["1", "", "3", "-4"],
}


def test_every_type_becomes_texts() -> None:
    cells = frame_cells(FRAME)
    assert {name: cells.column(name).tolist() for name in cells.names} == TEXTS
    assert cells.lines.tolist() == [1, 2, 3, 4]


def test_types_decide_on_kinds() -> None:
    schema = read_table(FRAME).schema
    kinds = {column.name: column.kind for column in schema.columns}
    assert kinds["ordered"] == "ordinal"
    assert schema["ordered"].levels == ("low", "mid", "top", "never")
    assert kinds["bool"] == kinds["boolean"] == "binary"
    assert kinds["category"] == "category"
    assert kinds["day"] == kinds["moment"] == "date"
    assert kinds["zone"] == "constant"


def test_observed_cells_return_in_the_texts_of_the_frame() -> None:
    table = read_table(FRAME)
    decoded = table.schema.decode(table.values)
    for column in table.schema.modelled:
        assert decoded[column.name].tolist() == TEXTS[column.name]


def test_category_keeps_a_word_that_marks_missing_cells_elsewhere() -> None:
    frame = pd.DataFrame({"code": pd.Categorical(["NA", "DE", None, "NA"], ["DE", "FR", "NA"]), "x": [0.5, 1.5, 4, 2]})
    table = read_table(frame)
    assert table.schema["code"].levels == ("DE", "NA")
    assert np.isnan(table.values[:, 0]).tolist() == [False, False, True, False]
    np.testing.assert_array_equal(read_table(frame, schema=table.schema).values, table.values)


def test_a_cell_that_does_not_fit_is_named_by_its_row() -> None:
    frame = pd.DataFrame({"x": [*"12345", "old"], "y": [0.5, 1.5, 4, 2, 6, 7]})
    with pytest.raises(DataError, match=r"column 'x': expected whole .* found 'old' \(row 6\)"):
        read_table(frame, overrides=Overrides(column={"x": "count"}))


@pytest.mark.parametrize("dtype", ["float32", "Float64"])
def test_infinite_numbers_are_an_error_not_words(dtype: str) -> None:
    frame = pd.DataFrame({"a": pd.Series([0.5, np.inf, 2.5, -np.inf], dtype=dtype), "b": list("xyxy")})
    with pytest.raises(DataError, match=r"column 'a' has 2 infinite numbers \(first: row 2\). Correct these cells"):
        read_table(frame)


@pytest.mark.parametrize("source", [None, np.zeros((3, 2)), pd.Series([1.0, 2.0])])
def test_other_objects_are_refused(source: Any) -> None:
    with pytest.raises(UsageError, match="expected the path of a table or a DataFrame, found"):
        read_table(source)


def test_parquet_gives_the_same_table(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(tmp_path / "t.parquet")
    cells = frame_cells(load_parquet(tmp_path / "t.parquet"))
    assert {name: cells.column(name).tolist() for name in cells.names} == TEXTS
    assert cells.hints == frame_cells(FRAME).hints


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 broken PAR1")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        load_parquet(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame(), "expected rows and columns"),
        (pd.DataFrame({"x": []}), "expected rows and columns"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "found 'x' twice"),
    ],
)
def test_a_frame_without_cells_or_with_repeated_names_is_an_error(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        frame_cells(frame)
