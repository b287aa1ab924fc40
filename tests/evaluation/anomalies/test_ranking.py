"""AUROC and average precision: scikit-learn's values, and errors of simulated data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.anomalies.ranking import auroc, average_precision, rank_anomalies


@pytest.mark.parametrize("decimals", [0, 8])
def test_values_are_those_of_scikit_learn_also_with_ties(rng: np.random.Generator, decimals: int) -> None:
    anomalous = rng.random(300) < 0.2
    scores = np.round(rng.normal(size=300) + anomalous, decimals)
    found = rank_anomalies(scores, anomalous)
    assert found.auroc == pytest.approx(roc_auc_score(anomalous, scores))
    assert found.average_precision == pytest.approx(average_precision_score(anomalous, scores))


def test_errors_are_the_spread_over_data_sets() -> None:
    rng, anomalous = np.random.default_rng(0), np.repeat([False, True], [80, 40])
    scores = [rng.normal(size=120) + anomalous for _ in range(200)]
    areas = np.array([auroc(each, anomalous) for each in scores])
    assert areas[:, 1].mean() == pytest.approx(areas[:, 0].std(), rel=0.15)
    precisions = [average_precision(each, anomalous) for each in scores]
    errors = [rank_anomalies(each, anomalous).average_precision_se for each in scores[:10]]
    assert np.mean(errors) == pytest.approx(np.std(precisions), rel=0.3)


def test_perfect_and_useless_scores() -> None:
    anomalous = np.array([True, False, True, False])
    assert rank_anomalies(np.array([4.0, 1.0, 3.0, 2.0]), anomalous)[:3] == (1, 0, 1)
    assert rank_anomalies(np.ones(4), anomalous).auroc == 0.5
    assert rank_anomalies(np.ones(4), anomalous).average_precision == 0.5


@pytest.mark.parametrize("one", [True, False])
def test_errors_are_unknown_with_one_row_of_a_kind(one: bool) -> None:
    found = rank_anomalies(np.arange(4.0), np.arange(4) == 3 if one else np.arange(4) > 0)
    assert (found.auroc, found.average_precision) == (1, 1)
    assert math.isnan(found.auroc_se)
    assert math.isnan(found.average_precision_se)


@pytest.mark.parametrize("kind", [True, False])
def test_both_kinds_of_rows_are_needed(kind: bool) -> None:
    with pytest.raises(UsageError, match="found no"):
        rank_anomalies(np.arange(3.0), np.full(3, kind))
