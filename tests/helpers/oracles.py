"""Models whose posterior and evidence are known in closed form."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special, stats

from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.supports import BINARY, REAL
from tfp_vae.model.networks.adapters import Fixed
from tfp_vae.model.posteriors import DiagonalNormal
from tfp_vae.model.priors import StandardNormal

tfd = tfp.distributions


@final
class FixedNormal:
    """p(x|z) = N(x; params, scale^2 I)."""

    learned = ()
    discrete = False
    allows_missing = False
    support = REAL

    def __init__(self, size: int, scale: float) -> None:
        self.event_shape = (size,)
        self.params_size = size
        self.scale = scale

    def change_of_units(self, log_scale: float, *, binarized: bool) -> float:
        return 0.0 if binarized else log_scale

    def __call__(self, params: Any) -> Any:
        return tfd.Independent(tfd.Normal(params, tf.constant(self.scale, params.dtype)), 1)


@final
class LinearGaussian:
    """z ~ N(0, I), x|z ~ N(W z + b, scale^2 I): probabilistic PCA.

    The columns of W are orthogonal, so that the exact posterior is diagonal:
    q(z|x) = N(V W^T (x - b) / scale^2, V) with V = (I + W^T W / scale^2)^-1, and p(x) = N(b, W W^T + scale^2 I).
    """

    size, latent_dim, scale = 5, 3, 0.7

    def __init__(self, dtype: str) -> None:
        draw = np.random.default_rng(7)
        basis, _ = np.linalg.qr(draw.normal(size=(self.size, self.latent_dim)))
        self.dtype = dtype
        self.weights = basis * np.array([2.0, 1.0, 0.5])
        self.offset = draw.normal(size=self.size)
        self.variance = 1 / (1 + np.sum(self.weights**2, axis=0) / self.scale**2)

    def vae(self, shift: float = 0.0, widen: float = 1.0) -> VAE:
        """Return the model with its exact posterior as encoder, or with a posterior that is shifted and widened."""
        posterior = DiagonalNormal(self.latent_dim)
        s = np.log(np.expm1(np.sqrt(self.variance) * widen - posterior.scale_floor))
        gain = self.variance[:, np.newaxis] * self.weights.T / self.scale**2

        def encode(x: Any) -> Any:
            loc = tf.matmul(x - tf.cast(self.offset, x.dtype), tf.cast(gain.T, x.dtype)) + shift
            return tf.concat([loc, tf.broadcast_to(tf.cast(s, x.dtype), tf.shape(loc))], axis=-1)

        def decode(z: Any) -> Any:
            return tf.matmul(z, tf.cast(self.weights.T, z.dtype)) + tf.cast(self.offset, z.dtype)

        likelihood = FixedNormal(self.size, self.scale)
        return VAE(
            Encoder(Fixed(encode), posterior),
            Decoder(Fixed(decode), likelihood),
            StandardNormal(self.latent_dim, self.dtype),
        )

    def data(self, n: int) -> np.ndarray:
        """Return n draws of x."""
        draw = np.random.default_rng(3)
        noise = self.scale * draw.normal(size=(n, self.size))
        return (draw.normal(size=(n, self.latent_dim)) @ self.weights.T + self.offset + noise).astype(self.dtype)

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x)."""
        covariance = self.weights @ self.weights.T + self.scale**2 * np.eye(self.size)
        return stats.multivariate_normal(self.offset, covariance).logpdf(x.astype(np.float64))


@final
class CorrelatedGaussian:
    """z ~ N(0, I), x|z ~ N(W z, scale^2 I), with an exact posterior whose dimensions are correlated.

    The precision of p(z|x) is P = I + W^T W / scale^2. Of all diagonal Normals, the one with the exact mean and the
    variances 1 / P_dd is nearest to it.
    """

    size, latent_dim, scale = 5, 3, 0.7

    def __init__(self) -> None:
        self.weights = 0.4 * np.random.default_rng(19).normal(size=(self.size, self.latent_dim))
        self.precision = np.eye(self.latent_dim) + self.weights.T @ self.weights / self.scale**2

    def vae(self, shift: float = 0.0, widen: float = 1.0) -> VAE:
        """Return the model with the best diagonal Normal as encoder, or with one that is shifted and widened."""
        posterior = DiagonalNormal(self.latent_dim)
        scale = widen / np.sqrt(np.diag(self.precision))
        s = np.log(np.expm1(scale - posterior.scale_floor))
        gain = np.linalg.solve(self.precision, self.weights.T) / self.scale**2

        def encode(x: Any) -> Any:
            loc = tf.matmul(x, tf.cast(gain.T, x.dtype)) + shift
            return tf.concat([loc, tf.broadcast_to(tf.cast(s, x.dtype), tf.shape(loc))], axis=-1)

        def decode(z: Any) -> Any:
            return tf.matmul(z, tf.cast(self.weights.T, z.dtype))

        return VAE(
            Encoder(Fixed(encode), posterior),
            Decoder(Fixed(decode), FixedNormal(self.size, self.scale)),
            StandardNormal(self.latent_dim, "float64"),
        )

    def data(self, n: int) -> np.ndarray:
        """Return n draws of x."""
        draw = np.random.default_rng(3)
        noise = self.scale * draw.normal(size=(n, self.size))
        return np.asarray(draw.normal(size=(n, self.latent_dim)) @ self.weights.T + noise)

    @property
    def approximation_gap(self) -> float:
        """KL of the best diagonal Normal from p(z|x), the same for every x."""
        return float(np.log(np.diag(self.precision)).sum() - np.linalg.slogdet(self.precision)[1]) / 2

    def amortization_gap(self, shift: float, widen: float) -> float:
        """Return KL(q || p(z|x)) of the shifted and widened encoder minus that of the best diagonal Normal."""
        widening = self.latent_dim * ((widen**2 - 1) / 2 - np.log(widen))
        return float(widening + shift**2 * self.precision.sum() / 2)


@final
class CurvedBernoulli:
    """z ~ N(0, I) in one or two dimensions, and x|z ~ Bernoulli with logits that bend with z.

    Quadrature gives log p(x).
    """

    size, nodes = 8, 200

    def __init__(self, latent_dim: int) -> None:
        draw = np.random.default_rng(11)
        self.latent_dim = latent_dim
        self.first = 1.5 * draw.normal(size=(latent_dim, 6))
        self.second = draw.normal(size=(6, self.size))

    def logits(self, z: Any) -> Any:
        """Return the logits of x, [..., M], for z [..., D]."""
        return 2 * tf.tensordot(tf.tanh(tf.tensordot(z, self.first, 1)), self.second, 1)

    def vae(self) -> VAE:
        """Return the model with an approximate encoder: the prior with a smaller scale."""
        posterior = DiagonalNormal(self.latent_dim)

        def encode(x: Any) -> Any:
            return tf.zeros([tf.shape(x)[0], 2 * self.latent_dim], tf.float64) + 0.3

        likelihood = FixedBernoulli(self.size)
        return VAE(
            Encoder(Fixed(encode), posterior),
            Decoder(Fixed(self.logits), likelihood),
            StandardNormal(self.latent_dim, "float64"),
        )

    def data(self, n: int) -> np.ndarray:
        """Return n draws of x."""
        draw = np.random.default_rng(13)
        z = draw.normal(size=(n, self.latent_dim))
        shares = 1 / (1 + np.exp(-self.logits(z).numpy()))
        return (draw.random(shares.shape) < shares).astype(np.float64)

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x), by Gauss and Hermite's rule."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.nodes)
        grid = np.stack(np.meshgrid(*[nodes] * self.latent_dim, indexing="ij"), axis=-1).reshape(-1, self.latent_dim)
        products = np.stack(np.meshgrid(*[weights] * self.latent_dim, indexing="ij"), axis=-1)
        log_weights = np.log(np.maximum(products.reshape(len(grid), -1), 1e-300)).sum(axis=-1)
        log_weights -= self.latent_dim * np.log(2 * np.pi) / 2
        logits = self.logits(grid).numpy()[:, np.newaxis]
        log_px = np.sum(x * logits - np.logaddexp(0, logits), axis=-1)
        return np.asarray(special.logsumexp(log_px + log_weights[:, np.newaxis], axis=0))


@final
class FixedBernoulli:
    """p(x|z) = Bernoulli(x; logits = params)."""

    learned = ()
    discrete = True
    allows_missing = False
    support = BINARY

    def __init__(self, size: int) -> None:
        self.event_shape = (size,)
        self.params_size = size

    def __call__(self, params: Any) -> Any:
        return tfd.Independent(tfd.Bernoulli(logits=params, dtype=params.dtype), 1)


@final
class TwoModes:
    """z ~ N(0, 1), x|z ~ N(z^2, 0.3^2), and the example x = 2, whose posterior has a mode near each square root of 2.

    Quadrature gives log p(x).
    """

    x, scale = np.array([[2.0]]), 0.3

    def vae(self, loc: float) -> VAE:
        """Return the model with an encoder that returns the same wide Normal around `loc` for every x."""

        def encode(x: Any) -> Any:
            return tf.concat([tf.zeros_like(x) + loc, tf.zeros_like(x) + 1.5], axis=-1)

        return VAE(
            Encoder(Fixed(encode), DiagonalNormal(1)),
            Decoder(Fixed(lambda z: z**2), FixedNormal(1, self.scale)),
            StandardNormal(1, "float64"),
        )

    @property
    def log_evidence(self) -> float:
        """log p(x) of the example."""
        grid = np.linspace(-6, 6, 20_001)
        log_joint = stats.norm(grid**2, self.scale).logpdf(self.x[0]) + stats.norm.logpdf(grid)
        return float(special.logsumexp(log_joint) + np.log(grid[1] - grid[0]))


@final
class Bananas:
    """z ~ N(0, I) in 2 M dimensions, and x_i|z ~ N(z_2i + z_1i^2, scale^2) for i = 1, ..., M.

    The posterior of each pair bends, so no Student-t distribution is close to it. Given z_1i, x_i is Normal, so
    quadrature in one dimension gives log p(x).
    """

    scale = 0.6

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs

    def vae(self) -> VAE:
        """Return the model with the prior as encoder."""
        size = 2 * self.pairs
        s = float(np.log(np.expm1(1.0 - DiagonalNormal(size).scale_floor)))

        def encode(x: Any) -> Any:
            zeros = tf.zeros([tf.shape(x)[0], size], tf.float64)
            return tf.concat([zeros, zeros + s], axis=-1)

        def decode(z: Any) -> Any:
            first, second = tf.split(z, 2, axis=-1)
            return second + first**2

        return VAE(
            Encoder(Fixed(encode), DiagonalNormal(size)),
            Decoder(Fixed(decode), FixedNormal(self.pairs, self.scale)),
            StandardNormal(size, "float64"),
        )

    def data(self, n: int) -> np.ndarray:
        """Return n examples whose posterior has one mode."""
        return np.random.default_rng(17).uniform(-0.6, 0.2, [n, self.pairs])

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x)."""
        grid = np.linspace(-8, 8, 4_001)
        density = stats.norm(grid**2, np.sqrt(1 + self.scale**2)).pdf(x[..., np.newaxis]) * stats.norm.pdf(grid)
        return np.asarray(np.log(density.sum(axis=-1) * (grid[1] - grid[0])).sum(axis=-1))


def without_second_derivatives(model: LinearGaussian) -> VAE:
    """Return a model whose decoder has gradients only."""
    vae = model.vae()
    inner = vae.decoder.network

    def normalize(z: Any) -> Any:
        return inner(tf.reshape(tf.nn.lrn(tf.reshape(z, [-1, 1, 1, model.latent_dim])), tf.shape(z)))

    vae.decoder.network = Fixed(normalize)
    return vae


def evidence_from_prior(vae: VAE, x: np.ndarray, samples: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Return log p(x) of N examples from samples of the prior, [N], and the variance of its error, [N].

    It is the reference for models whose encoder is so poor that its own weights have infinite variance.
    """
    z = vae.prior().sample(samples, seed=(3, 3))[:, tf.newaxis]
    log_px = vae.decoder(z).log_prob(x).numpy().astype(float)
    truth = special.logsumexp(log_px, axis=0) - np.log(samples)
    return truth, np.exp(log_px - truth).var(axis=0) / samples
