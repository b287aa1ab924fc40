"""Annealed importance sampling against closed forms, quadrature, and the identities that make it a bound."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers import builders
from tests.helpers.oracles import CurvedBernoulli, LinearGaussian
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.annealing import (
    Annealed,
    Sandwich,
    annealed_log_likelihood,
    sandwich,
    temperatures,
    transitions,
)
from tfp_vae.evaluation.importance import estimate

REPEATS, EXAMPLES = 100, 10


def annealed(model: LinearGaussian, x: np.ndarray, steps: int, **changes: object) -> Annealed:
    settings = {"steps": steps, "chains": 8, "seed": (0, steps), "batch_size": 1_000, "execution": "graph", **changes}
    return annealed_log_likelihood(model.vae(), x, **settings)


@pytest.fixture(scope="module")
def sandwiched(linear: LinearGaussian) -> Sandwich:
    """Bounds from few steps, so that they differ clearly, on a thousand simulated examples."""
    return sandwich(
        linear.vae(), examples=REPEATS * EXAMPLES, steps=6, chains=8, seed=(1, 1), batch_size=1_000, execution="graph"
    )


@pytest.mark.parametrize("steps", [1, 7, 1_000])
def test_temperatures_rise_from_prior_to_posterior(steps: int) -> None:
    betas = temperatures(steps)
    assert len(betas) == steps + 1
    assert betas[0] == 0
    assert betas[-1] == 1
    assert (np.diff(betas) > 0).all()


@pytest.mark.slow
def test_float64_model_takes_float32_examples(linear: LinearGaussian) -> None:
    x = linear.data(3).astype(np.float32)
    found, expected = (annealed(linear, each, 2, chains=2) for each in (x, x.astype(np.float64)))
    np.testing.assert_array_equal(found.log_likelihood, expected.log_likelihood)


@pytest.mark.slow
def test_long_annealing_finds_the_evidence(linear: LinearGaussian) -> None:
    x = linear.data(40)
    found = annealed(linear, x, 300)
    difference = found.log_likelihood - linear.log_evidence(x)
    assert abs(difference.mean()) < 4 * np.sqrt(np.sum(found.error**2)) / len(x) + 0.02
    assert found.error.mean() < 0.2
    assert (found.accepted > 0.4).all()


@pytest.mark.slow
def test_more_steps_give_a_higher_bound(linear: LinearGaussian) -> None:
    x = linear.data(200)
    means = [(annealed(linear, x, steps).log_likelihood - linear.log_evidence(x)).mean() for steps in (1, 3, 30)]
    assert means[0] < means[1] - 0.05 < means[2] - 0.05 < 0.02


@pytest.mark.slow
def test_result_does_not_depend_on_the_encoder(linear: LinearGaussian) -> None:
    x = linear.data(5)
    found = [
        annealed_log_likelihood(vae, x, steps=5, seed=(0, 0), execution="graph")
        for vae in (linear.vae(), linear.vae(shift=3.0, widen=0.1))
    ]
    np.testing.assert_array_equal(found[0].log_likelihood, found[1].log_likelihood)


@pytest.mark.slow
def test_the_mean_weight_is_unbiased_from_below(linear: LinearGaussian, sandwiched: Sandwich) -> None:
    """E[w] = p(x), even with six steps."""
    ratio = np.exp(sandwiched.lower - linear.log_evidence(sandwiched.x))
    assert abs(ratio.mean() - 1) < 4 * ratio.std(ddof=1) / np.sqrt(len(ratio))
    assert ratio.std() > 0.1


@pytest.mark.slow
def test_the_mean_inverse_weight_is_unbiased_from_above(linear: LinearGaussian, sandwiched: Sandwich) -> None:
    """E[1 / w] = 1 / p(x), with chains that run back from an exact draw."""
    ratio = np.exp(linear.log_evidence(sandwiched.x) - sandwiched.upper)
    assert abs(ratio.mean() - 1) < 4 * ratio.std(ddof=1) / np.sqrt(len(ratio))
    assert ratio.std() > 0.1


@pytest.mark.slow
def test_the_sandwich_holds_the_evidence(linear: LinearGaussian, sandwiched: Sandwich) -> None:
    """In at least 95 of 100 runs on ten simulated examples, the mean log p(x) lies within two errors of the gap."""
    truth, lower, upper, gap = map(
        _by_run, (linear.log_evidence(sandwiched.x), sandwiched.lower, sandwiched.upper, sandwiched.gap)
    )
    margin = 2 * gap.std(axis=1, ddof=1) / np.sqrt(EXAMPLES)
    below = lower.mean(axis=1) - margin <= truth.mean(axis=1)
    above = truth.mean(axis=1) <= upper.mean(axis=1) + margin
    assert np.mean(below & above) >= 0.95
    assert 0.02 < sandwiched.gap.mean() < 1


def test_the_spread_of_the_gap_covers_that_of_both_bounds(linear: LinearGaussian, sandwiched: Sandwich) -> None:
    """Chains that share their exact start are dependent, so the error must come from the spread over examples."""
    truth = linear.log_evidence(sandwiched.x)
    for bound in (sandwiched.lower, sandwiched.upper):
        assert (bound - truth).std() < 1.1 * sandwiched.gap.std()


@pytest.mark.parametrize("chains", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_stated_errors_from_below_agree_with_repeats(linear: LinearGaussian, chains: int) -> None:
    x = linear.data(1).repeat(400, axis=0)
    found = annealed(linear, x, 20, chains=chains, batch_size=400)
    assert 0.6 < np.sqrt(np.mean(found.error**2)) / found.log_likelihood.std() < 1.2


def _by_run(values: np.ndarray) -> np.ndarray:
    return values.reshape(REPEATS, EXAMPLES)


@pytest.mark.slow
def test_the_gap_closes_with_the_steps(linear: LinearGaussian) -> None:
    gaps = [
        sandwich(linear.vae(), examples=200, steps=steps, seed=(2, 2), batch_size=200, execution="graph").gap.mean()
        for steps in (2, 8, 100)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 0.05


@pytest.mark.parametrize("latent_dim", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_both_estimates_agree_with_quadrature(latent_dim: int) -> None:
    """A Bernoulli decoder that bends: the posterior is not Normal, so only quadrature gives the answer."""
    model = CurvedBernoulli(latent_dim)
    vae, x = model.vae(), model.data(30)
    truth = model.log_evidence(x)
    weighted = estimate(vae, x, iw_samples=5_000, seed=(5, 5), execution="graph")
    assert abs((weighted.log_likelihood - truth).mean()) < 0.01
    assert weighted.elbo.mean() < truth.mean() - 0.05
    found = annealed_log_likelihood(vae, x, steps=150, seed=(5, 6), execution="graph")
    assert abs((found.log_likelihood - truth).mean()) < 4 * np.sqrt(np.sum(found.error**2)) / len(x) + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("prior", builders.REAL_PRIORS)
def test_every_prior_anneals(prior: str) -> None:
    both = sandwich(builders.model(prior_name=prior), examples=2, steps=2, chains=2, seed=(0, 0), execution="graph")
    assert np.isfinite(both.gap).all()
    assert (both.lower < 0).all()


@pytest.mark.slow
def test_seed_decides_the_result_and_progress_reaches_the_total(linear: LinearGaussian) -> None:
    done, vae, x = list[int](), linear.vae(), linear.data(7)
    settings = {"steps": 4, "chains": 8, "progress": done.append, "execution": "graph"}
    found = [annealed_log_likelihood(vae, x, seed=(3, seed), **settings).log_likelihood for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).all()
    assert sum(done) == 3 * transitions(7, 4, 8)


@pytest.mark.parametrize("cut", [{"steps": 0}, {"steps": 3, "chains": 1}])
def test_annealing_needs_steps_chains_and_examples(linear: LinearGaussian, cut: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least one annealing step and two chains"):
        annealed_log_likelihood(linear.vae(), linear.data(1), seed=(0, 0), **cut)
    with pytest.raises(UsageError, match="at least one example, found none"):
        annealed_log_likelihood(linear.vae(), linear.data(1)[:0], steps=2, seed=(0, 0))
    with pytest.raises(UsageError, match="at least one example, found none"):
        sandwich(linear.vae(), examples=0, steps=2, seed=(0, 0))
