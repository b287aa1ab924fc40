"""Locks that let one process at a time work in a folder.

The lock is the kernel's (`flock`). It belongs to an open file and ends with its process, so even a killed process
leaves no lock behind. It is advisory: it keeps out only those who ask for it.

Here the folder itself is locked too, so deleting the lock file lets nobody in. Shared locks let `in_use` look
without hindering anyone. This module does not use the `filelock` package, because its `FileLock` locks no folder and
lets a second process in when the lock file is deleted, and it has no shared `flock`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfp_vae.core.errors import DiskError, RunError
from tfp_vae.core.files import disk_errors

__all__ = ["in_use", "lock"]

PATIENCE = 0.5
"""Seconds for which a busy lock is tried again, because `in_use` holds a lock for a moment."""

PAUSE = 0.02
"""Seconds between two attempts."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def lock(path: Path, subject: str) -> Iterator[None]:
    """Hold the lock of a file and of its folder for the block.

    The file is created if it does not exist, and it stays. Its presence means nothing. The folder's lock decides,
    because a deleted and recreated file is another file, with a free lock. If folders have no locks, as on NFS, the
    file's lock decides.

    ```python
    from pathlib import Path

    from tfp_vae.runs.folder.lock import in_use, lock

    with lock(Path("mine.lock"), "mine"):
        in_use(Path("mine.lock"))  # True, also in other processes
    ```

    Args:
      path: the lock file.
      subject: the name of the locked object in the error message.

    Raises:
      RunError: another process holds the lock.
      DiskError: the file cannot be created, or its file system has no locks.
    """

    def acquire(handle: int) -> bool | None:
        end = time.monotonic() + PATIENCE
        while (acquired := _try_lock(handle)) is False and time.monotonic() < end:
            time.sleep(PAUSE)
        if acquired is False:
            content = b""
            with contextlib.suppress(DiskError, OSError), _open(path, _FILE) as file:
                content = os.pread(file, 20, 0)
            owner = f"process {content.decode()}" if content.isdigit() else "another process"
            raise RunError(f"{subject}: {owner} is using this folder. Wait for it to end, or choose another folder.")
        return acquired

    with contextlib.ExitStack() as stack:
        acquire(stack.enter_context(_open(path.parent, _FOLDER)))
        file = stack.enter_context(_open(path, _FILE | os.O_RDWR | os.O_CREAT))
        if acquire(file) is None:
            raise DiskError(
                f"could not lock {path}: its file system does not support locks. Choose a folder on another disk."
            )
        with contextlib.suppress(OSError):  # the number only helps people who read the file
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        yield


def in_use(path: Path) -> bool:
    """Return whether a process holds the lock of a file or of its folder."""
    for place, flags in ((path.parent, _FOLDER), (path, _FILE)):
        with contextlib.suppress(DiskError), _open(place, flags) as handle:
            if _try_lock(handle, shared=True) is False:
                return True
    return False


@contextmanager
def _open(path: Path, flags: int) -> Iterator[int]:
    with disk_errors(path):
        handle = os.open(path, flags, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)


def _try_lock(handle: int, *, shared: bool = False) -> bool | None:
    """Take a lock and return whether it was free, or None if the file system has no locks."""
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
