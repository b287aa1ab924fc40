"""Array files: round trips, and one sentence for each damaged file."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.files import GOOD, idx, npy, npz
from tfp_vae.core.errors import DataError
from tfp_vae.data.readers import arrays as files


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(content: bytes, name: str = "file") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return written


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("code", "dtype"), [(0x08, ">u1"), (0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_idx_round_trip(zipped: bool, code: int, dtype: str, write: Callable[..., Path]) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = idx(values, code)
    found = files.read_idx(write(gzip.compress(content) if zipped else content))
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype.newbyteorder("=")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("text", [b"0 1 1 \n1 0 0 \n", b"0 1 1\r\n1 0 0", b"\n0 1 1\n\n1 0 0\n"])
def test_amat_round_trip(zipped: bool, text: bytes, write: Callable[..., Path]) -> None:
    found = files.read_amat(write(gzip.compress(text) if zipped else text))
    np.testing.assert_array_equal(found, [[0, 1, 1], [1, 0, 0]])


def test_npy_and_npz_round_trip(write: Callable[..., Path], rng: np.random.Generator) -> None:
    x, y = rng.random((3, 4)), np.arange(3)
    np.testing.assert_array_equal(files.read_npy(write(npy(x))), x)
    found = files.read_npz(write(npz(x=x, y=y)))
    assert found.keys() == {"x", "y"}
    np.testing.assert_array_equal(found["x"], x)
    np.testing.assert_array_equal(found["y"], y)


OBJECTS = np.array([{"a": 1}, None], dtype=object)


def lying_npz() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
        archive.writestr("x.npy", header.getvalue() + b"\0" * 64)
    return buffer.getvalue()


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


DAMAGED: dict[str, tuple[Callable[[Path], object], bytes]] = {
    "idx empty": (files.read_idx, b""),
    "idx of another kind": (files.read_idx, b"\x89PNG and so on"),
    "idx without its dimensions": (files.read_idx, idx(GOOD)[:9]),
    "idx cut short": (files.read_idx, idx(GOOD)[:-1]),
    "idx too long": (files.read_idx, idx(GOOD) + b"\0"),
    "idx whose header promises a terabyte": (files.read_idx, idx(GOOD, shape=(1000, 100000, 10000))),
    "idx whose header promises more than any machine": (files.read_idx, idx(GOOD, shape=(2**32 - 1,) * 200)),
    "idx of an unknown type": (files.read_idx, idx(GOOD, code=0x77)),
    "idx.gz cut short": (files.read_idx, gzip.compress(idx(GOOD))[:-12]),
    "idx.gz with a flipped byte": (files.read_idx, flipped(gzip.compress(idx(GOOD)), 40)),
    "amat with a two": (files.read_amat, b"0 1 2\n"),
    "amat with uneven rows": (files.read_amat, b"0 1\n0 1 1\n"),
    "amat empty": (files.read_amat, b""),
    "amat.gz cut short": (files.read_amat, gzip.compress(b"0 1 1 0\n" * 99)[:-9]),
    "npy empty": (files.read_npy, b""),
    "npy cut short": (files.read_npy, npy(GOOD)[:-5]),
    "npy of objects": (files.read_npy, npy(OBJECTS, allow_pickle=True)),
    "npy of another kind": (files.read_npy, b"hello, world"),
    "npz cut short": (files.read_npz, npz(x=GOOD)[:-30]),
    "npz with a flipped byte": (files.read_npz, flipped(npz(x=GOOD), 200)),
    "npz of objects": (files.read_npz, npz(x=OBJECTS)),
    "npz that lies": (files.read_npz, lying_npz()),
    "npz of another kind": (files.read_npz, b"hello, world"),
}


@pytest.mark.parametrize("name", list(DAMAGED))
def test_refuses_damage_in_one_sentence(name: str, write: Callable[..., Path]) -> None:
    reader, content = DAMAGED[name]
    path = write(content)
    with pytest.raises(DataError) as error:
        reader(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("reader", [files.read_idx, files.read_amat, files.read_npy, files.read_npz])
def test_refuses_missing_file_and_folder(reader: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, found none"):
        reader(tmp_path / "nothing")
    with pytest.raises(DataError):
        reader(tmp_path)


@pytest.mark.parametrize("dtype", ["V0", "S0", "<U0"])
def test_refuses_arrays_of_values_without_bytes(dtype: str, tmp_path: Path) -> None:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1000000000000,), }}".ljust(117) + "\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
    with pytest.raises(DataError, match="expected an array of numbers"):
        files.read_npy(tmp_path / "x.npy")


def test_refuses_huge_headers_before_parsing(tmp_path: Path) -> None:
    content = b"\x93NUMPY\x02\x00" + struct.pack("<I", 50_000_000) + b" " * 50_000_000
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    tracemalloc.start()
    with pytest.raises(DataError, match="expected a header of at most 10000 bytes"):
        files.read_npz(tmp_path / "x.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_archive_reads_only_the_arrays_that_are_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3), notes=np.array([{}]))
    archive = files.Archive(tmp_path / "a.npz")
    assert archive.names() == ["x", "notes"]
    assert list(archive.read({"x"})) == ["x"]
    with pytest.raises(DataError, match=r"a[.]npz, notes[.]npy: expected an array of numbers, found an object array"):
        archive.read(archive.names())


def test_archive_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a file, found none"):
        files.Archive(tmp_path / "a.npz").names()
