"""Distributions and bijectors that TFP lacks, has in a slower form, or samples with other noise.

`normals` holds the multivariate Normals over z, `layered` z in layers, `codes` the discrete distributions over z,
`flows` the bijectors of normalizing flows, `mixtures` the mixtures and `implicit` the distributions of a network's
function of noise. `bernoulli`, `beta`, `columns`, `counts`, `levels` and `student` serve the likelihoods of those
names, and `saddle` holds the terms of accurate densities. `points` holds integrals over a missing cell, and `masks`
the joint distribution of observed cells and their mask. Each module needs TensorFlow, so import it where you use it.
To add a distribution, write a module here with a test against scipy or TFP.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.model.distributions import (
        bernoulli,
        beta,
        codes,
        columns,
        counts,
        flows,
        implicit,
        layered,
        levels,
        masks,
        mixtures,
        normals,
        points,
        saddle,
        student,
    )

__all__ = [
    "bernoulli",
    "beta",
    "codes",
    "columns",
    "counts",
    "flows",
    "implicit",
    "layered",
    "levels",
    "masks",
    "mixtures",
    "normals",
    "points",
    "saddle",
    "student",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__)
