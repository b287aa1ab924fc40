"""`python -m benchmarks.mixed`: impute HI-VAE's mixed tables, next to scikit-learn's imputers.

The errors of each table, mask and method are kept in a file, so an interrupted run goes on from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import click
import numpy as np

from benchmarks.harness import ROOT
from benchmarks.mixed import document, imputers, ours
from benchmarks.mixed.errors import column_errors
from benchmarks.mixed.tables import MASKS, TABLES, Hidden, hide
from benchmarks.options import data_dir_option, document_option, out_option, selection_option
from tfp_vae.core.files import write_bytes

METHODS: dict[str, Callable[[Hidden], np.ndarray]] = {**imputers.METHODS, "tfp_vae": ours.impute}
"""The methods by name. Each returns values for all cells, [N, C]."""

Results: TypeAlias = document.Results


def measure(case: Hidden, method: str) -> document.Measurement:
    """Return the errors of a method, with the CPU time of all its threads."""
    started = time.process_time()
    found = METHODS[method](case)
    return {"errors": column_errors(case, found), "cpu_seconds": time.process_time() - started}


@click.command()
@data_dir_option("HI-VAE's tables")
@selection_option("--table", "tables", TABLES, "Table to measure")
@selection_option("--mask", "masks", MASKS, "Hidden cells")
@selection_option("--method", "methods", METHODS, "Imputer")
@out_option("mixed.json", "Methods")
@document_option
def main(
    data_dir: Path,
    tables: tuple[str, ...],
    masks: tuple[str, ...],
    methods: tuple[str, ...],
    out: Path,
    into_document: bool,
) -> None:
    """Hide cells of mixed tables, impute them, and print the errors by the type of the column."""
    results: Results = json.loads(out.read_text()) if out.exists() else {}
    for mask in masks or MASKS:
        for table in tables or TABLES:
            found, case = results.setdefault(f"{table}, {mask}", {}), hide(data_dir, table, mask)
            for method in methods or METHODS:
                if method not in found:
                    found[method] = measure(case, method)
                    write_bytes(out, json.dumps(results, indent=1).encode())
                    click.echo(f"{table}, {mask}: finished {method}", err=True)
    click.echo(document.markdown(results))
    if into_document:
        document.write(results, ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
