"""Batches: plain arrays as batches, and models that do not support missing cells or context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfp_vae.core.batch import Batch, as_batch, batch_values, plain_values
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.types import Array


def test_array_becomes_a_fully_observed_batch() -> None:
    x = np.zeros((3, 2))
    batch = as_batch(x)
    assert batch.x is x
    assert batch.observed is None
    assert batch.context is None


def test_numbers_in_lists_become_an_array() -> None:
    assert np.shape(as_batch(cast("Any", [[1.0, 2.0], [3.0, 4.0]])).x) == (2, 2)


def test_batch_of_a_batch_is_the_same_object() -> None:
    batch = Batch(np.zeros((3, 2)), context=np.ones((3, 1)))
    assert as_batch(batch) is batch


def test_plain_returns_the_array_itself() -> None:
    x = np.zeros((3, 2))
    assert plain_values(Batch(x), "A network") is x


@pytest.mark.parametrize("name", ["observed", "context"])
def test_part_without_support_refuses_and_names_the_field(name: str) -> None:
    batch = Batch(np.zeros((3, 2)))._replace(**{name: np.ones((3, 2))})
    with pytest.raises(UsageError, match=f"The objective ELBO does not support `{name}`. Pass a batch without it."):
        plain_values(batch, "The objective ELBO")


@pytest.mark.parametrize("wrap", [np.asarray, tf.constant], ids=["array", "tensor"])
def test_missing_cells_become_nan_and_lose_their_values(wrap: Callable[[np.ndarray], Array]) -> None:
    x, observed = np.float32([[1, 2], [3, np.nan]]), np.array([[True, False], [False, True]])
    values = batch_values(Batch(wrap(x), wrap(observed)), "A VAE", missing=True)
    np.testing.assert_array_equal(values, [[1, np.nan], [np.nan, np.nan]])
    traced = tf.function(lambda x, observed: batch_values(Batch(x, observed), "A VAE", missing=True))
    np.testing.assert_array_equal(traced(x, observed), values)
    assert values.dtype == np.float32


def test_whole_numbers_with_missing_cells_become_floats() -> None:
    values = batch_values(Batch(np.array([[1, 2]]), np.array([[True, False]])), "A VAE", missing=True)
    np.testing.assert_array_equal(values, [[1, np.nan]])


def test_lists_are_accepted_as_values_and_mask() -> None:
    values = batch_values(Batch([[1, 2]], [[True, False]]), "A VAE", missing=True)
    np.testing.assert_array_equal(values, [[1, np.nan]])


@pytest.mark.parametrize("x", [None, "rows.csv", {"a": 1}, 3.0])
def test_values_that_are_no_array_are_refused(x: object) -> None:
    with pytest.raises(UsageError, match=r"x: expected an array of examples, found .*`data.test.x`"):
        plain_values(Batch(x), "A network")


@pytest.mark.parametrize("wrap", [Batch, as_batch])
@pytest.mark.parametrize(
    "x",
    [
        pd.DataFrame({"city": ["Rome"], "age": [3]}),
        np.array([["3"]]),
        np.array([[1, "b"]], object),
        [["Rome", 3]],
        [["a"]],
        np.array(["2020"], "M8[D]"),
    ],
)
def test_words_are_refused(x: Array, wrap: Callable[[Array], Batch]) -> None:
    with pytest.raises(DataError, match=r"x: expected numbers, found other values in the .*`tv.data.load`"):
        plain_values(wrap(x), "A network")


def test_wrong_masks_and_parts_without_missing_cells_are_refused() -> None:
    x, observed = np.zeros((3, 2)), np.ones((3, 2), bool)
    with pytest.raises(UsageError, match="A network does not support `observed`"):
        batch_values(Batch(x, observed), "A network", missing=False)
    with pytest.raises(UsageError, match="`observed` must have the type bool, found float64"):
        batch_values(Batch(x, 1.0 * observed), "A network", missing=True)
    with pytest.raises(DataError, match=r"shape \(3, 2\) of the values, found \(2, 2\)"):
        batch_values(Batch(x, observed[:2]), "A network", missing=True)
    with pytest.raises(UsageError, match="A network does not support `context`"):
        batch_values(Batch(x, observed, x), "A network", missing=True)
