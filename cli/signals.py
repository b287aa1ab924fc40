"""Stop a command on SIGINT or SIGTERM: at once, or after the current training step."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeAlias, final

STDERR = 2
STOPPING = (signal.SIGINT, signal.SIGTERM)

Handler: TypeAlias = Callable[[int, FrameType | None], object]


@final
class Terminated(BaseException):
    """Raised on SIGTERM. Like KeyboardInterrupt, it is not an Exception, so `except Exception` does not catch it."""


@contextmanager
def handle(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
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

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    return handle({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminate})


@contextmanager
def collect(notice: str) -> Iterator[list[int]]:
    """Collect the first SIGINT or SIGTERM and print `notice` on stderr. A second signal ends the process at once.

    Python runs handlers only between its own instructions, but a call of C code, such as XLA compiling, may take
    minutes. So Python writes signals to a pipe as they arrive, and a thread reads the pipe and answers at once.

    Args:
      notice: the message to print.

    Yields:
      A list that receives the number of the signal. It is complete when the block has ended. Outside the main thread
      it stays empty.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    stderr = STDERR
    with contextlib.suppress(OSError):
        stderr = os.dup(STDERR)  # a copy, because descriptor 2 is redirected while TensorFlow starts
    end, start = os.pipe()
    os.set_blocking(start, False)

    def answer() -> None:
        heard = False
        for byte in iter(lambda: os.read(end, 1), b""):
            if byte[0] in STOPPING and heard:
                os._exit(128 + byte[0])
            elif byte[0] in STOPPING:
                heard = True
                with contextlib.suppress(OSError):  # not through Python's streams, which may be busy
                    os.write(stderr, f"{notice}\n".encode())

    previous = signal.set_wakeup_fd(start, warn_on_full_buffer=False)
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        with handle(dict.fromkeys(STOPPING, lambda number, frame: received.append(number))):
            yield received
    finally:
        signal.set_wakeup_fd(previous)
        os.close(start)
        thread.join()
        os.close(end)
        if stderr != STDERR:
            os.close(stderr)
