"""Bounds and estimates against closed forms: a linear-Gaussian model, whose log p(x) is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.oracles import LinearGaussian
from tfp_vae.evaluation import estimate, log_likelihood
from tfp_vae.objectives import ELBO, MonteCarloELBO
from tfp_vae.seeds import fold

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


@pytest.mark.parametrize("samples", [1, 5, 250])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestExactPosterior:
    """With the exact posterior every importance weight is p(x), so nothing is left to chance."""

    def test_sampled_elbo_is_the_evidence(self, dtype: str, samples: int) -> None:
        model = LinearGaussian(dtype)
        x = model.data(20)
        elbo = MonteCarloELBO(mc_samples=samples).bound(model.vae(), x, seed=(0, samples)).value
        np.testing.assert_allclose(elbo, model.log_evidence(x), rtol=0, atol=TOLERANCE[dtype])

    def test_importance_weighted_bound_is_the_evidence(self, dtype: str, samples: int) -> None:
        model = LinearGaussian(dtype)
        x = model.data(20)
        found = log_likelihood(model.vae(), x, iw_samples=samples, seed=(1, samples), execution="graph")
        np.testing.assert_allclose(found, model.log_evidence(x), rtol=0, atol=TOLERANCE[dtype])

    def test_every_weight_counts(self, dtype: str, samples: int) -> None:
        model = LinearGaussian(dtype)
        found = estimate(model.vae(), model.data(4), iw_samples=samples, seed=(0, 0), execution="graph")
        np.testing.assert_allclose(found.ess, samples, rtol=1e-3)


@pytest.mark.parametrize("samples", [1, 5])
def test_closed_form_elbo_is_the_evidence_in_expectation(linear: LinearGaussian, samples: int) -> None:
    x = linear.data(1).repeat(20_000, axis=0)
    values = ELBO(mc_samples=samples).bound(linear.vae(), x, seed=(2, samples)).value.numpy()
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - linear.log_evidence(x[:2])[0]) < 4 * error


def test_closed_form_kl_agrees_with_monte_carlo(linear: LinearGaussian) -> None:
    vae = linear.vae(shift=0.3, widen=1.5)
    q, p = vae.encoder(linear.data(6)), vae.prior()
    z = q.sample(50_000, seed=(4, 4))
    ratio = (q.log_prob(z) - p.log_prob(z)).numpy()
    error = ratio.std(axis=0, ddof=1) / np.sqrt(len(ratio))
    np.testing.assert_array_less(np.abs(ratio.mean(axis=0) - q.kl_divergence(p).numpy()), 4 * error)


def test_both_elbos_have_the_same_expectation(linear: LinearGaussian) -> None:
    vae = linear.vae(shift=0.3, widen=1.5)
    x = linear.data(1).repeat(40_000, axis=0)
    values = [objective.bound(vae, x, seed=(5, 5)).value.numpy() for objective in (ELBO(), MonteCarloELBO())]
    difference = values[0] - values[1]
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / np.sqrt(len(difference))
    assert difference.std() > 0.01


def test_one_importance_sample_is_the_sampled_elbo_of_that_sample(linear: LinearGaussian) -> None:
    vae, x, seed = linear.vae(shift=0.3, widen=1.5), linear.data(5), (6, 6)
    found = log_likelihood(vae, x, iw_samples=1, seed=seed, execution="graph")
    for i in range(len(x)):
        q = vae.encoder(x[i : i + 1])
        z = q.sample(100, seed=fold(seed, i, 0))[0]
        by_hand = vae.decoder(z).log_prob(x[i]) + vae.prior().log_prob(z) - q.log_prob(z)
        np.testing.assert_allclose(found[i], by_hand[0], rtol=0, atol=1e-9)


def test_bound_rises_with_the_samples_to_the_evidence(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4, widen=1.4), linear.data(400)
    truth = linear.log_evidence(x)
    gaps = []
    for samples in (1, 2, 5, 20, 100, 1_000):
        gap = log_likelihood(vae, x, iw_samples=samples, seed=(7, samples), execution="graph") - truth
        gaps.append(gap.mean())
        assert gap.mean() < 4 * gap.std(ddof=1) / np.sqrt(len(gap))
    assert np.all(np.diff(gaps) > 0)
    assert gaps[0] < -0.2
    assert gaps[-1] > -0.01


@pytest.mark.parametrize("batch_size", [1, 33, 500])
@pytest.mark.parametrize("chunk_size", [1, 7, 100, 1_000])
def test_estimate_does_not_depend_on_the_cut(batch_size: int, chunk_size: int) -> None:
    model = LinearGaussian("float32")
    vae, x = model.vae(shift=0.4, widen=1.4), model.data(50)
    whole = estimate(vae, x, iw_samples=230, seed=(8, 8), execution="graph")
    cut = estimate(vae, x, iw_samples=230, seed=(8, 8), batch_size=batch_size, chunk_size=chunk_size, execution="graph")
    for expected, found in zip(whole, cut, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_estimate_of_an_example_does_not_depend_on_those_after_it(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4), linear.data(40)
    whole = log_likelihood(vae, x, iw_samples=30, seed=(9, 9), execution="graph")
    first = log_likelihood(vae, x[:7], iw_samples=30, seed=(9, 9), execution="graph")
    np.testing.assert_allclose(first, whole[:7], rtol=0, atol=1e-9)


def test_estimate_agrees_with_brute_force(linear: LinearGaussian) -> None:
    vae, x, seed = linear.vae(shift=0.4, widen=1.4), linear.data(3), (10, 10)
    found = estimate(vae, x, iw_samples=250, seed=seed, execution="graph")
    for i in range(len(x)):
        q = vae.encoder(x[i : i + 1])
        z = np.concatenate([q.sample(100, seed=fold(seed, i, tile)) for tile in range(3)])[:250]
        log_px = vae.decoder(z).log_prob(x[i]).numpy()[:, 0]
        log_w = log_px + (vae.prior().log_prob(z) - q.log_prob(z)).numpy()[:, 0]
        weights = np.exp(log_w)
        np.testing.assert_allclose(found.log_likelihood[i], np.log(weights.mean()), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.distortion[i], -log_px.mean(), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.ess[i], weights.sum() ** 2 / np.sum(weights**2), rtol=1e-9)
        np.testing.assert_allclose(found.rate[i], q.kl_divergence(vae.prior())[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.posterior_mean[i], q.mean()[0], rtol=0, atol=1e-9)


def test_sums_of_many_large_weights_stay_exact() -> None:
    """With a constant weight, log w = -3000, the estimate is that weight, and every sample counts."""
    model = LinearGaussian("float32")
    vae, x = model.vae(), model.data(2)
    far = x + 300
    found = estimate(vae, far, iw_samples=20_000, seed=(0, 0), execution="graph")
    truth = model.log_evidence(far)
    assert (truth < -10_000).all()
    np.testing.assert_allclose(found.log_likelihood, truth, rtol=1e-5)
    assert (found.ess <= 20_000).all()


def test_xla_and_graph_estimate_the_same_quantity(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.2), linear.data(200)
    by_path = [log_likelihood(vae, x, iw_samples=100, seed=(11, 11), execution=e) for e in ("xla", "graph")]
    difference = by_path[0] - by_path[1]
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / np.sqrt(len(difference)) + 1e-9
