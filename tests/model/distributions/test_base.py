"""Shapes that may be partly unknown."""

from __future__ import annotations

import tensorflow as tf

from tfp_vae.core.types import Tensor
from tfp_vae.model.distributions.base import axis_sizes


def test_sizes_of_a_known_shape_are_integers() -> None:
    x = tf.zeros([2, 3])
    assert axis_sizes(x.shape, tf.shape(x)) == [2, 3]
    assert axis_sizes(tf.TensorShape([]), tf.constant([], tf.int32)) == []


def test_unknown_sizes_are_tensors() -> None:
    kinds = []

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def double(x: Tensor) -> Tensor:
        sizes = axis_sizes(x.shape, tf.shape(x))
        kinds.extend(isinstance(size, int) for size in sizes)
        return tf.ones(sizes) + tf.ones(sizes)

    assert double(tf.zeros([5, 3])).shape == (5, 3)
    assert kinds == [False, True]
