"""Locks: one process at a time, and none once that process is gone, however it went."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfp_vae.errors import DiskError, RunError
from tfp_vae.storage import disk_errors

__all__ = ["held", "is_held"]

PATIENCE, PAUSE = 0.5, 0.02
"""Seconds for which a lock that is taken is asked for again, as a glance of `is_held` takes it for a moment."""


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be and stays.

    The operating system gives the lock up when the process ends, be it killed; the file's presence means nothing.

    Args:
      path: the file.
      what: says what is locked, to whoever finds it taken.

    Raises:
      RunError: another process holds it.
      DiskError: the file cannot be made, or its file system has no locks.
    """
    with disk_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        if not _taken_in_time(handle, path):
            raise RunError(f"{what}: process {_owner(handle)} is at work on it; wait for that, or choose another.")
        with contextlib.suppress(OSError):  # who holds it is a help to people, no more
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether some process holds the lock of a file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _taken(handle, path, share=True)
    finally:
        os.close(handle)


def _taken_in_time(handle: int, path: Path) -> bool:
    end = time.monotonic() + PATIENCE
    while not (taken := _taken(handle, path)) and time.monotonic() < end:
        time.sleep(PAUSE)
    return taken


def _taken(handle: int, path: Path, *, share: bool = False) -> bool:
    """Take a lock if it is free; a shared one is no hindrance to others who only look."""
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DiskError(f"could not lock {path}: {error.strerror}; choose a file system that has locks.") from error
    return True


def _owner(handle: int) -> str:
    written = os.pread(handle, 20, 0)
    return written.decode() if written.isdigit() else "of another"
