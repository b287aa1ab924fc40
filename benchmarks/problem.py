"""What every peer is given: a model's shape, its first weights, and the data."""

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
"""Of the convolutions: 28x28 to 14x14 to 7x7, and back."""

SMALL = SIDE // 2 ** len(CHANNELS)
"""Side of what the convolutions leave of an image."""

DENSE = 256
"""Width between the convolutions and z."""

TRANSPOSED = ((3, 3, CHANNELS[1], CHANNELS[1]), (3, 3, *CHANNELS))
"""The decoder's kernels whose bias has the size of the third axis."""

Layers = list[tuple[np.ndarray, np.ndarray]]


@final
@dataclass(frozen=True)
class Workload:
    """A model of 28x28 binarized images, and how it is trained or evaluated.

    hidden: widths of the encoder's hidden layers, relu; the decoder has them in the opposite order. Empty for the pair
      of convolutions of `CHANNELS`.
    latent_dim: D.
    batch: examples in a step, or evaluated at once.
    samples: samples of z for each example, in training and in evaluation.
    steps: training steps in one timing; 0 of an evaluation.
    """

    name: str
    hidden: tuple[int, ...]
    latent_dim: int
    batch: int
    samples: int
    steps: int

    def shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Return the kernels' shapes of encoder and decoder.

        Of a layer [in, out]; of a convolution [3, 3, in, out], stride 2; of a transposed one [3, 3, out, in], stride 2;
        the last one of the decoder has stride 1. All pad as TensorFlow's "same" does.
        """
        if self.hidden:
            sizes = (PIXELS, *self.hidden, 2 * self.latent_dim), (self.latent_dim, *self.hidden[::-1], PIXELS)
            encoder, decoder = (list(itertools.pairwise(size)) for size in sizes)
            return encoder, decoder
        first, second = CHANNELS
        flat = SMALL * SMALL * second
        down = [(3, 3, 1, first), (3, 3, first, second), (flat, DENSE), (DENSE, 2 * self.latent_dim)]
        up = [(self.latent_dim, DENSE), (DENSE, flat), (3, 3, second, second), (3, 3, first, second), (3, 3, first, 1)]
        return down, up

    def products(self) -> tuple[int, int]:
        """Return the multiplications of one forward pass of encoder and of decoder, matrix products alone."""
        assert self.hidden, "counted for dense layers only"
        encoder, decoder = (sum(math.prod(shape) for shape in shapes) for shapes in self.shapes())
        return encoder, decoder

    def flops(self) -> int:
        """Return the floating-point operations in the matrix products of one step, or of one evaluation of a batch.

        A step goes forward, and back to weights and to inputs, but for the inputs of the first layer, which need no
        gradient.
        """
        encoder, decoder = self.products()
        forward = encoder + self.samples * decoder
        return 2 * self.batch * (3 * forward - PIXELS * self.hidden[0] if self.steps else forward)


@final
@dataclass(frozen=True)
class Problem:
    """A workload with its data.

    x: grey images in [0, 1], [N, 784], float32.
    encoder, decoder: kernel and bias [out] of each layer.
    """

    workload: Workload
    x: np.ndarray
    encoder: Layers
    decoder: Layers


def make(workload: Workload, examples: int = 10_000, seed: int = 0) -> Problem:
    """Return a problem with images of blobs, about as dark as those of digits, and Glorot weights."""
    draw = np.random.default_rng(seed)
    down, up = workload.shapes()
    encoder = [_layer(draw, shape, False) for shape in down]
    decoder = [_layer(draw, shape, shape in TRANSPOSED) for shape in up]
    return Problem(workload, blobs(draw, examples), encoder, decoder)


def _layer(draw: np.random.Generator, shape: tuple[int, ...], transposed: bool) -> tuple[np.ndarray, np.ndarray]:
    limit = np.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:])))
    return draw.uniform(-limit, limit, shape).astype(np.float32), np.zeros(shape[-2 if transposed else -1], np.float32)


def blobs(draw: np.random.Generator, examples: int) -> np.ndarray:
    """Return grey images of one blob each, [N, 784]."""
    place = np.linspace(-1, 1, SIDE)
    rows, columns = (np.exp(-((place - c) ** 2) / 0.1) for c in draw.uniform(-0.5, 0.5, (2, examples, 1)))
    return (rows[:, :, np.newaxis] * columns[:, np.newaxis, :]).reshape(examples, PIXELS).astype(np.float32)


def save(problem: Problem, path: Path) -> None:
    """Write a problem for other processes to read."""
    layers = {
        f"{part}_{i}_{name}": array
        for part in ("encoder", "decoder")
        for i, layer in enumerate(getattr(problem, part))
        for name, array in zip(("kernel", "bias"), layer, strict=True)
    }
    np.savez(path, x=problem.x, **layers)


def restore(workload: dict[str, Any], path: Path) -> Problem:
    """Read a problem, given `as_dict` of its workload."""
    shape = from_dict(workload)
    with np.load(path, allow_pickle=False) as arrays:
        parts = [
            [(arrays[f"{part}_{i}_kernel"], arrays[f"{part}_{i}_bias"]) for i in range(len(shapes))]
            for part, shapes in zip(("encoder", "decoder"), shape.shapes(), strict=True)
        ]
        return Problem(shape, arrays["x"], *parts)


def as_dict(workload: Workload) -> dict[str, Any]:
    """Return a workload as JSON can hold it."""
    return asdict(workload)


def from_dict(workload: dict[str, Any]) -> Workload:
    """Return the workload of `as_dict`."""
    return Workload(**{**workload, "hidden": tuple(workload["hidden"])})
