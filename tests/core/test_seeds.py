"""Stateless seeds: functions of the run's seed, a purpose and indices, all of them distinct."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfp_vae.core.errors import UsageError
from tfp_vae.core.seeds import (
    Purpose,
    fold,
    fold_each,
    generator,
    integer,
    places_of,
    seed_for,
    seed_for_evaluation,
)

PURPOSES = {
    "INITIALIZATION": 1,
    "SHUFFLE": 2,
    "BINARIZATION": 3,
    "LATENT": 4,
    "VALIDATION": 5,
    "EVALUATION": 6,
    "SAMPLE": 7,
    "SPLIT": 8,
    "HELD_OUT": 9,
    "DROPOUT": 10,
    "SUBSET": 11,
    "EMBEDDING": 12,
    "PAIRS": 13,
    "INSPECTION": 14,
}


def as_pair(seed: tf.Tensor) -> tuple[int, int]:
    first, second = np.asarray(seed).tolist()
    return first, second


@pytest.mark.parametrize("name", PURPOSES)
def test_purpose_keeps_its_number_because_results_depend_on_it(name: str) -> None:
    assert Purpose[name] == PURPOSES[name]


def test_folding_is_repeatable_and_depends_on_each_index_and_on_their_order() -> None:
    indices = [(), (0,), (1,), (0, 0), (7, 3), (3, 7)]
    seeds = [as_pair(fold((0, 1), *each)) for each in indices]
    assert seeds == [as_pair(fold(tf.constant([0, 1]), *each)) for each in indices]
    assert len(set(seeds)) == len(indices)


def test_folding_without_an_index_changes_nothing() -> None:
    assert as_pair(fold((3, 4))) == (3, 4)


def test_folding_one_by_one_equals_folding_at_once() -> None:
    assert as_pair(fold(fold((0, 1), 7), 3)) == as_pair(fold((0, 1), 7, 3))


def test_tensors_as_indices_give_the_same_seed_even_in_a_graph() -> None:
    compiled = tf.function(lambda step: fold((0, 1), step))
    assert as_pair(compiled(tf.constant(9))) == as_pair(fold((0, 1), 9))


@pytest.mark.parametrize("seed", [3, np.int64(3)])
def test_one_integer_stands_for_a_pair(seed: int) -> None:
    assert as_pair(fold(seed, 7)) == as_pair(fold((0, 3), 7))


@pytest.mark.parametrize("seed", [(1,), (1, 2, 3)])
def test_refuses_seed_of_another_shape(seed: object) -> None:
    with pytest.raises(UsageError, match=r"`seed`: expected an integer or two integers, such as \(0, 1\), found shape"):
        fold(seed)


@pytest.mark.parametrize("seed", ["a", 1.5, None, (0, "a"), tf.constant([0.5, 1.0])])
def test_refuses_seed_that_is_no_integer(seed: object) -> None:
    with pytest.raises(UsageError, match=r"`seed`: expected an integer or two integers, such as \(0, 1\), found "):
        fold(seed)


@pytest.mark.parametrize("seed", ["a", 1.5, None, (0, 1), -1, np.int64(-1)])
def test_seed_of_a_run_is_a_number_from_zero(seed: object) -> None:
    with pytest.raises(UsageError, match=r"^seed: expected an int, found |^`seed` must be at least 0, found -1"):
        generator(seed, Purpose.SHUFFLE)


def test_seeds_of_different_runs_and_purposes_differ() -> None:
    seeds = {as_pair(seed_for(run, purpose, 1)) for run, purpose in itertools.product(range(3), Purpose)}
    assert len(seeds) == 3 * len(Purpose)


@pytest.mark.parametrize("seed", [3, np.int64(3)])
def test_integer_seeds_an_evaluation_and_a_pair_stays_itself(seed: int) -> None:
    np.testing.assert_array_equal(seed_for_evaluation(seed), seed_for(3, Purpose.EVALUATION))
    assert seed_for_evaluation((3, 1)) == (3, 1)


def test_generators_repeat_and_their_number_of_indices_counts() -> None:
    first, again = (generator(5, Purpose.SHUFFLE, 1).permutation(50) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    draws = [generator(5, Purpose.SHUFFLE, *each).integers(2**62) for each in [(), (0,), (1,), (1, 0), (0, 1)]]
    assert len(set(draws)) == 5


def test_integers_fit_into_31_bits_and_repeat() -> None:
    values = [integer(0, Purpose.EMBEDDING, i) for i in range(200)]
    assert values == [integer(0, Purpose.EMBEDDING, i) for i in range(200)]
    assert all(0 <= value < 2**31 for value in values)
    assert len(set(values)) == 200


def test_each_place_has_the_seed_that_is_folded_from_it() -> None:
    places = [5, 0, 5, 7, 1, 2, 3, 4]
    expected = [as_pair(fold((3, 4), place, 2)) for place in places]
    for count in (3, 4, 8):  # a graph takes several at once if it can
        assert list(map(as_pair, fold_each((3, 4), tf.constant(places[:count]), 2))) == expected[:count]


def test_place_of_a_row_depends_on_its_values_only(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 3)).astype(np.float32)
    x[0] = [0.0, np.nan, 1.0]
    places, order = places_of(x), rng.permutation(50)
    assert places.dtype == np.int32
    assert places.min() >= 0
    assert len(set(places.tolist())) == 50
    np.testing.assert_array_equal(places_of(x[order]), places[order])
    same = np.array([[-0.0, -np.nan, 1.0]], np.float32)  # of the same values in other bits
    assert places_of(same)[0] == places[0]
