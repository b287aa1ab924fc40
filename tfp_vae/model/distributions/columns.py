"""The joint distribution of the columns of a table, each with a density of its own, given z."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, final

import numpy as np

from tfp_vae.core.lazy import tf, tfd, tfp
from tfp_vae.core.types import Array, Distribution, Tensor, TensorShape

__all__ = ["Columns", "Group"]


class Group(NamedTuple):
    """Columns with the same family.

    places: the index of each column in the table, [n].
    elements: their distributions, batch [..., n], event [].
    pick: place in the group -> the distribution of that column, batch [...].
    filler: a value of the family's support, which replaces missing cells.
    is_words: whether the values are words without an order, so that their mean has no meaning.
    """

    places: np.ndarray
    elements: Distribution
    pick: Callable[[int], Distribution]
    filler: float
    is_words: bool


@final
class Columns(tfd.Distribution):
    """Independent columns given z, p(x) = prod_j p_j(x_j), where missing cells are NaN and do not count.

    log p(x) is the sum over the observed cells, so it is the log-density of the observed part of a row. It is 0 if no
    cell is observed. The value of a missing cell is replaced before any density is computed, so gradients are finite.

    Args:
      groups: the columns by family. Together, their places are 0, ..., C - 1.
      log_scale: log p_j is reduced by this number of nats, [C], which converts densities to the units of the data.
    """

    def __init__(self, groups: Sequence[Group], log_scale: np.ndarray) -> None:
        self._groups = list(groups)
        self._log_scale = np.asarray(log_scale, np.float64)
        self._order = np.argsort(np.concatenate([group.places for group in groups]))
        super().__init__(
            dtype=groups[0].elements.dtype,
            reparameterization_type=tfd.NOT_REPARAMETERIZED,
            validate_args=False,
            allow_nan_stats=True,
            parameters={"groups": groups, "log_scale": log_scale},
            name="Columns",
        )

    def column(self, place: int) -> Distribution:
        """Return the distribution of one column on the scale of the likelihood, batch [...], event [].

        Raises:
          IndexError: there is no such column.
        """
        for group in self._groups:
            if place in group.places:
                return group.pick(int(np.flatnonzero(group.places == place)[0]))
        raise IndexError(f"expected the index of a column from 0 to {len(self._order) - 1}, found {place}")

    def column_log_prob(self, x: Array) -> Tensor:
        """Return log p_j(x_j) for each cell of x [..., C], [..., C]. It is 0 for missing cells."""
        return self.in_order(list(self._cells(tf.convert_to_tensor(x, self.dtype))))

    def _cells(self, x: Tensor) -> Iterator[Tensor]:
        """Yield log p_j(x_j) for the columns of each group, [..., n]."""
        for places, elements, _, filler, _ in self._groups:
            cells = tf.gather(x, places, axis=-1)
            observed = tf.logical_not(tf.math.is_nan(cells))
            filled = tf.where(observed, cells, tf.constant(filler, x.dtype))
            log_prob = elements.log_prob(filled) - tf.constant(self._log_scale[places], x.dtype)
            yield tf.where(observed, log_prob, tf.zeros([], x.dtype))

    def in_order(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the parts of all groups, [..., n] each, as one tensor [..., C] in the order of the table."""
        return tf.gather(tf.concat(parts, axis=-1), self._order, axis=-1)

    def _log_prob(self, x: Tensor) -> Tensor:
        return tf.add_n([tf.reduce_sum(cells, axis=-1) for cells in self._cells(x)])

    def _sample_n(self, n: Tensor, seed: Tensor | None = None) -> Tensor:
        pairs = zip(self._groups, self._seeds(seed), strict=True)
        return self.in_order([group.elements.sample(n, seed=own) for group, own in pairs])

    def sample_cells(self, wanted: Tensor, seed: Tensor) -> Tensor:
        """Return samples of some columns, [..., C]. Families without such a column take no time, and their cells are 0.

        Args:
          wanted: the columns to draw, bool [C]. Their values are those of `sample` with this seed.
          seed: a stateless seed.
        """

        def draw(group: Group, seed: Tensor) -> Tensor:
            shape = group.elements.batch_shape_tensor()
            return tf.cond(
                tf.reduce_any(tf.gather(wanted, group.places)),
                lambda: group.elements.sample(seed=seed),
                lambda: tf.zeros(shape, self.dtype),
            )

        return self.in_order(list(map(draw, self._groups, self._seeds(seed))))

    def _seeds(self, seed: Tensor | None) -> list[Tensor]:
        """Return a seed for each group."""
        return list(tf.unstack(tfp.random.split_seed(seed, n=len(self._groups), salt="columns")))

    def _mean(self) -> Tensor:
        """E[x_j] for numbers, and the most probable level for words, because words have no mean."""
        means = [each.elements.mode() if each.is_words else each.elements.mean() for each in self._groups]
        return self.in_order(means)

    def _mode(self) -> Tensor:
        return self.in_order([group.elements.mode() for group in self._groups])

    def _variance(self) -> Tensor:
        return self.in_order([group.elements.variance() for group in self._groups])

    def _batch_shape(self) -> TensorShape:
        return self._groups[0].elements.batch_shape[:-1]

    def _batch_shape_tensor(self) -> Tensor:
        return self._groups[0].elements.batch_shape_tensor()[:-1]

    def _event_shape(self) -> TensorShape:
        return tf.TensorShape([len(self._order)])

    def _event_shape_tensor(self) -> Tensor:
        return tf.constant([len(self._order)], tf.int32)
