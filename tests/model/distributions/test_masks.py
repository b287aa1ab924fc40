"""The joint distribution of observed cells and of the mask, by sums over all values of a cell."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.incomplete import POINT_MEMBERS
from tfp_vae.core.supports import BINARY, POSITIVE
from tfp_vae.core.types import Distribution
from tfp_vae.model.likelihoods import Columns
from tfp_vae.model.missingness import SelfMasking


@pytest.mark.parametrize("member", list(POINT_MEMBERS))
def test_probabilities_of_both_masks_sum_to_one(member: str) -> None:
    table = Columns({"x": POINT_MEMBERS[member]})
    mask, draw = SelfMasking(table), np.random.default_rng(1)
    for variable in mask.learned:
        variable.assign(0.15 * draw.normal(size=variable.shape))
    p = mask(table(draw.normal(size=(4, table.params_size)).astype(np.float32)))
    x, measure = cells_of(p, table)
    seen = np.exp(p.log_prob(x).numpy().astype(np.float64))  # [n, 4], with the probability of being observed
    total = measure @ seen + np.exp(p.log_prob(np.float32([[np.nan]])).numpy())
    np.testing.assert_allclose(total, 1, atol=2e-3)


def cells_of(p: Distribution, table: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Return nearly all values of the only column, [n, 1, 1], and the weights of a sum over them, [n]."""
    _, family = table.groups[0]
    if family.discrete:
        count = getattr(family, "count", 2 if family.support is BINARY else 3_000)
        x = np.arange(count) / (1 if count == 3_000 else count - 1)
        return x.astype(np.float32).reshape(-1, 1, 1), np.ones(len(x))
    t = np.sinh(np.linspace(-11, 11, 8_001))
    x = np.exp(2 * np.arcsinh(t)) if family.support is POSITIVE else t
    return x.astype(np.float32).reshape(-1, 1, 1), np.gradient(x)


def test_gradient_reaches_the_decoder_through_missing_cells() -> None:
    table = Columns(dict(enumerate(POINT_MEMBERS.values())))
    mask = SelfMasking(table)
    for variable in mask.learned:
        variable.assign(0.1 * np.ones(variable.shape))
    params = tf.Variable(np.random.default_rng(0).normal(size=(2, table.params_size)).astype(np.float32))
    with tf.GradientTape() as tape:
        log_p = mask(table(params)).log_prob(np.full([2, len(POINT_MEMBERS)], np.nan, np.float32))
    gradient = tape.gradient(log_p, params).numpy()
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).sum(axis=0) > 0).all()


def test_shapes_samples_and_means_are_those_of_complete_rows() -> None:
    table = Columns({"a": "normal", "b": "beta", "c": "poisson"})
    plain = table(np.random.default_rng(0).normal(size=(4, 2, table.params_size)).astype(np.float32))
    p = SelfMasking(table, columns=("a",))(plain)
    assert (p.batch_shape, p.event_shape) == ((4, 2), (3,))
    np.testing.assert_array_equal(p.batch_shape_tensor(), (4, 2))
    np.testing.assert_array_equal(p.event_shape_tensor(), (3,))
    for name in ("mean", "mode", "variance"):
        np.testing.assert_array_equal(getattr(p, name)(), getattr(plain, name)())
    assert not np.isnan(p.sample(5, seed=(0, 1))).any()
    rows = np.float32([[np.nan, 0.5, np.nan], [0.3, np.nan, 2]])
    np.testing.assert_array_equal(p.column_log_prob(rows), plain.column_log_prob(rows))
    mask = p.mask_log_prob(rows).numpy()
    assert mask.shape == (4, 2, 3)
    assert (mask[..., 1:] == 0).all()  # the other columns are missing at random
    np.testing.assert_allclose(mask[..., 0], np.log(0.5), rtol=1e-6)  # slope and intercept start at 0
    np.testing.assert_allclose(p.log_prob(rows), plain.log_prob(rows) + mask.sum(axis=-1), rtol=1e-6)
