"""Answer SIGINT and SIGTERM at any moment, even while C code runs or another library is being imported.

A handler that raises an exception is not safe, because the exception appears within whatever code runs: an import may
wrap it, and a library may swallow it. Python also runs handlers only between its own instructions, but a call of C
code, such as XLA compiling, may take minutes. So Python writes each signal to a pipe as it arrives, and a thread reads
the pipe. If there is no work to save, the thread ends the process with `os._exit`. No file is left half-written,
because files are staged and renamed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import final

STDERR = 2
STOPPING = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""The signals that stop a command, each with the word that messages use."""

PRINT_SECONDS = 0.5
"""How long to wait for a terminal or a pipe that takes no output."""

END = b"\0"
"""The byte after which the thread reads no more. No signal has the number 0."""

SHOW_CURSOR = "\x1b[?25h"
"""The terminal code that shows the cursor, which a progress bar hides."""


@final
class Answer:
    """The answer to signals: ask the command to save its work and stop, or end the process at once.

    The first signal asks if there is work to save. All other signals end the process with the exit code 128 + number.

    ending: the end of the sentence that is printed if the process ends at once. It follows `interrupted`.
    received: the number of the signal that asked the command to stop, if there was one.
    saving: whether there is work to save. The command sets it.

    Args:
      notice: printed by the signal that asks.
      embedded: whether another program runs the command, so the first signal never ends the process.
    """

    def __init__(self, notice: str = "", *, embedded: bool = False) -> None:
        self.ending, self.saving, self.received = ".", False, list[int]()
        self._notice, self._embedded = notice, embedded
        self._stderr = STDERR
        with contextlib.suppress(OSError):
            self._stderr = os.dup(STDERR)  # a copy, because descriptor 2 is redirected while TensorFlow starts

    def answer(self, number: int) -> None:
        """Answer a signal."""
        if (self.saving or self._embedded) and not self.received:
            self.received.append(number)
            self._print(self._notice)
            return
        try:
            files = sys.modules.get("tfp_vae.core.files")
            remove = getattr(files, "remove_staged_files", None)  # there is none while the module is being imported
            if remove is not None:
                remove()
            self._print(f"Error: {STOPPING[signal.Signals(number)]}{self.ending}", SHOW_CURSOR)
        finally:
            os._exit(128 + number)

    def close(self) -> None:
        """Close the copy of stderr."""
        if self._stderr != STDERR:
            os.close(self._stderr)

    def _print(self, message: str, code: str = "") -> None:
        """Print a line on stderr, below a progress bar if there is one."""
        with contextlib.suppress(OSError):  # not through Python's streams, which may be busy
            line = f"\n{message}\n{code}" if os.isatty(self._stderr) else f"{message}\n"
            ready = select.poll()  # because `select.select` takes no descriptor above 1,023
            ready.register(self._stderr, select.POLLOUT)
            if ready.poll(1_000 * PRINT_SECONDS):
                os.write(self._stderr, line.encode())


@contextmanager
def watch(answer: Answer) -> Iterator[Answer]:
    """Let a thread answer the signals that arrive within the block. A no-op outside the main thread.

    Blocks may be nested, and the innermost answers. When a block ends, all of its signals have been answered.
    """
    if threading.current_thread() is not threading.main_thread():
        with contextlib.closing(answer):
            yield answer
        return
    end, start = os.pipe()
    os.set_blocking(start, False)

    def read() -> None:
        for byte in iter(lambda: os.read(end, 1) or END, END):
            if byte[0] in STOPPING:
                answer.answer(byte[0])

    def handle(number: int, frame: FrameType | None) -> None:
        """Do nothing. Only a signal with a handler reaches the pipe."""

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    wakeup = signal.set_wakeup_fd(start, warn_on_full_buffer=False)
    previous = {number: signal.signal(number, handle) for number in STOPPING}
    WATCHES.append(answer)
    try:
        yield answer
    finally:
        if answer in WATCHES:  # in a forked child, it has no thread and the pipe is its parent's, see `forget`
            WATCHES.remove(answer)
            for number, handler in previous.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            with contextlib.suppress(BlockingIOError):
                os.write(start, END)  # because a forked child may keep the pipe open
            thread.join()
        os.close(start)
        os.close(end)
        answer.close()


WATCHES: list[Answer] = []
"""The answers of the blocks that are under way. The first belongs to the program, see `start`."""


@contextmanager
def collect(notice: str) -> Iterator[Answer]:
    """Let a command that trains save its work within this block.

    Until the command sets `saving`, a signal ends the process, unless another program called the command. Signals after
    the block print the `ending` of the block.

    Args:
      notice: printed by a signal that lets the command save its work.

    Yields:
      The answer. Outside the main thread it never receives a signal.
    """
    with watch(Answer(notice, embedded=not WATCHES)) as answer:
        try:
            yield answer
        finally:
            for each in WATCHES:
                each.ending = answer.ending


@contextmanager
def ending(text: str) -> Iterator[None]:
    """Print a text after `interrupted` if a signal ends the process within this block. It begins with a full stop."""
    before = [(each, each.ending) for each in WATCHES]
    for each, _ in before:
        each.ending = text
    try:
        yield
    finally:
        for each, old in before:
            each.ending = old


def forget() -> None:
    """Give a forked child the usual answers to signals, because the pipe belongs to its parent."""
    if WATCHES:
        WATCHES.clear()
        signal.set_wakeup_fd(-1)
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
