"""Keras 3 on TensorFlow, or on the library in KERAS_BACKEND: a model with the ELBO as `compute_loss`, and `fit`."""

from __future__ import annotations

from typing import final

import keras
import numpy as np
from keras import ops

from benchmarks import keras_layers
from benchmarks.keras_layers import takes
from benchmarks.problem import LEARNING_RATE, PIXELS, SCALE_FLOOR, Problem

__all__ = ["Peer", "takes"]


@final
class Model(keras.Model):
    """Encoder and decoder. A call returns loc and scale of q(z|x), and logits of p(x|z)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        workload, layers = problem.workload, keras.layers
        self.encoder = keras.Sequential([layers.Input((PIXELS,)), *keras_layers.encoder(layers, workload)])
        self.decoder = keras.Sequential([layers.Input((workload.latent_dim,)), *keras_layers.decoder(layers, workload)])
        self.encoder.set_weights(keras_layers.arrays(problem.encoder))
        self.decoder.set_weights(keras_layers.arrays(problem.decoder))
        self.samples, self.noise = workload.samples, keras.random.SeedGenerator(0)

    def call(self, x: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
        """Return loc and scale, [B, D], and logits, [S, B, 784]."""
        loc, s = ops.split(self.encoder(x), 2, axis=-1)
        scale = SCALE_FLOOR + ops.softplus(s)
        z = loc + scale * keras.random.normal((self.samples, *ops.shape(loc)), seed=self.noise)
        logits = self.decoder(ops.reshape(z, (-1, z.shape[-1])))
        return loc, scale, ops.reshape(logits, (self.samples, -1, PIXELS))

    def compute_loss(
        self,
        x: keras.KerasTensor | None = None,
        y: keras.KerasTensor | None = None,
        y_pred: tuple[keras.KerasTensor, ...] = (),
        sample_weight: keras.KerasTensor | None = None,
        training: bool = True,
    ) -> keras.KerasTensor:
        """Return the negative ELBO."""
        loc, scale, logits = y_pred
        log_px = ops.sum(x * logits - ops.softplus(logits), axis=-1)
        rate = ops.sum((loc**2 + scale**2 - 1) / 2 - ops.log(scale), axis=-1)
        return -ops.mean(ops.mean(log_px, axis=0) - rate)


@final
class Peer:
    """Keras 3."""

    def __init__(self, problem: Problem) -> None:
        self._model = Model(problem)
        fastest = keras_layers.fastest(problem.workload)
        fastest["jit_compile"] |= keras.backend.backend() == "jax"
        self._model.compile(keras.optimizers.Adam(LEARNING_RATE), **fastest)
        self._batches = keras_layers.batches(problem.x, problem.workload.batch, lambda pixels: pixels)

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        return float(self._model.compute_loss(x, y_pred=self._model(x)))

    def train(self, steps: int) -> None:
        """Fit for one epoch with this number of steps."""
        self._model.fit(self._batches, steps_per_epoch=steps, epochs=1, verbose=0)
