"""Compiled functions of a model: they are kept, follow its weights, and are replaced when its parts change."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.models import SHAPE, make
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.compilation import MOST_KEPT, compile_for
from tfp_vae.model.vae import VAE


class Counted(tf.Module):
    """A linear network that counts how often Python runs it, so how often it is traced."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.fill([inputs, outputs], 0.1))
        self.factor = 1.0
        self.sc = np.array([1.0], np.float32)
        self.act: Callable[[Tensor], Tensor] = tf.identity
        self.traces: list[int] = []

    def __call__(self, x: Array) -> Tensor:
        self.traces.append(x.shape[0])
        return self.act(self.factor * self.sc * tf.reshape(x, [-1, self.weight.shape[0]]) @ self.weight)


def counted() -> VAE:
    posterior, likelihood = tv.posteriors.DiagonalNormal(2), tv.likelihoods.Bernoulli(SHAPE)
    encoder = tv.Encoder(Counted(12, posterior.params_size), posterior)
    decoder = tv.Decoder(Counted(2, likelihood.params_size), likelihood)
    return VAE(encoder, decoder, tv.priors.StandardNormal(2))


@pytest.fixture
def x() -> np.ndarray:
    return builders.data("bernoulli", 4, SHAPE)


def traces(vae: VAE) -> int:
    return len(vae.encoder.network.traces) + len(vae.decoder.network.traces)


CALLS: dict[str, Callable[[VAE, np.ndarray, int], object]] = {
    "log_likelihood": lambda vae, x, i: tv.log_likelihood(vae, x, iw_samples=2, seed=i, execution="graph"),
    "more samples": lambda vae, x, i: tv.log_likelihood(vae, x, iw_samples=100 * (i + 1), execution="graph"),
    "estimator": lambda vae, x, i: tv.evaluation.Estimator(vae, iw_samples=2, execution="graph")(x, seed=(0, i)),
    "annealing": lambda vae, x, i: tv.evaluation.annealed_log_likelihood(
        vae, x, steps=1, chains=2, seed=(0, i), execution="graph"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_later_calls_compile_nothing(name: str, x: np.ndarray) -> None:
    vae = counted()
    CALLS[name](vae, x, 0)
    first = traces(vae)
    for i in range(1, 4):
        CALLS[name](vae, x, i)
    assert traces(vae) == first


def test_decomposition_compiles_once(x: np.ndarray) -> None:
    kept = []
    for i in range(3):
        vae = make() if not kept else kept[0][0]
        tv.evaluation.decomposition(vae, x, seed=(0, i), execution="graph")
        kept.append((vae, compile_for(vae, tv.evaluation.information.mixture_densities, execution="graph")))
    assert len({id(function) for _, function in kept}) == 1
    assert kept[0][1].experimental_get_tracing_count() == 1


@pytest.mark.slow
def test_compiled_function_follows_the_weights(x: np.ndarray) -> None:
    vae = counted()
    before = tv.log_likelihood(vae, x, iw_samples=2, execution="graph")
    count = traces(vae)
    for variable in vae.trainable_variables:
        variable.assign(-variable)
    after = tv.log_likelihood(vae, x, iw_samples=2, execution="graph")
    assert traces(vae) == count
    assert (np.asarray(before) != np.asarray(after)).all()
    fresh = counted()
    for variable in fresh.trainable_variables:
        variable.assign(-variable)
    np.testing.assert_array_equal(after, tv.log_likelihood(fresh, x, iw_samples=2, execution="graph"))


def replace_prior(vae: VAE) -> None:
    vae.prior = tv.priors.NormalMixture(2, components=2)


def change_number(vae: VAE) -> None:
    vae.decoder.network.factor = 3.0


def replace_array(vae: VAE) -> None:
    vae.decoder.network.sc = np.array([50.0], np.float32)


def change_array_in_place(vae: VAE) -> None:
    vae.decoder.network.sc[0] = 50.0


def replace_function(vae: VAE) -> None:
    vae.decoder.network.act = lambda z: 30 * z


def replace_network(vae: VAE) -> None:
    network = vae.decoder.network
    vae.decoder.network = lambda z: 2 * network(z)


@pytest.mark.slow
@pytest.mark.parametrize("change", [replace_prior, change_number, replace_network])
def test_changed_part_is_compiled_again(change: Callable[[VAE], None], x: np.ndarray) -> None:
    vae, fresh = counted(), counted()
    before = tv.log_likelihood(vae, x, iw_samples=2, execution="graph")
    for each in (vae, fresh):
        change(each)
    after = tv.log_likelihood(vae, x, iw_samples=2, execution="graph")
    np.testing.assert_array_equal(after, tv.log_likelihood(fresh, x, iw_samples=2, execution="graph"))
    assert (np.asarray(before) != np.asarray(after)).all()


@pytest.mark.parametrize("change", [replace_array, change_array_in_place, replace_function])
def test_changed_attribute_is_compiled_again(change: Callable[[VAE], None]) -> None:
    def decode(vae: VAE, z: Tensor) -> Tensor:
        return vae.decoder.network(z)

    vae, z = counted(), tf.ones([4, 2])
    before = compile_for(vae, decode, execution="graph")(z)
    assert compile_for(vae, decode, execution="graph") is compile_for(vae, decode, execution="graph")
    change(vae)
    after = compile_for(vae, decode, execution="graph")(z)
    np.testing.assert_allclose(after, decode(vae, z), rtol=1e-6)
    assert (np.asarray(before) != np.asarray(after)).all()


def test_few_functions_are_kept() -> None:
    vae = make()

    def power(vae: VAE, exponent: int, x: Tensor) -> Tensor:
        return x**exponent

    made = [weakref.ref(compile_for(vae, power, i, execution="graph")) for i in range(MOST_KEPT + 3)]
    gc.collect()
    assert [each() is not None for each in made] == [False] * 3 + [True] * MOST_KEPT


@pytest.mark.slow
def test_compiled_functions_do_not_keep_the_model_alive(x: np.ndarray) -> None:
    vae = make()
    tv.log_likelihood(vae, x, iw_samples=2, execution="graph")
    alive = weakref.ref(vae)
    del vae
    gc.collect()
    assert alive() is None
