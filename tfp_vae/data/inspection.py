"""Inspection: what is in a data set, and whether it can be trained on.

`inspect` puts together what `kinds` says of the values, what is missing, the classes, which likelihoods fit, and
`duplicates`; it draws nothing that a training draws. It changes nothing and takes any data that can be read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.core.supports import NOT_INFINITE, PRESENT, Support
from tfp_vae.data.dataset import SPLITS, Dataset, not_finite

__all__ = ["Duplicates", "Duplication", "duplicates", "facts", "pictured"]

NEAR = 0.1
"""How near a near-duplicate is, as a share of the median distance of two training examples."""

PAIRS = 1_000
"""How many pairs of training examples that median is of."""

MOST_PRODUCTS = 1 << 39
"""The most products of numbers that a search for near-duplicates may cost; beyond it, it searches among a part."""

BLOCK = 2_048
LISTED = 5


class Duplication(NamedTuple):
    """An example of a held-out split, and the training example it repeats; by what to call them in the source."""

    held_out: str
    train: str
    distance: float


class Duplicates(NamedTuple):
    """Examples of a held-out split that are in the training data too.

    identical: how many are there value for value.
    near: how many lie nearer to a training example than `radius`, those that are identical among them.
    searched, among: how many held-out examples were compared with how many training examples.
    radius: a tenth of the median distance of two training examples, in units of root mean square difference.
    nearest: the nearest of them.
    """

    identical: int
    near: int
    searched: int
    among: int
    radius: float
    nearest: tuple[Duplication, ...]


def facts(raw: Dataset) -> dict[str, Any]:
    """Return the facts about a data set that hold whether or not you can train on it, as a JSON object.

    Args:
      raw: as it was read, not scaled.
    """
    return {
        "dataset": raw.name,
        "event_shape": list(raw.event_shape),
        "dtype": str(raw.train.x.dtype),
        "splits": raw.sizes(),
        "split_rule": raw.split_rule,
        "range": _range(raw),
        "missing": _without(raw, PRESENT),
        "infinite": _without(raw, NOT_INFINITE),
        "labels": _labels(raw),
    }


def _range(data: Dataset) -> dict[str, float]:
    """Return the least and the greatest value, the mean and the standard deviation of all finite values."""
    finite = [x[np.isfinite(x)] for x in data.parts]
    values = np.concatenate(finite)
    if not len(values):
        return dict.fromkeys(("min", "max", "mean", "std"), float("nan"))
    mean = values.mean(dtype=np.float64)
    return {
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": float(mean),
        "std": float(values.std(dtype=np.float64)),
    }


def _without(data: Dataset, support: Support) -> dict[str, Any]:
    """Return how many values are outside a support, in how many examples, and which is the first of those."""
    found = not_finite(data, support)
    if found is None:
        return {"values": 0, "examples": 0, "first": None}
    first = f"{found.split}: {getattr(data, found.split).whence(found.row)}"
    values = sum(int(np.count_nonzero(~support.contains(x))) for x in data.parts)
    return {"values": values, "examples": found.examples, "first": first}


def _labels(data: Dataset) -> dict[str, Any] | None:
    """Return each class with its number of examples in each split, the most frequent first; None without labels."""
    if data.train.y is None:
        return None
    counts: dict[str, dict[str, int]] = {}
    for name in SPLITS:
        y = getattr(data, name).y
        classes, sizes = np.unique([] if y is None else y, return_counts=True)
        for label, size in zip(classes.astype(np.str_).tolist(), sizes.tolist(), strict=True):
            counts.setdefault(label, dict.fromkeys(SPLITS, 0))[name] = size
    ordered = sorted(counts.items(), key=lambda item: -sum(item[1].values()))
    return {"classes": len(ordered), "examples": dict(ordered)}


def duplicates(data: Dataset, split: str) -> Duplicates:
    """Return which examples of a held-out split are in the training data too, exactly or nearly.

    Distances are root mean square differences of scaled values; of vectors, in standard deviations of each feature, so
    that none outweighs the others by its unit. Near is nearer than a tenth of the median distance of
    two training examples, found by comparing all pairs; where that would cost more than 5 10^11 products, a seeded part
    of the held-out examples stands for all.

    Held-out examples that were trained on flatter a model's log p(x); near ones may be copies, or the same thing drawn
    twice. They are found by matrix products, a block of 2,048 examples by another, so that memory does not grow with
    the pairs.

    Args:
      data: scaled.
      split: `validation` or `test`.
    """
    train, held_out = data.train, getattr(data, split)
    a, b = _comparable(train.x, held_out.x)
    draw = generator(FIXED_SEED, Purpose.INSPECTION)
    most = max(1, MOST_PRODUCTS // max(1, a.size))
    rows = np.sort(draw.permutation(len(b))[:most]) if most < len(b) else np.arange(len(b))
    radius = NEAR * _median_distance(a, draw)
    places, distances = _nearest(a, b[rows])
    near = np.flatnonzero(distances <= radius)
    closest = near[np.argsort(distances[near], kind="stable")][:LISTED]
    return Duplicates(
        identical=_identical(a, b),
        near=len(near),
        searched=len(rows),
        among=len(a),
        radius=float(radius),
        nearest=tuple(
            Duplication(held_out.whence(int(rows[i])), train.whence(int(places[i])), float(distances[i]))
            for i in closest
        ),
    )


def _comparable(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return examples as rows, vectors in standard deviations of a's features."""
    if a.ndim > 2:
        return a.reshape(len(a), -1), b.reshape(len(b), -1)
    spread = a.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    return a / spread, b / spread


def _identical(a: np.ndarray, b: np.ndarray) -> int:
    known = {_digest(row) for row in a}
    return sum(_digest(row) in known for row in b)


def _digest(row: np.ndarray) -> bytes:
    """Return sixteen bytes that stand for an example; of two that differ they are the same by a chance of 2^-128."""
    return hashlib.blake2b(np.ascontiguousarray(row + 0.0).data, digest_size=16).digest()  # + 0.0: -0 is 0


def _median_distance(a: np.ndarray, draw: np.random.Generator) -> float:
    first, second = draw.integers(len(a), size=(2, PAIRS))
    return float(np.median(_distance(a[first], a[second])))


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(np.mean(np.square(a - b, dtype=np.float64), axis=-1)))


def _nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row of b the nearest row of a, and its distance: |a - b|^2 = |a|^2 - 2 a.b + |b|^2.

    On centred values, as |a|^2 - 2 a.b + |b|^2 of large means would leave nothing of small differences; the distance
    itself is then taken of the differences.
    """
    centre = a.mean(axis=0)  # large means would leave nothing of small differences
    centred = a - centre
    norms = np.square(centred).sum(axis=1)
    places = [_nearest_of_block(centred, norms, rows - centre) for rows in _blocks(b)]
    distances = [_distance(a[found], rows) for found, rows in zip(places, _blocks(b), strict=True)]
    return np.concatenate(places), np.concatenate(distances)


def _nearest_of_block(a: np.ndarray, norms: np.ndarray, b: np.ndarray) -> np.ndarray:
    best, places, minus_2b = np.full(len(b), np.inf), np.zeros(len(b), np.int64), -2 * b
    for i, rows in enumerate(_blocks(a)):
        squares = minus_2b @ rows.T
        squares += norms[i * BLOCK : i * BLOCK + len(rows)]
        least = squares.argmin(axis=1)
        values = squares[np.arange(len(b)), least]
        better = values < best
        best[better], places[better] = values[better], least[better] + i * BLOCK
    return places


def _blocks(x: np.ndarray) -> Iterator[np.ndarray]:
    return (x[start : start + BLOCK] for start in range(0, len(x), BLOCK))


def pictured(data: Dataset, count: int) -> np.ndarray:
    """Return up to `count` training examples, as many of each class as there is room for, class by class.

    Args:
      data: scaled.
      count: at most; without labels, evenly spread over the training data.
    """
    y, x = data.train.y, data.train.x
    if y is None:
        return np.asarray(x[np.linspace(0, len(x) - 1, min(count, len(x))).astype(int)])
    classes = np.unique(y)[:count]
    each = count // len(classes)
    return np.concatenate([x[np.flatnonzero(y == label)[:each]] for label in classes])
