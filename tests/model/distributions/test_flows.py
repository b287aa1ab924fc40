"""The layers of flows: maps that agree with TFP's own and work after a failed trace."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_vae.core.types import Tensor
from tfp_vae.model.distributions.flows import MaskedFlow

D = 4


@pytest.fixture
def layer() -> tuple[MaskedFlow, tfp.bijectors.Bijector]:
    """A flow of one masked layer, and the same layer as TFP writes it."""
    flow = MaskedFlow(D, 0, seed=0, depth=1, hidden=8)

    def shift_and_log_scale(z: Tensor) -> tuple[Tensor, Tensor]:
        shift, a = tf.unstack(flow.networks[0](z), axis=-1)
        return shift, 2 * tf.tanh(a / 2)

    return flow, tfp.bijectors.MaskedAutoregressiveFlow(shift_and_log_scale)


@pytest.fixture
def caching_scope() -> Iterator[None]:
    """A variable scope that caches, as `tf.map_fn` leaves it behind when the function that it traces raises."""

    def fail(x: Tensor) -> Tensor:
        raise ZeroDivisionError

    @tf.function(autograph=False)
    def broken() -> Tensor:
        return tf.map_fn(fail, tf.zeros([2]))

    with pytest.raises(ZeroDivisionError):
        broken()
    scope = tf.compat.v1.get_variable_scope()
    assert scope.caching_device is not None
    yield
    with tf.Graph().as_default():  # an eager scope refuses to be changed
        scope.set_caching_device(None)


@pytest.fixture
def clean_scope() -> None:
    """The default variable scope without the caching device that another test's failed trace may have left."""
    scope = tf.compat.v1.get_variable_scope()
    with tf.Graph().as_default():  # an eager scope refuses to be changed
        scope.set_caching_device(None)


@pytest.mark.usefixtures("clean_scope")
@pytest.mark.parametrize("execution", ["eager", "graph", "xla"])
def test_masked_layer_is_bit_for_bit_the_one_of_tfp(
    layer: tuple[MaskedFlow, tfp.bijectors.Bijector], execution: str, rng: np.random.Generator
) -> None:
    flow, stock = layer
    u = tf.constant(rng.normal(size=(3, 5, D)), tf.float32)

    def both_ways(bijector: tfp.bijectors.Bijector, u: Tensor) -> tuple[Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(u)
            z = bijector.forward(tf.identity(u))
        slope = tape.gradient(z, u)
        z = tf.identity(z)  # without the pair that the bijector remembers
        return z, slope, bijector.inverse(z), bijector.inverse_log_det_jacobian(z, event_ndims=1)

    run = both_ways if execution == "eager" else tf.function(both_ways, jit_compile=execution == "xla")
    for found, expected in zip(run(flow(), u), run(stock, u), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_masked_layer_works_eagerly_after_a_failed_trace(
    layer: tuple[MaskedFlow, tfp.bijectors.Bijector], caching_scope: None, rng: np.random.Generator
) -> None:
    flow, stock = layer
    u = tf.constant(rng.normal(size=(5, D)), tf.float32)
    with pytest.raises(NotImplementedError, match="Caching devices"):
        stock.forward(u)
    z = flow().forward(u)
    np.testing.assert_allclose(flow().inverse(tf.identity(z)), u, atol=1e-5)
