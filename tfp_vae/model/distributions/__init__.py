"""Distributions that TFP lacks, or that need this package's noise."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.model.distributions import (
        flows,
        normals,
        observed,
    )

__all__ = [
    "flows",
    "normals",
    "observed",
]

__getattr__, __dir__ = lazy_exports(__name__, __all__)
