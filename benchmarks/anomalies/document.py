"""Write the AUROCs of the detectors to docs/benchmarks.md, as tables and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, final

import numpy as np

from benchmarks.anomalies.detectors import DETECTORS, OURS, Result
from benchmarks.anomalies.tables import TABLES
from benchmarks.document import Estimate, markdown_table, write_between

__all__ = ["BEGIN", "END", "PICTURE", "Row", "draw", "markdown", "write"]

BEGIN, END = "<!-- anomalies -->\n", "<!-- end of anomalies -->\n"

PICTURE = "anomalies.png"

REFERENCES = {"VAE": "VAE*", "KNN": "kNN*", "DTE-NP": "DTE-NP*", "best_of_26": "best of 26*"}
"""The published detectors that the table shows, and their headings."""

UNKNOWN = Estimate(math.nan, math.nan)
"""The estimate of a detector that was not measured."""

Published: TypeAlias = Mapping[str, Mapping[str, float]]


@final
class Row(NamedTuple):
    """The result of a detector for one division of a table."""

    table: str
    detector: str
    seed: int
    result: Result


BySeed: TypeAlias = "dict[str, dict[int, Result]]"


def by_detector(rows: Sequence[Row], table: str) -> BySeed:
    """Return the results for a table by detector and seed, in the order of the detectors."""
    found: BySeed = {
        name: {row.seed: row.result for row in rows if (row.table, row.detector) == (table, name)} for name in DETECTORS
    }
    return {name: results for name, results in found.items() if results}


def aurocs(rows: Sequence[Row], table: str) -> dict[str, Estimate]:
    """Return the mean AUROC of each detector over the seeds of a table, with its standard error."""
    return {
        name: Estimate.of([result.auroc for result in results.values()])
        for name, results in by_detector(rows, table).items()
    }


def tables_of(rows: Sequence[Row]) -> list[str]:
    """Return the tables with results, in their order."""
    found = {row.table for row in rows}
    return [table for table in TABLES if table in found]


def average(rows: Sequence[Row], detector: str, tables: Sequence[str]) -> Estimate:
    """Return the mean AUROC of a detector over tables, NaN if it has not scored them all.

    Its error comes from the divisions only.
    """
    found = [aurocs(rows, table).get(detector, UNKNOWN) for table in tables]
    if not found:
        return UNKNOWN
    return Estimate(
        float(np.mean([each.mean for each in found])), math.hypot(*(each.error for each in found)) / len(found)
    )


def auroc_table(rows: Sequence[Row], published: Published) -> str:
    """Return the AUROCs of all detectors and the published ones. The greatest of our own measurements is bold."""
    names, tables = [name for name in DETECTORS if any(row.detector == name for row in rows)], tables_of(rows)
    lines = []
    for table in tables:
        found = aurocs(rows, table)
        best = max(each.mean for each in found.values())
        texts = {name: f"**{each.text(1)}**" if each.mean == best else each.text(1) for name, each in found.items()}
        cells = [texts.get(name, "") for name in names]
        lines.append([table, *cells, *(f"{published[table][key]:.1f}" if published else "" for key in REFERENCES)])
    if tables:
        means = [average(rows, name, tables).text(2) for name in names]
        references = [np.mean([published[table][key] for table in tables]) if published else None for key in REFERENCES]
        lines.append(["**mean**", *means, *("" if each is None else f"{each:.1f}" for each in references)])
        seconds = {name: [row.result.cpu_seconds for row in rows if row.detector == name] for name in names}
        lines.append(["CPU seconds", *(f"{np.mean(seconds[name]):.2g}" for name in names), *[""] * len(REFERENCES)])
    return markdown_table(["table", *names, *REFERENCES.values()], lines)


def losses_table(rows: Sequence[Row]) -> str:
    """Return the tables where another detector is better, with the paired difference over the divisions."""
    lines = []
    for table in tables_of(rows):
        found, means = by_detector(rows, table), aurocs(rows, table)
        best = max(means, key=lambda name: means[name].mean)
        if OURS in means and best != OURS:
            shared = found[OURS].keys() & found[best].keys()
            behind = Estimate.of([found[best][seed].auroc - found[OURS][seed].auroc for seed in shared])
            lines.append([table, best, behind.text(1)])
    return markdown_table(["table", "best detector", "ahead of tfp_vae"], lines)


def alarms_table(rows: Sequence[Row]) -> str:
    """Return the share of normal rows of the test that we call anomalies, next to the promised one.

    The standard error belongs to the promised share, because few divisions show the spread of the threshold badly.
    """
    lines = []
    for table in TABLES:
        results = by_detector(rows, table).get(OURS, {}).values()
        pairs = [(each.false_alarms, each.promised) for each in results if each.false_alarms is not None]
        promises = [promised for _, promised in pairs if promised is not None]
        if promises and len(promises) == len(pairs):
            found = 100 * float(np.mean([share for share, _ in pairs]))
            means, deviations = np.transpose(promises)
            promised = Estimate(100 * float(means.mean()), 100 * math.hypot(*deviations) / len(promises))
            apart = round((found - promised.mean) / promised.error, 1) + 0.0  # no negative zero
            lines.append([table, promised.text(1), f"{found:.1f}", Estimate(apart, math.nan).text(1)])
    return markdown_table(["table", "promised, %", "found, %", "difference in standard errors"], lines)


def markdown(rows: Sequence[Row], published: Published) -> str:
    """Return all tables, each after a line that names it."""
    parts = [
        "**AUROC, %**",
        auroc_table(rows, published),
        "*: as published by Livernoche et al. (2024).",
        "**Tables where another detector is better**",
        losses_table(rows),
        "**False alarms on the normal rows of the test**",
        alarms_table(rows),
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Plot the AUROC of each detector, one row per table, ours in colour."""
    from matplotlib.figure import Figure

    tables = tables_of(rows)
    figure = Figure(figsize=(8, 0.3 * len(tables) + 1.4), layout="constrained")
    axes = figure.subplots()
    places = range(len(tables))
    others = [name for name in DETECTORS if name != OURS and any(row.detector == name for row in rows)]
    for name, marker in zip(others, "osD^vP*X", strict=False):
        means = [aurocs(rows, table).get(name, UNKNOWN).mean for table in tables]
        axes.plot(means, places, marker, ms=5, alpha=0.45, color="0.35", label=name)
    if any(row.detector == OURS for row in rows):
        ours = [aurocs(rows, table).get(OURS, UNKNOWN) for table in tables]
        errors = [0.0 if math.isnan(each.error) else each.error for each in ours]
        means = [each.mean for each in ours]
        axes.errorbar(means, places, xerr=errors, fmt="|", ms=14, mew=3, capsize=2, color="#0072b2", label=OURS)
    axes.set(xlabel="AUROC, % (bars: standard errors over divisions)")
    axes.set_yticks(places, tables)
    axes.invert_yaxis()
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path, dpi=100)


def write(rows: Sequence[Row], published: Published, page: Path, pictures: Path) -> None:
    """Replace the text between the marks of a Markdown page, and draw its picture."""
    write_between(page, BEGIN, END, markdown(rows, published))
    draw(rows, pictures / PICTURE)
