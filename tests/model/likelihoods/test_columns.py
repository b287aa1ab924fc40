"""The likelihood of tables: its columns, parameters, features and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tfp_vae.core.errors import UsageError
from tfp_vae.core.supports import Violation
from tfp_vae.model.likelihoods import ELEMENTWISE, LIKELIHOODS, Columns
from tfp_vae.model.networks import dropping

KINDS: dict[str, Any] = {
    "a": "normal:scale=per-element",
    "b": "categorical:levels=3",
    "c": {"name": "normal", "scale": "per-element"},
    "d": LIKELIHOODS.member("negative-binomial"),
    "e": "bernoulli",
}
ROWS = np.float32([[0.5, 0.5, -1, 6, 1], [np.nan, np.nan, 2, np.nan, np.nan]])


def test_columns_of_equal_likelihood_are_one_group() -> None:
    table = Columns(KINDS)
    assert [group.places.tolist() for group in table.groups] == [[0, 2], [1], [3], [4]]
    assert table.params_size == 2 * 2 + 3 + 2 + 1
    assert table.event_shape == (5,)
    assert table.names == list("abcde")
    assert repr(table) == "Columns(2 normal, 1 categorical, 1 negative-binomial, 1 bernoulli)"


def test_member_of_the_table_builds_an_equal_likelihood() -> None:
    member = LIKELIHOODS.member({"name": "columns", "columns": KINDS, "log_scale": [1, 0, 0, 0, 0], "missing": True})
    built = LIKELIHOODS.build(member, (5,), dtype="float32")
    assert built == Columns(KINDS, log_scale=(1, 0, 0, 0, 0), missing=True)
    assert LIKELIHOODS.member(member) == member


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_elementwise_likelihood_can_be_a_column(name: str) -> None:
    table = Columns({"a": builders.SMALL.get(name, name), "b": builders.SMALL.get(name, name)})
    alone = builders.likelihood(name, (2,))
    params = tf.constant(0.5 * np.random.default_rng(0).normal(size=(6, table.params_size)), tf.float32)
    x = builders.data(name, 6, (2,))
    np.testing.assert_allclose(table(params).log_prob(x), alone(params).log_prob(x), rtol=1e-5)
    x[:, 1] = np.nan
    both = table(params).column_log_prob(x).numpy()
    np.testing.assert_allclose(both[:, 0], table(params).log_prob(x), rtol=1e-6)
    assert table.support.contains(x).all()
    assert np.isfinite(table.features(x)).all()


def test_support_is_that_of_each_column_or_missing() -> None:
    support = Columns(KINDS).support
    assert support.contains(ROWS.astype(np.float64)).all()
    wrong = np.array([[np.inf, 0.3, np.inf, -1, 2]])
    assert not support.contains(wrong).any()
    assert not support.contains(np.array([0.0, 1.0])).any()
    assert support.describe(Violation(0, 0.5, (3,))) == "values in {0, 1, 2, ...} in column 'd'"


def test_features_are_numbers_log_counts_and_words() -> None:
    found = Columns(KINDS).features(ROWS).numpy()
    np.testing.assert_allclose(found, [[0.5, -1, 0, 1, 0, np.log(7), 1], [0, 2, 0, 0, 0, 0, 0]], rtol=1e-6)
    with_mask = Columns(KINDS, missing=True)
    assert with_mask.features_size == 12
    np.testing.assert_array_equal(with_mask.features(ROWS)[:, 7:], ~np.isnan(ROWS))


def test_cells_are_hidden_from_the_encoder_in_training_steps_only() -> None:
    rows = np.tile(np.float32([[0.2, 0.5, -1, 6, 1]]), [4_000, 1])
    table, whole = Columns(KINDS, hide=0.3), Columns(KINDS, missing=True)
    assert table.features_size == whole.features_size
    np.testing.assert_array_equal(table.features(rows), whole.features(rows))
    with dropping((3, 4)):
        found, again = table.features(rows).numpy(), table.features(rows).numpy()
    np.testing.assert_array_equal(found, again)
    with dropping((3, 5)):
        assert (table.features(rows).numpy() != found).any()
    seen = found[:, -5:]
    np.testing.assert_allclose(seen.mean(axis=0), 0.7, atol=4 * np.sqrt(0.21 / 4_000))
    np.testing.assert_allclose(np.corrcoef(seen.T) - np.eye(5), 0, atol=4 / np.sqrt(4_000))
    np.testing.assert_array_equal(found, whole.features(np.where(seen == 1, rows, np.nan)))


def test_initial_params_give_the_means_of_the_columns() -> None:
    table = Columns(KINDS)
    p = table(table.initial_params([0.3, 0.2, -2, 6, 0.25]))
    np.testing.assert_allclose(p.mean().numpy()[[0, 2, 3, 4]], [0.3, -2, 6, 0.25], rtol=1e-4)
    assert np.isfinite(table.initial_params(np.full(5, np.nan))).all()


def test_initial_marginals_give_the_distributions_of_observed_cells() -> None:
    draw = np.random.default_rng(2)
    table = Columns({**KINDS, "f": "log-normal", "g": "ordinal:levels=4", "h": "poisson", "i": "beta"})
    n = 4_000
    columns = [
        draw.normal(3, 2, n),
        draw.choice([0, 0.5, 1], n, p=[0.7, 0.1, 0.2]),
        draw.normal(-1, 0.5, n),
        draw.negative_binomial(2, 0.25, n),
        draw.random(n) < 0.3,
        np.exp(draw.normal(1, 0.4, n)),
        draw.choice(4, n, p=[0.1, 0.2, 0.6, 0.1]) / 3,
        draw.poisson(4, n),
        np.full(n, np.nan),
    ]
    complete = np.stack(columns, axis=1)
    x = np.where(draw.random(complete.shape) < 0.2, np.nan, complete)
    p = table(table.initial_marginals(x))
    for place in (0, 2, 3, 4, 5, 7):
        assert float(p.column(place).mean()) == pytest.approx(np.nanmean(x[:, place]), rel=0.1)
        assert float(p.column(place).stddev()) == pytest.approx(np.nanstd(x[:, place]), rel=0.15)
    words, grades = (np.exp(p.column(j).log_prob(np.linspace(0, 1, levels))) for j, levels in ((1, 3), (6, 4)))
    np.testing.assert_allclose(words, [0.7, 0.1, 0.2], atol=0.03)
    np.testing.assert_allclose(grades, [0.1, 0.2, 0.6, 0.1], atol=0.03)
    assert float(p.column(8).mean()) == pytest.approx(0.5, abs=0.01)


def test_features_of_whole_numbers_are_those_of_floats() -> None:
    table = Columns({"a": "poisson", "b": "bernoulli"}, missing=True)
    rows = np.array([[3, 1], [0, 0]])
    np.testing.assert_array_equal(table.features(rows), table.features(rows.astype(np.float32)))


def test_features_of_learned_inputs_outside_the_support_are_finite() -> None:
    table = Columns({"a": "log-normal", "b": "poisson", "c": "categorical:levels=3"})
    assert np.isfinite(table.features(np.float32([[-0.3, -2, 0.7]]))).all()


def test_learned_scale_belongs_to_the_likelihood() -> None:
    table = Columns({"a": "normal", "b": "poisson"}, dtype="float64")
    assert [variable.dtype for variable in table.learned] == [tf.float64]
    assert Columns(KINDS).learned == ()


def test_units_are_part_of_the_density() -> None:
    assert Columns(KINDS).change_of_units(3.0, binarized=False) == 0


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "`columns` must name the likelihood of each column"),
        ({"a": "columns"}, "column 'a' needs the likelihood of a single column"),
        ({"a": "size-factor-poisson"}, "column 'a' needs a likelihood of single values"),
        ({"b": "normal", "a": "categorical"}, "set `levels` of column 'a'"),
        ({"a": 3}, "expected a name with settings"),
        ({"a": "nrmal"}, "Did you mean 'normal'"),
        ({"a": "poisson:rate=1"}, "rate"),
    ],
)
def test_wrong_columns_raise_an_error(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Columns(columns)


def test_shape_and_scales_must_have_one_number_per_column() -> None:
    with pytest.raises(UsageError, match="names 1 columns, but an example has the shape"):
        Columns((3,), columns={"a": "normal"})
    with pytest.raises(UsageError, match="expected 1 numbers `log_scale`, found 2"):
        Columns({"a": "normal"}, log_scale=(1, 2))
    with pytest.raises(UsageError, match="`log_scale` of column 'b' must be 0"):
        Columns({"a": "normal", "b": "bernoulli"}, log_scale=(1, 2))
    with pytest.raises(UsageError, match=r"log_scale.*found nan"):
        Columns({"a": "normal"}, log_scale=(np.nan,))


def test_columns_that_the_data_must_decide_are_refused_without_them() -> None:
    with pytest.raises(UsageError, match="`columns` must name the likelihood of each column"):
        LIKELIHOODS.build(LIKELIHOODS.member("columns"), (3,))
