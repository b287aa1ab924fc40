"""Your own networks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_vae.core.errors import UsageError
from tfp_vae.core.types import Array, Tensor
from tfp_vae.model.networks import mlp
from tfp_vae.model.networks.adapters import Fixed, require_variables


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


def test_fixed_returns_the_result_of_its_function() -> None:
    np.testing.assert_array_equal(Fixed(lambda x: 2 * x)(np.ones(3)), 2 * np.ones(3))
