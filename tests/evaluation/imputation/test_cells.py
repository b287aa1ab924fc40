"""The score of each cell against closed forms, and cells that contradict their row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

import tfp_vae as tv
from tests.helpers.incomplete import IncompleteGaussian, TwoWords
from tests.helpers.models import make
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.imputation import ColumnScores, cells, score_columns, typical_scores
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal

MODEL = IncompleteGaussian()
VAE = MODEL.vae()


def given_the_rest(rows: np.ndarray) -> np.ndarray:
    """Return log p(x_j|x_rest) of each observed cell, [N, C]."""
    found = np.full(rows.shape, np.nan)
    for i, j in zip(*np.nonzero(~np.isnan(rows)), strict=True):
        row = np.where(np.arange(rows.shape[1]) == j, np.nan, rows[i])
        mean, covariance = MODEL.conditional(row)
        place = int(np.flatnonzero(np.flatnonzero(np.isnan(row)) == j)[0])
        found[i, j] = stats.norm(mean[place], np.sqrt(covariance[place, place])).logpdf(rows[i, j])
    return found


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """64 rows with missing cells, and in row 5 a cell that contradicts the others."""
    rows = MODEL.data(64, share=0.2)[1]
    rows[5] = MODEL.full.data(6)[5]
    rows[5, 0] += 12
    return rows


@pytest.fixture(scope="module")
def found(rows: np.ndarray) -> ColumnScores:
    return score_columns(VAE, rows, iw_samples=2_000, seed=3, execution="graph")


def test_scores_agree_with_the_conditional_density(rows: np.ndarray, found: ColumnScores) -> None:
    truth = given_the_rest(rows)
    seen = ~np.isnan(rows)
    np.testing.assert_array_equal(np.isnan(found.values), ~seen)
    np.testing.assert_array_equal(np.isnan(found.ess), ~seen)
    difference = (found.values - truth)[seen]
    assert (np.abs(difference) < 6 / np.sqrt(found.ess[seen])).all()
    assert np.median(np.abs(difference)) < 0.05


def test_cell_that_contradicts_its_row_is_estimated_without_it(rows: np.ndarray, found: ColumnScores) -> None:
    truth = given_the_rest(rows)
    assert truth[5, 0] < -30
    assert found.values[5, 0] == pytest.approx(truth[5, 0], abs=1)
    assert np.unravel_index(np.nanargmax(found.surprise()), rows.shape) == (5, 0)


def test_cells_that_are_hidden_together_agree_with_the_conditional_density(
    rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell is estimated again, with up to two others that the proposal does not see."""
    monkeypatch.setattr(cells, "MOST_PASSES", 2)
    monkeypatch.setattr(cells, "FEWEST_EFFECTIVE", np.inf)
    found = score_columns(VAE, rows[:16], iw_samples=2_000, seed=3, execution="graph")
    difference = (found.values - given_the_rest(rows[:16]))[~np.isnan(rows[:16])]
    assert (np.abs(difference) < 6 / np.sqrt(found.ess[~np.isnan(rows[:16])])).all()
    assert np.median(np.abs(difference)) < 0.05


@pytest.mark.parametrize(("count", "groups"), [(1, 1), (32, 32), (33, 32), (500, 32)])
def test_a_row_is_sampled_at_most_32_times_again(count: int, groups: int) -> None:
    columns = np.arange(100, 100 + count)
    found = cells.spread(columns)
    assert len(found) == groups
    assert max(map(len, found)) == -(-count // 32)
    assert sorted(np.concatenate(found)) == list(columns)
    assert all((np.diff(group) >= groups).all() for group in found)


def test_scores_of_a_row_depend_on_its_content_and_place_only(rows: np.ndarray, found: ColumnScores) -> None:
    part = np.array([5, 60, 2])
    alone = score_columns(VAE, rows[part], iw_samples=2_000, seed=3, places=part, batch_size=2, execution="graph")
    np.testing.assert_allclose(alone.values, found.values[part], rtol=1e-6)
    np.testing.assert_allclose(alone.ess, found.ess[part], rtol=1e-6)


def test_unit_of_a_column_shifts_its_scores_by_the_log_of_the_factor(rows: np.ndarray) -> None:
    log_scale = (0.0, np.log(10), 0.0, 0.0, 0.0)
    plain, scaled = (
        score_columns(vae, rows[:4], iw_samples=100, execution="eager") for vae in (VAE, MODEL.vae(log_scale=log_scale))
    )
    shift = plain.values - scaled.values
    np.testing.assert_allclose(shift, np.where(np.isnan(shift), np.nan, log_scale), atol=1e-9)
    np.testing.assert_allclose(scaled.surprise(), plain.surprise(), atol=1e-9)


@pytest.mark.slow
def test_scores_of_words_agree_with_enumeration() -> None:
    model = TwoWords()
    joint = model.table()
    first, second = np.divmod(np.arange(12), 4)
    rows = np.stack([first / 2, second / 3], axis=1)
    found = score_columns(model.vae(), rows, iw_samples=20_000, execution="graph").values
    np.testing.assert_allclose(found[:, 0], np.log(joint / joint.sum(axis=0)).ravel(), atol=0.1)
    np.testing.assert_allclose(found[:, 1], np.log(joint / joint.sum(axis=1, keepdims=True)).ravel(), atol=0.1)


def test_surprise_compares_with_the_median_or_with_given_scores(found: ColumnScores) -> None:
    np.testing.assert_allclose(np.nanmedian(found.surprise(), axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.surprise(np.zeros(5)), -found.values)


def test_typical_scores_are_the_medians_of_generated_rows() -> None:
    """The conditional of the Normal model has a known scale s, and the median of z^2 is 0.455."""
    whole = MODEL.full.data(1)
    whole[0, 4] = np.nan
    typical = typical_scores(VAE, whole, rows=64, iw_samples=2_000, execution="graph")
    scales = []
    for j in range(4):
        row = np.where(np.arange(5) == j, np.nan, whole[0])
        scales.append(np.sqrt(MODEL.conditional(row)[1][0, 0]))
    expected = -np.log(np.array(scales) * np.sqrt(2 * np.pi)) - 0.455 / 2
    np.testing.assert_allclose(typical[:4], expected, atol=0.25)
    assert np.isnan(typical[4])


def test_typical_scores_of_many_rows_are_those_of_rows_evenly_spread() -> None:
    holes = np.where(np.arange(40)[:, np.newaxis] < 36, MODEL.full.data(40), np.nan)  # the last four are empty
    settings = {"rows": 4, "iw_samples": 20, "execution": "eager"}
    found = typical_scores(VAE, holes, **settings)
    np.testing.assert_array_equal(found, typical_scores(VAE, holes[[0, 13, 26, 39]], **settings))
    assert (found != typical_scores(VAE, holes[:4], **settings)).all()


def test_typical_scores_need_a_row() -> None:
    with pytest.raises(UsageError, match="at least one row"):
        typical_scores(VAE, np.zeros([0, MODEL.full.size]))
    with pytest.raises(UsageError, match="`rows` must be at least 1, found 0"):
        typical_scores(VAE, np.zeros([1, MODEL.full.size]), rows=0)
    with pytest.raises(UsageError, match="typical_scores: vae"):
        typical_scores(None, np.zeros([1, MODEL.full.size]))  # type: ignore[arg-type]


def small_vae(columns: dict[str, str], params: list[float]) -> tv.VAE:
    """Return a model whose columns do not depend on z."""
    table = Columns(columns)
    encoder = tv.Encoder(Fixed(lambda features: 0 * features[:, :2]), DiagonalNormal(1), sees=table)
    decoder = tv.Decoder(Fixed(lambda z: 0 * z + np.float32(params)), table)
    return tv.VAE(encoder, decoder, StandardNormal(1))


@pytest.mark.slow
def test_generated_cells_outside_the_support_count_as_missing() -> None:
    """Many draws of this beta round to 1."""
    vae = small_vae({"share": "beta", "age": "normal:scale=1.0"}, [3.0, -3.0, 0.0])
    assert (vae.sample(8)[:, 0] == 1).numpy().any()
    found = typical_scores(vae, np.float32([[0.5, 0.5]]), rows=8, iw_samples=20, execution="eager")
    assert np.isfinite(found).all()


@pytest.mark.parametrize("together", [False, True])
def test_extreme_cell_does_not_round_away_the_scores_of_the_others(
    monkeypatch: pytest.MonkeyPatch, together: bool
) -> None:
    """Its density is -5 10^9 nats, where neighbouring numbers in float32 are 512 apart."""
    if together:  # both cells of a row are hidden at once
        monkeypatch.setattr(cells, "MOST_PASSES", 1)
        monkeypatch.setattr(cells, "FEWEST_EFFECTIVE", np.inf)
    vae = small_vae({"weight": "normal:scale=0.01", "smoker": "bernoulli"}, [0.0, -1.0])
    found = score_columns(vae, np.float32([[1_000, 1], [1_000, 0]]), iw_samples=200, execution="eager")
    np.testing.assert_allclose(found.values[:, 1], stats.bernoulli(special.expit(-1)).logpmf([1, 0]), atol=1e-4)
    np.testing.assert_allclose(found.values[:, 0], stats.norm(0, 0.01).logpdf(1_000), rtol=1e-4)


def test_whole_numbers_are_scored_as_floats_are() -> None:
    vae = small_vae({"visits": "poisson", "days": "poisson"}, [1.0, 2.0])
    rows, settings = np.array([[1, 2], [0, 3]]), {"iw_samples": 20, "execution": "eager"}
    found = score_columns(vae, rows, **settings)
    np.testing.assert_array_equal(found.values, score_columns(vae, rows.astype(np.float32), **settings).values)
    np.testing.assert_allclose(found.values, stats.poisson(np.logaddexp(0, [1, 2])).logpmf(rows), atol=1e-4)


def test_record_displays_its_numbers_of_cells_and_rows(rows: np.ndarray, found: ColumnScores) -> None:
    assert repr(found).startswith(f"ColumnScores({np.sum(~np.isnan(rows))} cells of 64 rows, K = 2,000")
    np.testing.assert_array_equal(np.asarray(found), found.values)


def test_model_without_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="needs a model of the columns of a table"):
        score_columns(make(), np.zeros([1, 4, 3, 1], np.float32))


def test_no_row_and_no_batch_are_refused() -> None:
    with pytest.raises(UsageError, match="at least one row"):
        score_columns(VAE, np.zeros([0, MODEL.full.size]))
    with pytest.raises(UsageError, match="`batch_size` must be at least 1, found 0"):
        score_columns(VAE, np.zeros([1, MODEL.full.size]), batch_size=0)
