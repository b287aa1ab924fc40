"""Distributions of z in layers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers import builders
from tfp_vae.model.distributions.layered import Statistics, merge

tfd = tfp.distributions


@pytest.mark.parametrize("name", builders.LAYERED_POSTERIORS)
def test_layers_add_up_to_the_density(name: str) -> None:
    vae = builders.model(name, latent_dim=5)
    for p in (vae.encoder(builders.data("bernoulli")), vae.prior()):
        z = p.sample(3, seed=(0, 1))
        by_layer = p.log_prob_by_layer(z)
        assert by_layer.shape == (*z.shape[:-1], 2)
        np.testing.assert_allclose(tf.reduce_sum(by_layer, axis=-1), p.log_prob(z), rtol=1e-5)


def test_merging_multiplies_the_densities(rng: np.random.Generator) -> None:
    first, second = (Statistics(rng.normal(size=4), rng.uniform(0.5, 2, size=4)) for _ in range(2))
    merged = tfd.Normal(*merge(first, second))
    z = rng.normal(size=(5, 4))
    product = tfd.Normal(*first).log_prob(z) + tfd.Normal(*second).log_prob(z)
    gap = (merged.log_prob(z) - product).numpy()
    np.testing.assert_allclose(gap, np.broadcast_to(gap[:1], gap.shape), atol=1e-9)
