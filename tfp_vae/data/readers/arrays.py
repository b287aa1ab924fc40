"""Readers of array files: idx, amat, npy and npz.

A header says how large an array will be. Each reader checks it against the file's size before it allocates memory, and
nothing is unpickled, so a damaged or hostile file costs no more memory than it really fills. `sources` calls a reader
by the file's name, and `runs.folder.checkpoint` calls `read_npz`.
"""

from __future__ import annotations

import gzip
import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast, final

import numpy as np

from tfp_vae.core.errors import DataError, one_line

__all__ = [
    "Archive",
    "check_file",
    "name_errors",
    "open_plain",
    "read_amat",
    "read_at_most",
    "read_idx",
    "read_npy",
    "read_npz",
]

IDX_TYPES: Mapping[int, np.dtype] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
"""The types of values in idx files, by the byte that names them."""

GZIP_MAGIC = b"\x1f\x8b"

PIECE = 1 << 20
"""Bytes to read at once."""

LARGEST_AMAT = 1 << 30
"""The most characters of an `.amat` file, unpacked."""

AMAT_CHARACTERS = np.isin(np.arange(256), np.frombuffer(b"01 \r\n", np.uint8))

MOST_INFLATED = 1_040
"""Slightly more bytes than deflate can pack into one, which is 1,032."""

LONGEST_HEADER = 10_000
"""The most bytes of the header of an `.npy` file, as in NumPy."""

MALFORMED = (
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
"""Errors that NumPy and zipfile raise for headers that make no sense."""


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file, plain or gzipped: a big-endian header with the type and the dimensions, then the values.

    Returns:
      An array of the type and shape in the header, in the machine's byte order.

    Raises:
      DataError: the file is missing, has another format, or holds fewer or more values than its header promises.

    References:
      LeCun, Cortes and Burges (1998), The MNIST database of handwritten digits: the IDX file format.
    """
    with name_errors(path), open_plain(path) as stream:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES or not 1 <= magic[3] <= 8:
            raise DataError(
                f"{path}: expected an idx file (bytes 00 00, a type, a rank of 1 to 8), found "
                f"{magic.hex(' ') or 'none'}."
            )
        dtype, rank = IDX_TYPES[magic[2]], magic[3]
        dimensions = stream.read(4 * rank)
        if len(dimensions) < 4 * rank:
            raise DataError(
                f"{path}: expected {rank} dimensions in the idx header, found the end of the file. Download it again."
            )
        shape: tuple[int, ...] = struct.unpack(f">{rank}I", dimensions)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        values = read_at_most(stream, size + 1)
    if len(values) != size:
        found = "more" if len(values) > size else str(len(values))
        raise DataError(
            f"{path}: its header promises {size} bytes for the shape {shape}, found {found}. Download the file again."
        )
    return np.frombuffer(values, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def read_amat(path: Path) -> np.ndarray:
    """Read an `.amat` file, plain or gzipped, with one row of 0s and 1s per example, as uint8 [N, M].

    Raises:
      DataError: the file is missing, has more than 2^30 characters or others than 0, 1 and blanks, or its rows have
        different lengths.
    """
    with name_errors(path), open_plain(path) as stream:
        text = np.frombuffer(read_at_most(stream, LARGEST_AMAT + 1), np.uint8)
    if text.size > LARGEST_AMAT:
        raise DataError(f"{path}: expected at most {LARGEST_AMAT:,} characters, found more. Save it as .npy.")
    if text.size and not AMAT_CHARACTERS[text].all():
        raise DataError(f"{path}: expected only 0, 1, spaces and line ends in an .amat file, found other characters.")
    is_value = text >= ord("0")
    starts = np.concatenate([[0], np.flatnonzero(text == ord("\n")) + 1])
    lengths = np.add.reduceat(np.append(is_value, False), starts, dtype=np.int64)
    rows = lengths[lengths > 0]
    if len(rows) == 0 or (rows != rows[0]).any():
        raise DataError(
            f"{path}: expected rows of one length, found lengths {sorted(set(rows.tolist()))[:5]}. Check the file."
        )
    return (text[is_value] - ord("0")).reshape(len(rows), rows[0])


def read_npy(path: Path) -> np.ndarray:
    """Read one array from an `.npy` file after a check of its header against the file's size.

    Raises:
      DataError: the file is missing, has another format, holds objects instead of numbers, or is shorter than its
        header promises.
    """
    with name_errors(path), path.open("rb") as stream:
        check_npy_header(stream, path.stat().st_size, str(path))
        stream.seek(0)
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


@final
class Archive:
    """The arrays of an `.npz` archive, read by name, so that others are not even unpacked.

    Args:
      path: the archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Return the names of all arrays.

        Raises:
          DataError: the file is missing or damaged.
        """
        with name_errors(self.path), zipfile.ZipFile(self.path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]

    def read(
        self, names: Collection[str], check: Callable[[list[zipfile.ZipInfo]], None] = lambda entries: None
    ) -> Mapping[str, np.ndarray]:
        """Return some arrays by name, after a check of each header against the archive's own sizes.

        Args:
          names: the names of the arrays.
          check: called with the table of entries before any of them is read. It raises DataError to refuse them.

        Raises:
          DataError: see `read_npz`.
        """
        arrays = {}
        with name_errors(self.path), zipfile.ZipFile(self.path) as archive:
            check(archive.infolist())
            for entry in archive.infolist():
                name, where = entry.filename.removesuffix(".npy"), f"{self.path}, {entry.filename}"
                if name not in names:
                    continue
                if entry.file_size > MOST_INFLATED * max(entry.compress_size, 1):
                    raise DataError(
                        f"{where}: the archive promises {entry.file_size} bytes, more than it can hold.",
                        remedy="Download it again.",
                    )
                with archive.open(entry) as stream:
                    check_npy_header(stream, entry.file_size, where)
                with archive.open(entry) as stream:
                    arrays[name] = np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
                    stream.read()  # the checksum is verified at the end of the entry
        return arrays


def read_npz(
    path: Path, check: Callable[[list[zipfile.ZipInfo]], None] = lambda entries: None
) -> Mapping[str, np.ndarray]:
    """Read all arrays of an `.npz` archive by name, after a check of each header against the archive's own sizes.

    Args:
      path: the archive.
      check: is called with the table of entries before any of them is read. It raises DataError to refuse the archive.

    Raises:
      DataError: the file is missing or damaged, holds objects instead of numbers, or has an entry that promises more
        than it can hold.
    """
    archive = Archive(path)
    return archive.read(archive.names(), check)


def check_npy_header(stream: IO[bytes], size: int, name: str) -> None:
    """Refuse an array of objects, which only unpickling could read, or one that promises more bytes than there are.

    This happens before NumPy allocates the array. NumPy parses the header as a Python literal, so a long one would cost
    time and memory that no array of numbers needs.

    Args:
      stream: at the start of an `.npy` file.
      size: the number of bytes of the file.
      name: the file's name in messages.
    """
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise DataError(f"{name}: expected npy format 1.0 or 2.0, found {version}.", remedy="Save it again.")
    form, start = {(1, 0): "<H", (2, 0): "<I"}[version], stream.tell()
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    if length > LONGEST_HEADER:
        raise DataError(
            f"{name}: expected a header of at most {LONGEST_HEADER} bytes, found {length}.", remedy="Save it again."
        )
    stream.seek(start)
    shape, _, dtype = readers[version](stream)
    if dtype.itemsize == 0 or any(length < 0 for length in shape):
        raise DataError(
            f"{name}: expected an array of numbers, found {dtype} of shape {shape}.", remedy="Save it as numbers."
        )
    if dtype.hasobject:
        raise DataError(f"{name}: expected an array of numbers, found an object array.", remedy="Save it as numbers.")
    promise = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if promise > size:
        raise DataError(
            f"{name}: its header promises {promise} bytes, found {size}.", remedy="Download the file again."
        )


def check_file(path: Path) -> None:
    """Raise DataError if a path is a pipe or a device, which may have no end, or an empty file.

    Args:
      path: of a file or folder, which may be missing.
    """
    if not (path.is_file() or path.is_dir()) and path.exists():
        raise DataError(f"{path}: expected a file, found a pipe or a device.", remedy="Pass a file.")
    if path.is_file() and not path.stat().st_size:
        raise DataError(f"{path}: expected data, found an empty file.", remedy="Download or save it again.")


@contextmanager
def name_errors(
    path: Path, malformed: tuple[type[Exception], ...] = MALFORMED, kind: str = "array file"
) -> Iterator[None]:
    """Turn every error of reading a file into a DataError that names the file.

    Args:
      path: the file.
      malformed: the errors of a library for contents that make no sense.
      kind: the kind of file that was expected, for messages.
    """
    try:
        check_file(path)
        yield
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file, found none.", remedy="Check the path.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        reason = one_line(error)
        raise DataError(f"{path}: the file is damaged or cut short ({reason}).", remedy="Download it again.") from error
    except malformed as error:
        reason, remedy = one_line(error), "Save it again."
        if isinstance(error, UnicodeDecodeError):
            reason, remedy = f"it has the byte 0x{error.object[error.start]:02x}", "Save it again as text in UTF-8."
        raise DataError(f"{path}: not a readable {kind} ({reason}).", remedy=remedy) from error
    except OSError as error:
        raise DataError(f"{path}: could not be read ({error.strerror or error}).") from error


def open_plain(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked if it is gzipped. Its name does not matter."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    return cast("IO[bytes]", gzip.open(path, "rb") if is_gzip else path.open("rb"))


def read_at_most(stream: IO[bytes], size: int) -> bytes:
    """Read up to `size` bytes in pieces, so that a wrong header costs no more memory than the file has.

    Args:
      stream: open for reading.
      size: the most bytes.
    """
    buffer = io.BytesIO()
    while (left := size - buffer.tell()) > 0 and (piece := stream.read(min(left, PIECE))):
        buffer.write(piece)
    return buffer.getvalue()
