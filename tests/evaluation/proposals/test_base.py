"""The interface of refinements: the joint density and its slope, the encoder's posterior, and unbiased estimates."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.oracles import CurvedBernoulli, LinearGaussian
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.importance import estimate
from tfp_vae.evaluation.proposals import REFINEMENTS, EncoderPosterior, Local, full_name
from tfp_vae.evaluation.proposals.base import Joint, in_chunks


@pytest.fixture(scope="module")
def joint_and_z() -> tuple[Joint, tf.Tensor]:
    model = CurvedBernoulli(2)
    z = tf.constant(np.random.default_rng(0).normal(size=(7, 3, 2)))
    return Joint(model.vae(), model.data(3), 7), z


def test_joint_density_is_that_of_likelihood_and_prior(joint_and_z: tuple[Joint, tf.Tensor]) -> None:
    joint, z = joint_and_z
    model = CurvedBernoulli(2)
    vae, x = model.vae(), model.data(3)
    expected = vae.decoder(z).log_prob(x) + vae.prior().log_prob(z)
    np.testing.assert_allclose(joint.log_prob(z), expected, rtol=1e-12)


def test_joint_density_of_a_float64_model_takes_float32_examples(linear: LinearGaussian) -> None:
    vae, x = linear.vae(), linear.data(3).astype(np.float32)
    z = tf.constant(np.random.default_rng(0).normal(size=(7, 3, linear.latent_dim)))
    expected = Joint(vae, x.astype(np.float64), 7).value_and_slope(z)
    for part, same in zip(Joint(vae, x, 7).value_and_slope(z), expected, strict=True):
        np.testing.assert_array_equal(part, same)


def test_slope_agrees_with_finite_differences(joint_and_z: tuple[Joint, tf.Tensor]) -> None:
    joint, z = joint_and_z
    value, slope = joint.value_and_slope(z)
    np.testing.assert_allclose(value, joint.log_prob(z), rtol=1e-12)
    for axis in (0, 1):
        step = 1e-6 * np.eye(2)[axis]
        expected = (joint.log_prob(z + step) - joint.log_prob(z - step)) / 2e-6
        np.testing.assert_allclose(slope[..., axis], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 3])
def test_joint_does_not_depend_on_the_chunk_size(chunk: int, joint_and_z: tuple[Joint, tf.Tensor]) -> None:
    whole, z = joint_and_z
    model = CurvedBernoulli(2)
    joint = Joint(model.vae(), model.data(3), chunk)
    for part, expected in zip(joint.value_and_slope(z), whole.value_and_slope(z), strict=True):
        np.testing.assert_allclose(part, expected, rtol=1e-12)


def test_chunks_keep_the_order_of_samples() -> None:
    z = tf.reshape(tf.range(10.0), [5, 2, 1])
    first, second = in_chunks(lambda z: (2 * z, z[..., 0]), z, 2)
    np.testing.assert_array_equal(first, 2 * z)
    np.testing.assert_array_equal(second, z[..., 0])


def test_no_refinement_gives_the_same_estimate_bit_for_bit(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.3), linear.data(3)
    settings = {"iw_samples": 20, "seed": (0, 1), "execution": "graph"}
    expected = estimate(vae, x, **settings)
    for refine in ("none", EncoderPosterior(), REFINEMENTS.member("none")):
        found = estimate(vae, x, refine=refine, **settings)
        np.testing.assert_array_equal(found.log_likelihood, expected.log_likelihood)
        assert np.isnan(found.refined_elbo).all()
        assert np.isnan(found.refined_elbo_error).all()


@pytest.mark.slow
@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize("refine", ["laplace:degrees=3", "mixture:steps=30"])
def test_proposal_outside_the_family_agrees_with_quadrature(refine: str, latent_dim: int) -> None:
    model = CurvedBernoulli(latent_dim)
    x = model.data(20)
    found = estimate(model.vae(), x, refine=refine, iw_samples=2_000, seed=(0, 3), execution="graph")
    difference = found.log_likelihood - model.log_evidence(x)
    assert np.mean(np.abs(difference) < 3 * found.spread + 1e-3) > 0.9
    assert abs(difference.mean()) < 0.05
    assert np.isnan(found.refined_elbo).all()


@pytest.mark.slow
@pytest.mark.parametrize("refine", ["local:steps=3", "laplace:steps=2,degrees=3", "mixture:steps=3"])
def test_mean_weight_is_unbiased(refine: str, linear: LinearGaussian) -> None:
    """An example at 200 places has 200 independent fits and samples."""
    vae, x = linear.vae(shift=0.3, widen=1.3), np.repeat(linear.data(1), 200, axis=0)
    settings = {"iw_samples": 7, "batch_size": 200, "execution": "graph"}
    found = estimate(vae, x, seed=(4, 4), refine=refine, **settings)
    ratio = np.exp(found.log_likelihood - linear.log_evidence(x))
    assert abs(ratio.mean() - 1) < 3 * ratio.std(ddof=1) / np.sqrt(200)
    assert len(np.unique(ratio)) == 200


def test_unknown_refinement_suggests_the_nearest_name(linear: LinearGaussian) -> None:
    with pytest.raises(UsageError, match=r"unknown refinement 'lokal'.*Did you mean 'local'"):
        estimate(linear.vae(), linear.data(1), iw_samples=2, seed=(0, 0), refine="lokal")


def test_full_name_has_every_setting() -> None:
    expected = "local:steps=5,samples=8,learning_rate=0.1"
    assert (
        full_name("local:steps=5") == full_name(Local(steps=5)) == full_name(REFINEMENTS.member(expected)) == expected
    )
    assert full_name("none") == full_name(EncoderPosterior()) == "none"


@pytest.mark.parametrize("name", list(REFINEMENTS))
def test_effort_of_every_refinement_is_short(name: str) -> None:
    effort = REFINEMENTS.resolve(name).effort
    assert (effort == "") == (name == "none")
    assert len(effort) < 40
