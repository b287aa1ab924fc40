"""Write the errors of imputed cells to docs/benchmarks.md, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias, TypedDict, final

from benchmarks.document import markdown_table, write_between
from benchmarks.mixed.errors import Errors, average, by_type

__all__ = ["BEGIN", "END", "Measurement", "Results", "errors_table", "markdown", "write"]

BEGIN, END = "<!-- mixed tables -->\n", "<!-- end of mixed tables -->\n"

HEADINGS = {"real": "real", "pos": "positive", "count": "count", "cat": "category", "ordinal": "ordinal"}
"""The types of columns and their headings, in order."""


@final
class Measurement(TypedDict):
    """The result of a method.

    errors: of each column. Its name ends with its type, such as `3-pos`.
    cpu_seconds: the CPU time of all threads.
    """

    errors: Errors
    cpu_seconds: float


Results: TypeAlias = dict[str, dict[str, Measurement]]
"""The results by table and mask, and by method."""


def errors_table(results: Mapping[str, Mapping[str, Measurement]]) -> str:
    """Return the mean errors by type of all methods. The least of each table is bold."""
    head = ["table, hidden cells", "method", *HEADINGS.values(), "all", "CPU s"]
    rows = []
    for case, found in results.items():
        errors = {name: summary(measured["errors"]) for name, measured in found.items()}
        least = {
            type_: min(own[type_] for own in errors.values()) for type_ in [*HEADINGS, "all"] if has(errors, type_)
        }
        for i, (name, measured) in enumerate(found.items()):
            cells = [bold(errors[name][type_], least[type_]) if type_ in least else "" for type_ in [*HEADINGS, "all"]]
            rows.append(["" if i else case, name, *cells, f"{measured['cpu_seconds']:.0f}"])
    return markdown_table(head, rows)


def summary(errors: Errors) -> Errors:
    """Return the mean errors by type, and over all columns as `all`."""
    return {**by_type({name: name.partition("-")[2] for name in errors}, errors), "all": average(errors)}


def has(errors: Mapping[str, Errors], type_: str) -> bool:
    """Return whether the table has columns of a type."""
    return any(type_ in own for own in errors.values())


def bold(error: float, least: float) -> str:
    """Return an error as text, in bold if no other method has a smaller one."""
    text = f"{error:.4f}"
    return f"**{text}**" if text == f"{least:.4f}" else text


def markdown(results: Results) -> str:
    """Return the table, or nothing if nothing was measured."""
    found = {case: methods for case, methods in results.items() if methods}
    return f"\n{errors_table(found)}\n\n" if found else ""


def write(results: Results, page: Path) -> None:
    """Replace the text between the marks of a Markdown page."""
    write_between(page, BEGIN, END, markdown(results))
