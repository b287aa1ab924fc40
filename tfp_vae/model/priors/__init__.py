"""Priors over z: each returns p(z), a `tfd.Distribution`, when called.

`base` defines the interface, `normal` the standard Normal, `mixtures` the learned mixtures, `flows` the flows and
`codes` the priors over a discrete z. `learned` holds the learned Normal, which may depend on a context, and `layered`
the hierarchical prior over z in layers.
To add a prior, write a frozen dataclass that subclasses `Prior` and add it to `PRIORS`. If posterior and prior are both
Normals, or both have independent discrete dimensions, the rate has a closed form. Otherwise choose an objective that
estimates it, such as `MonteCarloELBO`.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.model.priors.base import Prior
from tfp_vae.model.priors.codes import Autoregressive, CodePrior, Learned, Uniform
from tfp_vae.model.priors.flows import AutoregressiveFlow, RealNVP
from tfp_vae.model.priors.layered import Hierarchical
from tfp_vae.model.priors.learned import LearnedNormal
from tfp_vae.model.priors.mixtures import NormalMixture, Vamp
from tfp_vae.model.priors.normal import StandardNormal

__all__ = [
    "PRIORS",
    "Autoregressive",
    "AutoregressiveFlow",
    "CodePrior",
    "Hierarchical",
    "Learned",
    "LearnedNormal",
    "NormalMixture",
    "Prior",
    "RealNVP",
    "StandardNormal",
    "Uniform",
    "Vamp",
]

PRIORS: Table[Prior] = Table(
    "prior",
    {
        "standard-normal": StandardNormal,
        "normal-mixture": NormalMixture,
        "vamp": Vamp,
        "autoregressive-flow": AutoregressiveFlow,
        "real-nvp": RealNVP,
        "uniform": Uniform,
        "learned": Learned,
        "autoregressive": Autoregressive,
        "learned-normal": LearnedNormal,
        "hierarchical": Hierarchical,
    },
    base=Prior,
    takes=("latent_dim",),
)
