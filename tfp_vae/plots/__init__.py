"""Plots: functions that take arrays and return matplotlib figures or the bytes of animations.

`canvas` holds the common style, `figures` and `scatter` draw data and results, `diagrams` a model's architecture, and
`animations` GIFs. To add a plot, write a function that takes arrays and returns a figure with the style of `canvas`.
Plots know neither models nor runs. `tfp_vae.reports` decides which arrays of a run go into which plot.
"""

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
