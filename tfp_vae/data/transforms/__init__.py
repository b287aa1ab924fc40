"""Transforms of a data set's values: scalings, binarizations and dequantizations."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.data.transforms import (
        base,
        binarization,
        dequantization,
        scaling,
    )

__all__ = [
    "base",
    "binarization",
    "dequantization",
    "scaling",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
