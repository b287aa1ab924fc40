"""Inspection: duplicates between splits, and examples for a picture."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tests.helpers.files import dataset
from tfp_vae.data import inspection
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.inspection import describe, find_duplicates, moments, pick_examples


def split_into(train: np.ndarray, held_out: np.ndarray) -> Dataset:
    return Dataset("some", "", Split(train), Split(held_out), Split(held_out))


class TestDuplicates:
    """Examples that occur in two splits."""

    def test_unit_of_a_feature_does_not_change_its_weight(self, rng: np.random.Generator) -> None:
        x, y = rng.normal(size=(200, 8)).astype(np.float32), rng.normal(size=(50, 8)).astype(np.float32)
        x[:, 0], y[:, 0] = 1e5 * x[:, 0], 1e5 * y[:, 0]
        y[7] = x[3]
        found = find_duplicates(Dataset("own", "", Split(x), Split(y), Split(y)), "test")
        assert (found.identical, found.near) == (1, 1)

    def test_nearest_rows_agree_with_brute_force(self, rng: np.random.Generator) -> None:
        a, b = rng.normal(40, 1, (300, 7)).astype(np.float32), rng.normal(40, 1, (90, 7)).astype(np.float32)
        places, distances = inspection.nearest_rows(a, b)
        every = np.sqrt(np.mean((a[None].astype(float) - b[:, None]) ** 2, axis=2))
        np.testing.assert_array_equal(places, every.argmin(axis=1))
        np.testing.assert_allclose(distances, every.min(axis=1))

    def test_block_size_changes_nothing(self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
        a, b = rng.normal(size=(50, 3)).astype(np.float32), rng.normal(size=(20, 3)).astype(np.float32)
        whole = inspection.nearest_rows(a, b)
        monkeypatch.setattr(inspection, "BLOCK", 7)
        for found, expected in zip(inspection.nearest_rows(a, b), whole, strict=True):
            np.testing.assert_array_equal(found, expected)

    def test_finds_and_names_planted_duplicates(self, rng: np.random.Generator) -> None:
        train = rng.normal(size=(200, 30)).astype(np.float32)
        held_out = rng.normal(size=(50, 30)).astype(np.float32)
        held_out[[4, 9]] = train[[17, 120]]
        held_out[23] = train[55] + 0.01 * rng.normal(size=30)
        found = find_duplicates(split_into(train, held_out), "test")
        assert (found.identical, found.near, found.searched, found.among) == (2, 3, 50, 200)
        assert [(each.held_out, each.train) for each in found.nearest] == [
            ("row 4", "row 17"),
            ("row 9", "row 120"),
            ("row 23", "row 55"),
        ]
        assert found.nearest[2].distance == pytest.approx(0.01, rel=0.5)
        typical = np.sqrt(2.0)  # of two independent standard Normal vectors, for each element
        assert found.radius == pytest.approx(inspection.NEAR * typical, rel=0.05)

    def test_expensive_searches_use_a_sample(self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(inspection, "MOST_PRODUCTS", 200 * 5 * 10)
        train, held_out = rng.normal(size=(200, 5)), rng.normal(size=(60, 5))
        held_out[:] = train[:60]
        found = find_duplicates(split_into(train, held_out), "validation")
        assert (found.identical, found.searched, found.near) == (60, 10, 10)

    def test_reports_how_many_examples_were_left_out(
        self, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x, y = rng.normal(size=(200, 5)), rng.normal(size=(60, 5))
        assert find_duplicates(split_into(x, y), "test").left_out == 0
        monkeypatch.setattr(inspection, "MOST_PRODUCTS", 200 * 5 * 10)
        assert find_duplicates(split_into(x, y), "test").left_out == 50

    @pytest.mark.parametrize("examples", [3, 12])
    def test_large_photos_need_little_memory(self, examples: int, rng: np.random.Generator) -> None:
        photos = rng.random((examples, 400, 400, 3), dtype=np.float32)
        data = split_into(photos, photos[:2].copy())
        tracemalloc.start()
        found = find_duplicates(data, "test")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (found.identical, found.near) == (2, 2)
        assert peak < 4 * 8 * max(photos.size, inspection.BLOCK_SIZE)

    @pytest.mark.parametrize("examples", [1, 2, 3])
    def test_a_few_examples_have_a_typical_distance(self, examples: int) -> None:
        x = np.arange(float(2 * examples)).reshape(examples, 2)
        radius = find_duplicates(split_into(x.reshape(examples, 1, 2, 1), x.reshape(-1, 1, 2, 1)), "test").radius
        assert radius == pytest.approx({1: 0.0, 2: 0.2, 3: 0.2}[examples])

    def test_zero_and_minus_zero_are_identical(self) -> None:
        assert find_duplicates(split_into(np.zeros((4, 2)), -np.zeros((1, 2))), "test").identical == 1


class TestPictureExamples:
    """Examples for a picture."""

    def test_classes_are_equally_frequent(self) -> None:
        x, y = np.arange(60.0).reshape(60, 1), np.repeat(["b", "a", "c"], [40, 15, 5])
        split = Split(x, y)
        shown = pick_examples(Dataset("some", "", split, split, split), 30)
        assert [y[int(value)] for value in shown[:, 0]] == ["a"] * 10 + ["b"] * 10 + ["c"] * 5

    def test_examples_without_labels_are_evenly_spread(self) -> None:
        np.testing.assert_array_equal(pick_examples(dataset(np.arange(11.0)[:, None]), 3)[:, 0], [0, 5, 10])


class TestMoments:
    """Range, mean and standard deviation of the finite values."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
    def test_agree_with_numpy_in_blocks_of_any_size(
        self, dtype: type, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x = rng.normal(100, 20, (60, 7)).astype(dtype)
        expected = {"min": x.min(), "max": x.max(), "mean": x.mean(dtype=float), "std": x.std(dtype=float)}
        for size in (1, 50, 1 << 20):
            monkeypatch.setattr(inspection, "BLOCK_SIZE", size)
            assert moments([x[:40], x[40:], x[:0]]) == pytest.approx(expected)

    def test_leave_out_missing_and_infinite_values(self) -> None:
        x = np.array([[1.0, np.nan], [np.inf, 3.0]])
        assert moments([x]) == {"min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0}
        assert np.isnan(moments([np.full((3, 2), np.nan)])["mean"])
        assert describe(dataset(x))["range"]["max"] == 3.0
