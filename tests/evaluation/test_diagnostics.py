"""Diagnostics of importance weights against known tails, brute force, and closed forms."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from scipy import integrate, stats

from tests.helpers.oracles import LinearGaussian
from tfp_vae.evaluation.diagnostics import (
    Tally,
    generalized_pareto_shape,
    group_error,
    has_enough_samples,
    log_tail_mean,
    mean_error,
    mean_interval,
    pareto_k,
    standard_error,
    tail_size,
)
from tfp_vae.evaluation.importance import Estimates, estimate, summarize

Draw: TypeAlias = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
"""Draws log-weights of a shape [K, B]. The mean weight is 1."""


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


def tally_of(log_w: np.ndarray) -> Tally:
    """Return the tally of log-weights [K, B], added in tiles."""
    tally = Tally(log_w.shape[1], len(log_w))
    for start in range(0, len(log_w), 100):
        tally.add(log_w[start : start + 100], np.zeros_like(log_w[start : start + 100]))
    return tally


def test_errors_of_means_of_logarithms_and_of_the_gap_agree_with_their_spread(rng: np.random.Generator) -> None:
    """The gap of lognormal weights is close to s^2 / 2, and its error far below those of its two parts."""
    spread, samples = 0.3, 320
    tally = tally_of(1e3 + rng.normal(0, spread, size=(samples, 3_000)))
    gap = tally.log_likelihood - tally.elbo
    assert abs(gap.mean() - spread**2 / 2) < 4 * gap.std() / np.sqrt(len(gap)) + spread**2 / samples
    for values, errors in ((tally.elbo, tally.elbo_error), (gap, tally.gap_error)):
        assert 0.95 < np.sqrt(np.mean(errors**2)) / values.std() < 1.1
    assert gap.std() < 0.3 * tally.elbo.std()
    np.testing.assert_allclose(tally.distortion_error, tally.elbo_error)


def test_errors_of_the_gap_are_unknown_for_one_sample_and_weights_of_zero() -> None:
    single = tally_of(np.zeros([1, 2]))
    assert np.isnan([single.elbo_error, single.distortion_error, single.gap_error]).all()
    log_w = np.zeros([40, 2])
    log_w[7, 0] = -np.inf
    found = tally_of(log_w)
    assert np.isnan([found.elbo_error[0], found.gap_error[0]]).all()
    np.testing.assert_allclose([found.elbo_error[1], found.gap_error[1]], 0, atol=1e-12)


def lognormal(spread: float) -> Draw:
    return lambda rng, shape: rng.normal(-(spread**2) / 2, spread, shape)


def gamma(shape: float) -> Draw:
    return lambda rng, size: np.log(rng.gamma(shape, size=size) / shape)


def pareto(power: float) -> Draw:
    return lambda rng, shape: np.log((rng.pareto(power, shape) + 1) * (power - 1) / power)


def normal_pair(dimensions: int, scale: float, shift: float) -> Draw:
    """The weights of a Normal proposal for a standard Normal posterior, as a diagonal encoder has them."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        noise = rng.normal(size=(dimensions, *shape))
        return np.sum((noise**2 - (shift + scale * noise) ** 2) / 2 + np.log(scale), axis=0)

    return draw


def two_kinds(share: float, factor: float) -> Draw:
    """Most weights are even, and a share of them is larger by a factor."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        log_w = lognormal(0.5)(rng, shape) + np.log(factor) * (rng.random(shape) < share)
        return np.asarray(log_w - np.log1p(share * (factor - 1)))

    return draw


FAMILIES = {
    "lognormal": [lognormal(0.3), lognormal(1), lognormal(2), lognormal(3)],
    "gamma": [gamma(0.1), gamma(0.3), gamma(1), gamma(5)],
    "pareto": [pareto(1.5), pareto(2), pareto(3), pareto(5)],
    "normal pair": [normal_pair(10, 0.9, 0.3), normal_pair(20, 0.8, 0.4), normal_pair(20, 1.2, 0.3)],
    "two kinds": [two_kinds(0.1, 10), two_kinds(0.05, 20)],
}
"""Weights with mean 1, so log p(x) = 0. The proposals are good to poor."""


@pytest.mark.parametrize("family", FAMILIES)
def test_intervals_contain_the_truth_as_often_as_they_say(family: str, rng: np.random.Generator) -> None:
    covered = []
    for draw, samples in itertools.product(FAMILIES[family], (50, 100, 500)):
        low, high = tally_of(draw(rng, (samples, 120))).interval
        covered.append(((low < 0) & (high > 0))[~np.isnan(low)])
    assert len(np.concatenate(covered)) > 500
    assert 0.85 <= np.concatenate(covered).mean() <= 0.95


@pytest.mark.parametrize("family", FAMILIES)
def test_error_of_a_mean_is_its_spread_over_seeds(family: str, rng: np.random.Generator) -> None:
    """Also if a few weights dominate, so that the errors of single examples are unknown."""
    for draw, samples in itertools.product(FAMILIES[family], (50, 200)):
        tally = tally_of(draw(rng, (samples, 800)))
        means = tally.log_likelihood.reshape(80, 10).mean(axis=1)
        spread = np.sqrt(np.mean((means - means.mean()) ** 2))
        error = np.sqrt(np.mean(tally.spread**2) / 10)
        assert error == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize("draw", [lognormal(1.5), lognormal(2), lognormal(3)])
def test_bias_grows_with_the_rise_of_the_estimate(draw: Draw, rng: np.random.Generator) -> None:
    tally = tally_of(draw(rng, (100, 4_000)))
    assert tally.shortfall.mean() == pytest.approx(-tally.log_likelihood.mean(), rel=0.25)


def test_error_and_bias_of_even_weights_agree_with_the_delta_method(rng: np.random.Generator) -> None:
    """By the delta method, var(log mean w) ~ var(w) / (K mean(w)^2), and the bias is half of it."""
    tally = tally_of(lognormal(0.3)(rng, (400, 600)))
    variance = np.expm1(0.3**2) / 400
    assert np.mean(tally.spread**2) == pytest.approx(variance, rel=0.05)
    assert tally.shortfall.mean() == pytest.approx(variance / 2, rel=0.05)
    low, high = tally.interval - tally.log_likelihood
    assert np.median(-low) == pytest.approx(1.7 * np.sqrt(variance), rel=0.2)
    assert np.median(high) == pytest.approx(1.7 * np.sqrt(variance), rel=0.2)


def test_group_error_leaves_out_one_group_at_a_time(rng: np.random.Generator) -> None:
    w, sizes = rng.gamma(0.5, size=(50, 3)), np.array([10, 11, 9, 20])
    groups = np.split(w, np.cumsum(sizes)[:-1])
    left = [np.log(np.concatenate([*groups[:i], *groups[i + 1 :]]).mean(axis=0)) for i in range(4)]
    expected = np.sqrt(3 * np.var(left, axis=0))
    log_sums = np.log([group.sum(axis=0) for group in groups])
    np.testing.assert_allclose(group_error(log_sums - 1_000, sizes), expected, rtol=1e-9)


def test_a_dominant_weight_has_an_error_of_several_nats() -> None:
    log_w = np.zeros([160, 1])
    log_w[7] = 20
    tally = tally_of(log_w)
    assert tally.spread[0] > 5
    assert tally.shortfall[0] > 5
    assert np.isnan(tally.interval).all()


def test_error_is_known_from_ten_effective_samples_on() -> None:
    np.testing.assert_array_equal(has_enough_samples(np.array([1.0, 9.99, 10.0, 500.0, np.nan])), [0, 0, 1, 1, 0])


def test_equal_weights_leave_no_error() -> None:
    tally = tally_of(np.full([100, 2], -3.0))
    np.testing.assert_allclose(tally.spread, 0, atol=1e-7)
    np.testing.assert_allclose(tally.shortfall, 0, atol=1e-7)
    np.testing.assert_allclose(tally.interval, -3, atol=1e-4)


def test_groups_without_weight_leave_a_finite_error() -> None:
    log_w = np.full([100, 1], -np.inf)
    log_w[3:40] = 0
    assert np.isfinite(tally_of(log_w).spread).all()
    assert np.isfinite(tally_of(log_w).shortfall).all()


def test_one_sample_has_no_error_estimate() -> None:
    tally = tally_of(np.zeros([1, 3]))
    for unknown in (tally.spread, tally.shortfall, tally.interval):
        assert np.isnan(unknown).all()


@pytest.mark.parametrize(("scale", "shape"), [(0.1, 0.02), (0.8, 0.1), (3.0, 0.3), (1.0, 0.7)])
def test_mean_of_a_tail_is_an_integral(scale: float, shape: float) -> None:
    expected, _ = integrate.quad(lambda v: np.exp(scale / shape * (1 - v**shape)), 0, 1, epsabs=0, limit=500)
    assert log_tail_mean(np.array(scale), np.array(shape)) == pytest.approx(np.log(expected), rel=1e-6)


def test_interval_of_a_mean_reaches_up_to_twice_the_bias() -> None:
    low, high = mean_interval(-90, 0.1, 0.05)
    assert low == pytest.approx(-90 - 0.1 * stats.norm.ppf(0.95))
    assert high == pytest.approx(-90 + 0.1 * stats.norm.ppf(0.95) + 0.1)


def test_interval_of_a_mean_allows_for_poor_proposals(rng: np.random.Generator) -> None:
    """In each repeat, four of fifty proposals are so poor that their errors are usually unknown."""
    covered, vectors = [], {"posterior_mean": np.zeros([50, 2]), "posterior_mean_variance": np.zeros([50, 2])}
    for _ in range(20):
        draws = lognormal(1.0)(rng, (100, 46)), normal_pair(20, 0.8, 0.8)(rng, (100, 4))
        tally = tally_of(np.concatenate(draws, axis=1))
        given = {"log_likelihood": tally.log_likelihood, "spread": tally.spread, "shortfall": tally.shortfall}
        columns = dict.fromkeys(Estimates._fields, np.zeros(50)) | vectors | given | {"ess": tally.ess}
        summary = summarize(Estimates(**columns), 4, discrete=True)
        assert summary.likely_bias == pytest.approx(tally.shortfall.mean())
        covered.append(summary.log_likelihood_low < 0 < summary.log_likelihood_high)
    assert np.mean(covered) >= 0.75


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

    @pytest.mark.parametrize("part", [1, 7, 100, 600])
    def test_errors_do_not_depend_on_the_parts(self, rng: np.random.Generator, part: int) -> None:
        log_w = rng.normal(-90, 1.5, size=(500, 4))
        whole, tally = Tally(4, 500), Tally(4, 500, (1, 10, 333))
        whole.add(log_w, np.zeros_like(log_w))
        for start in range(0, 500, part):
            tally.add(log_w[start : start + part], np.zeros_like(log_w[start : start + part]))
        for name in ("spread", "shortfall", "interval"):
            np.testing.assert_allclose(getattr(tally, name), getattr(whole, name), rtol=1e-10)

    def test_errors_do_not_depend_on_other_examples(self, rng: np.random.Generator) -> None:
        log_w = rng.normal(size=(200, 5))
        np.testing.assert_allclose(tally_of(log_w).interval[:, 3:4], tally_of(log_w[:, 3:4]).interval, rtol=1e-10)

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
    errors = np.sqrt((estimates.spread.reshape(REPEATS, -1) ** 2).sum(axis=1)) / len(x)
    assert_covers(means, errors, truth)


@pytest.mark.slow
def test_intervals_of_examples_contain_the_closed_form(linear: LinearGaussian) -> None:
    """Under proposals from good to poor, whose errors are unknown for many examples."""
    x, covered, known = linear.data(300), [], []
    truth = linear.log_evidence(x)
    for shift, widen in ((0.1, 1.1), (0.2, 1.5), (0.3, 0.9), (0.5, 1.2)):
        estimates = estimate(
            linear.vae(shift=shift, widen=widen), x, iw_samples=200, seed=(3, 4), batch_size=300, execution="graph"
        )
        known.append(estimates.known)
        covered.append(((estimates.low < truth) & (truth < estimates.high))[estimates.known])
    assert 400 < np.sum(known) < np.size(known)
    assert 0.85 <= np.concatenate(covered).mean() <= 0.95


@pytest.mark.slow
def test_interval_over_examples_covers_the_truth(linear: LinearGaussian) -> None:
    """Of 200 data sets, about 95% of the intervals contain E[log p(x)], the negative entropy of p(x)."""
    vae, x = linear.vae(shift=0.1, widen=1.1), linear.data(REPEATS * 100)
    covariance = linear.weights @ linear.weights.T + linear.scale**2 * np.eye(linear.size)
    truth = -stats.multivariate_normal(linear.offset, covariance).entropy()
    estimates = estimate(vae, x, iw_samples=100, seed=(3, 2), batch_size=500, execution="graph")
    parts = np.split(np.arange(len(x)), REPEATS)
    summaries = [
        summarize(type(estimates)(*(column[part] for column in estimates)), linear.size, discrete=False)
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


def test_mean_log_weight_and_its_error_agree_with_numpy(rng: np.random.Generator) -> None:
    log_px, log_ratio = rng.normal(-1e4, 3, size=(2, 30, 4))
    tally = Tally(4, 25)
    for rows in (slice(0, 20), slice(20, 30)):
        tally.add(log_px[rows], log_ratio[rows])
    log_w = (log_px + log_ratio)[:25]
    np.testing.assert_allclose(tally.elbo, log_w.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(tally.elbo_error, log_w.std(axis=0, ddof=1) / 5, rtol=1e-9)


def test_mean_log_weight_of_one_sample_has_no_error() -> None:
    tally = Tally(1, 1)
    tally.add(np.zeros([1, 1]), np.zeros([1, 1]))
    assert np.isnan(tally.elbo_error).all()
