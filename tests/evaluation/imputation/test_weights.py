"""Running sums of weights against the same sums in one step."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfp_vae.evaluation.imputation.weights import Moments, Slots, Weights

DRAW = np.random.default_rng(31)
LOG_W = DRAW.normal(size=(60, 3)) * 2 + np.array([-1_000.0, 0.0, 700.0])
VALUES = DRAW.normal(size=(60, 3, 2)) + 1e4
SPREADS = DRAW.random((60, 3, 2))
SHARES = special.softmax(LOG_W, axis=0)


def sums() -> tuple[Weights, Moments]:
    """Return the sums of 60 samples in four tiles."""
    weights, moments = Weights.empty([3], tf.float64), Moments.empty([3, 2])
    for part in np.split(np.arange(60), [5, 20, 45]):
        after = weights.add(tf.constant(LOG_W[part]))
        tile = tf.constant(LOG_W[part]), tf.constant(VALUES[part]), tf.constant(SPREADS[part])
        moments, weights = moments.add(weights, after, *tile), after
    return weights, moments


def test_total_and_effective_sample_size_do_not_depend_on_tiles() -> None:
    weights, _ = sums()
    np.testing.assert_allclose(weights.log_total, special.logsumexp(LOG_W, axis=0), rtol=1e-12)
    np.testing.assert_allclose(weights.ess, 1 / np.sum(SHARES**2, axis=0), rtol=1e-9)


def test_average_its_error_and_the_deviation_of_the_mixture() -> None:
    weights, moments = sums()
    average = np.einsum("sb,sbf->bf", SHARES, VALUES)
    between = np.einsum("sb,sbf->bf", SHARES, (VALUES - average) ** 2)
    inner = np.einsum("sb,sbf->bf", SHARES, SPREADS)
    error = np.sqrt(np.einsum("sb,sbf->bf", SHARES**2, (VALUES - average) ** 2))
    np.testing.assert_allclose(moments.average(weights), average, rtol=1e-12)
    np.testing.assert_allclose(moments.deviation(weights), np.sqrt(between + inner), rtol=1e-9)
    np.testing.assert_allclose(moments.error(weights), error, rtol=1e-9)


def test_samples_without_weight_do_not_count() -> None:
    empty = Weights.empty([1], tf.float64).add(tf.constant([[-np.inf], [-np.inf]], tf.float64))
    assert float(empty.total[0]) == 0
    full = empty.add(tf.constant([[0.0], [-np.inf], [0.0]], tf.float64))
    assert full.log_total[0] == pytest.approx(np.log(2))
    assert full.ess[0] == pytest.approx(2)


def test_infinite_values_of_samples_without_weight_do_not_count() -> None:
    """The mean of a log-normal can overflow at a z far from p(z|x)."""
    log_w = tf.constant([[0.0], [-2_000.0], [0.0]], tf.float64)
    values, spreads = np.array([1.0, np.inf, 3.0]), np.array([0.0, np.inf, 2.0])
    before, tile = (
        Weights.empty([1], tf.float64),
        (values[:, np.newaxis, np.newaxis], spreads[:, np.newaxis, np.newaxis]),
    )
    weights = before.add(log_w)
    moments = Moments.empty([1, 1]).add(before, weights, log_w, *map(tf.constant, tile))
    assert moments.average(weights) == pytest.approx(2)
    assert moments.deviation(weights) == pytest.approx(np.sqrt(1 + 1))
    assert moments.error(weights) == pytest.approx(np.sqrt(2) / 2)


def test_slots_hold_samples_in_proportion_to_all_weights() -> None:
    """Each of 3 x 4,000 slots holds the number of a sample, so the shares of the numbers are the normalized weights."""
    weights, slots = Weights.empty([3], tf.float64), Slots(tf.zeros([3, 4_000, 1], tf.float64))
    numbers = np.broadcast_to(np.arange(60.0)[:, np.newaxis, np.newaxis], (60, 3, 1))
    for i, part in enumerate(np.split(np.arange(60), [5, 20, 45])):
        log_w = tf.constant(LOG_W[part])
        after, seeds = weights.add(log_w), tf.constant([[i, row] for row in range(3)])
        slots = slots.add(weights, after, log_w, tf.constant(numbers[part]), seeds)
        weights = after
    for row in range(3):
        shares = np.bincount(np.asarray(slots.values[row, :, 0], int), minlength=60) / 4_000
        error = np.sqrt(SHARES[:, row] * (1 - SHARES[:, row]) / 4_000)
        assert (np.abs(shares - SHARES[:, row]) < 4.5 * error + 1e-3).all()


def test_slots_of_a_row_depend_on_its_seed_only() -> None:
    z, log_w = tf.constant(DRAW.normal(size=(60, 3, 2))), tf.constant(LOG_W)
    start = Weights.empty([3], tf.float64)
    seeds = tf.constant([[1, 2], [3, 4], [5, 6]])
    all_rows = Slots(tf.zeros([3, 50, 2], tf.float64)).add(start, start.add(log_w), log_w, z, seeds).values
    one = Weights.empty([1], tf.float64)
    middle = log_w[:, 1:2]
    alone = Slots(tf.zeros([1, 50, 2], tf.float64)).add(one, one.add(middle), middle, z[:, 1:2], seeds[1:2]).values
    np.testing.assert_array_equal(alone[0], all_rows[1])
