"""`tfp-vae impute`: a table with its missing cells filled in, and their uncertainty."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.errors import UsageError
from tfp_vae.core.files import user_path
from tfp_vae.data.readers.tables import TAB_FILE
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE
from tfp_vae.evaluation.proposals import full_name

from .. import console, options, output


@click.command(
    cls=options.Command,
    examples=(
        "tfp-vae impute --data holes.csv --out full.csv",
        "tfp-vae impute --data holes.csv --out full.csv --draws 20 --interval 0.5",
    ),
)
@options.run_options
@options.option(
    "--data",
    group=options.DATA,
    metavar="PATH",
    type=options.DATA_PLACE,
    required=True,
    help="Table with missing cells.",
)
@options.given_option("that of each row")
@options.samples_option(1_000, "row with missing cells")
@options.refine_option
@options.output_options(output.TABLES, "importance samples", "imputed-<table>.csv in the run")
@options.option(
    "--draws",
    group=options.OUTPUT,
    type=options.Whole(0, 10_000),
    default=0,
    show_default=True,
    help="Number of multiple imputations, for a file <out>-draws.",
)
@options.option(
    "--interval",
    group=options.OUTPUT,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Probability of the intervals in the file <out>-cells.",
)
@options.weights_option
@options.execution_option
@options.json_option
@options.debug_option
def command(
    run: str | None,
    runs_dir: str,
    data: str,
    given: str | None,
    iw_samples: int,
    refine: str,
    seed: int,
    out: str | None,
    draws: int,
    interval: float,
    weights: str | None,
    execution: str,
    as_json: bool,
) -> None:
    """Fill in the missing cells of a table.

    A missing number becomes its mean given the observed cells of its row, and a missing word the most probable one.
    In a column with only one value, missing cells get this value.
    Observed cells and the order of rows and columns stay as they are. The file <out>-cells lists each filled cell with
    its interval or its probability. To include the uncertainty of the cells in an analysis, repeat it on each of the
    --draws tables.
    """
    out_path, parts = output.check_path(out, output.TABLES), ["out", "cells"] + ["draws"] * bool(draws)
    source = user_path(data)
    if out_path is not None and source.resolve() in {place.resolve() for place in files(out_path, parts).values()}:
        raise UsageError(f"--out: {out} would overwrite the table with the missing cells. Name another file.")
    found = output.find_run(run, runs_dir)
    output.check_run(found, out_path)
    output.require_kinds(found, "impute")
    config = found.config()
    context = output.context_from_option(config, given)
    from tfp_vae.runs.tables.imputation import fill_table, read_contexts, read_holes, table_blocks

    table = read_holes(config, data)
    context = read_contexts(config, table) if context is None else context
    output.notice_missingness(found)
    restored = output.restore(found, weights)
    started, rows = time.perf_counter(), int(np.isnan(table.values).any(axis=1).sum())
    with console.progress_bar("imputing", rows * iw_samples) as progress:
        filled = fill_table(
            restored.vae,
            config,
            table,
            context=context,
            iw_samples=iw_samples,
            draws=draws,
            interval=interval,
            seed=seed,
            refine=refine,
            execution=restored.choose_execution(execution),
            progress=progress,
        )
    name = (
        f"imputed-{source.stem}{output.ending('given', 'iw_samples', 'refine', 'seed', 'draws', 'interval', 'weights')}"
    )
    written = {"out": filled.columns, "cells": filled.cells, "draws": filled.draws}
    suffix = ".tsv" if TAB_FILE.search(source.name) else ".csv"
    paths = files(out_path or found.path(f"{name}{suffix}"), parts)
    for part, path in paths.items():
        form = table.form.of_file(path)
        content = table_blocks(written[part], table, header=None if part == "out" else True, form=form)
        output.write_bytes(found, None if out_path is None else path, path.name, content)
    result = output.record(
        found,
        restored,
        data=data,
        **({} if config.data.condition is None else {"given": given}),
        **filled.summary,
        iw_samples=iw_samples,
        refine=full_name(refine),
        interval=interval,
        draws=draws,
        seed=seed,
        seconds=time.perf_counter() - started,
        **{"out" if part == "out" else f"{part}_out": str(path) for part, path in paths.items()},
    )
    if as_json:
        console.print_json(result)
        return
    print_summary(result)
    for path in paths.values():
        click.echo(path)


def files(out: Path, parts: Sequence[str]) -> dict[str, Path]:
    """Return the file of each part of the result: `out` itself, and others next to it with the part in their names."""
    return {part: out if part == "out" else out.with_name(f"{out.stem}-{part}{out.suffix}") for part in parts}


def print_summary(result: Mapping[str, Any]) -> None:
    """Print how many cells were filled, and how many rows need more samples."""
    cells, rows = plural(result["num_filled"], "missing cell"), plural(result["num_incomplete"], "row")
    note = output.refinement_note(result)
    head = "{data}: filled {cells} of {rows}, K = {iw_samples:,}{note}, seed {seed}, {seconds:.1f} s"
    click.echo(head.format(**result, cells=cells, rows=rows, note=note))
    for name, count in result["constant_filled"].items():
        click.echo(f"{name}: {plural(count, 'missing cell')} filled with the only value of the column")
    if result["ess_median"] is not None:
        click.echo(f"median effective sample size: {result['ess_median']:.1f}")
    if result["num_unreliable"]:
        rows = plural(result["num_unreliable"], "row")
        click.echo(
            f"Do not trust {rows} with an effective sample size below {FEWEST_EFFECTIVE}. Raise --iw-samples, or use "
            "--refine mixture."
        )
