"""`python -m benchmarks`: this library against hand-written loops and other libraries, in one run on one machine.

Each peer has a process of its own; they take turns, so that what else the machine does falls on all alike. Every peer
must give the same loss on the same weights, and every evaluation the same estimate, or the run ends.
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


def shown(found: dict[str, Any]) -> Table:
    """Return a table of medians, spreads and ratios, "-" of peers that cannot do the workload."""
    workload = from_dict(found["workload"])
    unit = 1e3 / (workload.steps or 1)
    table = Table(title=workload.name, box=None, header_style="bold", title_justify="left")
    for column in ("", "ms a step" if workload.steps else "ms", "quartiles", "time / ours", "quartiles", "ready, s"):
        table.add_column(column, justify="right" if column else "left")
    for peer, first in found["first"].items():
        if peer in found["ratios"]:
            cells = (*_cells(found["seconds"][peer], unit), *_cells(found["ratios"][peer], 1), f"{first:.1f}")
        table.add_row(peer, *(cells if peer in found["ratios"] else "-" * 5))
    return table


def _cells(three: Sequence[float], unit: float) -> tuple[str, str]:
    low, middle, high = (unit * value for value in three)
    return f"{middle:.2f}", f"{low:.2f}-{high:.2f}"


@click.command()
@click.option("--quick", is_flag=True, help="Two workloads beside the strongest peers, few repeats; about two minutes.")
@click.option("--peers", help=f"Which, ours first.  [default: {','.join(PEERS)}; quick: {','.join(STRONG)}]")
@click.option("--workload", "only", multiple=True, help="Only those whose name contains this; may be given again.")
@click.option("--repeats", type=click.IntRange(3), default=11, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write what was measured, as JSON.")
@click.option("--document", "into_document", is_flag=True, help="Write docs/performance.md's tables and pictures.")
def main(
    quick: bool, peers: str | None, only: tuple[str, ...], repeats: int, out: Path | None, into_document: bool
) -> None:
    """Time training and evaluation against hand-written loops and other libraries."""
    whole = not (quick or only)
    if into_document and not whole:
        raise click.UsageError("--document: expected all workloads, found --quick or --workload; leave one out.")
    named = _checked(peers.split(",")) if peers else (STRONG if quick else PEERS)
    chosen = [w for w in WORKLOADS if _is_asked(w.name, only) and (w.name in QUICK or not quick)]
    if not chosen:
        raise click.UsageError(f"--workload: expected a part of {'; '.join(w.name for w in WORKLOADS)}.")
    measured: dict[str, Any] = {"found": []}
    for part in _parts(chosen, named, 3 if quick else repeats, whole):
        measured = {**measured, **part, "found": measured["found"] + part.get("found", [])}
        if out is not None:
            out.write_text(json.dumps(measured, indent=1))
    if into_document:
        document.write(measured, ROOT / "docs" / "performance.md", ROOT / "docs" / "images")


def _is_asked(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


def _checked(peers: Sequence[str]) -> Sequence[str]:
    if peers[0] != OURS or not set(peers) <= set(PEERS):
        raise click.UsageError(
            f"--peers: expected {OURS} and then any of {', '.join(PEERS[1:])}, found {','.join(peers)}."
        )
    return peers


def _parts(workloads: Sequence[Workload], peers: Sequence[str], repeats: int, whole: bool) -> Iterator[dict[str, Any]]:
    """Time every workload, showing each as it is done; for the whole also the commands, the machine, the growth."""
    console = Console()
    if whole:
        with tempfile.TemporaryDirectory() as folder:
            yield {"commands": commands.measured(Path(folder)), "machine": machine.described()}
    for workload in workloads:
        found = measure(workload, peers, repeats)
        console.print(shown(found))
        yield {"found": [{**found, "rate": machine.product_rate()}]}
    if whole:
        yield {"growth": [growth.measured(axis, repeats) for axis in AXES]}
        yield {"profiles": [profile.measured(name) for name in profile.PROFILED]}


if __name__ == "__main__":
    main()
