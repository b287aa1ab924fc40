"""The expectations of each kind of column, and the values that are imputed from them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from tests.helpers.models import make
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.imputation.expectations import Block, blocks, expectations, level_probabilities, require_columns
from tfp_vae.model.likelihoods import Categorical, Columns, DiscretizedLogistic

TABLE = Columns(
    {
        "age": "normal:scale=per-element",
        "city": "categorical:levels=3",
        "visits": "poisson",
        "smoker": "bernoulli",
        "height": "normal:scale=per-element",
        "grade": "discretized-logistic:levels=5",
    },
    dtype="float64",
)


def test_blocks_cover_all_columns_once() -> None:
    parts = blocks(TABLE)
    assert sorted(place for block in parts for place in block.places) == list(range(6))
    assert [block.part.stop - block.part.start for block in parts] == [2, 3, 1, 1, 5]
    assert [block.levels for block in parts] == [0, 3, 0, 0, 5]
    assert [block.ordered for block in parts] == [True, False, True, True, True]
    assert [block.binary for block in parts] == [False, False, False, True, False]


@pytest.mark.parametrize("name", ["categorical", "ordinal"])
def test_two_levels_have_a_probability_each(name: str) -> None:
    (block,) = blocks(Columns({"a": f"{name}:levels=2", "b": f"{name}:levels=2"}))
    assert (block.levels, block.binary, block.part) == (2, False, slice(0, 4))
    values, probabilities = block.best(np.array([[0.7, 0.3, 0.1, 0.9]]))
    np.testing.assert_array_equal(values, [[0, 1]])
    np.testing.assert_array_equal(probabilities, [[0.7, 0.9]])


def test_expectations_are_means_and_probabilities() -> None:
    params = np.random.default_rng(37).normal(size=(2, 3, TABLE.params_size))
    p, parts = TABLE(params), blocks(TABLE)
    means, variances = (np.asarray(part) for part in expectations(p, parts))
    assert means.shape == variances.shape == (2, 3, 12)
    for block in parts:
        for i, place in enumerate(block.places):
            column = p.column(int(place))
            if not block.levels:
                np.testing.assert_allclose(means[..., block.part][..., i], column.mean())
                np.testing.assert_allclose(variances[..., block.part][..., i], column.variance())
                continue
            grid = np.linspace(0, 1, block.levels)
            expected = np.stack([np.exp(column.log_prob(level)) for level in grid], axis=-1)
            np.testing.assert_allclose(means[..., block.part].reshape(2, 3, -1, block.levels)[..., i, :], expected)
            assert not variances[..., block.part].any()


@pytest.mark.parametrize("family", [Categorical((2,), levels=4), DiscretizedLogistic((2,), levels=4)])
def test_probabilities_of_levels_sum_to_one(family: Categorical | DiscretizedLogistic) -> None:
    params = np.random.default_rng(41).normal(size=(3, 2, family.per_element))
    probabilities = np.asarray(level_probabilities(family.elementwise(params), 4))
    assert probabilities.shape == (3, 2, 4)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1)
    if isinstance(family, Categorical):
        np.testing.assert_allclose(probabilities, special.softmax(params, axis=-1))


def test_words_become_the_most_probable_and_ordered_levels_the_median() -> None:
    table = np.array([[0.4, 0.3, 0.3]])
    words = Block(np.array([0]), levels=3, ordered=False, binary=False, part=slice(0, 3))
    value, probability = words.best(table)
    assert (value.item(), probability.item()) == (0, 0.4)
    value, probability = words._replace(ordered=True).best(table)
    assert (value.item(), probability.item()) == (0.5, 0.3)


def test_binary_cells_become_the_more_probable_value() -> None:
    value, probability = Block(np.array([0, 1]), 0, True, True, slice(0, 2)).best(np.array([[0.2, 0.9]]))
    np.testing.assert_allclose(value, [[0, 1]])
    np.testing.assert_allclose(probability, [[0.8, 0.9]])


def test_numbers_become_their_mean() -> None:
    value, probability = Block(np.array([0]), 0, True, False, slice(1, 2)).best(np.array([[0.0, 2.5]]))
    assert value.item() == 2.5
    assert np.isnan(probability.item())


def test_other_likelihood_is_refused_with_its_name() -> None:
    with pytest.raises(UsageError, match="This needs a model of the columns of a table, but the likelihood is Bernoul"):
        require_columns(make().decoder.likelihood, "This")
    assert require_columns(TABLE, "This") is TABLE
