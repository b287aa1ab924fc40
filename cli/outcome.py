"""What a command made: the record of it, and the files it is written into, a form for each kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from tfp_vae import storage
from tfp_vae.runs import Run
from tfp_vae.tables import csv_bytes

from . import console


class Forms(NamedTuple):
    """What a command made, as each kind of file holds it; made of it when it is written.

    figure: for a picture.
    array: for an `.npy` file.
    arrays: for an `.npz` file.
    columns: for a `.csv` file, [N] each.
    """

    figure: Callable[[], Any] | None = None
    array: Callable[[], np.ndarray] | None = None
    arrays: Callable[[], Mapping[str, np.ndarray]] | None = None
    columns: Callable[[], Mapping[str, np.ndarray]] | None = None


def write(path: Path, forms: Forms) -> None:
    """Write what a command made into a file, in the form that its suffix says."""
    form, written = _WRITTEN[path.suffix]
    written(path, getattr(forms, form)())


def _picture(path: Path, figure: Any) -> None:
    from tfp_vae import plots

    storage.write_bytes(path, plots.png(figure))


_WRITTEN: dict[str, tuple[str, Callable[[Path, Any], None]]] = {
    ".png": ("figure", _picture),
    ".npy": ("array", storage.write_array),
    ".npz": ("arrays", storage.write_arrays),
    ".csv": ("columns", lambda path, columns: storage.write_bytes(path, csv_bytes(columns))),
}
"""Suffixes, the form that such a file has, and what writes it."""


def record(run: Run, restored: Any, **more: Any) -> dict[str, Any]:
    """Return the record of a result, which begins with the run and the weights that it is of."""
    return {"run": str(run.folder), "weights": restored.weights, "step": restored.step, **more}


def tell(result: Mapping[str, Any], as_json: bool) -> None:
    """Print the record of a result, or where it was written."""
    console.print_json(result) if as_json else click.echo(result["out"])
