"""Where a command reads a run and writes its results, and the formats of the files.

Commands check that they can write before they read data or start TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DiskError, UsageError
from tfp_vae.data.readers.tables import csv_bytes
from tfp_vae.runs import run as runs
from tfp_vae.runs.run import PLOTS, Run

from . import console

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure
    from tfp_vae.runs.load import LoadedRun

OUT, NO_PLOTS = "name a file elsewhere with --out", "leave the pictures out with --no-plots"
COPY = "make it writable, or copy the run to a writable place and name the copy with --run"
"""Remedies if a run is read-only. Some commands must write into the run, so only `COPY` helps."""

Forms: TypeAlias = Mapping[str, Callable[..., object]]
"""The suffixes that a command accepts, each with the function that converts the command's result to the file's content.

The content is a figure for `.png`, an array for `.npy`, named arrays for `.npz`, and named columns [N] for `.csv`.
"""


def check_path(given: str | None, suffixes: Collection[str], option: str = "--out") -> Path | None:
    """Return the output path, or None if the option was left out.

    Args:
      given: the value of the option.
      suffixes: the supported ones.
      option: its name.

    Raises:
      UsageError: the suffix is not supported.
      DiskError: the file cannot be written there.
    """
    if given is None:
        return None
    path = Path(given)
    if path.suffix not in suffixes:
        raise UsageError(f"{option}: expected a file ending in {', '.join(suffixes)}, found {given!r}.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise DiskError(f"could not write {path}: its folder does not exist. Make it or choose another place.")
    if path.is_dir():
        raise DiskError(f"could not write {path}: a folder of that name is in the way. Choose another place.")
    storage.check_writable(folder, of=path)
    return path


def find_run(named: str | None, runs_dir: str) -> Run:
    """Return the run of a command, and print its folder.

    Args:
      named: the value of --run.
      runs_dir: the folder that holds the runs.
    """
    found = runs.find(named, runs_dir)
    console.notice(f"run: {found.folder}")
    return found


def check_run(run: Run, out: Path | None, *, plots: bool = False) -> None:
    """Raise DiskError if the command writes into the run and the run is read-only.

    Args:
      run: the run.
      out: the command's output file, or None if it belongs in the run.
      plots: whether the command also draws pictures into the run.
    """
    remedies = [OUT] * (out is None) + [NO_PLOTS] * plots
    run.check_writable([""] * (out is None) + [PLOTS] * plots, ", and ".join(remedies))


def check_picture(run: Run, out: Path | None) -> None:
    """Raise DiskError if the command draws into the run and the run is read-only."""
    if out is None:
        run.check_writable([PLOTS], OUT)


def restore(run: Run, weights: str | None) -> LoadedRun:
    """Return the model of a run with its `final` or `best` weights, or its usual ones if None, and print which."""
    console.start_tensorflow()
    from tfp_vae.runs.load import LoadedRun

    model = LoadedRun(run, weights)
    console.notice(f"weights: {model.description}")
    return model


def write(path: Path, forms: Forms, *result: object) -> None:
    """Write the result of a command to a file, in the format of its suffix.

    Args:
      path: the file.
      forms: the formats of the command.
      result: the arguments of those functions.
    """
    WRITERS[path.suffix](path, forms[path.suffix](*result))


def write_picture(path: Path, figure: Figure) -> None:
    """Write a figure as a PNG file."""
    from tfp_vae import plots

    storage.write_bytes(path, plots.png(figure))


WRITERS: dict[str, Callable[[Path, Any], None]] = {
    ".png": write_picture,
    ".npy": storage.write_array,
    ".npz": storage.write_arrays,
    ".csv": lambda path, columns: storage.write_bytes(path, csv_bytes(columns)),
}
"""The function that writes the files of each suffix."""


def measure_line(result: Mapping[str, object]) -> str:
    """Return a sentence that names the likelihood of a result and its units."""
    names = ", ".join(f"{name} {result[name]}" for name in ("likelihood", "scaling", "binarization"))
    return f"p(x) is {result['measure']} ({names})"


def record(run: Run, restored: LoadedRun, **more: object) -> dict[str, object]:
    """Return the record of a result, which begins with the run and its weights."""
    return {"run": str(run.folder), "weights": restored.weights, "step": restored.step, **more}


def print_result(result: Mapping[str, object], as_json: bool) -> None:
    """Print the record of a result as JSON, or else the path of the output file."""
    console.print_json(result) if as_json else click.echo(result["out"])
