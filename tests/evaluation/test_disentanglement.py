"""Disentanglement of codes that are perfect, rotated or independent of the factors."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.core.errors import DataError
from tfp_vae.evaluation.disentanglement import Disentanglement, disentangle

N = 1_500


@pytest.fixture
def factors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two classes of 4 and 3 values, and a measurement."""
    return {"shape": rng.integers(4, size=N), "colour": rng.choice(["red", "green", "blue"], N), "size": rng.random(N)}


def columns(factors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the factors as columns of numbers with unit variance, [N, 3]."""
    numbers = [np.unique(values, return_inverse=True)[1].astype(float) for values in factors.values()]
    numbers[2] = factors["size"]
    return np.stack([(each - each.mean()) / each.std() for each in numbers], axis=1)


def test_one_dimension_for_each_factor_is_perfect(factors: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    z = np.concatenate([columns(factors)[:, [2, 0, 1]], rng.normal(size=(N, 1))], axis=1)
    found = disentangle(z, factors)
    assert found.mig > 0.95
    assert found.sap > 0.65  # the second best predicts by chance
    assert min(found.disentanglement, found.completeness) > 0.98
    assert found.informativeness > 0.99


def test_a_rotated_code_has_no_gap_but_is_as_informative(rng: np.random.Generator) -> None:
    first, second = rng.random((2, 6_000))
    z = np.stack([first + second, first - second], axis=1)
    found = disentangle(z, {"first": first, "second": second})
    assert max(found.mig, found.sap) < 0.05
    assert max(found.disentanglement, found.completeness) < 0.1
    assert found.informativeness > 0.95


def test_a_code_of_noise_tells_nothing(factors: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    found = disentangle(rng.normal(size=(N, 3)), factors)
    assert max(found.mig, found.sap) < 0.08
    assert max(found.disentanglement, found.completeness) < 0.15
    assert found.informativeness < 0.3  # chance is 1/4, 1/3 and 0


def test_a_factor_in_two_dimensions_has_no_gap_but_each_serves_one_factor() -> None:
    value = np.random.default_rng(0).integers(5, size=N)
    found = disentangle(np.stack([value, value], axis=1), {"value": value})
    assert (found.mig, found.sap) == (0, 0)
    assert found.completeness < 0.1


def test_gap_of_a_noisy_code_is_its_information(rng: np.random.Generator) -> None:
    """A bit that z shows rightly with probability 0.9 has log 2 - H(0.1) nats of log 2."""
    bit = rng.integers(2, size=20_000)
    z = np.where(rng.random(20_000) < 0.9, bit, 1 - bit)[:, np.newaxis]
    expected = 1 + (0.9 * np.log(0.9) + 0.1 * np.log(0.1)) / np.log(2)
    assert abs(disentangle(z, {"bit": bit}).mig - expected) < 0.03


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_measurement_with_one_frequent_extreme_value_has_information(sign: int, rng: np.random.Generator) -> None:
    value = sign * np.where(rng.random(N) < 0.97, 0, 0.5 + rng.random(N))
    assert disentangle(value[:, np.newaxis], {"v": value}).mig == pytest.approx(1)


def test_a_collapsed_code_is_not_complete() -> None:
    found = disentangle(np.zeros((40, 2)), {"a": np.arange(40) % 2})
    assert (found.disentanglement, found.completeness) == (0, 0)


def test_the_seed_decides(factors: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    z = rng.normal(size=(200, 2))
    few = {name: values[:200] for name, values in factors.items()}
    assert disentangle(z, few, seed=3) == disentangle(z, few, seed=3) != disentangle(z, few, seed=4)
    assert isinstance(disentangle(z, few), Disentanglement)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(20), "the same value in every example"),
        (np.array([f"name {i}" for i in range(1_001)]), "neither classes nor finite numbers"),
        (np.array([0.5, np.nan] * 10), "neither classes nor finite numbers"),
    ],
)
def test_refuses_factors_without_classes_and_numbers(values: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        disentangle(np.zeros((len(values), 1)), {"v": values})


def test_refuses_few_examples_and_no_factors() -> None:
    with pytest.raises(DataError, match="at least 10 examples, found 1 and 4"):
        disentangle(np.zeros((4, 2)), {"v": np.arange(4)})
    with pytest.raises(DataError, match="needs a factor"):
        disentangle(np.zeros((40, 2)), {})
