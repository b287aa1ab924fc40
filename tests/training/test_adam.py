"""Adam with fewer operations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_vae.core.execution import compile_function
from tfp_vae.training.optimizers import adam


@pytest.mark.parametrize("execution", ["graph", "eager"])
def test_adam_has_the_weights_and_the_state_of_keras(execution: str, rng: np.random.Generator) -> None:
    gradients = [[rng.normal(size=shape) for shape in ((3, 2), (2,))] for _ in range(4)]
    found = []
    for optimizer in (adam(0.1), tf_keras.optimizers.Adam(0.1)):
        weights = [tf.Variable(np.ones([3, 2], np.float32)), tf.Variable(np.ones([2], np.float64))]
        optimizer.build(weights)
        step = compile_function(
            lambda *given, o=optimizer, w=weights: o.apply_gradients(zip(given, w, strict=True)), execution
        )
        for pair in gradients:
            step(*(tf.constant(each, weight.dtype) for each, weight in zip(pair, weights, strict=True)))
        found.append([variable.numpy() for variable in (*weights, *optimizer.variables)])
    for ours, keras in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, keras)
