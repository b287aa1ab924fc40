"""Noise: the generator's published answers, its distributions, and draws that do not depend on other examples."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats

from tests.helpers import builders
from tfp_vae.core.execution import EXECUTIONS, compile_function, running
from tfp_vae.core.noise import ThreefryGenerator, from_each, standard_normal, threefry, threefry_noise, uniform
from tfp_vae.core.seeds import fold
from tfp_vae.model.distributions import normals
from tfp_vae.model.posteriors import Posterior

KNOWN = {
    ((0, 0), 0): (0x6B200159, 0x99BA4EFE),
}
"""The published test vectors of Salmon et al. whose counter is (0, 0): (key, counter) -> the two words."""

DTYPES = ["float32", "float64"]


@pytest.mark.parametrize(("given", "words"), KNOWN.items())
def test_threefry_gives_its_published_answer(given: tuple, words: tuple[int, int]) -> None:
    key, counter = given
    assert tuple(int(word[counter]) for word in threefry(tf.constant(key), counter + 1)) == words


def test_threefry_agrees_with_another_implementation() -> None:
    keys = np.random.default_rng(0).integers(-(2**31), 2**31, (3, 2)).astype(np.int32)
    found = threefry(tf.constant(keys), 5)
    for i, key in enumerate(keys.astype(np.uint32)):
        expected = np.array([plain_threefry(*map(int, key), counter) for counter in range(5)])
        for word in (0, 1):
            np.testing.assert_array_equal(found[word][i], expected[:, word])


def plain_threefry(first: int, second: int, counter: int) -> tuple[int, int]:
    """Threefry-2x32 with 20 rounds in Python's integers, round by round as in the paper's figure."""
    keys, mask = [first, second, first ^ second ^ 0x1BD11BDA], 2**32 - 1
    a, b = (counter + first) & mask, second
    for i in range(20):
        turn = [13, 15, 26, 6, 17, 29, 16, 24][i % 8]
        a = (a + b) & mask
        b = (((b << turn) | (b >> (32 - turn))) & mask) ^ a
        if i % 4 == 3:
            s = i // 4 + 1
            a, b = (a + keys[s % 3]) & mask, (b + keys[(s + 1) % 3] + s) & mask
    return a, b


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_draws_have_their_distribution(execution: str, dtype: str) -> None:
    draws = compile_function(
        lambda seed: (uniform([20_000], seed, dtype), standard_normal([20_000], seed, dtype)), execution
    )((3, 4))
    for values, cdf in zip(draws, (stats.uniform.cdf, stats.norm.cdf), strict=True):
        assert values.dtype == dtype
        assert stats.kstest(values.numpy(), cdf).pvalue > 1e-3
        assert len(np.unique(values)) > 19_900  # among 2^23 values, 20,000 draws collide about 24 times


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_uniform_draws_stay_below_one_and_normal_draws_stay_finite(execution: str) -> None:
    draws = compile_function(
        lambda seed: (uniform([10**6], seed, "float32"), standard_normal([10**6], seed, "float32")), execution
    )
    u, z = (values.numpy() for values in draws((0, 0)))
    assert 0 <= u.min() < 1e-5
    assert 1 - 1e-5 < u.max() < 1
    assert 4 < np.abs(z).max() < 6


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_neighbouring_seeds_and_counters_have_no_correlation(execution: str) -> None:
    draw = compile_function(lambda seed: standard_normal([50_000], seed, "float32"), execution)
    first, second, other = (draw(seed).numpy() for seed in ((5, 5), (5, 6), (6, 5)))
    for a, b in ((first, second), (first, other), (second, other), (first[1:], first[:-1])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(len(a))


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("count", [3, 4])
def test_each_example_has_a_seed_of_its_own(count: int, execution: str) -> None:
    seeds = tf.constant([[1, 2], [3, 4], [5, 6], [7, 8]])[:count]

    def draw() -> tuple:
        with from_each(seeds):
            together = standard_normal([4, count, 2], (0, 0), "float32")
        return together, *(standard_normal([4, 2], seeds[i], "float32") for i in range(count))

    together, *alone = compile_function(draw, execution)()
    for i, one in enumerate(alone):
        np.testing.assert_array_equal(together[:, i], one)


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_later_draws_fold_their_number_into_the_seeds(execution: str) -> None:
    seeds = tf.constant([[1, 2], [3, 4]])

    def draw() -> tuple[list, list]:
        with from_each(seeds):
            drawn = [standard_normal([4, 2, 3], (0, 0), "float32") for _ in range(3)]
        alone = [
            tf.stack([standard_normal([4, 3], fold(seeds[j], i) if i else seeds[j], "float32") for j in (0, 1)], axis=1)
            for i in range(3)
        ]
        return drawn, alone

    drawn, alone = compile_function(draw, execution)()
    for found, expected in zip(drawn, alone, strict=True):
        np.testing.assert_array_equal(found, expected)
    values = np.concatenate([np.ravel(one) for one in drawn])
    assert len(np.unique(values)) == len(values)


def test_draws_do_not_depend_on_the_other_examples_of_the_batch() -> None:
    seeds = tf.constant([[1, 2], [3, 4], [5, 6]])
    drawn = []
    for chosen in ([0, 1, 2], [2]):
        with from_each(tf.gather(seeds, chosen)):
            drawn.append([standard_normal([4, len(chosen)], (0, 0), "float32") for _ in range(3)])
    for together, alone in zip(*drawn, strict=True):
        np.testing.assert_array_equal(together[:, 2:], alone)


def test_each_block_starts_with_the_first_draw_and_leaves_nothing_behind() -> None:
    seeds = tf.constant([[1, 2]])
    drawn = []
    for _ in range(2):
        with from_each(seeds):
            drawn.append(standard_normal([4, 1, 2], (0, 0), "float32"))
    np.testing.assert_array_equal(*drawn)
    stock = tf.random.stateless_normal([4], (0, 3))
    np.testing.assert_array_equal(standard_normal([4], (0, 3), "float32"), stock)


def test_running_block_is_visible_only_within_the_block() -> None:
    seen = []
    for execution in EXECUTIONS:
        compile_function(lambda: seen.append(running()) or tf.zeros([]), execution)()
    assert seen == list(EXECUTIONS)
    assert running() == "eager"


@pytest.mark.slow
@pytest.mark.parametrize("execution", ["xla", "graph"])
@pytest.mark.parametrize("name", builders.REAL_POSTERIORS)
def test_drawing_for_all_examples_equals_drawing_for_one(name: str, execution: str) -> None:
    """Drawing all examples at once agrees with drawing one at a time, and the density is that of the draws."""
    posterior = builders.posterior(name, 3)
    params = tf.constant(np.random.default_rng(2).normal(size=(4, posterior.params_size)), tf.float32)
    seeds = tf.constant([[0, 1], [7, 7], [0, 2], [-5, 9]])
    fast, plain = (
        compile_function(lambda p, s, draw=draw: draw(posterior, p, 6, s), execution)(params, seeds)
        for draw in (type(posterior).draw_each, Posterior.draw_each)
    )
    for found, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(fast[1], posterior(params).log_prob(fast[0]), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_normals_draw_from_the_distribution_of_tfp(execution: str) -> None:
    """Mean and covariance of 50,000 draws, within 5 standard errors, and the KL to TFP's own is the closed form."""
    loc, lower = tf.constant([1.0, -2.0]), tf.constant([[0.5, 0.0], [0.3, 2.0]])
    operator = tf.linalg.LinearOperatorLowerTriangular(lower)
    makers = (
        (normals.MultivariateNormalDiag, lambda cls: cls(loc, tf.constant([0.5, 2.0]))),
        (normals.MultivariateNormalTriL, lambda cls: cls(loc, lower)),
        (normals.MultivariateNormalLinearOperator, lambda cls: cls(loc, operator)),
    )
    for ours, make in makers:
        stock = make(getattr(tfp.distributions, ours.__name__))
        draws = compile_function(lambda seed, make=make, ours=ours: make(ours).sample([50_000], seed=seed), execution)(
            (1, 1)
        )
        assert draws.shape == [50_000, 2]
        spread = stock.stddev().numpy() / np.sqrt(50_000)
        np.testing.assert_array_less(np.abs(draws.numpy().mean(0) - stock.mean().numpy()), 5 * spread)
        covariance = stock.covariance().numpy()
        errors = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / 50_000)
        np.testing.assert_array_less(np.abs(np.cov(draws.numpy().T) - covariance), 5 * errors)
        assert abs(float(make(ours).kl_divergence(stock))) < 1e-5
        np.testing.assert_allclose(make(ours).log_prob(draws[:5]), stock.log_prob(draws[:5]), rtol=1e-5)


def test_normals_draw_for_a_batch_of_unknown_size() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def draw(loc: tf.Tensor) -> tf.Tensor:
        return normals.MultivariateNormalDiag(loc, tf.ones_like(loc)).sample(2, seed=(0, 0))

    assert draw(tf.zeros([5, 3])).shape == [2, 5, 3]


@pytest.mark.parametrize("shape", [[], [7], [7, 2]])
def test_normals_draw_any_shape_of_any_batch(shape: list[int]) -> None:
    loc = tf.zeros([4, 3])
    draws = normals.MultivariateNormalDiag(loc, tf.ones([4, 3])).sample(shape, seed=(0, 0))
    assert draws.shape == [*shape, 4, 3]
    assert len(np.unique(draws)) == draws.shape.num_elements()


def test_normals_draw_the_same_with_their_density() -> None:
    q = normals.MultivariateNormalDiag(tf.ones([4, 3]), 2 * tf.ones([4, 3]))
    z, log_q = q.experimental_sample_and_log_prob(5, seed=(1, 2))
    np.testing.assert_array_equal(z, q.sample(5, seed=(1, 2)))
    np.testing.assert_allclose(log_q, q.log_prob(z), rtol=1e-5)


def test_second_estimate_uses_new_weights_without_compiling() -> None:
    from tfp_vae.evaluation.importance import Estimator, estimate

    vae, x = builders.model(), builders.data("bernoulli", 5)
    estimator = Estimator(vae, iw_samples=20, execution="graph")
    before = estimator(x, seed=(0, 0)).log_likelihood
    np.testing.assert_array_equal(
        before, estimate(vae, x, iw_samples=20, seed=(0, 0), execution="graph").log_likelihood
    )
    for variable in vae.trainable_variables:
        variable.assign(variable + 0.1)
    after = estimator(x, seed=(0, 0)).log_likelihood
    assert np.abs(after - before).min() > 1e-4
    np.testing.assert_array_equal(after, estimate(vae, x, iw_samples=20, seed=(0, 0), execution="graph").log_likelihood)


@pytest.mark.parametrize("execution", ["graph", "eager"])
def test_threefry_noise_is_that_of_xla_in_every_execution(execution: str) -> None:
    seeds = np.array([[0, 7], [3, 8]], np.int32)

    def draw() -> tf.Tensor:
        with threefry_noise(), from_each(seeds):
            return standard_normal([4, 2, 3], (0, 0), "float32")

    found = compile_function(draw, execution)()
    expected = np.moveaxis(ThreefryGenerator().normal([4, 3], seeds, tf.float32), 0, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with from_each(seeds):
        assert (standard_normal([4, 2, 3], (0, 0), "float32") != found).numpy().all()
