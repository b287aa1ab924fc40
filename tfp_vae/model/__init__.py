"""The model: encoder, decoder and prior, each a map that returns a distribution."""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.model import (
        distributions,
        latent,
        likelihoods,
        missingness,
        networks,
        posteriors,
        priors,
        vae,
    )

__all__ = [
    "distributions",
    "latent",
    "likelihoods",
    "missingness",
    "networks",
    "posteriors",
    "priors",
    "vae",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
