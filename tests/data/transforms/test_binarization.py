"""Binarizations: grey values become binary, and binary values stay."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.files import dataset
from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.supports import BINARY, OPEN_UNIT, first_violation
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.loading import load
from tfp_vae.data.transforms.binarization import (
    BINARIZATIONS,
    Binarization,
    Dynamic,
    Static,
    Threshold,
    Unchanged,
    prepare,
    transform_held_out,
    usual_binarization,
)


def is_binary(x: np.ndarray) -> bool:
    return first_violation(x, BINARY) is None


@pytest.fixture(scope="module")
def digits_data() -> Dataset:
    return load("digits")


def test_threshold_sets_values_of_at_least_one_half_to_1() -> None:
    np.testing.assert_array_equal(Threshold().training(np.array([0.0, 0.49, 0.5, 1.0]), None), [0, 0, 1, 1])


@pytest.mark.parametrize("name", list(BINARIZATIONS))
def test_draws_attribute_shows_whether_seeds_matter(name: str) -> None:
    grey, binarization = np.full((4, 50), 0.5, np.float32), BINARIZATIONS[name]()
    first, second = (binarization.held_out(grey, np.random.default_rng(seed)) for seed in (0, 1))
    assert binarization.draws == (first != second).any()


@pytest.mark.parametrize("name", [name for name in BINARIZATIONS if name != "none"])
def test_held_out_data_are_binary_and_equal_in_all_runs(name: str, digits_data: Dataset) -> None:
    binarization = BINARIZATIONS[name]()
    first, other_run = (prepare(digits_data, binarization, seed) for seed in (0, 1))
    for split in ("validation", "test"):
        assert is_binary(getattr(first, split).x)
        np.testing.assert_array_equal(getattr(first, split).x, getattr(other_run, split).x)
    assert (first.validation.x != first.test.x).any()


def test_seed_decides_static_training_data(digits_data: Dataset) -> None:
    first, again, other = (prepare(digits_data, Static(), seed).train.x for seed in (0, 0, 1))
    assert is_binary(first)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_dynamic_training_data_stay_grey(digits_data: Dataset) -> None:
    np.testing.assert_array_equal(prepare(digits_data, Dynamic(), 0).train.x, digits_data.train.x)
    assert len(np.unique(digits_data.train.x)) == 17


@pytest.mark.parametrize("execution", ["xla", "graph"])
def test_dynamic_batches_have_the_grey_mean(execution: str) -> None:
    from tfp_vae.core.execution import compile_function

    grey = np.tile(np.float32([0.0, 0.1, 0.5, 0.9, 1.0]), (20_000, 1))
    draw = compile_function(lambda seed: Dynamic().batch(grey, seed), execution)((1, 2)).numpy()
    assert is_binary(draw)
    error = np.sqrt(grey[0] * (1 - grey[0]) / len(grey))
    assert (np.abs(draw.mean(axis=0) - grey[0]) <= 4 * error).all()


@pytest.mark.parametrize("name", list(BINARIZATIONS))
def test_binary_data_stay_the_same(name: str, rng: np.random.Generator) -> None:
    x = (rng.random((50, 4)) > 0.5).astype(np.float32)
    np.testing.assert_array_equal(BINARIZATIONS[name]().held_out(x, rng), x)


def test_none_changes_nothing(digits_data: Dataset) -> None:
    same = prepare(digits_data, Unchanged(), 0)
    assert same.fingerprint() == digits_data.fingerprint()


@pytest.mark.parametrize(
    ("values", "binarization", "message"),
    [
        ([0, 1, 0.25], Unchanged(), r"expected values in \{0, 1\}, found 0.25 in row 2 \(counted from 0\). Try harder"),
        ([0, 255, 7], Unchanged(), r"expected values in \{0, 1\}, found 255 in row 1"),
        ([0, 255, 7], Dynamic(), r"expected values in \[0, 1\], found 255 in row 1"),
        ([0, -3, 7], Threshold(), r"expected values in \[0, 1\], found -3 in row 1"),
    ],
)
def test_error_for_values_outside_the_support_names_the_row(
    values: list[float], binarization: Binarization, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare(dataset(np.float32(values)[:, None]), binarization, 0, support=BINARY, advice="Try harder.")


def test_likelihoods_of_other_data_refuse_binarization() -> None:
    with pytest.raises(
        UsageError, match=r"A likelihood on \(0, 1\) cannot use binarized data. Choose `binarization=none`"
    ):
        Dynamic().takes(OPEN_UNIT)


@pytest.mark.parametrize("name", list(BINARIZATIONS))
def test_preparing_twice_returns_the_same_data_set(name: str, digits_data: Dataset) -> None:
    first = prepare(digits_data, BINARIZATIONS[name](), 0)
    assert prepare(first, BINARIZATIONS[name](), 0) is first
    assert first.transform == BINARIZATIONS[name]()


def test_replaced_data_are_prepared_again(digits_data: Dataset) -> None:
    first = prepare(digits_data, Threshold(), 0)
    grey = replace(first, train=digits_data.train)
    assert grey.profile.grey
    assert not prepare(grey, Threshold(), 0).train.x.max() < 1
    np.testing.assert_array_equal(prepare(grey, Threshold(), 0).train.x, first.train.x)


def test_preparation_does_not_change_the_facts(digits_data: Dataset) -> None:
    assert prepare(digits_data, Dynamic(), 0).profile is digits_data.profile


def test_splits_have_seeds_of_their_own() -> None:
    x = np.full((40, 5), 0.5, np.float32)
    prepared = prepare(dataset(x), Dynamic(), 0)
    assert (prepared.validation.x != prepared.test.x).any()
    np.testing.assert_array_equal(transform_held_out(dataset(x).test, Dynamic()).x, prepared.test.x)
    alone = transform_held_out(Split(x), Dynamic()).x
    np.testing.assert_array_equal(alone, transform_held_out(dataset(x).train, Dynamic()).x)


@pytest.mark.parametrize(("top", "usual"), [(0.5, "dynamic"), (1.0, "none")])
def test_only_grey_data_of_a_binary_likelihood_are_binarized_by_default(top: float, usual: str) -> None:
    profile = dataset(np.array([[0.0, top], [1.0, 0.0]], np.float32)).profile
    assert usual_binarization(BINARY, profile) == usual
    assert usual_binarization(OPEN_UNIT, profile) == "none"
