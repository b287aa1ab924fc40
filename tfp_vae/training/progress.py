"""The progress of a training: a bar on a terminal, and a few lines elsewhere. It goes to stderr."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tfp_vae.training.callbacks import Callback

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["LINES", "SECONDS", "Progress", "bar", "columns"]

LINES, SECONDS = 10, 30.0
"""Without a terminal, about this many lines appear, and one at least after this many seconds."""


def columns(*middle: ProgressColumn) -> tuple[ProgressColumn, ...]:
    """Return the columns of a bar, with these in the middle."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *middle,
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@contextmanager
def bar(*middle: ProgressColumn) -> Iterator[Bar]:
    """Show a bar on stderr within this block, if stderr is a terminal."""
    console = Console(file=sys.stderr or io.StringIO())
    with Bar(*columns(*middle), console=console, disable=not console.is_terminal, transient=False) as progress:
        yield progress


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
            last = training.history[-1]
            text += f"  validation {last.validation_elbo:.2f}"
            if last.validation_bound != last.validation_elbo:
                text += f"  validation bound {last.validation_bound:.2f}"
        if self._bar.disable and due:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed or missing
                sys.stderr.write(f"{title}{within}  {text}\n")
                sys.stderr.flush()
            self._written = time.monotonic()
        total = training.epochs * training.steps
        self._bar.update(self._task, description=title, total=total, completed=training.step, terms=text)
