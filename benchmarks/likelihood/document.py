"""Write the measurements to docs/benchmarks.md, as tables."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.document import markdown_table, write_between
from benchmarks.likelihood.calibration import REFERENCE, Calibration
from benchmarks.likelihood.cases import CASES
from benchmarks.likelihood.comparison import Comparison, Example, effort_row
from benchmarks.likelihood.cost import Cost

BEGIN, END = "<!-- log-likelihoods -->\n", "<!-- end of log-likelihoods -->\n"

Results: TypeAlias = "Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]"
"""The rows of each part for each case, as JSON holds them."""


def number(value: float, digits: int = 2) -> str:
    """Return a number as text, or a dash if it is undefined."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "\u2212")


def percent(share: float) -> str:
    """Return a share in percent, or a dash if it is undefined."""
    return "-" if math.isnan(share) else f"{100 * share:.0f}%"


def case_table(names: Collection[str]) -> str:
    """Return the models with these names: their data, families, training and annealing."""
    head = ["model", "data", "z", "q(z\\|x)", "p(x\\|z)", "epochs", "annealing"]
    rows = [
        [
            case.name,
            case.source,
            str(case.latent_dim),
            case.posterior,
            case.likelihood,
            str(case.epochs),
            "{:,} steps, {} chains".format(*case.annealing),
        ]
        for case in CASES
        if case.name in names
    ]
    return markdown_table(head, rows)


def comparison_table(found: Mapping[str, Sequence[Comparison]]) -> str:
    """Return the means of all methods for each case."""
    head = ["model", "method", "log p(x)", "error", "bias", "unknown", "above annealing", "CPU s", "agrees"]
    rows = []
    for name, comparisons in found.items():
        for i, row in enumerate(comparisons):
            annealed = math.isnan(row.above)
            above = "" if annealed else f"{number(row.above)} ± {number(row.above_error)}"
            agrees = "" if annealed else ("yes" if row.agrees else "**no**")
            figures = number(row.mean), number(row.error, 3), number(row.bias, 3), percent(row.unknown)
            rows.append(["" if i else name, row.method, *figures, above, number(row.cpu_seconds, 1), agrees])
    return markdown_table(head, rows)


def effort_rows(results: Results, name: str) -> list[Comparison]:
    """Return the rows of the reference and of annealing for a case, as far as they were measured."""
    referred, annealed = (
        [Example(**row) for row in results.get(part, {}).get(name, [])] for part in ("refer", "anneal")
    )
    rows = [effort_row(f"reference: {REFERENCE}", referred, annealed)] if referred else []
    return [*rows, effort_row("annealing", annealed)]


def calibration_table(found: Mapping[str, Sequence[Calibration]]) -> str:
    """Return the calibration of all methods for each case, and the coverage of all intervals together."""
    head = [
        "model",
        "method",
        "spread",
        "spread / error",
        "too low by",
        "reported bias",
        "unknown",
        "intervals",
        "cover",
    ]
    rows = [
        [
            "" if i else name,
            row.method,
            number(row.spread, 4),
            f"{number(row.ratio)} ± {number(row.ratio_error)}",
            number(row.shortfall, 3),
            number(row.bias, 3),
            percent(row.unknown),
            f"{row.cases:,}",
            percent(row.coverage),
        ]
        for name, calibrations in found.items()
        for i, row in enumerate(calibrations)
    ]
    return markdown_table(head, [*rows, *_totals(found)])


def _totals(found: Mapping[str, Sequence[Calibration]]) -> list[list[str]]:
    """Return a row with the intervals of each method over all cases, and one with all of them."""
    every = [row for rows in found.values() for row in rows]
    parts = {
        method: [row for row in every if row.method == method] for method in dict.fromkeys(r.method for r in every)
    }
    return [
        ["**all**", method, *[""] * 5, f"{sum(r.cases for r in rows):,}", percent(coverage(rows))]
        for method, rows in {**parts, "all": every}.items()
    ]


def coverage(rows: Sequence[Calibration]) -> float:
    """Return the share of all intervals of some calibrations that contain the reference."""
    cases = sum(row.cases for row in rows)
    return sum(row.covered for row in rows) / cases if cases else math.nan


def cost_table(rows: Sequence[Cost]) -> str:
    """Return the estimates of the images with their times."""
    head = [
        "method",
        "images",
        "log p(x)",
        "error",
        "unknown",
        "above annealing",
        "CPU s",
        "elapsed s",
        "time per image",
    ]
    return markdown_table(
        head,
        [
            [
                row.method,
                str(row.images),
                number(row.mean),
                number(row.error, 3),
                percent(row.unknown),
                "" if math.isnan(row.above) else f"{number(row.above)} ± {number(row.above_error)}",
                number(row.cpu_seconds, 0),
                number(row.seconds, 0),
                f"{number(row.share[1])} ({number(row.share[0])} to {number(row.share[2])})",
            ]
            for row in rows
        ],
    )


def markdown(results: Results) -> str:
    """Return the tables of the parts that were measured, each after a line that names it."""
    compared, calibrated, timed = (results.get(part, {}) for part in ("compare", "calibrate", "cost"))
    parts = [case_table({name for found in results.values() for name in found})]
    if compared:
        rows = {
            name: [*(Comparison(**row) for row in found), *effort_rows(results, name)]
            for name, found in compared.items()
        }
        parts += ["**Estimates and annealing**", comparison_table(rows)]
    if calibrated:
        repeats = {name: [Calibration(**row) for row in found] for name, found in calibrated.items()}
        parts += ["**Errors over seeds, and intervals**", calibration_table(repeats)]
    for name, found in (item for item in timed.items() if item[1]):
        parts += [f"**Time on {name}**", cost_table([Cost(**row) for row in found])]
    return "\n" + "\n\n".join(parts) + "\n\n"


def write(results: Results, page: Path) -> None:
    """Replace the text between the marks of a Markdown page."""
    write_between(page, BEGIN, END, markdown(results))
