"""Anomaly scores of the estimator."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.anomalies import SCORES
from tfp_vae.interop.sklearn import VAE

SMALL = {"epochs": 3, "hidden": (8,), "latent_dim": 1, "iw_samples": 5, "execution": "graph", "random_state": 0}

OF_ROWS = sorted(set(SCORES) - {"worst-cell"})


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.normal(size=(120, 1)) * [1.0, 2.0, -1.0] + 0.1 * draw.normal(size=(120, 3))


def test_unknown_and_unfit_scores_are_refused_before_training(x: np.ndarray) -> None:
    for score, match in (("typicalty", "Did you mean 'typicality'"), ("worst-cell", "likelihood for each column")):
        estimator = VAE(anomaly_score=score, **SMALL)
        with pytest.raises(UsageError, match=match):
            estimator.fit(x)
        assert not hasattr(estimator, "fitted_")


@pytest.mark.slow
@pytest.mark.parametrize("score", OF_ROWS)
def test_score_ranks_rows_far_away_last_and_depends_on_the_row_alone(score: str, x: np.ndarray) -> None:
    model = VAE(anomaly_score=score, **SMALL).fit(x)
    decisions, far = model.decision_function(x), model.decision_function(x[:5] + 9.0)
    assert far.max() < np.median(decisions)
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_array_equal(model.decision_function(x[order]), decisions[order])
    np.testing.assert_array_equal(model.decision_function(x[5:6]), decisions[5:6])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).decision_function(x), decisions)
    np.testing.assert_array_equal(model.predict(x), np.where(decisions < 0, -1, 1))


@pytest.mark.slow
def test_typicality_is_the_distance_of_log_px_from_a_constant(x: np.ndarray) -> None:
    model = VAE(anomaly_score="typicality", contamination=0.1, **SMALL).fit(x)
    scores = -(model.decision_function(x) + model.offset_)
    mean = model.fitted_.anomalies.state["mean"]
    np.testing.assert_allclose(scores, np.abs(model.score_samples(x) - mean), rtol=1e-9)
    assert np.sum(model.predict(x) == -1) == 12


@pytest.mark.slow
def test_worst_cell_finds_rows_with_one_wrong_cell(x: np.ndarray) -> None:
    settings = SMALL | {"epochs": 60, "learning_rate": 1e-2, "early_stopping": None}
    model = VAE(anomaly_score="worst-cell", likelihood="columns", **settings).fit(x)
    wrong = x[:20].copy()
    wrong[np.arange(20), np.arange(20) % 3] += 4.0
    assert model.decision_function(wrong).max() < np.median(model.decision_function(x))
    assert np.mean(model.predict(wrong)) < np.mean(model.predict(x))
