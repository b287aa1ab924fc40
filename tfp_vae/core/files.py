"""Files that appear whole or not at all.

`write_bytes` is under all of them: a temporary file beside the target, synced, renamed over it, and the folder synced,
so that after a kill or a loss of power there is the old file or the new one. Memory: one copy of what is written. JSON
is written without NaN, which other languages cannot read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfp_vae.core.errors import DiskError

__all__ = [
    "CHECKSUM",
    "ELSEWHERE",
    "check_writable",
    "clear_staged",
    "disk_errors",
    "json_text",
    "keep_copy",
    "make_folder",
    "raise_if_disk",
    "restore_non_finite",
    "seal",
    "unseal",
    "write_array",
    "write_arrays",
    "write_bytes",
    "write_json",
]

CHECKSUM = "checksum"
"""The key of a JSON object that holds the checksum of the others."""

_REASONS = {
    errno.ENOENT: "its folder does not exist",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would exceed the size limit",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "the operation is not permitted",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EISDIR: "a folder of that name is in the way",
}

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


ELSEWHERE = "choose another place, then try again"
"""What helps where a file cannot be written."""


@contextmanager
def disk_errors(path: Path, remedy: str = ELSEWHERE) -> Iterator[None]:
    """Turn what the operating system says of a failed write into a DiskError that names the path.

    Args:
      path: of what is written.
      remedy: what helps.

    Raises:
      DiskError: with the path, what is wrong, and what to do.
    """
    try:
        yield
    except OSError as error:
        raise _disk_error(error, path, remedy) from error


def raise_if_disk(error: OSError, path: Path) -> None:
    """Raise a DiskError that names the path if `error` speaks of the disk, and not of a network."""
    if error.errno in _REASONS:
        raise _disk_error(error, path) from error


def _disk_error(error: OSError, path: Path, remedy: str = ELSEWHERE) -> DiskError:
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    what = f"Make room or {remedy}" if error.errno in _FULL else f"{remedy[0].upper()}{remedy[1:]}"
    return DiskError(f"could not write {path}: {reason}. {what}.")


def check_writable(folder: Path, remedy: str = ELSEWHERE, *, of: Path | None = None) -> None:
    """Make a folder if it is not there, and write a byte into a file of it that has no name and is gone at once.

    So a place that takes no files is known before minutes of work are done for one; what permissions say is not enough,
    as a file system may be read-only, or full.

    Args:
      folder: where files are to be written.
      remedy: what to do where they cannot be, the end of a sentence.
      of: the file that is meant, which the message then names in place of the folder.

    Raises:
      DiskError: the folder cannot be made, or takes no file.
    """
    with disk_errors(of or folder, remedy):
        folder.mkdir(parents=True, exist_ok=True)
        with _unnamed(folder) as file:
            file.write(b"\0")


def _unnamed(folder: Path) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=folder, buffering=0)
    except FileNotFoundError as error:  # the folder is there, as that of processes is
        raise OSError(errno.ENOTSUP, "its folder takes no files") from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents, if they are not there.

    Raises:
      DiskError: it could not be made, or a file is in the way.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def write_bytes(path: Path, content: bytes | memoryview, *, previous: Path | None = None) -> None:
    """Write a file beside its target, sync it, and move it into place: a reader sees the old file or the new one.

    Args:
      path: the target.
      content: what is written.
      previous: where the old file is kept, if there is one. It goes there once the new one is safe beside it, so that
        a failed write costs neither the old file nor the one before it.

    Raises:
      DiskError: the disk is full, the folder is missing, or permission is denied; no part of the new file is left.
    """
    with disk_errors(path):
        handle, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_STAGED)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(staged, 0o666 & ~_umask())
            if previous is not None and path.exists():
                keep_copy(path, previous)
            os.replace(staged, path)
        except BaseException:
            Path(staged).unlink(missing_ok=True)
            raise
        _sync(path.parent)


_STAGED = ".part"


def _sync(path: Path) -> None:
    """Make a file, or a rename in a folder, last through a loss of power, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def clear_staged(path: Path) -> None:
    """Delete what writers of a file left beside it when they were killed; only for those who alone may write it.

    A killed writer leaves a hidden file with the suffix `.part`, which nothing reads.
    """
    with disk_errors(path):
        for staged in path.parent.glob(f".{path.name}.*{_STAGED}"):
            staged.unlink(missing_ok=True)


def _linked(path: Path, name: Path) -> None:
    """Give a file another name, or, on a file system without hard links, a copy of that name, synced."""
    try:
        os.link(path, name)
    except OSError:
        shutil.copyfile(path, name)
        _sync(name)


def keep_copy(path: Path, copy: Path) -> None:
    """Give a file a second name, in place of what had that name; neither name is ever without a whole file.

    By a hard link where the file system has them, which takes no time and no space; a rename puts it in place.
    """
    staged = copy.with_name(f".{copy.name}.{os.getpid()}{_STAGED}")
    with disk_errors(copy):
        staged.unlink(missing_ok=True)
        try:
            _linked(path, staged)
            os.replace(staged, copy)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, previous: Path | None = None) -> None:
    """Write arrays as an `.npz` archive, whose entries each carry a CRC-32 that is checked when they are read.

    The old file, if there is one, is kept as `previous` if that is given.

    Raises:
      TypeError: an array of objects, which only pickle could write.
      DiskError: as `write_bytes`.
    """
    buffer = io.BytesIO()
    if any(array.dtype.hasobject for array in arrays.values()):
        raise TypeError("expected arrays of numbers, found an array of objects")
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getbuffer(), previous=previous)


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as an `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getbuffer())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object."""
    write_bytes(path, (json_text(value, indent=2) + "\n").encode())


def json_text(value: Mapping[str, Any], indent: int | None = None) -> str:
    """Return a JSON object in which a number that is not finite is null, with a reason beside it.

    ```python
    from tfp_vae.core.files import json_text

    json_text({"elbo": float("nan")})  # {"elbo": null, "elbo_reason": "the value was nan, ..."}
    ```

    Raises:
      ValueError: a number that is not finite in a list, where it has no name for a reason.
    """
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with the checksum of what it says, under the key `checksum`.

    The checksum is of the values, not of the text: the object may be printed and parsed again.

    Sixteen hexadecimal digits of SHA-256 over the sorted, compact JSON: against damage and stray edits, not against
    forgery.
    """
    content = {key: item for key, item in _finite(value).items() if key != CHECKSUM}
    return {**content, CHECKSUM: _digest(content)}


def unseal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `seal` was given.

    ```python
    from tfp_vae.core.files import seal, unseal

    unseal(seal({"epochs": 3}))  # {"epochs": 3}; a changed value raises ValueError
    ```

    Raises:
      ValueError: no checksum, or one that does not match.
    """
    content = {key: item for key, item in value.items() if key != CHECKSUM}
    if value.get(CHECKSUM) != _digest(content):
        raise ValueError("its checksum is not that of its content")
    return content


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


_REASON = "_reason"
_NOT_FINITE = re.compile("the value was (inf|-inf|nan), which is not a finite number")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(pair for key, item in value.items() for pair in _finite_pairs(str(key), item))
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _finite_pairs(key: str, item: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(item, float) and not math.isfinite(item):
        yield key, None
        yield f"{key}{_REASON}", f"the value was {item}, which is not a finite number"
    else:
        yield key, _finite(item)


def restore_non_finite(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object as it was before `json_text`: nulls whose reason names inf, -inf or nan are those again.

    Of the values in it alone, not of those of objects within.

    The inverse of what `json_text` does to a float that is not finite; a null that was null stays one.
    """
    reasons = {key: _NOT_FINITE.fullmatch(str(value.get(f"{key}{_REASON}"))) for key in value if value[key] is None}
    numbers = {key: float(match[1]) for key, match in reasons.items() if match}
    said = {f"{key}{_REASON}" for key in numbers}
    return {key: numbers.get(key, item) for key, item in value.items() if key not in said}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
