"""TensorFlow Probability's own tutorial: `tfp.layers` in a Keras 2 model, the negative log-likelihood, `fit`."""

from __future__ import annotations

from typing import final

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as keras

from benchmarks import keras_layers
from benchmarks.keras_layers import takes
from benchmarks.problem import LEARNING_RATE, PIXELS, SCALE_FLOOR, Problem
from tfp_vae.core.types import Tensor

__all__ = ["Peer", "takes"]

tfd, tfpl = tfp.distributions, tfp.layers


@final
class Peer:
    """The tutorial's model."""

    def __init__(self, problem: Problem) -> None:
        def posterior(parameters: Tensor) -> object:
            loc, s = tf.split(parameters, 2, axis=-1)
            return tfd.MultivariateNormalDiag(loc, SCALE_FLOOR + tf.math.softplus(s))

        workload = problem.workload
        sample = tfd.Distribution.sample if workload.samples == 1 else lambda q: q.sample(workload.samples)
        prior = tfd.MultivariateNormalDiag(tf.zeros(workload.latent_dim))
        encoder = keras.Sequential(
            [
                keras.layers.InputLayer((PIXELS,)),
                *keras_layers.encoder(keras.layers, workload),
                tfpl.DistributionLambda(posterior, sample),
                tfpl.KLDivergenceAddLoss(prior, use_exact_kl=True, weight=1 / workload.batch),  # it sums over a batch
            ]
        )
        decoder = keras.Sequential(
            [*keras_layers.decoder(keras.layers, workload), tfpl.IndependentBernoulli((PIXELS,), tfd.Bernoulli.logits)]
        )
        self._model = keras.Model(encoder.inputs, decoder(encoder.outputs[0]))
        encoder.set_weights(keras_layers.arrays(problem.encoder))
        decoder.set_weights(keras_layers.arrays(problem.decoder))
        self._model.compile(
            keras.optimizers.Adam(LEARNING_RATE), lambda x, px: -px.log_prob(x), **keras_layers.fastest(workload)
        )
        self._batches = keras_layers.batches(problem.x, workload.batch, lambda pixels: (pixels, pixels))

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        return float(tf.reduce_mean(-self._model(x).log_prob(x)) + sum(self._model.losses))

    def train(self, steps: int) -> None:
        """Fit for one epoch with this number of steps."""
        self._model.fit(self._batches, steps_per_epoch=steps, epochs=1, verbose=0)
