"""The parts of log p(x) - ELBO against their closed forms in linear-Gaussian models."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import pytest

from tests.helpers.oracles import CorrelatedGaussian, LinearGaussian
from tfp_vae.evaluation.diagnostics import mean_error
from tfp_vae.evaluation.gaps import Gaps, gap_remark
from tfp_vae.evaluation.importance import estimate

Oracle: TypeAlias = "LinearGaussian | CorrelatedGaussian"

SHIFT, WIDEN = 0.4, 1.5
"""The poor encoder: how far it is shifted, and the factor of its scales."""


def exact_gaps(model: Oracle) -> tuple[float, float]:
    """Return the approximation and the amortization gap of the poor encoder, the same for every x."""
    if isinstance(model, CorrelatedGaussian):
        return model.approximation_gap, model.amortization_gap(SHIFT, WIDEN)
    return 0.0, float(np.sum((WIDEN**2 - 1) / 2 - math.log(WIDEN) + SHIFT**2 / (2 * model.variance)))


@pytest.mark.slow
@pytest.mark.parametrize("model", [LinearGaussian("float64"), CorrelatedGaussian()], ids=["diagonal", "correlated"])
@pytest.mark.parametrize("samples", [200, 2_000])
def test_gaps_agree_with_their_closed_forms(model: Oracle, samples: int) -> None:
    vae, x = model.vae(shift=SHIFT, widen=WIDEN), model.data(60)
    found = Gaps.of(estimate(vae, x, iw_samples=samples, seed=(0, 3), refine="local:steps=300", execution="graph"))
    approximation, amortization = exact_gaps(model)
    unfinished = 0.01  # nats that the search may leave in the amortization gap
    for values, errors, exact in (
        (found.approximation, found.approximation_error, approximation),
        (found.amortization, found.amortization_error, amortization),
    ):
        assert abs(values.mean() - exact) < 4 * mean_error(errors) + unfinished
        assert np.all(np.abs(values - exact) < 5 * errors + 10 * unfinished)


@pytest.mark.slow
def test_errors_of_gaps_agree_with_their_spread_over_seeds() -> None:
    """A search that ends early adds to the spread of an example, so the median over examples counts."""
    model = CorrelatedGaussian()
    vae, x = model.vae(shift=SHIFT, widen=WIDEN), model.data(8)
    settings = {"iw_samples": 320, "refine": "local:steps=100", "execution": "graph"}
    repeats = [Gaps.of(estimate(vae, x, seed=(0, seed), **settings)) for seed in range(24)]
    for name in ("approximation", "amortization"):
        spread = np.std([getattr(each, name) for each in repeats], axis=0, ddof=1)
        errors = np.sqrt(np.mean([getattr(each, f"{name}_error") ** 2 for each in repeats], axis=0))
        assert 0.6 < np.median(spread / errors) < 1.3


@pytest.mark.slow
def test_gaps_add_up_to_the_whole(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=SHIFT), linear.data(5)
    estimates = estimate(vae, x, iw_samples=20, seed=(0, 3), refine="local:steps=3", execution="graph")
    found = Gaps.of(estimates)
    total = found.approximation + found.amortization
    np.testing.assert_allclose(total, estimates.log_likelihood - estimates.elbo, rtol=0, atol=1e-12)
    moved = Gaps.of(estimates.rescale(3.0))
    for before, after in zip(found, moved, strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-12)


def test_gaps_are_unknown_without_refinement(linear: LinearGaussian) -> None:
    found = Gaps.of(estimate(linear.vae(), linear.data(3), iw_samples=20, seed=(0, 3), execution="graph"))
    assert all(np.isnan(values).all() for values in found)


def test_summary_has_the_means_with_both_errors(rng: np.random.Generator) -> None:
    found = Gaps(*rng.normal(size=(2, 9)), np.full(9, 0.3), np.full(9, 0.6)).summary()
    assert found["amortization_mc_error"] == pytest.approx(0.2)
    assert found["approximation_mc_error"] == pytest.approx(0.1)
    assert 0 < found["approximation_se"] < 1
    assert len(found) == 6


def averages(approximation: float, amortization: float, error: float) -> dict[str, float]:
    """Return averages with one error for all gaps."""
    values = {"approximation": approximation, "amortization": amortization}
    errors = {f"{name}_{end}": error for name in values for end in ("se", "mc_error")}
    return values | errors


class TestRemark:
    def test_follows_the_larger_gap(self) -> None:
        assert "2.00 nats of approximation gap and 1.00 nats" in gap_remark(averages(2, 1, 0.1))
        assert "`posterior=real-nvp`" in gap_remark(averages(2, 1, 0.1))
        assert "1.50 nats of amortization gap and 1.00 nats" in gap_remark(averages(1, 1.5, 0.1))
        assert "wider encoder" in gap_remark(averages(1, 1.5, 0.1))

    def test_needs_a_gap_beyond_its_error(self) -> None:
        assert gap_remark(averages(2, 1, 1.1)) == ""
        assert gap_remark(averages(0.09, -0.01, 0.001)) == ""
        assert gap_remark(averages(math.nan, math.nan, math.nan)) == ""

    def test_uses_the_monte_carlo_error_of_a_single_example(self) -> None:
        alone = averages(2, 1, 0.1) | {"approximation_se": math.nan}
        assert gap_remark(alone)
        assert gap_remark(alone | {"approximation_mc_error": 1.5}) == ""
