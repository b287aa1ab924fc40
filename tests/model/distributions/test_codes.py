"""Discrete distributions over z, against enumeration and TFP."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers import builders
from tests.helpers.densities import stir
from tfp_vae.core.execution import EXECUTIONS, compile_function
from tfp_vae.model.distributions.codes import Bits, Codes, OneHots, codes_of
from tfp_vae.model.priors import Autoregressive, Learned, Uniform

tfd = tfp.distributions

N = 20_000

KINDS: dict[str, tuple[int, int]] = {"bits": (3, 1), "one 10-way code": (1, 10), "2x4 codes": (2, 4)}
"""D and K by name."""


def every_z(dimensions: int, codes: int) -> np.ndarray:
    """Return all values of z, [M, D K]."""
    parts = [[0.0], [1.0]] if codes == 1 else np.eye(codes).tolist()
    return np.array([np.concatenate(z) for z in itertools.product(parts, repeat=dimensions)])


def some(kind: str, seed: int = 0, batch: tuple[int, ...] = ()) -> Codes:
    """Return codes with random logits."""
    dimensions, codes = KINDS[kind]
    return codes_of(tf.constant(np.random.default_rng(seed).normal(size=(*batch, dimensions * codes))), codes)


each_kind = pytest.mark.parametrize("kind", list(KINDS))


def assert_frequencies(z: np.ndarray, mean: np.ndarray) -> None:
    """Check that the average of samples z [N, ...] is the mean within 4 standard errors."""
    np.testing.assert_array_less(np.abs(z.mean(axis=0) - mean), 4 * np.sqrt(mean * (1 - mean) / len(z)) + 1e-12)


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


class TestPriors:
    """Uniform, learned and autoregressive priors."""

    @each_kind
    @pytest.mark.parametrize("name", builders.CODE_PRIORS)
    def test_probabilities_add_up_to_one_and_samples_follow_them(self, name: str, kind: str) -> None:
        dimensions, codes = KINDS[kind]
        prior = builders.prior(name, dimensions, dtype="float64", codes=codes)
        stir(prior.learned, np.random.default_rng(0))
        z, p = every_z(dimensions, codes), prior()
        mass = np.exp(p.log_prob(z))
        assert mass.sum() == pytest.approx(1, rel=1e-9)
        samples = p.sample(N, seed=(5, 6)).numpy()
        assert_frequencies((samples[:, np.newaxis] == z).all(axis=-1).astype(float), mass)

    def test_uniform_gives_each_code_the_same_probability(self) -> None:
        np.testing.assert_allclose(
            Uniform(2, 4)().log_prob(every_z(2, 4).astype(np.float32)), -2 * np.log(4), rtol=1e-6
        )
        np.testing.assert_allclose(Uniform(3)().log_prob(every_z(3, 1).astype(np.float32)), -3 * np.log(2), rtol=1e-6)

    def test_temperature_divides_the_logits(self) -> None:
        prior = Learned(2)
        prior.learned[0].assign([1.0, -2.0])
        np.testing.assert_allclose(prior(0.5).mean(), 1 / (1 + np.exp([-2.0, 4.0])), rtol=1e-6)

    @pytest.mark.parametrize("codes", [1, 4])
    def test_autoregressive_dimensions_depend_on_earlier_ones_only(self, codes: int) -> None:
        (network,) = Autoregressive(3, codes, hidden=8, dtype="float64").learned
        z = tf.constant(np.random.default_rng(0).normal(size=(1, 3 * codes)))
        with tf.GradientTape() as tape:
            tape.watch(z)
            outputs = network(z)
        slope = np.abs(tape.jacobian(outputs, z)).reshape(3, codes, 3, codes).sum(axis=(1, 3))
        np.testing.assert_array_equal(slope > 0, np.tri(3, k=-1) > 0)


@pytest.mark.parametrize("make", [Uniform, Learned])
def test_rate_is_zero_where_posterior_and_prior_agree(make: Callable[..., Uniform | Learned]) -> None:
    q = codes_of(tf.zeros([5, 8]), 4)
    np.testing.assert_allclose(q.kl_divergence(make(2, 4)()), np.zeros(5), atol=1e-6)
