"""Print notices and progress on stderr, and results on stdout.

The help page imports this module, so `rich` and NumPy are imported by the functions that use them.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import shlex
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

COMMAND = "tfp_vae.command"
"""The key in a context's `meta` that holds the command which runs."""


def notice(message: str) -> None:
    """Print a message on stderr, unless stderr is closed."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        click.echo(message, err=True)


def explain_scaling(standard: Mapping[str, object]) -> None:
    """Print how to undo the scaling, if `DataConfig.standard` has a loc and a scale."""
    if standard:
        notice(
            "values are scaled, in standard deviations from the training mean. To undo it, compute loc + scale * x "
            "with the loc and scale in .npz files and in the run's config.json"
        )


NAMED = re.compile(r"`(?P<name>[a-z][a-z0-9_]*)(?:=(?P<value>[^`]+)|\('(?P<folder>[^`]*)'\))?`")
"""A setting as messages of the library name it, alone or with a value, or a function, alone or with a folder."""

COMMAND_LINES = {
    "all_runs": "tfp-vae runs",
    "draw_run": "tfp-vae plot",
    "resume": "tfp-vae train --resume",
    "train": "tfp-vae train",
}
"""The commands that do the work of a function or setting of the library, if the current command has no such option."""


def with_options(message: str, command: click.Command | None) -> str:
    """Return a message of the library with its settings written as options of the command.

    The library names settings in backticks, by their Python names. A few names stand for a command, see
    `COMMAND_LINES`. A setting that the command does not have, and any other text in backticks, stays as it is.

    ```
    `latent_dim` -> --latent-dim
    `objective=monte-carlo-elbo` -> --objective monte-carlo-elbo
    `plots=False` -> --no-plots
    `all_runs('old runs')` -> `tfp-vae runs --runs-dir 'old runs'`
    ```
    """
    if command is None:
        return message
    known: dict[str, click.Option] = {}
    for option in command.params:
        if isinstance(option, click.Option):
            names = {flag.lstrip("-").replace("-", "_") for flag in option.opts} | {str(option.name)}
            known |= dict.fromkeys(names - known.keys(), option)

    def as_option(found: re.Match[str]) -> str:
        name, value, folder = found["name"], found["value"], found["folder"]
        if name not in known or folder is not None:
            line = COMMAND_LINES.get(name)
            where = "" if folder is None else f" --runs-dir {shlex.quote(folder)}"
            return found[0] if line is None else f"`{line}{where}`"
        flag = known[name].opts[0]
        if value in ("True", "False") and known[name].is_flag:
            return flag if value == "True" else next(iter(known[name].secondary_opts), f"no {flag}")
        return flag if value is None else f"{flag} {value}"

    return NAMED.sub(as_option, message)


@final
class WarningHandler(logging.Handler):
    """Print the library's warnings on stderr, in the words of the command that runs."""

    def __init__(self, ctx: click.Context) -> None:
        super().__init__(logging.WARNING)
        self._ctx = ctx

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning."""
        message = with_options(record.getMessage(), self._ctx.meta.get(COMMAND))
        notice(f"{record.levelname.lower()}: {message}")


@contextmanager
def warnings(ctx: click.Context) -> Iterator[None]:
    """Print the library's warnings on stderr in this block."""
    logger, handler = logging.getLogger("tfp_vae"), WarningHandler(ctx)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object to stdout."""
    from tfp_vae.core.files import json_text

    click.echo(json_text(value, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to stdout. Columns of numbers are aligned to the right, floats have two decimals.

    On a narrow terminal only the widest column is wrapped, between words.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[f"{value:.2f}" if isinstance(value, float) else plain(str(value)) for value in row] for row in rows]
    columns = list(map(plain, columns))
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    widest = widths.index(max(widths))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        numeric = all(isinstance(row[i], int | float) for row in rows)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold", no_wrap=i != widest)
    for row in cells:
        table.add_row(*map(Text, row))
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    word = max(cell_len(word) for row in [columns, *cells] for word in row[widest].split() or [""])
    console.width = max(console.width, sum(widths) - widths[widest] + word + 2 * len(widths))
    with console.capture() as capture:
        console.print(table)
    click.echo(PADDING.sub(r"\1", capture.get()), nl=False)


def plain(text: str) -> str:
    """Return a text in which each character that a terminal would obey is a question mark, except the end of a line."""
    return "".join("?" if unicodedata.category(mark) == "Cc" and mark != "\n" else mark for mark in text)


PADDING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
"""Spaces at the end of a line, before any terminal codes."""


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar and yield a function to call with the number of steps just done."""
    from tfp_vae.training.progress import bar

    with bar() as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.advance(task, done)


REMINDER_SECONDS = 10.0
"""Time after which the name of a slow picture is printed, and between two such lines."""


@contextmanager
def drawing_reminders(seconds: float = REMINDER_SECONDS) -> Iterator[Callable[[str, int, int], None]]:
    """Print the name of a picture that takes long. Yield a function to call before each picture.

    The function takes the picture's name, its number and the number of pictures. Each finished picture has a line of
    its own, so pictures that are drawn quickly need no reminder.

    Args:
      seconds: the time between two reminders.
    """
    ended, current = threading.Event(), ("preparing pictures", time.monotonic())

    def begin(name: str, number: int, total: int) -> None:
        nonlocal current
        current = f"drawing {name} ({number} of {total})", time.monotonic()

    def remind() -> None:
        due = seconds
        while not ended.wait(max(0.01, due)):
            text, since = current
            took = time.monotonic() - since
            due = seconds - took % seconds
            if took >= seconds:
                notice(f"{text}: {took:.0f} s so far")

    thread = threading.Thread(target=remind, name="reminders", daemon=True)
    thread.start()
    try:
        yield begin
    finally:
        ended.set()
        thread.join()


@final
class DownloadProgress:
    """A progress bar of bytes for each download, with the interface that pooch expects."""

    def __init__(self) -> None:
        self.total = 0
        self._bar = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def update(self, size: int) -> None:
        """Show that `size` more bytes have arrived."""
        if self._progress is None:
            from rich.progress import DownloadColumn

            from tfp_vae.training.progress import bar

            self._progress = self._bar.enter_context(bar(DownloadColumn()))
            self._task = self._progress.add_task("downloading", total=self.total)
        if self._task is not None:
            self._progress.advance(self._task, size)

    def reset(self) -> None:
        """Start again from zero."""
        if self._progress is not None and self._task is not None:
            self._progress.reset(self._task)

    def close(self) -> None:
        """End this download's bar."""
        self._bar.close()
        self._progress = None


def start_tensorflow() -> None:
    """Import TensorFlow and the modules that restore a run."""
    importlib.import_module("tfp_vae.runs.load")
