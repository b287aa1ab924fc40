"""A distribution of z in layers, each a diagonal Normal given the layer that is drawn before it.

z = (z_1, ..., z_L) is one vector, with z_1 next to x. Priors and top-down posteriors draw z_L first, and bottom-up
posteriors z_1. All layers take their noise from one call of `core.noise`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, final

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.noise import standard_normal
from tfp_vae.core.types import Array, Tensor, TensorShape
from tfp_vae.model.distributions.base import axis_sizes
from tfp_vae.model.networks import Network, apply_to_last_axis

__all__ = ["Conditional", "LayeredNormal", "Statistics", "conditionals", "merge", "merge_into"]


class Statistics(NamedTuple):
    """The parameters of a diagonal Normal, [..., D] each."""

    loc: Tensor
    scale: Tensor


Conditional = Callable[[Tensor], Statistics]
"""The layer that is drawn before, [..., D_n] -> the parameters of a layer given it, [..., D_l]."""


def merge(first: Statistics, second: Statistics) -> Statistics:
    """Return the Normal whose density is proportional to the product of two.

    Precisions add up, and the loc is the average of the locs, weighted by precision.
    """
    first_precision, second_precision = first.scale**-2, second.scale**-2
    precision = first_precision + second_precision
    loc = (first.loc * first_precision + second.loc * second_precision) / precision
    return Statistics(loc, tf.math.rsqrt(precision))


def conditionals(networks: Sequence[Network], floor: float, temperature: float = 1.0) -> list[Conditional]:
    """Return the conditional of each network, with scale = T (floor + softplus(s_1 + s)). s = 0 is a scale of T.

    Args:
      networks: [B, D_n] -> loc and s, [B, 2 D_l].
      floor: smallest scale.
      temperature: T.
    """
    unit = math.log(math.expm1(1 - floor))  # s_1

    def conditional(network: Network, above: Tensor) -> Statistics:
        loc, s = tf.split(apply_to_last_axis(network, above), 2, axis=-1)
        return Statistics(loc, temperature * (floor + tf.nn.softplus(unit + s)))

    return [functools.partial(conditional, network) for network in networks]


def merge_into(own: Statistics, conditional: Conditional) -> Conditional:
    """Return the conditional whose density is proportional to the product of a Normal and of another conditional."""
    return lambda before: merge(own, conditional(before))


@final
class LayeredNormal(tfd.Distribution):
    """z = (z_1, ..., z_L) with p(z) = p(z_f) prod_l N(z_l; loc_l(z_n), diag(scale_l(z_n)^2)), z_n drawn before z_l.

    Density and samples take one pass of each conditional. There is no closed-form KL, mean or covariance.

    Args:
      first: the parameters of the layer that is drawn first, [*batch, D_f].
      others: the conditionals of the other layers, in the order in which they are drawn.
      blocks: D_1, ..., D_L.
      direction: `up` if z_1 is drawn first, `down` if z_L is.
    """

    def __init__(
        self,
        first: Statistics,
        others: Sequence[Conditional],
        blocks: Sequence[int],
        direction: Literal["up", "down"],
    ) -> None:
        self._first, self._others, self._blocks = first, tuple(others), tuple(blocks)
        self._step = 1 if direction == "up" else -1
        super().__init__(
            dtype=first.loc.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"first": first, "others": others, "blocks": blocks, "direction": direction},
            name="LayeredNormal",
        )

    @property
    def blocks(self) -> tuple[int, ...]:
        """The sizes of the layers, D_1, ..., D_L."""
        return self._blocks

    def locs(self, z: Array) -> Tensor:
        """Return the mean of each layer given the layer in z that is drawn before it, [..., D]."""
        layers = self._in_order(z)
        locs = [self._first.loc, *(other(z_n).loc for other, z_n in zip(self._others, layers[:-1], strict=True))]
        return self._joined([tf.broadcast_to(loc, tf.shape(layer)) for loc, layer in zip(locs, layers, strict=True)])

    def log_prob_by_layer(self, z: Array) -> Tensor:
        """Return log p(z_l | z_n) of each layer given the one that is drawn before it, [..., L], z_1 first."""
        layers = self._in_order(z)
        given = [self._first, *(other(z_n) for other, z_n in zip(self._others, layers[:-1], strict=True))]
        first, *others = (log_normal(*each) for each in zip(layers, given, strict=True))
        densities = [first, *(other + tf.zeros_like(first) for other in others)]  # z may lack the axis of the batch
        return tf.stack(densities[:: self._step], axis=-1)

    def _log_prob(self, z: Tensor) -> Tensor:
        return tf.reduce_sum(self.log_prob_by_layer(z), axis=-1)

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        batch = axis_sizes(self.batch_shape, self.batch_shape_tensor())
        noise = standard_normal([n, *batch, sum(self._blocks)], tfp.random.sanitize_seed(seed), self.dtype)
        start, *rest = self._in_order(noise)
        layers = [self._first.loc + self._first.scale * start]
        for other, u in zip(self._others, rest, strict=True):
            loc, scale = other(layers[-1])
            layers.append(loc + scale * u)
        return self._joined(layers)

    def _in_order(self, z: Array) -> list[Tensor]:
        """Return the layers of z in the order in which they are drawn."""
        layers: list[Tensor] = tf.split(z, self._blocks, axis=-1)
        return layers[:: self._step]

    def _joined(self, layers: Sequence[Tensor]) -> Tensor:
        """Return z, given its layers in the order in which they are drawn."""
        return tf.concat(layers[:: self._step], axis=-1)

    def _batch_shape(self) -> TensorShape:
        return self._first.loc.shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return tf.shape(self._first.loc)[:-1]

    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([sum(self._blocks)])

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([sum(self._blocks)], tf.int32)


def log_normal(z: Tensor, given: Statistics) -> Tensor:
    """Return log N(z; loc, diag(scale^2)), [...]."""
    terms = ((z - given.loc) / given.scale) ** 2 + 2 * tf.math.log(given.scale) + math.log(2 * math.pi)
    return -0.5 * tf.reduce_sum(terms, axis=-1)
