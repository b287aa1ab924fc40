"""Every density: it sums or integrates to one, agrees with an independent statement of it, and with its samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tests.helpers import builders
from tfp_vae.model.distributions.counts import Poisson
from tfp_vae.model.distributions.levels import RoundedLogistic
from tfp_vae.model.likelihoods import (
    LIKELIHOODS,
    SCALE_FLOOR,
    Categorical,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    NegativeBinomial,
    Normal,
)
from tfp_vae.model.likelihoods import Poisson as PoissonLikelihood
from tfp_vae.model.posteriors import POSTERIORS, HouseholderFlow
from tfp_vae.model.priors import PRIORS, StandardNormal
from tfp_vae.objectives import ELBO


def softplus(s: Any) -> np.ndarray:
    return np.log1p(np.exp(np.asarray(s, np.float64)))


# ---- Families over z: quadrature in one and two dimensions, Jacobians, samples.

DIMENSIONS = [(name, d) for name in (*POSTERIORS, *(f"prior {p}" for p in PRIORS)) for d in (1, 2)]
DIMENSIONS = [(name, d) for name, d in DIMENSIONS if not (name.endswith("real-nvp") and d == 1)]


def over_z(name: str, d: int) -> Any:
    """A distribution over z, away from where it starts, batch []."""
    draw = np.random.default_rng(d)
    if name.startswith("prior "):
        encoder = builders.model(latent_dim=d).encoder
        family = builders.prior(name.removeprefix("prior "), d, encoder)
        stir(family.learned, draw)
        return family()
    family = builders.posterior(name, d)
    stir(family.learned, draw)
    params = draw.normal(size=(1, family.params_size)).astype(np.float32)
    return family(tf.constant(params))


def stir(learned: Any, draw: np.random.Generator) -> None:
    holder = tf.Module()
    holder.learned = learned
    for variable in holder.trainable_variables:
        noise = 0.3 * draw.normal(size=variable.shape)
        variable.assign_add(noise.astype(np.float32))


def density(q: Any, z: np.ndarray) -> np.ndarray:
    """Densities at z [N, D], of a distribution of batch [] or [1]."""
    wide = z if q.batch_shape.rank == 0 else z[:, np.newaxis]
    return np.exp(np.ravel(q.log_prob(tf.constant(wide, tf.float32))).astype(np.float64))


def grid(q: Any, d: int) -> tuple[np.ndarray, float]:
    """A grid that holds all but a sliver of q, and the volume of its cell."""
    samples = q.sample(4_000, seed=(1, 1)).numpy().reshape(-1, d)
    low, high = samples.min(axis=0), samples.max(axis=0)
    margin = 0.6 * (high - low)
    axes = [np.linspace(a - m, b + m, {1: 20_001, 2: 701}[d]) for a, b, m in zip(low, high, margin, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    return points, float(np.prod([axis[1] - axis[0] for axis in axes]))


@pytest.mark.parametrize(("name", "d"), DIMENSIONS)
def test_families_over_z_integrate_to_one_and_agree_with_their_samples(name: str, d: int) -> None:
    q = over_z(name, d)
    points, cell = grid(q, d)
    mass = density(q, points) * cell
    assert mass.sum() == pytest.approx(1, abs=2e-3)

    samples = q.sample(20_000, seed=(2, 2)).numpy().reshape(-1, d)
    for statistic in (lambda z: z[:, 0], lambda z: np.cos(z).sum(axis=1), lambda z: z[:, -1] ** 2):
        drawn, expected = statistic(samples), np.sum(mass * statistic(points))
        assert abs(drawn.mean() - expected) < 4.5 * drawn.std() / np.sqrt(len(drawn)) + 3e-3 * (1 + abs(expected))


FLOWS = [name for name, family in POSTERIORS.items() if not family.capabilities.normal]


@pytest.mark.parametrize("name", FLOWS)
def test_flow_densities_agree_with_their_jacobians(name: str) -> None:
    d, family = 4, builders.posterior(name, 4)
    stir(family.learned, np.random.default_rng(0))
    q = family(tf.constant(np.random.default_rng(1).normal(size=(1, family.params_size)), tf.float32))
    start = q.distribution.sample(1, seed=(3, 3))
    with tf.GradientTape() as tape:
        tape.watch(start)
        z = q.bijector.forward(start)
    jacobian = tf.reshape(tape.jacobian(z, start), [d, d])
    expected = q.distribution.log_prob(start) - np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(q.log_prob(tf.constant(z.numpy())), expected, atol=2e-4)


@pytest.mark.parametrize("name", FLOWS)
def test_flow_samples_remember_their_density(name: str) -> None:
    q = builders.posterior(name, 3)(tf.zeros([2, builders.posterior(name, 3).params_size]))
    z = q.sample(5, seed=(4, 4))
    np.testing.assert_allclose(q.log_prob(z), q.log_prob(tf.constant(z.numpy())), atol=1e-4)


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_posterior_means_are_those_of_samples(name: str) -> None:
    family = builders.posterior(name, 3)
    params = tf.constant(np.random.default_rng(6).normal(size=(1, family.params_size)), tf.float32)
    samples = family(params).sample(40_000, seed=(5, 5)).numpy()[:, 0]
    allowed = 4.5 * samples.std(axis=0) / np.sqrt(64 if not family.capabilities.normal else 40_000)
    np.testing.assert_array_less(np.abs(family.mean(params, seed=(6, 6))[0] - samples.mean(axis=0)), allowed)


def test_full_covariance_is_what_its_triangle_says() -> None:
    params = np.random.default_rng(0).normal(size=(1, 9)).astype(np.float32)
    q = POSTERIORS["full-covariance-normal"](3)(tf.constant(params))
    z = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    by_scipy = stats.multivariate_normal(params[0, :3], q.covariance()[0]).logpdf(z)
    np.testing.assert_allclose(np.ravel(q.log_prob(z[:, np.newaxis])), by_scipy, rtol=1e-4)
    assert np.abs(q.covariance()[0].numpy()[~np.eye(3, dtype=bool)]).min() > 1e-3


def reflected(params: np.ndarray, d: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the covariance of z = H_K ... H_1 z_0, by hand."""
    loc, s, *vectors = params.astype(np.float64).reshape(-1, d)
    turn = np.eye(d)
    for v in vectors:  # the first is the first to be applied
        turn = (np.eye(d) - 2 * np.outer(v, v) / (v @ v)) @ turn
    return turn @ loc, turn @ np.diag((1e-4 + softplus(s)) ** 2) @ turn.T


@pytest.mark.parametrize("reflections", [1, 2, 5])
def test_householder_is_the_normal_that_its_reflections_make(reflections: int) -> None:
    family, d = HouseholderFlow(4, reflections=reflections), 4
    params = np.random.default_rng(reflections).normal(size=(3, family.params_size)).astype(np.float32)
    q, z = family(tf.constant(params)), np.random.default_rng(1).normal(size=(6, 3, d)).astype(np.float32)
    for i, row in enumerate(params):
        mean, covariance = reflected(row, d)
        np.testing.assert_allclose(q.mean()[i], mean, atol=1e-5)
        np.testing.assert_allclose(family.mean(params, seed=(0, 0))[i], mean, atol=1e-5)
        np.testing.assert_allclose(q.covariance()[i], covariance, atol=1e-5)
        np.testing.assert_allclose(q.stddev()[i], np.sqrt(np.diag(covariance)), atol=1e-5)
        by_scipy = stats.multivariate_normal(mean, covariance).logpdf(z[:, i])
        np.testing.assert_allclose(q.log_prob(z)[:, i], by_scipy, rtol=1e-4, atol=1e-4)


def test_householder_costs_the_rate_of_what_it_turns() -> None:
    family, prior = HouseholderFlow(3, reflections=4), StandardNormal(3)()
    params = np.random.default_rng(2).normal(size=(5, family.params_size)).astype(np.float32)
    loc, scale = params[:, :3].astype(np.float64), 1e-4 + softplus(params[:, 3:6])
    expected = np.sum((loc**2 + scale**2 - 1) / 2 - np.log(scale), axis=1)
    q = family(tf.constant(params))
    np.testing.assert_allclose(q.kl_divergence(prior), expected, rtol=1e-5)
    z = q.sample(20_000, seed=(3, 4))
    estimates = (q.log_prob(z) - prior.log_prob(z)).numpy()
    np.testing.assert_array_less(np.abs(estimates.mean(axis=0) - expected), 4.5 * estimates.std(axis=0) / 141)


@pytest.mark.parametrize("jit", [True, False])
def test_householder_trains_by_the_closed_form(jit: bool) -> None:
    vae, x = builders.model("householder-flow"), builders.data("bernoulli")

    @tf.function(jit_compile=jit)
    def slopes() -> list[Any]:
        with tf.GradientTape() as tape:
            loss = ELBO().loss(vae, x, seed=(0, 1))
        return tape.gradient(loss, vae.trainable_variables)

    for variable, slope in zip(vae.trainable_variables, slopes(), strict=True):
        assert np.isfinite(slope).all(), variable.name
        assert np.abs(slope).max() > 0, variable.name


def test_mixture_prior_is_the_sum_of_its_components() -> None:
    p = builders.prior("normal-mixture", 2)
    stir(p.learned, np.random.default_rng(0))
    logits, locs, s = (v.numpy().astype(np.float64) for v in p.learned)
    z = np.random.default_rng(1).normal(size=(6, 2))
    parts = [
        w * np.prod(stats.norm(loc, 1e-3 + softplus(raw)).pdf(z), axis=1)
        for w, loc, raw in zip(special.softmax(logits), locs, s, strict=True)
    ]
    np.testing.assert_allclose(density(p(), z), np.sum(parts, axis=0), rtol=1e-4)


@pytest.mark.parametrize("posterior", list(POSTERIORS))
def test_vamp_prior_is_the_mean_of_posteriors_at_its_inputs(posterior: str) -> None:
    vae = builders.model(posterior, "vamp")
    z = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    (inputs,) = vae.prior.learned
    each = [np.exp(vae.encoder(inputs[i : i + 1]).log_prob(z)) for i in range(3)]
    np.testing.assert_allclose(np.exp(vae.prior().log_prob(z)), np.mean(each, axis=0), rtol=1e-3)


# ---- Likelihoods: numpy and scipy restate each.


def _levels(x: np.ndarray, levels: int = 5) -> np.ndarray:
    return np.round(x * (levels - 1))


def _rounded_logistic(k: np.ndarray, loc: np.ndarray, s: np.ndarray, levels: int = 5) -> np.ndarray:
    base = stats.logistic(loc * (levels - 1), (SCALE_FLOOR + softplus(s)) * (levels - 1))
    upper = np.where(k == levels - 1, 1.0, base.cdf(k + 0.5))
    lower = np.where(k == 0, 0.0, base.cdf(k - 0.5))
    return upper - lower


def _continuous_bernoulli(x: np.ndarray, logit: np.ndarray) -> np.ndarray:
    probability = special.expit(logit)
    with np.errstate(all="ignore"):
        constant = np.where(np.abs(logit) < 1e-3, 2.0, 2 * np.arctanh(1 - 2 * probability) / (1 - 2 * probability))
    return np.log(constant) + x * special.log_expit(logit) + (1 - x) * special.log_expit(-logit)


def _mixture(x: np.ndarray, params: np.ndarray) -> np.ndarray:
    logits, loc, s = np.split(params, 3, axis=-1)
    each = _rounded_logistic(_levels(x)[..., np.newaxis], loc, s)
    return np.log(np.sum(special.softmax(logits, axis=-1) * each, axis=-1))


def _negative_binomial(x: np.ndarray, params: np.ndarray) -> np.ndarray:
    return stats.nbinom(1e-6 + softplus(params[..., 0]), special.expit(-params[..., 1])).logpmf(x)


RESTATED: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "bernoulli": lambda x, p: np.where(x == 1, special.log_expit(p[..., 0]), special.log_expit(-p[..., 0])),
    "continuous-bernoulli": lambda x, p: _continuous_bernoulli(x, p[..., 0]),
    "normal": lambda x, p: stats.norm(p[..., 0], SCALE_FLOOR + 0.3).logpdf(x),
    "laplace": lambda x, p: stats.laplace(p[..., 0], SCALE_FLOOR + softplus(p[..., 1])).logpdf(x),
    "beta": lambda x, p: stats.beta(*(SCALE_FLOOR + softplus(p[..., i]) for i in (0, 1))).logpdf(x),
    "categorical": lambda x, p: np.take_along_axis(
        special.log_softmax(p, axis=-1), _levels(x)[..., np.newaxis].astype(int), axis=-1
    )[..., 0],
    "discretized-logistic": lambda x, p: np.log(_rounded_logistic(_levels(x), p[..., 0], p[..., 1])),
    "discretized-logistic-mixture": _mixture,
    "poisson": lambda x, p: stats.poisson(1e-6 + softplus(p[..., 0])).logpmf(x),
    "negative-binomial": _negative_binomial,
}


def test_every_likelihood_is_restated() -> None:
    assert RESTATED.keys() == LIKELIHOODS.keys()


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_likelihood_agrees_with_its_restatement(name: str) -> None:
    shape = (4, 3, 1)
    family, x = builders.likelihood(name, shape), builders.data(name, 50, shape)
    params = 0.5 * np.random.default_rng(8).normal(size=(50, family.params_size)).astype(np.float32)
    by_element = RESTATED[name](x.astype(np.float64), params.astype(np.float64).reshape(50, *shape, -1))
    np.testing.assert_allclose(family(tf.constant(params)).log_prob(x), by_element.sum(axis=(1, 2, 3)), rtol=2e-4)


@pytest.mark.parametrize("name", [name for name, family in LIKELIHOODS.items() if family.discrete])
def test_discrete_likelihoods_sum_to_one(name: str) -> None:
    family = builders.likelihood(name, (1,))
    params = np.random.default_rng(9).normal(size=(20, family.params_size)).astype(np.float32)
    values = {"bernoulli": [0, 1], "poisson": np.arange(60), "negative-binomial": np.arange(4_000)}
    support = np.asarray(values.get(name, np.linspace(0, 1, 5)), np.float32)[:, np.newaxis, np.newaxis]
    total = np.exp(family(tf.constant(params)).log_prob(support)).sum(axis=0)
    np.testing.assert_allclose(total, 1, atol=2e-3 if name == "negative-binomial" else 1e-5)


@pytest.mark.parametrize("name", [name for name, family in LIKELIHOODS.items() if not family.discrete])
def test_continuous_likelihoods_integrate_to_one(name: str) -> None:
    family = builders.likelihood(name, (1,))
    params = np.random.default_rng(9).normal(size=(20, family.params_size)).astype(np.float32)
    params += 2 * (name == "beta")  # below a concentration of 1 its density has poles
    low, high = {"normal": (-30, 30), "laplace": (-60, 60)}.get(name, (0, 1))
    edges = np.linspace(low, high, 400_001)
    middle = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    for row in params:
        mass = np.exp(family(tf.constant(row)).log_prob(middle[:, np.newaxis])).astype(np.float64)
        assert mass.sum() * (edges[1] - edges[0]) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_likelihood_samples_agree_with_means(name: str) -> None:
    family = builders.likelihood(name, (3,))
    params = 0.7 * np.random.default_rng(10).normal(size=family.params_size).astype(np.float32) + 2 * (name == "beta")
    p = family(tf.constant(params))
    x = p.sample(30_000, seed=(7, 7)).numpy()
    error = x.std(axis=0) / np.sqrt(len(x))
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean()), 4.5 * error + 1e-4)
    assert family.support.contains(x).all()


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_likelihoods_start_near_the_data_mean(name: str) -> None:
    family = builders.likelihood(name, (4,))
    mean = np.array([0.2, 0.4, 0.5, 0.8])
    found = family(tf.constant(family.initial_params(mean))).mean()
    np.testing.assert_allclose(found, mean, atol={"continuous-bernoulli": 0.2, "categorical": 0.15}.get(name, 0.1))
    assert (np.diff(found) > 0).all()


@pytest.mark.parametrize("x", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("loc", [-3.0, 0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("s", [-9.0, 0.0, 6.0])
def test_discretized_logistic_is_right_at_its_edges_and_far_away(x: float, loc: float, s: float) -> None:
    found = DiscretizedLogistic((1,), levels=5)(tf.constant([loc, s])).log_prob([x]).numpy()
    base = stats.logistic(np.float64(loc) * 4, (SCALE_FLOOR + softplus(s)) * 4)
    low, high = (-np.inf if x == 0 else 4 * x - 0.5), (np.inf if x == 1 else 4 * x + 0.5)
    # of the two ways to write the mass between low and high, the one in the smaller tail does not cancel
    log_a, log_b = max(
        [(base.logcdf(low), base.logcdf(high)), (base.logsf(high), base.logsf(low))], key=lambda p: -p[1]
    )
    expected = log_b + np.log(-np.expm1(log_a - log_b))
    assert np.isfinite(found)
    assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)


LEVEL_SCALES = [0.05, 1.0, 5.0, 20.0, 100.0, 1e4, 1e7]


def log_mass(k: np.ndarray, loc: float, scale: float, count: int) -> np.ndarray:
    """log P(k) of a rounded logistic in float64, in the tail in which it does not cancel."""
    low, high = (np.where(k == 0, -np.inf, k - 0.5) - loc) / scale, (np.where(k == count - 1, np.inf, k + 0.5) - loc)
    high = high / scale
    upper = low > 0
    a, b = np.where(upper, -high, low), np.where(upper, -low, high)
    log_a, log_b = special.log_expit(a), special.log_expit(b)
    return np.asarray(log_b + np.log(-np.expm1(log_a - log_b)))


@pytest.mark.parametrize("scale", LEVEL_SCALES)
def test_fine_levels_keep_their_mass_in_float32(scale: float) -> None:
    count, loc = 65_536, 32_767.25
    k = np.unique(np.clip(np.round(loc + scale * np.array([-30, -8, -3, -1, 0, 0.5, 2, 5, 20])), 0, count - 1))
    k = np.union1d(k, [0, 1, count - 2, count - 1])
    found = RoundedLogistic(tf.constant(np.float32(loc)), tf.constant(np.float32(scale)), count).log_prob(np.float32(k))
    np.testing.assert_allclose(found, log_mass(k, loc, np.float64(np.float32(scale)), count), rtol=1e-5, atol=1e-4)


def test_fine_levels_sum_to_one() -> None:
    k = np.arange(65_536, dtype=np.float32)
    masses = np.exp(RoundedLogistic(tf.constant(20_000.0), tf.constant(300.0), 65_536).log_prob(k), dtype=np.float64)
    assert masses.sum() == pytest.approx(1, abs=1e-5)


def test_slopes_of_fine_levels_are_finite() -> None:
    params = tf.Variable([[32_767.25] * 7, LEVEL_SCALES])
    with tf.GradientTape() as tape:
        k = np.float32([[0], [1], [32_767], [65_535]])
        value = tf.reduce_sum(RoundedLogistic(params[0], params[1], 65_536).log_prob(k))
    assert np.isfinite(tape.gradient(value, params)).all()


@pytest.mark.parametrize("components", [1, 2, 5])
def test_a_mixture_of_levels_starts_at_the_mean_of_the_data(components: int) -> None:
    family = DiscretizedLogisticMixture((1,), components=components, levels=256)
    _, locs, _ = np.split(family.initial_params([0.45]), 3)
    assert locs.mean() == pytest.approx(0.45, abs=1e-6)
    np.testing.assert_allclose(np.ptp(locs), 0.0 if components == 1 else 0.6, atol=1e-6)


@pytest.mark.parametrize("mean", [1e-2, 1.0, 30.0, 800.0, 1e3, 1e6])
@pytest.mark.parametrize("family", [PoissonLikelihood, NegativeBinomial])
def test_counts_start_at_the_data_mean_whatever_its_size(family: Any, mean: float) -> None:
    start = family((1,)).initial_params([mean])
    assert np.isfinite(start).all()
    assert float(family((1,))(tf.constant(start)).mean()[0]) == pytest.approx(mean, rel=2e-4)


RATES = [0.01, 1.0, 15.0, 17.0, 300.0, 1e4, 1e5, 1e6, 1e7]


def counts_near(rate: float) -> np.ndarray:
    """Counts about a rate, from the likely to the absurd; float32 has all of them."""
    deviations = np.array([-200, -30, -5, -1, -0.1, 0, 0.3, 1, 4, 40, 300])
    return np.unique(np.maximum(0, np.round(rate + np.sqrt(rate) * deviations))).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-9)])
def test_poisson_keeps_its_digits_at_large_counts(rate: float, dtype: str, tolerance: float) -> None:
    x, rate = counts_near(rate), np.dtype(dtype).type(rate)
    found = Poisson(tf.constant(rate, dtype)).log_prob(tf.constant(x, dtype))
    expected = stats.poisson(np.float64(rate)).logpmf(x.astype(np.float64))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=100 * tolerance)


@pytest.mark.parametrize("rate", RATES)
def test_slope_of_poisson_is_the_share_by_which_a_count_exceeds_the_rate(rate: float) -> None:
    x, held = counts_near(rate), tf.constant(np.float32(rate))
    with tf.GradientTape() as tape:
        tape.watch(held)
        value = Poisson(held).log_prob(x)
    expected = (x.astype(np.float64) - np.float64(np.float32(rate))) / np.float64(np.float32(rate))
    np.testing.assert_allclose(tape.jacobian(value, held), expected, rtol=1e-5, atol=1e-6)


def test_poisson_is_the_stock_one_but_for_its_density() -> None:
    rate = np.float32([0.5, 7.0, 2e4])
    p = Poisson(tf.constant(rate))
    for statistic in (p.mean(), p.variance()):
        np.testing.assert_array_equal(statistic, rate)
    np.testing.assert_array_equal(p.mode(), np.floor(rate))
    assert p.batch_shape == (3,)
    assert p.event_shape == ()
    x = p.sample(4_000, seed=(1, 2)).numpy()
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - rate), 4.5 * np.sqrt(rate / len(x)))


@pytest.mark.parametrize("logit", [-60.0, -15.0, -1e-2, -1e-4, 0.0, 1e-4, 1e-2, 0.3, 15.0, 60.0])
@pytest.mark.parametrize("x", [0.0, 0.3, 1.0])
def test_continuous_bernoulli_near_one_half_and_at_large_logits(logit: float, x: float) -> None:
    found = LIKELIHOODS["continuous-bernoulli"]((1,))(tf.constant([logit])).log_prob([x]).numpy()
    # p(x) = logit exp(logit x) / (exp(logit) - 1), in a form that is stable at both ends
    exact = (
        0.0
        if logit == 0
        else np.log(logit / np.expm1(logit)) + logit * x
        if logit < 30
        else (np.log(logit) + logit * (x - 1))
    )
    assert found == pytest.approx(exact, rel=1e-3, abs=1e-3)


def test_normal_scales() -> None:
    params, x = np.float32([[0.1, 0.5], [0.2, -0.3]]), np.float32([[0.3], [0.4]])
    fixed = Normal((1,), scale=0.5)(params[:, :1]).log_prob(x)
    np.testing.assert_allclose(fixed, stats.norm(params[:, 0], 0.5).logpdf(x[:, 0]), rtol=1e-5)
    each = Normal((1,), scale="per-element")(params).log_prob(x)
    scale = SCALE_FLOOR + softplus(params[:, 1])
    np.testing.assert_allclose(each, stats.norm(params[:, 0], scale).logpdf(x[:, 0]), rtol=1e-5)
    assert len(Normal((1,)).learned) == 1
    assert Normal((1,), scale=0.5).learned == Normal((1,), scale="per-element").learned == ()


def test_levels_are_counted_in_the_data_unless_given() -> None:
    x = np.float32([[0.0, 1 / 16, 1.0]])
    assert Categorical.settings_from({"levels": None}, x) == {"levels": 17}
    assert Categorical.settings_from({"levels": 33}, x) == {"levels": 33}


# ---- Where likelihoods have no upper bound.

NARROW = {
    "continuous-bernoulli": (1.0, (3e3,)),
    "normal:scale=per-element": (0.4, (0.4, -30.0)),
    "laplace": (0.4, (0.4, -30.0)),
    "beta": (0.4, (4e6, 6e6)),
}
"""Where a density can stand, and the params of one that does."""


@pytest.mark.parametrize("name", NARROW)
def test_where_a_density_is_said_to_have_no_bound_it_has_none(name: str) -> None:
    place, params = NARROW[name]
    likelihood = LIKELIHOODS.build(LIKELIHOODS.member(name), (1,))
    assert likelihood.unbounded_at.contains(np.array([place])).all()
    assert likelihood(np.float32([params])).log_prob([[place]])[0] > 5


@pytest.mark.parametrize("name", [*sorted({*LIKELIHOODS} - {"normal", "laplace", "beta"}), "normal:scale=1"])
def test_where_none_is_said_to_be_unbounded_there_is_a_bound(name: str, rng: np.random.Generator) -> None:
    likelihood = LIKELIHOODS.build(LIKELIHOODS.member(builders.SMALL.get(name, name)), (1,))
    at = likelihood.unbounded_at
    x = np.float32([value for value in (0, 0.25, 0.5, 1, 2) if likelihood.support.contains(np.array(value))])
    x = x if at is None else x[~at.contains(x)]
    params = np.float32(30 * rng.normal(size=(2_000, likelihood.params_size)))
    assert len(x)
    most = 1e-4 if likelihood.discrete else 0.5
    assert np.max(likelihood(params).log_prob(x[:, None, None])) <= most
