"""Small models."""

from __future__ import annotations

import tfp_vae as tv

SHAPE = (4, 3, 1)


def make(latent_dim: int = 2, seed: int = 0) -> tv.VAE:
    posterior, likelihood = tv.posteriors.DiagonalNormal(latent_dim), tv.likelihoods.Bernoulli(SHAPE)
    return tv.VAE(
        encoder=tv.Encoder(tv.networks.mlp(SHAPE, posterior.params_size, seed=seed, hidden=(8, 8)), posterior),
        decoder=tv.Decoder(tv.networks.mlp((latent_dim,), likelihood.params_size, seed=seed, hidden=(8,)), likelihood),
        prior=tv.priors.StandardNormal(latent_dim),
    )


def make_for_digits() -> tv.VAE:
    """The builder of a small VAE for the digits."""
    posterior, likelihood = tv.posteriors.DiagonalNormal(2), tv.likelihoods.Bernoulli((8, 8, 1))
    return tv.VAE(
        encoder=tv.Encoder(tv.networks.mlp((8, 8, 1), posterior.params_size, hidden=(16,)), posterior),
        decoder=tv.Decoder(tv.networks.mlp((2,), likelihood.params_size, hidden=(16,)), likelihood),
        prior=tv.priors.StandardNormal(2),
    )
