"""Locks: one process at a time in a folder, and none once that process is gone, however it went.

A lock of the kernel's (`flock`) belongs to an open file and ends with the process, so that none is ever left behind.
Advice, not force: it keeps out those who ask.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tfp_vae.core.errors import DiskError, RunError
from tfp_vae.core.files import disk_errors

__all__ = ["held", "is_held"]

PATIENCE, PAUSE = 0.5, 0.02
"""Seconds for which a lock that is taken is asked for again, as a glance of `is_held` takes it for a moment."""


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a folder and of a file in it, which is made if need be and stays.

    The operating system gives the locks up when the process ends, be it killed; the file's presence means nothing. The
    folder's is what counts, as a file that is deleted and made anew is another one, whose lock is free. Where folders
    have no locks, as on NFS, the file's is all there is.

    ```python
    from pathlib import Path

    from tfp_vae.runs.lock import held, is_held

    with held(Path("mine.lock"), "mine"):
        is_held(Path("mine.lock"))  # True, also in other processes
    ```

    Args:
      path: the file.
      what: says what is locked, to whoever finds it taken.

    Raises:
      RunError: another process holds it.
      DiskError: the file cannot be made, or its file system has no locks.
    """
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(_opened(path.parent, _FOLDER))
        if _in_time(lambda: _taken(folder)) is False:
            raise _at_work(path, what)
        file = opened.enter_context(_opened(path, _FILE | os.O_RDWR | os.O_CREAT))
        if (taken := _in_time(lambda: _taken(file))) is None:
            raise DiskError(f"could not lock {path}: {_NONE_HERE}.")
        if not taken:
            raise _at_work(path, what)
        with contextlib.suppress(OSError):  # who holds it is a help to people, no more
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        yield


def is_held(path: Path) -> bool:
    """Return whether some process holds the lock of a file's folder, or of the file."""
    return _glance(path.parent, _FOLDER) is False or _glance(path, _FILE) is False


_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NONE_HERE = "its file system has no locks; choose one that has"


@contextmanager
def _opened(path: Path, how: int) -> Iterator[int]:
    with disk_errors(path):
        handle = os.open(path, how, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _glance(path: Path, how: int) -> bool | None:
    """Return whether a lock is free, or None if there is nothing to tell it from."""
    try:
        with _opened(path, how) as handle:
            return _taken(handle, share=True)
    except DiskError:
        return None


def _in_time(take: Callable[[], bool | None]) -> bool | None:
    end = time.monotonic() + PATIENCE
    while (taken := take()) is False and time.monotonic() < end:
        time.sleep(PAUSE)
    return taken


def _taken(handle: int, *, share: bool = False) -> bool | None:
    """Take a lock if it is free, or return None where there are none; a shared one hinders nobody who only looks."""
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _at_work(path: Path, what: str) -> RunError:
    written = b""
    with contextlib.suppress(DiskError, OSError), _opened(path, _FILE) as file:
        written = os.pread(file, 20, 0)
    who = f"process {written.decode()}" if written.isdigit() else "another process"
    return RunError(f"{what}: {who} is at work on it; wait for that, or choose another.")
