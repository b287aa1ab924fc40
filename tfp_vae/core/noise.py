"""Noise: uniform and Normal draws from stateless seeds, by the generator that suits the execution.

A stateless seed gives the same draw each time, so two draws need two seeds: see `seeds.fold`. A function that XLA
compiles draws by Threefry, written in TensorFlow's operations. Otherwise TensorFlow's own generators draw. So the same
seed gives other numbers in another execution, and a run keeps to one.
"""

from __future__ import annotations

import abc
import contextlib
import contextvars
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import final

from tfp_vae.core.execution import running
from tfp_vae.core.lazy import tf
from tfp_vae.core.seeds import fold, map_each
from tfp_vae.core.types import Array, DType, Seed, Tensor

__all__ = [
    "Generator",
    "StockGenerator",
    "ThreefryGenerator",
    "from_each",
    "standard_normal",
    "standard_uniform",
    "threefry",
    "threefry_noise",
    "uniform",
]

_DRAWS: contextvars.ContextVar[Iterator[Array] | None] = contextvars.ContextVar("draws", default=None)
"""The seeds of the next draws within `from_each`, [B, 2] for each draw."""

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


class Generator(abc.ABC):
    """A source of random numbers."""

    @abc.abstractmethod
    def uniform(self, shape: Sequence[int] | Tensor, seed: Seed, dtype: DType) -> Tensor:
        """Return draws of `shape` from the uniform distribution on [0, 1)."""

    @abc.abstractmethod
    def normal(self, shape: Sequence[int] | Tensor, seed: Seed, dtype: DType) -> Tensor:
        """Return draws of `shape` from N(0, 1)."""

    @abc.abstractmethod
    def normal_each(self, shape: Sequence[int] | Tensor, seeds: Array, dtype: DType) -> Tensor:
        """Return draws from N(0, 1) for each of seeds [B, 2], [B, *shape]."""

    @abc.abstractmethod
    def uniform_each(self, shape: Sequence[int] | Tensor, seeds: Array, dtype: DType) -> Tensor:
        """Return draws from the uniform distribution on [0, 1) for each of seeds [B, 2], [B, *shape]."""


@final
class StockGenerator(Generator):
    """TensorFlow's own generators. They take one seed at a time, so each seed needs its own call."""

    def uniform(self, shape: Sequence[int] | Tensor, seed: Seed, dtype: DType) -> Tensor:
        """Return draws of `shape` from the uniform distribution on [0, 1)."""
        return tf.random.stateless_uniform(shape, seed, dtype=dtype)

    def normal(self, shape: Sequence[int] | Tensor, seed: Seed, dtype: DType) -> Tensor:
        """Return draws of `shape` from N(0, 1)."""
        return tf.random.stateless_normal(shape, seed, dtype=dtype)

    def normal_each(self, shape: Sequence[int] | Tensor, seeds: Array, dtype: DType) -> Tensor:
        """Return draws from N(0, 1) for each of seeds [B, 2], [B, *shape]."""
        return map_each(lambda seed: self.normal(shape, seed, dtype), seeds, dtype)

    def uniform_each(self, shape: Sequence[int] | Tensor, seeds: Array, dtype: DType) -> Tensor:
        """Return draws from the uniform distribution on [0, 1) for each of seeds [B, 2], [B, *shape]."""
        return map_each(lambda seed: self.uniform(shape, seed, dtype), seeds, dtype)


@final
class ThreefryGenerator(Generator):
    """Threefry in TensorFlow's operations, for XLA. All methods accept many seeds [..., 2] at once."""

    def uniform(self, shape: Sequence[int] | Tensor, seed: Seed | Array, dtype: DType) -> Tensor:
        """Return draws [..., *shape] from the uniform distribution on [0, 1) for seeds [..., 2].

        They are the highest bits of the words, limited to the precision of `dtype`.
        """
        high, low = threefry(tf.convert_to_tensor(seed, tf.int32), tf.reduce_prod(shape))
        if dtype == tf.float32:
            bits = tf.bitwise.right_shift(high, tf.constant(9, tf.uint32))
            numbers = tf.cast(tf.bitcast(bits, tf.int32), tf.float32) * 2.0**-23
        else:
            low = tf.bitwise.right_shift(low, tf.constant(12, tf.uint32))
            numbers = (tf.cast(high, tf.float64) * 2.0**20 + tf.cast(low, tf.float64)) * 2.0**-52
        return tf.reshape(numbers, tf.concat([tf.shape(seed)[:-1], shape], axis=0))

    def normal(self, shape: Sequence[int] | Tensor, seed: Seed | Array, dtype: DType) -> Tensor:
        """Return draws [..., *shape] from N(0, 1), sqrt(2) erfinv(2 u - 1 + epsilon).

        Half a step of the uniform grid is added, because erfinv is infinite at both ends.
        """
        halfway = tf.constant(dtype.as_numpy_dtype(2.0 ** -(23 if dtype == tf.float32 else 52)))
        return math.sqrt(2) * tf.math.erfinv(2 * self.uniform(shape, seed, dtype) - 1 + halfway)

    def normal_each(self, shape: Sequence[int] | Tensor, seeds: Array, dtype: DType) -> Tensor:
        """Return draws from N(0, 1) for each of seeds [B, 2], [B, *shape]."""
        return self.normal(shape, seeds, dtype)

    def uniform_each(self, shape: Sequence[int] | Tensor, seeds: Array, dtype: DType) -> Tensor:
        """Return draws from the uniform distribution on [0, 1) for each of seeds [B, 2], [B, *shape]."""
        return self.uniform(shape, seeds, dtype)


GENERATORS: dict[str, Generator] = {"xla": ThreefryGenerator(), "graph": StockGenerator(), "eager": StockGenerator()}
"""The generator of each execution."""


_GENERATOR: contextvars.ContextVar[Generator | None] = contextvars.ContextVar("generator", default=None)
"""The generator within `threefry_noise`, whatever the execution."""


def uniform(shape: Sequence[int] | Tensor, seed: Seed, dtype: DType | str) -> Tensor:
    """Return draws from the uniform distribution on [0, 1).

    Args:
      shape: the shape of the draws.
      seed: a stateless seed, two integers.
      dtype: float32, on a grid of 2^-23, or float64.
    """
    return (_GENERATOR.get() or GENERATORS[running()]).uniform(shape, seed, tf.as_dtype(dtype))


def standard_normal(shape: Sequence[int | Tensor], seed: Seed, dtype: DType | str) -> Tensor:
    """Return draws from N(0, 1).

    Args:
      shape: [n, ...]. Within `from_each`, [n, B, ...].
      seed: a stateless seed. It is ignored within `from_each`.
      dtype: float32 or float64.

    Returns:
      Draws of `shape`. Under XLA, the inverse distribution function of a uniform grid draws them. In float32 its
      outermost points are 5.3 standard deviations out, so rarer values never occur.
    """
    generator, draws = _GENERATOR.get() or GENERATORS[running()], _DRAWS.get()
    if draws is None:
        return generator.normal(shape, seed, tf.as_dtype(dtype))
    return draw_each(generator.normal_each, shape, next(draws), tf.as_dtype(dtype))


def standard_uniform(shape: Sequence[int | Tensor], seed: Seed, dtype: DType | str) -> Tensor:
    """Return draws from the uniform distribution on [0, 1). Within `from_each`, each example has its own seed.

    Args:
      shape: [n, ...]. Within `from_each`, [n, B, ...].
      seed: a stateless seed. It is ignored within `from_each`.
      dtype: float32, on a grid of 2^-23, or float64.
    """
    draws = _DRAWS.get()
    if draws is None:
        return uniform(shape, seed, dtype)
    generator = _GENERATOR.get() or GENERATORS[running()]
    return draw_each(generator.uniform_each, shape, next(draws), tf.as_dtype(dtype))


def draw_each(
    draw: Callable[[Sequence[int], Array, DType], Tensor], shape: Sequence[int | Tensor], seeds: Array, dtype: DType
) -> Tensor:
    """Return draws [n, B, ...] in which each of B examples has its own seed.

    Args:
      draw: a method of a generator that returns [B, n, ...] for the shape [n, ...].
      shape: [n, B, ...].
      seeds: [B, 2].
      dtype: of the draws.
    """
    n, _, *rest = shape
    return tf.transpose(draw([n, *rest], seeds, dtype), [1, 0, *range(2, len(shape))])


@contextlib.contextmanager
def from_each(seeds: Array) -> Iterator[None]:
    """In this block, draw the noise of z of each of B examples from a seed of its own.

    An example's noise then does not depend on the other examples in its batch. Any number of draws may follow. The
    first uses the seeds as they are, and draw i > 0 folds i into each seed, so no two draws share numbers.

    ```python
    from tfp_vae.core.noise import from_each

    seeds = np.array([[0, 7], [0, 8]], np.int32)
    with from_each(seeds):
        z = vae.encoder(x[:2]).sample(4, seed=(0, 0))  # [4, 2, 2]; row i by seeds[i], and the given seed is ignored
    ```

    Args:
      seeds: [B, 2].
    """

    def later(draw: int) -> Tensor:
        return map_each(lambda seed: fold(seed, draw), tf.convert_to_tensor(seeds, tf.int32), tf.int32)

    token = _DRAWS.set(itertools.chain([seeds], map(later, itertools.count(1))))
    try:
        yield
    finally:
        _DRAWS.reset(token)


@contextlib.contextmanager
def threefry_noise() -> Iterator[None]:
    """In this block, draw by Threefry in every execution.

    A graph then takes the seeds of all examples at once. TensorFlow's own generators take one seed at a time, which
    costs more than the draws themselves if each example needs few.
    """
    token = _GENERATOR.set(GENERATORS["xla"])
    try:
        yield
    finally:
        _GENERATOR.reset(token)


def threefry(keys: Tensor, count: int | Tensor) -> tuple[Tensor, Tensor]:
    """Return the two words that Threefry-2x32, with 20 rounds, makes of the counters (0, 0) to (count - 1, 0).

    All elements take the same operations, so XLA fuses them with the code that uses the words and vectorizes both. XLA
    on a CPU vectorizes none of TensorFlow's own generators for many keys at once.

    A number depends only on its key and its position, so a larger `count` begins with the same numbers.

    Args:
      keys: integers of 32 bits, [..., 2].
      count: how many counters.

    Returns:
      Two tensors uint32 [..., count].

    References:
      Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    first, second = (tf.bitcast(keys[..., i, tf.newaxis], tf.uint32) for i in (0, 1))
    third = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), tf.constant(PARITY, tf.uint32))
    schedule = (first, second, third)
    a = tf.bitcast(tf.range(count), tf.uint32) + first
    b = tf.zeros_like(a) + second
    for block in range(5):
        for turn in ROTATIONS[block % 2]:
            a = a + b
            left = tf.bitwise.left_shift(b, tf.constant(turn, tf.uint32))
            right = tf.bitwise.right_shift(b, tf.constant(32 - turn, tf.uint32))
            b = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_or(left, right), a)
        a = a + schedule[(block + 1) % 3]
        b = b + schedule[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return a, b
