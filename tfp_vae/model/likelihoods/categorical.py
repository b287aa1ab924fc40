"""The categorical likelihood: one free probability for each of L levels."""

from __future__ import annotations

from dataclasses import field
from typing import final

import numpy as np

from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import record
from tfp_vae.core.types import Distribution, Tensor
from tfp_vae.model.likelihoods.base import EventShape
from tfp_vae.model.likelihoods.levels import LevelLikelihood, Levels

__all__ = ["Categorical"]


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
