"""Flows: their maps, determinants and networks, and the layers that replace those of TFP."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers.densities import stir
from tfp_vae.core.types import Tensor
from tfp_vae.model.distributions.flows import (
    CouplingFlow,
    Flow,
    MaskedFlow,
    MaskedNetwork,
    bounded_log_scale,
    bounded_shift,
)

D = 4


@pytest.fixture
def layer() -> tuple[MaskedFlow, tfp.bijectors.Bijector]:
    """A flow of one masked layer, and the same layer as TFP writes it."""
    flow = MaskedFlow(D, 0, seed=0, depth=1, hidden=8)

    def shift_and_log_scale(z: Tensor) -> tuple[Tensor, Tensor]:
        shift, a = tf.unstack(flow.networks[0](z), axis=-1)
        return 8 * tf.tanh(shift / 8), 2 * tf.tanh(a / 2)

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
@pytest.mark.parametrize(
    "execution", ["eager", *(pytest.param(each, marks=pytest.mark.slow) for each in ("graph", "xla"))]
)
def test_masked_layer_equals_that_of_tfp_bit_for_bit(
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


def visible(d: int, hidden: int, context: int) -> np.ndarray:
    """Return which inputs z_j each output of a masked network depends on, [D, D]."""
    network = MaskedNetwork(d, context, 0, hidden=hidden)
    for kernel in network.kernels:
        kernel.assign(np.ones(kernel.shape))
    z = tf.Variable(np.full((1, d), 0.1, np.float32))
    with tf.GradientTape() as tape:
        out = tf.reduce_sum(network(z, tf.zeros([1, context]) if context else None), axis=-1)
    return tape.jacobian(out, z).numpy()[0, :, 0] != 0


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize(("d", "hidden"), [(50, 8), (50, 2), (5, 3), (5, 5), (4, 64), (2, 1), (1, 4)])
def test_masked_networks_see_only_earlier_dimensions(d: int, hidden: int, context: int) -> None:
    found = visible(d, hidden, context)
    assert not np.triu(found).any()
    if hidden >= d:
        np.testing.assert_array_equal(found, np.tri(d, k=-1, dtype=bool))
    elif hidden > 1:
        assert found[-1].sum() == d - 1
        gaps = np.diff(np.unique(found.sum(axis=1)))
        assert gaps.max() <= np.ceil((d - 1) / (hidden - 1))


@pytest.mark.parametrize(
    ("units", "lowest", "highest", "degrees"),
    [(4, 1, 2, [1, 2, 1, 2]), (3, 0, 4, [0, 2, 4]), (2, 1, 0, [0, 0]), (5, 0, 1, [0, 1, 0, 1, 0])],
)
def test_degrees_are_spread_evenly(units: int, lowest: int, highest: int, degrees: list[int]) -> None:
    np.testing.assert_array_equal(MaskedNetwork.spread_degrees(units, lowest, highest), degrees)


def test_every_output_of_a_masked_network_depends_on_the_context(rng: np.random.Generator) -> None:
    network, h = MaskedNetwork(3, 2, 0, hidden=8), tf.Variable(rng.normal(size=(1, 2)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        out = network(tf.zeros([1, 3]), h)
    assert (np.abs(tape.jacobian(out, h)).max(axis=(0, 3, 4)) > 0).all()


FLOWS = [MaskedFlow, CouplingFlow]


def random_flow(family: type[Flow], context: int, depth: int = 2) -> Flow:
    flow = family(D, context, seed=0, depth=depth, hidden=8)
    stir(flow.networks, np.random.default_rng(1))
    return flow


@pytest.mark.parametrize("context", [0, 3])
@pytest.mark.parametrize("family", FLOWS)
def test_inverse_undoes_the_map(family: type[Flow], context: int, rng: np.random.Generator) -> None:
    h = tf.constant(rng.normal(size=(5, context)), tf.float32) if context else None
    bijector, u = random_flow(family, context)(h), tf.constant(rng.normal(size=(5, D)), tf.float32)
    z = bijector.forward(u)
    assert np.abs(z - u).max() > 0.01
    np.testing.assert_allclose(bijector.inverse(tf.identity(z)), u, atol=1e-4)


@pytest.mark.parametrize("family", FLOWS)
def test_log_determinant_agrees_with_the_jacobian(family: type[Flow], rng: np.random.Generator) -> None:
    bijector, u = random_flow(family, 0)(), tf.Variable(rng.normal(size=(1, D)), dtype=tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        z = bijector.forward(tf.identity(u))
    jacobian = tf.reshape(tape.jacobian(z, u, experimental_use_pfor=False), [D, D])  # pfor takes seconds to trace
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(bijector.forward_log_det_jacobian(tf.identity(u), 1)[0], expected, atol=1e-5)
    np.testing.assert_allclose(bijector.inverse_log_det_jacobian(tf.identity(z), 1)[0], -expected, atol=1e-4)


@pytest.mark.parametrize("family", FLOWS)
def test_context_broadcasts_to_the_samples(family: type[Flow], rng: np.random.Generator) -> None:
    flow, h = random_flow(family, 3), tf.constant(rng.normal(size=(2, 3)), tf.float32)
    u = tf.constant(rng.normal(size=(6, 2, D)), tf.float32)
    together = flow(h).forward(u)
    for i in range(2):
        np.testing.assert_allclose(together[:, i], flow(h[i]).forward(u[:, i]), atol=1e-5)
    assert np.abs(flow(h).forward(u[:, :1] * tf.ones([6, 2, D]))[:, 0] - together[:, 1]).max() > 1e-3


@pytest.mark.parametrize("family", FLOWS)
def test_every_dimension_changes_from_the_second_layer_on(family: type[Flow]) -> None:
    u = tf.ones([1, D])
    changes = np.abs(random_flow(family, 0, depth=2)().forward(u) - u)[0]
    assert (changes > 0).all()


@pytest.mark.parametrize("family", FLOWS)
def test_flows_start_near_the_identity_up_to_order(family: type[Flow], rng: np.random.Generator) -> None:
    u = tf.constant(rng.normal(size=(50, D)), tf.float32)
    bijector = family(D, 0, seed=0, depth=1, hidden=16)()
    assert np.corrcoef(np.ravel(u), np.ravel(bijector.forward(u)))[0, 1] > 0.8


@pytest.mark.parametrize("family", FLOWS)
def test_seed_decides_the_weights(family: type[Flow]) -> None:
    first, again, other = (family(D, 0, seed=seed, depth=1, hidden=8)().forward(tf.ones([1, D])) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_log_scales_are_bounded_with_slope_one_at_zero() -> None:
    a = tf.Variable([-1e3, 0.0, 1e3])
    with tf.GradientTape() as tape:
        value = bounded_log_scale(a)
    np.testing.assert_allclose(value, [-2, 0, 2])
    assert tape.gradient(value, a)[1] == 1


def test_shifts_are_bounded_with_slope_one_at_zero() -> None:
    m = tf.Variable([-1e6, 0.0, 0.1, 1e6])
    with tf.GradientTape() as tape:
        value = bounded_shift(m)
    np.testing.assert_allclose(value, [-8, 0, 0.1, 8], rtol=1e-4)
    assert tape.gradient(value, m)[1] == 1


@pytest.mark.parametrize("family", FLOWS)
@pytest.mark.parametrize("scale", [3.0, 30.0, 100.0])
def test_densities_stay_accurate_at_large_weights(family: type[Flow], scale: float) -> None:
    single, double = (family(D, 0, seed=0, depth=3, hidden=16, dtype=dtype) for dtype in ("float32", "float64"))
    for network, exact in zip(single.networks, double.networks, strict=True):
        for variable, other in zip(network.trainable_variables, exact.trainable_variables, strict=True):
            variable.assign(scale * variable)
            other.assign(tf.cast(variable, tf.float64))
    u = tf.random.stateless_normal([300, D], (0, 1), dtype=tf.float64)
    z = tf.cast(double().forward(u), tf.float32)
    found = single().inverse_log_det_jacobian(z, 1)
    expected = double().inverse_log_det_jacobian(tf.cast(z, tf.float64), 1)
    errors = np.abs(found - tf.cast(expected, tf.float32))
    assert np.median(errors) < 1e-4
    assert np.mean(errors < 1e-2) > 0.95


def test_coupling_keeps_the_first_half(rng: np.random.Generator) -> None:
    u = tf.constant(rng.normal(size=(3, 5)), tf.float32)
    z = CouplingFlow(5, 0, seed=0, depth=1, hidden=8)().forward(u)
    np.testing.assert_array_equal(z[:, :2], u[:, :2])
    assert (np.abs(z[:, 2:] - u[:, 2:]) > 0).all()
