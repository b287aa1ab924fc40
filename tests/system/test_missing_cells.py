"""Rows with missing cells against closed forms: each bound and estimate is that of the observed cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings, strategies
from scipy import special, stats

import tfp_vae as tv
from tests.helpers import builders
from tfp_vae.core.errors import DataError
from tfp_vae.evaluation.annealing import annealed_log_likelihood
from tfp_vae.evaluation.information import reconstruction_error
from tfp_vae.evaluation.proposals import REFINEMENTS
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.objectives import OBJECTIVES

WEIGHTS, OFFSET, SCALE = np.array([1.5, -0.8, 0.4, 0.0]), np.array([0.3, -1.0, 0.0, 2.0]), 0.7
"""z ~ N(0, 1), x_j|z ~ N(w_j z + b_j, 0.7^2): the observed cells of a row are jointly Normal."""

OBSERVED = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 1]], bool)


def linear_vae(shift: float = 0.0, widen: float = 1.0, log_scale: tuple[float, ...] | None = None) -> tv.VAE:
    """The model with its exact posterior p(z|x_observed), or one that is shifted and widened."""
    columns = dict.fromkeys("abcd", f"normal:scale={SCALE}")
    table = tv.likelihoods.Columns(columns, "float64", log_scale=log_scale, missing=True)
    posterior = tv.posteriors.DiagonalNormal(1)

    def encode(features: Any) -> Any:
        x, observed = tf.split(features, 2, axis=-1)
        precision = 1 + tf.reduce_sum(observed * WEIGHTS**2 / SCALE**2, axis=-1, keepdims=True)
        loc = tf.reduce_sum(observed * WEIGHTS * (x - OFFSET) / SCALE**2, axis=-1, keepdims=True) / precision
        scale = widen / tf.sqrt(precision)
        return tf.concat([loc + shift, tf.math.log(tf.math.expm1(scale - posterior.scale_floor))], axis=-1)

    decoder = tv.Decoder(Fixed(lambda z: z * WEIGHTS + OFFSET), table)
    return tv.VAE(tv.Encoder(Fixed(encode), posterior, table), decoder, tv.priors.StandardNormal(1, "float64"))


def rows(seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    noise = SCALE * draw.normal(size=OBSERVED.shape)
    return np.asarray(draw.normal(size=(len(OBSERVED), 1)) * WEIGHTS + OFFSET + noise)


def log_evidence(x: np.ndarray) -> np.ndarray:
    """log p(x_observed) of each row."""
    covariance = np.outer(WEIGHTS, WEIGHTS) + SCALE**2 * np.eye(4)
    found = []
    for row, seen in zip(x, OBSERVED, strict=True):
        p = stats.multivariate_normal(OFFSET[seen], covariance[np.ix_(seen, seen)]) if seen.any() else None
        found.append(0.0 if p is None else float(p.logpdf(row[seen])))
    return np.array(found)


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_objectives_are_the_evidence_of_the_observed_cells_at_the_exact_posterior(name: str) -> None:
    objective = OBJECTIVES.resolve(name)
    found = objective.bound(linear_vae(), tv.Batch(rows(), OBSERVED), seed=(0, 1))
    np.testing.assert_allclose(
        found.value, log_evidence(rows()), atol=0.8 if name in builders.CLOSED_FORM_RATES else 1e-6
    )
    exact = objective.bound(linear_vae(), np.where(OBSERVED, rows(), np.nan), seed=(0, 1))
    np.testing.assert_array_equal(exact.value, found.value)


def test_closed_form_elbo_is_the_evidence_on_average() -> None:
    objective = tv.objectives.ELBO(mc_samples=4_000)
    found = objective.bound(linear_vae(), tv.Batch(rows(), OBSERVED), seed=(0, 1)).value
    np.testing.assert_allclose(found, log_evidence(rows()), atol=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("refine", list(REFINEMENTS))
def test_importance_sampling_estimates_the_evidence_of_the_observed_cells(refine: str) -> None:
    found = tv.log_likelihood(
        linear_vae(0.4, 1.3),
        tv.Batch(rows(), OBSERVED),
        iw_samples=400,
        refine=refine,
        execution="graph",
    )
    np.testing.assert_array_less(np.abs(found.values - log_evidence(rows())), 4 * found.estimates.spread + 1e-3)


@pytest.mark.slow
def test_annealing_estimates_the_evidence_of_the_observed_cells() -> None:
    found = annealed_log_likelihood(
        linear_vae(), tv.Batch(rows(), OBSERVED), steps=20, chains=20, seed=(0, 1), execution="graph"
    )
    np.testing.assert_array_less(np.abs(found.log_likelihood - log_evidence(rows())), 5 * found.error + 0.02)


HIDDEN = strategies.sampled_from([0.0, -3.0, 1e6, np.inf, -np.inf, np.nan])


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(strategies.lists(HIDDEN, min_size=OBSERVED.size, max_size=OBSERVED.size))
def test_hidden_values_have_no_influence_on_any_objective(values: list[float]) -> None:
    vae, hidden = linear_vae(0.3, 1.2), np.reshape(values, OBSERVED.shape)
    other = tv.Batch(np.where(OBSERVED, rows(), hidden), OBSERVED)
    for name in builders.REAL_OBJECTIVES:
        check_same_bounds(vae, other, name)


def check_same_bounds(vae: tv.VAE, other: tv.Batch, name: str) -> None:
    """Check the bounds and the gradient of the decoder against those of the rows above."""
    objective, weights = OBJECTIVES.resolve(name), tf.constant(WEIGHTS)
    found = []
    for batch in (tv.Batch(rows(), OBSERVED), other):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            decoder = tv.Decoder(Fixed(lambda z: z * weights + OFFSET), vae.decoder.likelihood)
            bound = objective.bound(tv.VAE(vae.encoder, decoder, vae.prior), batch, seed=(0, 1))
        found.append([*bound, tape.gradient(bound.value, weights)])
    for first, second in zip(*found, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", builders.REAL_OBJECTIVES)
def test_infinite_hidden_values_have_no_influence(name: str) -> None:
    check_same_bounds(linear_vae(0.3, 1.2), tv.Batch(np.where(OBSERVED, rows(), np.inf), OBSERVED), name)


@pytest.mark.slow
def test_hidden_values_have_no_influence_on_estimates_and_reconstructions() -> None:
    vae, other = linear_vae(0.3, 1.2), tv.Batch(np.where(OBSERVED, rows(), 1e9), OBSERVED)
    first, second = (
        tv.log_likelihood(vae, batch, iw_samples=20, execution="eager").values
        for batch in (tv.Batch(rows(), OBSERVED), other)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(vae.reconstruct(tv.Batch(rows(), OBSERVED)), vae.reconstruct(other))


def test_column_in_units_ten_times_as_small_shifts_the_density_by_log_ten() -> None:
    log_scale = (np.log(10.0), 0.0, 0.0, 0.0)
    values = [
        tv.objectives.IWAE(mc_samples=3).bound(vae, tv.Batch(rows(), OBSERVED), seed=(0, 1)).value.numpy()
        for vae in (linear_vae(0.3), linear_vae(0.3, log_scale=log_scale))
    ]
    np.testing.assert_allclose(values[0] - values[1], np.log(10) * OBSERVED[:, 0], atol=1e-10)


@pytest.mark.slow
def test_model_trained_in_other_units_shifts_the_density_of_each_observed_cell() -> None:
    draw = np.random.default_rng(0)
    z = draw.normal(size=300)
    table = pd.DataFrame(
        {
            "length": (170 + 10 * z + 3 * draw.normal(size=300)).round(3),
            "price": np.exp(1 + 0.5 * z + 0.2 * draw.normal(size=300)).round(4),
            "city": np.where(z + draw.normal(size=300) > 0, "Rome", "Oslo"),
        }
    )
    table = table.mask(draw.random(table.shape) < 0.2)
    values = []
    for factor in (1, 10):
        data = tv.data.load(table.assign(length=factor * table.length, price=factor * table.price))
        vae = tv.build(data, latent_dim=2, hidden=(16,))
        tv.fit(vae, data, tv.objectives.IWAE(mc_samples=3), epochs=2, execution="eager")
        values.append(tv.log_likelihood(vae, data.test, iw_samples=20, execution="eager").values)
    cells = np.sum(~np.isnan(data.test.x[:, :2]), axis=1)
    np.testing.assert_allclose(values[0] - values[1], np.log(10) * cells, atol=1e-4)


def test_reconstruction_error_averages_over_observed_cells() -> None:
    vae, x = linear_vae(), np.where(OBSERVED, rows(), np.nan)
    squares = (x - vae.reconstruct(x).numpy()) ** 2
    assert reconstruction_error(vae, x, seed=(0, 0)) == pytest.approx(np.nanmean(squares, axis=0).mean(), rel=1e-6)


def words_vae() -> tv.VAE:
    """Two words that depend on each other through z, with an encoder that ignores them."""
    table = tv.likelihoods.Columns({"city": "categorical:levels=3", "sport": "categorical:levels=2"}, "float64")
    slopes = np.array([2.0, 0.0, -2.0, 1.5, -1.5])
    posterior = tv.posteriors.DiagonalNormal(1)
    encoder = tv.Encoder(Fixed(lambda features: tf.zeros([tf.shape(features)[0], 2], tf.float64)), posterior, table)
    return tv.VAE(encoder, tv.Decoder(Fixed(lambda z: z * slopes), table), tv.priors.StandardNormal(1, "float64"))


def words_log_evidence(x: np.ndarray) -> np.ndarray:
    """log p(x_observed) of each row by quadrature over z."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    p = words_vae().decoder(nodes[:, np.newaxis, np.newaxis])
    return np.asarray(special.logsumexp(p.log_prob(x), b=weights[:, np.newaxis] / np.sqrt(2 * np.pi), axis=0))


BOTH = np.array([[city, sport] for city in (0, 0.5, 1) for sport in (0, 1)])
CITY = np.array([[city, np.nan] for city in (0, 0.5, 1)])


def test_probability_of_one_word_is_the_sum_over_the_missing_one() -> None:
    exact = words_log_evidence(BOTH)
    assert np.exp(exact).sum() == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(special.logsumexp(exact.reshape(3, 2), axis=1), words_log_evidence(CITY), atol=1e-9)


@pytest.mark.slow
def test_estimates_of_words_agree_with_enumeration() -> None:
    x = np.concatenate([BOTH, CITY])
    found = tv.log_likelihood(words_vae(), x, iw_samples=4_000, execution="graph")
    np.testing.assert_array_less(np.abs(found.values - words_log_evidence(x)), 4 * found.estimates.spread + 1e-3)


def trainable(table: tv.likelihoods.Likelihood, **sees: Any) -> tv.VAE:
    posterior, size = tv.posteriors.DiagonalNormal(1), sees["sees"].features_size if sees else 4
    return tv.VAE(
        tv.Encoder(tv.networks.mlp((size,), posterior.params_size, hidden=(8,), seed=1), posterior, **sees),
        tv.Decoder(tv.networks.mlp((1,), table.params_size, hidden=(), seed=2), table),
        tv.priors.StandardNormal(1),
    )


@pytest.mark.slow
def test_training_takes_rows_with_missing_cells() -> None:
    table = tv.likelihoods.Columns(dict.fromkeys("abcd", "normal:scale=per-element"), missing=True)
    draw = np.random.default_rng(1)
    x = (draw.normal(size=(200, 1)) * WEIGHTS + SCALE * draw.normal(size=(200, 4))).astype(np.float32)
    x[draw.random(x.shape) < 0.3] = np.nan
    vae = trainable(table, sees=table)
    history = tv.fit(vae, x, tv.objectives.IWAE(mc_samples=3), epochs=4, batch_size=20, learning_rate=0.02,
                     execution="graph", validation=x[:50])  # fmt: skip
    assert history[-1].validation_bound > history[0].validation_bound + 0.5


@pytest.mark.slow
def test_prior_of_pseudo_inputs_learns_from_tables() -> None:
    table = tv.likelihoods.Columns({"a": "log-normal", "b": "poisson", "c": "categorical:levels=3"}, missing=True)
    vae = trainable(table, sees=table)
    prior = tv.priors.Vamp(1, vae.encoder, data_mean=np.float32([0.05, 0.05, 0.5]), components=20)
    with tf.GradientTape() as tape:
        model, x = tv.VAE(vae.encoder, vae.decoder, prior), np.float32([[1, 3, 0.5], [np.nan, 2, 1]])
        loss = tv.objectives.MonteCarloELBO().loss(model, x, seed=(0, 1))
    (inputs,) = prior.learned
    for gradient in tape.gradient(loss, [inputs, *vae.trainable_variables]):
        assert np.isfinite(gradient).all()
        assert np.any(gradient)


@pytest.mark.slow
def test_saved_model_reconstructs_rows_with_missing_cells(tmp_path: Path) -> None:
    table = tv.likelihoods.Columns({"a": "normal:scale=per-element", "b": "categorical:levels=3"}, missing=True)
    vae, x = trainable(table, sees=table), np.float32([[0.3, 0.5], [np.nan, 1], [np.nan, np.nan]])
    tf.saved_model.save(vae, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    found = loaded.reconstruct(x)
    np.testing.assert_allclose(found, vae.reconstruct(x), rtol=1e-5, atol=1e-6)
    assert np.isfinite(found).all()


def test_encoder_that_gets_missing_cells_as_nan_is_refused() -> None:
    vae = trainable(tv.likelihoods.Columns(dict.fromkeys("abcd", "normal")))
    x = np.where(OBSERVED, rows(), np.nan).astype(np.float32)
    for use in (
        lambda: tv.objectives.ELBO().bound(vae, x, seed=(0, 0)),
        lambda: tv.log_likelihood(vae, tv.Batch(np.nan_to_num(x), OBSERVED)),
        lambda: tv.evaluation.impute(vae, x),
        lambda: tv.fit(vae, x, epochs=1),
    ):
        with pytest.raises(tv.errors.UsageError, match=r"x has missing cells.*sees=likelihood"):
            use()
    assert np.isfinite(tv.objectives.ELBO().bound(vae, np.nan_to_num(x), seed=(0, 0)).value).all()


def test_network_that_fills_missing_cells_itself_is_accepted() -> None:
    table, posterior = tv.likelihoods.Columns(dict.fromkeys("abcd", "normal")), tv.posteriors.DiagonalNormal(1)
    network = Fixed(lambda x: tf.where(tf.math.is_nan(x), tf.zeros_like(x), x)[:, :2])
    decoder = tv.Decoder(tv.networks.mlp((1,), table.params_size, hidden=(), seed=2), table)
    vae = tv.VAE(tv.Encoder(network, posterior), decoder, tv.priors.StandardNormal(1))
    assert np.isfinite(tv.objectives.ELBO().bound(vae, np.where(OBSERVED, rows(), np.nan), seed=(0, 0)).value).all()


def test_other_likelihoods_refuse_missing_cells() -> None:
    vae = trainable(tv.likelihoods.Normal((4,)))
    x = np.where(OBSERVED, rows(), np.nan).astype(np.float32)
    with pytest.raises(DataError, match=r"found nan in row 1.*`likelihood=columns`"):
        tv.objectives.ELBO().bound(vae, x, seed=(0, 0))
    with pytest.raises(DataError, match="found nan in row 1"):
        tv.fit(vae, x, epochs=1)
    with pytest.raises(tv.errors.UsageError, match="does not support `observed`"):
        tv.objectives.ELBO().bound(vae, tv.Batch(x, OBSERVED), seed=(0, 0))
