"""The joint distribution of the observed cells of a row and of its mask, which marks the observed cells, given z."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, final

from tfp_vae.core.lazy import tf, tfd
from tfp_vae.core.types import Array, Distribution, Tensor, TensorShape
from tfp_vae.model.distributions.columns import Columns, Group
from tfp_vae.model.distributions.points import Points

__all__ = ["LogisticMask", "MaskedColumns"]


class LogisticMask(NamedTuple):
    """A logistic regression on a cell, of whether it is observed, for n columns with the same family.

    log_odds(x) = sum_f slope_f feature_f(x) + intercept, of being observed.

    slope: [n, F].
    intercept: [n].
    active: 1 for columns whose cells depend on their value, 0 for those that are missing at random, [n].
    features: cells [..., n] -> numbers [..., n, at least F]. Only the first F count.
    points: the distributions of cells, batch [..., n] -> their points.
    """

    slope: Tensor
    intercept: Tensor
    active: Tensor
    features: Callable[[Tensor], Tensor]
    points: Callable[[Distribution], Points]

    def log_odds(self, x: Tensor) -> Tensor:
        """Return the log-odds that cells x [..., n] are observed, [..., n]."""
        features = self.features(x)[..., : self.slope.shape[-1]]
        return tf.reduce_sum(self.slope * features, axis=-1) + self.intercept

    def log_prob_observed(self, x: Tensor) -> Tensor:
        """Return the log-probability that observed cells x [..., n] are observed, [..., n]."""
        return self.active * tf.math.log_sigmoid(self.log_odds(x))

    def log_prob_missing(self, elements: Distribution) -> Tensor:
        """Return log E[p(missing|x)] of n distributions, [..., n]."""
        points = self.points(elements)
        terms = points.log_probs + tf.math.log_sigmoid(-self.log_odds(points.values))
        return self.active * tf.reduce_logsumexp(terms, axis=0)

    def given_missing(self, elements: Distribution) -> Points:
        """Return the distributions of n cells that are missing, p(x|missing), as points."""
        points = self.points(elements)
        return points.reweighted(self.active * tf.math.log_sigmoid(-self.log_odds(points.values)))


def masked_cells(group: Group, mask: LogisticMask, x: Tensor) -> Tensor:
    """Return the log-probability that each cell of a group is observed or missing as it is in x [..., C], [..., n]."""
    cells = tf.gather(x, group.places, axis=-1)
    observed = tf.logical_not(tf.math.is_nan(cells))
    filled = tf.where(observed, cells, tf.constant(group.filler, x.dtype))
    return tf.where(observed, mask.log_prob_observed(filled), mask.log_prob_missing(group.elements))


@final
class MaskedColumns(tfd.Distribution):
    """Independent columns given z whose cells are missing depending on their own value.

    log p(x_observed, mask|z) = sum_observed [log p_j(x_j) + log p(observed|x_j)] + sum_missing log E[p(missing|x_j)],

    where NaN marks a missing cell, and the expectation is over x_j ~ p_j. It is a sum over points of p_j, so nothing is
    drawn and the density is a smooth function of z.

    A sample is a complete row, and the mean is that of complete rows.

    Args:
      columns: p(x|z).
      masks: a model of the mask for each group of columns, or None if their cells are missing at random.
    """

    def __init__(self, columns: Columns, masks: Sequence[LogisticMask | None]) -> None:
        self._columns, self._masks = columns, list(masks)
        self._groups: list[Group] = columns.parameters["groups"]
        super().__init__(
            dtype=columns.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"columns": columns, "masks": masks, "groups": columns.parameters["groups"]},
            name="MaskedColumns",
        )

    def column(self, place: int) -> Distribution:
        """Return the distribution of one column, without the mask, batch [...], event []."""
        return self._columns.column(place)

    def column_log_prob(self, x: Array) -> Tensor:
        """Return log p_j(x_j) for each cell of x [..., C], [..., C], without the mask. It is 0 for missing cells."""
        return self._columns.column_log_prob(x)

    def mask_log_prob(self, x: Array) -> Tensor:
        """Return the log-probability that each cell of x [..., C] is observed or missing as it is, [..., C].

        It is 0 for columns that are missing at random.
        """
        x = tf.convert_to_tensor(x, self.dtype)
        zeros = tf.zeros(tf.broadcast_dynamic_shape(tf.shape(x)[:-1], self.batch_shape_tensor()), x.dtype)
        parts = []
        for group, mask in zip(self._groups, self._masks, strict=True):
            nothing = tf.repeat(zeros[..., tf.newaxis], len(group.places), axis=-1)
            parts.append(nothing if mask is None else nothing + masked_cells(group, mask, x))
        return self._columns.in_order(parts)

    def _log_prob(self, x: Tensor) -> Tensor:
        pairs = zip(self._groups, self._masks, strict=True)
        terms = [tf.reduce_sum(masked_cells(group, mask, x), axis=-1) for group, mask in pairs if mask is not None]
        return tf.add_n([self._columns.log_prob(x), *terms])

    def given_missing(self) -> Columns:
        """Return the distribution of each cell if it is missing, p_j(x_j|missing). Given z, cells are independent."""
        groups = []
        for group, mask in zip(self._groups, self._masks, strict=True):
            if mask is None:
                groups.append(group)
                continue
            points = mask.given_missing(group.elements)
            groups.append(group._replace(elements=points.distribution(), pick=points.column))
        return Columns(groups, self._columns.parameters["log_scale"])

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        return self._columns.sample(n, seed=seed)

    def _mean(self) -> Tensor:
        return self._columns.mean()

    def _mode(self) -> Tensor:
        return self._columns.mode()

    def _variance(self) -> Tensor:
        return self._columns.variance()

    def _batch_shape(self) -> TensorShape:
        return self._columns.batch_shape

    def _batch_shape_tensor(self) -> Tensor:
        return self._columns.batch_shape_tensor()

    def _event_shape(self) -> TensorShape:
        return self._columns.event_shape

    def _event_shape_tensor(self) -> Tensor:
        return self._columns.event_shape_tensor()
