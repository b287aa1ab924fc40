"""Cells as weighted points, against samples of the same distributions."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.incomplete import POINT_MEMBERS
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import SelfMasking


@pytest.mark.parametrize("member", list(POINT_MEMBERS))
def test_distribution_of_a_missing_cell_has_the_moments_of_weighted_samples(member: str) -> None:
    table = Columns({"x": POINT_MEMBERS[member]})
    mask, draw = SelfMasking(table), np.random.default_rng(2)
    for variable in mask.learned:
        variable.assign(0.15 * draw.normal(size=variable.shape))
    p = mask(table(0.5 * draw.normal(size=(3, table.params_size)).astype(np.float32)))
    x = p.sample(40_000, seed=(0, 5)).numpy()[..., 0].astype(np.float64)
    weight = -np.expm1(p.mask_log_prob(x[..., np.newaxis].astype(np.float32)).numpy()[..., 0].astype(np.float64))
    mean = (weight * x).sum(axis=0) / weight.sum(axis=0)
    error = np.sqrt(np.sum(weight**2 * (x - mean) ** 2, axis=0)) / weight.sum(axis=0)
    missing = p.given_missing()
    expected = missing.column(0).mean().numpy() if member != "categorical" else mean
    assert (np.abs(expected - mean) < 4.5 * error + 1e-3 * np.abs(mean)).all()
    drawn = missing.sample(20_000, seed=(0, 6)).numpy()[..., 0].astype(np.float64)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error + 4.5 * drawn.std(axis=0) / np.sqrt(20_000)).all()
    assert table.support.contains(drawn[..., np.newaxis].astype(np.float32)).all()


@pytest.mark.parametrize("member", list(POINT_MEMBERS))
def test_points_have_the_moments_of_their_distribution(member: str) -> None:
    table = Columns({"x": POINT_MEMBERS[member]})
    p = table(0.5 * np.random.default_rng(3).normal(size=(5, table.params_size)).astype(np.float32)).column(0)
    points = table.groups[0].family.points(p)
    weight = np.exp(points.log_probs.numpy()) * np.ones_like(points.values)
    np.testing.assert_allclose(weight.sum(axis=0), 1, rtol=1e-5)
    if member != "categorical":  # words have no mean
        np.testing.assert_allclose(np.sum(weight * points.values, axis=0), p.mean(), rtol=2e-3)
