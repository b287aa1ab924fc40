"""Discrete distributions and models whose z can be enumerated."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tests.helpers.gradients import Linear, flat_gradient
from tests.helpers.oracles import FixedNormal
from tfp_vae import VAE, Decoder, Encoder
from tfp_vae.core.types import Tensor
from tfp_vae.model.distributions.codes import Codes, codes_of
from tfp_vae.model.posteriors import Bernoulli, Categorical, Posterior
from tfp_vae.model.priors import Autoregressive, Learned, Uniform
from tfp_vae.objectives import VIMCO, Objective
from tfp_vae.objectives.bound import log_mean_exp

N = 20_000

KINDS: dict[str, tuple[int, int]] = {"bits": (3, 1), "one 10-way code": (1, 10), "2x4 codes": (2, 4)}
"""D and K by name."""


def every_z(dimensions: int, codes: int) -> np.ndarray:
    """Return all values of z, [M, D K]."""
    parts = [[0.0], [1.0]] if codes == 1 else np.eye(codes).tolist()
    return np.array([np.concatenate(z) for z in itertools.product(parts, repeat=dimensions)])


def some(kind: str, seed: int = 0, batch: tuple[int, ...] = ()) -> Codes:
    """Return codes with random logits."""
    dimensions, codes = KINDS[kind]
    return codes_of(tf.constant(np.random.default_rng(seed).normal(size=(*batch, dimensions * codes))), codes)


def assert_frequencies(z: np.ndarray, mean: np.ndarray) -> None:
    """Check that the average of samples z [N, ...] is the mean within 4 standard errors."""
    np.testing.assert_array_less(np.abs(z.mean(axis=0) - mean), 4 * np.sqrt(mean * (1 - mean) / len(z)) + 1e-12)


M, SCALE, GRADIENTS = 3, 0.8, 2_000

SPACES: dict[str, Posterior] = {
    "one 10-way code": Categorical(1, codes=10),
    "2x4 codes": Categorical(2, codes=4),
    "4 bits": Bernoulli(4),
}

PRIORS = {"uniform": Uniform, "learned": Learned, "autoregressive": Autoregressive}


class Exact(NamedTuple):
    """A discrete model with a linear encoder and a linear decoder, whose z can be enumerated.

    vae: the model.
    z: all values of z, [V, D].
    x: two examples.
    """

    vae: VAE
    z: np.ndarray
    x: np.ndarray

    @classmethod
    def make(cls, space: str, prior: str) -> Exact:
        """Return a model with fixed weights."""
        posterior, draw = SPACES[space], np.random.default_rng(3)
        size, codes = posterior.latent.size, posterior.latent.codes
        encoder = Linear(0.7 * draw.normal(size=(M, size)), 0.5 * draw.normal(size=size))
        decoder = Linear(draw.normal(size=(size, M)), 0.3 * draw.normal(size=M))
        more = {"hidden": 6} if prior == "autoregressive" else {}
        made = PRIORS[prior](posterior.latent_dim, codes, dtype="float64", **more)
        for variable in (v for part in made.learned for v in getattr(part, "trainable_variables", [part])):
            variable.assign_add(0.5 * draw.normal(size=variable.shape))
        parts = [[0.0], [1.0]] if codes == 1 else np.eye(codes).tolist()
        z = [np.concatenate(each) for each in itertools.product(parts, repeat=posterior.latent_dim)]
        vae = VAE(Encoder(encoder, posterior), Decoder(decoder, FixedNormal(M, SCALE)), made)
        return cls(vae, np.array(z), draw.normal(size=(2, M)))

    def terms(self) -> tuple[Tensor, Tensor]:
        """Return log q(z|x) and log p(x, z) of all z, [V, B] each."""
        z = tf.constant(np.repeat(self.z[:, np.newaxis], len(self.x), axis=1))
        log_joint = self.vae.decoder(z).log_prob(self.x) + self.vae.prior().log_prob(z)
        return self.vae.encoder(self.x).log_prob(z), log_joint

    def elbo(self) -> Tensor:
        """Return the exact ELBO, [B]."""
        log_q, log_joint = self.terms()
        return tf.reduce_sum(tf.exp(log_q) * (log_joint - log_q), axis=0)

    def iwae(self, samples: int) -> Tensor:
        """Return the exact expectation of the importance-weighted bound, [B], over all tuples of z."""
        log_q, log_joint = self.terms()
        index = np.array(list(itertools.product(range(len(self.z)), repeat=samples)))  # [V^K, K]
        mass = tf.reduce_sum(tf.gather(log_q, index), axis=1)
        bounds = log_mean_exp(tf.transpose(tf.gather(log_joint - log_q, index), [1, 0, 2]), samples)
        return tf.reduce_sum(tf.exp(mass) * bounds, axis=0)

    def gradient(self, of: Objective) -> np.ndarray:
        """Return the exact gradient of the loss whose estimate an objective has, flat."""
        with tf.GradientTape() as tape:
            exact = self.iwae(of.mc_samples) if isinstance(of, VIMCO) else self.elbo()
            loss = -tf.reduce_mean(exact)
        return flat_gradient(loss, self.vae.trainable_variables, tape)

    def estimates(self, objective: Objective) -> np.ndarray:
        """Return estimates of the gradient of the loss from different seeds, [GRADIENTS, P]."""
        variables = self.vae.trainable_variables

        def one(seed: Tensor) -> Tensor:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(objective.bound(self.vae, self.x, seed=seed).value)
            return tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, variables)], axis=0)

        seeds = tf.constant([[7, i] for i in range(GRADIENTS)], tf.int32)
        return np.asarray(tf.function(lambda: tf.vectorized_map(one, seeds))())


USUAL_PRIORS = {"one 10-way code": "uniform", "2x4 codes": "autoregressive", "4 bits": "learned"}
