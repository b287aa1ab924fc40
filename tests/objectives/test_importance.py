"""Bounds from importance weights: identities between them, their order, and the limits of the Renyi bound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.helpers.gradients import examples, linear_model
from tests.helpers.oracles import LinearGaussian
from tfp_vae import VAE
from tfp_vae.core.errors import UsageError
from tfp_vae.objectives import (
    IWAE,
    MIWAE,
    OBJECTIVES,
    DReG,
    MonteCarloELBO,
    Objective,
    Renyi,
    StickingTheLanding,
)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return examples()


def value(objective: Objective, vae: VAE, x: np.ndarray) -> np.ndarray:
    return objective.bound(vae, x, seed=(5, 6)).value.numpy()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MIWAE(outer_samples=6, inner_samples=1), MonteCarloELBO(mc_samples=6)),
        (MIWAE(outer_samples=1, inner_samples=6), IWAE(mc_samples=6)),
        (Renyi(alpha=0, mc_samples=6), IWAE(mc_samples=6)),
        (Renyi(alpha=1, mc_samples=6), MonteCarloELBO(mc_samples=6)),
        (DReG(mc_samples=6), IWAE(mc_samples=6)),
        (StickingTheLanding(mc_samples=6), MonteCarloELBO(mc_samples=6)),
        (IWAE(mc_samples=1), MonteCarloELBO(mc_samples=1)),
    ],
)
def test_special_cases_have_equal_values(first: Any, second: Any, x: np.ndarray) -> None:
    vae = linear_model(0.4)
    np.testing.assert_allclose(value(first, vae, x), value(second, vae, x), rtol=1e-10)


def test_renyi_falls_with_alpha_and_reaches_the_elbo_smoothly(x: np.ndarray) -> None:
    vae = linear_model(0.4)
    values = [value(Renyi(alpha=alpha, mc_samples=50), vae, x) for alpha in (0, 0.3, 0.7, 0.999, 1, 1.001, 2)]
    assert (np.diff(values, axis=0) < 0).all()
    np.testing.assert_allclose(values[3], values[4], atol=5e-3)
    np.testing.assert_allclose(values[5], values[4], atol=5e-3)


def test_miwae_lies_between_elbo_and_iwae(x: np.ndarray) -> None:
    vae, many = linear_model(0.4), np.repeat(x, 500, axis=0)
    elbo, miwae, iwae = (
        value(o, vae, many).mean()
        for o in (MonteCarloELBO(mc_samples=6), MIWAE(outer_samples=3, inner_samples=2), IWAE(mc_samples=6))
    )
    assert elbo < miwae < iwae


def test_value_is_the_log_of_the_mean_weight(x: np.ndarray) -> None:
    vae, seed = linear_model(0.4), (5, 6)
    q = vae.encoder(x)
    z = q.sample(6, seed=seed)
    log_w = (vae.decoder(z).log_prob(x) + vae.prior().log_prob(z) - q.log_prob(z)).numpy()
    np.testing.assert_allclose(value(IWAE(mc_samples=6), vae, x), np.log(np.exp(log_w).mean(axis=0)), rtol=1e-10)
    powers = np.log((np.exp(log_w) ** 0.3).mean(axis=0)) / 0.3
    np.testing.assert_allclose(value(Renyi(alpha=0.7, mc_samples=6), vae, x), powers, rtol=1e-10)


def test_bound_rises_with_the_samples_and_stays_below_the_evidence(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4, widen=1.4), linear.data(2_000)
    truth, gaps = linear.log_evidence(x), []
    for samples in (1, 4, 16, 64):
        gap = IWAE(mc_samples=samples).bound(vae, x, seed=(7, samples)).value.numpy() - truth
        assert gap.mean() < 4 * gap.std(ddof=1) / np.sqrt(len(gap))
        gaps.append(gap.mean())
    assert (np.diff(gaps) > 0).all()
    assert gaps[0] < -0.2


def test_mean_weight_has_no_bias(linear: LinearGaussian) -> None:
    """E[w] = p(x), for a proposal that is wider than the posterior."""
    vae, x = linear.vae(shift=0.1, widen=1.3), linear.data(1).repeat(20_000, axis=0)
    ratio = np.exp(IWAE(mc_samples=1).bound(vae, x, seed=(7, 7)).value.numpy() - linear.log_evidence(x[:2])[0])
    assert abs(ratio.mean() - 1) < 4 * ratio.std(ddof=1) / np.sqrt(len(ratio))


@pytest.mark.parametrize("objective", [IWAE(mc_samples=4), MIWAE(inner_samples=4), Renyi(mc_samples=4)])
def test_every_bound_is_the_evidence_at_the_exact_posterior(objective: Objective, linear: LinearGaussian) -> None:
    x = linear.data(20)
    bound = objective.bound(linear.vae(), x, seed=(1, 1))
    np.testing.assert_allclose(bound.value, linear.log_evidence(x), rtol=0, atol=1e-9)
    np.testing.assert_allclose(bound.value, -bound.distortion - bound.rate, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("iwae:mc_samples=0", "mc_samples"),
        ("miwae:outer_samples=317", "outer_samples"),
        ("renyi:alpha=-0.1", "alpha"),
        ("renyi:alpha=inf", "alpha"),
    ],
)
def test_refuses_settings_out_of_range(text: str, setting: str) -> None:
    with pytest.raises(UsageError, match=setting):
        OBJECTIVES.member(text)
