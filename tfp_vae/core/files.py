"""Files that appear whole or not at all.

All writers use `write_bytes`. It writes a temporary file next to the target, syncs it, renames it over the target and
syncs the folder. After a crash or a loss of power you find the old file or the new one. Memory: one copy of the
content, or of one of its blocks. JSON is written without NaN, because other languages cannot read it.
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
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfp_vae.core.errors import DataError, DiskError, cut

__all__ = [
    "CHECKSUM",
    "ELSEWHERE",
    "Content",
    "array_bytes",
    "arrays_bytes",
    "check_writable",
    "disk_errors",
    "json_text",
    "keep_copy",
    "make_folder",
    "open_folder",
    "printable",
    "raise_if_disk",
    "remove_partial_files",
    "remove_staged_files",
    "restore_non_finite",
    "seal",
    "unseal",
    "user_path",
    "write_arrays",
    "write_bytes",
]

CHECKSUM = "checksum"
"""The key that holds the checksum of a JSON object."""

REASONS = {
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
"""The errors of the operating system that come from the disk, in plain words."""


ELSEWHERE = "choose another place, then try again"
"""The usual remedy if a file cannot be written."""

Content: TypeAlias = bytes | memoryview | Iterable[bytes]
"""The content of a file, or its blocks in order."""

PARTIAL = ".part"
"""The suffix of files that are being written. Nothing reads them."""

NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
"""How to open a file that must not exist yet."""


@contextmanager
def disk_errors(path: Path, remedy: str = ELSEWHERE) -> Iterator[None]:
    """Turn errors of the operating system into a DiskError that names the path.

    Args:
      path: the file or folder that is written.
      remedy: the remedy, without a capital letter or a full stop.

    Raises:
      DiskError: the operating system refused.
    """
    try:
        yield
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise DiskError(f"could not write {str(path)!r}: the name has a NUL character. Choose another name.") from error
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror or str(error))
        if error.errno == errno.ENOENT and path.parent.is_dir():  # as in /proc
            reason = "its folder takes no files"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        advice = f"Make room or {remedy}" if full else f"{remedy[0].upper()}{remedy[1:]}"
        raise DiskError(f"could not write {path}: {reason}. {advice}.") from error


def raise_if_disk(error: OSError, path: Path) -> None:
    """Raise a DiskError that names the path if `error` comes from the disk, not from a network."""
    if error.errno in REASONS:
        with disk_errors(path):
            raise error


def check_writable(folder: Path, remedy: str = ELSEWHERE, *, of: Path | None = None) -> None:
    """Make a folder if it does not exist, and write a byte into a temporary file without a name.

    So you know before minutes of work whether the folder takes files. Permissions are not enough for that, because a
    file system may be full or read-only.

    Args:
      folder: the folder.
      remedy: the remedy, without a capital letter or a full stop.
      of: the file that the message names instead of the folder.

    Raises:
      DiskError: the folder cannot be made, or takes no file.
    """
    with disk_errors(of or folder, remedy):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(b"\0")


def make_folder(path: Path) -> None:
    """Make a folder and its parents if they do not exist.

    Raises:
      DiskError: the folder cannot be made, or a file is in the way.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def write_bytes(
    path: Path,
    content: Content,
    *,
    previous: Path | None = None,
    check: Callable[[int], None] = lambda folder: None,
) -> None:
    """Write a file next to its target, sync it, and move it into place, so readers see the old file or the new one.

    The folder is opened once. If another folder takes its name while this one writes, the other gets no file.

    Args:
      path: the target.
      content: the content, or its blocks in order, so that it never needs to be in memory as a whole.
      previous: where to keep the old file, if there is one, in the same folder. It moves only when the new file is safe
        on disk, so a failed write loses neither the old file nor the one before it.
      check: called with a handle of the open folder before anything is written. It raises to refuse the folder.

    Raises:
      DiskError: the disk is full, the folder is missing or permission is denied. No part of the new file is left.
    """
    with disk_errors(path), open_folder(path.parent) as folder:
        check(folder)
        partial = f".{path.name}.{secrets.token_hex(4)}{PARTIAL}"
        _STAGED.add((folder, partial))
        try:
            with os.fdopen(os.open(partial, NEW_FILE, 0o666, dir_fd=folder), "wb") as file:
                file.writelines([content] if isinstance(content, bytes | memoryview) else content)
                file.flush()
                os.fsync(file.fileno())
            if previous is not None:
                with contextlib.suppress(FileNotFoundError):
                    keep_copy(folder, path.name, previous.name)
            with _RENAMES:
                os.replace(partial, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=folder)
            raise
        finally:
            _STAGED.discard((folder, partial))
        sync(folder)


_STAGED: set[tuple[int, str]] = set()
"""The temporary files that this process is writing: a handle of the folder, and the name."""

_RENAMES = threading.Lock()
"""Held while a file is renamed over its target, and from then on once the process is about to end."""

RENAME_SECONDS = 0.2
"""How long the end of the process waits for a rename."""


def remove_staged_files() -> None:
    """Remove the files that this process is writing. Call it only from a thread that ends the process right afterwards.

    No write of this process is completed after that.
    """
    if _RENAMES.acquire(timeout=RENAME_SECONDS):
        for folder, partial in tuple(_STAGED):
            with contextlib.suppress(OSError):
                os.unlink(partial, dir_fd=folder)


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Yield a handle of a folder, for the `dir_fd` of system calls. It stays the same folder if it is renamed."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def sync(handle: int) -> None:
    """Make a file, or the names in a folder, survive a loss of power, if the system can."""
    with contextlib.suppress(OSError):
        os.fsync(handle)


def remove_partial_files(path: Path) -> None:
    """Remove the temporary files that killed writers of `path` left. Call it only if no other process writes `path`."""
    with disk_errors(path):
        for partial in path.parent.glob(f".{path.name}.*{PARTIAL}"):
            partial.unlink(missing_ok=True)


def keep_copy(folder: int, name: str, copy: str) -> None:
    """Give a file a second name, replacing the file of that name. Each name has a whole file at every moment.

    It makes a hard link, which takes no time and no space, or a synced copy if the file system has no hard links.

    Args:
      folder: the handle of the folder of both names.
      name: the file.
      copy: its second name.

    Raises:
      OSError: the file does not exist, or the system refused. The old file of the second name is unchanged.
    """
    partial = f".{copy}.{secrets.token_hex(4)}{PARTIAL}"
    try:
        try:
            os.link(name, partial, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            raise
        except OSError:
            with (
                os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder), "rb") as source,
                os.fdopen(os.open(partial, NEW_FILE, 0o666, dir_fd=folder), "wb") as target,
            ):
                shutil.copyfileobj(source, target)
                target.flush()
                sync(target.fileno())
        os.replace(partial, copy, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)
        raise


def arrays_bytes(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """Return the content of an `.npz` archive. Each entry has a CRC-32, which is checked when it is read.

    Raises:
      TypeError: an array of Python objects, because reading it back would need pickle.
    """
    buffer = io.BytesIO()
    if any(array.dtype.hasobject for array in arrays.values()):
        raise TypeError("expected arrays of numbers, found an array of objects")
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getbuffer()


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as an `.npz` archive, see `arrays_bytes`."""
    write_bytes(path, arrays_bytes(arrays))


def array_bytes(array: np.ndarray) -> memoryview:
    """Return the content of an `.npy` file.

    Raises:
      ValueError: an array of Python objects, because reading it back would need pickle.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getbuffer()


REASON = "_reason"
"""The ending of a key that holds the reason why a number is null."""

NOT_FINITE = re.compile("the value was (inf|-inf|nan), which is not a finite number")


def json_text(value: Mapping[str, object], indent: int | None = None) -> str:
    """Return a JSON object in which a number that is not finite is null, with the reason under a second key.

    ```python
    from tfp_vae.core.files import json_text

    json_text({"elbo": float("nan")})  # {"elbo": null, "elbo_reason": "the value was nan, ..."}
    ```

    Raises:
      ValueError: a list holds a number that is not finite, because it has no key for the reason.
    """
    return json.dumps(replace_non_finite(value), indent=indent, allow_nan=False)


def replace_non_finite(value: Mapping[str, object]) -> dict[str, object]:
    """Return an object, with the objects in it, in which numbers that are not finite are null, with their reason."""

    def replace(item: object) -> object:
        if isinstance(item, Mapping):
            return replace_non_finite(item)
        return [replace(each) for each in item] if isinstance(item, list | tuple) else item

    content: dict[str, object] = {}
    for key, item in value.items():
        if isinstance(item, float) and not math.isfinite(item):
            content[str(key)] = None
            content[f"{key}{REASON}"] = f"the value was {item}, which is not a finite number"
        else:
            content[str(key)] = replace(item)
    return content


def restore_non_finite(value: Mapping[str, object]) -> dict[str, object]:
    """Return an object in which nulls are inf, -inf or nan again if their reason says so.

    It is the inverse of `json_text` for the object's own values. Objects in it stay as they are.
    """
    reasons = {key: NOT_FINITE.fullmatch(str(value.get(f"{key}{REASON}"))) for key in value if value[key] is None}
    numbers = {key: float(match[1]) for key, match in reasons.items() if match}
    used = {f"{key}{REASON}" for key in numbers}
    return {key: numbers.get(key, item) for key, item in value.items() if key not in used}


def seal(value: Mapping[str, object]) -> dict[str, object]:
    """Return a JSON object with a checksum of its content under the key `checksum`.

    The checksum covers the values, not the text, so the object may be printed and parsed again. It detects damage and
    stray edits, but not forgery.
    """
    content = {key: item for key, item in replace_non_finite(value).items() if key != CHECKSUM}
    return {**content, CHECKSUM: digest(content)}


def unseal(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an object from `seal`.

    ```python
    from tfp_vae.core.files import seal, unseal

    unseal(seal({"epochs": 3}))  # {"epochs": 3}; a changed value raises ValueError
    ```

    Raises:
      ValueError: the checksum is missing or does not match.
    """
    content = {key: item for key, item in value.items() if key != CHECKSUM}
    if value.get(CHECKSUM) != digest(content):
        raise ValueError("its checksum is not that of its content")
    return content


def digest(content: Mapping[str, object]) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of an object's sorted, compact JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def user_path(name: str | os.PathLike[str]) -> Path:
    """Return a path of data with `~` expanded. The path need not exist.

    ```python
    tv.core.files.user_path("~/mine.npy").is_absolute()  # True
    ```

    Args:
      name: the path as the user wrote it.

    Raises:
      DataError: no file can have this name, the name is not text in UTF-8, `~name` is unknown, or a folder of the path
        cannot be searched.
    """
    text = os.fspath(name)
    if "\0" in text:
        raise DataError(f"{printable(text)}: expected a path, found a NUL byte in it. Check the path.")
    if printable(text) != text:
        raise DataError(f"{printable(text)}: expected a path in UTF-8, found other bytes. Rename the file or folder.")
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # the reader knows which kind of file is missing
    except RuntimeError as error:
        raise DataError(
            f"{text}: there is no home folder of that name. Write ./{text} for a file whose name begins with a tilde."
        ) from error
    except OSError as error:
        raise DataError(f"{cut(text)}: could not be read ({error.strerror}). Check the path.") from error
    return path


def printable(name: str) -> str:
    r"""Return a name with `\0` for each NUL character and `\udc..` for each byte that is not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", r"\0")
