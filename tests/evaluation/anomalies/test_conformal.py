"""Conformal p-values: false-alarm rates by enumeration and simulation, ties, and merged p-values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.anomalies.conformal import (
    MERGES,
    merge_p_values,
    p_values,
    percentiles,
    smallest_p_value,
    threshold,
)

LEVELS = (0.01, 0.05, 0.1, 0.29, 0.5)


def test_p_value_counts_held_out_scores_that_are_at_least_as_high() -> None:
    held_out = np.array([3.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(p_values(np.array([9.0, 3.0, 2.0, 1.5, 0.0]), held_out), [0.2, 0.4, 0.8, 0.8, 1.0])
    np.testing.assert_allclose(percentiles(np.array([9.0, 3.0, 2.0, 0.0]), held_out), [100, 75, 25, 0])
    assert smallest_p_value(4) == 0.2


def test_held_out_row_is_compared_with_the_others() -> None:
    held_out = np.array([3.0, 1.0, 2.0])
    for function in (p_values, percentiles):
        expected = [function(held_out[[i]], np.delete(held_out, i))[0] for i in range(3)]
        np.testing.assert_allclose(function(held_out, held_out, np.ones(3, bool)), expected)
    assert percentiles(np.ones(1), np.ones(1), np.ones(1, bool)).tolist() == [0]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("count", [1, 7, 19, 99, 100])
def test_each_of_exchangeable_rows_is_flagged_at_most_as_often_as_promised(count: int, ties: bool) -> None:
    """By enumeration: each of n + 1 rows is the new one equally often."""
    scores = np.random.default_rng(count).normal(size=count + 1)
    scores = np.round(scores) if ties else scores
    p = np.array([p_values(scores[[i]], np.delete(scores, i))[0] for i in range(count + 1)])
    for level in LEVELS:
        rate = np.mean(p <= level)
        assert rate <= level + 1e-12
        if not ties:
            assert rate == math.floor(level * (count + 1) + 1e-9) / (count + 1)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ties", [False, True])
def test_threshold_flags_the_same_rows_as_the_p_values(level: float, ties: bool) -> None:
    rng = np.random.default_rng(0)
    for count in (5, 19, 99, 350):
        held_out, new = rng.normal(size=count), rng.normal(size=400)
        if ties:
            held_out, new = np.round(held_out, 1), np.round(new, 1)
        np.testing.assert_array_equal(new > threshold(held_out, level), p_values(new, held_out) <= level)


def test_no_row_is_flagged_if_no_p_value_is_small_enough() -> None:
    assert threshold(np.arange(98.0), 0.01) == math.inf
    assert threshold(np.arange(99.0), 0.01) == 98


def test_false_alarms_of_gaussian_rows_are_within_binomial_error_of_the_level() -> None:
    """Over 200 repetitions with other held-out rows, as the guarantee is about both."""
    rng, level, count, new = np.random.default_rng(1), 0.05, 99, 50
    rates = []
    for _ in range(200):
        x = rng.normal(size=(count + new, 3))
        scores = (x**2).sum(axis=1)  # -log p(x) of a Normal
        rates.append(np.mean(p_values(scores[count:], scores[:count]) <= level))
    error = np.std(rates, ddof=1) / math.sqrt(len(rates))
    assert abs(np.mean(rates) - level) < 3 * error
    spread = math.sqrt(level * (1 - level) * (1 / new + 1 / (count + 2)))  # binomial, with a beta-distributed rate
    assert np.std(rates) == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("merge", list(MERGES))
@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_merged_p_value_is_valid_however_the_parts_depend(merge: str, parts: int) -> None:
    rng, rows = np.random.default_rng(2), 40_000
    u = rng.random(rows)
    dependent = {
        "independent": rng.random((rows, parts)),
        "equal": np.repeat(u[:, np.newaxis], parts, axis=1),
        "in turn": (u[:, np.newaxis] + np.arange(parts) / parts) % 1,  # one of them is always small
        "opposed": np.where(np.arange(parts) % 2, u[:, np.newaxis], 1 - u[:, np.newaxis]),
    }
    for name, p in dependent.items():
        merged = merge_p_values(np.maximum(p, 1e-12), merge)
        for level in (0.01, 0.05, 0.2):
            assert np.mean(merged <= level) <= level + 4 * math.sqrt(level / rows), name


def test_merges_of_known_values() -> None:
    p = np.array([[0.01, 0.04, 0.5]])
    assert merge_p_values(p, "bonferroni")[0] == pytest.approx(0.03)
    assert merge_p_values(p, "arithmetic")[0] == pytest.approx(2 * 0.55 / 3)
    assert merge_p_values(p)[0] == pytest.approx(math.e * math.log(3) * 3 / (100 + 25 + 2))
    for merge in MERGES:
        assert merge_p_values(p[:, :1], merge)[0] == pytest.approx(0.01)


def test_wrong_arguments_are_explained() -> None:
    with pytest.raises(UsageError, match="held-out rows, found none"):
        p_values(np.ones(2), np.ones(0))
    with pytest.raises(UsageError, match="above 0 and below 1"):
        threshold(np.ones(2), 1.0)
    with pytest.raises(UsageError, match="harmonic"):
        merge_p_values(np.ones((1, 2)), "harmonical")
