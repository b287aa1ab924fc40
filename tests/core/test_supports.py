"""Supports: which values belong to each, the first violation, and counting levels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image

from tfp_vae.core import supports
from tfp_vae.core.errors import DataError
from tfp_vae.core.supports import (
    BINARY,
    MOST_LEVELS,
    REAL,
    UNIT,
    Support,
    Violation,
    by_column,
    check_values,
    first_violation,
    level_count,
    levels,
    looks_like_ink,
    multiples,
    preimage,
)

CASES = {
    "BINARY": ([0.0, 1.0], [0.5, -1.0, 2.0, np.nan, np.inf]),
    "OPEN_UNIT": ([0.001, 0.5], [0.0, 1.0, np.nan, np.inf]),
    "POSITIVE": ([1e-30, 9e11], [0.0, -1.0, np.nan, np.inf, 1e12]),
    "UNIT": ([0.0, 0.5, 1.0], [-0.001, 1.001, np.nan, np.inf]),
    "COUNTS": ([0.0, 1.0, 255.0], [-1.0, 0.5, np.nan, np.inf]),
    "REAL": ([-9e11, 0.0, 0.5], [np.nan, np.inf, -np.inf, 1e12, -9.97e36]),
    "FINITE": ([-1e30, 0.0, 0.5], [np.nan, np.inf, -np.inf]),
    "NEAR_UNIT": ([-0.9, 0.0, 1.9], [-1.0, 2.0, 255.0, np.nan]),
    "PRESENT": ([0.0, np.inf], [np.nan]),
    "NOT_INFINITE": ([0.0, np.nan], [np.inf, -np.inf]),
}


@pytest.mark.parametrize("name", CASES)
def test_support_contains_its_values_and_no_others(name: str) -> None:
    support: Support = getattr(supports, name)
    inside, outside = map(np.array, CASES[name])
    assert support.contains(inside).all()
    assert not support.contains(outside).any()


@pytest.mark.parametrize("name", CASES)
def test_only_sets_with_gaps_are_discrete(name: str) -> None:
    assert getattr(supports, name).discrete == (name in ("BINARY", "COUNTS"))


@pytest.mark.parametrize("count", [3, 17, 256, 1_001, MOST_LEVELS])
def test_levels_contain_each_level_in_float32_and_refuse_the_middle_between_two(count: int) -> None:
    grid = np.arange(count) / (count - 1)
    assert levels(count).contains(grid.astype(np.float32)).all()
    assert not levels(count).contains((grid[:-1] + grid[1:]) / 2).any()
    assert levels(count).discrete


def test_multiples_allow_for_rounding() -> None:
    x = (np.arange(256, dtype=np.float32) / np.float32(255)).astype(np.float64)
    assert multiples(1 / 255).contains(x).all()
    assert not multiples(1).contains(np.array([0.5, 70_000.0, np.nan])).any()


def test_preimage_contains_what_every_map_takes_into_the_support() -> None:
    both_ends = preimage(UNIT, [lambda x: x, lambda x: x + 0.25], "ends")
    np.testing.assert_array_equal(both_ends.contains(np.array([-0.1, 0, 0.75, 0.8])), [False, True, True, False])


def test_two_levels_are_the_binary_support() -> None:
    assert levels(2) is supports.BINARY


def test_first_violation_is_the_first_row_and_value_outside() -> None:
    x = np.zeros((2_500, 3))
    assert first_violation(x, supports.BINARY) is None
    x[2_100, 1], x[2_400, 0] = 0.25, 7
    assert first_violation(x, supports.BINARY) == Violation(2_100, 0.25, (1,))


def test_zero_examples_have_no_violation() -> None:
    assert first_violation(np.zeros((0, 3)), supports.BINARY) is None


@pytest.mark.parametrize("count", [2, 3, 17, 256])
def test_level_count_finds_the_number_of_levels(count: int) -> None:
    x = np.random.default_rng(0).integers(0, count, (3_000, 4)) / (count - 1)
    assert level_count(x.astype(np.float32)) == count


def test_even_pixels_have_half_of_the_steps() -> None:
    x = 2 * np.arange(128)[:, np.newaxis] / 254
    assert level_count(x) == 128


@pytest.mark.parametrize("values", [[0.0, 0.5, 2.0], [0.0, 1e-7, 1.0], [0.0, 0.3, 0.37, 1.0]])
def test_values_off_every_grid_have_no_levels(values: list[float]) -> None:
    assert level_count(np.array(values)[:, np.newaxis]) is None


def test_support_names_itself_in_messages() -> None:
    assert levels(3).text == "{0, 1/2, ..., 1} (3 levels)"
    assert supports.COUNTS.text == "{0, 1, 2, ...}"


def scan() -> np.ndarray:
    """A medical scan: a black background, and mostly dark grey values in front of it."""
    grey = np.random.default_rng(0).gamma(2.0, 12.0, (20, 16, 16))
    grey[:, :6] = 0
    grey[:, 10, 10] = 255
    return np.minimum(grey, 255)


@pytest.mark.parametrize(
    ("x", "ink"),
    [
        (load_digits().images, True),
        (load_digits().images > 8, True),
        (255 - 15 * load_digits().images.astype(np.uint8), False),  # dark ink on white paper already
        (load_sample_image("china.jpg").mean(axis=2)[np.newaxis], False),
        (load_sample_image("flower.jpg").mean(axis=2).astype(np.uint8)[np.newaxis], False),
        (scan(), False),
        (np.zeros((3, 8, 8)), False),
        (np.full((3, 8, 8), np.nan), False),
    ],
    ids=["digits", "binary digits", "dark digits", "photo", "dark photo", "scan", "black", "missing"],
)
def test_strokes_on_an_empty_background_are_ink(x: np.ndarray, ink: bool) -> None:
    assert looks_like_ink(x[..., np.newaxis]) is ink


def test_columns_have_sets_of_their_own_and_missing_cells() -> None:
    support = by_column({"a": REAL, "smoker": BINARY, "c": REAL})
    x = np.array([[0.3, 1, -2], [np.nan, np.nan, np.inf], [1e9, 0.3, 0]])
    np.testing.assert_array_equal(support.contains(x), [[True] * 3, [True, True, False], [True, False, True]])
    assert not support.contains(np.zeros((2, 2))).any()
    with pytest.raises(
        DataError, match=r"x: expected values in \{0, 1\} in column 'smoker', found 0.3 in row 1. Drop it."
    ):
        check_values("x", x[[0, 2]], support, "Drop it.")
