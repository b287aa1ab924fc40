"""Every likelihood of the table: densities, samples, gradients, start values and supports."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tests.helpers import builders
from tests.helpers.densities import softplus
from tfp_vae.core.errors import UsageError
from tfp_vae.model.likelihoods import ELEMENTWISE, LIKELIHOODS, SCALE_FLOOR

WIDE_COUNTS = ("negative-binomial", "inflated-negative-binomial")

DISCRETE = [name for name in ELEMENTWISE if LIKELIHOODS[name].discrete]
CONTINUOUS = [name for name in ELEMENTWISE if not LIKELIHOODS[name].discrete]


def level(x: np.ndarray, count: int = 5) -> np.ndarray:
    return np.round(x * (count - 1))


def rounded_logistic(k: np.ndarray, loc: np.ndarray, s: np.ndarray, count: int = 5) -> np.ndarray:
    base = stats.logistic(loc * (count - 1), (SCALE_FLOOR + softplus(s)) * (count - 1))
    upper = np.where(k == count - 1, 1.0, base.cdf(k + 0.5))
    lower = np.where(k == 0, 0.0, base.cdf(k - 0.5))
    return upper - lower


def continuous_bernoulli(x: np.ndarray, logit: np.ndarray) -> np.ndarray:
    probability = special.expit(logit)
    with np.errstate(all="ignore"):
        constant = np.where(np.abs(logit) < 1e-3, 2.0, 2 * np.arctanh(1 - 2 * probability) / (1 - 2 * probability))
    return np.log(constant) + x * special.log_expit(logit) + (1 - x) * special.log_expit(-logit)


def logistic_mixture(x: np.ndarray, params: np.ndarray) -> np.ndarray:
    logits, loc, s = np.split(params, 3, axis=-1)
    each = rounded_logistic(level(x)[..., np.newaxis], loc, s)
    return np.log(np.sum(special.softmax(logits, axis=-1) * each, axis=-1))


def categorical(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    index = level(x)[..., np.newaxis].astype(int)
    return np.take_along_axis(special.log_softmax(logits, axis=-1), index, axis=-1)[..., 0]


def ordinal(x: np.ndarray, params: np.ndarray) -> np.ndarray:
    steps = np.concatenate([params[..., :1], 1e-6 + softplus(params[..., 1:])], axis=-1)
    below = special.expit(np.cumsum(steps, axis=-1))
    edges = np.concatenate([np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])], axis=-1)
    index = level(x)[..., np.newaxis].astype(int)
    return np.log(np.take_along_axis(np.diff(edges, axis=-1), index, axis=-1)[..., 0])


def negative_binomial(x: np.ndarray, params: np.ndarray) -> np.ndarray:
    return stats.nbinom(1e-6 + softplus(params[..., 0]), special.expit(-params[..., 1])).logpmf(x)


def inflated(x: np.ndarray, params: np.ndarray, at: tuple[int, ...] = (0, 4)) -> np.ndarray:
    weights = special.softmax(np.concatenate([np.zeros_like(params[..., :1]), params[..., 2:]], axis=-1), axis=-1)
    single = sum(weights[..., 1 + k] * (x == value) for k, value in enumerate(at))
    return np.log(weights[..., 0] * np.exp(negative_binomial(x, params)) + single)


ORACLES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "bernoulli": lambda x, p: np.where(x == 1, special.log_expit(p[..., 0]), special.log_expit(-p[..., 0])),
    "continuous-bernoulli": lambda x, p: continuous_bernoulli(x, p[..., 0]),
    "normal": lambda x, p: stats.norm(p[..., 0], SCALE_FLOOR + 0.3).logpdf(x),
    "laplace": lambda x, p: stats.laplace(p[..., 0], SCALE_FLOOR + softplus(p[..., 1])).logpdf(x),
    "beta": lambda x, p: stats.beta(*(SCALE_FLOOR + softplus(p[..., i]) for i in (0, 1))).logpdf(x),
    "categorical": categorical,
    "discretized-logistic": lambda x, p: np.log(rounded_logistic(level(x), p[..., 0], p[..., 1])),
    "discretized-logistic-mixture": logistic_mixture,
    "student-t": lambda x, p: stats.t(5, p[..., 0], SCALE_FLOOR + softplus(p[..., 1])).logpdf(x),
    "log-normal": lambda x, p: stats.lognorm(SCALE_FLOOR + softplus(p[..., 1]), scale=np.exp(p[..., 0])).logpdf(x),
    "ordinal": ordinal,
    "poisson": lambda x, p: stats.poisson(1e-6 + softplus(p[..., 0])).logpmf(x),
    "negative-binomial": negative_binomial,
    "inflated-negative-binomial": inflated,
}
"""log p(x_i|z) in float64, from x [...] and params [..., P]."""


def test_every_likelihood_has_an_oracle() -> None:
    assert ORACLES.keys() == {*ELEMENTWISE}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_density_agrees_with_scipy(name: str) -> None:
    shape = (4, 3, 1)
    family, x = builders.likelihood(name, shape), builders.data(name, 50, shape)
    params = 0.5 * np.random.default_rng(8).normal(size=(50, family.params_size)).astype(np.float32)
    by_element = ORACLES[name](x.astype(np.float64), params.astype(np.float64).reshape(50, *shape, -1))
    np.testing.assert_allclose(family(tf.constant(params)).log_prob(x), by_element.sum(axis=(1, 2, 3)), rtol=2e-4)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_likelihoods_sum_to_one(name: str) -> None:
    family = builders.likelihood(name, (1,))
    params = np.random.default_rng(9).normal(size=(20, family.params_size)).astype(np.float32)
    values = {"bernoulli": [0, 1], "poisson": np.arange(60), **dict.fromkeys(WIDE_COUNTS, np.arange(4_000))}
    support = np.asarray(values.get(name, np.linspace(0, 1, 5)), np.float32)[:, np.newaxis, np.newaxis]
    total = np.exp(family(tf.constant(params)).log_prob(support)).sum(axis=0)
    np.testing.assert_allclose(total, 1, atol=2e-3 if name in WIDE_COUNTS else 1e-5)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_likelihoods_integrate_to_one(name: str) -> None:
    family = builders.likelihood(name, (1,))
    params = np.random.default_rng(9).normal(size=(6, family.params_size)).astype(np.float32)
    params += 2 * (name == "beta")  # its density has poles if a concentration is below 1
    low, high = {"normal": (-30, 30), "laplace": (-60, 60), "student-t": (-90, 90), "log-normal": (0, 400)}.get(
        name, (0, 1)
    )
    edges = np.linspace(low, high, 400_001)
    middle = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    for row in params:
        mass = np.exp(family(tf.constant(row)).log_prob(middle[:, np.newaxis])).astype(np.float64)
        assert mass.sum() * (edges[1] - edges[0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_samples_have_the_mean_and_lie_on_the_support(name: str) -> None:
    family = builders.likelihood(name, (3,))
    params = 0.7 * np.random.default_rng(10).normal(size=family.params_size).astype(np.float32) + 2 * (name == "beta")
    p = family(tf.constant(params))
    x = p.sample(30_000, seed=(7, 7)).numpy()
    error = x.std(axis=0) / np.sqrt(len(x))
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean()), 4.5 * error + 1e-4)
    assert family.support.contains(x).all()


@pytest.mark.parametrize("name", ["bernoulli", *CONTINUOUS, "poisson", *WIDE_COUNTS])
def test_samples_have_the_variance(name: str) -> None:
    family = builders.likelihood(name, (3,))
    params = 0.7 * np.random.default_rng(11).normal(size=family.params_size).astype(np.float32)
    p = family(tf.constant(params))
    x = p.sample(30_000, seed=(8, 8)).numpy().astype(np.float64)
    squares = (x - x.mean(axis=0)) ** 2
    error = squares.std(axis=0) / np.sqrt(len(x))
    np.testing.assert_array_less(np.abs(squares.mean(axis=0) - p.variance()), 4.5 * error + 1e-5)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_log_prob_of_samples_averages_to_minus_the_entropy_of_the_oracle(name: str) -> None:
    family = builders.likelihood(name, (2,))
    params = 0.5 * np.random.default_rng(12).normal(size=family.params_size).astype(np.float32)
    x = family(tf.constant(params)).sample(5_000, seed=(9, 9)).numpy()
    if name == "beta":
        x = np.clip(x, 1e-6, 1 - 1e-6)
    found = family(tf.constant(params)).log_prob(x).numpy().astype(np.float64)
    wide = np.broadcast_to(params.astype(np.float64).reshape(2, -1), (5_000, 2, family.per_element))
    expected = ORACLES[name](x.astype(np.float64), wide).sum(axis=-1)
    np.testing.assert_allclose(found.mean(), expected.mean(), rtol=1e-3)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("size", [1.0, 30.0, 80.0])
def test_gradients_are_finite_at_extreme_params(name: str, size: float) -> None:
    family, x = builders.likelihood(name, (6,)), builders.data(name, 40, (6,))
    signs = np.random.default_rng(13).choice([-1.0, 0.0, 1.0], size=(40, family.params_size))
    params = tf.constant(size * signs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(params)
        value = family(params).log_prob(x)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, params)).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_gradient_agrees_with_finite_differences(name: str) -> None:
    family, x = builders.likelihood(name, (2,)), builders.data(name, 1, (2,))[0].astype(np.float64)
    params = 0.5 * np.random.default_rng(14).normal(size=family.params_size)
    variable = tf.constant(params, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = family(variable).log_prob(x.astype(np.float32))
    found, step = tape.gradient(value, variable).numpy(), 1e-5
    for i, slope in enumerate(found):
        ends = [params + sign * step * (np.arange(len(params)) == i) for sign in (1, -1)]
        high, low = (ORACLES[name](x, end.reshape(2, -1)).sum() for end in ends)
        assert slope == pytest.approx((high - low) / (2 * step), rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_rows_do_not_depend_on_each_other(name: str) -> None:
    family, x = builders.likelihood(name, (3,)), builders.data(name, 6, (3,)).reshape(2, 3, 3)
    params = tf.constant(np.random.default_rng(15).normal(size=(2, 3, family.params_size)), tf.float32)
    p = family(params)
    assert (p.batch_shape, p.event_shape) == ((2, 3), (3,))
    each = [[family(params[i, j]).log_prob(x[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(p.log_prob(x), each, rtol=1e-5)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_params_size_is_the_number_per_element_times_the_elements(name: str) -> None:
    family = builders.likelihood(name, (4, 3, 2))
    assert family.params_size == 24 * family.per_element
    start = family.initial_params(np.full((4, 3, 2), 0.5))
    assert (start.shape, start.dtype) == ((family.params_size,), np.float32)
    assert family(tf.constant(start)).event_shape == (4, 3, 2)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_initial_params_give_about_the_mean_of_the_data(name: str) -> None:
    family = builders.likelihood(name, (4,))
    mean = np.array([0.2, 0.4, 0.5, 0.8])
    found = family(tf.constant(family.initial_params(mean))).mean()
    np.testing.assert_allclose(found, mean, atol={"continuous-bernoulli": 0.2, "categorical": 0.15}.get(name, 0.1))
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_initial_params_are_finite_for_constant_elements(name: str) -> None:
    family = builders.likelihood(name, (2,))
    start = family.initial_params([0.0, 1.0])
    assert np.isfinite(start).all()
    assert np.isfinite(family(tf.constant(start)).log_prob(builders.data(name, 1, (2,))[0]))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_accepts_every_seed_of_tfp(name: str) -> None:
    family = builders.likelihood(name, (3,))
    p = family(tf.constant(family.initial_params([0.3, 0.5, 0.6])))
    for seed in (None, 1, tfp.util.SeedStream(3, "salt"), [0, 1], tf.constant([0, 1])):
        assert family.support.contains(p.sample(3, seed=seed).numpy()).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_works_in_float64(name: str) -> None:
    single, double = (builders.likelihood(name, (3,), dtype) for dtype in ("float32", "float64"))
    params = np.random.default_rng(16).normal(size=(4, single.params_size))
    p, x = double(tf.constant(params)), builders.data(name, 4, (3,))
    found = p.log_prob(x.astype(np.float64))
    assert p.dtype == found.dtype == p.mean().dtype == p.sample(seed=(0, 1)).dtype == tf.float64
    np.testing.assert_allclose(found, single(tf.constant(params, tf.float32)).log_prob(x), rtol=1e-4)
    oracle = ORACLES[name](x.astype(np.float64), params.reshape(4, 3, -1)).sum(axis=-1)
    np.testing.assert_allclose(found, oracle, rtol=1e-6)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "normal:scale=per-element", "discretized-logistic:levels=65536"])
def test_float32_agrees_with_float64_over_extreme_params(name: str) -> None:
    family = LIKELIHOODS.build(LIKELIHOODS.member(builders.SMALL.get(name, name)), (1,))
    large = [100, 1e4, 1e6] if name in ("poisson", "beta", *WIDE_COUNTS) else []
    values = np.float32([-60, -20, -5, -1, -1e-2, -1e-4, 0, 1e-3, 0.05, 0.3, 1, 5, 20, 60, *large])
    params = np.random.default_rng(17).choice(values, size=(300, family.params_size))
    candidates = np.float32([-30, 0, 1e-6, 0.25, 0.5, 0.99, 1, 5, 100, 1e4, 1e6])
    x = candidates[family.support.contains(candidates.astype(np.float64))][:, np.newaxis, np.newaxis]
    found, expected = (
        family(tf.constant(params, dtype)).log_prob(x.astype(dtype)).numpy() for dtype in ("float32", "float64")
    )
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-4 if name in WIDE_COUNTS else 1e-5)


INSIDE = {
    "bernoulli": [0, 1],
    "continuous-bernoulli": [0, 0.3, 1],
    "normal": [-5, 0.3, 1e6],
    "laplace": [-5, 0.3, 1e6],
    "student-t": [-5, 0.3, 1e6],
    "log-normal": [1e-6, 0.3, 1e6],
    "beta": [1e-6, 0.3],
    "categorical": [0, 0.25, 1],
    "ordinal": [0, 0.25, 1],
    "discretized-logistic": [0, 0.25, 1],
    "discretized-logistic-mixture": [0, 0.25, 1],
    "poisson": [0, 1, 1e6],
    "negative-binomial": [0, 1, 1e6],
    "inflated-negative-binomial": [0, 1, 1e6],
}
"""Values of each support."""

OUTSIDE = {
    "bernoulli": [0.3, 2, -1],
    "continuous-bernoulli": [-0.01, 1.01],
    "normal": [np.inf],
    "laplace": [-np.inf],
    "student-t": [np.inf],
    "log-normal": [0, -1, np.inf],
    "beta": [0, 1, -0.1],
    "categorical": [0.3, 1.25, -0.25],
    "ordinal": [0.3, 1.25, -0.25],
    "discretized-logistic": [0.3, 1.25, -0.25],
    "discretized-logistic-mixture": [0.3, 1.25, -0.25],
    "poisson": [0.5, -1, np.inf],
    "negative-binomial": [0.5, -1, np.inf],
    "inflated-negative-binomial": [0.5, -1, np.inf],
}
"""Values that each support excludes."""


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_support_contains_exactly_the_values_with_a_density(name: str) -> None:
    support = builders.likelihood(name, (1,)).support
    assert support.contains(np.array(INSIDE[name], float)).all()
    assert not support.contains(np.array([*OUTSIDE[name], np.nan], float)).any()


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(0,), (-3,), (2, 0), (1.5,)])
def test_event_shape_must_be_positive_integers(name: str, shape: tuple[float, ...]) -> None:
    with pytest.raises(UsageError):
        LIKELIHOODS[name](shape)


NARROW = {
    "continuous-bernoulli": (1.0, (3e3,)),
    "normal:scale=per-element": (0.4, (0.4, -30.0)),
    "laplace": (0.4, (0.4, -30.0)),
    "student-t": (0.4, (0.4, -30.0)),
    "log-normal": (0.4, (np.log(0.4), -30.0)),
    "beta": (0.4, (4e6, 6e6)),
}
"""A value where each density is unbounded, and params that make it high there."""


@pytest.mark.parametrize("name", NARROW)
def test_unbounded_densities_have_high_values(name: str) -> None:
    place, params = NARROW[name]
    likelihood = LIKELIHOODS.build(LIKELIHOODS.member(name), (1,))
    assert likelihood.unbounded_at.contains(np.array([place])).all()
    assert likelihood(np.float32([params])).log_prob([[place]])[0] > 5


@pytest.mark.parametrize(
    "name", [*sorted({*ELEMENTWISE} - {"normal", "laplace", "student-t", "log-normal", "beta"}), "normal:scale=1"]
)
def test_other_densities_have_an_upper_bound(name: str, rng: np.random.Generator) -> None:
    likelihood = LIKELIHOODS.build(LIKELIHOODS.member(builders.SMALL.get(name, name)), (1,))
    at = likelihood.unbounded_at
    x = np.float32([value for value in (0, 0.25, 0.5, 1, 2) if likelihood.support.contains(np.array(value))])
    x = x if at is None else x[~at.contains(x)]
    params = np.float32(30 * rng.normal(size=(2_000, likelihood.params_size)))
    assert len(x)
    most = 1e-4 if likelihood.discrete else 0.5
    assert np.max(likelihood(params).log_prob(x[:, None, None])) <= most
