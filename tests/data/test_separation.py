"""How far groups of rows lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.data.profile import array_facts
from tfp_vae.data.separation import separation


@pytest.mark.parametrize("columns", [1, 2, 30])
def test_halves_of_one_normal_are_closer_than_two(columns: int, rng: np.random.Generator) -> None:
    """A Normal cut at its mean has halves with means +-sqrt(2/pi) and variances 1 - 2/pi, so their distance is 1.32."""
    assert 1.2 < separation(rng.normal(size=(1_000, columns))) < 2


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_the_distance_is_measured_in_deviations(groups: int, rng: np.random.Generator) -> None:
    centres = 10 * np.eye(groups)  # each pair is 10 sqrt(2) apart, and the deviations add up to 2
    x = centres[rng.integers(groups, size=1_000)] + rng.normal(size=(1_000, groups))
    found = separation(x)
    assert found == pytest.approx(10 / np.sqrt(2), rel=0.1)
    factors = np.linspace(1e-3, 1e3, groups)
    assert separation(-x * factors + 1e4) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("columns", [5, 40])
def test_groups_in_one_of_many_columns_are_found(columns: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(1_000, columns)) + 8.0 * (np.arange(columns) == 1) * rng.integers(2, size=(1_000, 1))
    assert separation(x) == pytest.approx(4, rel=0.1)
    assert separation(rng.integers(2, size=(1_000, 1)).astype(float)) == 0  # two values are not groups of values


def test_a_few_outliers_and_a_constant_column_are_no_groups(rng: np.random.Generator) -> None:
    x = np.column_stack([rng.normal(size=(1_000, 3)), np.full(1_000, 7.0)])
    x[:20] += 50
    assert separation(x) < 2


@pytest.mark.parametrize("reason", ["few rows", "many columns", "whole numbers of a type", "a missing value"])
def test_groups_are_looked_for_in_many_rows_of_numbers_only(reason: str, rng: np.random.Generator) -> None:
    x = np.repeat([[0.0, 0.0], [50.0, 50.0]], 500, axis=0) + rng.normal(size=(1_000, 2))
    assert array_facts(x).apart > 20
    other = {
        "few rows": x[::2],
        "many columns": np.tile(x, 40),
        "whole numbers of a type": x.astype(int),
        "a missing value": np.where(np.arange(1_000)[:, np.newaxis] == 5, np.nan, x),
    }
    assert array_facts(other[reason]).apart == 0
