"""What every peer is given: a model's shape, its first weights, and the data."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

SCALE_FLOOR = 1e-4
LEARNING_RATE = 1e-3
PIXELS = 784


@final
@dataclass(frozen=True)
class Workload:
    """A model of multilayer perceptrons, 784-hidden-D and back, relu, and how it is trained or evaluated.

    hidden: widths of the encoder's hidden layers; the decoder has them in the opposite order.
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

    def sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the widths through the encoder and through the decoder."""
        return (PIXELS, *self.hidden, 2 * self.latent_dim), (self.latent_dim, *self.hidden[::-1], PIXELS)

    def multiplications(self) -> int:
        """Return the multiplications of a forward pass of one example, matrix products alone."""
        encoder, decoder = (sum(a * b for a, b in itertools.pairwise(s)) for s in self.sizes())
        return encoder + self.samples * decoder

    def flops(self) -> int:
        """Return the floating-point operations in matrix products of one training step.

        Forward, and back to weights and to inputs, but for the inputs of the first layer, which need no gradient.
        """
        first = PIXELS * self.hidden[0]
        return 2 * self.batch * (3 * self.multiplications() - first)


@final
@dataclass(frozen=True)
class Problem:
    """A workload with its data.

    x: grey images in [0, 1], [N, 784], float32.
    encoder, decoder: (kernel [in, out], bias [out]) of each layer.
    """

    workload: Workload
    x: np.ndarray
    encoder: list[tuple[np.ndarray, np.ndarray]]
    decoder: list[tuple[np.ndarray, np.ndarray]]


def make(workload: Workload, examples: int = 10_000, seed: int = 0) -> Problem:
    """Return a problem with images of blobs, whose statistics are like those of digits, and Glorot weights."""
    draw = np.random.default_rng(seed)
    encoder, decoder = ([_layer(draw, a, b) for a, b in itertools.pairwise(s)] for s in workload.sizes())
    return Problem(workload, _blobs(draw, examples), encoder, decoder)


def _layer(draw: np.random.Generator, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    limit = np.sqrt(6 / (rows + columns))
    return draw.uniform(-limit, limit, (rows, columns)).astype(np.float32), np.zeros(columns, np.float32)


def _blobs(draw: np.random.Generator, examples: int) -> np.ndarray:
    place = np.linspace(-1, 1, 28)
    centres, widths = draw.uniform(-0.5, 0.5, (2, examples, 2, 1)), draw.uniform(0.15, 0.4, (examples, 1, 1))
    rows, columns = (
        np.exp(-((place - c) ** 2) / 0.1) for c in centres.transpose(2, 1, 0, 3).reshape(2, -1, 1)[:, : 2 * examples]
    )
    images = rows[:examples, :, np.newaxis] * columns[:examples, np.newaxis, :] * (widths > 0)
    return images.reshape(examples, PIXELS).astype(np.float32)


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
    shape = Workload(**{**workload, "hidden": tuple(workload["hidden"])})
    with np.load(path) as arrays:
        parts = [
            [(arrays[f"{part}_{i}_kernel"], arrays[f"{part}_{i}_bias"]) for i in range(len(shape.hidden) + 1)]
            for part in ("encoder", "decoder")
        ]
        return Problem(shape, arrays["x"], *parts)


def as_dict(workload: Workload) -> dict[str, Any]:
    """Return a workload as JSON can hold it."""
    return asdict(workload)
