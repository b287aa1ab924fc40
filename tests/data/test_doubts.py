"""Doubts: properties of data that are probably mistakes, and data without them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.files import PIXELS
from tfp_vae.core.errors import DataError
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.doubts import Doubt, find_channels_first, find_placeholders
from tfp_vae.data.loading import load, read, read_memory
from tfp_vae.data.readers.sources import Reading


def table(x: np.ndarray, columns: tuple[str, ...] | None = None, y: np.ndarray | None = None) -> Dataset:
    return Dataset("some", "", Split(x, y), Split(x[:2]), Split(x[:2]), Reading(columns=columns))


class TestPlaceholders:
    """Numbers that may mark missing values."""

    def test_reports_a_number_that_many_positive_columns_share(self, rng: np.random.Generator) -> None:
        x = rng.gamma(2.0, [300.0, 5.0, 1_000.0], size=(400, 3))
        x[:40, :2] = x[30:60, 2:] = -200.0
        (found,) = Doubt.find(table(x, ("CO", "NO", "O3")))
        assert found.text.startswith("-200 occurs up to 40 times in 3 of the columns ('CO', 'NO', 'O3'), far from")
        assert found.text.endswith("If it marks missing values, set `missing=-200`.")
        assert found.setting == "missing"

    def test_reports_a_number_far_from_the_rest_of_one_column(self, rng: np.random.Generator) -> None:
        x = rng.normal([20.0, 5.0], [2.0, 1.0], size=(400, 2))
        x[:5, 0], x[3:9, 1] = 999.0, -99.0
        assert [each.text[:30] for each in Doubt.find(table(x))] == [
            "-99 occurs up to 6 times in 1 ",
            "999 occurs up to 5 times in 1 ",
        ]

    def test_blocks_give_the_same_placeholders(self, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
        x = rng.normal(20.0, 2.0, size=(400, 2))
        x[::50, 1] = -999.0
        expected = Doubt.find(table(x))
        monkeypatch.setattr("tfp_vae.data.profile.BLOCK_VALUES", 14)
        assert Doubt.find(table(x)) == expected != []

    def test_windows_of_signals_are_searched_too(self, rng: np.random.Generator) -> None:
        x = rng.normal(20.0, 2.0, size=(400, 6, 2, 1))
        x[:30, 4, 1] = -999.0
        (found,) = Doubt.find(table(x))
        assert "in 1 of the elements ('9')" in found.text

    def test_images_in_the_rows_of_a_table_have_no_missing_cells(self, rng: np.random.Generator) -> None:
        x = rng.normal(20.0, 2.0, size=(400, 2, 2, 1))
        x[:30, 0, 1] = -999.0
        reading = Reading(columns=("a", "b", "c", "d"), image_shape="2x2")
        (found,) = find_placeholders(Dataset("some", "", Split(x), Split(x[:2]), Split(x[:2]), reading))
        assert "in 1 of the elements ('b')" in found.text
        assert found.text.endswith("remove those rows or fill them in.")

    @pytest.mark.parametrize(
        "x",
        [
            np.random.default_rng(0).normal(size=(400, 3)),
            np.random.default_rng(0).integers(0, 2, (400, 3)),
            np.random.default_rng(0).integers(-1, 2, (400, 3)),
            np.random.default_rng(0).integers(1, 6, (400, 3)).astype(float),
            np.random.default_rng(0).poisson(0.1, (400, 3)).astype(float),
            np.clip(np.random.default_rng(0).normal(size=(400, 3)), -1, 1),
            np.random.default_rng(0).integers(0, 256, (400, 3)).astype(float),
            (np.arange(1_200) % 97 == 0).reshape(400, 3) * -5.0,
        ],
        ids=["reals", "binary", "signs", "ratings", "sparse counts", "clipped", "pixels", "sparse"],
    )
    def test_usual_data_have_no_placeholders(self, x: np.ndarray) -> None:
        assert not list(find_placeholders(table(x)))


class TestRowIndex:
    """Features that count the rows."""

    @pytest.mark.parametrize("start", [0, 1, 1_000])
    def test_is_found_after_the_split(self, start: int, rng: np.random.Generator) -> None:
        x = np.column_stack([rng.normal(size=80), start + np.arange(80), rng.normal(size=80)])
        (found,) = Doubt.find(read_memory(x, Reading()))
        assert found.text.startswith("feature '1' counts the rows")

    def test_pandas_index_is_named_with_the_option_to_drop_it(self, tmp_path: Path, rng: np.random.Generator) -> None:
        frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
        frame.to_csv(tmp_path / "t.csv")
        raw = read(str(tmp_path / "t.csv"))
        (found,) = Doubt.find(raw)
        assert found.text.endswith("Leave it out with `drop_columns=column_1`.")
        data = load(str(tmp_path / "t.csv"), drop_columns="column_1")
        (spaced,) = Doubt.find(read_memory(frame.reset_index(names="row number"), Reading()))
        assert spaced.text.endswith("Leave it out with `drop_columns='row number'`.")
        assert data.reading.columns == ("a", "b")
        assert Doubt.find(data) == []
        again = load(pd.read_csv(tmp_path / "t.csv"), drop_columns=["Unnamed*"])
        np.testing.assert_array_equal(again.train.x, data.train.x)

    @pytest.mark.parametrize("change", [lambda c: c[::-1], lambda c: c * 2, lambda c: np.where(c == 7, 8, c)])
    def test_other_columns_are_no_index(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        x = np.column_stack([np.random.default_rng(0).normal(size=80), change(np.arange(80.0))])
        assert Doubt.find(read_memory(x, Reading())) == []


class TestImagesInRows:
    """Images that are stored as rows of a table, with labels among the features."""

    @pytest.fixture
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        draw = np.random.default_rng(0)
        return draw.integers(0, 256, (120, 8, 8)), draw.integers(0, 10, 120)

    @pytest.mark.parametrize("name", ["Targets", "labels", "species"])
    def test_labels_are_found_by_their_name(self, name: str, rng: np.random.Generator) -> None:
        frame = pd.DataFrame({"a": rng.normal(size=60), name: np.arange(60) % 3})
        (found,) = Doubt.find(read_memory(frame, Reading()))
        assert found.text.endswith(f"set `label_column={name}`.")

    def test_hints_name_labels_and_shape(self, rows: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
        images, labels = rows
        table = np.column_stack([labels, images.reshape(120, -1)])
        header = ",".join(["label", *(f"pixel{i}" for i in range(64))])
        np.savetxt(tmp_path / "m.csv", table, fmt="%d", delimiter=",", header=header, comments="")
        found = Doubt.find(read(str(tmp_path / "m.csv")))
        assert [(each.setting, each.text.partition("set ")[2]) for each in found] == [
            ("label_column", "`label_column=label`."),
            ("image_shape", "`image_shape=8x8`."),
        ]
        data = load(str(tmp_path / "m.csv"), label_column="label", image_shape="8x8")
        expected = load((images.astype(np.uint8), labels))
        for split in ("train", "validation", "test"):
            np.testing.assert_array_equal(data.splits[split].x, expected.splits[split].x)
            np.testing.assert_array_equal(data.splits[split].y, expected.splits[split].y)
        assert Doubt.find(data) == []

    @pytest.mark.parametrize("place", [0, 64])
    def test_labels_without_a_name_are_found_at_either_end(
        self, place: int, rows: tuple[np.ndarray, np.ndarray]
    ) -> None:
        images, labels = rows
        found = Doubt.find(read_memory(np.insert(images.reshape(120, -1), place, labels, axis=1), Reading()))
        assert f"feature '{place}' looks like labels" in found[0].text
        assert "`image_shape=8x8`" in found[1].text

    def test_rows_are_pixels_only_if_all_splits_hold_pixels(self, tmp_path: Path) -> None:
        train = np.random.default_rng(0).integers(0, 256, (30, 64)).astype(np.float32)
        np.savez(tmp_path / "rows.npz", x_train=train, x_test=train[:5] + 0.5)
        data = read(str(tmp_path / "rows.npz"), reading=Reading(image_shape=(8, 8)))
        np.testing.assert_array_equal(data.test.x.reshape(5, 64), train[:5] + 0.5)
        assert data.train.x.dtype == data.test.x.dtype == np.float32

    def test_image_shape_works_in_memory(self, rows: tuple[np.ndarray, np.ndarray]) -> None:
        images, labels = rows
        expected = load(images.astype(np.uint8)).train.x
        for source in (images.reshape(120, -1), pd.DataFrame(images.reshape(120, -1).astype(float))):
            np.testing.assert_array_equal(load(source, image_shape=(8, 8)).train.x, expected)
        assert load(images.reshape(120, -1), image_shape="4x4x4").event_shape == (4, 4, 4)
        with pytest.raises(DataError, match="expected rows of 64 values for images of 8x8, found 65"):
            load(np.column_stack([labels, images.reshape(120, -1)]), image_shape="8")

    def test_usual_tables_have_no_labels_or_images(self, rng: np.random.Generator) -> None:
        assert Doubt.find(table(rng.normal(size=(90, 65)))) == []
        assert Doubt.find(table(rng.integers(0, 9, (90, 64)))) == []
        assert Doubt.find(table(rng.normal(size=(90, 2)), ("target", "b"))) == []


class TestChannels:
    """Images with their channels first."""

    @pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
    def test_names_the_transpose(self, shape: tuple[int, ...], caplog: pytest.LogCaptureFixture) -> None:
        x = np.random.default_rng(0).random((20, *shape))
        with caplog.at_level(logging.WARNING, "tfp_vae"):
            load(x)
        assert "look like images in PyTorch's order" in caplog.text
        assert "np.transpose(x, (0, 2, 3, 1))" in caplog.text
        caplog.clear()
        load(np.transpose(x, (0, 2, 3, 1)))
        assert "PyTorch" not in caplog.text

    @pytest.mark.parametrize("shape", [(3, 3, 3), (28, 28, 1), (3, 32, 31), (4, 32, 32), (32, 32, 3), (3, 1, 1)])
    def test_other_shapes_cause_no_doubt(self, shape: tuple[int, int, int]) -> None:
        assert not list(find_channels_first(shape))


def test_pixels_and_digits_cause_no_doubt() -> None:
    assert Doubt.find(Dataset("some", "", *[Split(PIXELS[..., None])] * 3)) == []
    assert Doubt.find(load("digits")) == []
