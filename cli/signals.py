"""Signals: what an interrupt does while a command works, and while it trains."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

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
    """Collect the first SIGINT or SIGTERM, saying `notice` on stderr, and let a second one end the process at once."""
    received: list[int] = []

    def first(number: int, frame: Any) -> None:
        received.append(number)
        for each in STOPPING:
            signal.signal(each, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # not through Python's streams, which may be at work at this moment
            os.write(2, f"{notice}\n".encode())

    with handled(dict.fromkeys(STOPPING, first)):
        yield received
