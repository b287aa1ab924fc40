"""Likelihoods over L levels: categorical, with a free probability for each, and ordinal, for levels in an order."""

from __future__ import annotations

from dataclasses import field
from typing import final

import numpy as np

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import EventShape, inverse_softplus, positive
from tfp_vae.model.likelihoods.levels import LevelLikelihood, Levels

__all__ = ["Categorical", "Ordinal"]


@final
@record
class Categorical(LevelLikelihood):
    """Independent categorical elements over L levels, p(x_i = k/(L-1) | z) = softmax(logits_i)_k.

    It can represent every distribution of an element, but it does not know that the levels are ordered. It has to learn
    from data that level 127 is close to 128, so it needs more data than `DiscretizedLogistic`. The decoder gives L
    numbers per element. For example, 28x28 pixels with 256 levels need 200,704 outputs for each z.

    Args:
      event_shape: shape of one example.
      levels: L. If None, it is counted in the training data.

    Returns (when called on params [..., L prod(event_shape)]):
      `tfd.Independent` of `model.distributions.levels.OnGrid`, batch [...], event `event_shape`.

    References:
      van den Oord, Kalchbrenner and Kavukcuoglu (2016), Pixel recurrent neural networks.
    """

    event_shape: EventShape
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """L, a logit for each level."""
        return self.count

    def elementwise(self, params: Tensor) -> Distribution:
        """Return distributions over the levels with logits [..., *event_shape, L]."""
        from tfp_vae.model.distributions.levels import CategoricalLevels, OnGrid

        return OnGrid(CategoricalLevels(logits=params), self.count, params.dtype)

    @property
    def features_per_element(self) -> int:
        """L, one for each level."""
        return self.count

    def features(self, x: Tensor) -> Tensor:
        """Return 1 for the level of x and 0 for the others, [..., L]. Values between two levels are interpolated."""
        levels = tf.range(self.count, dtype=x.dtype)
        return tf.nn.relu(1 - tf.abs(x[..., tf.newaxis] * (self.count - 1) - levels))

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return logits that decrease with the distance from the mean."""
        grid = np.linspace(0, 1, self.count)
        return np.asarray(-4 * np.abs(grid - mean[:, np.newaxis]))

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return the logarithm of the share of each level."""
        return np.asarray(np.log(self.frequencies(x)))


GAP_FLOOR = 1e-6
"""Smallest distance between two cut points of `Ordinal`, so that no level has the probability zero."""


@final
@record
class Ordinal(LevelLikelihood):
    """Independent elements over L ordered levels, by cumulative logits: P(x_i <= k/(L-1) | z) = sigmoid(c_k).

    The decoder gives the first cut point c_0 and the distances to the next ones, 10^-6 + softplus(s), so the cut points
    increase. A shift of all of them moves the probability from low levels to high ones. Grades, ratings and age groups
    are such levels. Unlike in `DiscretizedLogistic`, the levels need not be equally far apart.

    ```python
    likelihood = tv.likelihoods.Ordinal((3,), levels=5)
    p = likelihood(likelihood.initial_params([0.2, 0.5, 0.9]))
    p.log_prob(np.float32([0, 0.5, 1]))  # nats, for x on {0, 1/4, ..., 1}
    ```

    Args:
      event_shape: shape of one example.
      levels: L. If None, it is counted in the training data.

    Returns (when called on params [..., (L - 1) prod(event_shape)]):
      `tfd.Independent` of `model.distributions.levels.OnGrid`, batch [...], event `event_shape`.

    References:
      McCullagh (1980), Regression models for ordinal data.
    """

    event_shape: EventShape
    levels: Levels = field(default=None, kw_only=True)

    @property
    def per_element(self) -> int:
        """L - 1: the first cut point, and the distances between the others."""
        return self.count - 1

    def elementwise(self, params: Tensor) -> Distribution:
        """Return distributions over the levels of params [..., *event_shape, L - 1]."""
        from tfp_vae.model.distributions.levels import CategoricalLevels, OnGrid

        gaps = positive(params[..., 1:], GAP_FLOOR)
        cuts = tf.cumsum(tf.concat([params[..., :1], gaps], axis=-1), axis=-1)
        # log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b)) for neighbours a < b
        inside = tf.math.log_sigmoid(cuts[..., 1:]) + tf.math.log_sigmoid(-cuts[..., :-1])
        inside += tf.math.log(-tf.math.expm1(-gaps))
        ends = tf.math.log_sigmoid(cuts[..., :1]), tf.math.log_sigmoid(-cuts[..., -1:])
        logits = tf.concat([ends[0], inside, ends[1]], axis=-1)
        return OnGrid(CategoricalLevels(logits=logits), self.count, params.dtype)

    def initial(self, mean: np.ndarray) -> np.ndarray:
        """Return the cut points of a logistic around the mean, with a scale of 1/6."""
        steps = self.count - 1
        first = 6 * (0.5 / steps - mean)
        return np.stack([first, *[np.full_like(mean, inverse_softplus(6 / steps - GAP_FLOOR))] * (steps - 1)], axis=-1)

    def initial_marginal(self, x: np.ndarray) -> np.ndarray:
        """Return the cut points that give the share of each level."""
        below = np.cumsum(self.frequencies(x), axis=-1)[:, :-1]
        cuts = np.log(below / (1 - below))
        gaps = np.maximum(np.diff(cuts, axis=-1), 2 * GAP_FLOOR)
        return np.concatenate([cuts[:, :1], inverse_softplus(gaps - GAP_FLOOR)], axis=-1)
