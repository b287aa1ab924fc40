"""Stop a command on SIGINT or SIGTERM: at once, or after the current training step."""

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
    """Raised on SIGTERM. Like KeyboardInterrupt, it is not an Exception, so `except Exception` does not catch it."""


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


@contextmanager
def handle(handlers: dict[signal.Signals, Callable[[int, Any], Any]]) -> Iterator[None]:
    """Install these handlers for the block. A no-op outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_exceptions() -> contextlib.AbstractContextManager[None]:
    """Let SIGINT raise KeyboardInterrupt and SIGTERM raise Terminated in this block."""
    return handle({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminate})


@contextmanager
def collect(notice: str) -> Iterator[list[int]]:
    """Collect the first SIGINT or SIGTERM and print `notice` on stderr. A second signal ends the process at once.

    Python runs handlers only between its own instructions, but a call of C code, such as XLA compiling, may take
    minutes. So Python writes signals to a pipe as they arrive, and a thread reads the pipe and answers at once.

    Args:
      notice: the message to print.

    Yields:
      A list that receives the number of the signal. It is complete when the block has ended.
    """
    received: list[int] = []
    with _answering(notice), handle(dict.fromkeys(STOPPING, lambda number, frame: received.append(number))):
        yield received


@contextmanager
def _answering(notice: str) -> Iterator[None]:
    """Run a thread that answers signals in this block. A no-op outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    end, start = os.pipe()
    os.set_blocking(start, False)
    previous = signal.set_wakeup_fd(start, warn_on_full_buffer=False)
    stderr = _stderr()  # a copy, because descriptor 2 is redirected while TensorFlow starts
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
    """Return a copy of stderr's descriptor, or the descriptor itself if it cannot be copied."""
    try:
        return os.dup(STDERR)
    except OSError:
        return STDERR


def _answer(signals: int, notice: str, stderr: int) -> None:
    """Print `notice` at the first signal in the pipe, and end the process at the second."""
    stopping = (number for number in iter(lambda: os.read(signals, 1), b"") if number[0] in STOPPING)
    for _ in itertools.islice(stopping, 1):
        with contextlib.suppress(OSError):  # not through Python's streams, which may be busy
            os.write(stderr, f"{notice}\n".encode())
    for number in stopping:
        os._exit(128 + number[0])
