"""Fidelity: identities for equal rows, closed forms for associations, and a classifier that finds a difference."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.runs.tables.fidelity import (
    associations,
    classifier_auroc,
    compare_rows,
    marginal_distances,
    share_of_copies,
)

WORDS = np.array([False, False, True])


def rows(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Return two correlated numbers and a word that depends on the first one."""
    draw = np.random.default_rng(seed)
    first = draw.normal(size=count)
    second = 0.8 * first + 0.6 * draw.normal(size=count)
    return np.stack([first + shift, second, (first > 0) / 2 + (draw.random(count) < 0.1) / 2], axis=1)


def test_equal_rows_have_equal_marginals_and_associations() -> None:
    real = rows(40, 0)
    found = compare_rows(real, rows(40, 1), real, words=WORDS)
    assert not found.distances.any()
    np.testing.assert_allclose(found.real, found.synthetic, atol=1e-12)
    assert found.copies == 0


def test_marginal_distances_of_shifted_uniform_numbers_and_of_words() -> None:
    numbers, words = np.arange(100.0), np.repeat([0.0, 1.0], [80, 20])
    real, made = np.stack([numbers, words], axis=1), np.stack([numbers + 25, 1 - words], axis=1)
    found = marginal_distances(real, made, np.array([False, True]))
    np.testing.assert_allclose(found, [0.25, 0.6], atol=1e-9)


def test_association_of_numbers_is_spearmans_correlation() -> None:
    from scipy.stats import spearmanr

    data = rows(500, 3)
    expected = abs(spearmanr(data[:, 0], data[:, 1]).statistic)
    np.testing.assert_allclose(associations(data, WORDS)[0, 1], expected, atol=1e-9)


def test_association_of_words_is_one_for_a_bijection_and_zero_for_independent_words() -> None:
    first, second = np.repeat([0.0, 0.5, 1.0], 60), np.tile([0.0, 1.0], 90)
    table = np.stack([first, 1 - first, second], axis=1)
    found = associations(table, np.array([True, True, True]))
    np.testing.assert_allclose([found[0, 1], found[0, 2]], [1.0, 0.0], atol=1e-9)


def test_association_of_a_number_with_the_word_that_decides_it_is_the_correlation_ratio() -> None:
    table = np.stack([np.repeat([1.0, 5.0], 50), np.repeat([0.0, 1.0], 50)], axis=1)
    assert associations(table, np.array([False, True]))[0, 1] == pytest.approx(1.0)


def test_associations_ignore_missing_words() -> None:
    first = np.repeat([0.0, 1.0], 50)
    holes = np.where(np.arange(100) % 5 == 0, np.nan, first)
    assert associations(np.stack([first, holes], axis=1), np.array([True, True]))[0, 1] == pytest.approx(1.0)


def test_classifier_finds_shifted_rows_and_not_equal_ones() -> None:
    assert classifier_auroc(rows(120, 0), rows(120, 1), WORDS) == pytest.approx(0.5, abs=0.12)
    assert classifier_auroc(rows(60, 0), rows(60, 1, shift=3.0), WORDS) > 0.9


def test_holes_of_real_rows_do_not_give_synthetic_rows_away() -> None:
    real = np.where(np.random.default_rng(5).random([300, 3]) < 0.3, np.nan, rows(300, 2))
    found = compare_rows(rows(150, 4), real[:150], real[150:], words=WORDS)
    assert found.auroc == pytest.approx(0.5, abs=0.12)


def test_copies_are_rows_equal_in_every_cell() -> None:
    train = np.array([[1.0, np.nan], [2.0, 0.0]])
    assert share_of_copies(np.array([[1.0, np.nan], [2.0, -0.0], [2.0, 1.0], [1.0, 0.0]]), train) == 0.5


def test_summary_names_each_column() -> None:
    summary = compare_rows(rows(40, 0), rows(40, 1), rows(40, 2), words=WORDS).summary(["a", "b", "c"])
    assert list(summary["marginal_distance"]) == ["a", "b", "c"]
    assert 0 <= summary["association_difference"] <= summary["largest_association_difference"] <= 1


def test_few_rows_have_no_classifier() -> None:
    found = compare_rows(rows(5, 0), rows(40, 1), rows(3, 2)[:0], words=WORDS)
    assert np.isnan([found.auroc, found.real_copies]).all()
    summary = found.summary(["a", "b", "c"][: len(found.distances)])
    assert summary["auroc"] is summary["real_copies"] is None
    assert summary["auroc_reason"] == "fewer than 10 samples or rows"
    assert summary["real_copies_reason"] == "the data have no held-out rows"


def test_no_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="found none"):
        compare_rows(rows(1, 0)[:0], rows(40, 1), rows(40, 2), words=WORDS)
