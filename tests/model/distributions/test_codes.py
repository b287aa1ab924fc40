"""Discrete distributions over z, against enumeration and TFP."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers.codes import KINDS, N, assert_frequencies, every_z, some
from tfp_vae.core.execution import EXECUTIONS, compile_function
from tfp_vae.model.distributions.codes import Bits, OneHots

tfd = tfp.distributions

each_kind = pytest.mark.parametrize("kind", list(KINDS))


@each_kind
def test_probabilities_entropy_and_kl_agree_with_enumeration(kind: str) -> None:
    q, p, z = some(kind), some(kind, 1), every_z(*KINDS[kind])
    log_q, log_p = q.log_prob(z).numpy(), p.log_prob(z).numpy()
    assert np.exp(log_q).sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(q.entropy(), -np.exp(log_q) @ log_q, rtol=1e-10)
    np.testing.assert_allclose(q.kl_divergence(p), np.exp(log_q) @ (log_q - log_p), rtol=1e-10)
    np.testing.assert_allclose(q.mean(), np.exp(log_q) @ z, rtol=1e-10)
    np.testing.assert_array_equal(q.mode(), z[np.argmax(log_q)])


def test_probabilities_agree_with_tfp(rng: np.random.Generator) -> None:
    logits, z = rng.normal(size=(5, 3)), rng.integers(0, 2, size=(7, 5, 3))
    np.testing.assert_allclose(
        Bits(logits).log_prob(z.astype(float)), tfd.Independent(tfd.Bernoulli(logits), 1).log_prob(z)
    )
    logits, k = rng.normal(size=(5, 2, 4)), rng.integers(0, 4, size=(7, 5, 2))
    expected = tfd.Independent(tfd.OneHotCategorical(logits), 1).log_prob(np.eye(4)[k])
    np.testing.assert_allclose(OneHots(logits).log_prob(np.eye(4)[k].reshape(7, 5, 8)), expected)


@pytest.mark.parametrize("execution", list(EXECUTIONS))
@each_kind
def test_samples_have_the_frequencies_of_the_codes(kind: str, execution: str) -> None:
    q = some(kind, batch=(2,))
    z = compile_function(lambda seed: q.sample(N, seed=seed), execution)(tf.constant([3, 4])).numpy()
    assert_frequencies(z, q.mean().numpy())
    assert set(np.unique(z)) == {0.0, 1.0}
    if KINDS[kind][1] > 1:
        assert (z.reshape(N, 2, *KINDS[kind]).sum(axis=-1) == 1).all()


@each_kind
def test_relaxed_samples_are_samples_and_approach_them_as_the_temperature_falls(kind: str) -> None:
    q = some(kind)
    gaps = []
    for temperature in (1.0, 0.1, 0.01):
        hard, soft = (each.numpy() for each in q.relaxed(N, temperature, (1, 2)))
        gaps.append(np.abs(hard - soft).mean())
    assert_frequencies(hard, q.mean().numpy())
    assert gaps[0] > 3 * gaps[1] > 9 * gaps[2]
    np.testing.assert_array_equal(np.round(soft[:100]), hard[:100])


def test_antithetic_bits_have_the_right_frequencies_and_negative_correlation() -> None:
    q = some("bits")
    first, second = (each.numpy() for each in q.antithetic(N, (1, 2)))
    for z in (first, second):
        assert_frequencies(z, q.mean().numpy())
    assert (((first - first.mean(axis=0)) * (second - second.mean(axis=0))).mean(axis=0) < -0.05).all()


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-24])
def test_each_uniform_number_selects_one_possible_code(u: float) -> None:
    q = OneHots(np.float32([[[-200, 0, 3, -200]]]))
    z = q.at(tf.fill([1, 1], np.float32(u))).numpy()[0]
    assert z.tolist() == [0, 1, 0, 0] if u == 0 else z.tolist()[2:] in ([1, 0], [0, 1])


def test_sample_has_one_code_if_cumulative_probabilities_fall() -> None:
    """XLA sums in parallel, so rounding makes some cumulative probabilities of many codes fall."""
    logits = tf.constant(3 * np.random.default_rng(0).normal(size=[1, 4_096]).astype(np.float32))

    @tf.function(jit_compile=True)
    def draw() -> tuple[tf.Tensor, tf.Tensor]:
        u = tf.cumsum(tf.nn.softmax(logits), axis=-1)[0, :-1]
        return u, tf.reduce_sum(OneHots(logits).at(u[:, tf.newaxis]), axis=-1)

    u, codes = draw()
    assert np.diff(u).min() < 0
    np.testing.assert_array_equal(codes, 1)
