"""The examples of a command: a split of the run, or a new file, with names for files and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tfp_vae.cli.examples import Examples, select_examples

from tfp_vae.core.errors import UsageError
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.runs.run import Run


def examples(*, split: str | None = None, data: str | None = None) -> Examples:
    x = np.zeros((3, 2, 2, 1), np.float32)
    return Examples(Split(x, np.array([4, 5, 6])), np.arange(3), {"dataset": "digits", "data": data, "split": split})


def test_a_split_gives_its_name() -> None:
    assert examples(split="validation").name == "validation"
    assert examples(split="validation").title == "3 validation examples"


def test_a_new_file_never_has_the_name_of_a_split(tmp_path: Path) -> None:
    found = examples(data=str(tmp_path / "test.npy"))
    assert found.name == "data-test"
    assert found.title == "3 examples of test"


def test_columns_identify_each_example() -> None:
    columns = examples(split="test").columns()
    assert list(columns["example"]) == [0, 1, 2]
    assert list(columns["label"]) == [4, 5, 6]
    assert "name" not in columns


def test_columns_have_the_lines_of_a_table() -> None:
    table = Split(np.zeros((3, 2), np.float32), lines=np.array([2, 3, 5]))
    found = Examples(table[[2, 0]], np.arange(2), {"dataset": "a.csv", "data": None, "split": "test"}).columns()
    assert list(found["line"]) == [5, 2]
    assert list(found["row"]) == [2, 0]


def test_ids_make_room_for_the_names_of_results() -> None:
    ids = {name: np.array([f"{name} {i}" for i in range(2)]) for name in ("patient", "error", "error_", "line")}
    table = Split(np.zeros((2, 1), np.float32), lines=np.array([2, 3]), ids=ids)
    error = np.array([0.1, 0.2])
    found = Examples(table, np.arange(2), {"dataset": "a.csv", "data": None, "split": "test"}).columns({"error": error})
    assert list(found) == ["example", "row", "line", "patient", "error__", "error_", "line_", "error"]
    assert found["error"] is error
    assert found["error__"].tolist() == ["error 0", "error 1"]
    assert found["line"].tolist() == [2, 3]


def test_the_test_split_is_the_default(trained: Path, digits: Dataset) -> None:
    found = select_examples(Run(trained), None, None, None)
    assert found.origin == {"dataset": "digits", "data": None, "split": "test"}
    assert len(found.split) == len(digits.test)
    assert not found.drawn


@pytest.mark.parametrize("count", [1, 7, 180, 500])
def test_a_limit_keeps_examples_that_are_evenly_spread(count: int, trained: Path) -> None:
    found = select_examples(Run(trained), None, "test", None, max_examples=count)
    assert len(found.split) == len(found.places) == min(count, 180)
    assert found.places[0] == 0
    assert count == 1 or found.places[-1] == 179
    steps = np.diff(found.places)
    assert count == 1 or steps.max() - steps.min() <= 1


def test_new_grey_values_are_binarized_at_random(trained: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    np.save(tmp_path / "mine.npy", rng.random((5, 8, 8)))
    found = select_examples(Run(trained), str(tmp_path / "mine.npy"), None, None)
    assert found.name == "data-mine"
    assert found.drawn
    assert set(np.unique(found.split.x)) <= {0, 1}


def test_a_file_and_a_split_contradict_each_other(trained: Path) -> None:
    with pytest.raises(UsageError, match=r"--data and --split were both given\. Keep one"):
        select_examples(Run(trained), "x.npy", "test", None)
