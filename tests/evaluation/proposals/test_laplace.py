"""Laplace proposals against exact posteriors, quadrature, and models whose posterior has two modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.helpers import builders
from tests.helpers.estimates import THOUSAND, check_against_prior, check_same
from tests.helpers.oracles import (
    CorrelatedGaussian,
    CurvedBernoulli,
    FixedNormal,
    LinearGaussian,
    TwoModes,
    without_second_derivatives,
)
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.importance import Estimates, estimate
from tfp_vae.evaluation.proposals import Laplace
from tfp_vae.evaluation.proposals.base import Joint, Proposal
from tfp_vae.evaluation.proposals.laplace import MOST_DIMENSIONS, factor, highest_points, update
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal

POOR = {"shift": 0.6, "widen": 2.0}


def fitted(vae: VAE, x: np.ndarray, laplace: Laplace, chunk: int = 100) -> Proposal:
    return laplace.fit(Joint(vae, x, chunk), vae.encoder.params(x), tf.constant((0, 2)), tf.range(len(x)))


@pytest.mark.parametrize("widen", [2.0, pytest.param(0.01, marks=pytest.mark.slow)])
def test_finds_the_exact_mean_and_precision_of_a_linear_model(widen: float) -> None:
    model = CorrelatedGaussian()
    x = model.data(4)
    modes, lower, spread, log_shares = fitted(model.vae(0.6, widen), x, Laplace(starts=2))
    exact = np.linalg.solve(model.precision, model.weights.T @ x.T / model.scale**2).T
    precision = np.asarray(lower @ tf.linalg.matrix_transpose(lower))
    np.testing.assert_allclose(modes, np.stack([exact, exact], axis=1), atol=0.05)  # 0.001 nats below the top
    np.testing.assert_allclose(precision, np.broadcast_to(model.precision, precision.shape), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        tf.linalg.matrix_transpose(lower) @ spread, np.broadcast_to(np.eye(3), lower.shape), atol=1e-9
    )
    np.testing.assert_allclose(np.exp(log_shares), 0.5, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_estimate_of_a_linear_model_is_its_closed_form(dtype: str) -> None:
    model = LinearGaussian(dtype)
    vae, x, truth = model.vae(**POOR), model.data(4), model.log_evidence(model.data(4))
    settings = {"iw_samples": 100, "seed": (1, 2), "execution": "graph"}
    found = estimate(vae, x, refine="laplace:degrees=1000", **settings)
    np.testing.assert_allclose(found.log_likelihood, truth, rtol=0, atol=0.02)
    assert (found.ess > 99).all()
    assert (found.elbo < truth - 1).all()
    assert np.isnan(found.refined_elbo).all()


def bend(z: Any) -> Any:
    """Return z1 and z2 + z1^2 side by side."""
    return tf.stack([z[..., 0], z[..., 1] + z[..., 0] ** 2], axis=-1)


def test_curvature_agrees_with_finite_differences_of_the_slope() -> None:
    model = CurvedBernoulli(2)
    joint = Joint(model.vae(), model.data(3), 7)
    z = tf.constant(np.random.default_rng(0).normal(size=(2, 3, 2)))
    found = joint.curvature(z)
    for axis in (0, 1):
        step = 1e-5 * np.eye(2)[axis]
        expected = (joint.value_and_slope(z - step)[1] - joint.value_and_slope(z + step)[1]) / 2e-5
        np.testing.assert_allclose(found[..., axis], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [1, 4, 30])
def test_factor_of_a_positive_definite_matrix_is_that_of_cholesky(size: int) -> None:
    root = np.random.default_rng(1).normal(size=(2, 3, size, size))
    matrix = root @ root.transpose(0, 1, 3, 2) + 0.1 * np.eye(size)
    np.testing.assert_allclose(factor(tf.constant(matrix)), np.linalg.cholesky(matrix), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros([3, 3]), -np.eye(3), np.diag([1.0, 0.0, -2.0]), np.ones([3, 3]), np.array([[0, 5.0], [5.0, 0]])],
)
def test_factor_of_any_symmetric_matrix_is_finite_and_invertible(matrix: np.ndarray) -> None:
    lower = factor(tf.constant(matrix)).numpy()
    assert np.isfinite(lower).all()
    assert (np.diag(lower) > 0).all()
    assert np.linalg.eigvalsh(lower @ lower.T - matrix).min() > -1e-9


def test_update_satisfies_the_secant_equation() -> None:
    """If the slope bends enough, the new estimate maps the change of the slope to the step."""
    draw = np.random.default_rng(2)
    root = draw.normal(size=(5, 4, 4))
    hessian = root @ root.transpose(0, 2, 1) + np.eye(4)
    inverse, before = tf.eye(4, 4, [5], tf.float64)[..., :4], draw.normal(size=(5, 4))
    step = 0.3 * before
    after = before - np.einsum("bij,bj->bi", hessian, step)
    found = update(
        tf.constant(inverse),
        tf.constant(step),
        tf.constant(before),
        tf.constant(after),
        0.3 * tf.ones(5, tf.float64),
        tf.constant([False, False, True, True, True]),
    )
    np.testing.assert_allclose(np.einsum("bij,bj->bi", found, before - after), step, rtol=1e-9)
    np.testing.assert_allclose(found, np.swapaxes(found, 1, 2), atol=1e-12)
    assert (np.linalg.eigvalsh(found) > 0).all()


def test_update_stays_positive_definite_where_the_slope_grows() -> None:
    before = tf.constant([[1.0, 2.0], [3.0, 0.1]], tf.float64)
    found = update(
        tf.eye(2, 2, [2], tf.float64)[..., :2],
        before,
        before,
        3 * before,
        tf.ones(2, tf.float64),
        tf.constant([False, True]),
    )
    assert (np.linalg.eigvalsh(found) > 0).all()


@pytest.mark.slow
def test_searches_reach_the_top_of_a_curved_valley() -> None:
    """Rosenbrock's function as log p(x|z) with a flat start far from its top."""
    posterior, scale = DiagonalNormal(2), 0.05
    encoder = Encoder(Fixed(lambda x: tf.concat([x, tf.zeros_like(x)], axis=-1)), posterior)
    vae = VAE(encoder, Decoder(Fixed(bend), FixedNormal(2, scale)), StandardNormal(2, "float64"))
    x = np.array([[1.0, 0.5], [-1.5, 2.0]])
    joint, start = Joint(vae, x, 100), tf.constant([[[-2.0, 2.0], [2.0, -1.0]]], tf.float64)
    z, value = highest_points(joint, start, tf.ones([2, 2], tf.float64), 200)
    _, slope = joint.value_and_slope(z)
    newton = tf.linalg.matvec(tf.linalg.inv(joint.curvature(z)), slope)
    assert (tf.reduce_sum(newton * slope, axis=-1).numpy() < 0.01).all()
    np.testing.assert_allclose(value, joint.log_prob(z), rtol=1e-12)


def one_example(latent_dim: int) -> Joint:
    model = CurvedBernoulli(latent_dim)
    return Joint(model.vae(), model.data(1), 100)


def one_mode(degrees: int) -> tuple[Laplace, Proposal]:
    """Return a proposal with one mode in two dimensions, and its refinement."""
    lower = tf.constant([[[[2.0, 0.0], [1.0, 0.5]]]], tf.float64)
    spread = tf.linalg.matrix_transpose(tf.linalg.inv(lower))
    return Laplace(starts=1, degrees=degrees), (
        tf.constant([[[1.0, -1.0]]], tf.float64),
        lower,
        spread,
        tf.zeros([1, 1], tf.float64),
    )


@pytest.mark.parametrize("degrees", [1, 4])
def test_density_is_that_of_a_student_t(degrees: int) -> None:
    laplace, proposal = one_mode(degrees)
    lower = proposal[1].numpy()[0, 0]
    z = np.random.default_rng(3).normal(size=(50, 1, 2))
    expected = stats.multivariate_t([1, -1], np.linalg.inv(lower @ lower.T), df=degrees).logpdf(z[:, 0])
    np.testing.assert_allclose(laplace.log_prob(proposal, tf.constant(z))[:, 0], expected, rtol=1e-9)


def test_samples_have_the_moments_of_a_student_t() -> None:
    laplace, proposal = one_mode(10)
    z, log_q = laplace.draw_each(one_example(2), proposal, 20_000, tf.constant([[3, 4]]))
    lower = proposal[1].numpy()[0, 0]
    covariance = np.linalg.inv(lower @ lower.T) * 10 / 8
    error = np.sqrt(np.diag(covariance) / 20_000)
    np.testing.assert_array_less(np.abs(np.mean(z[:, 0], axis=0) - [1, -1]), 4 * error)
    np.testing.assert_allclose(np.cov(z[:, 0].numpy().T), covariance, rtol=0.06)
    np.testing.assert_array_equal(log_q, laplace.log_prob(proposal, z))


def test_density_of_several_modes_integrates_to_one() -> None:
    """The mean of f / q over samples of q is the integral of f, here of a Normal density around each mode."""
    modes = tf.constant([[[-3.0], [3.0]]], tf.float64)
    proposal = (
        modes,
        tf.ones([1, 2, 1, 1], tf.float64),
        tf.ones([1, 2, 1, 1], tf.float64),
        tf.math.log(tf.constant([[0.2, 0.8]], tf.float64)),
    )
    z, log_q = Laplace().draw_each(one_example(1), proposal, 20_000, tf.constant([[3, 5]]))
    assert np.mean(z < 0) == pytest.approx(0.2, abs=0.01)
    f = sum(0.5 * stats.norm.pdf(np.asarray(z)[..., 0], center) for center in (-3, 3))
    ratio = f / np.exp(log_q)
    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(ratio.size)


@pytest.mark.slow
def test_several_searches_cover_both_modes_and_a_single_one_misses_half() -> None:
    model = TwoModes()
    vae, x, truth = model.vae(0.5), model.x, model.log_evidence
    settings = {"iw_samples": 2_000, "seed": (1, 1), "execution": "graph"}
    several = estimate(vae, x, refine="laplace:starts=8", **settings)
    assert abs(several.log_likelihood[0] - truth) < 4 * several.spread[0]
    assert several.spread[0] < 0.02
    single = estimate(vae, x, refine="laplace:starts=1", **settings)
    assert single.log_likelihood[0] == pytest.approx(truth - np.log(2), abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "chunk_size"), [(1, 100), (3, 2)])
def test_estimate_does_not_depend_on_batch_and_chunk_sizes(batch_size: int, chunk_size: int) -> None:
    model = CurvedBernoulli(2)
    vae, x = model.vae(), model.data(5)
    settings = {"iw_samples": 20, "seed": (8, 8), "refine": "laplace:starts=3", "execution": "graph"}
    found = estimate(vae, x, batch_size=batch_size, chunk_size=chunk_size, **settings)
    check_same(found, estimate(vae, x, **settings))
    rows = np.array([1, 4])
    part = estimate(vae, x[rows], places=rows, batch_size=batch_size, **settings)
    check_same(part, Estimates(*(column[rows] for column in found)))


def broken_beyond(limit: float, model: LinearGaussian) -> VAE:
    """Return a linear model whose decoder is not a number where the first coordinate of z exceeds `limit`."""
    vae = model.vae(shift=-0.5)
    inner = vae.decoder.network
    vae.decoder.network = Fixed(lambda z: tf.where(z[..., :1] < limit, inner(z), np.nan))
    return vae


@pytest.mark.slow
def test_a_decoder_that_is_not_a_number_gives_a_finite_proposal(linear: LinearGaussian) -> None:
    x = linear.data(3)
    limit = float(tf.reduce_max(linear.vae().encoder(x).mean()))
    for vae in (broken_beyond(limit, linear), broken_beyond(-np.inf, linear)):
        assert all(np.isfinite(part).all() for part in fitted(vae, x, Laplace()))


@pytest.mark.slow
@pytest.mark.parametrize(("posterior", "prior", "likelihood"), builders.EACH_MEMBER)
def test_every_member_agrees_with_samples_of_the_prior(posterior: str, prior: str, likelihood: str) -> None:
    check_against_prior(builders.model(posterior, prior, likelihood), builders.data(likelihood, 3), "laplace")


@pytest.mark.slow
def test_estimates_in_parts_under_xla_agree_with_samples_of_the_prior() -> None:
    vae, x = builders.model("real-nvp"), builders.data("bernoulli", 5)
    found = check_against_prior(vae, x, "laplace", "xla")
    in_parts = estimate(vae, x, batch_size=3, chunk_size=7, execution="xla", refine="laplace", **THOUSAND)
    np.testing.assert_allclose(in_parts.log_likelihood, found.log_likelihood, rtol=0, atol=5e-3)


def test_refuses_a_latent_space_that_is_too_large() -> None:
    size = MOST_DIMENSIONS + 1
    vae = builders.model(latent_dim=size)
    with pytest.raises(
        UsageError, match=f"`refine=laplace` needs .* at most {MOST_DIMENSIONS} .* but z is {size} cont"
    ):
        estimate(vae, builders.data("bernoulli", 1), iw_samples=2, seed=(0, 0), refine="laplace")


def test_refuses_a_decoder_without_second_derivatives() -> None:
    vae = without_second_derivatives(LinearGaussian("float32"))
    with pytest.raises(UsageError, match="`refine=laplace` needs second derivatives, but a part of the model has none"):
        Laplace().check(vae)


@pytest.mark.parametrize("setting", ["steps=0", "starts=0", "starts=66", "degrees=0", "degrees=1.5", "degress=3"])
def test_refuses_settings_out_of_range(setting: str, linear: LinearGaussian) -> None:
    with pytest.raises(UsageError, match="refinement laplace"):
        estimate(linear.vae(), linear.data(1), iw_samples=2, seed=(0, 0), refine=f"laplace:{setting}")
