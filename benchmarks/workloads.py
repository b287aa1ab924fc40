"""The workloads that all peers share, and the axes along which the cost of this library grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from benchmarks.problem import Workload

PRODUCTS_A_TIMING = 150e9
"""Approximate number of operations in the matrix products of one timing of training."""

BATCH, LATENT_DIM = 128, 50


def fit_steps(workload: Workload) -> Workload:
    """Set the number of steps so that a timing takes a good part of a second. At least twelve."""
    return replace(workload, steps=max(12, min(300, round(PRODUCTS_A_TIMING / workload.flops()))))


def training(width: int, samples: int = 1, batch: int = BATCH) -> Workload:
    """Return the training of a model with two hidden layers of a width."""
    name = f"train {width}-{width}, S {samples}" + f", batch {batch}" * (batch != BATCH)
    return fit_steps(Workload(name, (width, width), LATENT_DIM, batch, samples, 1))


def evaluation(samples: int) -> Workload:
    """Return the evaluation of 32 examples with K samples."""
    return Workload(f"evaluate 200-200, K {samples}", (200, 200), LATENT_DIM, 32, samples, 0)


SAMPLES = {128: (1, 5, 50), 1024: (1, 5)}
"""Samples for each batch size. With 50 samples for 1024 examples, all peers together would need tens of gigabytes."""

WORKLOADS = (
    *(training(width, samples, batch) for width in (200, 512) for batch in SAMPLES for samples in SAMPLES[batch]),
    fit_steps(Workload("train 200-200, IAF, S 1", (200, 200), LATENT_DIM, BATCH, 1, 1, flow=2)),
    Workload("train conv, S 1", (), 32, BATCH, 1, 15),
    *(evaluation(samples) for samples in (100, 1_000, 5_000)),
)
QUICK = ("train 512-512, S 1", "evaluate 200-200, K 1000")


@final
@dataclass(frozen=True)
class Axis:
    """Workloads that differ in one quantity.

    name: the name of the quantity.
    workloads: from the cheapest to the most expensive.
    value: the quantity, in which the cost is linear.
    """

    name: str
    workloads: Sequence[Workload]
    value: Callable[[Workload], float]


AXES = (
    Axis(
        "samples of z, S (512-512, batch 128)",
        [training(512, samples) for samples in (1, 2, 5, 10, 20, 50)],
        lambda workload: workload.samples,
    ),
    Axis(
        "examples of a batch (512-512, S = 1)",
        [training(512, 1, batch) for batch in (128, 256, 512, 1024, 2048)],
        lambda workload: workload.batch,
    ),
    Axis(
        "10^9 operations: widths 128 to 2048 (batch 128, S = 1)",
        [training(width) for width in (128, 256, 512, 1024, 2048)],
        lambda workload: workload.flops() / 1e9,
    ),
    Axis(
        "importance samples, K (200-200, 32 examples)",
        [evaluation(samples) for samples in (100, 500, 1_000, 2_000, 5_000)],
        lambda workload: workload.samples,
    ),
)
