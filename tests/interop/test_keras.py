"""Keras 3 models as networks of an encoder or a decoder."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfp_vae as tv
from tests.helpers.models import SHAPE
from tfp_vae.core.errors import UsageError
from tfp_vae.training.state import State


def test_keras_3_network_needs_the_adapter_to_learn(rng: np.random.Generator) -> None:
    keras3 = pytest.importorskip("keras")
    x = rng.integers(0, 2, (6, *SHAPE)).astype(np.float32)
    models = [keras3.Sequential([keras3.Input(SHAPE), keras3.layers.Flatten(), keras3.layers.Dense(4)])]
    models.append(keras3.Sequential([keras3.Input((2,)), keras3.layers.Dense(12)]))
    posterior, likelihood = tv.posteriors.DiagonalNormal(2), tv.likelihoods.Bernoulli(SHAPE)
    with pytest.raises(UsageError, match="Keras3"):
        tv.Encoder(models[0], posterior)
    encoder, decoder = (tv.interop.Keras3(model) for model in models)
    vae = tv.VAE(tv.Encoder(encoder, posterior), tv.Decoder(decoder, likelihood), tv.priors.StandardNormal(2))
    assert len(vae.trainable_variables) == 4
    with tf.GradientTape() as tape:
        loss = tv.objectives.ELBO().loss(vae, x, seed=(0, 1))
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, vae.trainable_variables))


def test_adapter_tracks_all_variables_and_respects_frozen_layers() -> None:
    keras3 = pytest.importorskip("keras")
    layers = [keras3.layers.Dense(4), keras3.layers.BatchNormalization(), keras3.layers.Dense(3)]
    model = keras3.Sequential([keras3.Input((5,)), *layers])
    network = tv.interop.Keras3(model)
    assert len(network.variables) == len(model.variables) == 8
    assert {id(v) for v in network.trainable_variables} == {id(v.value) for v in model.trainable_variables}
    assert len(network.trainable_variables) == 6
    layers[2].trainable = False
    network = tv.interop.Keras3(model)
    assert len(network.variables) == 8
    assert {id(v) for v in network.trainable_variables} == {id(v.value) for v in model.trainable_variables}
    assert len(network.trainable_variables) == 4


def test_checkpoint_restores_moving_statistics() -> None:
    keras3 = pytest.importorskip("keras")

    def build(offset: float) -> tv.VAE:
        posterior, likelihood = tv.posteriors.DiagonalNormal(2), tv.likelihoods.Bernoulli(SHAPE)
        encoder = keras3.Sequential(
            [keras3.Input(SHAPE), keras3.layers.Flatten(), keras3.layers.BatchNormalization(), keras3.layers.Dense(4)]
        )
        encoder.layers[1].moving_mean.assign(np.full(12, offset))
        encoder.layers[1].trainable = False
        decoder = tv.networks.mlp((2,), likelihood.params_size, hidden=())
        prior = tv.priors.StandardNormal(2)
        return tv.VAE(tv.Encoder(tv.interop.Keras3(encoder), posterior), tv.Decoder(decoder, likelihood), prior)

    kept, other = build(3.0), build(0.0)
    x = np.ones((2, *SHAPE), np.float32)
    State(other).restore(State(kept).capture())
    np.testing.assert_array_equal(other.encoder.mean(x), kept.encoder.mean(x))
    np.testing.assert_array_equal(other.encoder.network.model.layers[1].moving_mean.numpy(), np.full(12, 3.0))


def test_constraints_of_keras_3_are_refused_because_no_optimizer_applies_them() -> None:
    keras3 = pytest.importorskip("keras")
    limited = keras3.layers.Dense(4, kernel_constraint="non_neg", name="limited")
    network = tv.interop.Keras3(keras3.Sequential([keras3.Input((5,)), limited]))
    with pytest.raises(UsageError, match=r"a constraint of Keras 3.*: Dense 'limited'\. .* `tf_keras`"):
        tv.Encoder(network, tv.posteriors.DiagonalNormal(2))


def test_shape_errors_name_the_part_and_the_shape_that_it_takes() -> None:
    keras3 = pytest.importorskip("keras")
    network = tv.interop.Keras3(keras3.Sequential([keras3.Input((5,)), keras3.layers.Dense(4)]))
    encoder = tv.Encoder(network, tv.posteriors.DiagonalNormal(2))
    with pytest.raises(UsageError, match=r"The encoder's network takes inputs of shape \[B, 5\], found \[3, 6\]\."):
        encoder(np.zeros((3, 6), np.float32))


def test_a_model_on_another_backend_is_an_error() -> None:
    class Variable:
        value = np.zeros(3)
        trainable = True

    class Model:
        variables = (Variable(),)

        def __call__(self, x: np.ndarray) -> np.ndarray:
            return x

    with pytest.raises(UsageError, match=r"TensorFlow backend. Set KERAS_BACKEND=tensorflow"):
        tv.interop.Keras3(Model())


def test_adapter_returns_the_output_of_its_model(rng: np.random.Generator) -> None:
    keras3 = pytest.importorskip("keras")
    model = keras3.Sequential([keras3.Input((5,)), keras3.layers.Dense(3), keras3.layers.Dropout(0.5)])
    x = rng.normal(size=(4, 5)).astype(np.float32)
    np.testing.assert_array_equal(tv.interop.Keras3(model)(x), model(x, training=False))


def test_gradients_do_not_reach_frozen_layers(rng: np.random.Generator) -> None:
    keras3 = pytest.importorskip("keras")
    model = keras3.Sequential([keras3.Input((5,)), keras3.layers.Dense(3), keras3.layers.Dense(4)])
    model.layers[0].trainable = False
    network = tv.interop.Keras3(model)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(network(rng.normal(size=(4, 5)).astype(np.float32)) ** 2)
    gradients = tape.gradient(value, network.trainable_variables)
    assert [tuple(gradient.shape) for gradient in gradients] == [(3, 4), (4,)]
