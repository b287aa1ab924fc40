"""`tfp-vae data`: list data sets, or describe one."""

from __future__ import annotations

from typing import Any

import click
import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError, DiskError, UsageError, cut
from tfp_vae.core.files import user_path, write_bytes
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.loading import read
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.sources import FOLDER, READERS, Reading
from tfp_vae.data.readers.words import WordsFound
from tfp_vae.data.schema.guess import Overrides, guess_schema
from tfp_vae.data.schema.layout import Schema
from tfp_vae.data.schema.tables import TABLE_FILES, open_cells
from tfp_vae.data.transforms.scaling import SCALINGS, choose_scaling
from tfp_vae.runs.config import SETTINGS

from .. import console, options, output

PICTURED = 100
"""The most examples in a picture."""

COLUMNS = 10
"""Images per row of a picture."""

MOST_CLASSES = 12
"""The most classes to list."""

SHOWN = 4
"""The most words of a column to show."""

MOST_CELLS = 1 << 21
"""The most cells of a table of numbers whose columns are described without being asked."""

MOST_COLUMNS = 50
"""The most columns of a table to list."""

LONGEST_RANGE = 40
"""The most characters of a column's range."""

ALIKE = (
    "All columns share one likelihood, because every cell is a number. To give each column its own, save the "
    "kinds with --write-schema FILE.toml and train with --schema FILE.toml."
)

LARGE = 1 << 36
"""Announce a search for duplicates that takes more than this many multiplications."""


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
    own = [(reader.text, sorted(reader.takes & SETTINGS.keys())) for reader in (*READERS.values(), FOLDER)]
    if as_json:
        console.print_json(
            {
                "named": [{"name": each.name, "summary": each.summary} for each in named],
                "own": [{"kind": kind, "options": takes} for kind, takes in own],
            }
        )
        return
    console.print_table(["name", "description"], [[each.name, each.summary] for each in named])
    click.echo()
    rows = [[kind, ", ".join(f"--{SETTINGS[name].key}" for name in takes)] for kind, takes in own]
    console.print_table(["your own data", "options for reading"], rows)


@command.command(
    "inspect",
    cls=options.Command,
    examples=(
        "tfp-vae data inspect table.csv --label-column class --out examples.png",
        "tfp-vae data inspect people.csv --write-schema people.schema.toml",
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
@options.option(
    "--write-schema",
    group=options.OUTPUT,
    metavar="FILE.toml",
    type=options.PLACE,
    help="File for the kinds of a table's columns, which you can edit.  [default: none]",
)
@options.json_option
@options.debug_option
def inspect_command(
    dataset: str,
    data_dir: str | None,
    scaling: str | None,
    out: str | None,
    write_schema: str | None,
    as_json: bool,
    **reading: object,
) -> None:
    """Describe DATASET, a name or a path, and how to train on it.

    For a table, the command lists the kind of each column, the reason, its range and its share of missing cells.

    If the data can be read but not used for training, the command prints its findings, then the reason, and exits
    with code 3. If it cannot write the picture, it exits with code 6.
    """
    path, refusal = None, None
    try:
        path = output.check_path(out, (".png",))
    except DiskError as error:  # raised after the findings are printed
        refusal = error
    schema_path = output.check_path(write_schema, (".toml",), "--write-schema")
    raw = read_or_describe(dataset, data_dir, options.reading(reading), as_json=as_json)
    schema = find_schema(dataset, raw, is_needed=schema_path is not None)
    found = findings(raw, scaling, schema)
    try:
        if path is not None and np.isfinite(found["range"]["mean"]):
            write_bytes(path, plot_examples(raw, scaling))
            found["picture"] = str(path)
        if schema is not None and schema_path is not None:
            schema.save(schema_path)
            found["schema"] = str(schema_path)
    except DiskError as error:
        refusal = error
    print_findings(found, schema, as_json=as_json)
    if not found["trainable"]:
        raise DataError(f"These data cannot be used for training: {found['problem']}")
    if refusal is not None:
        raise refusal


def findings(raw: Dataset, scaling: str | None, schema: Schema | None) -> dict[str, Any]:
    """Return the facts about a data set and its columns as a JSON object, with options in its sentences.

    Args:
      raw: before scaling.
      scaling: the one that you chose, or None.
      schema: the kinds of its columns, if it is a table.
    """
    from tfp_vae.runs.recipe import inspect

    if sum(len(x) for x in raw.parts[1:]) * raw.train.x.size > LARGE:
        console.notice("comparing held-out examples with training examples, which takes a while")
    found, command = inspect(raw, scaling), click.get_current_context().command
    if found.get("assumed"):
        found["assumed"] = console.with_options(found["assumed"], command)
    found["doubts"] = [console.with_options(text, command) for text in found.get("doubts", ())]
    if schema is not None:
        found["columns"] = [column.describe() for column in schema.columns]
        found["mixed"] = raw.reading.table is not None
    return found


def print_findings(found: dict[str, Any], schema: Schema | None, *, as_json: bool) -> None:
    """Print the facts about a data set, the columns of a table, and the paths of files that were written.

    Args:
      found: the facts.
      schema: the kinds of the columns, if it is a table.
      as_json: whether to print a JSON object.
    """
    if as_json:
        console.print_json(found)
        return
    lines = fact_lines(found) | (training_lines(found) if found["trainable"] else {"usable for training": "no"})
    console.print_table([found["dataset"], ""], [[name, text] for name, text in lines.items() if text])
    if schema is not None:
        click.echo()
        console.print_table(*column_lines(schema))
        if not found["mixed"]:
            click.echo(ALIKE)
    for each in ("picture", "schema"):
        if each in found:
            click.echo(found[each])


def find_schema(dataset: str, raw: Dataset, *, is_needed: bool) -> Schema | None:
    """Return the kinds of the columns of a table, or None for other data.

    The kinds of a table of numbers are guessed, although training treats all of its columns alike. That takes long for
    a large one, which has kinds only if they are needed.

    Args:
      dataset: the name or path.
      raw: the data set.
      is_needed: whether to raise the error of a guess that fails.

    Raises:
      UsageError: a schema is needed, but the data are no table in a file.
    """
    path, schema = user_path(dataset), raw.reading.table
    is_large = sum(x.size for x in raw.parts) > MOST_CELLS and not is_needed
    if schema is None and not is_large and TABLE_FILES.search(path.name) and path.is_file():
        cells = open_cells(path, Overrides(header=raw.reading.header))
        left_out = tuple(name for name in cells.names if name not in (raw.reading.columns or cells.names))
        try:
            schema = guess_schema(cells, Overrides(drop_columns=left_out))
        except DataError:
            if is_needed:
                raise
    if schema is None:
        if is_needed:
            raise UsageError("--write-schema needs a table, such as a .csv file.")
        return None
    labels = {raw.reading.label_column: {"reason": "labels"}}
    columns = tuple(column.model_copy(update=labels.get(column.name, {})) for column in schema.columns)
    return schema.model_copy(update={"columns": columns})


def column_lines(schema: Schema) -> tuple[list[str], list[list[str]]]:
    """Return the head and the rows of a table with the columns of a schema."""
    rows, more = list[list[str]](), len(schema.columns) - MOST_COLUMNS
    for column in schema.columns[:MOST_COLUMNS]:
        missing = f"{column.share_missing:.1%}" if column.share_missing else ""
        doubts = f". {', '.join(column.suspicious)} may mark missing cells" if column.suspicious else ""
        rows.append([column.name, column.kind, cut(column.span, LONGEST_RANGE), missing, f"{column.reason}{doubts}"])
    if more > 0:
        rows.append([f"and {plural(more, 'more column')}", "", "", "", "--write-schema or --json shows all of them"])
    return ["column", "kind", "range", "missing", "reason"], rows


def read_or_describe(dataset: str, data_dir: str | None, reading: Reading, *, as_json: bool) -> Dataset:
    """Return a data set. If it is a table with words, describe its columns before the error is raised.

    Args:
      dataset, data_dir, reading: see `data.loading.read`.
      as_json: whether to print a JSON object.
    """
    try:
        return read(dataset, data_dir, console.DownloadProgress(), reading)
    except DataError as error:
        found = error.__cause__
        columns = found.columns if isinstance(found, WordsFound) else ()
        if columns and as_json:
            described = [column._asdict() for column in columns]
            console.print_json({"dataset": dataset, "trainable": False, "problem": str(error), "columns": described})
        elif columns:
            rows = [
                [
                    column.name,
                    "labels?" if column.is_class else "words" if column.is_text else "numbers",
                    *column[1:4],
                    ", ".join(column.different[:SHOWN]) + ", ..." * (len(column.different) > SHOWN),
                ]
                for column in columns
            ]
            console.print_table(["column", "holds", "numbers", "missing", "words", "such as"], rows)
        raise


def plot_examples(raw: Dataset, scaling: str | None) -> bytes:
    """Return a PNG picture of training examples: images and series unchanged, and columns of a table over their ranges.

    Args:
      raw: before scaling.
      scaling: the one that you chose, or None. It decides which value is white.
    """
    from tfp_vae import plots
    from tfp_vae.data.inspection import pick_examples

    examples = pick_examples(raw, PICTURED)
    x = np.nan_to_num(np.asarray(examples, np.float64), posinf=0.0, neginf=0.0)
    title = f"{raw.name}: training examples{'' if raw.train.y is None else ', class by class'}"
    if raw.reading.columns:
        width = np.ptp(x, axis=0)
        shares = (x - x.min(axis=0)) / np.where(width > 0, width, 1.0)
        title = f"{title}, each feature over its range"
        return plots.png(plots.image_grid(shares, title, features=raw.reading.columns))
    if x.ndim == 2:
        return plots.png(plots.image_grid(x, title))
    full = SCALINGS.build(SCALINGS.member(scaling or choose_scaling(raw.profile))).full(examples)
    limits = None if full is None else plots.Range(0.0, full)
    return plots.png(plots.image_grid(x, title, COLUMNS, limits=limits, ink=raw.profile.train.ink))


def fact_lines(found: dict[str, Any]) -> dict[str, str]:
    """Return the facts that every data set has, by label."""
    sizes = ", ".join(f"{size:,} {name}" for name, size in found["splits"].items())
    values, labels, count = "none: all are missing or infinite", "none", sum(found["splits"].values())
    if np.isfinite(found["range"]["mean"]) and found.get("mixed"):
        values = ""  # because columns have different units
    elif np.isfinite(found["range"]["mean"]):
        values = "from {min:g} to {max:g}, mean {mean:g}, standard deviation {std:g}".format(**found["range"])
    if found["labels"] is not None:
        counts = [f"{name} ({sum(sizes.values()):,})" for name, sizes in found["labels"]["examples"].items()]
        more = ", ..." if len(counts) > MOST_CLASSES else ""
        labels = f"{found['labels']['classes']} classes: {', '.join(counts[:MOST_CLASSES])}{more}"
    flaws = {
        kind: f"{flaw['values']:,}, in {flaw['examples']:,} of {count:,} examples, first in {flaw['first']}"
        for kind in ("missing", "infinite")
        if (flaw := found[kind])["values"]
    }
    return {
        "shape of an example": f"{'x'.join(map(str, found['event_shape']))}, {found['dtype']}",
        "splits": f"{sizes} ({found['split_rule']})",
        "values": values,
        "missing values": flaws.get("missing", "none"),
        "infinite values": flaws.get("infinite", ""),
        "labels": labels,
    }


def training_lines(found: dict[str, Any]) -> dict[str, str]:
    """Return the facts about data that can be used for training, by label."""
    lines = {
        "usable for training": f"yes, but {found['lack']}" if found["lack"] else "yes",
        "assumption": found["assumed"],
        "please check": "\n".join(found["doubts"]),
        "kind": found["kind"],
        "constant elements": str(found["constant"]),
    }
    for split, pairs in found["duplicates"].items():
        compared = f"{pairs['searched']:,} compared with {pairs['among']:,}"
        if pairs["left_out"]:
            compared += f", {pairs['left_out']:,} left out to save time"
        text = f"{pairs['identical']:,} identical, {pairs['near']:,} identical or nearly so ({compared})"
        if pairs["nearest"]:
            first = pairs["nearest"][0]
            text += f", such as {first['held_out']} and {first['train']} of the source"
        lines[f"{split} examples in train"] = text
    few, picked = found["few_values"], found["picked"]
    unbounded = ", ".join(few["unbounded"]) if few is not None and few["size"] > 1 else ""
    return {
        **lines,
        "likelihoods that fit": ", ".join(found["likelihoods"]),
        "without an upper bound": unbounded and f"{unbounded}: densities of data with only {few['size']} values",
        "fit if binarized": ", ".join(found["likelihoods_if_binarized"]),
        "train would choose": ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in picked.items()),
    }
