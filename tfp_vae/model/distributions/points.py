"""Distributions of single cells as weighted points, for integrals over a cell that has no closed form.

Each of the functions here returns Q points of n cells with probabilities that sum to one. The first axis is that of the
points, so any function of a value applies to all of them at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.distributions.counts import Inflated
from tfp_vae.model.distributions.levels import CategoricalLevels, OnGrid, ScalarDistribution

__all__ = ["OnPoints", "Points", "binary_points", "count_points", "level_points", "normal_points", "wide_points"]

STEP, REACH = 0.25, 6.0
"""The distance of neighbouring points and the largest one, in scales. The weights of a Normal are exact to 1e-9."""

WIDE_STEP, WIDE_REACH = 0.2, 6.0
"""The same for arguments of sinh, whose largest value is 200 scales. They suit distributions with long tails."""

COUNT_BINS = 64
"""Bins of counts."""

NOTHING = -1e30
"""The logarithm of the probability of an empty bin. It is finite, so gradients are too."""

BELOW, ABOVE = 8.0, 40.0
"""The bins of counts reach as many standard deviations below and above the mean."""


class Points(NamedTuple):
    """Q points that represent each of n cells.

    values: [Q, ..., n].
    log_probs: the logarithms of their probabilities, which sum to 1, [Q, ..., n] or [Q, 1, ..., 1].
    widths: the lengths of the intervals that they stand for, of a shape that broadcasts with the values.
    family: (values, log_probs, widths) -> the distribution of cells at these points, batch [..., n], event [].
    """

    values: Tensor
    log_probs: Tensor
    widths: Tensor
    family: Callable[[Tensor, Tensor, Tensor], Distribution]

    def reweighted(self, log_factors: Tensor) -> Points:
        """Return the points of the distribution times a function of x, given at the points, [Q, ..., n]."""
        return self._replace(log_probs=tf.nn.log_softmax(self.log_probs + log_factors, axis=0))

    def distribution(self) -> Distribution:
        """Return the distribution of the n cells, batch [..., n], event []."""
        return self.family(*self._on_all())

    def column(self, place: int) -> Distribution:
        """Return the distribution of one of the n cells, batch [...], event []."""
        return self.family(*(each[..., place] for each in self._on_all()))

    def _on_all(self) -> list[Tensor]:
        shape = tf.broadcast_dynamic_shape(tf.shape(self.values), tf.shape(self.log_probs))
        return [tf.broadcast_to(each, shape) for each in self[:3]]


@final
class OnPoints(ScalarDistribution):
    """A distribution on points, each of which stands for the values of an interval around it.

    Mean and variance are those of the points. A sample is uniform on the interval of a random point. It has no density.

    Args:
      values: the points, [Q, ...].
      log_probs: the logarithms of their probabilities, [Q, ...].
      widths: the lengths of the intervals, of a shape that broadcasts with the values.
      whole: whether the values are whole numbers.
    """

    def __init__(self, values: Tensor, log_probs: Tensor, widths: Tensor, *, whole: bool = False) -> None:
        self._values, self._widths, self._whole = values, widths, whole
        self._probs = tf.exp(log_probs)
        last = [*range(1, log_probs.shape.rank), 0]
        self._choice = tfd.Categorical(logits=tf.transpose(log_probs, last))
        super().__init__(
            self._choice,
            values.dtype,
            {"values": values, "log_probs": log_probs, "widths": widths, "whole": whole},
        )

    def _log_prob(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _mean(self) -> Tensor:
        return tf.reduce_sum(self._probs * self._values, axis=0)

    def _variance(self) -> Tensor:
        return tf.reduce_sum(self._probs * (self._values - self._mean()) ** 2, axis=0)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        seeds = tfp.random.split_seed(seed, n=2, salt="points")
        chosen = tf.one_hot(self._choice.sample(n, seed=seeds[0]), tf.shape(self._values)[0], axis=1)  # [n, Q, ...]
        chosen = tf.cast(chosen, self.dtype)
        point, width = (tf.reduce_sum(chosen * each, axis=1) for each in (self._values, self._widths))
        u = tf.random.stateless_uniform(tf.shape(point), seeds[1], dtype=self.dtype)
        x = point + width * (u - 0.5)
        return tf.round(x) if self._whole else x


def along_points(numbers: np.ndarray, like: Tensor) -> Tensor:
    """Return Q numbers as a tensor [Q, 1, ..., 1] of the type of `like` and of one more axis."""
    return tf.constant(numbers.reshape(-1, *[1] * like.shape.rank), like.dtype)


def normal_points(loc: Tensor, scale: Tensor, *, is_log: bool = False) -> Points:
    """Return the points of a Normal, or of exp of a Normal: equidistant ones, up to six scales from loc.

    Their weights do not depend on loc and scale, so the gradient flows through the points alone.

    Args:
      loc, scale: [..., n].
      is_log: whether the cell is exp of the Normal.
    """
    t = np.arange(-REACH, REACH + STEP / 2, STEP)
    log_probs = -(t**2) / 2 - np.logaddexp.reduce(-(t**2) / 2)
    values = loc + scale * along_points(t, loc)
    width = STEP * scale
    if is_log:
        values = tf.exp(values)
        width = values * tf.minimum(width, 1.0)

    return Points(values, along_points(log_probs, loc), width, OnPoints)


def wide_points(p: Distribution, loc: Tensor, scale: Tensor) -> Points:
    """Return the points of a distribution with long tails: loc + scale sinh(t) for equidistant t.

    Args:
      p: the distribution, batch [..., n], event [].
      loc, scale: [..., n].
    """
    t = np.arange(-WIDE_REACH, WIDE_REACH + WIDE_STEP / 2, WIDE_STEP)
    values = loc + scale * along_points(np.sinh(t), loc)
    spacing = along_points(np.cosh(t), loc)
    log_probs = tf.nn.log_softmax(p.log_prob(values) + tf.math.log(spacing), axis=0)

    return Points(values, log_probs, WIDE_STEP * scale * spacing, OnPoints)


def level_points(p: Distribution, count: int) -> Points:
    """Return the L levels of a distribution over the grid {0, 1/(L-1), ..., 1}, with their exact probabilities."""
    values = along_points(np.linspace(0, 1, count), p.log_prob(tf.zeros([], p.dtype)))

    def family(values: Tensor, log_probs: Tensor, widths: Tensor) -> Distribution:
        del values, widths
        last = tf.transpose(log_probs, [*range(1, log_probs.shape.rank), 0])
        return OnGrid(CategoricalLevels(logits=last), count, p.dtype)

    return Points(values, tf.nn.log_softmax(p.log_prob(values), axis=0), tf.zeros_like(values), family)


def binary_points(p: Distribution) -> Points:
    """Return 0 and 1 with their probabilities under a Bernoulli distribution."""
    values = along_points(np.array([0.0, 1.0]), p.log_prob(tf.zeros([], p.dtype)))

    def family(values: Tensor, log_probs: Tensor, widths: Tensor) -> Distribution:
        del widths
        elements: Distribution = tfd.Bernoulli(logits=log_probs[1] - log_probs[0], dtype=values.dtype)
        return elements

    return Points(values, p.log_prob(values), tf.zeros_like(values), family)


def count_points(p: Distribution) -> Points:
    """Return bins of whole numbers of a distribution of counts, with the mass of each taken from its middle.

    Bins of a single number are exact. They become wider with the number, as the third power, or have one width if the
    mean is far from 0. The bins themselves have no gradient. Single frequent counts have a point of their own.

    Args:
      p: `counts.Poisson`, `counts.NegativeBinomial` or `counts.Inflated` of these, batch [..., n].
    """
    if isinstance(p, Inflated):
        return inflated_points(p)
    mean, deviation = tf.stop_gradient(p.mean()), tf.stop_gradient(p.stddev())
    low = tf.nn.relu(mean - BELOW * deviation)
    far = low > 0
    reach = tf.where(far, 2 * BELOW * deviation, mean + ABOVE * deviation)
    share = along_points(np.linspace(0, 1, COUNT_BINS + 1), mean)
    edges = tf.floor(low + tf.maximum(reach, 1.0) * tf.where(far, share, share**3))
    edges = tf.concat([edges[:-1], edges[-1:] + 1], axis=0)  # the last bin is never empty
    size = edges[1:] - edges[:-1]
    values = (edges[1:] + edges[:-1] - 1) / 2
    empty = size < 1
    values = tf.where(empty, edges[:-1], values)
    mass = p.log_prob(values) + tf.math.log(tf.maximum(size, 1.0))
    log_probs = tf.nn.log_softmax(tf.where(empty, tf.constant(NOTHING, mass.dtype), mass), axis=0)

    return Points(values, log_probs, size, functools.partial(OnPoints, whole=True))


def inflated_points(p: Inflated) -> Points:
    """Return the points of a distribution of counts, and one for each frequent count. They share a value with a bin."""
    rest = count_points(p.parameters["counts"])
    log_weights = tf.nn.log_softmax(p.parameters["logits"])
    log_weights = tf.transpose(log_weights, [log_weights.shape.rank - 1, *range(log_weights.shape.rank - 1)])
    single = tf.zeros_like(log_weights[1:]) + along_points(np.array(p.parameters["values"], float), log_weights[0])

    return Points(
        tf.concat([rest.values, single], axis=0),
        tf.concat([log_weights[:1] + rest.log_probs, log_weights[1:]], axis=0),
        tf.concat([rest.widths, tf.zeros_like(single)], axis=0),
        rest.family,
    )
