"""Inspection: what a data set contains, and which held-out examples are in the training data too.

It draws no random numbers that a training uses, changes nothing, and takes any data that can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.core.supports import NOT_INFINITE, PRESENT
from tfp_vae.data.dataset import SPLITS, Dataset, first_flaw

__all__ = ["Duplicates", "Duplication", "describe", "find_duplicates", "nearest_rows", "pick_examples"]

NEAR = 0.1
"""The distance of near-duplicates, as a share of the median distance of two training examples."""

PAIRS = 1_000
"""The most pairs of training examples for that median."""

PAIR_VALUES = 1 << 28
"""The most differences for that median. Of large examples, fewer pairs are compared."""

MOST_PRODUCTS = 1 << 39
"""The most multiplications for a search for near-duplicates. Beyond that, a sample of the examples is searched."""

BLOCK = 2_048
"""The most rows that are compared at once."""

BLOCK_SIZE = 1 << 23
"""Values that are compared at once. A row of a large image is a block of its own."""

LISTED = 5
"""The most near-duplicates to list."""


class Duplication(NamedTuple):
    """An example of a held-out split and the training example that it repeats, by their names in the source."""

    held_out: str
    train: str
    distance: float


class Duplicates(NamedTuple):
    """Examples of a held-out split that are in the training data too.

    identical: the number that are equal in every value.
    near: the number within `radius` of a training example, including identical ones.
    searched, among: the numbers of held-out and of training examples that were compared.
    left_out: the number of held-out examples that were not searched for near-duplicates, because it takes too long.
    radius: a tenth of the median distance of two training examples, as a root mean square difference.
    nearest: the nearest of them.
    """

    identical: int
    near: int
    searched: int
    among: int
    left_out: int
    radius: float
    nearest: tuple[Duplication, ...]


def describe(raw: Dataset) -> dict[str, Any]:
    """Return the facts about a data set that hold whether or not you can train on it, as a JSON object.

    Args:
      raw: before scaling.
    """
    counts: dict[str, dict[str, object]] = {}
    for kind, support in (("missing", PRESENT), ("infinite", NOT_INFINITE)):
        flaw = first_flaw(raw, support)
        counts[kind] = {
            "values": sum(int(np.count_nonzero(~support.contains(x))) for x in raw.parts),
            "examples": 0 if flaw is None else flaw.examples,
            "first": None if flaw is None else f"{flaw.split}: {raw.splits[flaw.split].source_name(flaw.row)}",
        }
    return {
        "dataset": raw.name,
        "event_shape": list(raw.event_shape),
        "dtype": str(raw.train.x.dtype),
        "splits": raw.sizes(),
        "split_rule": raw.split_rule,
        "range": moments(raw.parts),
        **counts,
        "labels": None if raw.train.y is None else count_labels(raw),
    }


def moments(parts: Sequence[np.ndarray]) -> dict[str, float]:
    """Return the least value, the greatest, the mean and the standard deviation of the finite values, or NaNs.

    Blocks of rows are read twice, so memory does not grow with the data.

    Args:
      parts: arrays [N, *event_shape] of one event shape.
    """
    low, high, total, count = np.inf, -np.inf, 0.0, 0
    for rows in blocks(parts):
        low, high = min(low, float(rows.min(initial=np.inf))), max(high, float(rows.max(initial=-np.inf)))
        total, count = total + float(rows.sum()), count + rows.size
    if not count:
        return dict.fromkeys(("min", "max", "mean", "std"), float("nan"))
    mean = total / count
    with np.errstate(over="ignore"):  # of the squares of numbers such as 1e300
        squares = sum(float(np.square(rows - mean).sum()) for rows in blocks(parts))
    return {"min": low, "max": high, "mean": mean, "std": float(np.sqrt(squares / count))}


def blocks(parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the finite values of arrays [N, *event_shape] as float64, a block of rows at a time."""
    for x in parts:
        step = block_rows(x)
        for start in range(0, len(x), step):
            rows = np.asarray(x[start : start + step], np.float64)
            yield rows[np.isfinite(rows)]


def block_rows(x: np.ndarray) -> int:
    """Return how many rows of x [N, ...] are read at once."""
    return min(BLOCK, max(1, BLOCK_SIZE // max(1, x[:1].size)))


def count_labels(data: Dataset) -> dict[str, object]:
    """Return each class with its number of examples in each split, the most frequent first, as a JSON object.

    Args:
      data: with labels.
    """
    counts: dict[str, dict[str, int]] = {}
    for name, split in data.splits.items():
        classes, sizes = np.unique([] if split.y is None else split.y, return_counts=True)
        for label, size in zip(classes.astype(np.str_).tolist(), sizes.tolist(), strict=True):
            counts.setdefault(label, dict.fromkeys(SPLITS, 0))[name] = size
    ordered = sorted(counts.items(), key=lambda item: -sum(item[1].values()))
    return {"classes": len(ordered), "examples": dict(ordered)}


def find_duplicates(data: Dataset, split: str) -> Duplicates:
    """Return which examples of a held-out split are in the training data too, exactly or nearly.

    Distances are root mean square differences of scaled values. For vectors they are in standard deviations of each
    feature, so that no feature outweighs the others by its unit. An example is near if its distance is at most a tenth
    of the median distance of two training examples. All pairs are compared if that takes at most 5 10^11
    multiplications. Otherwise, a seeded sample of the held-out examples represents all, and `left_out` counts the rest.
    Rows are compared in blocks, so memory does not grow with the number or the size of the examples.

    A missing cell counts as the mean of its column.

    Held-out examples that are also in the training data make log p(x) look better than it is. Near ones may be copies,
    or two pictures of one thing.

    Args:
      data: scaled.
      split: `validation` or `test`.
    """
    train, held_out = data.train, data.splits[split]
    a, b = train.x.reshape(len(train), -1), held_out.x.reshape(len(held_out), -1)
    if np.isnan(a.sum() + b.sum()):  # missing cells of a mixed table
        means = np.nan_to_num(np.nanmean(np.vstack([a, np.zeros_like(a[:1])]), axis=0))
        a, b = np.where(np.isnan(a), means, a), np.where(np.isnan(b), means, b)
    if train.x.ndim == 2:
        spread = a.std(axis=0)
        spread = np.where(spread > 0, spread, 1)
        a, b = a / spread, b / spread
    draw = generator(FIXED_SEED, Purpose.INSPECTION)
    most = max(1, MOST_PRODUCTS // max(1, a.size))
    rows = np.sort(draw.permutation(len(b))[:most]) if most < len(b) else np.arange(len(b))
    radius = NEAR * typical_distance(a, draw)
    places, found = nearest_rows(a, b if len(rows) == len(b) else b[rows])
    near = np.flatnonzero(found <= radius)
    closest = near[np.argsort(found[near], kind="stable")][:LISTED]
    # Sixteen bytes represent a row. Adding 0 turns -0 into 0.
    train_digests, other_digests = (
        [hashlib.blake2b(np.ascontiguousarray(row + 0.0).data, digest_size=16).digest() for row in x] for x in (a, b)
    )
    return Duplicates(
        identical=sum(map(set(train_digests).__contains__, other_digests)),
        near=len(near),
        searched=len(rows),
        among=len(a),
        left_out=len(b) - len(rows),
        radius=radius,
        nearest=tuple(
            Duplication(held_out.source_name(int(rows[i])), train.source_name(int(places[i])), float(found[i]))
            for i in closest
        ),
    )


def typical_distance(a: np.ndarray, draw: np.random.Generator) -> float:
    """Return the median distance of two rows of a [N, M], from up to 1,000 random pairs. It is 0 for a single row.

    Each pair is computed once, so a few examples need a few distances.
    """
    count = max(1, min(PAIRS, PAIR_VALUES // max(1, a.shape[1])))
    pairs = np.sort(draw.integers(len(a), size=(2, PAIRS))[:, :count], axis=0)
    pairs = np.unique(pairs[:, pairs[0] < pairs[1]], axis=1)
    return float(np.median(distances(a, a, pairs[0], pairs[1]))) if pairs.size else 0.0


def distances(a: np.ndarray, b: np.ndarray, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the root mean square difference of a[rows] [n, M] from b[others] [n, M], a block at a time."""
    found = np.empty(len(rows))
    step = block_rows(a)
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        difference = np.square(a[rows[block]] - b[others[block]], dtype=np.float64)
        found[block] = np.sqrt(difference.mean(axis=-1))
    return found


def nearest_rows(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row of b [N, M] the index of the nearest row of a, and its root mean square difference.

    Matrix products of centred rows find it by |a - b|^2 = |a|^2 - 2 a.b + |b|^2, a block of rows at a time, so that
    memory does not grow with the number of pairs. Centring matters because large means would hide small differences.
    """
    centre = a.mean(axis=0)
    step = block_rows(a)
    places = np.zeros(len(b), np.int64)
    for start in range(0, len(b), step):
        minus_2b = -2 * (b[start : start + step] - centre)
        best = np.full(len(minus_2b), np.inf)
        for first in range(0, len(a), step):
            centred = a[first : first + step] - centre
            squares = minus_2b @ centred.T
            squares += np.square(centred).sum(axis=1)
            least = squares.argmin(axis=1)
            values = squares[np.arange(len(best)), least]
            better = values < best
            best[better] = values[better]
            places[start : start + step][better] = first + least[better]
    return places, distances(a, b, places, np.arange(len(b)))


def pick_examples(data: Dataset, count: int) -> np.ndarray:
    """Return up to `count` training examples, class by class and equally many of each class.

    Args:
      data: scaled or not.
      count: the most examples. Without labels they are spread evenly over the training data.
    """
    y, x = data.train.y, data.train.x
    if y is None:
        return np.asarray(x[np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)])
    classes = np.unique(y)[:count]
    each = count // len(classes)
    return np.concatenate([x[np.flatnonzero(y == label)[:each]] for label in classes])
