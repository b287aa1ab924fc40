"""Call the command line from tests."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
from click.testing import CliRunner, Result
from tfp_vae.cli.main import main

from tfp_vae.plots.canvas import Figure

RUN_COMMANDS = ["sample", "evaluate", "reconstruct", "encode", "interpolate", "score", "plot", "report"]


GRAPH = ("--execution", "graph")


SMALL = ("--hidden", "16", *GRAPH, "--epochs", "2")

BRIEF = ("--execution", "eager", "--epochs", "1", "--steps-per-epoch", "1", "--no-plots")
"""One step, for tests in which training itself does not matter."""

QUICK = ("--hidden", "8", *BRIEF)


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    if code:
        assert "Traceback" not in result.output
    return result


def one_sentence(result: Result) -> str:
    """The error's text: the last line on stderr."""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    return last


def answer(*arguments: object) -> Any:
    """Return the JSON object that a command prints with --json. It is all that the command prints on stdout."""
    return json.loads(call(*arguments, "--json").stdout)


def read_rows(path: object) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with Path(str(path)).open(newline="") as stream:
        return list(csv.DictReader(stream))


def shows_something(path: object) -> bool:
    """Return whether a picture has more than one colour."""
    return bool(matplotlib.image.imread(str(path)).std() > 0.01)


def read_tiles(figure: Figure, columns: int, side: int = 8) -> np.ndarray:
    """Return the tiles [N, H, W] of a figure of grey images in reading order, including blank ones."""
    picture = np.asarray(figure.axes[0].images[0].get_array())
    width = picture.shape[1] // columns
    rows = round(picture.shape[0] / width) if picture.shape[0] % width == 0 else picture.shape[0] // (width + 2)
    height = picture.shape[0] // rows
    grid = picture.reshape(rows, height, columns, width).swapaxes(1, 2)
    return grid.reshape(-1, height, width)[:, :side, :side]
