"""Values, counts and names as text, and tables in HTML, in which notebooks display objects."""

from __future__ import annotations

import html
import math
from collections.abc import Collection, Iterable, Sequence

__all__ = ["list_names", "plural", "spare_name", "table", "text_of"]

LISTED = 5
"""The most names that a message lists."""


def text_of(value: object) -> str:
    """Return a value as text: five significant digits, or nothing for None and numbers that are not finite.

    ```python
    from tfp_vae.core.display import text_of

    text_of(-24.13765), text_of(595012), text_of(None)  # "-24.138", "595,012", ""
    ```
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an s unless the number is 1.

    ```python
    from tfp_vae.core.display import plural

    plural(1, "epoch"), plural(37500, "step")  # "1 epoch", "37,500 steps"
    ```
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_names(names: Sequence[object]) -> str:
    """Return up to five names for a message, and how many more there are.

    ```python
    from tfp_vae.core.display import list_names

    list_names(["a", "b"]), list_names(list("abcdefg"))  # "a, b", "a, b, c, d, e and 2 more"
    ```
    """
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(map(str, names[:LISTED])) + more


def spare_name(name: str, others: Collection[str]) -> str:
    """Return a name for a column next to others. It gets underscores until no other column has it."""
    while name in others:
        name += "_"
    return name


def table(caption: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a table in HTML. The first cell of each row is its heading."""

    def cell(tag: str, value: object) -> str:
        return f'<{tag} style="text-align: left">{html.escape(text_of(value))}</{tag}>'

    lines = [cell("th", first) + "".join(cell("td", value) for value in rest) for first, *rest in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>{html.escape(caption)}</caption>{body}</table>"
