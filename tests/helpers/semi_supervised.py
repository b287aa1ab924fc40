"""Semi-supervised models: a linear-Gaussian one whose p(x) is known in closed form, and small ones with networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from scipy.special import logsumexp, softmax

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.conditional import CLASSES, ConditionalLinearGaussian, conditional_model
from tfp_vae.core.batch import Batch
from tfp_vae.model.networks.adapters import Fixed

PROBS = np.array([0.5, 0.3, 0.2])
"""p(y) of the three classes."""


class SemiSupervisedLinearGaussian:
    """A mixture of three linear-Gaussian models: p(x) = sum_y p(y) p(x|y), with p(y|x) in closed form."""

    def __init__(self) -> None:
        self.conditional = ConditionalLinearGaussian()

    def log_joint(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x, y) for each class, [N, C]."""
        columns = [
            self.conditional.log_evidence(Batch(x, context=np.repeat(y[np.newaxis], len(x), axis=0)))
            for y in np.eye(CLASSES)
        ]
        return np.stack(columns, axis=1) + np.log(PROBS)

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x), [N]."""
        return np.asarray(logsumexp(self.log_joint(x), axis=1))

    def log_posterior(self, x: np.ndarray) -> np.ndarray:
        """Return log p(y|x), [N, C]."""
        return np.asarray(self.log_joint(x) - self.log_evidence(x)[:, np.newaxis])

    def vae(self, shift: float = 0.0, error: float = 0.0) -> tv.VAE:
        """Return the model with its exact posteriors, or with q(z|x, y) shifted and the logits of q(y|x) changed."""

        def classify(x: Any) -> Any:
            exact = tf.numpy_function(self.log_posterior, [x], tf.float64)
            return tf.ensure_shape(tf.cast(exact, x.dtype), [x.shape[0], CLASSES]) + error * np.arange(CLASSES)

        part = self.conditional.vae(shift)
        return tv.VAE(part.encoder, part.decoder, part.prior, tv.Classifier(Fixed(classify), PROBS))

    def data(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return n draws of x, [n, 5], and their classes, integers [n]."""
        draw = np.random.default_rng(5)
        y, c = draw.choice(CLASSES, size=n, p=PROBS), self.conditional
        z = draw.normal(size=(n, c.latent_dim)) + c.shift.T[y]
        x = z @ c.weights.T + c.offset.T[y] + c.scale * draw.normal(size=(n, c.size))
        return x, y


def semi_supervised_model(likelihood_name: str = "bernoulli", **more: Any) -> tv.VAE:
    """Return a small model of three classes with a classifier."""
    shape = more.get("shape", builders.SHAPE)
    part = conditional_model(likelihood_name, **more)
    network = tv.networks.mlp(shape, CLASSES, hidden=(8,), seed=5)
    return tv.VAE(part.encoder, part.decoder, part.prior, tv.Classifier(network, PROBS))


def partly_known(n: int) -> np.ndarray:
    """Return the contexts of n examples, of which every second one is unknown, [n, 3]."""
    return np.eye(CLASSES, dtype=np.float32)[np.arange(n) % CLASSES] * (np.arange(n) % 2)[:, np.newaxis]


def entropy_terms(log_q: np.ndarray) -> np.ndarray:
    """Return log p(y) - log q(y|x), [N, C]."""
    return np.log(PROBS) - log_q


def random_log_probs(n: int) -> np.ndarray:
    """Return log-probabilities of three classes, [n, 3]."""
    return np.log(softmax(np.random.default_rng(1).normal(size=(n, CLASSES)), axis=1))
