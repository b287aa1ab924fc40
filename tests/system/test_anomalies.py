"""The script that makes the table of anomalies: its images and its AUROC."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "anomalies.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    found = importlib.util.spec_from_file_location("anomalies", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def digits(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(256, size=(10, 28, 28), dtype=np.uint8)


def test_every_kind_has_the_same_number_of_images(
    script: ModuleType, digits: np.ndarray, rng: np.random.Generator
) -> None:
    made = {kind: make(digits, rng) for kind, make in script.KINDS.items()}
    for kind, images in made.items():
        assert images.shape == digits.shape, kind
        assert images.dtype == np.uint8, kind
    np.testing.assert_array_equal(next(iter(made.values())), digits)
    assert len({images.tobytes() for images in made.values()}) == len(made)
    assert not made["blank images"].any()


def test_erases_the_lower_half(script: ModuleType, digits: np.ndarray, rng: np.random.Generator) -> None:
    found = script.erase_lower_half(digits, rng)
    np.testing.assert_array_equal(found[:, :14], digits[:, :14])
    assert not found[:, 14:].any()


def test_auroc_is_the_share_of_pairs_in_the_right_order(script: ModuleType) -> None:
    assert script.auroc(np.array([1.0, 2.0]), np.array([3.0, 4.0]))[0] == 1
    assert script.auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0]))[0] == 0
    assert script.auroc(np.array([1.0, 3.0]), np.array([2.0, 4.0]))[0] == 0.75


def test_rows_give_the_auroc_of_each_score(script: ModuleType, rng: np.random.Generator) -> None:
    usual, other = rng.normal(0, 1, 400), rng.normal(1, 1, 400)
    scores = {"log-likelihood": {"usual": usual, "other": other}, "typicality": {"usual": usual, "other": -other}}
    head, _, row = script.rows(scores)
    assert head == "| images | log-likelihood | typicality |"
    area, error = script.auroc(usual, other)
    assert row.startswith(f"| other | {area:.4f} ± {error:.4f} | ")
