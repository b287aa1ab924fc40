"""Distributions with samples and without a density."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tfp_vae.core.errors import UsageError


def test_samples_have_shapes_seeds_and_gradients_and_no_density(rng: np.random.Generator) -> None:
    family = builders.posterior("implicit", 2)
    params = tf.constant(rng.normal(size=(3, family.params_size)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(params)
        q = family(params)
        z = q.sample(4, seed=(0, 1))
    assert (q.batch_shape, q.event_shape, z.shape) == ((3,), (2,), (4, 3, 2))
    assert (np.abs(tape.gradient(z, params)) > 0).all()
    np.testing.assert_array_equal(z, q.sample(4, seed=(0, 1)))
    assert (z != q.sample(4, seed=(0, 2))).numpy().any()
    assert q.discriminator(z).shape == (4, 3)
    with pytest.raises(UsageError, match="samples but no density"):
        q.log_prob(z)
