"""Small models of every member, for tests that walk the tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.model.likelihoods import ELEMENTWISE, LIKELIHOODS
from tfp_vae.model.networks import NETWORKS, LowestLayer
from tfp_vae.model.posteriors import POSTERIORS
from tfp_vae.model.priors import PRIORS, CodePrior
from tfp_vae.objectives import OBJECTIVES

SHAPE = (8, 8, 1)

SMALL = {
    "mlp": "mlp:hidden=8",
    "conv": "conv:channels=2,3,dense=8",
    "resnet": "resnet:channels=2,3,dense=8",
    "inverse-autoregressive-flow": "inverse-autoregressive-flow:hidden=8,context=3",
    "normal-mixture": "normal-mixture:components=3",
    "vamp": "vamp:components=3",
    "autoregressive-flow": "autoregressive-flow:hidden=8",
    "autoregressive": "autoregressive:hidden=8",
    "bottom-up": "bottom-up:hidden=8",
    "implicit": "implicit:hidden=8,context=3,noise=4",
    "semi-implicit": "semi-implicit:hidden=8,context=3,noise=2,components=5",
    "top-down": "top-down:hidden=8",
    "hierarchical": "hierarchical:hidden=8",
    "categorical": "categorical:levels=5",
    "ordinal": "ordinal:levels=5",
    "inflated-negative-binomial": "inflated-negative-binomial:at=0,4",
    "discretized-logistic": "discretized-logistic:levels=5",
    "discretized-logistic-mixture": "discretized-logistic-mixture:levels=5,components=2",
}

CODES = "categorical:codes=4"
"""A posterior of one-hot vectors. The name alone is that of a likelihood too."""

CODE_POSTERIORS = [name for name, family in POSTERIORS.items() if family.capabilities.codes]
"""The posteriors over a discrete z."""

LAYERED_POSTERIORS = [name for name, family in POSTERIORS.items() if family.capabilities.layers]
"""The posteriors over a z in layers."""

APPROXIMATE_POSTERIORS = [name for name, family in POSTERIORS.items() if family.capabilities.approximate]
"""The posteriors whose density is known for their own samples only, or not at all."""

EXPLICIT_POSTERIORS = [name for name, family in POSTERIORS.items() if not family.capabilities.implicit]
"""The posteriors with a density."""

SPECIAL_POSTERIORS = CODE_POSTERIORS + LAYERED_POSTERIORS + APPROXIMATE_POSTERIORS

REAL_POSTERIORS = [name for name in POSTERIORS if name not in SPECIAL_POSTERIORS]
"""The posteriors over real vectors in one layer, with a density at any z."""

CONTINUOUS_POSTERIORS = REAL_POSTERIORS + LAYERED_POSTERIORS
"""The posteriors over real vectors."""

CODE_PRIORS = [name for name, family in PRIORS.items() if issubclass(family, CodePrior)]
"""The priors over a discrete z."""

LAYERED_PRIORS = [name for name, family in PRIORS.items() if family.capabilities.layers]
"""The priors over a z in layers."""

REAL_PRIORS = [name for name in PRIORS if name not in CODE_PRIORS + LAYERED_PRIORS]
"""The priors over real vectors in one layer."""

CONTINUOUS_PRIORS = REAL_PRIORS + LAYERED_PRIORS
"""The priors over real vectors."""

NEED_TWO = ["real-nvp", *LAYERED_POSTERIORS, *LAYERED_PRIORS]
"""The members that need at least two latent dimensions."""

REAL_OBJECTIVES = [name for name in OBJECTIVES if name not in ("disarm", "gumbel-softmax", "adversarial")]
"""The objectives for real vectors."""

CLOSED_FORM_RATES = ("elbo", "rloo", "total-correlation")
"""The objectives whose value is noisy at the exact posterior, because only their rate has a closed form."""

OF_DIAGONALS = ("elbo", "total-correlation")
"""The objectives that layers of z do not support."""

EACH_MEMBER = [
    (REAL_POSTERIORS[i % len(REAL_POSTERIORS)], REAL_PRIORS[(i + 1) % len(REAL_PRIORS)], likelihood)
    for i, likelihood in enumerate(ELEMENTWISE)
]
"""Triples (posterior, prior, likelihood) that have each member at least once, because compiling takes long."""


def posterior(name: str, latent_dim: int, dtype: str = "float32") -> Any:
    special = {"real-nvp": "real-nvp:depth=2,hidden=8,context=3", "categorical": CODES}
    text = special.get(name, SMALL.get(name, name))
    return POSTERIORS.build(POSTERIORS.member(text), latent_dim, seed=1, dtype=dtype)


def prior(
    name: str,
    latent_dim: int,
    encoder: Any = None,
    shape: tuple[int, ...] = SHAPE,
    dtype: str = "float32",
    q: Any = None,
) -> Any:
    text = "real-nvp:depth=2,hidden=8" if name == "real-nvp" else SMALL.get(name, name)
    mean = np.full(shape, 0.5)
    q = q or posterior("bottom-up" if name in LAYERED_PRIORS else "diagonal-normal", max(latent_dim, 2))
    more = {"encoder": encoder, "data_mean": mean, "seed": 2, "dtype": dtype, "codes": q.latent.codes, "posterior": q}
    if getattr(q, "shares_networks", False):
        text = name
    return PRIORS.build(PRIORS.member(text), latent_dim, **more)


def likelihood(name: str, shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> Any:
    return LIKELIHOODS.build(LIKELIHOODS.member(SMALL.get(name, name)), shape, dtype=dtype)


def network(name: str, input_shape: tuple[int, ...], size: int, shape: tuple[int, ...] = SHAPE, **more: Any) -> Any:
    member = NETWORKS.member(SMALL.get(name, name))
    return NETWORKS.build(member, input_shape, size, image_shape=shape, **more)


def model(
    posterior_name: str = "diagonal-normal",
    prior_name: str | None = None,
    likelihood_name: str = "bernoulli",
    network_name: str = "mlp",
    latent_dim: int = 3,
    shape: tuple[int, ...] = SHAPE,
    dtype: str = "float32",
) -> VAE:
    q, p = posterior(posterior_name, latent_dim, dtype), likelihood(likelihood_name, shape, dtype)
    encoder = Encoder(network(network_name, shape, q.params_size, shape, seed=3, dtype=dtype), q)
    start = p.initial_params(np.full(shape, 0.5))
    lowest, *above = q.latent.blocks
    made = network(network_name, (lowest,), p.params_size, shape, seed=4, output_bias=start, dtype=dtype)
    decoder = Decoder(LowestLayer(made, lowest) if above else made, p)
    usual = "uniform" if q.latent.discrete else "hierarchical" if above else "standard-normal"
    return VAE(encoder, decoder, prior(prior_name or usual, latent_dim, encoder, shape, dtype, q))


def model_with_prior(name: str, **more: Any) -> VAE:
    """Return a model with this prior and a posterior that fits it."""
    return model("bottom-up" if name in LAYERED_PRIORS else "diagonal-normal", name, **more)


def data(likelihood_name: str, n: int = 6, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Return examples on the support of a likelihood."""
    u = np.random.default_rng(5).random((n, *shape))
    by_name = {
        "bernoulli": u > 0.5,
        "poisson": np.floor(9 * u),
        "negative-binomial": np.floor(9 * u),
        "inflated-negative-binomial": np.floor(9 * u),
        "normal": 4 * u - 2,
        "laplace": 4 * u - 2,
        "student-t": 4 * u - 2,
        "log-normal": 0.2 + 2 * u,
        "beta": 0.05 + 0.9 * u,
        "continuous-bernoulli": u,
    }
    return np.asarray(by_name.get(likelihood_name, np.floor(5 * u) / 4), np.float32)
