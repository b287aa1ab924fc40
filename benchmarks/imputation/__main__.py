"""`python -m benchmarks.imputation`: how well a VAE imputes hidden cells, next to scikit-learn's imputers.

The results are kept in a file, one line for each, so an interrupted run goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks.harness import ROOT
from benchmarks.imputation import document
from benchmarks.imputation.cases import TABLES, Key, keys
from benchmarks.imputation.document import Row
from benchmarks.imputation.methods import METHODS, ONLY_FOR, Result, measure
from benchmarks.options import document_option, out_option, selection_option
from tfp_vae.core.files import write_bytes


def read(path: Path) -> list[Row]:
    """Return the results that a file holds. Empty if there is no such file yet."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Row(Key(*key), method, Result(*result)) for key, method, result in map(json.loads, lines)]


def left(rows: list[Row], tables: tuple[str, ...], methods: tuple[str, ...], masks: int) -> Iterator[tuple[Key, str]]:
    """Yield the hidden cells and the methods that were not measured yet. No selection selects all."""
    done = {(row.key, row.method) for row in rows}
    for key in keys(masks):
        for method in METHODS:
            is_wanted = key.table in (tables or TABLES) and method in (methods or METHODS)
            suits = ONLY_FOR.get(method, key.mechanism) == key.mechanism
            if is_wanted and suits and (key, method) not in done:
                yield key, method


@click.command()
@selection_option("--table", "tables", TABLES, "Table to use")
@selection_option("--method", "methods", METHODS, "Method")
@click.option("--masks", type=click.IntRange(0), default=5, show_default=True, help="Masks of each table.")
@out_option("imputation.jsonl", "Those")
@document_option
def main(tables: tuple[str, ...], methods: tuple[str, ...], masks: int, out: Path, into_document: bool) -> None:
    """Compare imputers on tables with hidden cells, and print the errors. It takes about an hour."""
    rows = read(out)
    for key, method in left(rows, tables, methods, masks):
        rows.append(Row(key, method, measure(key.case(), METHODS[method])))
        write_bytes(out, "".join(json.dumps(row) + "\n" for row in rows).encode())
        click.echo(f"{key.table}, {key.mechanism}, mask {key.mask}: finished {method}", err=True)
    click.echo(document.markdown(rows))
    if into_document:
        document.write(rows, ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
