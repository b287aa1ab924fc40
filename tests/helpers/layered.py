"""A linear-Gaussian model with two layers, whose posterior and evidence are known in closed form."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import tensorflow as tf
from scipy import stats

from tests.helpers.gradients import Linear
from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.model.networks import LowestLayer, Network
from tfp_vae.model.posteriors import BottomUp, LayeredPosterior, TopDown
from tfp_vae.model.posteriors.base import SCALE_FLOOR
from tfp_vae.model.priors import Hierarchical


def raw(scale: Any) -> np.ndarray:
    """Return s with SCALE_FLOOR + softplus(s) = scale, the inverse of an encoder's map."""
    return np.log(np.expm1(scale - SCALE_FLOOR))


def assign(network: Network, weights: np.ndarray, scale: np.ndarray) -> None:
    """Let a linear network between two layers return the loc `weights z` and a scale."""
    kernel, bias = network.trainable_variables  # type: ignore[attr-defined]
    kernel.assign(np.concatenate([weights.T, np.zeros_like(weights.T)], axis=1))
    unit = np.log(np.expm1(1 - SCALE_FLOOR))
    bias.assign(np.concatenate([np.zeros(len(weights)), raw(scale) - unit]))


@final
class LayeredGaussian:
    """z_2 ~ N(0, I), z_1|z_2 ~ N(A z_2, s^2 I), x|z_1 ~ N(W z_1, t^2 I).

    A is diagonal and the columns of W are orthogonal, so every conditional of the posterior is a diagonal Normal.
    """

    blocks, size, s, t = (3, 2), 5, 0.6, 0.8

    def __init__(self) -> None:
        basis, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(self.size, 3)))
        self.w = basis * np.array([2.0, 1.0, 0.5])
        self.a = np.array([[1.2, 0.0], [0.0, -0.7], [0.0, 0.0]])
        self.prior_1 = np.diag(self.a @ self.a.T) + self.s**2  # the variances of p(z_1)
        self.precision = np.sum(self.w**2, axis=0) / self.t**2  # those of p(x|z_1) as a function of z_1

    def examples(self, count: int = 4) -> np.ndarray:
        """Return some x, [count, M]."""
        return np.random.default_rng(2).normal(size=(count, self.size))

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        """Return log p(x)."""
        covariance = self.w @ np.diag(self.prior_1) @ self.w.T + self.t**2 * np.eye(self.size)
        return np.asarray(stats.multivariate_normal(np.zeros(self.size), covariance).logpdf(x))

    def bottom_up(self) -> tuple[BottomUp, Linear]:
        """Return p(z_1|x) p(z_2|z_1) and the encoder's network."""
        posterior = BottomUp(5, 0, "float64", layers=self.blocks, hidden=())
        variance_2 = 1 / (1 + np.sum(self.a**2, axis=0) / self.s**2)
        assign(posterior.learned[0], variance_2[:, np.newaxis] * self.a.T / self.s**2, np.sqrt(variance_2))
        variance_1 = 1 / (1 / self.prior_1 + self.precision)
        gain = self.w * variance_1 / self.t**2  # [M, 3]
        return posterior, Linear(
            np.concatenate([gain, np.zeros_like(gain)], axis=1),
            np.concatenate([np.zeros(3), raw(np.sqrt(variance_1))]),
        )

    def top_down(self) -> tuple[TopDown, Linear]:
        """Return p(z_2|x) p(z_1|z_2, x) and the encoder's network."""
        posterior = TopDown(5, 0, "float64", layers=self.blocks, hidden=())
        gain_1 = self.w / self.t**2 / self.precision  # of the Normal of z_1 that x alone tells, [M, 3]
        seen = 1 / (self.s**2 + 1 / self.precision)  # the precisions of its mean given z_2
        variance_2 = 1 / (1 + self.a.T**2 @ seen)
        gain_2 = gain_1 * seen @ self.a * variance_2  # [M, 2]
        scales = np.sqrt(np.concatenate([1 / self.precision, variance_2]))
        gain = np.concatenate([gain_1, gain_2], axis=1)
        return posterior, Linear(
            np.concatenate([gain, np.zeros_like(gain)], axis=1), np.concatenate([np.zeros(5), raw(scales)])
        )

    def vae(self, kind: str) -> VAE:
        """Return the model with its exact posterior, by the name of a method."""
        posterior, network = getattr(self, kind)()
        prior = self.prior(posterior)
        decoder = LowestLayer(Linear(self.w.T, np.zeros(self.size)), 3)
        return VAE(Encoder(network, posterior), Decoder(decoder, FixedNormal(self.size, self.t)), prior)

    def prior(self, posterior: LayeredPosterior) -> Hierarchical:
        """Return p(z)."""
        prior = Hierarchical(5, posterior, 0, "float64", hidden=None if posterior.shares_networks else ())
        assign(prior.learned[0], self.a, np.full(3, self.s))
        return prior


def moved(vae: VAE, seed: int = 0) -> VAE:
    """Move all weights of a model away from the exact posterior, and return the model."""
    draw = np.random.default_rng(seed)
    for variable in vae.trainable_variables:
        variable.assign_add(tf.constant(0.2 * draw.normal(size=variable.shape), variable.dtype))
    return vae
