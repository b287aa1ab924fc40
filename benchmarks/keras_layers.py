"""The two networks as lists of Keras layers, for peers on Keras 2 and on Keras 3."""

from __future__ import annotations

from typing import Any

from benchmarks.problem import CHANNELS, DENSE, PIXELS, SIDE, SMALL, Layers, Workload


def encoder(layers: Any, workload: Workload) -> list[Any]:
    """Return the layers of the map from x [B, 784] to [B, 2 D], from `keras.layers`."""
    return [
        *(_hidden(layers, workload.hidden) if workload.hidden else _down(layers)),
        layers.Dense(2 * workload.latent_dim),
    ]


def decoder(layers: Any, workload: Workload) -> list[Any]:
    """Return the layers of the map from z [..., D], [B, D] of convolutions, to logits [..., 784]."""
    return [*_hidden(layers, workload.hidden[::-1]), layers.Dense(PIXELS)] if workload.hidden else _up(layers)


def arrays(layers: Layers) -> list[Any]:
    """Return kernels and biases as `set_weights` takes them."""
    return [array for layer in layers for array in layer]


def _hidden(layers: Any, widths: tuple[int, ...]) -> list[Any]:
    return [layers.Dense(width, activation="relu") for width in widths]


def _down(layers: Any) -> list[Any]:
    return [
        layers.Reshape((SIDE, SIDE, 1)),
        *(layers.Conv2D(width, 3, strides=2, padding="same", activation="relu") for width in CHANNELS),
        layers.Flatten(),
        *_hidden(layers, (DENSE,)),
    ]


def _up(layers: Any) -> list[Any]:
    return [
        *_hidden(layers, (DENSE, SMALL * SMALL * CHANNELS[-1])),
        layers.Reshape((SMALL, SMALL, CHANNELS[-1])),
        *(layers.Conv2DTranspose(w, 3, strides=2, padding="same", activation="relu") for w in CHANNELS[::-1]),
        layers.Conv2D(1, 3, padding="same"),
        layers.Flatten(),
    ]
