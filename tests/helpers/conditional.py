"""Conditional models: one whose evidence is known in closed form, and small ones of every network."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import tensorflow as tf
from scipy import stats

import tfp_vae as tv
from tests.helpers import builders
from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.batch import Batch
from tfp_vae.model.networks import NETWORKS, WithContext, needs_images
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.networks.context import shape_with_context
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import LearnedNormal

CLASSES = 3


@final
class ConditionalLinearGaussian:
    """z|y ~ N(A y, I), x|z,y ~ N(W z + B y, scale^2 I), with W of orthogonal columns, so that p(z|x, y) is diagonal.

    p(x|y) = N(W A y + B y, W W^T + scale^2 I).
    """

    size, latent_dim, scale = 5, 2, 0.7

    def __init__(self) -> None:
        draw = np.random.default_rng(7)
        basis, _ = np.linalg.qr(draw.normal(size=(self.size, self.latent_dim)))
        self.weights = basis * np.array([2.0, 0.5])
        self.shift, self.offset = (draw.normal(size=(size, CLASSES)) for size in (self.latent_dim, self.size))
        self.variance = 1 / (1 + np.sum(self.weights**2, axis=0) / self.scale**2)

    def vae(self, shift: float = 0.0) -> VAE:
        """Return the model with its exact posterior as encoder, or with a posterior that is shifted."""
        posterior = DiagonalNormal(self.latent_dim)
        s = np.log(np.expm1(np.sqrt(self.variance) - posterior.scale_floor))

        def encode(x: Any, y: Any) -> Any:
            away = tf.matmul(x - tf.matmul(y, self.offset.T), self.weights) / self.scale**2
            loc = self.variance * (away + tf.matmul(y, self.shift.T)) + shift
            return tf.concat([loc, tf.broadcast_to(tf.cast(s, x.dtype), tf.shape(loc))], axis=-1)

        def decode(z: Any, y: Any) -> Any:
            return tf.matmul(z, self.weights.T) + tf.matmul(y, self.offset.T)

        prior = LearnedNormal(self.latent_dim, CLASSES, dtype="float64")
        kernel, _ = prior.learned[0].trainable_variables
        kernel.assign(np.concatenate([self.shift.T, np.zeros_like(self.shift.T)], axis=1))
        return VAE(
            Encoder(Fixed(encode), posterior, context_size=CLASSES),
            Decoder(Fixed(decode), FixedNormal(self.size, self.scale), context_size=CLASSES),
            prior,
        )

    def data(self, n: int) -> Batch:
        """Return n draws of x for contexts of numbers."""
        draw = np.random.default_rng(3)
        y = draw.normal(size=(n, CLASSES)).astype(np.float32).astype(np.float64)
        z = draw.normal(size=(n, self.latent_dim)) + y @ self.shift.T
        x = z @ self.weights.T + y @ self.offset.T + self.scale * draw.normal(size=(n, self.size))
        return Batch(x, context=y)

    def log_evidence(self, batch: Batch) -> np.ndarray:
        """Return log p(x|y)."""
        covariance = self.weights @ self.weights.T + self.scale**2 * np.eye(self.size)
        x, y = np.asarray(batch.x), np.asarray(batch.context)
        away = x - y @ (self.weights @ self.shift + self.offset).T
        return np.asarray(stats.multivariate_normal(np.zeros(self.size), covariance).logpdf(away))


def conditional_model(
    likelihood_name: str = "bernoulli",
    network_name: str = "mlp",
    prior: Any = None,
    latent_dim: int = 2,
    shape: tuple[int, ...] = builders.SHAPE,
    posterior_name: str = "diagonal-normal",
) -> VAE:
    """Return a small conditional model whose networks get the context by `WithContext`."""
    q, p = builders.posterior(posterior_name, latent_dim), builders.likelihood(likelihood_name, shape)
    maps = needs_images(network_name)

    def network(input_shape: tuple[int, ...], size: int, seed: int, *, maps: bool) -> Any:
        joined = shape_with_context(input_shape, CLASSES, maps=maps)
        text = builders.SMALL[network_name]
        made = NETWORKS.build(NETWORKS.member(text), joined, size, image_shape=shape, seed=seed)
        return WithContext(made, maps=maps)

    return VAE(
        Encoder(network(shape, q.params_size, 3, maps=maps), q, context_size=CLASSES),
        Decoder(network((latent_dim,), p.params_size, 4, maps=False), p, context_size=CLASSES),
        tv.priors.StandardNormal(latent_dim) if prior is None else prior,
    )


def classes(n: int) -> np.ndarray:
    """Return the contexts of n examples of three classes, [n, 3]."""
    return np.eye(CLASSES, dtype=np.float32)[np.arange(n) % CLASSES]
