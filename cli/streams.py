"""The program's stdout and stderr, which may be closed, lie on a full disk, or be a pipe without a reader."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2

ESCAPE = "tfp_vae.escape"
"""The name of `escape` as an error handler."""


@final
class Output(io.FileIO):
    """Write to stdout or stderr. After a write fails, the rest of the output is discarded.

    A write never ends the command, which may have more work to do. `failure` says afterwards if a result was lost. A
    pipe that closes early loses nothing, because its reader has seen enough, and neither do lost notices on stderr.

    failure: the error that lost a part of stdout, or None.

    Args:
      descriptor: of stdout or stderr.
      is_closed: whether `/dev/null` took the place of a closed stream.
    """

    def __init__(self, descriptor: int, *, is_closed: bool = False) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.failure: str | None = None
        self._is_closed = is_closed

    def write(self, content: ReadableBuffer, /) -> int:
        """Write bytes and return their number."""
        try:
            written = super().write(content) or 0
        except OSError as error:
            discard = os.open(os.devnull, os.O_WRONLY)
            os.dup2(discard, self.fileno())
            os.close(discard)
            if self.fileno() == STDOUT and error.errno != errno.EPIPE:
                self.failure = f"could not write to stdout: {error.strerror}. Make room, then try again."
            return memoryview(content).nbytes
        if self._is_closed and self.fileno() == STDOUT and written:
            self.failure = "could not write to stdout: it is closed. Redirect it to a file or to /dev/null."
        return written


def escape(error: UnicodeError) -> tuple[bytes, int]:
    """Return the replacement for characters that an encoding lacks, as an error handler of `codecs`.

    The bytes of a file name that is not UTF-8 stay as they are. Any other character becomes its code.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    is_byte = ("\udc80" <= character <= "\udcff" for character in text)
    ways = ("surrogateescape" if byte else "backslashreplace" for byte in is_byte)
    return b"".join(character.encode("ascii", way) for character, way in zip(text, ways, strict=True)), error.end


codecs.register_error(ESCAPE, escape)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Let stdout and stderr print every text in this block, whatever their encoding, see `escape`."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    with contextlib.suppress(OSError, ValueError):  # a stream may be closed
        for stream in streams:
            stream.reconfigure(errors=ESCAPE)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            for stream, errors in zip(streams, before, strict=True):
                stream.reconfigure(errors=errors)


def open_streams() -> Output:
    """Make stdout and stderr safe to write to, and open `/dev/null` for standard streams that are closed.

    Otherwise the next file that the program opens would become its stdout or stderr. For characters that the terminal's
    encoding does not have, see `escape`.

    Returns:
      The new stdout, without its encoding.
    """
    closed = [descriptor for descriptor in (STDIN, STDOUT, STDERR) if not is_open(descriptor)]
    for _ in closed:  # a new file gets the lowest free number
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    stdout, stderr = (Output(descriptor, is_closed=descriptor in closed) for descriptor in (STDOUT, STDERR))
    sys.stdout, sys.stderr = wrap(stdout, sys.stdout), wrap(stderr, sys.stderr)
    return stdout


def is_open(descriptor: int) -> bool:
    """Return whether a descriptor refers to a file."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def wrap(output: Output, stream: TextIO | None) -> TextIO:
    """Return a text stream that writes to `output`, with the encoding of `stream`, which is None if closed."""
    return io.TextIOWrapper(
        io.BufferedWriter(output),
        encoding="utf-8" if stream is None else stream.encoding,
        errors=ESCAPE,
        line_buffering=output.fileno() == STDERR or (stream is not None and stream.isatty()),
    )
