"""Scores of rows: their values, what they learn, and where they do not apply."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.evidence import evidence_of, model_of
from tests.helpers.oracles import LinearGaussian
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.anomalies import SCORES, Reference, Score
from tfp_vae.evaluation.anomalies.base import LARGEST
from tfp_vae.evaluation.anomalies.scores import LikelihoodRatio, LogLikelihood, Reconstruction, Typicality, WorstCell
from tfp_vae.model.likelihoods import Normal


def test_higher_is_more_unusual() -> None:
    evidence = evidence_of(np.array([-1.0, -5.0]), np.array([2.0, 3.0]), np.array([[0.0, np.nan], [1.0, 7.0]]))
    assert LogLikelihood().values(None, evidence, {}).tolist() == [1, 5]
    assert Reconstruction().values(None, evidence, {}).tolist() == [2, 3]
    assert WorstCell().values(None, evidence, {}).tolist() == [0, 7]


def test_row_without_cells_is_not_unusual() -> None:
    evidence = evidence_of(np.zeros(1), np.zeros(1), np.full((1, 2), np.nan))
    assert WorstCell().values(None, evidence, {}).tolist() == [-LARGEST]


def test_typicality_finds_rows_on_both_sides_of_the_mean() -> None:
    score, reference = Typicality(), evidence_of(np.array([-10.0, -12.0]), np.zeros(2))
    state = score.fit(None, Reference(np.zeros((1, 1)), reference))
    new = evidence_of(np.array([-11.0, -1.0, -21.0]), np.zeros(3))
    assert score.values(None, new, state).tolist() == [0, 10, 10]


def test_likelihood_ratio_cancels_what_the_background_knows(rng: np.random.Generator) -> None:
    vae, score = model_of(Normal((2,))), LikelihoodRatio()
    x = rng.normal(size=(500, 2)).astype(np.float32)
    state = score.fit(vae, Reference(x, evidence_of(np.zeros(1), np.zeros(1))))
    log_normal = -0.5 * (x**2 + np.log(2 * np.pi)).sum(axis=1)
    evidence = evidence_of(log_normal - 3, np.zeros(500))._replace(x=x)
    np.testing.assert_allclose(score.values(vae, evidence, state), 3, atol=0.5)


@pytest.mark.parametrize(
    ("name", "needed"),
    [("worst-cell", "likelihood for each column"), ("likelihood-ratio:background=complexity", "images")],
)
def test_score_that_does_not_apply_is_refused(linear: LinearGaussian, name: str, needed: str) -> None:
    score: Score = SCORES.resolve(name)
    with pytest.raises(UsageError, match=needed):
        score.check(linear.vae())
