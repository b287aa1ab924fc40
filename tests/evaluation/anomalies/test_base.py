"""The interface of scores."""

from __future__ import annotations

import numpy as np

from tests.helpers.evidence import evidence_of
from tfp_vae.evaluation.anomalies.base import Reference
from tfp_vae.evaluation.anomalies.scores import LogLikelihood


def test_score_learns_nothing_by_default() -> None:
    evidence = evidence_of(np.zeros(2), np.zeros(2))
    score = LogLikelihood()
    score.check(None)
    assert score.fit(None, Reference(np.zeros((1, 1)), evidence)) == {}
    assert (score.needs_reference, score.needs_cells) == (False, False)
