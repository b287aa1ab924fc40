"""The Bernoulli of a whole event against the stock distribution: a cheaper density, and nothing else changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.model.distributions.bernoulli import FACTORS, IndependentBernoulli

tfd = tfp.distributions
SIZES = [1, 2, FACTORS - 1, FACTORS, FACTORS + 1, 784]


def pair(logits: Any, event_ndims: int = 1) -> tuple[Any, Any]:
    elements = tfd.Bernoulli(logits=logits, dtype=logits.dtype)
    return IndependentBernoulli(elements, event_ndims), tfd.Independent(elements, event_ndims)


@pytest.fixture(params=SIZES)
def drawn(request: pytest.FixtureRequest, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Logits [3, 4, M], some far out, and binary x [4, M]."""
    logits = rng.normal(scale=4, size=(3, 4, request.param))
    logits.ravel()[:5] = [0, 90, -90, 1e4, -1e4][: logits.size]
    return logits, (rng.random((4, request.param)) > 0.5).astype(float)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-14)])
def test_density_is_the_stock_one(drawn: tuple[np.ndarray, np.ndarray], dtype: str, tolerance: float) -> None:
    logits, x = (tf.constant(part, dtype) for part in drawn)
    ours, stock = pair(logits)
    np.testing.assert_allclose(ours.log_prob(x), stock.log_prob(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("jit", [True, False])
def test_gradient_is_x_less_the_mean(drawn: tuple[np.ndarray, np.ndarray], jit: bool) -> None:
    logits, x = (tf.constant(part, tf.float32) for part in drawn)

    @tf.function(jit_compile=jit)
    def slope(logits: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_sum(pair(logits)[0].log_prob(x))
        return tape.gradient(value, logits)

    np.testing.assert_allclose(slope(logits), x - tf.sigmoid(logits), atol=1e-6)


def test_gradient_agrees_with_the_stock_one_through_a_second_tape(rng: np.random.Generator) -> None:
    logits, x = tf.constant(rng.normal(size=(2, 20))), tf.constant((rng.random((2, 20)) > 0.5).astype(float))

    def curvature(distribution: int) -> Any:
        with tf.GradientTape() as outer:
            outer.watch(logits)
            with tf.GradientTape() as inner:
                inner.watch(logits)
                value = pair(logits)[distribution].log_prob(x)
            first = inner.gradient(value, logits)
        return outer.gradient(first, logits)

    np.testing.assert_allclose(curvature(0), curvature(1), atol=1e-12)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (2, 3, 1)])
def test_events_of_any_rank(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    logits = tf.constant(rng.normal(size=(5, 4, *shape)), tf.float32)
    ours, stock = pair(logits, len(shape))
    assert ours.batch_shape == stock.batch_shape == (5, 4)
    assert ours.event_shape == stock.event_shape == shape
    x = stock.sample(seed=(0, 0))
    np.testing.assert_allclose(ours.log_prob(x), stock.log_prob(x), rtol=1e-5)


@pytest.mark.parametrize("statistic", ["mean", "mode", "variance", "entropy"])
def test_statistics_are_the_stock_ones(statistic: str, rng: np.random.Generator) -> None:
    ours, stock = pair(tf.constant(rng.normal(size=(4, 9)), tf.float32))
    np.testing.assert_array_equal(getattr(ours, statistic)(), getattr(stock, statistic)())


def test_samples_are_the_stock_ones(rng: np.random.Generator) -> None:
    ours, stock = pair(tf.constant(rng.normal(size=(4, 9)), tf.float32))
    samples = ours.sample(7, seed=(1, 2))
    assert samples.shape == (7, 4, 9)
    assert set(np.unique(samples)) <= {0, 1}
    frequencies = ours.sample(4_000, seed=(3, 4)).numpy().mean(axis=0)
    assert np.abs(frequencies - stock.mean().numpy()).max() < 4 * 0.5 / np.sqrt(4_000)


def test_a_batch_of_unknown_size() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def log_prob(logits: Any) -> Any:
        return pair(logits)[0].log_prob(tf.ones([5]))

    np.testing.assert_allclose(log_prob(tf.zeros([3, 5])), -5 * np.log(2) * np.ones(3), rtol=1e-6)
