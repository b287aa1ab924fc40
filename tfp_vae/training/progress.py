"""The progress of a training: a bar on a terminal, and a few lines elsewhere. It goes to stderr."""

from __future__ import annotations

import contextlib
import io
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tfp_vae.core.registry import check_keywords
from tfp_vae.training.callbacks import Callback

if TYPE_CHECKING:
    from tfp_vae.training.fitting import Training

__all__ = ["LINES", "SECONDS", "Progress", "bar", "columns"]

LINES, SECONDS = 10, 30.0
"""Without a terminal, about this many lines appear, and one at least after this many seconds."""

WIDE, BAR, SHORT_BAR = 100, 24, 8
"""The least width of a terminal for a bar of full length, that length, and the length on narrower terminals."""

TIME = len(" left 0:00:00") + 3
"""The width of the time at the end, and of the spaces between the columns."""


def bar_length(width: int) -> int:
    """Return the length of a bar on a terminal of this width."""
    return BAR if width >= WIDE else SHORT_BAR


def columns(*middle: ProgressColumn, width: int) -> tuple[ProgressColumn, ...]:
    """Return the columns of a bar on a terminal of this width, with these in the middle."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=bar_length(width)),
        *middle,
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@contextmanager
def bar(*middle: ProgressColumn) -> Iterator[Bar]:
    """Show a bar on stderr within this block, if stderr is a terminal."""
    console = Console(file=sys.stderr or io.StringIO())
    with Bar(
        *columns(*middle, width=console.width), console=console, disable=not console.is_terminal, transient=False
    ) as progress:
        yield progress


@final
@check_keywords
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
        shown = {"ELBO": terms.elbo, "distortion": terms.distortion, "rate": terms.rate}
        if training.validates and training.history.epochs:
            last = training.history[-1]
            shown["validation"] = last.validation_elbo
            if last.validation_bound != last.validation_elbo:
                shown["validation bound"] = last.validation_bound
        if not self._bar.disable:
            total, width = training.epochs * training.steps, self._bar.console.width
            text = fit_terms(shown, width - len(title) - bar_length(width) - TIME)
            self._bar.update(self._task, description=title, total=total, completed=training.step, terms=text)
        elif due:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # stderr may be closed or missing
                sys.stderr.write(f"{title}{within}  {fit_terms(shown)}\n")
                sys.stderr.flush()
            self._written = time.monotonic()


def fit_terms(terms: Mapping[str, float], room: float = math.inf) -> str:
    """Return terms as text of at most `room` characters. The least important ones are left out first.

    ```python
    from tfp_vae.training.progress import fit_terms

    fit_terms({"ELBO": -3.0, "distortion": 2.0, "rate": 1.0}, 20)  # "ELBO -3.00"
    ```
    """
    left = dict(terms)
    for name in ("validation bound", "distortion", "rate", "validation", "ELBO"):
        text = "  ".join(f"{key} {value:.2f}" for key, value in left.items())
        if len(text) <= room:
            return text
        left.pop(name, None)
    return ""
