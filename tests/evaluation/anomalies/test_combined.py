"""Combined scores: merged p-values among reference rows, with a tail beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.evidence import evidence_of
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.anomalies import SCORES, Combined, Reference, merge_p_values, p_values
from tfp_vae.evaluation.anomalies.combined import log_p_values

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


def test_parts_and_merge_are_settings() -> None:
    score = SCORES.build(SCORES.member("combined:parts=log-likelihood,worst-cell,merge=bonferroni"))
    assert score.needs_cells
    assert not Combined().needs_cells
    with pytest.raises(UsageError, match="parts"):
        SCORES.member("combined:parts=nothing")
