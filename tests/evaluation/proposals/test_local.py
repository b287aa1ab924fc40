"""Local refinement against exact posteriors, quadrature and its own promises."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.oracles import CorrelatedGaussian, CurvedBernoulli, LinearGaussian, evidence_from_prior
from tfp_vae import VAE, Encoder
from tfp_vae.core.errors import UsageError
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.evaluation.importance import Estimates, estimate
from tfp_vae.evaluation.proposals import Local
from tfp_vae.evaluation.proposals.base import Joint
from tfp_vae.model.latent import Capabilities
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import POSTERIORS, Posterior

POOR = {"shift": 0.6, "widen": 2.0}
TOLERANCE = {"float32": 2e-3, "float64": 1e-3}


def refined_params(vae: VAE, x: np.ndarray, local: Local, seed: tuple[int, int] = (0, 2)) -> Tensor:
    places = tf.range(len(x))
    return local.fit(Joint(vae, x, 100), vae.encoder.params(x), tf.constant(seed), places)[0]


DTYPES = [pytest.param("float32", marks=pytest.mark.slow), "float64"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reaches_the_exact_posterior_of_a_linear_model(dtype: str) -> None:
    model = LinearGaussian(dtype)
    vae, x = model.vae(**POOR), model.data(4)
    found = vae.encoder.posterior(refined_params(vae, x, Local(steps=150)))
    exact = model.vae().encoder(x)
    spread = exact.stddev()
    np.testing.assert_allclose((found.mean() - exact.mean()) / spread, 0, atol=0.01)
    np.testing.assert_allclose(found.stddev() / spread, 1, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_estimate_of_a_linear_model_is_its_closed_form(dtype: str) -> None:
    model = LinearGaussian(dtype)
    vae, x, truth = model.vae(**POOR), model.data(4), model.log_evidence(model.data(4))
    settings = {"iw_samples": 50, "seed": (1, 2), "execution": "graph"}
    found = estimate(vae, x, refine="local:steps=150", **settings)
    np.testing.assert_allclose(found.log_likelihood, truth, rtol=0, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(found.refined_elbo, truth, rtol=0, atol=TOLERANCE[dtype])
    assert (found.refined_elbo_error < TOLERANCE[dtype]).all()
    assert (found.ess > 49.5).all()
    assert (found.elbo < truth - 1).all()


@pytest.mark.slow
def test_elbo_and_its_terms_stay_those_of_the_encoder(linear: LinearGaussian) -> None:
    vae, x = linear.vae(**POOR), linear.data(3)
    settings = {"seed": (1, 2), "execution": "graph"}
    found = estimate(vae, x, iw_samples=130, refine="local:steps=3", **settings)
    expected = estimate(vae, x, iw_samples=100, **settings)
    for name in ("elbo", "distortion", "rate", "posterior_mean", "posterior_mean_variance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.log_likelihood != expected.log_likelihood).all()


@pytest.mark.parametrize("latent_dim", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_refined_estimate_agrees_with_quadrature(latent_dim: int) -> None:
    model = CurvedBernoulli(latent_dim)
    x = model.data(20)
    truth = model.log_evidence(x)
    settings = {"iw_samples": 2_000, "seed": (0, 3), "execution": "graph"}
    found = estimate(model.vae(), x, refine="local:steps=30", **settings)
    error = np.sqrt(1 / found.ess - 1 / 2_000)
    assert np.mean(np.abs(found.log_likelihood - truth) < 3 * error + 1e-3) > 0.8
    assert found.elbo.mean() + 1 < found.refined_elbo.mean() < truth.mean()


@pytest.mark.slow
def test_a_learning_rate_far_too_large_does_not_lose_what_the_encoder_found(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.05), linear.data(5)
    found = estimate(vae, x, iw_samples=50, seed=(0, 1), refine="local:steps=20,learning_rate=1000", execution="graph")
    assert np.isfinite(found.log_likelihood).all()
    assert (found.refined_elbo > found.elbo - 0.2).all()


@pytest.mark.slow
def test_a_decoder_without_finite_gradients_keeps_the_encoder(linear: LinearGaussian) -> None:
    """The decoder is not a number right of the posterior means, where better parameters would lie."""
    vae, x = linear.vae(shift=-0.5), linear.data(3)
    inner = vae.decoder.network
    limit = tf.reduce_max(linear.vae().encoder(x).mean()) + 3

    def broken(z: Any) -> Any:
        return tf.where(tf.reduce_all(z < tf.cast(limit, z.dtype), axis=-1, keepdims=True), inner(z), np.nan)

    vae.decoder.network = Fixed(broken)
    params = vae.encoder.params(x)
    assert np.isfinite(refined_params(vae, x, Local(steps=10, learning_rate=5.0))).all()
    vae.decoder.network = Fixed(lambda z: inner(z) * np.nan)
    np.testing.assert_array_equal(refined_params(vae, x, Local(steps=3)), params)


@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "chunk_size"), [(1, 100), (3, 2)])
def test_refined_estimate_does_not_depend_on_batch_and_chunk_sizes(
    batch_size: int, chunk_size: int, linear: LinearGaussian
) -> None:
    vae, x = linear.vae(**POOR), linear.data(5)
    settings = {"iw_samples": 20, "seed": (8, 8), "refine": "local:steps=4", "execution": "graph"}
    found = estimate(vae, x, batch_size=batch_size, chunk_size=chunk_size, **settings)
    assert_same(found, estimate(vae, x, **settings), 1e-9)
    rows = np.array([1, 4])
    part = estimate(vae, x[rows], places=rows, batch_size=batch_size, **settings)
    assert_same(part, Estimates(*(column[rows] for column in found)), 1e-9)


def assert_same(found: Estimates, expected: Estimates, tolerance: float) -> None:
    for name in Estimates._fields:
        if name != "pareto_k":  # a fit of the largest weights magnifies rounding
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_weights_of_the_model_do_not_change() -> None:
    vae = builders.model()
    before = [variable.numpy() for variable in vae.variables]
    estimate(vae, builders.data("bernoulli", 2), iw_samples=5, seed=(0, 0), refine="local:steps=2", execution="graph")
    for variable, value in zip(vae.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


EACH_POSTERIOR = [*((name, "graph") for name in builders.REAL_POSTERIORS), ("diagonal-normal", "xla")]


@pytest.mark.slow
@pytest.mark.parametrize(("posterior", "execution"), EACH_POSTERIOR)
def test_every_posterior_gains(posterior: str, execution: str) -> None:
    vae, x = builders.model(posterior), builders.data("bernoulli", 7)
    settings = {"iw_samples": 110, "seed": (8, 9), "execution": execution}
    found = estimate(vae, x, refine="local:steps=40", **settings)
    plain = estimate(vae, x, **settings)
    assert found.refined_elbo.mean() > plain.elbo.mean() + 0.1
    assert (found.refined_elbo > found.elbo - 5 * found.refined_elbo_error - 0.1).all()
    assert found.ess.mean() > plain.ess.mean()
    truth, variance = evidence_from_prior(vae, x)
    error = np.sqrt(variance + found.spread**2)
    assert (np.abs(found.log_likelihood - truth) < 5 * error + 0.05).all()


@pytest.mark.slow
@pytest.mark.parametrize("prior", builders.REAL_PRIORS)
def test_every_prior_works(prior: str) -> None:
    vae, x = builders.model(prior_name=prior), builders.data("bernoulli", 3)
    found = estimate(vae, x, iw_samples=50, seed=(8, 9), refine="local:steps=20", execution="graph")
    assert np.isfinite(found.log_likelihood).all()
    assert (found.refined_elbo > found.elbo - 5 * found.refined_elbo_error - 0.1).all()


@final
@record
class Rounded(Posterior):
    """A family whose samples are not differentiable."""

    latent_dim: int

    @property
    def params_size(self) -> int:
        return 2 * self.latent_dim

    def __call__(self, params: Tensor) -> Distribution:
        return POSTERIORS["diagonal-normal"](self.latent_dim)(params)


def test_refuses_a_posterior_without_differentiable_samples(linear: LinearGaussian) -> None:
    assert Rounded.capabilities == Capabilities()
    vae = linear.vae()
    other = VAE(Encoder(vae.encoder.network, Rounded(3)), vae.decoder, vae.prior)
    with pytest.raises(UsageError, match="`refine=local` needs a posterior with differentiable samples, but Rounded"):
        estimate(other, linear.data(1), iw_samples=2, seed=(0, 0), refine="local")


@pytest.mark.parametrize("setting", ["steps=0", "samples=0", "learning_rate=0", "stesp=3"])
def test_refuses_settings_out_of_range(setting: str, linear: LinearGaussian) -> None:
    with pytest.raises(UsageError, match="refinement local"):
        estimate(linear.vae(), linear.data(1), iw_samples=2, seed=(0, 0), refine=f"local:{setting}")


@pytest.mark.slow
def test_no_search_returns_to_the_encoder_if_the_family_has_a_clearly_better_member() -> None:
    """The encoder's posterior is 1.2 nats worse than the best one. Few samples would sometimes hide this."""
    model = CorrelatedGaussian()
    x = np.repeat(model.data(8), 60, axis=0)  # every copy has other draws
    settings = {"refine": "local:steps=100", "execution": "graph"}
    found = estimate(model.vae(0.4, 1.5), x, iw_samples=200, seed=(0, 22), **settings)
    gap = found.log_likelihood - found.refined_elbo
    assert gap.max() < np.median(gap) + 0.5
