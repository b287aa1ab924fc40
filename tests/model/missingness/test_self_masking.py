"""Self-masking against integrals by quadrature, and the gradient of its bound."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import tfp_vae as tv
from tests.helpers.incomplete import IncompleteGaussian
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.imputation import impute, score_columns
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import SelfMasking

MODEL = IncompleteGaussian()
PLACE, SLOPE, INTERCEPT = 1, -2.5, 0.4
"""The column that masks itself, and the logistic regression of its mask."""


def masking(table: Columns, hides: str = "unknown") -> SelfMasking:
    """Return the missingness of `PLACE` alone, with the known regression."""
    mask = SelfMasking(table, columns=(table.names[PLACE],), hides=hides)
    slope, intercept = mask.learned
    slope.assign(np.full(slope.shape, SLOPE / 10))
    intercept.assign(np.full(intercept.shape, INTERCEPT / 10))
    return mask


VAE = MODEL.vae(missingness=masking)
GRID = np.linspace(-12, 12, 4_001)


@functools.cache
def rows() -> np.ndarray:
    """Return rows in which a cell of `PLACE` is missing in every second row, and others at random."""
    _, x = MODEL.data(40)
    x[::2, PLACE] = np.nan
    x[1::2, PLACE] = MODEL.full.data(40)[1::2, PLACE]
    return x


def hidden_cell(row: np.ndarray) -> tuple[np.ndarray, float]:
    """Return values and unnormalized weights p(x|x_observed) p(missing|x) of the cell, and the log of their sum."""
    mean, covariance = MODEL.conditional(row)
    place = int(np.flatnonzero(np.flatnonzero(np.isnan(row)) == PLACE)[0])
    center, deviation = mean[place], np.sqrt(covariance[place, place])
    x = center + deviation * GRID
    weight = stats.norm.pdf(GRID) * (GRID[1] - GRID[0]) * special.expit(-(SLOPE * x + INTERCEPT))
    return np.stack([x, weight / weight.sum()]), float(np.log(weight.sum()))


def log_density(row: np.ndarray) -> float:
    """Return log p(x_observed, mask) by quadrature."""
    seen = ~np.isnan(row)
    covariance = MODEL.covariance[np.ix_(seen, seen)]
    of_cells = stats.multivariate_normal(MODEL.full.offset[seen], covariance).logpdf(row[seen])
    if seen[PLACE]:
        return float(of_cells + special.log_expit(SLOPE * row[PLACE] + INTERCEPT))
    return float(of_cells) + hidden_cell(row)[1]


@pytest.mark.slow
def test_estimate_is_the_density_of_the_observed_cells_and_the_mask() -> None:
    found = tv.evaluation.estimate(VAE, rows(), iw_samples=4_000, seed=(0, 1), execution="graph")
    expected = np.array([log_density(row) for row in rows()])
    z = (found.log_likelihood - expected) / found.spread
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1, abs=0.35)
    assert np.max(found.spread) < 0.1


@pytest.mark.slow
def test_mean_weight_is_unbiased_for_the_density() -> None:
    bounds = np.array(
        [tv.objectives.IWAE(mc_samples=500).bound(VAE, rows()[:4], seed=(seed, 1)).value for seed in range(30)]
    )
    ratio = np.exp(bounds - [log_density(row) for row in rows()[:4]])
    error = ratio.std(axis=0, ddof=1) / np.sqrt(len(ratio))
    assert (np.abs(ratio.mean(axis=0) - 1) < 4 * error).all()


@pytest.fixture(scope="module")
def imputed() -> tv.evaluation.Imputed:
    return impute(VAE, rows(), iw_samples=4_000, draws=100, execution="graph")


@pytest.mark.slow
def test_imputed_cell_is_the_mean_given_that_it_is_missing(imputed: tv.evaluation.Imputed) -> None:
    z, deviations = [], []
    for i in range(0, 40, 2):
        (x, weight), _ = hidden_cell(rows()[i])
        mean = x @ weight
        z.append((imputed.values[i, PLACE] - mean) / imputed.error[i, PLACE])
        deviations.append(imputed.deviation[i, PLACE] / np.sqrt(x**2 @ weight - mean**2))
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.4)
    np.testing.assert_allclose(deviations, 1, rtol=0.1)


@pytest.mark.slow
def test_draws_and_intervals_of_a_missing_cell_follow_its_distribution(imputed: tv.evaluation.Imputed) -> None:
    place, inside = [], []
    for i in range(0, 40, 2):
        (x, weight), _ = hidden_cell(rows()[i])
        below = np.cumsum(weight)
        place.extend(np.interp(imputed.draws[:, i, PLACE], x, below))
        low, high = (np.interp(end[i, PLACE], x, below) for end in (imputed.low, imputed.high))
        inside.append(high - low)
    assert stats.kstest(place, "uniform").statistic < 0.05
    assert np.mean(inside) == pytest.approx(0.9, abs=0.015)


@pytest.mark.slow
def test_other_missing_cells_follow_from_the_one_that_masks_itself(imputed: tv.evaluation.Imputed) -> None:
    plain = impute(MODEL.vae(), rows(), iw_samples=1_000, interval=None, execution="graph")
    moved = (imputed.values - plain.values)[::2]
    along = MODEL.covariance[PLACE] / MODEL.covariance[PLACE, PLACE]
    others = np.isnan(rows()[::2]) & (np.arange(5) != PLACE)
    assert np.all(moved[:, PLACE] > 0)  # because high values are hidden
    assert np.corrcoef(moved[others], np.broadcast_to(along, others.shape)[others])[0, 1] > 0.3


@pytest.mark.slow
def test_score_of_a_cell_does_not_count_its_own_mask_as_missing() -> None:
    row = MODEL.full.data(3)
    row[1:, PLACE] += 25  # so unusual that the cell is estimated again without it
    found, plain = (score_columns(vae, row, iw_samples=500, execution="graph").values for vae in (VAE, MODEL.vae()))
    np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_gradient_of_the_bound_is_its_slope() -> None:
    mask = VAE.decoder.missingness
    slope, intercept = mask.learned
    objective = tv.objectives.IWAE(mc_samples=20)

    def loss() -> tf.Tensor:
        return objective.loss(VAE, rows(), seed=(0, 1))

    with tf.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip((slope, intercept), tape.gradient(value, [slope, intercept]), strict=True):
        start, step = variable.numpy(), np.zeros(variable.shape)
        step[PLACE] = 1e-4
        ends = []
        for end in (start + step, start - step):
            variable.assign(end)
            ends.append(float(loss()))
        variable.assign(start)
        assert float(np.ravel(gradient)[PLACE]) == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4)
        others = np.arange(5) != PLACE
        np.testing.assert_array_equal(np.ravel(gradient)[others], 0)  # because these are missing at random


@pytest.mark.parametrize(("hides", "sign"), [("high", -1), ("low", 1)])
def test_slopes_have_the_known_sign(hides: str, sign: int) -> None:
    table = Columns({"a": "normal", "b": "log-normal"})
    mask = SelfMasking(table, hides=hides)
    for variable in mask.learned:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    assert [np.sign(slope) for slope, _ in mask.coefficients().values()] == [sign, sign]


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({"a": "beta", "b": "normal"}, {}, "does not support the likelihood of a"),
        ({"a": "normal"}, {"columns": ("aa",)}, "no column 'aa'. Did you mean 'a'"),
        ({"a": "normal"}, {"columns": ""}, "columns"),
        ({"a": "normal"}, {"hides": "all"}, "hides"),
    ],
)
def test_settings_that_do_not_suit_the_table_are_refused(columns: dict, settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SelfMasking(Columns(columns), **settings)


def test_other_likelihoods_are_refused() -> None:
    with pytest.raises(UsageError, match="needs a table of columns"):
        SelfMasking(tv.likelihoods.Normal((3,)))


def test_columns_of_other_likelihoods_may_be_missing_at_random() -> None:
    mask = SelfMasking(Columns({"a": "beta", "b": "normal"}), columns="b")
    assert list(mask.coefficients()) == ["b"]


def test_model_shows_the_assumption() -> None:
    assert "p(m|x)" in repr(VAE)
    assert "p(m|x)" not in repr(MODEL.vae())


def test_standardized_slopes_give_the_same_density() -> None:
    table = Columns({"a": "normal", "b": "poisson"})
    plain, standard = SelfMasking(table), SelfMasking(table, loc=(0.5, 2.0), scale=(2.0, 0.25))
    for slope, variable in zip((0.3, -0.1, 0.2, 0.05), plain.learned, strict=True):
        variable.assign([slope] if variable.shape.rank == 1 else [[slope]])
    for place, scale, loc in ((0, 2.0, 0.5), (2, 0.25, 2.0)):
        slope, intercept = (float(np.ravel(plain.learned[place + i])[0]) for i in (0, 1))
        standard.learned[place].assign([[slope * scale]])
        standard.learned[place + 1].assign([intercept + slope * loc])
    params, row = np.ones([1, table.params_size], np.float32), np.float32([[np.nan, 3]])
    np.testing.assert_allclose(standard(table(params)).log_prob(row), plain(table(params)).log_prob(row), rtol=1e-5)
    for name, numbers in plain.coefficients().items():
        assert standard.coefficients()[name] == pytest.approx(numbers, rel=1e-5)
