"""`python -m benchmarks`: compare this library with hand-written loops and other libraries.

Each peer runs in a process of its own. Peers take turns, so other load on the machine affects all of them. The run ends
if a peer computes another loss on the same weights, or another estimate on the same noise.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from benchmarks import commands, document, growth, machine, profile
from benchmarks.document import OURS
from benchmarks.harness import PEERS, ROOT, STRONG, measure
from benchmarks.problem import Workload, from_dict
from benchmarks.workloads import AXES, QUICK, WORKLOADS


def ratio_table(found: dict[str, Any]) -> Table:
    """Return a table of medians, quartiles and ratios, with "-" for peers that do not support the workload."""

    def cells(three: Sequence[float], unit: float) -> tuple[str, str]:
        low, middle, high = (unit * value for value in three)
        return f"{middle:.2f}", f"{low:.2f}-{high:.2f}"

    workload = from_dict(found["workload"])
    unit = 1e3 / (workload.steps or 1)
    table = Table(title=workload.name, box=None, header_style="bold", title_justify="left")
    for column in ("", "ms per step" if workload.steps else "ms", "quartiles", "time / ours", "quartiles", "ready, s"):
        table.add_column(column, justify="right" if column else "left")
    for peer, first in found["first"].items():
        if peer in found["ratios"]:
            row = (*cells(found["seconds"][peer], unit), *cells(found["ratios"][peer], 1), f"{first:.1f}")
        table.add_row(peer, *(row if peer in found["ratios"] else "-" * 5))
    return table


@click.command()
@click.option("--quick", is_flag=True, help="Time two workloads with the fastest peers, in about two minutes.")
@click.option("--peers", help=f"Peers to time, ours first.  [default: {','.join(PEERS)}, quick: {','.join(STRONG)}]")
@click.option(
    "--workload", "only", multiple=True, help="Time only workloads whose name contains this text. Repeatable."
)
@click.option("--repeats", type=click.IntRange(3), default=11, show_default=True, help="Timings per peer.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the measurements as JSON.")
@click.option("--document", "into_document", is_flag=True, help="Write the tables and pictures of docs/performance.md.")
def main(
    quick: bool, peers: str | None, only: tuple[str, ...], repeats: int, out: Path | None, into_document: bool
) -> None:
    """Compare training and evaluation with hand-written loops and other libraries."""
    whole = not (quick or only)
    if into_document and not whole:
        raise click.UsageError("--document expects all workloads. Remove --quick or --workload.")
    names = peers.split(",") if peers else (STRONG if quick else PEERS)
    if names[0] != OURS or not set(names) <= set(PEERS):
        raise click.UsageError(f"--peers: expected {OURS} and then any of {', '.join(PEERS[1:])}, found {peers}.")
    workloads = [
        workload
        for workload in WORKLOADS
        if (not only or any(part in workload.name for part in only)) and (workload.name in QUICK or not quick)
    ]
    if not workloads:
        raise click.UsageError(f"--workload: expected a part of {'; '.join(w.name for w in WORKLOADS)}.")
    results: dict[str, Any] = {"found": []}
    for part in measure_all(workloads, names, 3 if quick else repeats, whole):
        results = {**results, **part, "found": results["found"] + part.get("found", [])}
        if out is not None:
            out.write_text(json.dumps(results, indent=1))
    if into_document:
        document.write(results, ROOT / "docs" / "performance.md", ROOT / "docs" / "images")


def measure_all(
    workloads: Sequence[Workload], peers: Sequence[str], repeats: int, whole: bool
) -> Iterator[dict[str, Any]]:
    """Time and print each workload, and yield the results so far.

    If `whole`, also measure the commands, the machine, growth and profiles.
    """
    console = Console()
    if whole:
        with tempfile.TemporaryDirectory() as folder:
            yield {"commands": commands.measure_commands(Path(folder)), "machine": machine.describe()}
    for workload in workloads:
        found = measure(workload, peers, repeats)
        console.print(ratio_table(found))
        yield {"found": [{**found, "rate": machine.product_rate()}]}
    if whole:
        yield {"growth": [growth.measure_growth(axis, repeats) for axis in AXES]}
        yield {"profiles": [profile.measure_profile(name) for name in profile.PROFILED]}


if __name__ == "__main__":
    main()
