"""The examples in a run's folder: they are read back exactly, and damaged, foreign and compressed files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import memory
from tfp_vae.core.errors import RunError
from tfp_vae.core.files import write_arrays
from tfp_vae.runs.folder.examples import COLUMNS, read_splits

SHAPE = (4, 4, 1)


def arrays(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    """Return the arrays of a file with three splits of 5, 2 and 0 examples."""
    draw = np.random.default_rng(0)
    found: dict[str, np.ndarray | None] = {}
    for split, size in (("train", 5), ("validation", 2), ("test", 0)):
        found[f"x_{split}"] = draw.random((size, *SHAPE), np.float32)
        found[f"y_{split}"] = np.arange(size)
        found[f"rows_{split}"] = np.arange(size)
        found[f"context_{split}"] = draw.random((size, 2), np.float32)
        found[f"names_{split}"] = np.array([f"{i}.png" for i in range(size)], "U9")
    return {name: array for name, array in (found | changes).items() if array is not None}


def test_splits_are_read_back_exactly(tmp_path: Path) -> None:
    write_arrays(tmp_path / "data.npz", arrays())
    splits = read_splits(tmp_path / "data.npz", SHAPE)
    assert {name: len(split) for name, split in splits.items()} == {"train": 5, "validation": 2, "test": 0}
    for column in COLUMNS:
        field = getattr(splits["train"], column)
        np.testing.assert_array_equal(field, arrays()[f"{column}_train"])


def test_only_x_is_needed(tmp_path: Path) -> None:
    write_arrays(tmp_path / "data.npz", {name: x for name, x in arrays().items() if name.startswith("x_")})
    assert read_splits(tmp_path / "data.npz", SHAPE)["train"].y is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": None}, "expected an array x_train, found none"),
        ({"x_test": np.zeros((0, 4), np.float32)}, r"x_test: expected shape \(0, 4, 4, 1\)"),
        ({"x_train": np.zeros((5, *SHAPE), np.int64)}, "x_train: .* found int64"),
        ({"x_train": np.float32(1)}, "x_train: .* found float32"),
        ({"y_train": np.arange(4)}, r"y_train: expected shape \(5,\), found int64 of \(4,\)"),
        ({"y_train": np.zeros(5, complex)}, "y_train: .* found complex128"),
        ({"rows_train": np.zeros(5)}, "rows_train: .* found float64"),
        ({"names_train": np.arange(5)}, "names_train: .* found int64"),
        ({"surprise": np.zeros(1)}, "unknown array 'surprise'"),
    ],
    ids=str,
)
def test_other_arrays_are_refused(changes: dict[str, np.ndarray | None], message: str, tmp_path: Path) -> None:
    write_arrays(tmp_path / "data.npz", arrays(**changes))
    with pytest.raises(RunError, match=message) as error:
        read_splits(tmp_path / "data.npz", SHAPE)
    assert error.value.exit_code == 4
    assert str(error.value).endswith("Restore the file from a copy, or save the run again.")


def test_compressed_archive_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    """A file of 50 kB that holds 50 MB."""
    huge = np.zeros((800_000, *SHAPE), np.float32)
    np.savez_compressed(tmp_path / "data.npz", **arrays(x_train=huge))
    assert (tmp_path / "data.npz").stat().st_size < 100_000
    with memory.at_most(1_000_000), pytest.raises(RunError, match="expected uncompressed entries"):
        read_splits(tmp_path / "data.npz", SHAPE)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_file_cut_short_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    write_arrays(path, arrays())
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RunError, match=r"data\.npz"):
        read_splits(path, SHAPE)
