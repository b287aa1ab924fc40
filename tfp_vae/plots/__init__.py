"""Plots: arrays in, figures out."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.plots import (
        animations,
        canvas,
        diagrams,
        figures,
        scatter,
    )

__all__ = [
    "animations",
    "canvas",
    "diagrams",
    "figures",
    "scatter",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
