"""`tfp-vae data`: what data sets there are, and what is in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae import storage
from tfp_vae.datasets import DATASETS, Dataset, read
from tfp_vae.errors import DataError, UsageError
from tfp_vae.sources import FOLDER, READERS

from . import console, options, places

PICTURED, COLUMNS = 100, 10
MOST_CLASSES = 12
LARGE = 20_000


@click.group()
def command() -> None:
    """List what data sets there are, or say what is in one."""


@command.command("list")
@options.json_option
@options.debug_option
def list_command(as_json: bool) -> None:
    """List the named data sets, and the kinds of files and folders that are read."""
    named = [DATASETS.info(name) for name in DATASETS]
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


@command.command("inspect")
@click.argument("dataset")
@options.data_dir_option
@options.reading_options
@click.option("--out", metavar="FILE.png", help="Where the picture goes.  [default: <dataset>-examples.png here]")
@click.option("--picture/--no-picture", default=True, show_default=True, help="Draw a picture of examples.")
@options.json_option
@options.debug_option
def inspect_command(
    dataset: str, data_dir: str | None, scaling: str | None, out: str | None, picture: bool, as_json: bool, **said: Any
) -> None:
    """Say what is in DATASET, a name or a path: and whether it can be trained on, and how.

    Of data that cannot be trained on it says what it found as well, and ends with exit code 3.
    """
    if out is not None and not picture:
        raise UsageError("--out and --no-picture were both given; keep one.")
    path = places.output(out, (".png",)) or Path(f"{_stem(dataset)}-examples.png")
    raw = read(dataset, data_dir=data_dir, progress=console.DownloadProgress(), reading=options.reading(said))
    from tfp_vae import inspection

    if sum(raw.sizes().values()) > LARGE:
        console.notice("comparing held-out examples with training examples, which takes a while")
    found = inspection.inspect(raw, scaling)
    if picture and np.isfinite(found["range"]["mean"]):
        _draw(path, raw)
        found["picture"] = str(path)
    console.print_json(found) if as_json else _print(found)
    if not found["trainable"]:
        raise DataError(f"cannot be trained on: {found['problem']}")


def _stem(dataset: str) -> str:
    return Path(dataset).expanduser().absolute().stem or "data"


def _draw(path: Path, raw: Dataset) -> None:
    """Draw training examples, between the least and the greatest value: of all pixels, or of each feature."""
    from tfp_vae import plots
    from tfp_vae.inspection import pictured

    x = np.nan_to_num(np.asarray(pictured(raw, PICTURED), np.float64), posinf=0.0, neginf=0.0)
    vectors = x.ndim == 2
    low, width = x.min(axis=0 if vectors else None), np.ptp(x, axis=0 if vectors else None)
    how = ", each feature over its range" if vectors else ""
    title = f"{raw.name}: training examples{'' if raw.train.y is None else ', class by class'}{how}"
    shown = (x - low) / np.where(width > 0, width, 1.0)
    storage.write_bytes(path, plots.png(plots.image_grid(shown, title, None if vectors else COLUMNS)))


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
        "missing values": _missing(found["missing"], sum(found["splits"].values())),
        "labels": _labels(found["labels"]),
    }
    return lines | (_trainable_lines(found) if found["trainable"] else {"can be trained on": "no"})


def _range(found: dict[str, float]) -> str:
    if not np.isfinite(found["mean"]):
        return "not one number"
    return "from {min:g} to {max:g}, mean {mean:g}, standard deviation {std:g}".format(**found)


def _missing(missing: dict[str, Any], count: int) -> str:
    if not missing["values"]:
        return "none"
    where = f"in {missing['examples']:,} of {count:,} examples, first in {missing['first']}"
    return f"{missing['values']:,}, {where}"


def _labels(labels: dict[str, Any] | None) -> str:
    if labels is None:
        return "none"
    counts = [f"{name} ({sum(sizes.values()):,})" for name, sizes in labels["examples"].items()]
    more = ", ..." if len(counts) > MOST_CLASSES else ""
    return f"{labels['classes']} classes: {', '.join(counts[:MOST_CLASSES])}{more}"


def _trainable_lines(found: dict[str, Any]) -> dict[str, str]:
    duplicates = {f"in {name} and in train": _duplicates(each) for name, each in found["duplicates"].items()}
    return {
        "can be trained on": "yes",
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
    if few is None or not few["unbounded"]:
        return ""
    return f"{', '.join(few['unbounded'])}: densities of data with only {few['size']} different values"


def _duplicates(found: dict[str, Any]) -> str:
    compared = f"{found['searched']:,} compared with {found['among']:,}"
    text = f"{found['identical']:,} identical, {found['near']:,} nearly so or identical ({compared})"
    if not found["nearest"]:
        return text
    first = found["nearest"][0]
    return f"{text}, such as {first['held_out']} and {first['train']} of the source"
