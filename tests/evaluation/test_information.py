"""Information in the latent space against exact mixtures, closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import integrate, stats

from tests.helpers import builders
from tests.helpers.layered import LayeredGaussian
from tests.helpers.oracles import FixedNormal, LinearGaussian
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.evaluation.information import (
    decomposition,
    mixture_densities,
    posterior_means,
    rate_per_dimension,
    rate_per_layer,
    reconstruction_error,
)
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import DiagonalNormal, FullCovarianceNormal
from tfp_vae.model.priors import StandardNormal
from tfp_vae.objectives import MonteCarloELBO

tfd = tfp.distributions

LOCS, SCALES = np.array([-1.5, -0.2, 0.1, 2.0]), np.array([0.3, 0.5, 0.2, 0.6])
REPEATS = 500


def placed(locs: np.ndarray, scales: np.ndarray) -> VAE:
    """A model over one dimension that gives the example x = [i] the posterior N(locs[i], scales[i]^2)."""
    posterior = DiagonalNormal(1)
    table = np.stack([locs, np.log(np.expm1(scales - posterior.scale_floor))], axis=1).astype(np.float32)
    encoder = Encoder(Fixed(lambda x: tf.gather(table, tf.cast(x[:, 0], tf.int32))), posterior)
    decoder = Decoder(Fixed(lambda z: z), builders.likelihood("normal", (1,)))
    return VAE(encoder, decoder, StandardNormal(1))


def indices(count: int, repeats: int = REPEATS) -> np.ndarray:
    """The examples [0], ..., [count - 1], repeated."""
    return np.tile(np.arange(count, dtype=np.float32), repeats)[:, np.newaxis]


def exact_aggregate_kl(locs: np.ndarray, scales: np.ndarray) -> float:
    """KL(q(z) || N(0, 1)) of an even mixture of Normals, by quadrature."""

    def integrand(z: float) -> float:
        q = stats.norm(locs, scales).pdf(z).mean()
        return float(q * (np.log(q + 1e-300) - stats.norm.logpdf(z)))

    return integrate.quad(integrand, -8, 8, limit=400, points=list(locs))[0]


def closed_form_rates(locs: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return np.asarray((locs**2 + scales**2 - 1) / 2 - np.log(scales))


class TestDecomposition:
    """I(x; z) + KL(q(z) || p(z)) = rate."""

    def test_agrees_with_a_mixture_integrated_exactly(self) -> None:
        found = decomposition(placed(LOCS, SCALES), indices(4), seed=(0, 1), execution="graph")
        aggregate = exact_aggregate_kl(LOCS, SCALES)
        information = closed_form_rates(LOCS, SCALES).mean() - aggregate
        assert abs(found.aggregate_kl - aggregate) < 4 * found.aggregate_kl_se
        assert abs(found.mutual_information - information) < 4 * found.mutual_information_se
        assert found.mutual_information_se < 0.03

    def test_does_not_depend_on_how_densities_are_cut(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Other sizes draw other z, but estimate the same quantity."""
        whole = decomposition(placed(LOCS, SCALES), indices(4), seed=(0, 1), execution="graph")
        monkeypatch.setattr("tfp_vae.evaluation.information.VALUES_AT_ONCE", 40_000)
        cut = decomposition(placed(LOCS, SCALES), indices(4), seed=(0, 1), execution="graph")
        assert abs(cut.aggregate_kl - whole.aggregate_kl) < 5 * whole.aggregate_kl_se

    def test_of_posteriors_far_apart_is_at_its_ceiling(self) -> None:
        far = placed(np.arange(6) * 10.0, np.full(6, 0.1))
        found = decomposition(far, indices(6, 1), seed=(0, 2), execution="graph")
        assert found.examples == 6
        assert abs(found.mutual_information - np.log(6)) < 1e-4
        assert abs(found.ceiling - np.log(6)) < 1e-12

    def test_parts_of_a_linear_gaussian_model_have_their_closed_forms(self) -> None:
        """q(z|x) = N(G x, S^2) and x ~ N(0, C), so q(z) = N(0, G C G^T + S^2)."""
        size, spread = 3, np.array([0.6, 0.5, 0.8])
        gain = np.array([[1.0, 0.5, 0.0], [1.0, -0.1, 0.3], [0.0, 0.2, 0.9]])
        x = np.random.default_rng(5).normal(size=(4_000, size))
        x = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), (x - x.mean(axis=0)).T).T  # with covariance I exactly
        posterior = DiagonalNormal(size)
        s = np.log(np.expm1(spread - posterior.scale_floor))
        encoder = Encoder(Fixed(lambda x: tf.concat([x @ gain.T, tf.zeros_like(x) + s], axis=1)), posterior)
        decoder = Decoder(Fixed(lambda z: z), FixedNormal(size, 1.0))
        found = decomposition(VAE(encoder, decoder, StandardNormal(size, "float64")), x, seed=(0, 1), execution="graph")
        covariance = gain @ gain.T + np.diag(spread**2)
        variances, (_, log_det) = np.diag(covariance), np.linalg.slogdet(covariance)
        expected = {
            "mutual_information": (log_det - 2 * np.log(spread).sum()) / 2,
            "total_correlation": (np.log(variances).sum() - log_det) / 2,
            "dimension_kl": (variances - 1 - np.log(variances)).sum() / 2,
        }
        for name, value in expected.items():
            assert abs(getattr(found, name) - value) < 4 * getattr(found, f"{name}_se") + 0.01
        assert found.aggregate_kl == pytest.approx(found.total_correlation + found.dimension_kl)
        assert expected["total_correlation"] > 0.2

    def test_only_posteriors_with_independent_dimensions_have_a_total_correlation(self) -> None:
        found = decomposition(
            builders.model("full-covariance-normal"), builders.data("bernoulli"), seed=(0, 1), execution="graph"
        )
        assert found.total_correlation is None

    def test_of_identical_posteriors_is_zero(self) -> None:
        alike = placed(np.full(4, 0.7), np.full(4, 0.5))
        found = decomposition(alike, indices(4), seed=(0, 3), execution="graph")
        assert abs(found.mutual_information) < 1e-5
        expected = closed_form_rates(np.array([0.7]), np.array([0.5]))[0]
        assert abs(found.aggregate_kl - expected) < 4 * found.aggregate_kl_se

    def test_takes_the_first_components(self) -> None:
        found = decomposition(placed(LOCS, SCALES), indices(4), seed=(0, 1), most_components=40, execution="graph")
        assert found.examples == 40

    @pytest.mark.parametrize(
        "posterior",
        [
            pytest.param(name, marks=[pytest.mark.slow] if name == "inverse-autoregressive-flow" else [])
            for name in builders.CONTINUOUS_POSTERIORS
        ],
    )
    def test_of_every_posterior_agrees_with_its_densities(self, posterior: str) -> None:
        """log q(z_m|x_m), log q(z_m) and log p(z_m) at random z, each checked against a density by itself."""
        vae, x = builders.model(posterior), builders.data("bernoulli")
        params, rows = vae.encoder.network(x), np.array([2, 0, 5, 2])
        own, aggregate, prior, *_ = mixture_densities(vae, params, rows, (0, 4))
        z = vae.encoder.posterior(tf.gather(params, rows)).sample(seed=(0, 4)).numpy()
        each = np.stack([vae.encoder(x[[i]]).log_prob(z[:, np.newaxis])[:, 0] for i in range(len(x))])  # [N, M]
        np.testing.assert_allclose(own, each[rows, np.arange(4)], atol=1e-4)
        np.testing.assert_allclose(aggregate, np.log(np.exp(each).mean(axis=0)), atol=1e-4)
        np.testing.assert_allclose(prior, vae.prior().log_prob(z), atol=1e-5)

    @pytest.mark.parametrize("prior", builders.REAL_PRIORS)
    def test_under_every_prior_is_finite(self, prior: str) -> None:
        found = decomposition(
            builders.model(prior_name=prior), builders.data("bernoulli"), seed=(0, 5), execution="eager"
        )
        assert np.isfinite(found).all()


class TestRatePerLayer:
    """The rate of each layer of z."""

    def test_sums_to_the_rate_and_is_a_divergence_from_the_top_down(self) -> None:
        exact = LayeredGaussian()
        x = exact.examples(400)
        found = {kind: rate_per_layer(exact.vae(kind), x, seed=(0, 1)) for kind in ("bottom_up", "top_down")}
        vae = exact.vae("top_down")
        bound = MonteCarloELBO(mc_samples=40).bound(vae, x, seed=(0, 2))
        for rates in found.values():
            assert rates is not None
            assert abs(rates.sum() - np.mean(bound.rate)) < 0.05
        q, p = vae.encoder(x), vae.prior()
        z = q.sample(40, seed=(0, 3)).numpy()
        above = tf.constant(z[..., 3:])
        lower = tfd.MultivariateNormalDiag(*q.parameters["others"][0](above))
        rate = lower.kl_divergence(tfd.MultivariateNormalDiag(*p.parameters["others"][0](above))).numpy().mean()
        assert rate > 0
        assert abs(found["top_down"][0] - rate) < 0.05

    def test_needs_layers(self) -> None:
        assert rate_per_layer(builders.model(), builders.data("bernoulli"), seed=(0, 1)) is None


class TestRatePerDimension:
    """The rate of each latent dimension by itself."""

    def test_is_the_closed_form(self) -> None:
        found = rate_per_dimension(placed(LOCS, SCALES), indices(4, 1))
        np.testing.assert_allclose(found, [closed_form_rates(LOCS, SCALES).mean()], rtol=1e-5)

    def test_of_a_diagonal_posterior_sums_to_the_rate(self, linear: LinearGaussian) -> None:
        vae, x = linear.vae(shift=0.3, widen=1.5), linear.data(700)
        rate = vae.encoder(x).kl_divergence(vae.prior()).numpy().mean()
        np.testing.assert_allclose(np.sum(rate_per_dimension(vae, x)), rate, rtol=1e-9)

    def test_of_correlated_dimensions_leaves_out_the_total_correlation(self) -> None:
        posterior = FullCovarianceNormal(3)
        params = np.random.default_rng(0).normal(size=(1, posterior.params_size)).astype(np.float32) * 2
        encoder = Encoder(Fixed(lambda x: tf.repeat(params, tf.shape(x)[0], axis=0)), posterior)
        vae = VAE(encoder, Decoder(Fixed(lambda z: z), builders.likelihood("normal", (3,))), StandardNormal(3))
        q = posterior(params)
        covariance = q.covariance().numpy()[0]
        total_correlation = (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]) / 2
        assert total_correlation > 0.01
        found = np.sum(rate_per_dimension(vae, np.zeros([4, 3], np.float32)))
        np.testing.assert_allclose(found, q.kl_divergence(vae.prior())[0] - total_correlation, rtol=1e-4)

    @pytest.mark.parametrize(("posterior", "prior"), [("real-nvp", "standard-normal"), ("diagonal-normal", "vamp")])
    def test_without_a_closed_form_is_not_made_up(self, posterior: str, prior: str) -> None:
        assert rate_per_dimension(builders.model(posterior, prior), builders.data("bernoulli")) is None


def test_reconstruction_error_agrees_with_the_reconstructions(rng: np.random.Generator) -> None:
    vae, x = builders.model(), builders.data("bernoulli")
    many = x[rng.integers(len(x), size=701)]
    by_hand = np.mean((many - vae.reconstruct(many).numpy()) ** 2)
    np.testing.assert_allclose(reconstruction_error(vae, many, seed=(0, 0)), by_hand, rtol=1e-5)


def test_posterior_means_are_the_encoders(rng: np.random.Generator) -> None:
    vae, x = builders.model(), builders.data("bernoulli")
    many = x[rng.integers(len(x), size=1_203)]
    np.testing.assert_allclose(posterior_means(vae, many, seed=(0, 0)), vae.encoder(many).mean(), atol=1e-5)
