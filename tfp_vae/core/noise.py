"""Noise: uniform and Normal draws from stateless seeds, by the generator that suits how a function is run.

A stateless seed gives the same draw whenever it is asked, and two draws need two seeds: see `seeds.fold`. How a
function is run (`execution.running`) decides the generator: in a function compiled by XLA, Threefry written out; else
TensorFlow's own. So the same seed gives other numbers under another execution, and a run keeps to one.
"""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, final

from tfp_vae.core.execution import running
from tfp_vae.core.lazy import tf
from tfp_vae.core.seeds import Seed, fold

__all__ = ["from_each", "standard_normal", "threefry", "uniform"]

_DRAWS: contextvars.ContextVar[Iterator[Any] | None] = contextvars.ContextVar("draws", default=None)
"""The seeds of the next draws within `from_each`, [B, 2] for each draw."""

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def uniform(shape: Any, seed: Seed, dtype: Any) -> Any:
    """Return draws from the uniform distribution on [0, 1), of `shape`.

    Args:
      shape: of the draws, a tuple or a tensor.
      seed: a stateless seed, two integers.
      dtype: float32, on a grid of 2^-23, or float64.
    """
    return _GENERATORS.get(running(), _STOCK).uniform(shape, seed, tf.as_dtype(dtype))


def standard_normal(shape: Sequence[Any], seed: Seed, dtype: Any) -> Any:
    """Return draws from N(0, 1).

    Args:
      shape: [n, ...]; within `from_each`, [n, B, ...].
      seed: a stateless seed; ignored within `from_each`.
      dtype: float32 or float64.

    Returns:
      Draws of `shape`. Under XLA by the inverse distribution function of a uniform grid, whose outermost points in
      float32 are 5.3 standard deviations out: rarer values never come.
    """
    generator, draws = _GENERATORS.get(running(), _STOCK), _DRAWS.get()
    if draws is None:
        return generator.normal(shape, seed, tf.as_dtype(dtype))
    seeds, (n, _, *rest) = next(draws), shape
    each = generator.normal_of_each([n, *rest], seeds, tf.as_dtype(dtype))  # [B, n, ...]
    return tf.transpose(each, [1, 0, *range(2, len(shape))])


@contextlib.contextmanager
def from_each(seeds: Any) -> Iterator[None]:
    """In this block, draw the Normal noise of each of B examples from a seed of its own.

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
    token = _DRAWS.set(_seeds_of_draws(seeds))
    try:
        yield
    finally:
        _DRAWS.reset(token)


def _seeds_of_draws(seeds: Any) -> Iterator[Any]:
    """Yield the seeds [B, 2] of the first draw, of the second, and so on."""
    yield seeds
    for draw in itertools.count(1):
        yield tf.map_fn(lambda seed, draw=draw: fold(seed, draw), tf.convert_to_tensor(seeds, tf.int32))


def threefry(keys: Any, count: int | Any) -> tuple[Any, Any]:
    """Return the two words that Threefry-2x32, of 20 rounds, makes of the counters (0, 0) to (count - 1, 0).

    It is written in TensorFlow's operations because those of one element are all alike, so that XLA fuses them with
    what the words are for, and vectorizes both. Of TensorFlow's own generators XLA on a CPU vectorizes none for many
    keys at once.

    A key's numbers are a function of it and of their places alone: asked for more of them, it gives the same first
    ones.

    Args:
      keys: integers of 32 bits, [..., 2].
      count: how many counters.

    Returns:
      uint32 [..., count], twice.

    References:
      Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3.
    """
    first, second = (tf.bitcast(keys[..., i, tf.newaxis], tf.uint32) for i in (0, 1))
    third = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(first, second), tf.constant(PARITY, tf.uint32))
    schedule = (first, second, third)
    a = tf.bitcast(tf.range(count), tf.uint32) + first
    b = tf.zeros_like(a) + second
    for block in range(5):
        for rotation in ROTATIONS[block % 2]:
            a = a + b
            b = tf.bitwise.bitwise_xor(_rotated(b, rotation), a)
        a = a + schedule[(block + 1) % 3]
        b = b + schedule[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return a, b


def _rotated(words: Any, by: int) -> Any:
    left = tf.bitwise.left_shift(words, tf.constant(by, tf.uint32))
    return tf.bitwise.bitwise_or(left, tf.bitwise.right_shift(words, tf.constant(32 - by, tf.uint32)))


def _of_words(shape: Any, seeds: Any, dtype: Any) -> Any:
    """Return uniform draws of `shape` for each of seeds [..., 2]: the words' highest bits, as many as a float holds."""
    words = threefry(tf.convert_to_tensor(seeds, tf.int32), tf.reduce_prod(shape))
    numbers = _FRACTIONS[dtype.name](*words)
    return tf.reshape(numbers, tf.concat([tf.shape(seeds)[:-1], shape], axis=0))


def _float32(a: Any, b: Any) -> Any:
    del b
    return tf.cast(tf.bitcast(tf.bitwise.right_shift(a, tf.constant(9, tf.uint32)), tf.int32), tf.float32) * 2.0**-23


def _float64(a: Any, b: Any) -> Any:
    high, low = (tf.cast(word, tf.float64) for word in (a, tf.bitwise.right_shift(b, tf.constant(12, tf.uint32))))
    return (high * 2.0**20 + low) * 2.0**-52


def _quantiles(shape: Any, seeds: Any, dtype: Any) -> Any:
    """Return Normal draws, sqrt(2) erfinv(2 u - 1 + epsilon); the largest of float32 are 5.3 on either side.

    Half a step of the uniform grid is added, so that neither end is reached, where erfinv is infinite.
    """
    halfway = tf.constant(dtype.as_numpy_dtype(2.0 ** -_BITS[dtype.name]))
    return math.sqrt(2) * tf.math.erfinv(2 * _of_words(shape, seeds, dtype) - 1 + halfway)


_FRACTIONS: dict[str, Callable[[Any, Any], Any]] = {"float32": _float32, "float64": _float64}
_BITS = {"float32": 23, "float64": 52}


def _stock_normal(shape: Any, seed: Seed, dtype: Any) -> Any:
    return tf.random.stateless_normal(shape, seed, dtype=dtype)


def _stock_normal_of_each(shape: Any, seeds: Any, dtype: Any) -> Any:
    """Return draws of `shape` for each of seeds [B, 2], one after another.

    TensorFlow's generators take one seed at a time.
    """
    return tf.map_fn(lambda seed: _stock_normal(shape, seed, dtype), seeds, fn_output_signature=dtype)


def _stock_uniform(shape: Any, seed: Seed, dtype: Any) -> Any:
    return tf.random.stateless_uniform(shape, seed, dtype=dtype)


@final
class _Generator(NamedTuple):
    """How noise is made: (shape, seed, dtype) -> draws; of each of seeds [B, 2], [B, *shape]."""

    uniform: Callable[[Any, Seed, Any], Any]
    normal: Callable[[Any, Seed, Any], Any]
    normal_of_each: Callable[[Any, Any, Any], Any]


_STOCK = _Generator(_stock_uniform, _stock_normal, _stock_normal_of_each)
_GENERATORS = {"xla": _Generator(_of_words, _quantiles, _quantiles)}
