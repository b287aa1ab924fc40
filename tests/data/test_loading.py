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
from tfp_vae.data.dataset import SPLITS, Origin, first_flaw
from tfp_vae.data.loading import load, read
from tfp_vae.runs.recipe import plan


@pytest.fixture
def frame(rng: np.random.Generator) -> pd.DataFrame:
    kinds = np.array(["a", "b"])[np.arange(40) % 2]
    return pd.DataFrame({"width": rng.normal(size=40), "kind": kinds, "count": np.arange(40)})


def test_named_data_set_equals_that_of_the_command_line() -> None:
    config, _ = plan("digits", None, None, small_model(), small_training())
    assert tv.data.load("digits").fingerprint() == config.data.fingerprint


@pytest.mark.parametrize(("labels", "kind"), [(["a", "b", "c"], "U"), ([3, 1, 2], "i"), (["02", "1", "3"], "U")])
def test_labels_that_are_objects_become_texts_or_whole_numbers(
    labels: list[object], kind: str, rng: np.random.Generator
) -> None:
    x, y = rng.normal(size=(60, 4)), np.array(labels * 20, dtype=object)
    for source in ((x, y), (x, y[:, None]), {"x": x, "y": y}):
        data = tv.data.load(source)
        assert data.train.y.dtype.kind == kind
        np.testing.assert_array_equal(data.train.y.astype(str), y[data.train.rows].astype(str))


@pytest.mark.parametrize(
    "labels",
    [
        pd.array([1, None, 2], dtype="Int64"),
        pd.array([True, None, False], dtype="boolean"),
        pd.array(["a", None, "None"], dtype="string"),
        np.array([1, np.nan, "c"], dtype=object),
        np.array([0.5, np.nan, 2.0]),
    ],
    ids=["Int64", "boolean", "string", "objects", "floats"],
)
def test_missing_labels_of_a_table_in_memory_are_those_of_its_file(
    labels: object, tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    frame = pd.DataFrame({"x": rng.normal(size=60), "y": pd.Series(labels).repeat(20).reset_index(drop=True)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    data, file = (tv.data.load(source, label_column="y") for source in (frame, tmp_path / "t.csv"))
    assert data.train.y.tolist() == file.train.y.tolist()
    assert "20 rows have no label, the first in row 20 (counted from 0)" in caplog.text


def test_missing_labels_among_objects_are_empty(rng: np.random.Generator, caplog: pytest.LogCaptureFixture) -> None:
    y = np.array(["a", None, "None"] * 20, dtype=object)
    data = tv.data.load((rng.normal(size=(60, 2)), y))
    assert set(data.train.y.tolist()) == {"a", "", "None"}
    assert "array: 20 rows have no label, the first in row 1 (counted from 0)" in caplog.text


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ([[1, 2], [3]], "array"),
        (([[1.0], [2.0]], [[1], [2, 3]]), "labels"),
        ({"x_train": [[1.0]], "x_test": [[1, 2], [3]]}, "x_test"),
    ],
)
def test_refuses_lists_of_several_lengths(source: object, name: str) -> None:
    with pytest.raises(DataError, match=f"^{name}: expected an array, found lists of several lengths"):
        tv.data.load(source)  # type: ignore[arg-type]


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


def test_columns_of_a_table_can_be_left_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv")
    from_file = tv.data.load(tmp_path / "a.csv", label_column="kind", drop_columns="column_1")
    from_memory = tv.data.load(frame.assign(other=1), label_column="kind", drop_columns=("oth*",))
    assert from_file.reading.columns == from_memory.reading.columns == ("width", "count")
    assert from_file.fingerprint() == from_memory.fingerprint()


def test_numbers_as_labels_stay_numbers(frame: pd.DataFrame) -> None:
    data = tv.data.load(frame, label_column="count", columns="width")
    np.testing.assert_array_equal(data.test.y, data.test.rows)


def test_path_with_the_name_of_a_data_set_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="digits"):
        tv.data.load(Path("digits"))


def test_columns_of_words_make_a_mixed_table(frame: pd.DataFrame) -> None:
    data = tv.data.load(frame)
    assert "kind" in [column.name for column in data.profile.columns]
    assert data.profile.kind.form == "tables"


def test_names_missing_columns(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="one column named 'height', found none among width, kind, count"):
        tv.data.load(frame, columns="height")


def test_missing_cells_of_a_table_stay_missing(frame: pd.DataFrame) -> None:
    frame.loc[3, "width"] = np.nan
    data = tv.data.load(frame, columns="width")
    assert sum(int(np.isnan(split.x).sum()) for split in data.splits.values()) == 1


def test_refuses_missing_values_of_arrays() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    x[3, 1] = np.nan
    with pytest.raises(DataError, match="found nan in row 3"):
        tv.data.load(x)


@pytest.mark.parametrize("setting", ["label_column", "columns", "resize"])
def test_refuses_settings_without_effect_on_arrays(setting: str) -> None:
    with pytest.raises(UsageError, match=f"`{setting}` has no effect on an array"):
        tv.data.load(np.zeros((9, 4)), **{setting: "28"})


def test_refuses_settings_without_effect_on_tables(frame: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="`resize` has no effect on a table"):
        tv.data.load(frame, resize="28")
    with pytest.raises(UsageError, match="`data_dir` has no effect on data in memory"):
        tv.data.load(frame, data_dir="here")


def test_checks_values_of_settings() -> None:
    with pytest.raises(UsageError, match=r"^`channels`: expected 'auto', 'grey' or 'colour'"):
        tv.data.load("digits", channels="red")  # type: ignore[arg-type]


def test_refuses_unknown_settings() -> None:
    with pytest.raises(UsageError, match=r"load has no setting `label_colum`.*Did you mean `label_column`"):
        tv.data.load("digits", label_colum="kind")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("source", "message"),
    [(np.zeros(9), "found shape .9,."), (np.array([["a", "b"]]), "expected an array of numbers"),
     ((np.zeros((9, 2)), np.zeros(8)), "expected a label for each of 9 examples"),
     ({"x_train": np.zeros((9, 2)), "x_test": np.zeros((9, 3))}, "arrays: expected one shape of example in all splits"),
     ({"a": np.zeros((9, 2)), "b": 1}, "cannot tell the role of a, b"), ({}, "arrays: expected arrays, found nothing")],
)  # fmt: skip
def test_refuses_malformed_arrays(source: object, message: str) -> None:
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


def test_logs_choice_of_scaling(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tfp_vae"):
        tv.data.load("digits")
    assert "digits: scaling is pixels. Set `scaling` to choose another." in caplog.text


def test_origin_leads_back_to_the_data_from_any_folder(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", rng.normal(size=(40, 3)))
    monkeypatch.chdir(tmp_path)
    named, relative, memory = (tv.data.load(source) for source in ("digits", "a.npy", rng.normal(size=(40, 3))))
    assert named.origin == Origin("digits")
    assert relative.origin == Origin(str(tmp_path.resolve() / "a.npy"))
    assert memory.origin is None


class TestOwnArrays:
    """Your own `.npy` and `.npz` files."""

    @pytest.mark.parametrize(
        ("shape", "event"),
        [((20, 6), (6,)), ((20, 4, 3), (4, 3, 1)), ((20, 4, 3, 3), (4, 3, 3)), ((20, 8, 8, 1), (8, 8, 1))],
    )
    def test_arrays_keep_their_shape_and_are_split(
        self, shape: tuple[int, ...], event: tuple[int, ...], tmp_path: Path
    ) -> None:
        np.save(tmp_path / "a.npy", np.zeros(shape))
        data = load(str(tmp_path / "a.npy"))
        assert data.event_shape == event
        assert data.sizes() == {"train": 16, "validation": 2, "test": 2}

    def test_labels_of_npz_files_follow_their_examples(self, tmp_path: Path, rng: np.random.Generator) -> None:
        x = rng.random((30, 3))
        np.savez(tmp_path / "a.npz", x=x, y=np.round(100 * x[:, 0]))
        data = load(str(tmp_path / "a.npz"))
        np.testing.assert_array_equal(np.round(100 * data.test.x[:, 0].astype(float), 4).round(), data.test.y)

    def test_keeps_splits_of_npz_files(self, tmp_path: Path) -> None:
        arrays = {f"x_{name}": np.full((10, 2), i) for i, name in enumerate(SPLITS)}
        np.savez(tmp_path / "a.npz", **arrays)
        data = load(str(tmp_path / "a.npz"))
        assert [getattr(data, name).x[0, 0] for name in SPLITS] == [0, 1, 2]
        del arrays["x_validation"]
        np.savez(tmp_path / "b.npz", **arrays)
        assert load(str(tmp_path / "b.npz")).sizes() == {"train": 9, "validation": 1, "test": 10}

    @pytest.mark.parametrize(
        "names",
        [
            "x_train x_val x_test",
            "X_train X_valid X_test",
            "train_images dev_images test_images",
            "Train Validation Test",
        ],
    )
    def test_given_splits_are_used_whatever_their_usual_name(self, names: str, tmp_path: Path) -> None:
        arrays = {name: np.full((10, 2), i, float) for i, name in enumerate(names.split())}
        np.savez(tmp_path / "a.npz", **arrays)
        for source in (tmp_path / "a.npz", arrays):
            data = load(source, scaling="none")
            assert [split.x.mean() for split in data.splits.values()] == [0, 1, 2]
            assert data.split_rule == "as in the file"

    def test_given_validation_split_stays_apart_if_test_is_missing(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x_train=np.zeros((20, 2)), x_val=np.ones((5, 2)))
        data = load(tmp_path / "a.npz", scaling="none")
        assert data.sizes() == {"train": 18, "validation": 5, "test": 2}
        assert (data.validation.x == 1).all()
        assert not data.test.x.any()

    @pytest.mark.parametrize("names", ["x y", "X labels", "data target", "images label", "inputs targets"])
    def test_labels_of_usual_names_may_be_a_column(self, names: str, tmp_path: Path) -> None:
        examples, labels = names.split()
        arrays = {examples: np.arange(20.0).reshape(20, 1), labels: np.arange(20).reshape(20, 1)}
        np.savez(tmp_path / "a.npz", **arrays)
        for source in (tmp_path / "a.npz", arrays, tuple(arrays.values())):
            data = load(source, scaling="none")
            np.testing.assert_array_equal(data.test.x[:, 0], data.test.y)

    def test_settings_name_the_arrays(self, tmp_path: Path) -> None:
        np.savez(
            tmp_path / "a.npz",
            first=np.zeros((20, 2)),
            second=np.ones((5, 2)),
            kinds=np.arange(20),
            objects=np.array([{}, 1]),
        )
        pairs = {"x_train": "first", "x_test": "second", "y_train": "kinds"}
        text = ",".join(map("=".join, pairs.items()))
        for arrays in (pairs, text, tuple(text.split(","))):
            data = load(tmp_path / "a.npz", arrays=arrays)
            assert data.sizes() == {"train": 18, "validation": 2, "test": 5}
            assert sorted([*data.train.y, *data.validation.y]) == list(range(20))
        with pytest.raises(DataError, match="cannot tell the role of first, second, kinds, objects"):
            load(tmp_path / "a.npz")

    def test_open_file_and_bunch_are_mappings(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x=np.zeros((20, 2)), notes=np.array([{}]))
        assert sum(load(np.load(tmp_path / "a.npz")).sizes().values()) == 20
        bunch = {"data": np.zeros((20, 4)), "target": np.arange(20), "images": np.zeros((20, 2, 2)), "DESCR": "text"}
        assert load(bunch, arrays={"x": "images", "y": "target"}).event_shape == (2, 2, 1)

    @pytest.mark.parametrize("arrays", ["first", "z=first", "x_train=", "x_mine=first"])
    def test_refuses_unknown_roles(self, arrays: str) -> None:
        with pytest.raises(UsageError, match=r"^`arrays`: expected roles of arrays, .*, found '[^(]*'[.]$"):
            load({"first": np.zeros((9, 2))}, arrays=arrays)

    def test_warns_of_arrays_that_are_not_used(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        np.savez(tmp_path / "a.npz", x=np.zeros((20, 2)), feature_names=np.array(["a", "b"]))
        load(tmp_path / "a.npz")
        assert "arrays that are not used: feature_names. Set `arrays` to choose others." in caplog.text

    def test_warns_of_arrays_without_a_chosen_role(self, caplog: pytest.LogCaptureFixture) -> None:
        x, y = np.zeros((20, 2)), np.zeros(20)
        load({"x_train": x, "y_train": y, "x_test": x, "x_unlabeled": x}, arrays="x_train=x_train")
        expected = "arrays that are not used: y_train, x_test, x_unlabeled. Add those you need to `arrays`."
        assert expected in caplog.text

    def test_test_examples_alone_are_not_trained_on(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", x_test=np.zeros((20, 2)))
        with pytest.raises(DataError, match="expected training examples, found only those of the split test"):
            load(tmp_path / "a.npz")

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({}, "found nothing"),
            ({"a": np.zeros((9, 2)), "b": np.zeros((9, 2))}, "cannot tell the role of a, b among a, b"),
            ({"x": np.zeros((9, 2)), "y": np.zeros(8)}, "a label for each of 9"),
            ({"x": np.zeros(9)}, r"found shape \(9,\)"),
            ({"x": np.zeros((9, 0))}, r"found shape \(9, 0\)"),
            ({"x": np.zeros((2, 3))}, "a.npz: expected at least 3 examples, one for each split, found 2. Add more"),
            ({"x": np.array([["a"] * 3] * 9)}, "array of numbers, found dtype"),
            ({"x": np.ones((9, 2), complex)}, "array of numbers, found dtype complex"),
            ({"x_train": np.zeros((9, 2)), "x_test": np.zeros((9, 3))}, "one shape of example"),
        ],
    )
    def test_refuses_unusable_arrays(self, arrays: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(DataError, match=message):
            load(str(tmp_path / "a.npz"))

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_names_rows_that_are_not_finite(self, value: float, tmp_path: Path) -> None:
        x = np.zeros((40, 3))
        x[17, 1] = value
        np.savez(tmp_path / "a.npz", x_train=x, x_validation=x[:5], x_test=x[:5])
        with pytest.raises(
            DataError,
            match=f"train split: expected values in the real numbers, found {value} in row 17 .counted from 0",
        ):
            load(str(tmp_path / "a.npz"))

    def test_errors_use_the_row_numbers_of_the_file(self, tmp_path: Path) -> None:
        for row in (0, 10, 39):
            x = np.zeros((40, 3))
            x[row, 1] = np.nan
            np.save(tmp_path / "a.npy", x)
            with pytest.raises(DataError, match=rf"found nan in row {row} \(counted from 0\)"):
                load(str(tmp_path / "a.npy"))

    def test_names_the_first_of_several_bad_rows(self, tmp_path: Path) -> None:
        x = np.zeros((40, 3))
        x[[5, 11, 20, 39], 1] = np.nan  # in all splits
        np.save(tmp_path / "a.npy", x)
        with pytest.raises(
            DataError, match=r"row 5 \(counted from 0\)[.] Correct or remove that row and 3 other rows with such"
        ):
            load(str(tmp_path / "a.npy"))
        raw = read(str(tmp_path / "a.npy"))
        found = first_flaw(raw)
        assert found.examples == 4
        assert getattr(raw, found.split).source_rows()[found.row] == 5

    def test_file_that_moved_is_found_in_the_data_dir(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.zeros((20, 3)))
        assert load("/nowhere/a.npy", data_dir=str(tmp_path)).event_shape == (3,)

    @pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.idx1-ubyte", "photos/"])
    def test_missing_file_may_be_in_the_data_dir(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"found .*\. Check the path, or name its folder with `data_dir`\.$"):
            load(str(tmp_path / name))

    def test_fingerprint_depends_on_the_shape(self, tmp_path: Path) -> None:
        prints = set()
        for shape in ((20, 4), (20, 2, 2)):
            np.save(tmp_path / "a.npy", np.zeros(shape))
            prints.add(load(str(tmp_path / "a.npy")).fingerprint())
        assert len(prints) == 2

    def test_unknown_names_are_usage_errors(self) -> None:
        with pytest.raises(UsageError, match=r"unknown dataset 'imagenet'\. Choose from digits, mnist"):
            load("imagenet")


def test_file_with_the_name_of_a_data_set_causes_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    read("digits")
    (tmp_path / "digits").mkdir()
    read("digits", ".")  # because it is the data set's own folder
    read("digits", recorded=True)
    assert not caplog.messages
    read("digits")
    assert caplog.messages == ["digits means the data set of that name. For the file or folder here, write ./digits."]


@pytest.mark.parametrize("source", ["array", "table", "pair"])
def test_shares_of_splits_of_data_in_memory(source: str, caplog: pytest.LogCaptureFixture) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    data = {"array": x, "table": pd.DataFrame(x), "pair": (x, np.arange(40))}[source]
    with caplog.at_level("INFO", "tfp_vae"):
        assert load(data, split_fractions=(0.5, 0.3, 0.2)).sizes() == {"train": 20, "validation": 12, "test": 8}
        assert "split_fractions" not in caplog.text
        assert load(data).sizes() == {"train": 32, "validation": 4, "test": 4}
    assert "Set `split_fractions` for other shares." in caplog.text
    with pytest.raises(UsageError, match="split_fractions"):
        load(data, split_fractions="0.5,0.6,0.1")
