"""The progress of a training for a person to see: a bar on a terminal, a few lines in a notebook or a file.

A `TrainingProgress` is what `session.train` calls as `observe`. Everything goes to stderr, so that stdout stays for
results.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tfp_vae.training.callbacks import Callback

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["LINES", "SECONDS", "Progress", "TrainingProgress", "bar", "columns", "training_progress"]

LINES, SECONDS = 10, 30.0
"""How many lines of progress go to a stderr that is no terminal, about; and after how long there is one anyway."""


def columns(*middle: Any) -> tuple[Any, ...]:
    """Return the columns of a bar, with those that are its own in the middle."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *middle,
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@contextmanager
def bar(*middle: Any) -> Iterator[Bar]:
    """Show a bar on stderr meanwhile, if that is a terminal."""
    console = Console(file=sys.stderr or io.StringIO())
    with Bar(*columns(*middle), console=console, disable=not console.is_terminal, transient=False) as progress:
        yield progress


@contextmanager
def training_progress(epochs: int) -> Iterator[TrainingProgress]:
    """Show the progress of a training on stderr: a bar on a terminal; elsewhere about ten lines, or one in 30 seconds.

        with tv.training.progress.training_progress(epochs) as observe:
            tv.runs.load.train(run, dataset, observe=observe)

    Args:
      epochs: how many there will be.
    """
    with bar(TextColumn("{task.fields[terms]}")) as progress:
        yield TrainingProgress(progress, epochs)


@final
class TrainingProgress:
    """Observes a training: shows each `session.Report` that it is called with.

    Args:
      progress: a bar of rich, in which it makes a task.
      epochs: how many there will be.
    """

    def __init__(self, progress: Bar, epochs: int) -> None:
        self._progress, self._epochs = progress, epochs
        self._task = progress.add_task(f"epoch 1/{epochs}", total=None, terms="starting")
        self._validation = ""
        self._said = time.monotonic()

    def __call__(self, report: Any) -> None:
        """Show a report."""
        if report.validation is not None:
            self._validation = f"  validation {report.validation.elbo:.2f}"
        if self._progress.disable and (self._is_milestone(report) or time.monotonic() - self._said >= SECONDS):
            self._line(report)
        self._progress.update(
            self._task,
            description=f"epoch {report.epoch}/{self._epochs}",
            total=self._epochs * report.steps,
            completed=(report.epoch - 1) * report.steps + report.step,
            terms=_terms(report.train) + self._validation,
        )

    def _is_milestone(self, report: Any) -> bool:
        """Return whether an epoch has ended that is the first, the last, or one of about ten."""
        spacing = max(1, self._epochs // LINES)
        return report.validation is not None and (report.epoch % spacing == 0 or report.epoch in (1, self._epochs))

    def _line(self, report: Any) -> None:
        within = "" if report.validation is not None else f", step {report.step}/{report.steps}"
        _say(f"epoch {report.epoch}/{self._epochs}{within}  {_terms(report.train)}{self._validation}\n")
        self._said = time.monotonic()


def _say(line: str) -> None:
    """Write to stderr, if anybody still listens there."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(line)
        sys.stderr.flush()


def _terms(terms: Any) -> str:
    return f"ELBO {terms.elbo:.2f}  distortion {terms.distortion:.2f}  rate {terms.rate:.2f}"


@final
class Progress(Callback):
    """Show the progress of a training on stderr: a bar on a terminal, elsewhere about ten lines.

    Results stay alone on stdout. Without a terminal, a line also appears after 30 seconds without one.

    ```python
    tv.fit(vae, x, epochs=2, execution="graph", callbacks=[tv.training.Progress()])
    ```
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def begin(self, training: Training) -> None:
        """Start the bar."""
        self._bar = self._stack.enter_context(bar(TextColumn("{task.fields[terms]}")))
        self._task = self._bar.add_task(f"epoch 1/{training.epochs}", total=None, terms="starting")
        self._written = time.monotonic()

    def progress(self, training: Training) -> None:
        """Move the bar."""
        within = f", step {training.totals.steps}/{training.steps}"
        self._update(training, within, time.monotonic() - self._written >= SECONDS)

    def epoch(self, training: Training) -> None:
        """Move the bar. Write a line after the first epoch, the last, and about ten in all."""
        epoch, epochs = len(training.history), training.epochs
        milestone = epoch % max(1, epochs // LINES) == 0 or epoch in (1, epochs)
        self._update(training, "", milestone or time.monotonic() - self._written >= SECONDS)

    def end(self, training: Training) -> None:
        """Leave the bar as it is."""
        del training
        self._stack.close()

    def _update(self, training: Training, within: str, due: bool) -> None:
        terms, title = training.terms, f"epoch {training.current_epoch}/{training.epochs}"
        text = f"ELBO {terms.elbo:.2f}  distortion {terms.distortion:.2f}  rate {terms.rate:.2f}"
        if training.validates and training.history.epochs:
            text += f"  validation {training.history[-1].validation_elbo:.2f}"
        if self._bar.disable and due:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed or missing
                sys.stderr.write(f"{title}{within}  {text}\n")
                sys.stderr.flush()
            self._written = time.monotonic()
        total = training.epochs * training.steps
        self._bar.update(self._task, description=title, total=total, completed=training.step, terms=text)
