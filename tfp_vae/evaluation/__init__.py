"""Evaluation: estimates of log p(x), diagnostics, and what the latent space holds."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.evaluation import (
        annealing,
        diagnostics,
        grids,
        importance,
        information,
        latent_space,
        metrics,
        probes,
        projections,
    )

__all__ = [
    "annealing",
    "diagnostics",
    "grids",
    "importance",
    "information",
    "latent_space",
    "metrics",
    "probes",
    "projections",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
