"""Stateless seeds: every draw is named by (run seed, purpose, indices), so it can be made again alone.

A stateless draw is a function of its seed: drawn twice, it is the same twice. So no state has to be kept, or restored:
what was drawn at step 1,000 is known from the run's seed and that number. Purposes keep draws for different ends apart;
two draws from one folded seed are the same noise, and have to be folded apart by an index.
"""

from __future__ import annotations

import enum
from typing import Any, TypeAlias

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf

__all__ = ["FIXED_SEED", "Purpose", "Seed", "fold", "generator", "integer", "seed_for"]

Seed: TypeAlias = Any
"""A stateless seed: two integers, as a tuple or a tensor of shape [2]."""

FIXED_SEED = 0
"""Seeds what has to be the same for every run of a data set: its splits and the binarization of held-out data."""


class Purpose(enum.IntEnum):
    """What a draw is for. Numbers are part of a run's reproducibility: add, never renumber."""

    INITIALIZATION = 1
    SHUFFLE = 2
    BINARIZATION = 3
    LATENT = 4
    VALIDATION = 5
    EVALUATION = 6
    SAMPLE = 7
    SPLIT = 8
    HELD_OUT = 9
    DROPOUT = 10
    SUBSET = 11
    EMBEDDING = 12
    PAIRS = 13
    INSPECTION = 14


def fold(seed: Seed, *indices: Any) -> Seed:
    """Return a seed of shape [2] that depends on `seed` and on each of `indices`, in order.

    ```python
    from tfp_vae.core.seeds import fold

    fold((0, 1), 7, 3)  # shape [2]; not that of fold((0, 1), 3, 7)
    ```

    Args:
      seed: two integers, a tuple or a tensor.
      indices: integers or integer tensors, such as the step in a compiled loop.

    Raises:
      UsageError: a seed that is not two integers.
    """
    seed = tf.convert_to_tensor(seed, tf.int32)
    if seed.shape != [2]:
        raise UsageError(f"a stateless seed is two integers, such as (0, 1); found shape {seed.shape}.")
    for index in indices:
        seed = tf.random.experimental.stateless_fold_in(seed, index)
    return seed


def seed_for(run_seed: int, purpose: Purpose, *indices: Any) -> Seed:
    """Return the TensorFlow seed, shape [2], of one draw; `indices` may be tensors (a step, an example)."""
    return fold((run_seed, int(purpose)), *indices)


def generator(run_seed: int, purpose: Purpose, *indices: int) -> np.random.Generator:
    """Return the NumPy generator of one draw made on the host, such as an epoch's permutation.

    Args:
      run_seed: not negative.
      purpose: what is drawn.
      indices: such as an epoch's number; how many there are is part of the seed, so that none runs into another.
    """
    return np.random.default_rng([len(indices), run_seed, int(purpose), *indices])


def integer(run_seed: int, purpose: Purpose, *indices: int) -> int:
    """Return one non-negative 31-bit integer, for libraries that take an integer seed."""
    return int(generator(run_seed, purpose, *indices).integers(2**31))
