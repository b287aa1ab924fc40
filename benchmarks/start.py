"""Time of short commands before and after a change: `python -m benchmarks.start OLD/bin/tfp-vae NEW/bin/tfp-vae`.

On a small table, a command mostly starts: it imports packages, traces functions and draws pictures. The first row is
the time of the imports alone, because no command can be faster. The two programs take turns, so other load on the
machine affects both. Three repeats take about seven minutes on two cores.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.commands import Usage, run_command

IMPORTS = "import tensorflow, tensorflow_probability, tf_keras"
"""The imports that each of the commands needs."""

ROWS, SCORED = 400, 40
"""Rows of the table, and rows that are scored."""


def command_lines(program: str, folder: Path, run: Path) -> dict[str, list[str]]:
    """Return the commands to time, by name and in their order, because the later ones use the run of the first.

    Args:
      program: the path of `tfp-vae`, next to the Python of its environment.
      folder: a folder with the two tables of `write_tables`.
      run: where the first command puts its run.
    """
    here, python = ["--run", str(run)], str(Path(program).with_name("python"))
    return {
        "imports alone": [python, "-c", IMPORTS],
        f"train, {ROWS} x 4": [program, "train", "--dataset", str(folder / "table.csv"), "--run-dir", str(run)],
        f"score, {SCORED} rows": [program, "score", *here, "--data", str(folder / "new.csv")],
        "sample --n 64": [program, "sample", *here, "--n", "64"],
        "evaluate --iw-samples 100": [program, "evaluate", *here, "--iw-samples", "100"],
    }


def write_tables(folder: Path) -> None:
    """Write a table with four correlated columns, and one with new rows."""
    draw = np.random.default_rng(0)
    z, noise = draw.normal(size=(ROWS + SCORED, 1)), draw.normal(scale=0.5, size=(ROWS + SCORED, 4))
    x = z * [1.0, -2.0, 0.5, 3.0] + noise
    for name, rows in (("table.csv", x[:ROWS]), ("new.csv", x[ROWS:])):
        np.savetxt(folder / name, rows, "%.4f", ",", header="a,b,c,d", comments="")


def measure_starts(programs: Sequence[str], folder: Path, repeats: int) -> dict[str, list[list[Usage]]]:
    """Return the time and memory of each command by name, for each program and each repeat.

    Args:
      programs: the paths of the programs, which take turns.
      folder: an empty folder for the data and the runs.
      repeats: how often each program runs each command.

    Raises:
      RuntimeError: a command failed.
    """
    write_tables(folder)
    found: dict[str, list[list[Usage]]] = {}
    for repeat in range(repeats):
        lines = [command_lines(each, folder, folder / f"{i}-{repeat}") for i, each in enumerate(programs)]
        for name in lines[0]:
            kept = found.setdefault(name, [[] for _ in programs])
            for place, commands in enumerate(lines):
                kept[place].append(run_command(commands[name]))
    return found


def start_table(found: dict[str, list[list[Usage]]]) -> Table:
    """Return a table of the medians of both programs and their ratios, new / old."""
    table = Table(title="Medians, in seconds", box=None, header_style="bold", title_justify="left")
    for column in ("", "CPU, old", "CPU, new", "ratio", "time, old", "time, new", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    for name, (old, new) in found.items():
        cells = list[str]()
        for place in (Usage._fields.index("cpu_seconds"), Usage._fields.index("seconds")):
            before, after = (statistics.median(usage[place] for usage in part) for part in (old, new))
            cells += [f"{before:.1f}", f"{after:.1f}", f"{after / before:.2f}"]
        table.add_row(name, *cells)
    return table


@click.command()
@click.argument("old", type=click.Path(exists=True, dir_okay=False))
@click.argument("new", type=click.Path(exists=True, dir_okay=False))
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Runs of each command.")
def main(old: str, new: str, repeats: int) -> None:
    """Time short commands of two installed versions, OLD and NEW, in turns."""
    programs = [str(Path(program).absolute()) for program in (old, new)]
    with tempfile.TemporaryDirectory() as folder:
        Console().print(start_table(measure_starts(programs, Path(folder), repeats)))


if __name__ == "__main__":
    main()
