"""Verdicts judge curves whose course is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfp_vae.reports.verdicts import Facts, curve_verdict, estimate_verdict, judge, units_verdict
from tfp_vae.runs.folder.records import Evaluation
from tfp_vae.runs.run import Run

T = np.arange(50)
NOISE = np.random.default_rng(0).normal(scale=0.05, size=50)
SETTLED = -100 - 50 * np.exp(-T / 5) + NOISE
RISING = -150 + T + NOISE
FALLING = SETTLED - 0.4 * np.maximum(0, T - 20)
JUMPING = SETTLED - 40 * (T == 35)

EVALUATION = {
    "run": "runs/a",
    "dataset": "digits",
    "split": "test",
    "num_examples": 100,
    "iw_samples": 100,
    "seed": 0,
    "weights": "final",
    "step": 4,
    "log_likelihood": -20.0,
    "likelihood": "bernoulli",
    "scaling": "pixels",
    "binarization": "none",
    "measure": "a probability",
    "active_units": 2.0,
    "pareto_k_share_above": 0.02,
}


def facts(
    train: np.ndarray, validation: np.ndarray | None = None, evaluation: dict[str, object] | None = None
) -> Facts:
    held_out = train if validation is None else validation
    epochs = [{"elbo": a, "validation_elbo": b} for a, b in zip(train.tolist(), held_out.tolist(), strict=True)]
    found = None if evaluation is None else Evaluation.model_validate({**EVALUATION, **evaluation})
    return Facts(2, epochs, None, found)


@pytest.mark.parametrize(
    ("train", "validation", "state", "text", "advice"),
    [
        (SETTLED, SETTLED, "good", "has settled", ""),
        (RISING, RISING, "check", "still improves", "`epochs=100`"),
        (RISING, FALLING, "check", "overfits", "early_stopping"),
        (JUMPING, SETTLED, "check", "unstable", "learning_rate"),
        (SETTLED, np.full(50, math.nan), "good", "training ELBO has settled", ""),
        (np.append(SETTLED[:-1], math.inf), SETTLED, "check", "not finite", "learning_rate"),
        (RISING[:3], RISING[:3], "unknown", "too few", "epochs=20"),
        (RISING[:0], RISING[:0], "unknown", "No epoch", "epochs"),
        (-SETTLED, -SETTLED, "good", "has settled", ""),  # a curve that only falls has no rise to compare with
    ],
)
def test_curves(train: np.ndarray, validation: np.ndarray, state: str, text: str, advice: str) -> None:
    found = curve_verdict(facts(train, validation))
    assert found is not None
    assert found.state == state, found
    assert text in found.text
    assert advice in found.advice


@pytest.mark.parametrize(("active", "state"), [(2.0, "good"), (0.0, "check")])
def test_units(active: float, state: str) -> None:
    found = units_verdict(facts(SETTLED, evaluation={"active_units": active}))
    assert found is not None
    assert found.state == state
    assert bool(found.advice) == (state == "check")


def test_codes_have_no_verdict_on_units() -> None:
    assert units_verdict(facts(SETTLED, evaluation={"active_units": None})) is None


@pytest.mark.parametrize(
    ("change", "state", "text"),
    [
        ({}, "good", "2% of the examples"),
        ({"pareto_k_share_above": 0.4}, "check", "k̂ is above 0.7 for 40%"),
        ({"advice": "log p(x) is likely biased low, by about 0.20 nats. Use more."}, "check", "0.20 nats."),
    ],
)
def test_estimates(change: dict[str, object], state: str, text: str) -> None:
    found = estimate_verdict(facts(SETTLED, evaluation=change))
    assert found is not None
    assert found.state == state
    assert text in found.text


def test_a_run_without_an_evaluation_says_so(copied: Run) -> None:
    found = judge(copied)
    assert [verdict.subject for verdict in found] == ["Learning curve", "Latent units", "Estimate of log p(x)"]
    assert {verdict.state for verdict in found} == {"unknown"}
