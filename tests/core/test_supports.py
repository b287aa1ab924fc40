"""Supports: membership, levels, and the first value outside."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.supports import BINARY, COUNTS, OPEN_UNIT, REAL, UNIT, Support, first_violation, level_count, levels


@pytest.mark.parametrize(
    ("support", "inside", "outside"),
    [
        (BINARY, [0, 1], [0.5, -1, 2, np.nan]),
        (OPEN_UNIT, [1e-6, 0.5], [0, 1, -1, np.nan]),
        (UNIT, [0, 0.5, 1], [-1e-6, 1.1, 255, np.nan]),
        (COUNTS, [0, 1, 1e6], [0.5, -1, np.inf, np.nan]),
        (REAL, [-1e30, 0.1], [np.inf, np.nan]),
        (levels(17), [0, 1 / 16, 1], [1 / 17, -1 / 16, 17 / 16, np.nan]),
    ],
)
def test_values_inside_and_outside_each_support(support: Support, inside: list[float], outside: list[float]) -> None:
    assert support.contains(np.array(inside, np.float32)).all()
    assert not support.contains(np.array(outside, np.float32)).any()


@pytest.mark.parametrize("count", [2, 3, 16, 17, 256, 1_000])
def test_levels_are_counted(count: int) -> None:
    x = (np.arange(count) / (count - 1)).astype(np.float32)
    assert level_count(x[:, np.newaxis]) == count


@pytest.mark.parametrize("values", [[0.1, 0.25, 0.77], [0, 7], [-1, 0]])
def test_values_on_no_grid_have_no_levels(values: list[float]) -> None:
    assert level_count(np.array(values)[:, np.newaxis]) is None


def test_violation_beyond_the_first_thousand_rows_is_found() -> None:
    x = np.zeros((2_500, 2, 2))
    x[2_345, 1, 0] = 0.5
    assert first_violation(x, BINARY) == (2_345, 0.5)
