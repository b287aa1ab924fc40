"""The interface of priors."""

from __future__ import annotations

from typing import final

import numpy as np
import pytest
import tensorflow_probability as tfp

import tfp_vae as tv
from tests.helpers.models import make
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.priors.base import Prior


@final
@record
class Cauchy(Prior):
    """The smallest prior that a user may write."""

    latent_dim: int

    def __call__(self, temperature: float = 1.0) -> Distribution:
        return tfp.distributions.Sample(tfp.distributions.Cauchy(0.0, temperature), self.latent_dim)


def test_a_new_prior_needs_only_its_distribution() -> None:
    prior = Cauchy(2)
    assert prior.latent == Latent.vector(2)
    assert prior.capabilities == Capabilities()
    assert prior.learned == ()
    vae = make()
    model = tv.VAE(vae.encoder, vae.decoder, prior)
    x = np.zeros((3, 4, 3, 1), np.float32)
    assert np.isfinite(tv.objectives.MonteCarloELBO().loss(model, x, seed=(0, 1)))
    assert model.sample(4, seed=(0, 1)).shape == (4, 4, 3, 1)


def test_a_prior_without_a_distribution_raises_an_error() -> None:
    with pytest.raises(TypeError, match="__call__"):
        type("Empty", (Prior,), {})()
