"""`tfp-vae data`: what data sets there are, and what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, DiskError
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.loading import read
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.sources import FOLDER, READERS
from tfp_vae.data.transforms.scaling import SCALINGS, choose_scaling

from .. import console, options, output

PICTURED, COLUMNS = 100, 10
MOST_CLASSES = 12
LARGE = 20_000


@click.group()
def command() -> None:
    """List data sets or inspect one."""


@command.command(
    "list",
    cls=options.Command,
    examples=(
        "tfp-vae data list",
        "tfp-vae data list --json",
    ),
)
@options.json_option
@options.debug_option
def list_command(as_json: bool) -> None:
    """List the named data sets and the supported files."""
    named = [DATASETS.info(name) for name in DATASETS.names()]
    own = [(reader.text, sorted(reader.takes)) for reader in (*READERS.values(), FOLDER)]
    if as_json:
        console.print_json(
            {
                "named": [{"name": each.name, "summary": each.summary} for each in named],
                "own": [{"kind": kind, "options": takes} for kind, takes in own],
            }
        )
        return
    console.print_table(["named", "what it is"], [[each.name, each.summary] for each in named])
    click.echo()
    rows = [[kind, ", ".join(f"--{name.replace('_', '-')}" for name in takes)] for kind, takes in own]
    console.print_table(["your own", "options that say how it is read"], rows)


@command.command(
    "inspect",
    cls=options.Command,
    examples=(
        "tfp-vae data inspect mnist",
        "tfp-vae data inspect table.csv --label-column class --out examples.png",
    ),
)
@click.argument("dataset", type=options.DATASET)
@options.data_dir_option
@options.reading_options
@options.option(
    "--out",
    group=options.OUTPUT,
    metavar="FILE.png",
    type=options.PLACE,
    help="Picture of examples to write.  [default: none]",
)
@options.json_option
@options.debug_option
def inspect_command(
    dataset: str, data_dir: str | None, scaling: str | None, out: str | None, as_json: bool, **said: Any
) -> None:
    """Describe DATASET, a name or a path, and how to train on it.

    If the data cannot be used for training, the command prints its findings, then the reason, and exits with code 3. If
    it cannot write the picture, it exits with code 6.
    """
    path, refused = _place(out)

    raw = read(dataset, data_dir=data_dir, progress=console.DownloadProgress(), reading=options.reading(said))
    from tfp_vae.runs.recipe import inspect

    if sum(raw.sizes().values()) > LARGE:
        console.notice("comparing held-out examples with training examples, which takes a while")
    found = inspect(raw, scaling)
    if found.get("assumed"):
        found["assumed"] = console.with_options(found["assumed"], click.get_current_context().command)
    if path is not None and np.isfinite(found["range"]["mean"]):
        refused = _drawn(path, raw, scaling)
        found.update({} if refused else {"picture": str(path)})
    console.print_json(found) if as_json else _print(found)
    if not found["trainable"]:
        raise DataError(f"cannot be trained on: {found['problem']}")
    if refused is not None:
        raise refused


def _place(out: str | None) -> tuple[Path | None, DiskError | None]:
    """Return where a picture goes, if one was asked for; or why none can go there, which is said after the findings."""
    try:
        return output.check_path(out, (".png",)), None
    except DiskError as error:
        return None, error


def _drawn(path: Path, raw: Dataset, scaling: str | None) -> DiskError | None:
    """Draw training examples, and return why that could not be written, if it could not."""
    from tfp_vae import plots

    try:
        storage.write_bytes(path, plots.png(_picture(raw, scaling)))
    except DiskError as error:
        return error
    return None


def _picture(raw: Dataset, scaling: str | None) -> Any:
    """Return training examples as a figure: pixels as they are, vectors with each feature over its range."""
    from tfp_vae import plots
    from tfp_vae.data.inspection import pick_examples

    given = pick_examples(raw, PICTURED)
    x = np.nan_to_num(np.asarray(given, np.float64), posinf=0.0, neginf=0.0)
    title = f"{raw.name}: training examples{'' if raw.train.y is None else ', class by class'}"
    if x.ndim == 2:
        width = np.ptp(x, axis=0)
        shown = (x - x.min(axis=0)) / np.where(width > 0, width, 1.0)
        return plots.image_grid(shown, f"{title}, each feature over its range", features=raw.reading.columns or ())
    full = SCALINGS.build(SCALINGS.member(scaling or choose_scaling(raw.profile))).full(given)
    return plots.image_grid(x, title, COLUMNS, limits=None if full is None else plots.Range(0.0, full))


def _print(found: dict[str, Any]) -> None:
    console.print_table([found["dataset"], ""], [[name, text] for name, text in _lines(found).items() if text])
    if "picture" in found:
        click.echo(found["picture"])


def _lines(found: dict[str, Any]) -> dict[str, str]:
    sizes = ", ".join(f"{size:,} {name}" for name, size in found["splits"].items())
    lines = {
        "shape of an example": f"{'x'.join(map(str, found['event_shape']))}, {found['dtype']}",
        "splits": f"{sizes} ({found['split_rule']})",
        "values": _range(found["range"]),
        "missing values": _counted(found["missing"], sum(found["splits"].values())) or "none",
        "infinite values": _counted(found["infinite"], sum(found["splits"].values())),
        "labels": _labels(found["labels"]),
    }
    return lines | (_trainable_lines(found) if found["trainable"] else {"can be trained on": "no"})


def _range(found: dict[str, float]) -> str:
    if not np.isfinite(found["mean"]):
        return "none: all are missing or infinite"
    return "from {min:g} to {max:g}, mean {mean:g}, standard deviation {std:g}".format(**found)


def _counted(wrong: dict[str, Any], count: int) -> str:
    if not wrong["values"]:
        return ""
    where = f"in {wrong['examples']:,} of {count:,} examples, first in {wrong['first']}"
    return f"{wrong['values']:,}, {where}"


def _labels(labels: dict[str, Any] | None) -> str:
    if labels is None:
        return "none"
    counts = [f"{name} ({sum(sizes.values()):,})" for name, sizes in labels["examples"].items()]
    more = ", ..." if len(counts) > MOST_CLASSES else ""
    return f"{labels['classes']} classes: {', '.join(counts[:MOST_CLASSES])}{more}"


def _trainable_lines(found: dict[str, Any]) -> dict[str, str]:
    duplicates = {f"in {name} and in train": _duplicates(each) for name, each in found["duplicates"].items()}
    return {
        "can be trained on": f"yes, but {found['lack']}" if found["lack"] else "yes",
        "taken for granted": found["assumed"],
        "kind": found["kind"],
        "elements that never change": str(found["constant"]),
        **duplicates,
        "likelihoods that fit": ", ".join(found["likelihoods"]),
        "without an upper bound": _unbounded(found["few_values"]),
        "and if binarized": ", ".join(found["likelihoods_if_binarized"]),
        "picked unless told": ", ".join(f"--{name} {value}" for name, value in found["picked"].items()),
    }


def _unbounded(few: dict[str, Any] | None) -> str:
    if few is None or few["size"] < 2 or not few["unbounded"]:
        return ""
    return f"{', '.join(few['unbounded'])}: densities of data with only {few['size']} different values"


def _duplicates(found: dict[str, Any]) -> str:
    compared = f"{found['searched']:,} compared with {found['among']:,}"
    text = f"{found['identical']:,} identical, {found['near']:,} nearly so or identical ({compared})"
    if not found["nearest"]:
        return text
    first = found["nearest"][0]
    return f"{text}, such as {first['held_out']} and {first['train']} of the source"
