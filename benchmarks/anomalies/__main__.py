"""`python -m benchmarks.anomalies`: how well a VAE finds the anomalies of 20 tables, next to other detectors.

The results are kept in a file, so an interrupted command goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.anomalies import document
from benchmarks.anomalies.detectors import DETECTORS, NEEDS, Result, available, measure
from benchmarks.anomalies.document import Row
from benchmarks.anomalies.tables import TABLES, divide, published_aurocs
from benchmarks.harness import ROOT
from benchmarks.options import data_dir_option, document_option, out_option, selection_option
from tfp_vae.core.display import list_names
from tfp_vae.core.files import write_bytes


def read(path: Path) -> list[Row]:
    """Return the results that a file holds. Empty if there is no such file yet."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [Row(table, detector, seed, Result(*result)) for table, detector, seed, result in rows]


def why_left_out(detectors: tuple[str, ...]) -> str | None:
    """Return which of these detectors lack packages, with a remedy, or None."""
    lacking = [name for name in detectors if name not in available()]
    packages = [package for name in lacking for package in NEEDS[name]]
    remedy = "Install the packages with `pip install 'tfp_vae[benchmarks]'`."
    return f"{list_names(lacking)} needs {' and '.join(packages)}. {remedy}" if lacking else None


def left(
    rows: list[Row], tables: tuple[str, ...], detectors: tuple[str, ...], seeds: int
) -> Iterator[tuple[str, str, int]]:
    """Yield the tables, detectors and seeds that were not measured yet. No selection selects all.

    The seeds of a table follow one another, because their models share compiled functions.
    """
    done = {(row.table, row.detector, row.seed) for row in rows}
    for table in tables or TABLES:
        for detector in detectors or available():
            for seed in range(seeds):
                if (table, detector, seed) not in done:
                    yield table, detector, seed


@click.command()
@data_dir_option("ADBench's tables as .npz files")
@selection_option("--table", "tables", TABLES, "Table to use")
@selection_option("--detector", "detectors", DETECTORS, "Detector")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Divisions of each table.")
@out_option("anomalies.json", "Those")
@document_option
def main(
    data_dir: Path,
    tables: tuple[str, ...],
    detectors: tuple[str, ...],
    seeds: int,
    out: Path,
    into_document: bool,
) -> None:
    """Score the rows of 20 tables by each detector, and print the AUROCs. It takes one to two hours."""
    rows, lack = read(out), why_left_out(detectors or tuple(DETECTORS))
    if lack is not None and detectors:
        raise click.UsageError(lack)
    if lack is not None:
        click.echo(f"Left out: {lack}", err=True)
    for table, detector, seed in left(rows, tables, detectors, seeds):
        result = measure(divide(data_dir, table, seed), DETECTORS[detector], seed)
        rows.append(Row(table, detector, seed, result))
        write_bytes(out, ("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n").encode())
        click.echo(f"{table}, seed {seed}: {detector} {result.auroc:.1f}, {result.cpu_seconds:.1f} CPU s", err=True)
    click.echo(document.markdown(rows, published_aurocs(data_dir)))
    if into_document:
        document.write(rows, published_aurocs(data_dir), ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
