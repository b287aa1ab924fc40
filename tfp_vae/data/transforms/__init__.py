"""Transforms of a data set's values: scalings and binarizations."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.data.transforms import (
        binarization,
        scaling,
    )

__all__ = [
    "binarization",
    "scaling",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
