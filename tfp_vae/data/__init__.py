"""Data sets and batches: reading, checking, splitting and transforming examples."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.data import (
        dataset,
        downloads,
        inspection,
        profile,
        readers,
        transforms,
    )

__all__ = [
    "dataset",
    "downloads",
    "inspection",
    "profile",
    "readers",
    "transforms",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
