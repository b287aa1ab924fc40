"""Imputed cells against closed forms, and what their results depend on."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.incomplete import IncompleteGaussian, TwoWords
from tests.helpers.models import make
from tfp_vae.core.batch import Batch
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation import imputation
from tfp_vae.evaluation.imputation import Imputed, impute

MODEL = IncompleteGaussian()
VAE = MODEL.vae()


@pytest.fixture(scope="module")
def found() -> Imputed:
    _, rows = MODEL.data(100)
    return impute(VAE, rows, iw_samples=2_000, draws=30, seed=3, execution="graph")


def test_imputed_cells_agree_with_the_conditional_normal(found: Imputed) -> None:
    _, rows = MODEL.data(100)
    mean, deviation = MODEL.moments(rows)
    holes = np.isnan(rows)
    z = (found.values - mean)[holes] / found.error[holes]
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1, abs=0.2)
    assert np.max(found.error[holes]) < 0.1
    np.testing.assert_allclose(found.deviation[holes], deviation[holes], rtol=0.1)
    np.testing.assert_array_equal(found.values[~holes], rows[~holes])


def test_intervals_contain_the_truth_in_nine_of_ten_cells(found: Imputed) -> None:
    x, rows = MODEL.data(100)
    holes = np.isnan(rows)
    inside = ((found.low <= x) & (x <= found.high))[holes]
    assert abs(inside.mean() - 0.9) < 3 * np.sqrt(0.09 / inside.size)
    width = (found.high - found.low)[holes] / (2 * 1.645 * MODEL.moments(rows)[1][holes])
    assert width.mean() == pytest.approx(1, abs=0.02)


def test_draws_of_a_row_have_the_joint_conditional_covariance() -> None:
    row = MODEL.full.data(1)
    row[0, [0, 3]] = np.nan
    rows = np.repeat(row, 64, axis=0)  # at 64 places, so with 64 independent sets of samples
    draws = impute(VAE, rows, iw_samples=2_000, draws=200, execution="graph").draws.reshape(-1, MODEL.full.size)
    mean, covariance = MODEL.conditional(row[0])
    np.testing.assert_allclose(draws[:, [0, 3]].mean(axis=0), mean, atol=4 * np.sqrt(np.diag(covariance).max() / 9_000))
    np.testing.assert_allclose(np.cov(draws[:, [0, 3]].T), covariance, rtol=0.06, atol=0.03)
    np.testing.assert_array_equal(draws[:, [1, 2, 4]], np.broadcast_to(row[0, [1, 2, 4]], (len(draws), 3)))


def test_complete_rows_take_no_samples(found: Imputed) -> None:
    x, _ = MODEL.data(3)
    taken: list[int] = []
    complete = impute(VAE, x, draws=2, execution="graph", progress=taken.append)
    assert not taken
    assert np.isnan(complete.ess).all()
    np.testing.assert_array_equal(complete.draws, np.stack([x, x]))
    assert not complete.missing.any()
    _, rows = MODEL.data(100)
    assert (np.isnan(found.ess) == ~np.isnan(rows).any(axis=1)).all()


@pytest.mark.slow
def test_result_of_a_row_depends_on_its_content_and_place_only(found: Imputed) -> None:
    _, rows = MODEL.data(100)
    part = np.array([7, 40, 41, 2])
    alone = impute(VAE, rows[part], iw_samples=2_000, draws=30, seed=3, places=part, batch_size=3, execution="graph")
    for name in ("values", "error", "deviation", "low", "high", "ess"):
        np.testing.assert_allclose(getattr(alone, name), getattr(found, name)[part], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(alone.draws, found.draws[:, part], rtol=1e-6)


def test_values_below_holes_have_no_influence(found: Imputed) -> None:
    _, rows = MODEL.data(100)
    garbage = np.where(np.isnan(rows), 1e6, rows)
    again = impute(VAE, Batch(garbage, ~np.isnan(rows)), iw_samples=2_000, draws=30, seed=3, execution="graph")
    np.testing.assert_array_equal(again.values, found.values)
    np.testing.assert_array_equal(again.draws, found.draws)


def test_rows_without_any_observed_cell_are_imputed_by_the_marginals() -> None:
    empty = np.full((64, MODEL.full.size), np.nan)
    found = impute(VAE, empty, iw_samples=2_000, execution="graph")
    z = (found.values - MODEL.full.offset) / found.error
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1, abs=0.25)
    np.testing.assert_allclose(found.deviation.mean(axis=0), np.sqrt(np.diag(MODEL.covariance)), rtol=0.02)


def test_imputed_word_is_the_most_probable_one_given_the_other() -> None:
    model = TwoWords()
    joint, count = model.table(), model.levels[0]
    given = joint / joint.sum(axis=0)
    rows = np.array([[np.nan, k / 3] for k in range(4)])
    found = impute(model.vae(), rows, iw_samples=20_000, draws=400, interval=None, execution="graph")
    np.testing.assert_array_equal(np.round(found.values[:, 0] * (count - 1)), given.argmax(axis=0))
    np.testing.assert_allclose(found.probability[:, 0], given.max(axis=0), atol=0.02)
    shares = np.stack([(np.round(found.draws[:, :, 0] * (count - 1)) == k).mean(axis=0) for k in range(count)])
    np.testing.assert_allclose(shares, given, atol=0.1)
    assert np.isnan(found.low).all()
    assert np.isnan(found.error).all()


def test_one_of_two_words_has_its_probability_given_the_other() -> None:
    model = TwoWords((2, 3))
    joint = model.table()
    given = (joint / joint.sum(axis=0)).T
    rows = np.array([[np.nan, k / 2] for k in range(3)])
    found = impute(model.vae(), rows, iw_samples=100, interval=None, execution="eager")
    np.testing.assert_array_equal(found.values[:, 0], given.argmax(axis=1))
    np.testing.assert_allclose(found.probability[:, 0], given.max(axis=1), atol=0.1)


@pytest.mark.slow
def test_refined_proposal_gives_the_same_means() -> None:
    _, rows = MODEL.data(4)
    mean, _ = MODEL.moments(rows)
    holes = np.isnan(rows)
    settings = {"iw_samples": 400, "interval": None, "execution": "graph"}
    refined = impute(MODEL.vae(widen=3.0), rows, refine="mixture:steps=20", **settings)
    assert (np.abs(refined.values - mean)[holes] < 5 * refined.error[holes]).all()
    assert refined.refine.startswith("mixture:steps=20")


def test_fewer_samples_than_a_tile_are_enough() -> None:
    _, rows = MODEL.data(5)
    found = impute(VAE, rows, iw_samples=7, interval=None, execution="eager")
    assert np.nanmax(found.ess) <= 7 + 1e-9
    assert np.isfinite(found.values).all()
    assert "unreliable" in repr(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": -1}, "`draws` must be at least 0"),
        ({"interval": 1.5}, "`interval` must lie between 0 and 1"),
        ({"iw_samples": 0}, "iw_samples"),
    ],
)
def test_settings_outside_their_limits_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        impute(VAE, MODEL.data(2)[1], execution="graph", **settings)


def test_model_without_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="Imputation needs a model of the columns of a table"):
        impute(make(), np.zeros([1, 4, 3, 1], np.float32))


def test_no_row_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one row"):
        impute(VAE, np.zeros([0, MODEL.full.size]))


def test_record_displays_its_numbers_of_cells_and_rows(found: Imputed) -> None:
    cells, rows = int(found.missing.sum()), int(found.missing.any(axis=1).sum())
    assert repr(found) == f"Imputed({cells:,} cells of {rows:,} rows, K = 2,000)"
    assert f"{cells}" in found._repr_html_()
    np.testing.assert_array_equal(np.asarray(found), found.values)
    assert imputation.impute is impute
