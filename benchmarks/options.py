"""Options that several benchmarks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import click

__all__ = ["data_dir_option", "document_option", "out_option", "selection_option"]

Decorator: TypeAlias = Callable[[Callable[..., Any]], Callable[..., Any]]


def data_dir_option(tables: str) -> Decorator:
    """Return the option of the folder with tables that you provide."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        required=True,
        help=f"Folder with {tables}.",
    )


def selection_option(key: str, name: str, choices: Iterable[str], text: str) -> Decorator:
    """Return a repeatable option that selects some of the choices."""
    return click.option(key, name, multiple=True, type=click.Choice(list(choices)), help=f"{text}. Repeatable.")


def out_option(name: str, kept: str) -> Decorator:
    """Return the option of the file with the results, which lets an interrupted command go on."""
    return click.option(
        "--out",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path(name),
        show_default=True,
        help=f"File of the results. {kept} that it holds are not measured again.",
    )


document_option: Decorator = click.option(
    "--document", "into_document", is_flag=True, help="Write the tables of docs/benchmarks.md."
)
