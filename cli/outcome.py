"""What a command made: the record of it, and the files it is written into, a form for each kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import click

from tfp_vae.core import files as storage
from tfp_vae.data.readers.tables import csv_bytes
from tfp_vae.runs.run import Run

from . import console

Forms: TypeAlias = Mapping[str, Callable[..., Any]]
"""What a command makes, as each kind of file holds it: suffixes, and functions from what was made to the content.

The content is a figure for `.png`, an array for `.npy`, named arrays for `.npz`, named columns [N] for `.csv`. The
suffixes are those that the command takes: there is no other list of them.
"""


def write(path: Path, forms: Forms, *made: Any) -> None:
    """Write what a command made into a file, in the form that its suffix says.

    Args:
      path: of the file.
      forms: the command's.
      made: what its forms take.
    """
    WRITTEN[path.suffix](path, forms[path.suffix](*made))


def _picture(path: Path, figure: Any) -> None:
    from tfp_vae.plots import figures as plots

    storage.write_bytes(path, plots.png(figure))


WRITTEN: dict[str, Callable[[Path, Any], None]] = {
    ".png": _picture,
    ".npy": storage.write_array,
    ".npz": storage.write_arrays,
    ".csv": lambda path, columns: storage.write_bytes(path, csv_bytes(columns)),
}
"""Suffixes, and what writes such a file."""


def record(run: Run, restored: Any, **more: Any) -> dict[str, Any]:
    """Return the record of a result, which begins with the run and the weights that it is of."""
    return {"run": str(run.folder), "weights": restored.weights, "step": restored.step, **more}


def tell(result: Mapping[str, Any], as_json: bool) -> None:
    """Print the record of a result, or where it was written."""
    console.print_json(result) if as_json else click.echo(result["out"])
