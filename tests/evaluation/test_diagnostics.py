"""Diagnostics of importance weights against known tails, brute force, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.helpers.oracles import LinearGaussian
from tfp_vae.evaluation.diagnostics import (
    Tally,
    generalized_pareto_shape,
    log_mean_error,
    mean_error,
    pareto_k,
    second_order_bias,
    standard_error,
    tail_size,
)
from tfp_vae.evaluation.importance import estimate, summarize


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.3, 0.7, 1.2])
def test_pareto_k_finds_the_shape_of_a_generalized_pareto_tail(shape: float) -> None:
    draws = stats.genpareto(shape).rvs(size=(1_001, 40), random_state=1)
    tail = np.log1p(draws)  # a threshold far above zero does not change the shape of the excesses
    found = pareto_k(tail)
    expected = (1_000 * shape + 5) / 1_010
    assert abs(found.mean() - expected) < 4 * found.std(ddof=1) / np.sqrt(len(found)) + 0.01


def test_pareto_k_agrees_with_maximum_likelihood() -> None:
    draws = np.sort(stats.genpareto(0.5, scale=2).rvs(size=2_000, random_state=2))
    fitted, _, _ = stats.genpareto.fit(draws[1:] - draws[0], floc=0)
    found = pareto_k(np.log(draws + 3)[:, np.newaxis])[0]
    assert abs((found * 2_009 - 5) / 1_999 - fitted) < 0.01


def test_pareto_k_does_not_depend_on_scale_or_order(rng: np.random.Generator) -> None:
    tail = rng.normal(scale=2, size=(200, 3))
    shuffled = rng.permuted(tail, axis=0) - 5_000
    np.testing.assert_allclose(pareto_k(shuffled), pareto_k(tail), rtol=1e-9)


def test_pareto_k_rises_with_the_spread_of_lognormal_weights(rng: np.random.Generator) -> None:
    found = [
        pareto_k(np.sort(rng.normal(scale=spread, size=(1_000, 20)), axis=0)[-96:]).mean() for spread in (0.1, 1, 3)
    ]
    assert found[0] < found[1] < 0.7 < found[2]


def test_pareto_k_of_equal_weights_is_zero() -> None:
    np.testing.assert_array_equal(pareto_k(np.full([50, 2], -90.0)), 0)


def test_pareto_k_of_rounding_noise_is_zero(rng: np.random.Generator) -> None:
    """An exact posterior in float32 gives weights that differ in their last bits only, with ties."""
    noisy = (-300 + 1e-4 * rng.integers(-2, 3, size=(96, 30))).astype(np.float32)
    np.testing.assert_array_equal(pareto_k(noisy.astype(float)), 0)


@pytest.mark.parametrize("ties", [5, 60, 94])
def test_pareto_k_of_tied_weights_is_finite(ties: int, rng: np.random.Generator) -> None:
    tail = rng.normal(size=(96, 10))
    for held in (np.sort(tail, axis=0)[0], np.sort(tail, axis=0)[-1] + 1):
        tied = np.concatenate([np.tile(held, (ties, 1)), tail[ties:]])
        assert np.isfinite(pareto_k(tied)).all()
    above = np.concatenate([np.zeros([1, 10]), np.ones([95, 10])])
    assert np.isfinite(pareto_k(above)).all()


def test_pareto_k_of_a_short_tail_is_nan() -> None:
    assert np.isnan(pareto_k(np.zeros([5, 3]))).all()
    assert not np.isnan(pareto_k(np.zeros([6, 3]))).any()


@pytest.mark.parametrize(("samples", "size"), [(1, 1), (10, 2), (100, 20), (1_000, 95), (100_000, 949)])
def test_tail_grows_with_the_root_of_the_samples(samples: int, size: int) -> None:
    assert tail_size(samples) == size


def test_error_and_bias_of_a_log_mean_agree_with_repeats(rng: np.random.Generator) -> None:
    """The log of the mean of lognormal weights scatters and lies low, as the effective sample size predicts."""
    spread, samples = 0.5, 400
    log_w = rng.normal(-(spread**2) / 2, spread, size=(samples, 20_000))
    w = np.exp(log_w)
    estimates = np.log(w.mean(axis=0))
    ess = w.sum(axis=0) ** 2 / (w**2).sum(axis=0)
    assert abs(log_mean_error(ess, samples).mean() / estimates.std() - 1) < 0.03
    bias, error = -estimates.mean(), estimates.std() / np.sqrt(estimates.size)
    assert abs(second_order_bias(ess, samples).mean() - bias) < 4 * error


def test_equal_weights_leave_no_error() -> None:
    assert log_mean_error(np.array([100.0]), 100) == 0


def test_one_sample_has_no_error_estimate() -> None:
    assert np.isnan(log_mean_error(np.ones(3), 1)).all()
    assert np.isnan(second_order_bias(np.ones(3), 1)).all()


class TestTally:
    """Sums of parts equal those of the whole."""

    @pytest.fixture
    def drawn(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(-90, 3, size=(500, 4)), rng.normal(-20, 2, size=(500, 4))

    @pytest.mark.parametrize("part", [1, 7, 100, 500, 600])
    def test_tally_does_not_depend_on_the_parts(self, drawn: tuple[np.ndarray, np.ndarray], part: int) -> None:
        log_px, log_ratio = drawn
        tally = Tally(4, 500, (1, 10, 333, 500))
        for start in range(0, 500, part):
            tally.add(log_px[start : start + part], log_ratio[start : start + part])
        log_w = log_px + log_ratio
        w = np.exp(log_w - log_w.max())
        np.testing.assert_allclose(tally.log_likelihood, np.log(w.mean(axis=0)) + log_w.max(), rtol=1e-12)
        np.testing.assert_allclose(tally.ess, w.sum(axis=0) ** 2 / (w**2).sum(axis=0), rtol=1e-10)
        np.testing.assert_allclose(tally.distortion, -log_px.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(tally.rate, -log_ratio.mean(axis=0), rtol=1e-12)
        by_hand = np.stack([np.log(w[:k].mean(axis=0)) + log_w.max() for k in (1, 10, 333, 500)], axis=1)
        np.testing.assert_allclose(tally.sweep, by_hand, rtol=1e-12)
        tail = np.sort(log_w, axis=0)[-tail_size(500) - 1 :]
        np.testing.assert_allclose(tally.pareto_k, pareto_k(tail), rtol=1e-12)

    def test_samples_beyond_the_last_are_left_out(self, drawn: tuple[np.ndarray, np.ndarray]) -> None:
        long, exact = Tally(4, 120), Tally(4, 120)
        long.add(*drawn)
        exact.add(drawn[0][:120], drawn[1][:120])
        np.testing.assert_array_equal(long.log_likelihood, exact.log_likelihood)
        np.testing.assert_array_equal(long.ess, exact.ess)

    def test_without_a_sweep_there_are_no_notes(self) -> None:
        tally = Tally(4, 2)
        tally.add(np.zeros([2, 4]), np.zeros([2, 4]))
        assert tally.sweep.shape == (4, 0)


REPEATS = 200


@pytest.mark.slow
def test_monte_carlo_interval_covers_the_truth(linear: LinearGaussian) -> None:
    """Of 200 repeats with other seeds, about 95% of the intervals contain the mean log p(x)."""
    vae, x = linear.vae(shift=0.2, widen=1.2), linear.data(40)
    truth = linear.log_evidence(x).mean()
    repeated = np.tile(x, (REPEATS, 1))
    estimates = estimate(vae, repeated, iw_samples=1_000, seed=(3, 1), batch_size=500, execution="graph")
    assert np.mean(estimates.pareto_k < 0.7) > 0.99
    means = estimates.log_likelihood.reshape(REPEATS, -1).mean(axis=1)
    errors = np.sqrt((log_mean_error(estimates.ess, 1_000).reshape(REPEATS, -1) ** 2).sum(axis=1)) / len(x)
    assert_covers(means, errors, truth)


@pytest.mark.slow
def test_interval_over_examples_covers_the_truth(linear: LinearGaussian) -> None:
    """Of 200 data sets, about 95% of the intervals contain E[log p(x)], the negative entropy of p(x)."""
    vae, x = linear.vae(shift=0.1, widen=1.1), linear.data(REPEATS * 100)
    covariance = linear.weights @ linear.weights.T + linear.scale**2 * np.eye(linear.size)
    truth = -stats.multivariate_normal(linear.offset, covariance).entropy()
    estimates = estimate(vae, x, iw_samples=100, seed=(3, 2), batch_size=500, execution="graph")
    parts = np.split(np.arange(len(x)), REPEATS)
    summaries = [
        summarize(type(estimates)(*(column[part] for column in estimates)), linear.size, 100, discrete=False)
        for part in parts
    ]
    means = np.array([summary.log_likelihood for summary in summaries])
    assert_covers(means, np.array([summary.log_likelihood_se for summary in summaries]), truth)


def assert_covers(means: np.ndarray, errors: np.ndarray, truth: float) -> None:
    """Assert that 95% of the intervals contain the truth, within 4 standard errors of a proportion."""
    covered = np.mean(np.abs(means - truth) < 1.96 * errors)
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / REPEATS)


@pytest.mark.parametrize("shape", [-0.2, 0.5, 1.0])
def test_generalized_pareto_shape_ignores_the_scale(shape: float) -> None:
    excess = np.sort(stats.genpareto(shape).rvs(size=(2_000, 5), random_state=6), axis=0)
    found = generalized_pareto_shape(excess)
    assert abs(found.mean() - shape) < 0.1
    np.testing.assert_allclose(generalized_pareto_shape(1e-3 * excess), found, rtol=1e-7)


def test_standard_error_refers_to_the_mean(rng: np.random.Generator) -> None:
    values = rng.normal(size=30)
    assert standard_error(values) == pytest.approx(stats.sem(values))
    assert np.isnan(standard_error(values[:1]))


def test_mean_error_adds_variances() -> None:
    assert mean_error(np.array([3.0, 4.0])) == pytest.approx(2.5)
