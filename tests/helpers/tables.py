"""A table of members to test with."""

from __future__ import annotations

from typing import Literal

import pydantic

from tfp_vae.core.registry import Table, Widths


def wide(
    size: int, *, hidden: Widths = (3, 4), rate: pydantic.PositiveFloat = 0.5, kind: Literal["a", "b"] = "a"
) -> str:
    """Return its arguments as text."""
    return f"{size} {hidden} {rate} {kind}"


TABLE: Table[str] = Table("thing", {"wide": wide}, base=str, takes=("size",))
