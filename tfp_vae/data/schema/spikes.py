"""Spikes: single counts that are far more frequent than their neighbours, such as 40 among hours of work per week."""

from __future__ import annotations

import math

import numpy as np

from tfp_vae.data.schema.suspicious import Tally

__all__ = ["find_spikes"]

LEAST_SHARE = 0.005
"""A spike exceeds the share of its count under a smooth distribution by this much or more."""

LEAST_CELLS = 10
"""A spike has at least this many cells."""

ERRORS = 5
"""A spike exceeds the smooth distribution by this many standard errors or more."""

ABOVE_NEIGHBOURS = 2
"""A spike has more than this many times the cells that the counts below and above it have on average."""

MOST_SPIKES = 16
"""The most spikes of a column, the most frequent first. More would make little difference."""


def find_spikes(tally: Tally) -> tuple[int, ...]:
    """Return the spikes of a column of counts, the most frequent first, at most 16.

    The smooth distribution is the negative binomial with the mean and the variance of the column, or nearly a Poisson
    if the counts vary less. It can have many zeros by itself, so frequent zeros are a spike only if they exceed it.

    ```python
    from tfp_vae.data.schema.spikes import find_spikes
    from tfp_vae.data.schema.suspicious import Tally

    find_spikes(Tally(np.array([38.0, 39.0, 40.0, 41.0]), np.array([20, 15, 300, 18])))  # (40,)
    ```

    Args:
      tally: the different counts, and how often each occurs.
    """
    values, counts = tally
    total = counts.sum()
    often = np.flatnonzero(counts >= max(LEAST_CELLS, LEAST_SHARE * total))
    if not len(often) or not values.any():
        return ()
    mean = float(values @ counts) / total
    variance = float((values - mean) ** 2 @ counts) / total
    size = min(max(mean**2 / max(variance - mean, 1e-9), 1e-3), 1e6)
    cells = dict(zip(values.tolist(), counts.tolist(), strict=True))
    found = list[tuple[int, int]]()
    for value, count in zip(values[often].tolist(), counts[often].tolist(), strict=True):
        expected = math.exp(log_probability(value, mean, size))
        noise = ERRORS * math.sqrt(expected * (1 - expected) / total)
        beside = [cells.get(value + step, 0) for step in (-1, 1) if value + step >= 0]
        if count / total - expected >= max(LEAST_SHARE, noise) and count * len(beside) > ABOVE_NEIGHBOURS * sum(beside):
            found.append((count, int(value)))
    return tuple(value for _, value in sorted(found, reverse=True)[:MOST_SPIKES])


def log_probability(count: float, mean: float, size: float) -> float:
    """Return the logarithm of the probability of a count under a negative binomial.

    Args:
      count: the count.
      mean: its mean, above 0.
      size: r, with the variance mean + mean^2 / r.
    """
    ways = math.lgamma(count + size) - math.lgamma(size) - math.lgamma(count + 1)
    return ways + size * math.log(size / (size + mean)) + count * math.log(mean / (size + mean))
