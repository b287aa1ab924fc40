"""What can go wrong, each with the exit code that the command line promises for it.

A command line prints the message and leaves with the code; from Python they are exceptions like others. Whatever else
is raised is a fault of the program.
"""

from __future__ import annotations

from typing import ClassVar, final

__all__ = [
    "DataError",
    "DiskError",
    "DivergenceError",
    "Interrupted",
    "RunError",
    "TfpVaeError",
    "UsageError",
    "one_line",
]


LONGEST = 200
"""The most characters of what is told of another library's error."""


class TfpVaeError(Exception):
    """Base of all errors raised on purpose: one or two sentences saying what was expected, found, and what to do."""

    exit_code: ClassVar[int]


@final
class UsageError(TfpVaeError, ValueError):
    """An option, name or setting that does not exist or does not fit."""

    exit_code = 2


@final
class DataError(TfpVaeError):
    """Data that is missing, malformed or of the wrong kind."""

    exit_code = 3


@final
class RunError(TfpVaeError):
    """A run or checkpoint that is missing, damaged or incompatible."""

    exit_code = 4


@final
class DivergenceError(TfpVaeError):
    """Data, a loss, a gradient, weights or an optimizer's state that are no longer finite."""

    exit_code = 5


@final
class DiskError(TfpVaeError):
    """A write that the file system refused."""

    exit_code = 6


@final
class Interrupted(TfpVaeError):
    """Training stopped by a signal, after a checkpoint."""

    exit_code = 130

    def __init__(self, message: str, *, signal_number: int = 2) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def one_line(error: BaseException) -> str:
    r"""Return what an error of another library says, on one line of at most 200 characters, or its name.

    What is cut off is marked by an ellipsis.

    ```python
    tv.errors.one_line(ValueError("two\nlines"))  # "two lines"
    ```
    """
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
