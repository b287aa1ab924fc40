"""`load`: data sets from names, paths, arrays and tables in memory."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tfp_vae as tv
from tests.helpers.runs import small_model, small_training
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.runs.recipe import plan


@pytest.fixture
def frame(rng: np.random.Generator) -> pd.DataFrame:
    kinds = np.array(["a", "b"])[np.arange(40) % 2]
    return pd.DataFrame({"width": rng.normal(size=40), "kind": kinds, "count": np.arange(40)})


def test_named_data_set_is_that_of_the_command_line() -> None:
    config, _ = plan("digits", None, None, small_model(), small_training())
    assert tv.data.load("digits").fingerprint() == config.data.fingerprint


def test_array_in_memory_equals_its_file(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = rng.integers(0, 256, (40, 4, 4)).astype(np.uint8), np.arange(40) % 3
    np.savez(tmp_path / "a.npz", x=x, y=y)
    from_file, from_memory = tv.data.load(tmp_path / "a.npz"), tv.data.load((x, y))
    assert from_memory.fingerprint() == from_file.fingerprint()
    assert from_memory.split_rule == from_file.split_rule
    assert from_memory.scaling.name == "pixels"
    np.testing.assert_array_equal(from_memory.test.y, from_file.test.y)
    np.testing.assert_array_equal(from_memory.test.x[..., 0] * 255, x[from_memory.test.rows])


def test_table_in_memory_equals_its_file(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    from_file = tv.data.load(tmp_path / "a.csv", label_column="kind")
    from_memory = tv.data.load(frame, label_column="kind")
    assert from_memory.fingerprint() == from_file.fingerprint()
    assert from_memory.reading == from_file.reading
    assert from_memory.scaling == from_file.scaling
    assert from_memory.scaling.name == "standard"
    np.testing.assert_array_equal(from_memory.train.y, from_file.train.y)


def test_columns_of_a_table_keep_their_order(frame: pd.DataFrame) -> None:
    data = tv.data.load(frame, columns=("count", "width"), scaling="none")
    np.testing.assert_array_equal(data.train.x[:, 0], data.train.source_rows())


def test_numbers_as_labels_stay_numbers(frame: pd.DataFrame) -> None:
    data = tv.data.load(frame, label_column="count", columns="width")
    np.testing.assert_array_equal(data.test.y, data.test.rows)


def test_path_with_the_name_of_a_data_set_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="digits"):
        tv.data.load(Path("digits"))


def test_columns_without_numbers_are_named(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"in 'kind'[.] Name the labels with `label_column`"):
        tv.data.load(frame)


def test_missing_columns_are_named(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="one column named 'height', found 0 among width, kind, count"):
        tv.data.load(frame, columns="height")


def test_missing_values_are_refused(frame: pd.DataFrame) -> None:
    frame.loc[3, "width"] = np.nan
    with pytest.raises(DataError, match="found nan in row 3"):
        tv.data.load(frame, columns="width")


@pytest.mark.parametrize("setting", ["label_column", "columns", "resize"])
def test_settings_without_effect_on_arrays_are_refused(setting: str) -> None:
    with pytest.raises(UsageError, match=f"`{setting}` has no effect on an array"):
        tv.data.load(np.zeros((9, 4)), **{setting: "28"})


def test_settings_without_effect_on_tables_are_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="`resize` has no effect on a table"):
        tv.data.load(frame, resize="28")
    with pytest.raises(UsageError, match="`data_dir` has no effect on data in memory"):
        tv.data.load(frame, data_dir="here")


def test_values_of_settings_are_checked() -> None:
    with pytest.raises(UsageError, match="channels: expected 'auto', 'grey' or 'colour'"):
        tv.data.load("digits", channels="red")  # type: ignore[arg-type]


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"load has no setting `label`.*Did you mean `label_column`"):
        tv.data.load("digits", label="kind")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("source", "message"),
    [(np.zeros(9), "found shape .9,."), (np.array([["a", "b"]]), "expected an array of numbers"),
     ((np.zeros((9, 2)), np.zeros(8)), "expected a label for each of 9 examples")],
)  # fmt: skip
def test_malformed_arrays_are_refused(source: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        tv.data.load(source)  # type: ignore[arg-type]


def test_tuple_must_be_a_pair() -> None:
    with pytest.raises(UsageError, match="expected a pair of examples and labels, found a tuple of 3"):
        tv.data.load((np.zeros((9, 2)),) * 3)  # type: ignore[arg-type]


def test_warnings_name_the_setting_that_overrides_them(
    rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    x = rng.integers(0, 65_536, (40, 4, 4)).astype(np.uint16)
    x[0, 0, 0] = 65_535
    tv.data.load(x)
    assert "`scaling=divided:by=65535`" in caplog.text
    caplog.clear()
    tv.data.load(x, scaling="divided:by=65535")
    assert not caplog.records


def test_choice_of_scaling_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tfp_vae"):
        tv.data.load("digits")
    assert "digits: scaling is pixels. Set `scaling` to choose another." in caplog.text


def test_origin_leads_back_to_the_data_from_any_folder(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", rng.normal(size=(40, 3)))
    monkeypatch.chdir(tmp_path)
    named, relative, memory = (tv.data.load(source) for source in ("digits", "a.npy", rng.normal(size=(40, 3))))
    assert named.origin == ("digits", None)
    assert relative.origin == (str(tmp_path.resolve() / "a.npy"), None)
    assert memory.origin is None
