"""Data sets: splits, fingerprints, and checks that name the first bad example."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.files import dataset
from tfp_vae.core.errors import DataError
from tfp_vae.core.supports import BINARY, NOT_INFINITE, PRESENT, REAL, UNIT, by_column
from tfp_vae.data.dataset import SPLITS, Dataset, Flaw, Split, check_split, first_flaw
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.transforms.scaling import scale


def test_indexing_keeps_labels_rows_and_names_together(rng: np.random.Generator) -> None:
    split = Split(rng.normal(size=(9, 2)), np.arange(9), names=np.array([f"{i}.png" for i in range(9)]))
    part = split[[7, 2]][::-1]
    np.testing.assert_array_equal(part.y, [2, 7])
    np.testing.assert_array_equal(part.source_rows(), [2, 7])
    np.testing.assert_array_equal(part.x, split.x[[2, 7]])
    assert part.source_name(1) == "7.png"
    assert len(part) == 2


def test_examples_without_names_are_called_by_their_row() -> None:
    assert Split(np.zeros((5, 2)))[3:].source_name(1) == "row 4"


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_knows_its_name_in_the_data_set(name: str) -> None:
    data = dataset(np.zeros((5, 2)))
    assert data.splits[name].part == name
    assert data.splits[name][:2].part == name


def test_text_shows_sizes_and_shapes() -> None:
    data = dataset(np.zeros((1_500, 4, 5, 1)))
    assert repr(data) == "Dataset('some', 4x5x1: 1,500 train, 1,500 validation, 1,500 test)"
    assert repr(data.train) == "Split(1,500 examples of 4x5x1)"
    assert repr(Split(np.zeros((2, 3)), np.zeros(2))) == "Split(2 examples of 3, with labels)"


def test_fingerprint_is_a_digest_of_shapes_and_bytes(rng: np.random.Generator) -> None:
    data = dataset(rng.normal(size=(20, 3)).astype(np.float32))
    content = b"".join(repr(x.shape).encode() + x.tobytes() for x in data.parts)
    assert data.fingerprint() == hashlib.sha256(content).hexdigest()[:16]


def test_fingerprint_covers_values_and_shapes_but_not_labels() -> None:
    x = np.zeros((20, 4), np.float32)
    first = dataset(x)
    assert first.fingerprint() != dataset(x.reshape(20, 2, 2)).fingerprint()
    assert first.fingerprint() != replace(first, test=Split(x + 1)).fingerprint()
    assert first.fingerprint() == replace(first, train=Split(x, np.arange(20))).fingerprint()


def test_replaced_data_are_measured_again() -> None:
    data = dataset(np.zeros((20, 4)))
    assert data.profile.largest == 0
    assert replace(data, train=Split(np.full((20, 4), 7.0))).profile.largest == 7
    assert data.profile is data.profile


def test_uses_remembered_facts() -> None:
    data = dataset(np.zeros((20, 4)))
    known = dataset(np.ones((20, 4))).profile
    assert data.remember(profile=known, fingerprint="known") is data
    assert (data.profile, data.fingerprint(), data.transform) == (known, "known", None)


@pytest.mark.parametrize(
    ("support", "flaw"),
    [(PRESENT, Flaw("validation", 1, 2)), (NOT_INFINITE, Flaw("test", 0, 1)), (UNIT, Flaw("validation", 1, 3))],
)
def test_first_flaw_follows_the_order_of_the_source(support: object, flaw: Flaw) -> None:
    x = np.zeros((9, 2))
    x[2, 0], x[5, 1], x[7] = np.nan, np.nan, np.inf
    order = {"train": [0, 5, 8], "validation": [1, 2, 3], "test": [7, 6, 4]}
    train, validation, test = (Split(x)[rows] for rows in order.values())
    assert first_flaw(Dataset("some", "", train, validation, test), support) == flaw  # type: ignore[arg-type]


def test_train_comes_first_if_splits_have_sources_of_their_own() -> None:
    x = np.zeros((9, 2))
    x[8, 0] = np.nan
    y = np.full((9, 2), np.nan)
    assert first_flaw(Dataset("some", "", Split(x), Split(y), Split(y))) == Flaw("train", 8, 19)


def test_finite_data_have_no_flaw() -> None:
    data = dataset(np.zeros((9, 2)))
    assert first_flaw(data) is None
    data.check_finite()


@pytest.mark.parametrize(("rows", "more"), [((4,), "that row."), ((4, 6, 8), "that row and 2 other rows with such")])
def test_counts_values_that_are_not_finite(rows: tuple[int, ...], more: str) -> None:
    x = np.zeros((9, 2))
    x[list(rows), 1] = np.nan
    data = Dataset("some", "", Split(x), Split(x[:3]), Split(x[:3]))
    with pytest.raises(DataError) as error:
        data.check_finite()
    expected = "some, train split: expected values in the real numbers, found nan in row 4 (counted from 0). "
    assert str(error.value).startswith(f"{expected}Correct or remove {more}")


def test_errors_of_supports_name_the_split_and_the_example() -> None:
    x = np.zeros((9, 2))
    named = Split(np.full((3, 2), 0.25), names=np.array(["a.png", "b.png", "c.png"]))
    data = Dataset("some", "", Split(x), Split(x), named)
    with pytest.raises(DataError, match=r"^some, test split: expected values in \{0, 1\}, found 0.25 in a.png[.] "):
        data.check_support(BINARY, "Try harder.")
    data.check_support(UNIT, "Try harder.")


@pytest.mark.parametrize("advice", ["Try harder.", lambda: "Try harder."], ids=["text", "function"])
def test_advice_ends_the_error(advice: object) -> None:
    with pytest.raises(DataError, match=r"in row 0 \(counted from 0\)[.] Try harder[.]$"):
        check_split("x", Split(np.full((2, 2), 9.0)), UNIT, advice)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [9.96921e36, -9.96921e36, 1e30, 1e20])
def test_refuses_marks_of_missing_values_with_row_and_column(value: float) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    x[[7, 11], 1] = value
    data = Dataset("sea", "", Split(x), Split(x[:2]), Split(x[:2]), Reading(columns=("salt", "temp", "depth")))
    with pytest.raises(DataError, match=r"found -?\S+ in row 7 \(counted from 0\), column 'temp'[.] Such a value"):
        data.check_finite()


def test_large_values_in_all_rows_are_accepted() -> None:
    x = np.random.default_rng(0).normal(3e19, 1e18, size=(40, 3))
    data = Dataset("plasma", "", Split(x), Split(x[:2]), Split(x[:2]))
    data.check_finite()
    assert np.abs(scale(data, "standard").train.x).max() < 10
    with pytest.raises(DataError, match=r"numbers below 1e\+12 in size, found"):
        scale(data, "none").check_support(REAL, "Scale them.")


def test_wrong_cell_of_a_table_is_named_with_the_values_of_its_column() -> None:
    support = by_column({"age": REAL, "smoker": BINARY})
    split = Split(np.array([[0.0, 1.0], [np.nan, 0.3]]))
    with pytest.raises(DataError, match=r"expected values in \{0, 1\} in column 'smoker', found 0.3 in row 1 .*Fix it"):
        check_split("x", split, support, "Fix it.", columns=["age", "smoker"])
