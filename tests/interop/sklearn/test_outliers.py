"""Thresholds of outliers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from tfp_vae.core.errors import UsageError
from tfp_vae.interop.sklearn.outliers import Outliers, check_contamination, held_out_threshold, training_threshold


class Sums(Outliers, BaseEstimator):
    """Rows with their sum as score."""

    def fit(self, X: np.ndarray) -> Sums:  # noqa: N803
        self.offset_ = float(X.sum(axis=1).min())
        return self

    def score_samples(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        return X.sum(axis=1)


def test_predictions_follow_the_sign_of_the_decision() -> None:
    x = np.array([[1.0, 2.0], [0.0, 2.0], [0.5, 1.0]])
    sums = Sums().fit(x[:2])
    np.testing.assert_array_equal(sums.decision_function(x), [1.0, 0.0, -0.5])
    np.testing.assert_array_equal(sums.predict(x), [1, 1, -1])


def test_unknown_threshold_is_an_error() -> None:
    sums = Sums()
    sums.offset_ = np.nan
    with pytest.raises(UsageError, match="offset_"):
        sums.predict(np.ones([1, 2]))
    with pytest.raises(NotFittedError):
        Sums().predict(np.ones([1, 2]))


@pytest.mark.parametrize(("rows", "alarms"), [(3, 1 / 4), (15, 1 / 16), (19, 1 / 20), (99, 5 / 100), (250, 12 / 251)])
def test_held_out_threshold_has_the_rate_of_false_alarms_that_it_promises(rows: int, alarms: float) -> None:
    """By enumeration: each of n + 1 exchangeable rows is the new one equally often."""
    scores = np.random.default_rng(rows).normal(size=rows + 1)
    alarm = [scores[i] < held_out_threshold(np.delete(scores, i)) for i in range(rows + 1)]
    assert np.mean(alarm) == pytest.approx(alarms)


def test_tied_scores_at_the_threshold_are_no_outliers() -> None:
    assert held_out_threshold(np.array([1.0, 0.0, 0.0, 2.0])) == 0.0
    assert 0.0 < held_out_threshold(np.array([1.0, 0.0, 2.0])) < 1e-300


def test_share_of_training_rows_below_their_threshold() -> None:
    scores = np.random.default_rng(0).normal(size=300)
    assert np.sum(scores < training_threshold(scores, 0.1)) == 30


@pytest.mark.parametrize("share", [0, -0.1, 0.6, "half"])
def test_wrong_share_of_outliers_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="contamination"):
        check_contamination(share)
