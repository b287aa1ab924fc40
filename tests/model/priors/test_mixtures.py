"""Priors that are learned mixtures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from tests.helpers import builders
from tests.helpers.densities import density, softplus, stir
from tfp_vae.core.errors import UsageError
from tfp_vae.model.priors.mixtures import SCALE_FLOOR, NormalMixture, Vamp


class TestNormalMixture:
    """p(z) = sum_k w_k N(z; loc_k, diag(scale_k^2))."""

    def test_density_is_the_weighted_sum_of_its_components(self) -> None:
        p = builders.prior("normal-mixture", 2)
        stir(p.learned, np.random.default_rng(0))
        logits, locs, s = (v.numpy().astype(np.float64) for v in p.learned)
        z = np.random.default_rng(1).normal(size=(6, 2))
        parts = [
            w * np.prod(stats.norm(loc, 1e-3 + softplus(raw)).pdf(z), axis=1)
            for w, loc, raw in zip(special.softmax(logits), locs, s, strict=True)
        ]
        np.testing.assert_allclose(density(p(), z), np.sum(parts, axis=0), rtol=1e-4)

    def test_components_start_equal_with_scales_of_one(self) -> None:
        logits, locs, s = NormalMixture(2, components=200).learned
        np.testing.assert_array_equal(logits, np.zeros(200))
        np.testing.assert_allclose(SCALE_FLOOR + softplus(s), 1, atol=2e-3)
        assert np.abs(locs.numpy().mean()) < 4 / np.sqrt(400)
        assert locs.numpy().std() == pytest.approx(1, abs=4 / np.sqrt(800))

    def test_seed_decides_the_locs(self) -> None:
        first, again, other = (NormalMixture(2, seed).learned[1].numpy() for seed in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert (first != other).all()

    def test_scales_have_a_floor(self) -> None:
        prior = NormalMixture(1, components=1)
        prior.learned[1].assign([[0.0]])
        prior.learned[2].assign([[-200.0]])
        assert float(prior().log_prob([0.0])) == pytest.approx(-np.log(SCALE_FLOOR * np.sqrt(2 * np.pi)), rel=1e-4)

    def test_one_component_is_a_normal(self) -> None:
        prior = NormalMixture(2, components=1)
        loc, scale = prior.learned[1][0], SCALE_FLOOR + softplus(0.54)
        z = np.float32([[0.1, 0.2], [-1, 3]])
        np.testing.assert_allclose(prior().log_prob(z), stats.norm(loc, scale).logpdf(z).sum(axis=1), rtol=1e-5)

    @pytest.mark.parametrize("components", [0, -1, 10_001])
    def test_number_of_components_has_limits(self, components: int) -> None:
        with pytest.raises(UsageError):
            NormalMixture(2, components=components)


class TestVamp:
    """p(z) = 1/K sum_k q(z|u_k)."""

    @pytest.mark.parametrize("posterior", builders.REAL_POSTERIORS)
    def test_density_is_the_mean_of_the_posteriors_at_its_inputs(self, posterior: str) -> None:
        vae = builders.model(posterior, "vamp")
        z = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
        (inputs,) = vae.prior.learned
        each = [np.exp(vae.encoder(inputs[i : i + 1]).log_prob(z)) for i in range(3)]
        np.testing.assert_allclose(np.exp(vae.prior().log_prob(z)), np.mean(each, axis=0), rtol=1e-3)

    def test_inputs_start_around_the_mean_of_the_data(self) -> None:
        mean = np.linspace(0, 1, 64).reshape(8, 8, 1)
        (inputs,) = Vamp(3, builders.model().encoder, mean, components=400).learned
        assert inputs.shape == (400, 8, 8, 1)
        np.testing.assert_allclose(inputs.numpy().mean(axis=0), mean, atol=4.5 * 0.1 / np.sqrt(400))
        np.testing.assert_allclose((inputs.numpy() - mean).std(), 0.1, rtol=0.02)

    def test_vamp_prior_has_no_temperature(self) -> None:
        with pytest.raises(UsageError, match=r"A vamp prior has no temperature: expected 1, found 0\.5\."):
            builders.model(prior_name="vamp").prior(0.5)

    def test_repr_omits_arrays(self) -> None:
        assert repr(Vamp(2, builders.model().encoder, np.zeros(3))) == "Vamp(latent_dim=2, seed=0, components=100)"

    @pytest.mark.parametrize("components", [0, 10_001])
    def test_number_of_components_has_limits(self, components: int) -> None:
        with pytest.raises(UsageError):
            Vamp(2, builders.model().encoder, np.zeros(3), components=components)
