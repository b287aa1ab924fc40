"""JAX and optax in their strongest form: a jitted `scan` over steps, the data resident, batches gathered by index."""

from __future__ import annotations

import functools
import itertools
from typing import Any, final

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
    Problem,
    evidence,
    masks,
    tiles,
)

IMAGES = ("NHWC", "HWIO", "NHWC")


def _mlp(layers: Any, h: Any) -> Any:
    for kernel, bias in layers[:-1]:
        h = jax.nn.relu(h @ kernel + bias)
    kernel, bias = layers[-1]
    return h @ kernel + bias


def _convolution(h: Any, kernel: Any, stride: int) -> Any:
    return lax.conv_general_dilated(h, kernel, (stride, stride), "SAME", dimension_numbers=IMAGES)


def _transposed(h: Any, kernel: Any) -> Any:
    return lax.conv_transpose(h, kernel, (2, 2), "SAME", dimension_numbers=IMAGES, transpose_kernel=True)


def _is_dense(layer: Any) -> bool:
    return bool(layer[0].ndim == 2)


def encode(layers: Any, x: Any) -> Any:
    """Return loc and scale's parameters, [B, 2 D], of x [B, 784]."""
    h = x.reshape(-1, SIDE, SIDE, 1)
    for kernel, bias in itertools.filterfalse(_is_dense, layers):
        h = jax.nn.relu(_convolution(h, kernel, 2) + bias)
    return _mlp([*filter(_is_dense, layers)], h.reshape(len(x), -1))


def decode(layers: Any, z: Any) -> Any:
    """Return logits, [..., 784], of z [..., D]."""
    h = _mlp([*filter(_is_dense, layers)], z)
    convolutions = [*itertools.filterfalse(_is_dense, layers)]
    if not convolutions:
        return h
    h = jax.nn.relu(h).reshape(-1, SMALL, SMALL, CHANNELS[-1])
    for kernel, bias in convolutions[:-1]:
        h = jax.nn.relu(_transposed(h, kernel) + bias)
    kernel, bias = convolutions[-1]
    return (_convolution(h, kernel, 1) + bias).reshape(*z.shape[:-1], PIXELS)


def _log_px(decoder: Any, z: Any, x: Any) -> Any:
    logits = decode(decoder, z.reshape(-1, z.shape[-1])).reshape(*z.shape[:-1], PIXELS)
    return jnp.sum(x * logits - jax.nn.softplus(logits), axis=-1)


def _posterior(params: Any, x: Any) -> tuple[Any, Any, Any]:
    encoder, decoder, _ = params
    loc, s, context = jnp.split(encode(encoder, x), [(dim := decoder[0][0].shape[0]), 2 * dim], axis=-1)
    return loc, SCALE_FLOOR + jax.nn.softplus(s), context


def _flow(networks: Any, z: Any, context: Any) -> tuple[Any, Any]:
    """Return z after each layer, and what log q loses by them, log |dz_0 / dz|."""
    total, mask = 0.0, masks(z.shape[-1])
    for t, network in enumerate(networks):
        h = z = z if t == 0 else z[..., ::-1]
        for i, (kernel, bias, wide) in enumerate(network):
            h = h @ (kernel * mask[i]) + bias + context @ wide
            h = jax.nn.elu(h) if i < len(network) - 1 else h
        shift, a = h[..., ::2], 2 * jnp.tanh(h[..., 1::2] / 2)
        z, total = (z - shift) * jnp.exp(-a), total + jnp.sum(a, axis=-1)
    return z, total


def _loss(params: Any, x: Any, key: Any, samples: int) -> Any:
    _, decoder, flow = params
    loc, scale, context = _posterior(params, x)
    noise = random.normal(key, (samples, *loc.shape))
    z, log_volume = _flow(flow, loc + scale * noise, context)
    sampled, exact = (z**2 - noise**2) / 2, (loc**2 + scale**2 - 1) / 2
    rate = jnp.sum((sampled if flow else exact) - jnp.log(scale), axis=-1) + log_volume
    return -jnp.mean(_log_px(decoder, z, x) - rate)


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
        self._value = jax.jit(functools.partial(_loss, samples=workload.samples))
        self._estimate = jax.jit(_importance_weighted, static_argnums=3)
        self._weights = jax.jit(_log_weights)

    def _next_key(self) -> Any:
        self._key, key = random.split(self._key)
        return key

    def loss(self, x: np.ndarray) -> float:
        """Return one draw of the loss."""
        return float(self._value(self._params, x, self._next_key()))

    def _step(self, x: Any, carry: Any, given: Any) -> Any:
        params, state = carry
        batch, key = given
        noise, binary = random.split(key)
        pixels = x[batch]
        pixels = (random.uniform(binary, pixels.shape) < pixels).astype(jnp.float32)
        value, gradients = jax.value_and_grad(_loss)(params, pixels, noise, self._samples)
        updates, state = self._optimizer.update(gradients, state)
        return (optax.apply_updates(params, updates), state), value

    def _steps(self, x: Any, carry: Any, given: Any) -> Any:
        return lax.scan(functools.partial(self._step, x), carry, given)

    def _one_by_one(self, x: Any, carry: Any, given: Any) -> Any:
        for one in zip(*given, strict=True):
            carry, value = self._single(x, carry, one)
        return carry, value

    def train(self, steps: int) -> None:
        """Take training steps: in one scan, but with convolutions, which XLA on a CPU does slowly in a loop, singly."""
        batches = np.random.default_rng(0).integers(len(self._x), size=(steps, self._batch))
        given = jnp.asarray(batches), random.split(self._next_key(), steps)
        (self._params, self._state), values = self._many(self._x, (self._params, self._state), given)
        jax.block_until_ready((self._params, values))

    def evaluate(self, x: np.ndarray, samples: int) -> Any:
        """Return log p(x), [B], streamed in tiles of samples."""
        return np.asarray(self._estimate(self._params, jnp.asarray(x), self._next_key(), samples))

    def evaluate_on(self, x: np.ndarray, noise: np.ndarray) -> Any:
        """Return log p(x), [B], from noise [S, B, D]."""
        return evidence(self._weights(self._params, x, noise))


def _log_weights(params: Any, x: Any, noise: Any) -> Any:
    _, decoder, _ = params
    loc, scale, _ = _posterior(params, x)
    z = loc + scale * noise
    log_ratio = jnp.sum(jnp.log(scale) + (noise**2 - z**2) / 2, axis=-1)
    return _log_px(decoder, z, x) + log_ratio


def _importance_weighted(params: Any, x: Any, key: Any, samples: int) -> Any:
    latent_dim = params[1][0][0].shape[0]

    def tile(total: Any, key: Any) -> Any:
        log_w = _log_weights(params, x, random.normal(key, (min(TILE, samples), len(x), latent_dim)))
        return jnp.logaddexp(total, jax.nn.logsumexp(log_w, axis=0)), None

    keys = random.split(key, tiles(samples))
    total, _ = lax.scan(tile, jnp.full(len(x), -jnp.inf), keys)
    return total - jnp.log(samples)
