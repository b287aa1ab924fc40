"""`python -m benchmarks`: this library against hand-written loops and other libraries, in one run on one machine.

Each peer has a process of its own; they take turns, so that what else the machine does falls on all alike. Every peer
must give the same loss on the same weights, and every evaluation the same estimate, or the run ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import commands, document, machine
from benchmarks.document import OURS
from benchmarks.problem import Workload, as_dict, from_dict, make, save

PEERS = (
    OURS,
    "jax_scan",
    "torch_eager",
    "torch_compiled",
    "keras_tutorial",
    "keras3_fit",
    "keras3_jax",
    "numpyro_svi",
    "pythae_trainer",
)
ENVIRONMENTS = {"keras3_fit": {"KERAS_BACKEND": "tensorflow"}, "keras3_jax": {"KERAS_BACKEND": "jax"}}
"""What a peer's process has set besides."""

ROOT = Path(__file__).parents[1]

WORKLOADS = (
    Workload("train 200-200, S 1", (200, 200), 50, 128, 1, 300),
    Workload("train 512-512, S 1", (512, 512), 50, 128, 1, 150),
    Workload("train 512-512, S 5", (512, 512), 50, 128, 5, 50),
    Workload("train 512-512, S 50", (512, 512), 50, 128, 50, 5),
    Workload("train 512-512, S 1, batch 1024", (512, 512), 50, 1024, 1, 20),
    Workload("train conv, S 1", (), 32, 128, 1, 10),
    Workload("evaluate 200-200, K 100", (200, 200), 50, 32, 100, 0),
    Workload("evaluate 200-200, K 1000", (200, 200), 50, 32, 1_000, 0),
    Workload("evaluate 200-200, K 5000", (200, 200), 50, 32, 5_000, 0),
)
QUICK = ("train 512-512, S 1", "evaluate 200-200, K 1000")


@final
class Process:
    """A peer at work."""

    def __init__(self, peer: str, workload: Workload, path: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", peer, json.dumps(as_dict(workload)), str(path)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | ENVIRONMENTS.get(peer, {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.peer = peer
        self.check = self._answer()

    def time(self) -> float:
        """Do the work once, and return the seconds it took."""
        assert self._process.stdin is not None
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise click.ClickException(
                f"{self.peer} ended; tfp_vae[benchmarks] brings its library:\n{self._errors.read()[-2000:]}"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


def refuse_disagreement(processes: Sequence[Process]) -> None:
    """Refuse peers whose losses, or estimates of log p(x), differ from ours by more than 5 standard errors."""
    ours = processes[0].check
    for process in processes[1:]:
        for kind in ("losses", "estimates"):
            difference, allowed = compared(ours[kind], process.check[kind])
            if difference > allowed:
                raise click.ClickException(
                    f"{process.peer} computes other {kind}: expected a difference of at most {allowed:.4f} nats, "
                    f"found {difference:.4f}; look for another model, or other weights, in it."
                )


def compared(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return how far the means of draws are apart, and how far they may be: 5 standard errors, and float32's."""
    if not ours:
        return 0.0, 0.0
    error = np.hypot(*(np.std(draws, ddof=1) / np.sqrt(len(draws)) for draws in (ours, theirs)))
    return float(abs(np.mean(theirs) - np.mean(ours))), float(5 * error + 1e-4 * abs(np.mean(ours)))


def measure(workload: Workload, peers: Sequence[str], repeats: int) -> dict[str, Any]:
    """Return each peer's seconds, and the ratio to ours, of interleaved repeats."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        save(make(workload), path)
        started = [Process(peer, workload, path) for peer in peers]
    processes = [process for process in started if process.check["takes"]]
    refuse_disagreement(processes)
    seconds = {process.peer: list[float]() for process in processes}
    for _ in range(repeats):
        for process in processes:
            seconds[process.peer].append(process.time())
    for process in started:
        process.close()
    return {
        "workload": as_dict(workload),
        "seconds": {peer: document.quartiles(values) for peer, values in seconds.items()},
        "ratios": {peer: document.quartiles(np.divide(values, seconds[OURS])) for peer, values in seconds.items()},
        "first": {process.peer: process.check.get("warm_up") for process in started},
    }


def shown(found: dict[str, Any]) -> Table:
    """Return a table of medians, spreads and ratios, "-" of peers that cannot do the workload."""
    workload = from_dict(found["workload"])
    unit = 1e3 / (workload.steps or 1)
    table = Table(title=workload.name, box=None, header_style="bold", title_justify="left")
    for column in ("", "ms a step" if workload.steps else "ms", "quartiles", "time / ours", "quartiles", "first, s"):
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
@click.option("--quick", is_flag=True, help="Two workloads, few repeats.")
@click.option("--peers", default=",".join(PEERS), show_default=True, help="Which, ours first.")
@click.option("--workload", "only", multiple=True, help="Only those whose name contains this; may be given again.")
@click.option("--repeats", type=click.IntRange(3), default=11, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write what was measured, as JSON.")
@click.option(
    "--document", "into_document", is_flag=True, help="Write the tables and the picture of docs/performance.md."
)
def main(quick: bool, peers: str, only: tuple[str, ...], repeats: int, out: Path | None, into_document: bool) -> None:
    """Time training and evaluation against hand-written loops and other libraries."""
    names = only or (QUICK if quick else tuple(w.name for w in WORKLOADS))
    chosen = [w for w in WORKLOADS if any(name in w.name for name in names)]
    if quick:
        chosen, repeats = [replace(w, steps=w.steps // 3) for w in chosen], 5
    named = peers.split(",")
    if named[0] != OURS or not set(named) <= set(PEERS):
        raise click.UsageError(f"--peers: expected {OURS} and then any of {', '.join(PEERS[1:])}, found {peers}.")
    measured = _measured(chosen, named, repeats)
    if out is not None:
        out.write_text(json.dumps(measured, indent=1))
    if into_document:
        document.write(measured, ROOT / "docs" / "performance.md", ROOT / "docs" / "images" / "performance.png")


def _measured(workloads: Sequence[Workload], peers: Sequence[str], repeats: int) -> dict[str, Any]:
    """Time every workload, showing each as it is done, and then the machine and the commands."""
    console, found = Console(), []
    for workload in workloads:
        found.append(measure(workload, peers, repeats))
        console.print(shown(found[-1]))
    with tempfile.TemporaryDirectory() as folder:
        costs = commands.measured(Path(folder))
    return {"machine": machine.described(), "rate": machine.product_rate(), "commands": costs, "found": found}


if __name__ == "__main__":
    main()
