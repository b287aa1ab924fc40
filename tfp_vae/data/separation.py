"""`separation`: whether rows form groups that lie far apart, for which one Normal is a poor prior."""

from __future__ import annotations

import warnings

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
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a group without rows is ruled out below
        found = KMeans(k, n_init=STARTS, max_iter=ROUNDS, random_state=0).fit(x)
    centres, groups, others = found.cluster_centers_, found.labels_, found.predict(held_out)
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
