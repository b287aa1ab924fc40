"""The files of a run's folder: read with a check of size and checksum, and written whole, into this folder only.

`Files` remembers the folder itself, by its device and inode, not only its name. If another folder takes the name while
a process trains or evaluates, a write raises an error, and the other folder gets no file.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, final

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, DiskError, RunError, UsageError
from tfp_vae.runs.folder import lock as locks
from tfp_vae.runs.folder.records import Record

__all__ = ["LOCK", "OTHER_VERSION", "RESTORE", "Files", "LogFile", "check_plain", "read_errors"]

LOCK = ".lock"

LARGEST_JSON = 1 << 24
"""Largest JSON file that is read, in bytes."""

RESTORE = "Restore it from a copy, or train again."
"""The remedy for most damaged files."""

OTHER_VERSION = "Open the run with the tfp_vae that wrote it, or train again."
"""The remedy for files of another version."""

R = TypeVar("R", bound=Record)


@final
class Files:
    """The files of a folder.

    Reading raises RunError if a file is missing, damaged or a symbolic link, because a run from elsewhere could use a
    link to reach files outside it. Writing raises DiskError if the file system refuses, and RunError if another folder
    has taken the name.

    Args:
      folder: the folder. It need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._claims = 0
        self._held: tuple[int, int] | None = None

    def path(self, name: str) -> Path:
        """Return the path of a file in the folder.

        Raises:
          RunError: the file, or a folder between it and this one, is a symbolic link.
        """
        path = self.folder / name
        for part in (path, *path.parents[: len(Path(name).parts) - 1]):
            if part.is_symlink():
                raise RunError(
                    subject=str(part),
                    expected="a file or folder of the run",
                    found="a symbolic link",
                    remedy="Replace the link with the file or folder itself.",
                )
        return path

    def has(self, name: str) -> bool:
        """Return whether a file exists."""
        with read_errors(self.folder):
            return self.path(name).exists()

    def hold(self) -> None:
        """Remember which folder has the name now, unless it is remembered already."""
        if self._held is None:
            with contextlib.suppress(OSError):
                status = self.folder.stat()
                self._held = status.st_dev, status.st_ino

    def own(self, name: str = "") -> Path:
        """Return the path of a file to write or delete, or of the folder itself.

        Raises:
          RunError: the file is a symbolic link, or another folder has taken the name.
        """
        path = self.path(name) if name else self.folder
        try:
            self._check(self.folder.stat())
        except FileNotFoundError:
            self._check(None)
        return path

    def _check(self, found: os.stat_result | None) -> None:
        """Raise RunError if a folder is not the one that is held."""
        if self._held is not None and (found is None or (found.st_dev, found.st_ino) != self._held):
            event = "was moved or deleted" if found is None else "was replaced by another"
            raise RunError(
                f"{self.folder}: this folder {event} while its run was in use, so nothing more is written.",
                remedy="Do not move the folder of a run that is in use. Its files up to now are in the old folder.",
            )

    @contextmanager
    def claim(self, written: Iterable[str]) -> Iterator[None]:
        """Lock the folder for the block, and delete partial files of killed processes.

        The same object may claim the folder again within the block, which has no effect.

        Args:
          written: the names of the files whose partial files are deleted.

        Raises:
          RunError: another process holds the lock.
        """
        if self._claims:
            yield
            return
        with locks.lock(self.path(LOCK), str(self.folder)):
            self._claims += 1
            try:
                self.hold()
                for name in written:
                    storage.remove_partial_files(self.own(name))
                yield
            finally:
                self._claims -= 1

    def read_bytes(self, name: str, most: int) -> bytes:
        """Return the content of a file, unless it is larger than `most` bytes or not a regular file."""
        path = self.path(name)
        try:
            status = path.stat()
            regular = stat.S_ISREG(status.st_mode)
            if not regular or status.st_size > most:
                raise RunError(
                    subject=str(path),
                    expected=f"a file of at most {most:,} bytes",
                    found=f"{status.st_size:,} bytes" if regular else "a pipe, a device or a folder",
                    remedy=RESTORE,
                )
            return path.read_bytes()
        except OSError as error:
            raise RunError(f"{path}: could not be read ({error.strerror}).", remedy=RESTORE) from error

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a file, and verify its checksum.

        Raises:
          RunError: the file is missing, too large, changed, or not a JSON object.
        """
        path = self.folder / name
        try:
            value = json.loads(self.read_bytes(name, LARGEST_JSON))
        except (ValueError, RecursionError) as error:
            raise RunError(subject=str(path), expected="JSON", found=f"damage ({error})", remedy=RESTORE) from error
        if not isinstance(value, dict):
            raise RunError(subject=str(path), expected="a JSON object", found=type(value).__name__, remedy=RESTORE)
        try:
            return storage.unseal(value)
        except ValueError as error:
            raise RunError(f"{path}: the file was changed or damaged ({error}).", remedy=RESTORE) from error

    def read_record(self, name: str, record: type[R], remedy: str) -> R | None:
        """Return the content of a JSON file as a record, or None if there is no such file.

        Args:
          name: the file.
          record: its type.
          remedy: the action to take if a value is missing or wrong.

        Raises:
          RunError: the file is damaged, or a value in it is missing, unknown or wrong.
        """
        if not self.has(name):
            return None
        try:
            return record.model_validate(self.read(name))
        except UsageError as error:
            problem = str(error).removesuffix(".")
            raise RunError(f"{self.folder / name}: a value is missing or wrong ({problem}).", remedy=remedy) from error

    def write(self, name: str, value: Mapping[str, object]) -> None:
        """Write a JSON object and its checksum. If the write fails, the old file is unchanged."""
        self.write_bytes(name, (storage.json_text(storage.seal(value), indent=2) + "\n").encode())

    def write_bytes(self, name: str, content: storage.Content, *, previous: str = "") -> None:
        """Write a file.

        Args:
          name: the file.
          content: its content, see `storage.write_bytes`.
          previous: the name under which the old file is kept. By default it is lost.
        """
        above = "/".join([".."] * (len(Path(name).parts) - 1)) or "."
        kept = self.path(previous) if previous else None
        try:
            storage.write_bytes(
                self.own(name),
                content,
                previous=kept,
                check=lambda handle: self._check(os.stat(above, dir_fd=handle)),
            )
        except DiskError:
            self.own()  # because a folder that is gone explains the failure better
            raise

    def make_folder(self, name: str) -> None:
        """Make a folder if it does not exist."""
        storage.make_folder(self.own(name))

    def remove(self, name: str) -> None:
        """Delete a file, if it exists."""
        path = self.own(name)
        with storage.disk_errors(path):
            path.unlink(missing_ok=True)


@final
class LogFile(logging.FileHandler):
    """A log file that drops the lines it cannot write, because a failed log must not end training.

    Args:
      files: the folder.
      name: the file.
    """

    def __init__(self, files: Files, name: str) -> None:
        super().__init__(files.path(name), encoding="utf-8", errors="backslashreplace", delay=True)
        self._files, self._name = files, name

    def _open(self) -> io.TextIOWrapper:
        self._files.own(self._name)
        return super()._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        with contextlib.suppress(OSError, RunError):
            super().emit(record)

    def close(self) -> None:
        """Close the file. This first tries to write the lines that are still in memory."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore the error."""


@contextmanager
def read_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block into a RunError that names the folder."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{folder}: could not be read ({error.strerror}).", remedy="Choose another folder.") from error
    except ValueError as error:
        if "null" not in str(error):
            raise
        raise RunError(f"{str(folder)!r}: the name has a NUL character.", remedy="Choose another folder.") from error


def check_plain(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive that is compressed or whose entries are larger than the file. Runs never write such files.

    Raises:
      DataError: the archive is refused.
    """
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise DataError(f"{path}: expected uncompressed entries, found compressed ones.")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise DataError(f"{path}: the entries are larger than the file.")
