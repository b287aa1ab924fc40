"""Reports: the pictures of a run and its HTML page."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.reports import (
        drawing,
        page,
        pictures,
    )

__all__ = [
    "drawing",
    "page",
    "pictures",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
