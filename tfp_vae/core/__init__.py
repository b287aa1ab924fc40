"""Foundations that know nothing of VAEs: errors, tables of members, seeds, noise, execution, files."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.core import (
        batch,
        display,
        errors,
        execution,
        exports,
        files,
        lazy,
        noise,
        registry,
        seeds,
        supports,
        types,
    )

__all__ = [
    "batch",
    "display",
    "errors",
    "execution",
    "exports",
    "files",
    "lazy",
    "noise",
    "registry",
    "seeds",
    "supports",
    "types",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
