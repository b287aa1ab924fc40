"""The input of every peer: the shape of a model, its first weights, and the data."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

SCALE_FLOOR = 1e-4
LEARNING_RATE = 1e-3
SIDE = 28
PIXELS = SIDE * SIDE
CHANNELS = (32, 64)
"""Channels of the convolutions, 28x28 to 14x14 to 7x7 and back."""

SMALL = SIDE // 2 ** len(CHANNELS)
"""Side of an image after the convolutions."""

DENSE = 256
"""Width between the convolutions and z."""

TRANSPOSED = ((3, 3, CHANNELS[1], CHANNELS[1]), (3, 3, *CHANNELS))
"""The decoder's kernels whose bias has the size of the third axis."""

FLOW_WIDTH = 128
"""Width of the two hidden layers in each masked network of a flow."""

CONTEXT = 64
"""Number of context values that the encoder gives to a flow."""

FLOW_BIAS = 0.3
"""Standard deviation of a flow's biases, large enough to change the loss if a layer is missing."""

TILE = 100
"""Importance samples that the hand-written peers take at once."""

Layers = list[tuple[np.ndarray, np.ndarray]]
Flow = list[list[tuple[np.ndarray, np.ndarray, np.ndarray]]]


@final
@dataclass(frozen=True)
class Workload:
    """A model of 28x28 binarized images, and how it is trained or evaluated.

    hidden: widths of the encoder's hidden layers, with relu. The decoder has them in the opposite order. Empty for the
      convolutions of `CHANNELS`.
    latent_dim: D.
    batch: examples in a step, or evaluated at once.
    samples: samples of z for each example, in training and in evaluation.
    steps: training steps in one timing, 0 for an evaluation.
    flow: layers of an inverse autoregressive flow after the diagonal Normal. The rate is then estimated from the
      samples. z_t = (z_{t-1} - m_t) exp(-a_t), a_t = 2 tanh(. / 2), and the dimensions are reversed between layers.
    """

    name: str
    hidden: tuple[int, ...]
    latent_dim: int
    batch: int
    samples: int
    steps: int
    flow: int = 0

    def encoder_outputs(self) -> int:
        """Return the number of outputs of the encoder: loc, the logits of scale, and the context of a flow."""
        return 2 * self.latent_dim + CONTEXT * bool(self.flow)

    def flow_shapes(self) -> list[tuple[int, int]]:
        """Return the shapes of the kernels in one layer of a flow. Its last outputs alternate between m and a."""
        return list(itertools.pairwise((self.latent_dim, FLOW_WIDTH, FLOW_WIDTH, 2 * self.latent_dim)))

    def shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the shapes of the kernels of encoder and decoder.

        A dense layer has [in, out], a convolution [3, 3, in, out] and a transposed convolution [3, 3, out, in].
        Convolutions have stride 2, except for the last one of the decoder with stride 1. All use "same" padding.
        """
        if self.hidden:
            sizes = (PIXELS, *self.hidden, self.encoder_outputs()), (self.latent_dim, *self.hidden[::-1], PIXELS)
            return [*itertools.pairwise(sizes[0])], [*itertools.pairwise(sizes[1])]
        first, second = CHANNELS
        flat = SMALL * SMALL * second
        down = [(3, 3, 1, first), (3, 3, first, second), (flat, DENSE), (DENSE, self.encoder_outputs())]
        up = [(self.latent_dim, DENSE), (DENSE, flat), (3, 3, second, second), (3, 3, first, second), (3, 3, first, 1)]
        return down, up

    def products(self) -> tuple[int, int]:
        """Return the multiplications in the forward matrix products, per example and per sample of z."""
        assert self.hidden, "counted for dense layers only"
        encoder, decoder = (sum(math.prod(shape) for shape in shapes) for shapes in self.shapes())
        contexts = self.flow * sum(CONTEXT * columns for _, columns in self.flow_shapes())
        return encoder + contexts, decoder + self.flow * sum(math.prod(shape) for shape in self.flow_shapes())

    def flops(self) -> int:
        """Return the floating-point operations in the matrix products of one step, or of one evaluation of a batch.

        A step computes forward, and the gradients of weights and inputs, except for those of the first layer's inputs.
        """
        encoder, decoder = self.products()
        forward = encoder + self.samples * decoder
        return 2 * self.batch * (3 * forward - PIXELS * self.hidden[0] if self.steps else forward)

    def traffic(self) -> int:
        """Return the bytes of weights, moments and gradients that a step reads and writes, and of the logits."""
        encoder, decoder = self.products()
        logits = 2 * 4 * self.batch * self.samples * PIXELS  # written and read
        return logits + (4 * 8 * (encoder + decoder) if self.steps else 4 * (encoder + decoder))


@final
@dataclass(frozen=True)
class Problem:
    """A workload with its data.

    x: grey images in [0, 1], [N, 784], float32.
    encoder, decoder: kernel and bias [out] of each layer.
    flow: one network per layer of the flow, with kernel, bias and context kernel [CONTEXT, out] of each of its layers.
    """

    workload: Workload
    x: np.ndarray
    encoder: Layers
    decoder: Layers
    flow: Flow


def make(workload: Workload, examples: int = 10_000, seed: int = 0) -> Problem:
    """Return a problem with images of blobs, about as dark as digits, and Glorot weights."""
    draw = np.random.default_rng(seed)

    def layer(shape: tuple[int, ...], transposed: bool) -> tuple[np.ndarray, np.ndarray]:
        limit = np.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:])))
        kernel = draw.uniform(-limit, limit, shape).astype(np.float32)
        return kernel, np.zeros(shape[-2 if transposed else -1], np.float32)

    def masked_layer(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kernel, context = (draw.normal(0, rows**-0.5, (rows, shape[1])) for rows in (shape[0], CONTEXT))
        bias = draw.normal(0, FLOW_BIAS, shape[1])
        return kernel.astype(np.float32), bias.astype(np.float32), context.astype(np.float32)

    down, up = workload.shapes()
    encoder = [layer(shape, False) for shape in down]
    decoder = [layer(shape, shape in TRANSPOSED) for shape in up]
    flow = [[masked_layer(shape) for shape in workload.flow_shapes()] for _ in range(workload.flow)]
    return Problem(workload, blobs(draw, examples), encoder, decoder, flow)


def masks(latent_dim: int) -> list[np.ndarray]:
    """Return the factors of the kernels in a masked network, so that output i of m and a depends on z_1 to z_{i-1}."""
    seen = [np.arange(1, latent_dim + 1), *[np.arange(FLOW_WIDTH) % latent_dim] * 2, np.arange(latent_dim).repeat(2)]
    return [(after >= before[:, np.newaxis]).astype(np.float32) for before, after in itertools.pairwise(seen)]


def tiles(samples: int) -> int:
    """Return the number of tiles of `TILE` samples. Fewer samples than that make one tile.

    Raises:
      ValueError: the samples do not fill the last tile.
    """
    if samples > TILE and samples % TILE:
        raise ValueError(f"expected a multiple of {TILE} samples, found {samples}.")
    return max(1, samples // TILE)


def evidence(log_weights: np.typing.ArrayLike) -> np.ndarray:
    """Return log 1/S sum_s w_s, [B], of log w [S, B], in float64."""
    log_w = np.asarray(log_weights, np.float64)
    log_mean: np.ndarray = np.logaddexp.reduce(log_w, axis=0) - math.log(len(log_w))
    return log_mean


def blobs(draw: np.random.Generator, examples: int) -> np.ndarray:
    """Return grey images of one blob each, [N, 784]."""
    place = np.linspace(-1, 1, SIDE)
    rows, columns = (np.exp(-((place - c) ** 2) / 0.1) for c in draw.uniform(-0.5, 0.5, (2, examples, 1)))
    grey: np.ndarray = (rows[:, :, np.newaxis] * columns[:, np.newaxis, :]).reshape(examples, PIXELS)
    return grey.astype(np.float32)


def save(problem: Problem, path: Path) -> None:
    """Write a problem for other processes to read."""
    layers = itertools.chain(problem.encoder, problem.decoder, *problem.flow)
    arrays: dict[str, Any] = {f"array_{i}": array for i, array in enumerate(itertools.chain(*layers))}
    np.savez(path, x=problem.x, **arrays)


def restore(workload: dict[str, Any], path: Path) -> Problem:
    """Read a problem, given `as_dict` of its workload."""
    shape = from_dict(workload)
    with np.load(path, allow_pickle=False) as file:
        arrays = (file[f"array_{i}"] for i in itertools.count())
        encoder, decoder = ([(next(arrays), next(arrays)) for _ in layers] for layers in shape.shapes())
        network = shape.flow_shapes()
        flow = [[(next(arrays), next(arrays), next(arrays)) for _ in network] for _ in range(shape.flow)]
        return Problem(shape, file["x"], encoder, decoder, flow)


def as_dict(workload: Workload) -> dict[str, Any]:
    """Return a workload as a dictionary for JSON."""
    return asdict(workload)


def from_dict(workload: dict[str, Any]) -> Workload:
    """Return the workload that `as_dict` turned into a dictionary."""
    return Workload(**{**workload, "hidden": tuple(workload["hidden"])})
