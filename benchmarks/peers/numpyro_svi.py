"""NumPyro: `SVI` on a model and a guide, with jitted updates in one `fori_loop`, as in its VAE example."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import lax, random
from numpyro import handlers
from numpyro.infer import SVI, RenyiELBO, TraceMeanField_ELBO
from numpyro.infer.svi import SVIState
from numpyro.infer.util import log_density

from benchmarks.peers.jax_scan import decode, encode
from benchmarks.problem import LEARNING_RATE, PIXELS, SCALE_FLOOR, Layers, Problem, Workload, evidence

Carry = tuple[jax.Array, SVIState]
"""The sum of losses, and the state of the inference."""

Weights = dict[str, Layers]
"""The layers of encoder and decoder by name."""


def takes(workload: Workload) -> bool:
    """Return whether this model supports a workload. NumPyro's own flow has another network."""
    return not workload.flow


def network(
    name: str, layers: Layers, apply: Callable[[Layers, jax.Array], jax.Array]
) -> Callable[[jax.Array], jax.Array]:
    """Register a network with given first weights, and return it."""
    weights = jax.tree.map(jnp.asarray, layers)
    registered: Callable[[jax.Array], jax.Array] = numpyro.module(
        name, (lambda key, shape: (shape, weights), apply), ()
    )
    return registered


def model(problem: Problem, x: jax.Array) -> None:
    """Sample z from the prior and x from p(x|z)."""
    decoder = network("decoder", problem.decoder, decode)
    with numpyro.plate("batch", len(x)), handlers.scale(scale=1 / len(x)):
        z = numpyro.sample("z", dist.Normal(0, 1).expand([problem.workload.latent_dim]).to_event(1))
        numpyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)


def guide(problem: Problem, x: jax.Array) -> None:
    """Sample z from q(z|x)."""
    encoder = network("encoder", problem.encoder, encode)
    loc, s = jnp.split(encoder(x), 2, axis=-1)
    with numpyro.plate("batch", len(x)), handlers.scale(scale=1 / len(x)):
        numpyro.sample("z", dist.Normal(loc, SCALE_FLOOR + jax.nn.softplus(s)).to_event(1))


@final
class Peer:
    """NumPyro's stochastic variational inference."""

    def __init__(self, problem: Problem) -> None:
        self._model, self._guide = functools.partial(model, problem), functools.partial(guide, problem)
        self._svi = SVI(
            self._model,
            self._guide,
            numpyro.optim.Adam(LEARNING_RATE),
            TraceMeanField_ELBO(num_particles=problem.workload.samples),
        )
        self._x, self._key, self._batch = jnp.asarray(problem.x), random.key(0), problem.workload.batch
        self._state = self._svi.init(random.key(1), jnp.zeros((self._batch, PIXELS)))
        self._single = jax.jit(self._update, donate_argnums=4)
        self._epoch = jax.jit(self._updates, donate_argnums=3) if problem.workload.hidden else self._one_by_one
        self._value = jax.jit(self._svi.evaluate)
        self._estimate = jax.jit(self._log_likelihood, static_argnums=3)

    def _next_key(self) -> jax.Array:
        self._key, key = random.split(self._key)
        return key

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        return float(self._value(self._state._replace(rng_key=self._next_key()), x))

    def _update(self, x: jax.Array, batches: jax.Array, key: jax.Array, i: jax.Array | int, carry: Carry) -> Carry:
        total, state = carry
        pixels = x[batches[i]]
        pixels = random.bernoulli(random.fold_in(key, i), pixels).astype(jnp.float32)
        state, loss = self._svi.update(state, pixels)
        return total + loss, state

    def _updates(self, x: jax.Array, batches: jax.Array, key: jax.Array, carry: Carry) -> Carry:
        total, state = lax.fori_loop(0, len(batches), functools.partial(self._update, x, batches, key), carry)
        return total, state

    def _one_by_one(self, x: jax.Array, batches: jax.Array, key: jax.Array, carry: Carry) -> Carry:
        for i in range(len(batches)):
            carry = self._single(x, batches, key, i, carry)
        return carry

    def train(self, steps: int) -> None:
        """Take training steps in one loop. Convolutions take single steps, as in `jax_scan`."""
        batches = np.random.default_rng(0).integers(len(self._x), size=(steps, self._batch))
        carry = jnp.zeros(()), self._state
        total, self._state = self._epoch(self._x, jnp.asarray(batches), self._next_key(), carry)
        jax.block_until_ready((total, self._state))

    def evaluate(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Return log p(x), [B], one example at a time."""
        weights = self._svi.get_params(self._state)
        return np.asarray(self._estimate(weights, jnp.asarray(x), self._next_key(), samples))

    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return log p(x), [B], from noise [S, B, D], with the densities of model and guide."""
        weights = self._svi.get_params(self._state)
        one = functools.partial(self._log_weight, weights)
        return evidence(jax.jit(jax.vmap(jax.vmap(one), in_axes=(None, 0)))(x, noise))

    def _log_weight(self, weights: Weights, x: jax.Array, noise: jax.Array) -> jax.Array:
        given = x[jnp.newaxis]
        guide = handlers.substitute(handlers.seed(self._guide, 0), data=weights)
        posterior = handlers.trace(guide).get_trace(given)["z"]["fn"].base_dist
        z = {"z": posterior.loc + posterior.scale * noise}
        joint, over = (log_density(part, (given,), {}, weights | z)[0] for part in (self._model, self._guide))
        return joint - over

    def _log_likelihood(self, weights: Weights, x: jax.Array, key: jax.Array, samples: int) -> jax.Array:
        bound = RenyiELBO(alpha=0, num_particles=samples)

        def one(given: tuple[jax.Array, jax.Array]) -> jax.Array:
            key, example = given
            return -bound.loss(key, weights, self._model, self._guide, example[jnp.newaxis])

        return lax.map(one, (random.split(key, len(x)), x))
