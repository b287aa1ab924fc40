"""Splits: every example goes to one split, and a fixed seed decides which."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.data.dataset import Split
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
        hold_out("some", numbered(count), parts)


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
