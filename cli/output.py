"""Where a command reads a run and writes its results, and the formats of the files.

Commands check that they can write before they read data or start TensorFlow.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import click
import numpy as np

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DiskError, UsageError
from tfp_vae.data.readers.tables import COMMAS, TextFormat, csv_blocks
from tfp_vae.evaluation.metrics import MEASURE_NAMES
from tfp_vae.evaluation.proposals import REFINEMENTS
from tfp_vae.model.missingness import describe_missingness
from tfp_vae.runs import run as runs
from tfp_vae.runs.run import PLOTS, Run

from . import console

if TYPE_CHECKING:
    from tfp_vae.plots.canvas import Figure
    from tfp_vae.runs.config import RunConfig
    from tfp_vae.runs.load import LoadedRun

OUT, NO_PLOTS = "name a file elsewhere with --out", "leave the pictures out with --no-plots"
COPY = "make it writable, or copy the run to a writable place and name the copy with --run"
"""Remedies if a run is read-only. Some commands must write into the run, so only `COPY` helps."""

TABLES = (".csv", ".tsv", ".txt")
"""Suffixes of tables of text. `.tsv` has tabs. The others have the marks of the table that they come from."""

Forms: TypeAlias = Mapping[str, Callable[..., object]]
"""The suffixes that a command accepts, each with the function that converts the command's result to the file's content.

The content is a figure for `.png`, an array for `.npy`, named arrays for `.npz`, and named columns [N] for `TABLES`.
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


def require_kinds(run: Run, what: str) -> None:
    """Raise UsageError if a run does not model each column of a table by its kind.

    Args:
      run: the run.
      what: the command or the option that needs such a run.
    """
    if run.config().model.likelihood.name != "columns":
        raise UsageError(
            f"{what} needs a run that has a likelihood for each column of a table. Train one with "
            "`tfp-vae train --dataset FILE.csv --missing NA`."
        )


def context_from_option(config: RunConfig, given: str | None) -> np.ndarray | None:
    """Return the context [C] that `--given` names, or None without it.

    Raises:
      UsageError: the run has no condition, or the value does not fit it.
    """
    if given is None:
        return None
    if config.data.condition is None:
        raise UsageError("`given` needs a run with a condition. Train one with --condition label, or leave it out.")
    return config.data.condition.parse(given)


def refuse_condition(config: RunConfig, command: str) -> None:
    """Raise UsageError if a command does not support runs with a condition."""
    if config.data.context_size:
        raise UsageError(
            f"{command} does not support runs with a condition. Use evaluate or encode, or train without --condition."
        )


def restore(run: Run, weights: str | None) -> LoadedRun:
    """Return the model of a run with its `final` or `best` weights, or its usual ones if None, and print which."""
    console.start_tensorflow()
    from tfp_vae.runs.load import LoadedRun

    model = LoadedRun(run, weights)
    console.notice(f"weights: {model.description}")
    return model


def write(run: Run, out: Path | None, name: str, forms: Forms, *result: object, text: TextFormat = COMMAS) -> Path:
    """Write the result of a command to a file, in the format of its suffix, and return the path.

    Args:
      run: the run.
      out: the file, or None for a file of the run.
      name: that file of the run.
      forms: the formats of the command.
      result: the arguments of those functions.
      text: the marks of the table that the result comes from.
    """
    path = out or run.path(name)
    content = forms[path.suffix](*result)
    if path.suffix in TABLES:
        form = text.of_file(path)
        if form != COMMAS.of_file(path):
            advice = "" if path.suffix == ".tsv" else " A name that ends in .tsv gives tabs."
            console.notice(f"{path.name}: {form}, as in the table.{advice}")
        write_bytes(run, out, name, csv_blocks(cast("Mapping[str, np.ndarray]", content), form=form))
    else:
        write_bytes(run, out, name, CONTENTS[path.suffix](content))
    return path


def write_bytes(run: Run, out: Path | None, name: str, content: storage.Content) -> None:
    """Write a file `out`, or the file `name` of the run. A folder that has taken the run's name gets no file."""
    run.files.write_bytes(name, content) if out is None else storage.write_bytes(out, content)


def picture_bytes(figure: Figure) -> bytes:
    """Return the content of a PNG file with a figure."""
    from tfp_vae import plots

    return plots.png(figure)


CONTENTS: dict[str, Callable[[Any], storage.Content]] = {
    ".png": picture_bytes,
    ".npy": storage.array_bytes,
    ".npz": storage.arrays_bytes,
}
"""The function that returns the content of a file of each suffix. `write` itself writes tables."""

LONGEST_VALUE = 40
"""The most characters of an option's value in the name of a file. A checksum replaces a longer value."""


def ending(*names: str) -> str:
    """Return an ending for the name of a file: the options of the current command that differ from their defaults.

    So different results get different names. For example, `--temperature 0.7 --weights best` gives
    `-temperature0.7-weights-best`.

    Args:
      names: the names of the parameters that decide the result, in the order of the ending.
    """
    ctx, text = click.get_current_context(), ""
    params = {param.name: param for param in ctx.command.params}
    for name in names:
        value = ctx.params[name]
        if value in (None, (), params[name].get_default(ctx)):
            continue
        if value is True:  # a flag
            text += f"-{params[name].opts[0].lstrip('-')}"
            continue
        shown = f"-{value}" if isinstance(value, str) else "_".join(f"{x:.15g}" for x in np.ravel(value).tolist())
        shown = shown.replace(":", "-")  # some file systems refuse a colon
        shown = shown if len(shown) <= LONGEST_VALUE else f"{zlib.crc32(shown.encode()):08x}"
        text += f"-{params[name].opts[0].lstrip('-')}{shown}"
    return text


def refinement_note(result: Mapping[str, object]) -> str:
    """Return the refinement of a result as the end of a clause, such as `, refined by local: 50 steps`, or nothing."""
    if result.get("accuracy") is not None:
        return f", to {result['accuracy']:g} nats"
    member = REFINEMENTS.member(str(result["refine"]))
    effort = REFINEMENTS.build(member).effort
    return "" if member.name == "none" else f", refined by {member.name}{f': {effort}' if effort else ''}"


def measure_line(result: Mapping[str, object]) -> str:
    """Return a sentence that names the likelihood of a result and its units."""
    shown = [name for name in MEASURE_NAMES if name != "dequantization" or result.get(name, "none") != "none"]
    names = ", ".join(f"{name} {result[name]}" for name in shown)
    return f"p(x) is {result['measure']} ({names})"


def notice_missingness(run: Run) -> None:
    """Print the assumption about missing cells, unless it is that they are missing at random."""
    member = run.config().model.missingness
    if member.name != "random":
        console.notice(describe_missingness(member))


def record(run: Run, restored: LoadedRun, **more: object) -> dict[str, object]:
    """Return the record of a result, which begins with the run and its weights."""
    return {"run": str(run.folder), "weights": restored.weights, "step": restored.step, **more}


def print_result(result: Mapping[str, object], as_json: bool) -> None:
    """Print the record of a result as JSON, or else the path of the output file."""
    console.print_json(result) if as_json else click.echo(result["out"])
