"""Spikes of columns of counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tfp_vae.data.schema.spikes import MOST_SPIKES, find_spikes, log_probability
from tfp_vae.data.schema.suspicious import Tally


def tally(x: np.ndarray) -> Tally:
    """Return the different values of counts and how often each occurs."""
    return Tally(*np.unique(x.astype(float), return_counts=True))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "draw",
    [
        lambda g, n: g.poisson(3.0, n),
        lambda g, n: g.poisson(400.0, n),
        lambda g, n: g.geometric(0.9, n) - 1,  # mostly zeros
        lambda g, n: g.negative_binomial(0.05, 0.001, n),  # mostly zeros, and up to thousands
        lambda g, n: np.where(g.random(n) < 0.5, g.poisson(5.0, n), g.poisson(60.0, n)),  # two humps
        lambda g, n: g.integers(0, 1_000, n),
    ],
    ids=["poisson", "large", "geometric", "overdispersed", "humps", "uniform"],
)
def test_smooth_counts_have_no_spikes(draw: object, seed: int) -> None:
    for size in (50, 1_000, 30_000):
        x = draw(np.random.default_rng(seed), size)  # type: ignore[operator]
        assert find_spikes(tally(x)) == ()


def test_spikes_are_found_among_smooth_counts_and_the_most_frequent_come_first() -> None:
    generator = np.random.default_rng(0)
    x = generator.poisson(38.0, 5_000)
    x[:2_000], x[2_000:2_300], x[2_300:2_400] = 40, 60, 0
    assert find_spikes(tally(generator.permutation(x))) == (40, 60, 0)


def test_zeros_are_a_spike_if_a_negative_binomial_has_fewer() -> None:
    x = np.random.default_rng(0).poisson(6.0, 2_000)
    x[:600] = 0
    assert find_spikes(tally(x)) == (0,)


def test_a_count_in_few_cells_is_no_spike() -> None:
    x = np.concatenate([np.arange(100), np.full(8, 150)])
    assert find_spikes(tally(x)) == ()
    assert find_spikes(tally(np.append(x, [150, 150]))) == (150,)


def test_only_the_most_frequent_spikes_are_kept() -> None:
    x = np.repeat(1_000 * np.arange(1, 31), np.arange(100, 130))
    assert find_spikes(tally(x)) == tuple(1_000 * np.arange(30, 30 - MOST_SPIKES, -1))


def test_nothing_has_no_spikes() -> None:
    assert find_spikes(Tally(np.empty(0), np.empty(0, int))) == ()
    assert find_spikes(Tally(np.array([0.0]), np.array([50]))) == ()


def test_the_smooth_distribution_is_a_negative_binomial() -> None:
    expected = stats.nbinom(2.5, 2.5 / 9.5).logpmf(np.arange(9))
    np.testing.assert_allclose([log_probability(k, 7.0, 2.5) for k in range(9)], expected, rtol=1e-9)
