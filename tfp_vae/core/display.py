"""Tables in HTML, in which notebooks display objects. Cells hold any value, as escaped text."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

__all__ = ["plural", "table", "text_of"]


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


def table(caption: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a table in HTML. The first cell of each row is its heading."""

    def cell(tag: str, value: object) -> str:
        return f'<{tag} style="text-align: left">{html.escape(text_of(value))}</{tag}>'

    lines = [cell("th", first) + "".join(cell("td", value) for value in rest) for first, *rest in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><caption>{html.escape(caption)}</caption>{body}</table>"
