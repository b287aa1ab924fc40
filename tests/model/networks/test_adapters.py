"""Your own networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Array, Tensor
from tfp_vae.interop.keras import Keras3
from tfp_vae.model.likelihoods import Bernoulli
from tfp_vae.model.networks import mlp
from tfp_vae.model.networks.adapters import Fixed, is_random, require_active_layers, require_variables
from tfp_vae.model.networks.layers import Dropout
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.vae import Decoder, Encoder

Layer = Callable[[Any], Any]


class Linear(tf.Module):
    def __init__(self, *, trainable: bool = True) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.ones([3, 2]), trainable=trainable)

    def __call__(self, x: Array) -> Tensor:
        return x @ self.kernel


@pytest.mark.parametrize(
    "network", [Linear(), mlp((3,), 2, hidden=()), Fixed(lambda x: x)], ids=["module", "mlp", "fixed"]
)
def test_networks_that_learn_or_are_fixed_pass(network: object) -> None:
    assert require_variables(network, "encoder") is network


def plain(x: Array) -> Array:
    return x


@pytest.mark.parametrize(
    ("network", "name"),
    [(plain, "plain"), (Linear(trainable=False), "linear"), (tf_keras.layers.Dense(3, name="open"), "open")],
)
def test_networks_without_trainable_variables_raise_an_error_with_remedies(network: object, name: str) -> None:
    with pytest.raises(UsageError, match=f"The decoder's network {name} shows no trainable variable") as error:
        require_variables(network, "decoder")
    for remedy in ("tv.interop.Keras3", "tf.Module", "tv.networks.Fixed"):
        assert remedy in str(error.value)


KERAS = ["tf_keras", "keras"]


def adapt(keras: object, layers: list[object]) -> object:
    """Return a sequential model of 5 inputs as a network, with the adapter if Keras 3 needs it."""
    model = keras.Sequential([keras.Input((5,)), *layers])
    return model if keras.__name__ == "tf_keras" else Keras3(model)


IDLE = {
    "batch-normalization": (lambda k: k.layers.BatchNormalization(name="bad"), "statistics .*LayerNormalization"),
    "dropout": (lambda k: k.layers.Dropout(0.1, name="bad"), "noise .*`dropout`"),
    "gaussian-noise": (lambda k: k.layers.GaussianNoise(0.1, name="bad"), "noise .*`dropout`"),
    "alpha-dropout": (lambda k: k.layers.AlphaDropout(0.1, name="bad"), "noise .*`dropout`"),
    "regularizer": (lambda k: k.layers.Dense(4, kernel_regularizer="l2", name="bad"), "regularizer.*`optimizer=adamw`"),
    "activity": (lambda k: k.layers.Dense(4, activity_regularizer="l2", name="bad"), "regularizer.*`optimizer=adamw`"),
}


@pytest.mark.parametrize("keras", KERAS)
@pytest.mark.parametrize(("layer", "message"), IDLE.values(), ids=IDLE)
def test_layers_that_need_the_training_of_keras_are_refused(keras: str, layer: Layer, message: str) -> None:
    keras = pytest.importorskip(keras)
    network = adapt(keras, [keras.layers.Dense(4), layer(keras), keras.layers.Dense(4)])
    with pytest.raises(UsageError, match=f"The encoder's network has .*{message}") as error:
        Encoder(network, DiagonalNormal(2))
    assert f"{type(layer(keras)).__name__} 'bad'" in str(error.value)


@pytest.mark.parametrize("keras", KERAS)
def test_recurrent_layers_are_refused_only_with_dropout_or_a_kept_state(keras: str) -> None:
    keras = pytest.importorskip(keras)
    for settings in ({"dropout": 0.1}, {"recurrent_dropout": 0.1}):
        network = adapt(keras, [keras.layers.Reshape((5, 1)), keras.layers.GRU(4, **settings)])
        with pytest.raises(UsageError, match="noise"):
            require_active_layers(network, "encoder")
    with pytest.raises(UsageError, match="statistics"):
        require_active_layers(keras.layers.GRU(4, stateful=True), "encoder")
    plain = adapt(keras, [keras.layers.Reshape((5, 1)), keras.layers.GRU(4)])
    assert require_active_layers(plain, "encoder") is plain


@pytest.mark.parametrize("keras", KERAS)
def test_nested_layers_are_found(keras: str) -> None:
    keras = pytest.importorskip(keras)

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [keras.layers.Dense(4), keras.layers.Dropout(0.2, name="deep")]
            self.out = keras.layers.Dense(4)

        def call(self, x: Array, training: bool = False) -> Tensor:
            for part in self.parts:
                x = part(x)
            return self.out(x)

    inner = keras.Sequential([keras.layers.Dense(4), keras.layers.Dropout(0.2, name="deep")])
    wrapped = [keras.layers.Reshape((5, 1)), keras.layers.TimeDistributed(keras.layers.Dropout(0.2, name="deep"))]
    for layers in ([inner], [Own()], [keras.Sequential([inner]), keras.layers.Dense(4)], wrapped):
        with pytest.raises(UsageError, match="Dropout 'deep'"):
            require_active_layers(adapt(keras, layers), "decoder")


def test_layers_within_a_module_are_found() -> None:
    class Own(tf.Module):
        def __init__(self, keras: object) -> None:
            super().__init__()
            self.parts = {"first": adapt(keras, [keras.layers.Dense(4), keras.layers.Dropout(0.2, name="deep")])}

        def __call__(self, x: Array) -> Tensor:
            return self.parts["first"](x)

    for name in KERAS:
        with pytest.raises(UsageError, match="Dropout 'deep'"):
            require_active_layers(Own(pytest.importorskip(name)), "decoder")


@pytest.mark.parametrize("keras", KERAS)
def test_layers_that_do_the_same_in_inference_pass(keras: str) -> None:
    keras = pytest.importorskip(keras)
    frozen = keras.layers.BatchNormalization()
    frozen.trainable = False
    layers = [keras.layers.Dense(4, activation="relu"), keras.layers.LayerNormalization(), keras.layers.Dropout(0.0)]
    network = adapt(keras, [*layers, frozen, keras.layers.Dense(4)])
    assert require_active_layers(network, "encoder") is network


def test_own_layers_with_their_own_call_pass() -> None:
    class Noise(tf_keras.layers.Dropout):
        def call(self, x: Tensor, training: bool = False) -> Tensor:
            return x

    assert not is_random(Noise(0.5))
    assert not is_random(Dropout(0.5, 0, 0))
    network = mlp((3,), 2, hidden=(4,), dropout=0.5, normalization="layer")
    assert require_active_layers(network, "encoder") is network


def own_layer(keras: object, call: Callable[..., Tensor]) -> object:
    """Return a layer of 5 inputs of your own with a dense layer `inner`, and this `call`."""

    class Own(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="mine")
            self.inner = keras.layers.Dense(4)

    Own.call = call
    return Own()


def switches(self: object, x: Tensor, training: bool | None = None) -> Tensor:
    if training:
        x = x * 2
    return self.inner(x)


def chooses(self: object, x: Tensor, *, training: bool = False) -> Tensor:
    return self.inner(tf.cond(tf.cast(training, tf.bool), lambda: 2 * x, lambda: x))


def passes_on(self: object, x: Tensor, training: bool | None = None) -> Tensor:
    return self.inner(x, training=training)


def ignores(self: object, x: Tensor, training: bool = False) -> Tensor:
    return self.inner(x)


def penalizes(self: object, x: Tensor) -> Tensor:
    self.add_loss(0.1 * tf.reduce_sum(x))
    return self.inner(x)


@pytest.mark.parametrize("keras", KERAS)
def test_own_layers_that_behave_differently_in_training_are_refused(keras: str) -> None:
    keras = pytest.importorskip(keras)
    for call in (switches, chooses):
        network = adapt(keras, [own_layer(keras, call)])
        with pytest.raises(UsageError, match=r"has a `call` that uses `training`.*inference: Own 'mine'\. Remove"):
            require_active_layers(network, "encoder")
    for call in (passes_on, ignores):
        network = adapt(keras, [own_layer(keras, call)])
        assert require_active_layers(network, "encoder") is network


def test_noise_from_the_class_above_is_found() -> None:
    class Noise(tf_keras.layers.Dropout):
        def call(self, x: Tensor, training: bool = False) -> Tensor:
            return super().call(x, training=training)

    with pytest.raises(UsageError, match=r"uses `training`.*: Noise"):
        require_active_layers(adapt(tf_keras, [Noise(0.5)]), "encoder")
    lambda_layer = tf_keras.layers.Lambda(lambda x, training=None: 2 * x if training else x)
    with pytest.raises(UsageError, match=r"uses `training`.*: Lambda"):
        require_active_layers(adapt(tf_keras, [lambda_layer, tf_keras.layers.Dense(2)]), "encoder")


def test_use_of_training_is_found_without_source() -> None:
    found: dict[str, Callable[..., Tensor]] = {}
    exec("def call(self, x, training=None):\n    return self.inner(2 * x if training else x)", found)
    with pytest.raises(UsageError, match="uses `training`"):
        require_active_layers(own_layer(tf_keras, found["call"]), "encoder")


@pytest.mark.parametrize("keras", KERAS)
def test_losses_of_layers_are_refused(keras: str) -> None:
    keras = pytest.importorskip(keras)
    network = adapt(keras, [own_layer(keras, penalizes)])
    with pytest.raises(UsageError, match=r"has losses of its own.*objective alone: .*Own 'mine'.* an objective"):
        require_active_layers(network, "decoder")


def test_losses_added_to_a_model_are_refused() -> None:
    inputs = tf_keras.Input((5,))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(4)(inputs))
    assert require_active_layers(model, "encoder") is model
    model.add_loss(tf.reduce_sum(model.output))
    with pytest.raises(UsageError, match="losses of its own"):
        require_active_layers(model, "encoder")


def test_long_lists_of_layers_are_cut() -> None:
    network = adapt(tf_keras, [tf_keras.layers.Dropout(0.1) for _ in range(7)])
    with pytest.raises(UsageError, match="and 2 more"):
        require_active_layers(network, "encoder")


class TestShapes:
    """Networks whose shapes do not fit."""

    def test_input_of_another_shape(self) -> None:
        encoder = Encoder(mlp((8, 8, 1), 4, hidden=()), DiagonalNormal(2))
        with pytest.raises(UsageError, match=r"encoder.* takes inputs of shape \[B, 8, 8, 1\], found \[3, 60\]"):
            encoder(np.zeros((3, 60), np.float32))

    def test_z_of_another_dimension(self) -> None:
        decoder = Decoder(mlp((2,), 4, hidden=()), Bernoulli((4,)))
        with pytest.raises(UsageError, match=r"The decoder's network takes inputs of shape \[B, 2\], found \[15, 3\]"):
            decoder(np.zeros((5, 3, 3), np.float32))

    @pytest.mark.parametrize("compiled", [False, True])
    def test_input_of_a_network_that_does_not_know_its_shape(self, compiled: bool) -> None:
        encoder = Encoder(Linear(), DiagonalNormal(1))
        encode = tf.function(encoder.params, autograph=False) if compiled else encoder.params
        with pytest.raises(UsageError, match=r"The encoder's network does not take its input, found \[5, 4\]"):
            encode(tf.zeros([5, 4]))

    def test_output_of_another_size(self) -> None:
        with pytest.raises(UsageError, match=r"encoder.* must return shape \[B, 6\].*found \[5, 2\].*params_size"):
            Encoder(Linear(), DiagonalNormal(3))(tf.zeros([5, 3]))
        with pytest.raises(UsageError, match=r"The decoder's network must return shape \[B, 7\]"):
            Decoder(Linear(), Bernoulli((7,)))(tf.zeros([5, 3]))

    def test_output_of_several_tensors(self) -> None:
        pair = Fixed(lambda x: (x, x))
        with pytest.raises(UsageError, match=r"must return one tensor \[B, 4\], found a tuple"):
            Encoder(pair, DiagonalNormal(2))(tf.zeros([5, 3]))

    def test_other_errors_of_a_network_are_its_own(self) -> None:
        def broken(x: Array) -> Tensor:
            raise ValueError("my own")

        with pytest.raises(ValueError, match="my own"):
            Encoder(Fixed(broken), DiagonalNormal(2))(tf.zeros([5, 3]))


def test_fixed_returns_the_result_of_its_function() -> None:
    np.testing.assert_array_equal(Fixed(lambda x: 2 * x)(np.ones(3)), 2 * np.ones(3))
