"""Combined scores: merged p-values among reference rows, with a tail beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.evidence import evidence_of
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.anomalies import SCORES, Combined, Reference, merge_p_values, p_values
from tfp_vae.evaluation.anomalies.base import LARGEST
from tfp_vae.evaluation.anomalies.combined import log_p_values
from tfp_vae.evaluation.anomalies.conformal import MERGES

PARTS = ("log-likelihood", "reconstruction")


def test_p_values_continue_beyond_the_highest_reference_score() -> None:
    ordered = np.arange(100.0)
    scores = np.array([-1.0, 50.5, 99.0, 200.0, 300.0])
    found = log_p_values(scores, ordered)
    np.testing.assert_allclose(np.exp(found[:3]), p_values(scores[:3], ordered))
    assert found[2] > found[3] > found[4]


def test_score_is_minus_the_logarithm_of_the_merged_p_value(rng: np.random.Generator) -> None:
    reference, new = (evidence_of(*rng.normal(size=(2, n))) for n in (200, 30))
    score = Combined(parts=PARTS)
    vae, state = None, score.fit(None, Reference(np.zeros((1, 1)), reference))
    found = score.values(vae, new, state)
    columns = [
        p_values(-new.estimates.log_likelihood, -reference.estimates.log_likelihood),
        p_values(new.estimates.distortion, reference.estimates.distortion),
    ]
    p = np.stack(columns, axis=1)
    inside = p.min(axis=1) > 1 / 201
    merged = merge_p_values(p[inside])
    np.testing.assert_allclose(np.minimum(1, np.exp(-found[inside])), merged)
    assert inside.sum() > 20


def test_row_that_is_extreme_in_any_part_is_unusual(rng: np.random.Generator) -> None:
    reference = evidence_of(*rng.normal(size=(2, 200)))
    new = evidence_of(np.array([0.0, -40.0, 0.0, -40.0]), np.array([0.0, 0.0, 40.0, 40.0]))
    score = Combined(parts=PARTS)
    usual, *unusual = score.values(None, new, score.fit(None, Reference(np.zeros((1, 1)), reference)))
    assert min(unusual) > usual + 5
    assert max(unusual) == unusual[2]


@pytest.mark.parametrize("merge", list(MERGES))
def test_row_far_out_in_one_part_has_the_merged_logarithm(merge: str) -> None:
    reference = evidence_of(*np.random.default_rng(0).normal(size=(2, 200)))
    new = evidence_of(np.array([-1e5, -np.inf]), np.array([-10.0, -10.0]))
    score = Combined(parts=PARTS, merge=merge)
    state = score.fit(None, Reference(np.zeros((1, 1)), reference))
    far, impossible = score.values(None, new, state)
    (log_p,) = log_p_values(np.array([1e5]), state["log-likelihood/scores"])
    assert log_p < -1e5  # exp of it is 0
    expected = {"harmonic": -log_p - np.log(4), "bonferroni": -log_p - np.log(2), "arithmetic": 0}[merge]
    assert far == pytest.approx(expected)
    assert np.isfinite(impossible)
    assert impossible >= far


def test_equal_reference_scores_tell_rows_beyond_them_apart() -> None:
    found = log_p_values(np.array([1.0, 2.0, 3.0, LARGEST]), np.ones(50))
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()


def test_parts_and_merge_are_settings() -> None:
    score = SCORES.build(SCORES.member("combined:parts=log-likelihood,worst-cell,merge=bonferroni"))
    assert score.needs_cells
    assert not Combined().needs_cells
    with pytest.raises(UsageError, match="parts"):
        SCORES.member("combined:parts=nothing")
