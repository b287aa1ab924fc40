"""Readers and the member syntax, given whatever comes: an array, or one sentence."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_files import GOOD, idx, npy, npz
from tests.test_images import encoded
from tests.test_members import TABLE
from tfp_vae import files
from tfp_vae.errors import DataError, UsageError
from tfp_vae.images import read_folder
from tfp_vae.tables import read_csv


def read_png(path: Path) -> dict[str, Any]:
    """Read a folder in which the file is the only image."""
    return read_as(path, "a.png")


def read_jpeg(path: Path) -> dict[str, Any]:
    return read_as(path, "a.jpg")


def read_as(path: Path, name: str) -> dict[str, Any]:
    (path.parent / "folder").mkdir(exist_ok=True)
    shutil.copy(path, path.parent / "folder" / name)
    return {split: found.x for split, found in read_folder(path.parent / "folder").items()}


SEEDS = {
    files.read_idx: idx(GOOD),
    files.read_amat: b"0 1 1\n1 0 0\n",
    files.read_npy: npy(GOOD),
    files.read_npz: npz(x=GOOD, y=GOOD[:, 0, 0]),
    read_csv: b"a,b,c\n1,2,3\n4,,NA\n",
    read_png: encoded(GOOD[0]),
    read_jpeg: encoded(GOOD[0], "jpeg"),
}


def spoiled(content: bytes) -> st.SearchStrategy[bytes]:
    """Give bytes at random, or `content` cut, or with some bytes changed."""
    changes = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)

    def changed(spots: list[tuple[int, int]]) -> bytes:
        spoilt = bytearray(content)
        for place, byte in spots:
            spoilt[place] = byte
        return bytes(spoilt)

    return st.binary(max_size=300) | st.integers(0, len(content)).map(lambda n: content[:n]) | changes.map(changed)


@pytest.mark.parametrize("reader", SEEDS, ids=lambda reader: reader.__name__)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_readers_give_arrays_or_a_sentence(reader: object, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data.draw(spoiled(SEEDS[reader])))
    found, refusal = {}, ""
    try:
        found = reader(path)
    except DataError as error:
        refusal = str(error)
    arrays = found.values() if isinstance(found, dict) else [getattr(found, "x", found)]
    assert all(array.dtype.kind != "O" for array in arrays)
    assert "\n" not in refusal
    assert len(refusal) < 600


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=40) | st.from_regex(r"wide:(hidden|rate|kind)=[0-9a-b,.=-]{0,12}", fullmatch=True))
def test_member_syntax_gives_a_member_or_a_sentence(text: str) -> None:
    with contextlib.suppress(UsageError):
        member = TABLE.member(text)
        assert TABLE.member(str(member)) == member
