"""Refinement of the examples that need it: who is refined, and that the others stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.helpers.blocks import MemoryBlocks
from tests.helpers.oracles import CurvedBernoulli, LinearGaussian
from tfp_vae import VAE
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.importance import Estimates, Estimator, estimate
from tfp_vae.evaluation.proposals import REFINEMENTS, Auto, Local

SETTINGS: dict[str, Any] = {"iw_samples": 150, "seed": (1, 2), "execution": "graph", "batch_size": 4}


def assert_rows_equal(found: Estimates, rows: np.ndarray, expected: Estimates) -> None:
    for name, column, same in zip(Estimates._fields, found, expected, strict=True):
        np.testing.assert_array_equal(column[rows], same[rows], err_msg=name)


def test_needs_refinement_if_the_interval_would_be_too_long_or_is_unknown() -> None:
    reach = np.array([0.1, 0.19, 0.21, np.nan])
    np.testing.assert_array_equal(Auto(accuracy=0.1).is_needed(reach, 400), [False, False, True, True])
    np.testing.assert_array_equal(Auto(accuracy=0.1).is_needed(reach, 100), [False, True, True, True])
    np.testing.assert_array_equal(Local().is_needed(reach, 100), [True, True, True, True])


def test_a_good_encoder_keeps_its_posterior(linear: LinearGaussian) -> None:
    vae, x = linear.vae(), linear.data(5)
    found, expected = (estimate(vae, x, refine=refine, **SETTINGS) for refine in ("auto", "none"))
    assert not found.refined.any()
    assert_rows_equal(found, np.arange(5), expected)


@pytest.fixture(scope="module")
def mixed() -> tuple[VAE, np.ndarray, Auto]:
    """A model, 12 examples, and a refinement that about half of them need."""
    model = CurvedBernoulli(1)
    vae, x = model.vae(), model.data(12)
    pilot = estimate(vae, x, **{**SETTINGS, "iw_samples": 100})
    return vae, x, Auto(steps=5, accuracy=float(np.nanmedian(pilot.reach)) * np.sqrt(100 / 150))


@pytest.mark.slow
def test_each_example_equals_the_estimate_with_or_without_refinement(mixed: tuple[VAE, np.ndarray, Auto]) -> None:
    vae, x, auto = mixed
    found = estimate(vae, x, refine=auto, **SETTINGS)
    rows = np.flatnonzero(found.refined)
    assert 0 < len(rows) < 12
    assert_rows_equal(found, np.flatnonzero(~found.refined), estimate(vae, x, **SETTINGS))
    local = estimate(vae, x, refine=auto.local, **SETTINGS)
    for name in ("log_likelihood", "ess", "low", "high", "elbo"):
        np.testing.assert_allclose(getattr(found, name)[rows], getattr(local, name)[rows], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_choice_depends_on_neither_other_examples_nor_sizes(mixed: tuple[VAE, np.ndarray, Auto]) -> None:
    vae, x, auto = mixed
    whole, rows = estimate(vae, x, refine=auto, **SETTINGS), np.array([9, 0, 5, 3])
    sizes = {"batch_size": 3, "chunk_size": 30}
    part = estimate(vae, x[rows], refine=auto, places=rows, **{**SETTINGS, **sizes})
    np.testing.assert_array_equal(part.refined, whole.refined[rows])
    np.testing.assert_allclose(part.log_likelihood, whole.log_likelihood[rows], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_estimate_of_p_is_unbiased_although_a_pilot_decides() -> None:
    model = CurvedBernoulli(1)
    x = model.data(20)
    auto = Auto(steps=20, accuracy=0.15)
    found = estimate(model.vae(), np.tile(x, [20, 1]), refine=auto, **{**SETTINGS, "batch_size": 400})
    ratio = np.exp(found.log_likelihood - np.tile(model.log_evidence(x), 20))
    assert 0.05 < found.refined.mean() < 0.95
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))


@pytest.mark.slow
def test_interrupted_estimate_goes_on_with_the_same_result(mixed: tuple[VAE, np.ndarray, Auto]) -> None:
    vae, x, auto = mixed
    settings = {**SETTINGS, "refine": auto}
    seed = settings.pop("seed")
    estimator = Estimator(vae, **settings)
    expected, blocks = estimator(x, seed=seed), MemoryBlocks(most=4)
    with pytest.raises(InterruptedError):
        estimator(x, seed=seed, blocks=blocks)
    blocks.most = 100
    assert_rows_equal(estimator(x, seed=seed, blocks=blocks), np.arange(12), expected)
    assert list(blocks.stages) == ["pilot", "unrefined", "refined"]


def test_name_with_settings_makes_a_refinement() -> None:
    found = REFINEMENTS.resolve("auto:accuracy=0.05,pilot=200,steps=7")
    assert found == Auto(accuracy=0.05, pilot=200, steps=7)
    assert found.effort == "7 steps if needed"
    assert found.pilot_samples == 200
    with pytest.raises(UsageError, match="pilot"):
        REFINEMENTS.resolve("auto:pilot=5")
