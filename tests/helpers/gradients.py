"""A linear-Gaussian model with learned weights, and the gradients of objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.model.latent import Capabilities, Latent
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal
from tfp_vae.objectives import Objective

D, M, SCALE = 2, 3, 0.8


class Linear(tf.Module):
    """A linear network in float64."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.weights, self.bias = tf.Variable(weights), tf.Variable(bias)

    def __call__(self, x: Any) -> Any:
        return tf.matmul(x, self.weights) + self.bias


class ShiftedNormal:
    """p(z) = N(z; shift, I) with a learned shift."""

    capabilities = Capabilities(normal=True, diagonal=True)
    latent = Latent.vector(D)
    latent_dim = D

    def __init__(self) -> None:
        self.learned = (tf.Variable([0.3, -0.2], dtype=tf.float64),)

    def __call__(self, temperature: float = 1.0) -> Any:
        return tfp.distributions.MultivariateNormalDiag(self.learned[0], tf.ones([D], tf.float64))


def linear_model(shift: float) -> VAE:
    """Return a linear-Gaussian model with learned weights. With shift 0 the encoder is the exact posterior."""
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(M, D)))
    weights = (basis * [1.5, 0.7]).T  # [D, M]
    variance = 1 / (1 + np.sum(weights**2, axis=1) / SCALE**2)
    posterior = DiagonalNormal(D)
    s = np.log(np.expm1(np.sqrt(variance) * (1 + shift) - posterior.scale_floor))
    gain = np.concatenate([weights.T * variance / SCALE**2, np.zeros((M, D))], axis=1)
    bias = np.concatenate([np.full(D, shift), s])
    return VAE(
        Encoder(Linear(gain, bias), posterior),
        Decoder(Linear(weights, np.zeros(M)), FixedNormal(M, SCALE)),
        StandardNormal(D, "float64") if shift == 0 else ShiftedNormal(),
    )


def examples(count: int = 4) -> np.ndarray:
    """Return some x, [count, M]."""
    return np.random.default_rng(2).normal(size=(count, M))


def gradients(objective: Objective, vae: VAE, x: np.ndarray, part: Any, seed: Any = (0, 0)) -> np.ndarray:
    """Return the gradient of the loss with respect to the variables of a part, flat."""
    variables = part.trainable_variables if isinstance(part, tf.Module) else part.learned
    with tf.GradientTape() as tape:
        loss = objective.loss(vae, x, seed=seed)
    return np.concatenate([np.ravel(gradient) for gradient in tape.gradient(loss, variables)])


def flat_gradient(loss: Any, variables: Any, tape: tf.GradientTape) -> np.ndarray:
    """Return the gradients of a loss on a tape, flat."""
    return np.concatenate([np.ravel(gradient) for gradient in tape.gradient(loss, variables)])
