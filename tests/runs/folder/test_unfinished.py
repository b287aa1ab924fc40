"""Finished parts of an interrupted evaluation in a run: kept, found again by the same evaluation only, and deleted."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfp_vae.core.errors import DiskError
from tfp_vae.runs.folder import unfinished
from tfp_vae.runs.folder.files import Files
from tfp_vae.runs.folder.unfinished import Unfinished
from tfp_vae.runs.run import Run

IDENTITY = {"run": "abc", "seed": 0, "refine": "none"}
PART = [np.arange(3.0), np.array([True, False, True]), np.ones((3, 2), np.float32)]


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def interrupted(files: Files, identity: dict[str, Any] = IDENTITY) -> Unfinished:
    """Return the place of an evaluation that wrote two parts of one stage and one of another."""
    clock = Clock()
    kept = Unfinished(files, identity, clock)
    kept.keep("none/pilot/samples", PART)
    kept.keep("none/pilot/samples", PART)
    clock.now = 3
    kept.keep("200", PART[:1])
    return kept


def test_same_evaluation_finds_its_finished_parts(files: Files) -> None:
    assert not interrupted(files).continued
    found = Unfinished(files, IDENTITY)
    assert found.continued
    for column, part in zip(found.finished("none/pilot/samples"), PART, strict=True):
        np.testing.assert_array_equal(column, np.concatenate([part, part]))
        assert column.dtype == part.dtype
    np.testing.assert_array_equal(found.finished("200")[0], PART[0])
    assert found.finished("500") == []


def test_continued_parts_are_kept_with_those_before(files: Files) -> None:
    interrupted(files)
    clock = Clock()
    found = Unfinished(files, IDENTITY, clock)
    clock.now = 3
    found.keep("200", PART[:1])
    assert len(Unfinished(files, IDENTITY).finished("200")[0]) == 6


def test_released_parts_stay_in_the_file(files: Files) -> None:
    kept = interrupted(files)
    kept.release()
    assert kept.finished("200") == []
    assert len(Unfinished(files, IDENTITY).finished("200")[0]) == 3


@pytest.mark.parametrize("change", [{"seed": 1}, {"refine": "local"}, {"run": "abd"}])
def test_another_evaluation_starts_over(change: dict[str, object], files: Files) -> None:
    interrupted(files)
    other = Unfinished(files, IDENTITY | change)
    assert not other.continued
    assert other.finished("200") == []


def test_file_of_another_evaluation_under_the_same_name_is_not_used(files: Files) -> None:
    first, second = interrupted(files), interrupted(files, {"seed": 7})
    files.path(first.name).write_bytes(files.path(second.name).read_bytes())
    assert not Unfinished(files, IDENTITY).continued


def test_file_is_written_every_two_seconds_at_most(files: Files) -> None:
    clock = Clock()
    kept = Unfinished(files, IDENTITY, clock)
    kept.keep("200", PART)
    assert not files.has(kept.name)
    clock.now = unfinished.SECONDS
    kept.keep("200", PART)
    clock.now += unfinished.SECONDS / 2
    kept.keep("200", PART)
    assert len(Unfinished(files, IDENTITY).finished("200")[0]) == 6


@pytest.mark.parametrize("damage", [b"", b"no archive"])
def test_damaged_file_starts_over_with_a_warning(damage: bytes, files: Files, caplog: pytest.LogCaptureFixture) -> None:
    name = interrupted(files).name
    files.path(name).write_bytes(damage or files.path(name).read_bytes()[:-30])
    assert not Unfinished(files, IDENTITY).continued
    assert f"The evaluation starts over, because {files.path(name)} cannot be read" in caplog.text


def test_columns_of_different_lengths_start_over(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    kept = Unfinished(files, IDENTITY, clock)
    clock.now = 3
    kept.keep("200", [np.arange(3.0), np.arange(2.0)])
    assert not Unfinished(files, IDENTITY).continued
    assert "different lengths" in caplog.text


def test_full_disk_warns_once_and_does_not_end_the_evaluation(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise DiskError("could not write the file: no space left on device.")

    monkeypatch.setattr(Files, "write_bytes", refuse)
    kept = interrupted(files)
    kept.keep("200", PART[:1])
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "no space left" in caplog.text
    assert len(kept.finished("200")[0]) == 6


def test_complete_evaluation_leaves_no_file(files: Files) -> None:
    kept, other = interrupted(files), interrupted(files, {"seed": 7})
    kept.remove()
    kept.remove()
    assert not files.has(kept.name)
    assert files.has(other.name)
    other.remove()
    assert not files.has(unfinished.UNFINISHED)


def test_newer_weights_delete_the_finished_parts(copied: Run) -> None:
    name = interrupted(copied.files).name
    checkpoint = copied.checkpoint()
    copied.save_checkpoint(checkpoint)
    assert not copied.files.has(name)
