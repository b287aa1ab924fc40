"""`separation`: whether rows form groups that lie far apart, for which one Normal is a poor prior."""

from __future__ import annotations

import numpy as np

__all__ = ["separation"]

MOST_GROUPS, LEAST_SHARE = 6, 0.05
"""The most groups that are tried, and the share of the rows that each of them needs."""

TINY = 1e-9
"""A smaller deviation is a rounding error."""

STARTS, ROUNDS = 3, 20
"""The starts of k-means, and the rounds of each."""

RIDGE = 0.01
"""Added to the variances within groups, so that constant columns do not matter."""


def separation(rows: np.ndarray) -> float:
    """Return how far apart groups of rows lie: the distance of two of them, over the sum of their deviations.

    k-means finds k groups of the odd rows. The even rows then measure each pair of groups along the direction that
    separates it best, as in a linear discriminant analysis. The closest pair counts, and the best k. A single Normal
    gets 1.3, because k-means cuts it into halves. From about 3 on, few rows lie between the groups.

    k-means overlooks two groups in one of many columns, so each column alone is cut into two groups as well.

    Args:
      rows: finite numbers [N, C], with N above C.
    """
    deviations = rows.std(axis=0)
    x = (rows - rows.mean(axis=0)) / np.where(deviations > 0, deviations, 1)
    fitted, held_out = x[1::2], x[::2]
    joint = [smallest_distance(fitted, held_out, k) for k in range(2, MOST_GROUPS + 1)]
    return max(*joint, *(distance_in_column(*columns) for columns in zip(fitted.T, held_out.T, strict=True)))


def smallest_distance(x: np.ndarray, held_out: np.ndarray, k: int) -> float:
    """Return the distance of the closest two of k groups of the rows x [N, C], measured on other rows."""
    centres = find_centres(x, k)
    groups, others = nearest(x, centres), nearest(held_out, centres)
    shares = np.bincount(others, minlength=k) / len(others)
    if shares.min() < LEAST_SHARE:
        return 0.0
    within = np.cov((x - centres[groups]).T).reshape(x.shape[1], -1) + RIDGE * np.eye(x.shape[1])
    directions = np.linalg.solve(within, centres.T)  # [C, k], their differences separate two groups
    distances = []
    for a in range(k):
        for b in range(a):
            direction = directions[:, a] - directions[:, b]
            distances.append(distance(held_out[others == a] @ direction, held_out[others == b] @ direction))
    return min(distances)


def distance_in_column(x: np.ndarray, held_out: np.ndarray) -> float:
    """Return the distance of two groups of the values x [N], cut where k-means would, measured on other values."""
    ordered = np.sort(x)
    count, total = np.arange(1, len(x)), np.cumsum(ordered)[:-1]
    low, high = total / count, (ordered.sum() - total) / (len(x) - count)
    place = int(np.argmax(count * (len(x) - count) * (high - low) ** 2))
    is_low = held_out <= (ordered[place] + ordered[place + 1]) / 2
    if not LEAST_SHARE <= is_low.mean() <= 1 - LEAST_SHARE:
        return 0.0
    return distance(held_out[~is_low], held_out[is_low])


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the distance of the means of two groups of numbers, over the sum of their deviations. 0 for two values."""
    spread = first.std() + second.std()
    return float((first.mean() - second.mean()) / spread) if spread > TINY else 0.0


def find_centres(x: np.ndarray, k: int) -> np.ndarray:
    """Return the centres of k groups of rows x [N, C] by k-means, [k, C]. Empty groups keep their centres."""
    draw, found = np.random.default_rng(0), []
    for _ in range(STARTS):
        centres = x[draw.integers(len(x), size=1)]
        while len(centres) < k:  # k-means++
            squares = squared_distances(x, centres).min(axis=1)
            total = squares.sum()
            share = squares / total if total > 0 else np.full(len(x), 1 / len(x))
            centres = np.concatenate([centres, x[draw.choice(len(x), 1, p=share)]])
        for _ in range(ROUNDS):
            groups = nearest(x, centres)
            centres = np.stack([x[groups == g].mean(axis=0) if (groups == g).any() else centres[g] for g in range(k)])
        found.append((squared_distances(x, centres).min(axis=1).sum(), centres))
    return min(found, key=lambda each: each[0])[1]


def nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the index of the nearest centre of each row x [N, C], [N]."""
    return np.asarray(squared_distances(x, centres).argmin(axis=1))


def squared_distances(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distance of each row x [N, C] from each centre [k, C], [N, k]."""
    squares = np.sum(centres**2, axis=1) - 2 * x @ centres.T + np.sum(x**2, axis=1)[:, np.newaxis]
    return np.asarray(np.maximum(squares, 0))
