"""Running sums of importance weights and of weighted values, in compiled code.

The sums grow by one tile of samples at a time, so memory does not depend on the number of samples. All of them are kept
relative to the largest weight so far, so weights of e^-1000 count correctly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import ThreefryGenerator
from tfp_vae.core.types import DType, Tensor

__all__ = ["Moments", "Slots", "Weights"]

OTHER_KEY = 0x2C1B3C6D
"""Separates the seed that chooses samples from the seed of the samples themselves."""


class Weights(NamedTuple):
    """Sums of the weights seen so far, for each of any number of cells.

    peak: the largest log w so far, [...].
    total: sum of w / e^peak, float64 [...].
    squares: sum of (w / e^peak)^2, float64 [...].
    """

    peak: Tensor
    total: Tensor
    squares: Tensor

    @classmethod
    def empty(cls, shape: Sequence[int], dtype: DType) -> Weights:
        """Return the sums before the first sample."""
        zeros = tf.zeros(shape, tf.float64)
        return cls(tf.fill(shape, tf.constant(dtype.min, dtype)), zeros, zeros)

    def add(self, log_w: Tensor) -> Weights:
        """Return the sums with the samples log_w [S, ...] added."""
        peak = tf.maximum(self.peak, tf.reduce_max(log_w, axis=0))
        w, shrink = tf.exp(log_w - peak), tf.cast(tf.exp(self.peak - peak), tf.float64)
        total = shrink * self.total + tf.cast(tf.reduce_sum(w, axis=0), tf.float64)
        return Weights(peak, total, shrink**2 * self.squares + tf.cast(tf.reduce_sum(w**2, axis=0), tf.float64))

    @property
    def log_total(self) -> np.ndarray:
        """The logarithm of the sum of the weights, float64 [...]."""
        return np.asarray(np.log(self.total) + np.asarray(self.peak, np.float64))

    @property
    def ess(self) -> np.ndarray:
        """The effective sample size, (sum w)^2 / sum w^2, [...]."""
        return np.asarray(np.asarray(self.total) ** 2 / np.asarray(self.squares))


class Moments(NamedTuple):
    """Weighted sums of F values per example, from which averages and their errors follow, float64 [B, F] each.

    center: a number near the average. The sums are those of h - center, so that little cancels.
    first, second: sums of w (h - center) and w (h - center)^2.
    squared_first, squared_second: the same sums with w^2.
    inner: sum of w v, where v is the variance of the values whose mean is h.
    """

    center: Tensor
    first: Tensor
    second: Tensor
    squared_first: Tensor
    squared_second: Tensor
    inner: Tensor

    @classmethod
    def empty(cls, shape: Sequence[int]) -> Moments:
        """Return the sums before the first sample."""
        return cls(*(tf.zeros(shape, tf.float64) for _ in cls._fields))

    def add(self, before: Weights, after: Weights, log_w: Tensor, h: Tensor, variance: Tensor) -> Moments:
        """Return the sums with the samples h [S, B, F] and log_w [S, B] added.

        A sample without weight does not count, even if h or its variance is infinite there.

        Args:
          before: the sums of the weights before these samples.
          after: the sums with these samples.
          log_w: the logarithms of their weights.
          h: the values.
          variance: of the values whose mean is h, [S, B, F].
        """
        new, near = (before.total == 0)[:, tf.newaxis], tf.cast(tf.reduce_mean(h, axis=0), tf.float64)
        center = tf.where(new, tf.where(tf.math.is_finite(near), near, 0), self.center)
        w = tf.exp(log_w - after.peak)
        counts, nothing = w[..., tf.newaxis] > 0, tf.zeros([], h.dtype)
        d, variance = tf.where(counts, h - tf.cast(center, h.dtype), nothing), tf.where(counts, variance, nothing)
        shrink = tf.cast(tf.exp(before.peak - after.peak), tf.float64)[:, tf.newaxis]

        def mean(weights: Tensor, values: Tensor) -> Tensor:
            return tf.cast(tf.einsum("sb,sbf->bf", weights, values), tf.float64)

        return Moments(
            center,
            shrink * self.first + mean(w, d),
            shrink * self.second + mean(w, d**2),
            shrink**2 * self.squared_first + mean(w**2, d),
            shrink**2 * self.squared_second + mean(w**2, d**2),
            shrink * self.inner + mean(w, variance),
        )

    def average(self, weights: Weights) -> np.ndarray:
        """Return the weighted average of h, [B, F]."""
        return np.asarray(self.center + self.first / weights.total[:, np.newaxis])

    def deviation(self, weights: Weights) -> np.ndarray:
        """Return the standard deviation of the mixture: of h over the weights, and within each sample, [B, F]."""
        total = np.asarray(weights.total)[:, np.newaxis]
        between = np.asarray(self.second) / total - (np.asarray(self.first) / total) ** 2
        return np.asarray(np.sqrt(np.maximum(between, 0) + np.asarray(self.inner) / total))

    def error(self, weights: Weights) -> np.ndarray:
        """Return the Monte Carlo standard error of `average`, sqrt(sum w^2 (h - average)^2) / sum w, [B, F]."""
        total = np.asarray(weights.total)[:, np.newaxis]
        mean = np.asarray(self.first) / total
        squares = np.asarray(self.squared_second) - 2 * mean * np.asarray(self.squared_first)
        squares = squares + mean**2 * np.asarray(weights.squares)[:, np.newaxis]
        return np.asarray(np.sqrt(np.maximum(squares, 0)) / total)


class Slots(NamedTuple):
    """M samples for each example, drawn with replacement in proportion to the weights seen so far.

    values: what is kept of each sample, [B, M, F].
    """

    values: Tensor

    def add(self, before: Weights, after: Weights, log_w: Tensor, values: Tensor, seeds: Tensor) -> Slots:
        """Return the samples after a tile with log_w [S, B] and values [S, B, F].

        Each slot takes a sample of the tile with a probability of the tile's share of all weights so far. So every slot
        is an independent draw from all samples, although none of them is kept.

        Args:
          before: the sums of the weights before the tile.
          after: the sums with the tile.
          log_w: the logarithms of the weights.
          values: what to keep of the samples.
          seeds: a seed for each example, [B, 2].
        """
        count, dtype = int(self.values.shape[1]), log_w.dtype
        seeds = tf.bitwise.bitwise_xor(seeds, OTHER_KEY)
        u = ThreefryGenerator().uniform([2, count], seeds, dtype)  # [B, 2, M]
        w = tf.transpose(tf.exp(log_w - tf.reduce_max(log_w, axis=0)))  # [B, S]
        steps = tf.cumsum(w, axis=1)
        below = steps[:, tf.newaxis] <= u[:, 1, :, tf.newaxis] * steps[:, -1:, tf.newaxis]  # [B, M, S]
        chosen = tf.minimum(tf.reduce_sum(tf.cast(below, tf.int32), axis=-1), w.shape[1] - 1)
        found = tf.gather(tf.transpose(values, [1, 0, 2]), chosen, batch_dims=1)
        kept = tf.cast(tf.exp(before.peak - after.peak), tf.float64) * before.total / after.total
        fresh = tf.cast(u[:, 0], tf.float64) >= kept[:, tf.newaxis]
        return Slots(tf.where(fresh[..., tf.newaxis], found, self.values))
