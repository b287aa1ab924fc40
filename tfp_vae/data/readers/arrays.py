"""Array files -> arrays: idx, amat, npy, npz. Every reader refuses what is malformed before it takes the memory.

`sources` calls a reader by the file's name, `archive` calls `read_npz` for checkpoints. A header says how large an
array will be: it is held against the file's size before anything is allocated, and nothing is unpickled, so that a
damaged or hostile file costs no more than it can really hold.
"""

from __future__ import annotations

import gzip
import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfp_vae.core.errors import DataError, one_line

__all__ = ["check_file", "not_there", "read_amat", "read_idx", "read_npy", "read_npz"]

_IDX_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
_GZIP_MAGIC = b"\x1f\x8b"
_PIECE = 1 << 24
LARGEST_AMAT = 1 << 30
"""The most characters that are read of an `.amat` file, unpacked."""

_MOST_INFLATED = 1_040
"""The most bytes that deflate makes of one, which is 1,032, and a little."""

LONGEST_HEADER = 10_000
"""Bytes of the header of an `.npy` file, as many as NumPy itself accepts."""


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file, plain or gzipped: a big-endian header (type, dimensions), then the values in row order.

    Returns:
      Of the type and shape that the header gives, in the machine's byte order.

    Raises:
      DataError: no such file, another format, or fewer or more values than the header promises.

    References:
      LeCun, Cortes and Burges (1998), The MNIST database of handwritten digits: the IDX file format.
    """
    with _reading(path), _opened(path) as stream:
        dtype, shape = _idx_header(stream, path)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        values = _read_at_most(stream, size + 1)
    if len(values) != size:
        found = "more" if len(values) > size else str(len(values))
        raise DataError(
            f"{path}: its header promises {size} bytes for the shape {shape}, found {found}; get the file anew."
        )
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _idx_header(stream: BinaryIO, path: Path) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _IDX_TYPES or not 1 <= magic[3] <= 8:
        raise DataError(
            f"{path}: expected an idx file (bytes 00 00, a type, a rank of 1 to 8), found {magic.hex(' ') or 'none'}."
        )
    dimensions = stream.read(4 * magic[3])
    if len(dimensions) < 4 * magic[3]:
        raise DataError(
            f"{path}: expected {magic[3]} dimensions in the idx header, found the end of the file; get it anew."
        )
    shape: tuple[int, ...] = struct.unpack(f">{magic[3]}I", dimensions)
    return _IDX_TYPES[magic[2]], shape


def read_amat(path: Path) -> np.ndarray:
    """Read an `.amat` file, plain or gzipped: a row of 0s and 1s, for each example. uint8 [N, M].

    Raises:
      DataError: no such file, other characters than 0, 1 and blanks, rows of different lengths, or more than 2^30
        characters.
    """
    with _reading(path), _opened(path) as stream:
        text = np.frombuffer(_read_at_most(stream, LARGEST_AMAT + 1), np.uint8)
    if text.size > LARGEST_AMAT:
        raise DataError(f"{path}: expected at most {LARGEST_AMAT:,} characters, found more; save it as .npy.")
    if text.size and not _AMAT_CHARACTERS[text].all():
        raise DataError(f"{path}: expected only 0, 1, spaces and line ends in an .amat file, found other characters.")
    is_value = text >= ord("0")
    rows = _row_lengths(text, is_value)
    if len(rows) == 0 or (rows != rows[0]).any():
        raise DataError(
            f"{path}: expected rows of one length, found lengths {sorted(set(rows.tolist()))[:5]}; get it anew."
        )
    return (text[is_value] - ord("0")).reshape(len(rows), rows[0])


_AMAT_CHARACTERS = np.isin(np.arange(256), np.frombuffer(b"01 \r\n", np.uint8))


def _row_lengths(text: np.ndarray, is_value: np.ndarray) -> np.ndarray:
    """Return how many values stand on each line that holds any.

    By counting between line ends, all at once: a file has ten thousands of lines.
    """
    starts = np.concatenate([[0], np.flatnonzero(text == ord("\n")) + 1])
    lengths = np.add.reduceat(np.append(is_value, False), starts, dtype=np.int64)
    return np.asarray(lengths[lengths > 0])


def read_npy(path: Path) -> np.ndarray:
    """Read one array from an `.npy` file; its header is held against the file's size first.

    Raises:
      DataError: no such file, another format, objects instead of numbers, or less than the header promises.
    """
    with _reading(path), path.open("rb") as stream:
        _check_header(stream, path.stat().st_size, str(path))
        stream.seek(0)
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def read_npz(
    path: Path, check: Callable[[list[zipfile.ZipInfo]], None] = lambda entries: None
) -> Mapping[str, np.ndarray]:
    """Read all arrays of an `.npz` archive by name; each header is held against the archive's own sizes first.

    Args:
      path: the archive.
      check: sees the archive's table of entries before any of them is read, and raises DataError to refuse it.

    Raises:
      DataError: no such file, damage, objects instead of numbers, or an entry that promises more than it can hold.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        check(archive.infolist())
        return {entry.filename.removesuffix(".npy"): _npz_entry(archive, entry, path) for entry in archive.infolist()}


def _npz_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """Return one array of an archive, once what it promises is plausible.

    Deflate packs at most 1,032 bytes into one: an entry that promises more is a bomb, or damaged.
    """
    if entry.file_size > _MOST_INFLATED * max(entry.compress_size, 1):
        raise DataError(
            f"{path}, {entry.filename}: promises {entry.file_size} bytes, more than it can hold; get it anew."
        )
    with archive.open(entry) as stream:
        _check_header(stream, entry.file_size, f"{path}, {entry.filename}")
    with archive.open(entry) as stream:
        array = np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
        stream.read()  # the checksum is verified at the end of the entry
        return array


def _check_header(stream: Any, size: int, name: str) -> None:
    """Refuse an array of objects, which only unpickling could read, or of more bytes than there are.

    Done on the raw stream, before NumPy would make room for the array.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise DataError(f"{name}: expected npy format 1.0 or 2.0, found {version}; save it again.")
    _check_header_length(stream, version, name)
    shape, _, dtype = readers[version](stream)
    if dtype.itemsize == 0 or any(length < 0 for length in shape):
        raise DataError(f"{name}: expected an array of numbers, found {dtype} of shape {shape}; save it as numbers.")
    if dtype.hasobject:
        raise DataError(f"{name}: expected an array of numbers, found an object array; save it as numbers.")
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if promised > size:
        raise DataError(f"{name}: its header promises {promised} bytes, found {size}; get the file anew.")


def _check_header_length(stream: Any, version: tuple[int, int], name: str) -> None:
    """Refuse a header longer than that of any array of numbers, which would be read whole; leave the stream there.

    NumPy parses the header as a Python literal: a long one would cost time and memory that no array of numbers needs.
    """
    form = {(1, 0): "<H", (2, 0): "<I"}[version]
    start = stream.tell()
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    if length > LONGEST_HEADER:
        raise DataError(f"{name}: expected a header of at most {LONGEST_HEADER} bytes, found {length}; save it again.")
    stream.seek(start)


_MALFORMED = (
    ArithmeticError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
)
"""What numpy and zipfile raise for headers that make no sense."""


def not_there(path: Path) -> DataError:
    """Return the error of a file that is not there."""
    return DataError(f"{path}: expected a file, found none; check the path, or name its folder with `data_dir`.")


def check_file(path: Path) -> None:
    """Raise DataError for what is there but is no file or folder, or is empty.

    A pipe would be waited for, a device has no end.
    """
    if not (path.is_file() or path.is_dir()) and path.exists():
        raise DataError(f"{path}: expected a file, found a pipe or a device; give a file.")
    if path.is_file() and not path.stat().st_size:
        raise DataError(f"{path}: expected data, found an empty file; get it anew.")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a reader finds wrong into a DataError that names the file."""
    try:
        check_file(path)
        yield
    except FileNotFoundError as error:
        raise not_there(path) from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: the file is damaged or cut short ({one_line(error)}); get it anew.") from error
    except _MALFORMED as error:
        raise DataError(f"{path}: not a readable array file ({one_line(error)}).") from error
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror or error}).") from error


def _opened(path: Path) -> BinaryIO:
    """Open a file that may be gzipped, whatever its name."""
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _read_at_most(stream: BinaryIO, size: int) -> bytes:
    """Read up to `size` bytes in pieces, so that a header that lies costs no more than what is there."""
    buffer = io.BytesIO()
    while (left := size - buffer.tell()) > 0 and (piece := stream.read(min(left, _PIECE))):
        buffer.write(piece)
    return buffer.getvalue()
