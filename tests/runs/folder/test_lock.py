"""Locks: one holder at a time, and looking hinders nobody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfp_vae.core.errors import DiskError, RunError
from tfp_vae.runs.folder.lock import in_use, lock


def test_lock_is_held_within_the_block_only(tmp_path: Path) -> None:
    path = tmp_path / "file.lock"
    assert not in_use(path)
    with lock(path, "mine"):
        assert in_use(path)
        assert path.read_text() == str(os.getpid())
    assert not in_use(path)
    assert path.exists()


def test_second_holder_is_refused_with_the_process_of_the_first(tmp_path: Path) -> None:
    refused = pytest.raises(RunError, match=f"^mine: process {os.getpid()} is using this folder")
    with lock(tmp_path / "a", "mine"), refused, lock(tmp_path / "a", "mine"):
        pytest.fail("two hold the lock")


def test_lock_ends_with_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="odd"), lock(tmp_path / "a", "mine"):
        raise ValueError("odd")
    assert not in_use(tmp_path / "a")


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError), lock(tmp_path / "none" / "a", "mine"):
        pytest.fail("locked")
    assert not in_use(tmp_path / "none" / "a")
