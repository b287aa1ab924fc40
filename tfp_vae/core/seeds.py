"""Stateless seeds: each draw is named by (run seed, purpose, indices), so it can be repeated alone.

A stateless draw is a function of its seed, so no generator's state has to be saved or restored: the run's seed and the
number 1,000 give the draw of step 1,000. Purposes keep draws for different ends apart. Two draws with the same folded
seed are the same noise, so fold an index into each.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Callable

import numpy as np

from tfp_vae.core.errors import UsageError, require
from tfp_vae.core.execution import running
from tfp_vae.core.lazy import tf
from tfp_vae.core.types import DType, Seed, Tensor

__all__ = [
    "FIXED_SEED",
    "Purpose",
    "Seed",
    "fold",
    "fold_each",
    "generator",
    "integer",
    "map_each",
    "places_of",
    "seed_for",
    "seed_for_evaluation",
]

FIXED_SEED = 0
"""The seed of everything that all runs of a data set share: its splits and the binarization of held-out data."""

ROWS_AT_ONCE = 10_000
"""Examples whose places are computed at once, because copies of many would need much memory."""


class Purpose(enum.IntEnum):
    """Purposes of draws. Results depend on these numbers, so add new ones and never renumber."""

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
    LABELLED = 15


def fold(seed: int | Seed, *indices: int | Tensor) -> Tensor:
    """Return a seed of shape [2] that depends on `seed` and on each of `indices`, in order.

    ```python
    from tfp_vae.core.seeds import fold

    fold((0, 1), 7, 3)  # shape [2]; not equal to fold((0, 1), 3, 7)
    ```

    Args:
      seed: two integers, as a tuple or a tensor, or one integer s, which stands for (0, s).
      indices: integers or integer tensors, such as the step in a compiled loop.

    Raises:
      UsageError: the seed is neither.
    """
    expected = "`seed`: expected an integer or two integers, such as (0, 1)"
    try:
        pair = tf.convert_to_tensor((0, seed) if isinstance(seed, int | np.integer) else seed, tf.int32)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{expected}, found {seed!r}.") from error
    if pair.shape != [2]:
        raise UsageError(f"{expected}, found shape {pair.shape}.")
    for index in indices:
        pair = tf.random.experimental.stateless_fold_in(pair, index)
    return pair


def fold_each(seed: Seed, places: Tensor, *indices: int | Tensor) -> Tensor:
    """Return a seed for each of B examples, [B, 2], folded from its place [B] and from indices."""
    return map_each(lambda place: fold(seed, place, *indices), places, tf.int32)


AT_ONCE = 4
"""Elements in each turn of a loop of a graph."""


def map_each(function: Callable[[Tensor], Tensor], elements: Tensor, dtype: DType) -> Tensor:
    """Return function(element) for each of B elements [B, ...], computed one at a time.

    A turn of a loop in a graph takes longer than some hundred random numbers, so each turn takes several elements if
    they divide B. XLA has no such overhead.

    Args:
      function: a function of one element.
      elements: [B, ...].
      dtype: of the results.
    """
    elements = tf.convert_to_tensor(elements)
    count = elements.shape[0]
    if running() == "xla" or count is None or count % AT_ONCE:
        return tf.map_fn(function, elements, fn_output_signature=dtype)
    turns = tf.reshape(elements, [count // AT_ONCE, AT_ONCE, *elements.shape[1:]])
    found = tf.map_fn(
        lambda turn: tf.stack([function(each) for each in tf.unstack(turn)]), turns, fn_output_signature=dtype
    )
    return tf.reshape(found, tf.concat([[count], tf.shape(found)[2:]], axis=0))


def seed_for(run_seed: int, purpose: Purpose, *indices: int | Tensor) -> Tensor:
    """Return the TensorFlow seed, shape [2], of one draw. Indices may be tensors, such as a step or an example."""
    return fold((run_seed, int(purpose)), *indices)


def seed_for_evaluation(seed: int | Seed) -> Seed:
    """Return the stateless seed of an evaluation: a stateless seed itself, or the one that an integer stands for."""
    return seed_for(int(seed), Purpose.EVALUATION) if isinstance(seed, int | np.integer) else seed


def generator(run_seed: int, purpose: Purpose, *indices: int) -> np.random.Generator:
    """Return the NumPy generator of one draw on the host, such as the permutation of an epoch.

    Args:
      run_seed: a number of at least 0.
      purpose: the purpose of the draw.
      indices: such as the number of the epoch. Their number is part of the seed, so (1,) and (1, 0) differ.

    Raises:
      UsageError: the run's seed is not such a number.
    """
    run_seed = run_seed.item() if isinstance(run_seed, np.integer) else run_seed
    require(int, run_seed, "seed")
    if run_seed < 0:
        raise UsageError(f"`seed` must be at least 0, found {run_seed}.")
    return np.random.default_rng([len(indices), run_seed, int(purpose), *indices])


def integer(run_seed: int, purpose: Purpose, *indices: int) -> int:
    """Return an integer from 0 to 2^31 - 1, for libraries that take an integer seed."""
    return int(generator(run_seed, purpose, *indices).integers(2**31))


def places_of(x: np.ndarray) -> np.ndarray:
    """Return a number for each example of x [N, ...] that depends on its values only, int32 [N].

    It selects the noise of the example, so equal examples have equal results, wherever they are.
    """
    places = np.empty(len(x), np.int32)
    for start in range(0, len(x), ROWS_AT_ONCE):
        part = x[start : start + ROWS_AT_ONCE]
        canonical = np.where(np.isnan(part), np.float32(np.nan), part) + np.float32(0)  # one NaN, and no negative zero
        rows = np.ascontiguousarray(canonical, np.float32)
        places[start : start + ROWS_AT_ONCE] = [zlib.crc32(row) & 0x7FFFFFFF for row in rows]
    return places
