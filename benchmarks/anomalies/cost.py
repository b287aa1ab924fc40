"""`python -m benchmarks.anomalies.cost`: how long a VAE and other detectors take to fit and to score rows.

Each measurement runs in a new process, so it includes compilation but no import. The detectors take turns, so other
load on the machine affects all of them. CPU seconds depend on such load less than seconds do. The results are kept in a
file, so an interrupted command goes on from there.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, final

import click

from benchmarks.anomalies.worker import COLUMNS, DETECTORS
from benchmarks.document import markdown_table, write_between
from benchmarks.harness import ROOT
from benchmarks.options import document_option, out_option, selection_option
from tfp_vae.core.files import write_bytes

__all__ = ["BEGIN", "END", "ROWS", "Cost", "left", "markdown"]

BEGIN, END = "<!-- cost of detectors -->\n", "<!-- end of cost of detectors -->\n"

ROWS = (1_000, 10_000, 100_000)
"""The numbers of rows that are fitted, and of as many that are scored."""


@final
class Cost(NamedTuple):
    """One measurement: of a detector, for a number of rows and a repeat."""

    detector: str
    rows: int
    repeat: int
    found: Mapping[str, float]


def left(done: Sequence[Cost], detectors: Sequence[str], rows: Sequence[int], repeats: int) -> Iterator[Cost]:
    """Yield the measurements that are left. The first detector of a turn changes with the repeat."""
    known = {(cost.detector, cost.rows, cost.repeat) for cost in done}
    for count in rows:
        for repeat in range(repeats):
            for place in range(len(detectors)):
                detector = detectors[(repeat + place) % len(detectors)]
                if (detector, count, repeat) not in known:
                    yield Cost(detector, count, repeat, {})


def run(asked: Cost, python: str) -> Cost:
    """Return a measurement from a process of an environment.

    Raises:
      click.ClickException: the process failed, for example because the environment lacks the library.
    """
    command = [python, "-m", "benchmarks.anomalies.worker", asked.detector, str(asked.rows), str(asked.repeat)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"{asked.detector} ended with an error in {python}.\n{done.stderr[-2000:]}")
    return asked._replace(found=json.loads(done.stdout.splitlines()[-1]))


def markdown(costs: Sequence[Cost]) -> str:
    """Return a table of the median CPU seconds of each detector, and their ratios to ours within a repeat."""
    ours, *_ = DETECTORS
    lines = []
    for rows in sorted({cost.rows for cost in costs}):
        found = {(cost.detector, cost.repeat): cost.found for cost in costs if cost.rows == rows}
        for detector in DETECTORS:
            repeats = sorted(repeat for name, repeat in found if name == detector)
            if not repeats:
                continue
            line = [f"{rows:,}", detector, str(len(repeats))]
            for key in ("fit_cpu", "score_cpu"):
                line.append(f"{statistics.median(found[detector, repeat][key] for repeat in repeats):.3g}")
                pairs = [repeat for repeat in repeats if (ours, repeat) in found]
                ratios = [found[detector, repeat][key] / found[ours, repeat][key] for repeat in pairs]
                line.append(f"{statistics.median(ratios):.2g}" if ratios else "")
            peak = max(found[detector, repeat]["bytes"] for repeat in repeats)
            lines.append([*line, f"{peak / 1e9:.2f}"])
    head = [
        "rows",
        "detector",
        "repeats",
        "fit, CPU s",
        "time / ours",
        "score, CPU s",
        "time / ours",
        "peak, 10^9 bytes",
    ]
    return "\n" + markdown_table(head, lines) + "\n\n"


@click.command()
@selection_option("--detector", "detectors", DETECTORS, "Detector")
@click.option(
    "--rows", multiple=True, type=click.IntRange(100), default=ROWS, show_default=True, help="Number of rows."
)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True, help="Measurements of each.")
@click.option(
    "--pyod-python",
    type=click.Path(exists=True, dir_okay=False),
    default=sys.executable,
    help="Python of an environment with pyod and torch.  [default: this one]",
)
@out_option("anomaly-cost.json", "Measurements")
@document_option
def main(
    detectors: tuple[str, ...],
    rows: tuple[int, ...],
    repeats: int,
    pyod_python: str,
    out: Path,
    into_document: bool,
) -> None:
    """Time detectors on tables of 30 columns, and print the medians."""
    costs = [Cost(*cost) for cost in json.loads(out.read_text(encoding="utf-8"))] if out.exists() else []
    for asked in left(costs, detectors or tuple(DETECTORS), rows, repeats):
        cost = run(asked, pyod_python if asked.detector.startswith("PyOD") else sys.executable)
        costs.append(cost)
        write_bytes(out, ("[\n" + ",\n".join(map(json.dumps, costs)) + "\n]\n").encode())
        click.echo(
            f"{cost.rows:,} x {COLUMNS}, {cost.detector}: fit {cost.found['fit_cpu']:.1f}, score "
            f"{cost.found['score_cpu']:.1f} CPU s",
            err=True,
        )
    click.echo(markdown(costs))
    if into_document:
        write_between(ROOT / "docs" / "benchmarks.md", BEGIN, END, markdown(costs))


if __name__ == "__main__":
    main()
