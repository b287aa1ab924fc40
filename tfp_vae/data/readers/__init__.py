"""Readers: one module for each family of files that can hold a data set."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.data.readers import (
        arrays,
        images,
        roles,
        sources,
        tables,
    )

__all__ = [
    "arrays",
    "images",
    "roles",
    "sources",
    "tables",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
