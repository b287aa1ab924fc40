"""Layers and batches that the Keras 2 and Keras 3 peers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.problem import CHANNELS, DENSE, PIXELS, SIDE, SMALL, Layers, Workload
from tfp_vae.core.types import Tensor

STEPS_AT_ONCE = 20


def takes(workload: Workload) -> bool:
    """Return whether the Keras peers support a workload.

    They have no flow and no log p(x), and Keras has no convolution of [S, B, H, W, C].
    """
    return not workload.flow and workload.steps > 0 and (bool(workload.hidden) or workload.samples == 1)


def fastest(workload: Workload) -> dict[str, Any]:
    """Return the fastest settings of `compile`.

    TensorFlow's XLA is slow at convolutions and at drawing much noise.
    """
    return {
        "jit_compile": bool(workload.hidden) and workload.samples == 1,
        "steps_per_execution": min(workload.steps, STEPS_AT_ONCE),
    }


def dense(layers: ModuleType, widths: tuple[int, ...]) -> list[object]:
    """Return dense layers with relu."""
    return [layers.Dense(width, activation="relu") for width in widths]


def encoder(layers: ModuleType, workload: Workload) -> list[object]:
    """Return the layers of the map from x [B, 784] to [B, 2 D], from `keras.layers`."""
    if workload.hidden:
        return [*dense(layers, workload.hidden), layers.Dense(2 * workload.latent_dim)]
    return [
        layers.Reshape((SIDE, SIDE, 1)),
        *(layers.Conv2D(width, 3, strides=2, padding="same", activation="relu") for width in CHANNELS),
        layers.Flatten(),
        *dense(layers, (DENSE,)),
        layers.Dense(2 * workload.latent_dim),
    ]


def decoder(layers: ModuleType, workload: Workload) -> list[object]:
    """Return the layers of the map from z [..., D] to logits [..., 784]. Convolutions take z [B, D]."""
    if workload.hidden:
        return [*dense(layers, workload.hidden[::-1]), layers.Dense(PIXELS)]
    return [
        *dense(layers, (DENSE, SMALL * SMALL * CHANNELS[-1])),
        layers.Reshape((SMALL, SMALL, CHANNELS[-1])),
        *(layers.Conv2DTranspose(w, 3, strides=2, padding="same", activation="relu") for w in CHANNELS[::-1]),
        layers.Conv2D(1, 3, padding="same"),
        layers.Flatten(),
    ]


def arrays(layers: Layers) -> list[np.ndarray]:
    """Return kernels and biases in the order of `set_weights`."""
    return [array for layer in layers for array in layer]


def batches(x: np.ndarray, batch: int, given: Callable[[Tensor], object]) -> Iterable[object]:
    """Return endless shuffled batches, binarized in every step.

    Indices are shuffled, because a buffer of images is slow to fill.

    Args:
      given: the function from pixels to the arguments of `fit`.
    """

    def binarize(indices: Tensor) -> object:
        pixels = tf.gather(images, indices)
        return given(tf.cast(tf.random.uniform(tf.shape(pixels)) < pixels, tf.float32))

    images = tf.constant(x)
    indices = tf.data.Dataset.range(len(x)).shuffle(len(x)).repeat().batch(batch, drop_remainder=True)
    dataset: Iterable[object] = indices.map(binarize, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return dataset
