"""JAX and optax in their fastest form: a jitted `scan` over steps, with the data in memory and gathered by index."""

from __future__ import annotations

import functools
from typing import final

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, random

from benchmarks.problem import (
    CHANNELS,
    LEARNING_RATE,
    PIXELS,
    SCALE_FLOOR,
    SIDE,
    SMALL,
    TILE,
    Flow,
    Layers,
    Problem,
    evidence,
    masks,
    tiles,
)

Params = tuple[Layers, Layers, Flow]
"""Encoder, decoder and flow."""

Carry = tuple[Params, optax.OptState]
"""Weights and the state of the optimizer."""

Given = tuple[jax.Array, jax.Array]
"""Indices of a batch, and a key."""

IMAGES = ("NHWC", "HWIO", "NHWC")
convolve = functools.partial(lax.conv_general_dilated, padding="SAME", dimension_numbers=IMAGES)
upsample = functools.partial(
    lax.conv_transpose, strides=(2, 2), padding="SAME", dimension_numbers=IMAGES, transpose_kernel=True
)


def mlp(layers: Layers, h: jax.Array) -> jax.Array:
    """Return the output of dense layers with relu between them."""
    for kernel, bias in layers[:-1]:
        h = jax.nn.relu(h @ kernel + bias)
    kernel, bias = layers[-1]
    return h @ kernel + bias


def encode(layers: Layers, x: jax.Array) -> jax.Array:
    """Return loc and the logits of scale, [B, 2 D], for x [B, 784]."""
    h = x.reshape(-1, SIDE, SIDE, 1)
    for kernel, bias in layers:
        if kernel.ndim == 4:
            h = jax.nn.relu(convolve(h, kernel, (2, 2)) + bias)
    return mlp([layer for layer in layers if layer[0].ndim == 2], h.reshape(len(x), -1))


def decode(layers: Layers, z: jax.Array) -> jax.Array:
    """Return logits, [..., 784], for z [..., D]."""
    h = mlp([layer for layer in layers if layer[0].ndim == 2], z)
    convolutions = [layer for layer in layers if layer[0].ndim == 4]
    if not convolutions:
        return h
    h = jax.nn.relu(h).reshape(-1, SMALL, SMALL, CHANNELS[-1])
    for kernel, bias in convolutions[:-1]:
        h = jax.nn.relu(upsample(h, kernel) + bias)
    kernel, bias = convolutions[-1]
    return (convolve(h, kernel, (1, 1)) + bias).reshape(*z.shape[:-1], PIXELS)


def log_px(decoder: Layers, z: jax.Array, x: jax.Array) -> jax.Array:
    """Return log p(x|z), [S, B], for z [S, B, D]."""
    logits = decode(decoder, z.reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], PIXELS)
    return jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)


def posterior(params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return loc and scale of q(z|x), or of the Normal before a flow, and the context of the flow."""
    encoder, decoder, _ = params
    loc, s, context = jnp.split(encode(encoder, x), [(dim := decoder[0][0].shape[0]), 2 * dim], axis=-1)
    return loc, SCALE_FLOOR + jax.nn.softplus(s), context


def warp(networks: Flow, z: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return z after all layers of a flow, and the log-volume log |dz_0 / dz| by which they reduce log q."""
    total, mask = jnp.zeros(()), masks(z.shape[-1])
    for t, network in enumerate(networks):
        h = z = z if t == 0 else z[..., ::-1]
        for i, (kernel, bias, wide) in enumerate(network):
            h = h @ (kernel * mask[i]) + bias + context @ wide
            h = jax.nn.elu(h) if i < len(network) - 1 else h
        shift, a = h[..., ::2], 2 * jnp.tanh(h[..., 1::2] / 2)
        z, total = (z - shift) * jnp.exp(-a), total + jnp.sum(a, axis=-1)
    return z, total


def negative_elbo(params: Params, x: jax.Array, key: jax.Array, samples: int) -> jax.Array:
    """Return the loss, a scalar."""
    _, decoder, flow = params
    loc, scale, context = posterior(params, x)
    noise = random.normal(key, (samples, *loc.shape))
    z, log_volume = warp(flow, loc + scale * noise, context)
    estimate, exact = (z**2 - noise**2) / 2, (loc**2 + scale**2 - 1) / 2
    rate = jnp.sum((estimate if flow else exact) - jnp.log(scale), axis=-1) + log_volume
    return -jnp.mean(log_px(decoder, z, x) - rate)


def log_weights(params: Params, x: jax.Array, noise: jax.Array) -> jax.Array:
    """Return log w, [S, B], for noise [S, B, D]."""
    _, decoder, _ = params
    loc, scale, _ = posterior(params, x)
    z = loc + scale * noise
    log_ratio = jnp.sum(jnp.log(scale) + (noise**2 - z**2) / 2, axis=-1)
    return log_px(decoder, z, x) + log_ratio


def log_likelihood(params: Params, x: jax.Array, key: jax.Array, samples: int) -> jax.Array:
    """Return the importance-weighted log p(x), [B], streamed in tiles of samples."""
    latent_dim = params[1][0][0].shape[0]

    def tile(total: jax.Array, key: jax.Array) -> tuple[jax.Array, None]:
        log_w = log_weights(params, x, random.normal(key, (min(TILE, samples), len(x), latent_dim)))
        return jnp.logaddexp(total, jax.nn.logsumexp(log_w, axis=0)), None

    keys = random.split(key, tiles(samples))
    total, _ = lax.scan(tile, jnp.full(len(x), -jnp.inf), keys)
    return total - jnp.log(samples)


@final
class Peer:
    """Hand-written JAX."""

    def __init__(self, problem: Problem) -> None:
        workload = problem.workload
        self._params = jax.tree.map(jnp.asarray, (problem.encoder, problem.decoder, problem.flow))
        self._optimizer = optax.adam(LEARNING_RATE)
        self._state = self._optimizer.init(self._params)
        self._x, self._key, self._batch = jnp.asarray(problem.x), random.key(0), workload.batch
        self._samples = workload.samples
        self._single = jax.jit(self._step, donate_argnums=1)
        self._many = jax.jit(self._steps, donate_argnums=1) if workload.hidden else self._one_by_one
        self._value = jax.jit(functools.partial(negative_elbo, samples=workload.samples))
        self._estimate = jax.jit(log_likelihood, static_argnums=3)
        self._weights = jax.jit(log_weights)

    def _next_key(self) -> jax.Array:
        self._key, key = random.split(self._key)
        return key

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        return float(self._value(self._params, x, self._next_key()))

    def _step(self, x: jax.Array, carry: Carry, given: Given) -> tuple[Carry, jax.Array]:
        params, state = carry
        batch, key = given
        noise, binary = random.split(key)
        pixels = x[batch]
        pixels = (random.uniform(binary, pixels.shape) < pixels).astype(jnp.float32)
        value, gradients = jax.value_and_grad(negative_elbo)(params, pixels, noise, self._samples)
        updates, state = self._optimizer.update(gradients, state)
        return (optax.apply_updates(params, updates), state), value

    def _steps(self, x: jax.Array, carry: Carry, given: Given) -> tuple[Carry, jax.Array]:
        carry, values = lax.scan(functools.partial(self._step, x), carry, given)
        return carry, values

    def _one_by_one(self, x: jax.Array, carry: Carry, given: Given) -> tuple[Carry, jax.Array]:
        for one in zip(*given, strict=True):
            carry, value = self._single(x, carry, one)
        return carry, value

    def train(self, steps: int) -> None:
        """Take training steps in one scan. Convolutions take single steps, because XLA on a CPU loops them slowly."""
        batches = np.random.default_rng(0).integers(len(self._x), size=(steps, self._batch))
        given = jnp.asarray(batches), random.split(self._next_key(), steps)
        (self._params, self._state), values = self._many(self._x, (self._params, self._state), given)
        jax.block_until_ready((self._params, values))

    def evaluate(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Return log p(x), [B], streamed in tiles of samples."""
        return np.asarray(self._estimate(self._params, jnp.asarray(x), self._next_key(), samples))

    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return log p(x), [B], from noise [S, B, D]."""
        return evidence(self._weights(self._params, x, noise))
