"""Write the errors of imputation to docs/benchmarks.md, as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, final

from benchmarks.document import Estimate, markdown_table, write_between
from benchmarks.imputation.cases import MECHANISMS, PROTOCOL, PUBLISHED, TABLES, Key
from benchmarks.imputation.methods import METHODS, OURS, Result
from tfp_vae.core.display import plural

BEGIN, END = "<!-- imputation -->\n", "<!-- end of imputation -->\n"

FROM_AUTHORS = {"breast_cancer": 0.2867}
"""The mean squared error that the authors of MIWAE report for the published cells of a table."""


@final
class Row(NamedTuple):
    """The result of one method for the hidden cells that a key names."""

    key: Key
    method: str
    result: Result


def errors_of(rows: Sequence[Row], table: str, mechanism: str) -> dict[str, dict[int, float]]:
    """Return the root mean squared error of each method by mask, in standard deviations of the columns."""
    found: dict[str, dict[int, float]] = {}
    for key, method, result in rows:
        if (key.table, key.mechanism) == (table, mechanism):
            found.setdefault(method, {})[key.mask] = math.sqrt(result.mse)
    return found


def advantage(errors: dict[str, dict[int, float]]) -> Estimate:
    """Return how far our error lies below that of the best other method, over the masks that both have filled in."""
    means = {method: Estimate.of(by_mask.values()).mean for method, by_mask in errors.items() if method != OURS}
    if not means or OURS not in errors:
        return Estimate(math.nan, math.nan)
    ours, best = errors[OURS], errors[min(means, key=means.__getitem__)]
    return Estimate.of([best[mask] - ours[mask] for mask in ours if mask in best])


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Return the methods that were measured for cells hidden by a mechanism, in their order."""
    found = {row.method for row in rows if row.key.mechanism != PROTOCOL}
    return [method for method in METHODS if method in found]


def published_table(rows: Sequence[Row]) -> str:
    """Return the errors for the cells that others hid."""
    lines = []
    for table in PUBLISHED:
        found = {row.method: row.result for row in rows if row.key == Key(table, PROTOCOL, 0)}
        if found and table in FROM_AUTHORS:
            found["MIWAE, as its authors report"] = Result(FROM_AUTHORS[table], None, math.nan)
        for method, (mse, coverage, _) in sorted(found.items(), key=lambda item: -item[1].mse):
            share = "" if coverage is None else f"{coverage:.1%}"
            lines.append([table, method, f"{mse:.4f}", f"{math.sqrt(mse):.4f}", share])
    return markdown_table(["table", "method", "MSE", "RMSE", "cells in their 90% interval"], lines)


def error_table(rows: Sequence[Row]) -> str:
    """Return the errors of each method over the masks of each table and mechanism.

    The smallest over the masks of all methods is bold.
    """
    methods = columns_of(rows)
    head = ["table", "hidden", "masks", *methods, "below the best other"]
    lines = []
    for table in TABLES:
        for mechanism in MECHANISMS:
            errors = errors_of(rows, table, mechanism)
            if not errors:
                continue
            means = {method: Estimate.of(errors.get(method, {}).values()) for method in methods}
            masks, shared = len(set().union(*errors.values())), set.intersection(*map(set, errors.values()))
            on_shared = {method: sum(by_mask[mask] for mask in shared) for method, by_mask in errors.items()}
            best = min(on_shared, key=on_shared.__getitem__) if shared else None
            cells = [
                (f"**{found.text()}**" if method == best else found.text())
                + fewer_masks(len(errors.get(method, {})), masks)
                for method, found in means.items()
            ]
            lines.append([table, mechanism, f"{masks}", *cells, advantage(errors).text()])
    return markdown_table(head, lines)


def fewer_masks(count: int, most: int) -> str:
    """Return a note of how many masks a method was measured on, if they are fewer than those of another method."""
    return "" if count in {0, most} else f" ({plural(count, 'mask')})"


def coverage_table(rows: Sequence[Row]) -> str:
    """Return the share of hidden cells in our 90% intervals, one row for each table."""
    lines = []
    for table in TABLES:
        shares = [
            Estimate.of(
                [
                    100 * row.result.coverage
                    for row in rows
                    if (row.key.table, row.key.mechanism) == (table, mechanism) and row.result.coverage is not None
                ]
            )
            for mechanism in MECHANISMS
        ]
        if not all(math.isnan(share.mean) for share in shares):
            lines.append([table, *(share.text(1) for share in shares)])
    return markdown_table(["cells in their 90% interval, %", *MECHANISMS], lines)


def time_table(rows: Sequence[Row]) -> str:
    """Return the CPU seconds of each method for one mask, the mean over all masks and mechanisms of a table."""
    lines = []
    for table in TABLES:
        times = [
            Estimate.of([row.result.cpu_seconds for row in rows if (row.key.table, row.method) == (table, method)])
            for method in columns_of(rows)
        ]
        if not all(math.isnan(time.mean) for time in times):
            lines.append([table, *("" if math.isnan(time.mean) else f"{time.mean:.2g}" for time in times)])
    return markdown_table(["CPU seconds", *columns_of(rows)], lines)


def markdown(rows: Sequence[Row]) -> str:
    """Return all tables, each after a line that names it."""
    parts = [
        "**Cells that others hid**",
        published_table(rows),
        "**Root mean squared error, in standard deviations of the columns**",
        error_table(rows),
        "**Intervals**",
        coverage_table(rows),
        "**Time**",
        time_table(rows),
    ]
    return "\n" + "\n\n".join(parts) + "\n\n"


def write(rows: Sequence[Row], page: Path) -> None:
    """Replace the text between the marks of a Markdown page."""
    write_between(page, BEGIN, END, markdown(rows))
