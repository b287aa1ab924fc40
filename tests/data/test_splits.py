"""Splits: every example goes to one split, and a fixed seed decides which."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.readers.sources import WHOLE, Examples, Reading, Source
from tfp_vae.data.splits import as_split, from_source, hold_out, split_at_random


def numbered(count: int) -> Split:
    return Split(np.arange(float(count))[:, None], np.arange(count))


@pytest.mark.parametrize("count", [3, 4, 10, 11, 99, 100, 101, 1_797])
def test_a_tenth_is_rounded_up_and_every_example_is_used_once(count: int) -> None:
    data = split_at_random("some", numbered(count))
    tenth = math.ceil(count / 10)
    assert data.sizes() == {"train": count - 2 * tenth, "validation": tenth, "test": tenth}
    np.testing.assert_array_equal(np.sort(np.concatenate(data.parts).ravel()), np.arange(count))


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_labels_and_rows_follow_their_examples(part: str) -> None:
    split = split_at_random("some", numbered(50)).splits[part]
    np.testing.assert_array_equal(split.x[:, 0], split.y)
    np.testing.assert_array_equal(split.x[:, 0], split.source_rows())


def test_equal_sizes_give_equal_splits() -> None:
    first, second = (split_at_random(name, numbered(40)) for name in ("one", "another"))
    np.testing.assert_array_equal(first.test.source_rows(), second.test.source_rows())


@pytest.mark.parametrize(("count", "parts"), [(1, 1), (2, 2), (0, 1)])
def test_refuses_too_few_examples_for_all_parts(count: int, parts: int) -> None:
    with pytest.raises(DataError, match=rf"expected at least {parts + 1} examples, .* found {count}[.] Add more"):
        hold_out("some", numbered(count), [0.1] * parts)


@pytest.mark.parametrize(
    ("names", "rule"),
    [((WHOLE,), "a seeded tenth (seed 0) each for validation and test"),
     (("train",), "a seeded tenth (seed 0) each for validation and test"),
     (("train", "validation"), "as in the file, and a seeded tenth (seed 0) from train for test"),
     (("train", "test"), "as in the file, and a seeded tenth (seed 0) from train for validation"),
     (("train", "validation", "test"), "as in the file")],
)  # fmt: skip
def test_keeps_splits_of_a_source_and_draws_missing_ones(names: tuple[str, ...], rule: str) -> None:
    parts = {name: Examples(np.full((20, 2), float(i)), None) for i, name in enumerate(names)}
    data = from_source("some", Source(parts, Reading(label_column="kind")))
    assert data.split_rule == rule
    assert data.reading.label_column == "kind"
    for name, split in data.splits.items():
        assert (split.x == (names.index(name) if name in names else 0)).all()


@pytest.mark.parametrize(("shape", "event"), [((9, 5), (5,)), ((9, 4, 5), (4, 5, 1)), ((9, 4, 5, 3), (4, 5, 3))])
def test_images_get_an_axis_of_channels(shape: tuple[int, ...], event: tuple[int, ...]) -> None:
    split = as_split(Examples(np.zeros(shape), None, np.arange(9).astype(str)))
    assert split.x.shape[1:] == event
    assert split.source_name(3) == "3"


def test_refuses_source_without_training_examples() -> None:
    parts = {"test": Examples(np.zeros((9, 2)), None)}
    with pytest.raises(DataError, match="some: expected training examples, found only those of the split test"):
        from_source("some", Source(parts, Reading()))


def test_lines_follow_their_examples() -> None:
    lines = np.arange(2, 22)
    data = from_source("some", Source({WHOLE: Examples(np.arange(20.0)[:, None], None, lines=lines)}, Reading()))
    for split in data.splits.values():
        assert split.source_name(0) == f"line {split.x[0, 0] + 2:.0f}"


def split(count: int = 40, **reading: object) -> Dataset:
    parts = {WHOLE: Examples(np.arange(float(count))[:, None], None)}
    return from_source("some", Source(parts, Reading.model_validate(reading)))


@pytest.mark.parametrize(
    ("shares", "count", "sizes"),
    [
        ("0.5,0.25,0.25", 40, (20, 10, 10)),
        ((0.7, 0.2, 0.1), 10, (7, 2, 1)),
        ("0.7,0.3,0", 10, (7, 3, 0)),
        ("1,0,0", 10, (10, 0, 0)),
        ("0.98,0.01,0.01", 10, (8, 1, 1)),
        ("0.333334,0.333333,0.333333", 30, (10, 10, 10)),
    ],
)
def test_shares_of_your_own(shares: object, count: int, sizes: tuple[int, ...]) -> None:
    data = split(count, split_fractions=shares)
    assert tuple(data.sizes().values()) == sizes
    np.testing.assert_array_equal(np.sort(np.concatenate(data.parts).ravel()), np.arange(count))
    assert data.held_out == ("validation", "test")
    assert re.fullmatch(r"shares of [\d.]+, [\d.]+ and [\d.]+ at random \(seed 0\)", data.split_rule)


def test_default_shares_written_out_give_the_default_splits() -> None:
    for part, other in zip(split(97).parts, split(97, split_fractions="0.8,0.1,0.1").parts, strict=True):
        np.testing.assert_array_equal(part, other)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ("0.8,0.1", "expected three shares that sum to 1, such as 0.8,0.1,0.1, found 0.8,0.1."),
        ((0.8, 0.1, 0.2), "expected three shares that sum to 1, such as 0.8,0.1,0.1, found 0.8,0.1,0.2."),
        ("0,0.5,0.5", "expected a share of training examples above 0, found 0,0.5,0.5."),
        ("1.2,-0.1,-0.1", "expected a number of at most 1, found '1.2'."),
        ("a,b,c", "expected a number, found 'a'."),
        ("nan,0.5,0.5", "expected a finite number, found 'nan'."),
    ],
)
def test_shares_that_are_no_three_shares_are_refused(shares: object, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(f'`split_fractions`: {message}')}$"):
        split(split_fractions=shares)


def test_only_missing_splits_take_their_share() -> None:
    parts = {name: Examples(np.full((20, 2), float(i)), None) for i, name in enumerate(("train", "test"))}
    data = from_source("some", Source(parts, Reading(split_fractions=(0.7, 0.25, 0.05))))
    assert data.sizes() == {"train": 15, "validation": 5, "test": 20}
    assert data.split_rule == "as in the file, and a share of 0.25 at random (seed 0) from train for validation"
    assert data.held_out == ("validation",)


def test_shares_of_data_with_splits_are_refused() -> None:
    parts = {name: Examples(np.zeros((20, 2)), None) for name in ("train", "validation", "test")}
    with pytest.raises(UsageError, match="`split_fractions` has no effect on data with splits of their own"):
        from_source("some", Source(parts, Reading(split_fractions=(0.8, 0.1, 0.1))))


def test_shares_that_leave_no_training_examples_are_refused() -> None:
    with pytest.raises(DataError, match=r"leaves none of 3 examples for training[.] Raise the first share"):
        split(3, split_fractions="0.1,0.45,0.45")
