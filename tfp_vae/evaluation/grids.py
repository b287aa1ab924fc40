"""Grids and quantiles of a prior, over which a decoder is shown.

What is decoded over a grid shows all that a model in two dimensions can make, each step of the same mass under the
prior; in other dimensions draws stand for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tfp_vae.core.seeds import Purpose, seed_for
from tfp_vae.model.vae import VAE

__all__ = ["Grid", "grid", "prior_draws", "quantiles"]

DRAWS, VALUES_AT_ONCE = 20_000, 1 << 24


class Grid(NamedTuple):
    """Places z [side^2, D], from top left to bottom right, what they are, and whether their places mean z_1 and z_2."""

    z: np.ndarray
    what: str
    plane: bool


def prior_draws(vae: VAE, seed: int) -> np.ndarray:
    """Return draws from p(z), [M, D]: 20,000, fewer in very many dimensions."""
    count = max(100, min(DRAWS, VALUES_AT_ONCE // vae.prior.latent_dim))
    return np.asarray(vae.prior().sample(count, seed=seed_for(seed, Purpose.SAMPLE, 2)))


def quantiles(vae: VAE, levels: np.ndarray, seed: int) -> np.ndarray:
    """Return the quantiles [Q, D] of each p(z_d) at levels [Q]: a standard Normal's inverse CDF, else of draws.

    Args:
      vae: the model, of which the prior is looked at.
      levels: in (0, 1).
      seed: of the 20,000 draws, whose quantiles at 2% and 98% have errors of about 0.02 standard deviations.
    """
    if vae.prior.capabilities.standard:
        from scipy.stats import norm

        return np.repeat(np.asarray(norm.ppf(levels), np.float32)[:, np.newaxis], vae.prior.latent_dim, axis=1)
    return np.asarray(np.quantile(prior_draws(vae, seed), levels, axis=0), np.float32)


def grid(vae: VAE, side: int, seed: int) -> Grid:
    """Return a grid of side^2 places z that shows what a prior of any kind holds.

    Of two dimensions, each the quantiles of p(z_1) and p(z_2): for the standard Normal its inverse CDF on an even grid.
    Of another number, draws from p(z), the same for the same seed.

    ```python
    from tfp_vae.evaluation.grids import grid

    places = grid(vae, side=5, seed=0)
    tv.evaluation.latent_space.decode(vae, places.z, seed=(0, 0))  # [25, 8, 8, 1]
    ```
    """
    if vae.prior.latent_dim != 2:
        draws = np.asarray(vae.prior().sample(side**2, seed=seed_for(seed, Purpose.SAMPLE, 3)))
        return Grid(draws, "E[x|z] of draws from the prior", plane=False)
    along = quantiles(vae, (np.arange(side) + 0.5) / side, seed)
    first, second = np.meshgrid(along[:, 0], along[::-1, 1])
    exact = vae.prior.capabilities.standard
    what = "E[x|z] over quantiles of the prior" if exact else "E[x|z] over quantiles of the prior's z_1 and of its z_2"
    return Grid(np.stack([first.ravel(), second.ravel()], axis=1).astype(np.float32), what, plane=True)
