"""The Bernoulli of a whole event: a faster density than that of TFP, with the same values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.distributions.bernoulli import FACTORS, IndependentBernoulli, bernoulli_log_prob

tfd = tfp.distributions
SIZES = [1, 2, FACTORS - 1, FACTORS, FACTORS + 1, 784]


def pair(logits: Tensor, event_ndims: int = 1) -> tuple[IndependentBernoulli, Distribution]:
    elements = tfd.Bernoulli(logits=logits, dtype=logits.dtype)
    return IndependentBernoulli(elements, event_ndims), tfd.Independent(elements, event_ndims)


def numbers(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [3, 4, M], some of them extreme, and binary x [4, M]."""
    logits = rng.normal(scale=4, size=(3, 4, size))
    logits.ravel()[:5] = [0, 90, -90, 1e4, -1e4][: logits.size]
    return logits, (rng.random((4, size)) > 0.5).astype(float)


@pytest.fixture(params=SIZES)
def example(request: pytest.FixtureRequest, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Logits and x of each size."""
    return numbers(request.param, rng)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-14)])
def test_density_equals_that_of_tfp(example: tuple[np.ndarray, np.ndarray], dtype: str, tolerance: float) -> None:
    logits, x = (tf.constant(part, dtype) for part in example)
    ours, stock = pair(logits)
    np.testing.assert_allclose(ours.log_prob(x), stock.log_prob(x), rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("jit", [True, False])
def test_gradient_is_x_minus_the_mean(jit: bool, rng: np.random.Generator) -> None:
    examples = [[tf.constant(part, tf.float32) for part in numbers(size, rng)] for size in SIZES]

    @tf.function(jit_compile=jit)
    def slopes() -> list[Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([logits for logits, _ in examples])
            value = tf.add_n([tf.reduce_sum(pair(logits)[0].log_prob(x)) for logits, x in examples])
        return tape.gradient(value, [logits for logits, _ in examples])

    for slope, (logits, x) in zip(slopes(), examples, strict=True):
        np.testing.assert_allclose(slope, x - tf.sigmoid(logits), atol=1e-6)


def test_second_derivative_equals_that_of_tfp(rng: np.random.Generator) -> None:
    logits, x = tf.constant(rng.normal(size=(2, 20))), tf.constant((rng.random((2, 20)) > 0.5).astype(float))

    def curvature(distribution: int) -> Tensor:
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
def test_statistics_equal_those_of_tfp(statistic: str, rng: np.random.Generator) -> None:
    ours, stock = pair(tf.constant(rng.normal(size=(4, 9)), tf.float32))
    np.testing.assert_array_equal(getattr(ours, statistic)(), getattr(stock, statistic)())


def test_samples_are_binary_with_the_right_frequencies(rng: np.random.Generator) -> None:
    ours, stock = pair(tf.constant(rng.normal(size=(4, 9)), tf.float32))
    samples = ours.sample(7, seed=(1, 2))
    assert samples.shape == (7, 4, 9)
    assert set(np.unique(samples)) <= {0, 1}
    frequencies = ours.sample(4_000, seed=(3, 4)).numpy().mean(axis=0)
    assert np.abs(frequencies - stock.mean().numpy()).max() < 4 * 0.5 / np.sqrt(4_000)


def test_supports_an_unknown_batch_size() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 5])])
    def log_prob(logits: Tensor) -> Tensor:
        return pair(logits)[0].log_prob(tf.ones([5]))

    np.testing.assert_allclose(log_prob(tf.zeros([3, 5])), -5 * np.log(2) * np.ones(3), rtol=1e-6)


@pytest.mark.parametrize(("x_shape", "logits_shape"), [((4, 5), (3, 1, 5)), ((1, 5), (4, 5)), ((5,), (2, 4, 5))])
def test_gradients_are_summed_over_broadcast_axes(
    x_shape: tuple[int, ...], logits_shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    x, logits = (tf.constant(rng.normal(size=shape)) for shape in (x_shape, logits_shape))

    def plain(x: Tensor, logits: Tensor) -> Tensor:
        return tf.reduce_sum(x * logits - tf.nn.softplus(logits), axis=-1)

    slopes = []
    for function in (bernoulli_log_prob, plain):
        with tf.GradientTape() as tape:
            tape.watch([x, logits])
            value = tf.reduce_sum(function(x, logits) ** 2)
        slopes.append(tape.gradient(value, [x, logits]))
    for found, expected in zip(*slopes, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_infinite_logits_give_nan() -> None:
    assert np.isnan(pair(tf.constant([np.inf, 0.0]))[0].log_prob([1.0, 1.0]))
