"""Signals: what an interrupt does while a command works, and while it trains."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

STDERR = 2
STOPPING = (signal.SIGINT, signal.SIGTERM)


@final
class Terminated(BaseException):
    """SIGTERM came; like KeyboardInterrupt, it passes by whoever catches mere exceptions."""


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


@contextmanager
def handled(handlers: dict[signal.Signals, Callable[[int, Any], Any]]) -> Iterator[None]:
    """Handle signals so meanwhile; a thread other than the main one has no say in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raised() -> contextlib.AbstractContextManager[None]:
    """Let SIGINT raise KeyboardInterrupt and SIGTERM raise Terminated meanwhile."""
    return handled({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate})


@contextmanager
def collected(notice: str) -> Iterator[list[int]]:
    """Collect the first SIGINT or SIGTERM, saying `notice` on stderr, and let a second one end the process at once.

    Python runs handlers between its own instructions alone, and a call of C, such as XLA compiling, may take minutes.
    So a thread is told of signals by a pipe, to which Python writes as they come; it answers at once.

    Args:
      notice: what is said.

    Yields:
      A list that will hold the number of a signal that comes. It is complete once the context has ended.
    """
    received: list[int] = []
    with _told(notice), handled(dict.fromkeys(STOPPING, lambda number, frame: received.append(number))):
        yield received


@contextmanager
def _told(notice: str) -> Iterator[None]:
    """Let a thread answer signals meanwhile; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end, start = os.pipe()
    os.set_blocking(start, False)
    previous = signal.set_wakeup_fd(start, warn_on_full_buffer=False)
    stderr = _stderr()  # its own: while TensorFlow starts, what is written to 2 is kept back
    thread = threading.Thread(target=_answer, args=(end, notice, stderr), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        os.close(start)
        thread.join()
        os.close(end)
        if stderr != STDERR:
            os.close(stderr)


def _stderr() -> int:
    """Return a copy of stderr's descriptor; itself where it is closed, or no copy can be had."""
    try:
        return os.dup(STDERR)
    except OSError:
        return STDERR


def _answer(signals: int, notice: str, stderr: int) -> None:
    """Say `notice` at the first signal whose number comes through a pipe, and end the process at the second."""
    stopping = (number for number in iter(lambda: os.read(signals, 1), b"") if number[0] in STOPPING)
    for _ in itertools.islice(stopping, 1):
        with contextlib.suppress(OSError):  # not through Python's streams, which may be at work at this moment
            os.write(stderr, f"{notice}\n".encode())
    for number in stopping:
        os._exit(128 + number[0])
