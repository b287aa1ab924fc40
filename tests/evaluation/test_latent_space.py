"""The latent space: closed forms of embeddings, paths and regions, and results that do not depend on batching."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from tests.helpers import builders
from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import Dataset
from tfp_vae.evaluation import latent_space as latent
from tfp_vae.evaluation.latent_space import decode, encode, encode_means, generate_within, grid
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import Hierarchical
from tfp_vae.runs.load import LoadedRun, sample


@pytest.mark.parametrize("name", builders.CONTINUOUS_POSTERIORS)
def test_embeddings_are_moments_of_the_posterior(name: str) -> None:
    vae, x = builders.model(name), builders.data("bernoulli")
    found = encode(vae, x, samples=2_000, seed=(0, 1))
    assert found.samples.shape == (2_000, 6, 3)
    error = found.samples.std(axis=0) / np.sqrt(2_000)
    few = 1 if POSTERIORS[name].capabilities.normal else np.sqrt(1 + 2_000 / 64)  # a flow averages 64 samples
    assert (np.abs(found.mean - found.samples.mean(axis=0)) < 5 * few * error).all()
    np.testing.assert_allclose(found.scale, found.samples.std(axis=0), rtol=0.1 if few == 1 else 0.3)


def test_the_same_seed_gives_the_same_samples(restored: LoadedRun, digits: Dataset) -> None:
    first, again, other = (encode(restored.vae, digits.test.x, samples=2, seed=(s, 1)).samples for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    assert encode(restored.vae, digits.test.x, samples=0, seed=(0, 1)).samples.shape == (0, 180, 2)


def test_pieces_change_no_mean_and_no_scale(
    restored: LoadedRun, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encode(restored.vae, digits.test.x, samples=0, seed=(0, 1))
    decoded = decode(restored.vae, whole.mean, seed=(0, 1))
    monkeypatch.setattr(latent, "AT_ONCE", 7)
    parts = encode(restored.vae, digits.test.x, samples=0, seed=(0, 1))
    np.testing.assert_allclose(parts.mean, whole.mean, atol=1e-5)
    np.testing.assert_allclose(parts.scale, whole.scale, atol=1e-5)
    np.testing.assert_allclose(decode(restored.vae, whole.mean, seed=(0, 1)), decoded, atol=1e-5)


@pytest.mark.parametrize("name", builders.REAL_POSTERIORS)
def test_means_alone_equal_those_of_embeddings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "AT_ONCE", 4)
    vae, x = builders.model(name), builders.data("bernoulli")
    np.testing.assert_array_equal(encode_means(vae, x, seed=(0, 1)), encode(vae, x, samples=0, seed=(0, 1)).mean)


def test_decoding_is_the_decoder(restored: LoadedRun, rng: np.random.Generator) -> None:
    z = rng.normal(size=(3, 4, 2))
    expected = restored.vae.decoder(z.astype(np.float32)).mean()
    np.testing.assert_allclose(decode(restored.vae, z, seed=(0, 1)), expected, rtol=1e-5)
    draws = decode(restored.vae, z, seed=(0, 1), show="draw")
    assert set(np.unique(draws)) == {0, 1}


def test_layers_below_a_dimension_follow_from_it(rng: np.random.Generator) -> None:
    q = POSTERIORS.build(POSTERIORS.member("top-down:layers=2,2,1,hidden=5"), 5)
    vae = SimpleNamespace(prior=Hierarchical(5, q))
    z = rng.normal(size=(5, 4, 5)).astype(np.float32)
    found = latent.with_layers_below(vae, z, np.arange(5))
    np.testing.assert_array_equal(found[:2], z[:2])
    np.testing.assert_array_equal(found[2:4, :, 2:], z[2:4, :, 2:])
    np.testing.assert_array_equal(found[4, :, 4], z[4, :, 4])
    np.testing.assert_allclose(found[2:, :, :2], vae.prior().locs(found[2:])[..., :2], rtol=1e-5)
    np.testing.assert_allclose(found[4, :, 2:4], vae.prior().locs(z[4])[..., 2:4], rtol=1e-5)


class TestRegions:
    """Samples of z within bounds."""

    @pytest.mark.parametrize("name", builders.CONTINUOUS_PRIORS)
    def test_every_prior_stays_inside(self, name: str) -> None:
        vae = builders.model_with_prior(name, latent_dim=2)
        seen: list[np.ndarray] = []
        decoder = vae.decoder
        low, high = np.percentile(np.asarray(vae.prior().sample(4_000, seed=(0, 1))), [40, 90], axis=0)
        vae.decoder = lambda z: seen.append(z) or decoder(z)
        p = generate_within(vae, 50, tuple(zip(low, high, strict=True)), seed=(0, 2))
        assert p.batch_shape == [50]
        assert ((seen[0] >= low) & (seen[0] <= high)).all()

    def test_region_truncates_the_prior(self, restored: LoadedRun) -> None:
        seen: list[np.ndarray] = []
        model = SimpleNamespace(prior=restored.vae.prior, decoder=seen.append)
        generate_within(model, 3_000, ((0.5, 2.0), (-1.0, 0.0)), seed=(0, 2), temperature=0.8)
        for column, (low, high) in zip(seen[0].T, ((0.5, 2.0), (-1.0, 0.0)), strict=True):
            cut = stats.truncnorm(low / 0.8, high / 0.8, scale=0.8)
            assert stats.kstest(column, cut.cdf).pvalue > 1e-3

    @pytest.mark.parametrize("region", [((0, 1),), ((1, 0), (0, 1)), ((0, 0), (0, 1))])
    def test_malformed_regions_raise_an_error(self, region: object, restored: LoadedRun) -> None:
        with pytest.raises(UsageError, match="for each of 2 latent dimensions"):
            generate_within(restored.vae, 1, region, seed=(0, 1))

    def test_region_without_mass_raises_an_error(self, restored: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(latent, "MOST_ATTEMPTS", 2)
        with pytest.raises(UsageError, match=r"0 of 20,000 samples lie in it, but 3 are needed\."):
            sample(restored, 3, seed=0, region=((90, 91), (0, 1)))

    def test_region_of_all_space_equals_no_region(self, restored: LoadedRun) -> None:
        everywhere = ((-99.0, 99.0), (-99.0, 99.0))
        assert sample(restored, 1_005, seed=0, region=everywhere).shape == (1_005, 8, 8, 1)
        near = sample(restored, 4, seed=0, show="mean", region=((1.0, 1.02), (1.0, 1.02)))
        at = np.asarray(restored.vae.decoder(np.float32([[1.01, 1.01]])).mean())
        np.testing.assert_allclose(near, np.broadcast_to(at, near.shape), atol=0.01)


class TestGrids:
    """Quantiles of any prior."""

    def test_a_standard_normal_has_its_inverse_cdf(self) -> None:
        z = grid(builders.model(latent_dim=2), 4, 0).z.reshape(4, 4, 2)
        levels = np.array([0.125, 0.375, 0.625, 0.875])
        np.testing.assert_allclose(stats.norm.cdf(z[0, :, 0]), levels, rtol=1e-5)
        np.testing.assert_allclose(stats.norm.cdf(z[:, 0, 1]), levels[::-1], rtol=1e-5)

    @pytest.mark.parametrize("prior", ["normal-mixture", "vamp", "real-nvp", "autoregressive-flow"])
    def test_other_priors_have_quantiles_of_draws_and_a_note(self, prior: str) -> None:
        vae = builders.model(prior_name=prior, latent_dim=2)
        shown = grid(vae, 5, 0)
        assert "its z_2" in shown.title
        z = np.asarray(vae.prior().sample(4_000, seed=(1, 2)))
        below = (z[:, 0] <= shown.z[0, 0]).mean()
        assert below == pytest.approx(0.1, abs=0.03)
        assert (np.diff(shown.z[:5, 0]) > 0).all()
        assert (np.diff(shown.z[::5, 1]) < 0).all()

    def test_other_dimensions_have_draws(self) -> None:
        vae = builders.model(latent_dim=3)
        shown = grid(vae, 3, 0)
        assert shown.z.shape == (9, 3)
        assert not shown.plane
        np.testing.assert_array_equal(shown.z, grid(vae, 3, 0).z)


def test_unknown_names_are_refused(restored: LoadedRun) -> None:
    with pytest.raises(UsageError, match=r"`show`: expected 'mean' or 'draw', found 'meen'. Did you mean 'mean'?"):
        decode(restored.vae, np.zeros((1, 2)), seed=(0, 0), show="meen")
    with pytest.raises(UsageError, match=r"`show`: expected 'mean' or 'draw', found 'x'"):
        sample(restored, 1, seed=0, show="x")
    with pytest.raises(UsageError, match=r"`weights`: expected 'final' or 'best', found 'last'"):
        LoadedRun(restored.run, "last")
