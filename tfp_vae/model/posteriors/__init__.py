"""Variational families over z: each turns the output of an encoder into q(z|x), a `tfd.Distribution`.

`base` defines the interface, `normal` the multivariate Normals, `flows` the normalizing flows, `mixtures` the mixtures,
`implicit` those without a density in closed form, `codes` the families over a discrete z and `layered` those over z in
layers.
To add a family, write a frozen dataclass that subclasses `Posterior` and add it to `POSTERIORS`. Positional fields come
from the model (the latent dimension, a seed). Keyword-only fields are settings, and pydantic checks their limits.
"""

from __future__ import annotations

from tfp_vae.core.registry import Table
from tfp_vae.model.posteriors.base import NormalNoisePosterior, Posterior
from tfp_vae.model.posteriors.codes import Bernoulli, Categorical, CodePosterior
from tfp_vae.model.posteriors.flows import MEAN_SAMPLES, InverseAutoregressiveFlow, RealNVP
from tfp_vae.model.posteriors.implicit import Implicit, SemiImplicit
from tfp_vae.model.posteriors.layered import BottomUp, LayeredPosterior, TopDown
from tfp_vae.model.posteriors.mixtures import NormalMixture
from tfp_vae.model.posteriors.normal import DiagonalNormal, FullCovarianceNormal, HouseholderFlow

__all__ = [
    "MEAN_SAMPLES",
    "POSTERIORS",
    "Bernoulli",
    "BottomUp",
    "Categorical",
    "CodePosterior",
    "DiagonalNormal",
    "FullCovarianceNormal",
    "HouseholderFlow",
    "Implicit",
    "InverseAutoregressiveFlow",
    "LayeredPosterior",
    "NormalMixture",
    "NormalNoisePosterior",
    "Posterior",
    "RealNVP",
    "SemiImplicit",
    "TopDown",
]

POSTERIORS: Table[Posterior] = Table(
    "posterior",
    {
        "diagonal-normal": DiagonalNormal,
        "full-covariance-normal": FullCovarianceNormal,
        "householder-flow": HouseholderFlow,
        "inverse-autoregressive-flow": InverseAutoregressiveFlow,
        "real-nvp": RealNVP,
        "normal-mixture": NormalMixture,
        "semi-implicit": SemiImplicit,
        "implicit": Implicit,
        "bernoulli": Bernoulli,
        "categorical": Categorical,
        "bottom-up": BottomUp,
        "top-down": TopDown,
    },
    base=Posterior,
    takes=("latent_dim",),
)
