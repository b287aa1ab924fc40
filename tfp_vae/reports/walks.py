"""Walks through latent space along one dimension each, from which pictures and pages show traversals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.evaluation import latent_space as latent

if TYPE_CHECKING:
    from tfp_vae.reports.run_data import RunData

__all__ = ["STEPS", "Walks", "walks"]

STEPS, TRAVERSED = 11, (0.02, 0.98)
"""Steps of a walk, and the quantiles of the prior at its ends."""


class Walks(NamedTuple):
    """Walks along R dimensions, of T steps each.

    dims: the dimension of each walk, [R].
    levels: the quantile of the prior at each step, [T].
    z: [R, T, D].
    """

    dims: np.ndarray
    levels: np.ndarray
    z: np.ndarray


@check_keywords
def walks(run_data: RunData, most: int) -> Walks:
    """Return walks along the `most` most active dimensions, from the 2% to the 98% quantile of the prior.

    All walks start at the most typical test example, whose posterior mean is nearest to the mean of all. The other
    dimensions stay fixed. If z has layers, those below a dimension are the prior's means given it.
    """
    means, dims = run_data.embeddings.mean, run_data.active
    dims = dims[:most] if len(dims) > most else np.sort(dims)
    typical = means[np.square(means - means.mean(axis=0)).sum(axis=1).argmin()]
    levels = np.linspace(*TRAVERSED, STEPS)
    z = np.tile(typical, (len(dims), STEPS, 1))
    z[np.arange(len(dims)), :, dims] = latent.prior_quantiles(run_data.of_one_context, levels, run_data.seed)[:, dims].T
    return Walks(dims, levels, latent.with_layers_below(run_data.of_one_context, z, dims))
