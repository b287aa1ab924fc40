"""The joint distribution of columns with different densities and missing cells."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfp_vae.core.types import Distribution
from tfp_vae.model.likelihoods import Columns

TABLE = Columns(
    {
        "income": "normal:scale=per-element",
        "city": "categorical:levels=3",
        "visits": "poisson",
        "height": "normal:scale=per-element",
        "smoker": "bernoulli",
    },
    log_scale=(0.5, 0, 0, -2, 0),
)
ROWS = np.float32([[0.2, 0.5, 4, -1, 1], [np.nan, 1, 0, 0.3, np.nan], [np.nan] * 5])


@pytest.fixture(scope="module")
def p() -> Distribution:
    return TABLE(np.random.default_rng(0).normal(size=(4, 3, TABLE.params_size)).astype(np.float32))


def test_cells_have_the_densities_of_their_columns_in_the_units_of_the_data(p: Distribution) -> None:
    found = p.column_log_prob(ROWS).numpy()
    for place, shift in enumerate(TABLE.log_scale):
        column = p.column(place)
        assert (column.batch_shape, column.event_shape) == ((4, 3), ())
        seen = ~np.isnan(ROWS[:, place])
        expected = column.log_prob(np.nan_to_num(ROWS[:, place])).numpy() - shift
        np.testing.assert_allclose(found[:, seen, place], expected[:, seen], rtol=1e-5)
        assert (found[:, ~seen, place] == 0).all()


def test_log_prob_is_the_sum_over_observed_cells(p: Distribution) -> None:
    found = p.log_prob(ROWS).numpy()
    assert found.shape == (4, 3)
    np.testing.assert_allclose(found, p.column_log_prob(ROWS).numpy().sum(axis=-1), rtol=1e-5)
    assert (found[:, 2] == 0).all()


def test_batch_and_event_shapes_are_those_of_rows(p: Distribution) -> None:
    assert (p.batch_shape, p.event_shape) == ((4, 3), (5,))
    np.testing.assert_array_equal(p.batch_shape_tensor(), (4, 3))
    np.testing.assert_array_equal(p.event_shape_tensor(), (5,))


def test_sampled_cells_are_those_of_a_sample_and_other_families_draw_nothing(p: Distribution) -> None:
    wanted = np.array([False, True, False, True, False])
    cells, whole = p.sample_cells(wanted, (0, 1)).numpy(), p.sample(seed=(0, 1)).numpy()
    np.testing.assert_array_equal(cells[..., wanted], whole[..., wanted])
    assert (cells[..., [2, 4]] == 0).all()


def test_samples_are_complete_and_have_the_moments_of_each_column(p: Distribution) -> None:
    x = p.sample(4_000, seed=(0, 1)).numpy()
    assert x.shape == (4_000, 4, 3, 5)
    assert TABLE.support.contains(x).all()
    assert not np.isnan(x).any()
    numbers = [0, 2, 3, 4]
    error = x.std(axis=0)[..., numbers] / np.sqrt(len(x))
    np.testing.assert_array_less(np.abs(x.mean(axis=0) - p.mean())[..., numbers], 4.5 * error)
    frequency = np.stack([(x[..., 1] == word).mean(axis=0) for word in (0, 0.5, 1)], axis=-1)
    probability = np.exp([p.column(1).log_prob(word) for word in (0.0, 0.5, 1.0)])
    np.testing.assert_allclose(frequency, np.moveaxis(probability, 0, -1), atol=0.04)


def test_mean_of_words_is_the_most_probable_one(p: Distribution) -> None:
    by_word = np.stack([p.column(1).log_prob(word) for word in (0.0, 0.5, 1.0)], axis=-1)
    np.testing.assert_array_equal(p.mean()[..., 1], by_word.argmax(axis=-1) / 2)
    np.testing.assert_array_equal(p.mode()[..., 1], p.mean()[..., 1])
    np.testing.assert_array_equal(p.mode()[..., 4], p.column(4).log_prob(1.0) > np.log(0.5))


def test_gradients_are_finite_and_vanish_at_missing_cells() -> None:
    params = tf.constant(np.random.default_rng(1).normal(size=(3, TABLE.params_size)), tf.float32)
    rows = tf.constant(ROWS)
    with tf.GradientTape() as tape:
        tape.watch([params, rows])
        value = TABLE(params).log_prob(rows)
    by_params, by_rows = (grad.numpy() for grad in tape.gradient(value, [params, rows]))
    assert np.isfinite(by_params).all()
    assert np.isfinite(by_rows).all()
    assert (by_params[2] == 0).all()
    assert (by_params[0] != 0).any()
    assert (by_rows[np.isnan(ROWS)] == 0).all()


def test_density_of_numbers_agrees_with_scipy() -> None:
    table = Columns({"a": "normal:scale=1", "b": "normal:scale=1"}, log_scale=(np.log(10.0), 0))
    p = table(np.float32([[1.0, -1.0]]))
    expected = stats.norm(10 * 1.0, 10).logpdf(10 * 0.5) + stats.norm(-1).logpdf(0.25)
    np.testing.assert_allclose(p.log_prob(np.float32([[0.5, 0.25]])), [expected], rtol=1e-6)


def test_column_that_does_not_exist_is_an_index_error(p: Distribution) -> None:
    with pytest.raises(IndexError, match="from 0 to 4, found 5"):
        p.column(5)


@pytest.mark.slow
def test_compiled_density_equals_the_eager_one(p: Distribution) -> None:
    params = tf.constant(np.random.default_rng(1).normal(size=(3, TABLE.params_size)), tf.float32)
    compiled = tf.function(lambda params, x: TABLE(params).log_prob(x), jit_compile=True)
    np.testing.assert_allclose(compiled(params, tf.constant(ROWS)), TABLE(params).log_prob(ROWS), rtol=1e-5)


def test_seeds_of_every_kind_draw_samples(p: Distribution) -> None:
    for seed in (None, 1, (0, 1), tf.constant([0, 1])):
        assert p.sample(2, seed=seed).shape == (2, 4, 3, 5)
