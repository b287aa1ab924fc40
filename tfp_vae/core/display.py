"""How objects show themselves in a notebook: rows of a table as HTML.

A cell may hold anything that can be written as text; whatever it is, it is escaped.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["table", "text_of"]


def text_of(value: Any) -> str:
    """Return a value as a person reads it: five digits that count, and nothing where there is nothing.

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


def table(caption: str, rows: Iterable[Sequence[Any]]) -> str:
    """Return a table in HTML, the first cell of each row its head; whatever the cells say is escaped."""
    lines = "".join(f"<tr>{_head(first)}{''.join(map(_cell, rest))}</tr>" for first, *rest in rows)
    return f"<table><caption>{html.escape(caption)}</caption>{lines}</table>"


def _head(value: Any) -> str:
    return f'<th style="text-align: left">{html.escape(text_of(value))}</th>'


def _cell(value: Any) -> str:
    return f'<td style="text-align: left">{html.escape(text_of(value))}</td>'
