"""The likelihood of a table whose columns differ: numbers, counts, words, and cells that are missing."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple, final

import numpy as np
import pydantic
from numpy.typing import ArrayLike

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Member, parse, record
from tfp_vae.core.seeds import fold
from tfp_vae.core.supports import Support, by_column
from tfp_vae.core.types import Array, Distribution, FloatType, Tensor, Variable
from tfp_vae.model.likelihoods.base import ElementwiseLikelihood, EventShape, Likelihood
from tfp_vae.model.likelihoods.categorical import Categorical
from tfp_vae.model.likelihoods.levels import LevelLikelihood
from tfp_vae.model.networks.dropout import DROPPING

__all__ = ["ColumnGroup", "Columns"]

FILLERS = (0.0, 0.5)
"""Every support contains at least one of these values. It replaces missing cells in a density and does not count."""

HIDING = 2**20
"""Separates the seed of hidden cells from the seeds of dropout layers."""


def check_columns(value: object) -> dict[str, str] | None:
    """Return the likelihood of each column as text with all its settings."""
    from tfp_vae.model.likelihoods import LIKELIHOODS

    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("expected the likelihood of each column by its name")
    texts: dict[str, str] = {}  # because 500 columns may have three different members
    for member in value.values():
        if str(member) not in texts:
            texts[str(member)] = str(LIKELIHOODS.member(member, recorded=True))
    return {str(name): texts[str(member)] for name, member in value.items()}


class ColumnGroup(NamedTuple):
    """Columns with the same likelihood.

    places: the index of each column in the table, [n].
    family: their likelihood, of event [n].
    """

    places: np.ndarray
    family: ElementwiseLikelihood

    @property
    def filler(self) -> float:
        """A value of the support."""
        support = self.family.support
        return next(value for value in FILLERS if support.contains(np.array([value])).all())


@final
@record
class Columns(Likelihood):
    """One likelihood for each column of a table, p(x|z) = prod_j p_j(x_j|z), with missing cells.

    A missing cell is NaN. log p(x|z) is the sum over the observed cells, so every bound and estimate is one of the
    log-density of the observed part of a row. Missing cells need no model if they are missing at random.

    Columns with equal members and settings are evaluated together, so 500 columns of few kinds are fast. Columns with
    `normal:scale=shared` share one scale, so prefer a scale `per-element`. Words take `categorical`, which needs its
    number of levels here: word k of L is the number k / (L - 1).

    ```python
    table = tv.likelihoods.Columns(
        {"age": "normal:scale=per-element", "visits": "negative-binomial", "city": "categorical:levels=3"}
    )
    p = table(np.zeros([2, table.params_size], np.float32))
    rows = np.float32([[0.2, 4, 0.5], [np.nan, 0, np.nan]])
    p.log_prob(rows)  # [2], nats, over the observed cells
    p.column_log_prob(rows)  # [2, 3], 0 at the missing cells
    ```

    Args:
      event_shape: the likelihoods by column as above, or the shape (C,) with `columns` set.
      dtype: type of the variables that a family learns.
      columns: the likelihood of each column by name, with settings, in the order of the columns.
      log_scale: log of the factor by which each column was divided, C numbers. It reduces the log-density of the
        column, so log p(x) is in the units of the data. It must be 0 for probabilities. None is 0 for every column.
      missing: whether the encoder also sees which cells are observed. Set it if rows have missing cells.
      hide: the share of observed cells, chosen at random, that the encoder does not see in a training step. It then
        also sees which cells are observed. So an encoder that is trained on complete rows learns to infer z from
        incomplete ones. The bound is still one of all observed cells, because q(z|x) may ignore any of them.

    Returns (when called on params [..., params_size]):
      `model.distributions.columns.Columns`, batch [...], event [C]. Its `mean` is the most probable word for words,
      because these have no mean.

    References:
      Nazabal et al. (2020), Handling incomplete heterogeneous data using VAEs.
      Mattei and Frellsen (2019), MIWAE: deep generative modelling and imputation of incomplete data sets.
    """

    discrete: ClassVar[bool] = False
    allows_missing: ClassVar[bool] = True
    event_shape: EventShape
    dtype: FloatType = field(default="float32", repr=False)
    columns: Annotated[Mapping[str, str] | None, pydantic.BeforeValidator(check_columns)] = field(
        default=None, kw_only=True
    )
    log_scale: tuple[pydantic.FiniteFloat, ...] | None = field(default=None, kw_only=True)
    missing: bool = field(default=False, kw_only=True)
    hide: Annotated[float, pydantic.Field(ge=0, lt=1)] = field(default=0.0, kw_only=True)

    if TYPE_CHECKING:

        def __init__(
            self,
            event_shape: Mapping[str, str | Member | Mapping[str, object]] | tuple[int, ...],
            dtype: FloatType = "float32",
            *,
            columns: Mapping[str, str | Member | Mapping[str, object]] | None = None,
            log_scale: tuple[float, ...] | None = None,
            missing: bool = False,
            hide: float = 0.0,
        ) -> None: ...

    @pydantic.model_validator(mode="before")
    @classmethod
    def _name_columns(cls, given: pydantic.dataclasses.ArgsKwargs) -> object:
        """Accept the columns in place of the shape."""
        keywords = dict(given.kwargs or {})
        if isinstance(keywords.get("event_shape"), Mapping) and "columns" not in keywords:
            columns = keywords.pop("event_shape")
            return keywords | {"event_shape": (max(1, len(columns)),), "columns": columns}
        return given

    def __post_init__(self) -> None:
        if not self.columns:
            raise UsageError("`columns` must name the likelihood of each column")
        if self.event_shape != (len(self.columns),):
            raise UsageError(
                f"`columns` names {len(self.columns)} columns, but an example has the shape {self.event_shape}. "
                "Name the likelihood of each column"
            )
        if self.log_scale is not None and len(self.log_scale) != len(self.columns):
            raise UsageError(f"expected {len(self.columns)} numbers `log_scale`, found {len(self.log_scale)}")
        for places, family in self.groups:
            if family.discrete and self._log_scales[places].any():
                name = self.names[places[np.flatnonzero(self._log_scales[places])[0]]]
                raise UsageError(f"`log_scale` of column {name!r} must be 0, because it has probabilities")

    def __repr__(self) -> str:
        kinds = Counter(parse(text)[0] for text in (self.columns or {}).values())
        return f"Columns({', '.join(f'{count} {kind}' for kind, count in kinds.items())})"

    @property
    def names(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self.columns or {})

    @functools.cached_property
    def groups(self) -> list[ColumnGroup]:
        """The columns by likelihood.

        Raises:
          UsageError: a column has a likelihood that is not elementwise, or levels without their number.
        """
        from tfp_vae.model.likelihoods import LIKELIHOODS

        columns: dict[str, list[int]] = {}
        for place, text in enumerate((self.columns or {}).values()):
            columns.setdefault(text, []).append(place)
        groups = []
        for text, places in columns.items():
            name, family = self.names[places[0]], LIKELIHOODS.member(text, recorded=True)
            if family.name == "columns":
                raise UsageError(f"column {name!r} needs the likelihood of a single column, not `columns`")
            built = LIKELIHOODS.build(family, (len(places),), dtype=self.dtype)
            if not isinstance(built, ElementwiseLikelihood):
                raise UsageError(
                    f"column {name!r} needs a likelihood of single values, such as `normal`, not `{family.name}`"
                )
            if isinstance(built, LevelLikelihood) and built.levels is None:
                raise UsageError(f"set `levels` of column {name!r}, such as `{text}:levels=3`")
            groups.append(ColumnGroup(np.array(places), built))
        return groups

    @functools.cached_property
    def _log_scales(self) -> np.ndarray:
        return np.zeros(len(self.names)) if self.log_scale is None else np.array(self.log_scale)

    @functools.cached_property
    def support(self) -> Support:
        """The values of each column, and NaN for a missing cell."""
        supports: dict[int, Support] = {}
        for places, family in self.groups:
            supports |= dict.fromkeys(map(int, places), family.support)  # one object, so that it is checked once
        return by_column({name: supports[place] for place, name in enumerate(self.names)})

    @functools.cached_property
    def learned(self) -> tuple[Variable, ...]:
        """The variables of all columns."""
        return tuple(variable for _, family in self.groups for variable in family.learned)

    @property
    def params_size(self) -> int:
        """The number of parameters of all columns. Those of columns with equal likelihoods are next to each other."""
        return sum(family.params_size for _, family in self.groups)

    def change_of_units(self, log_scale: float, *, binarized: bool) -> float:
        """Return 0, because log p(x|z) is already in the units of the data."""
        del log_scale, binarized
        return 0.0

    def __call__(self, params: Array) -> Distribution:
        """Return p(x|z), batch [...], event [C], from params [..., params_size]."""
        from tfp_vae.model.distributions import columns

        params = tf.convert_to_tensor(params)
        parts = tf.split(params, [family.params_size for _, family in self.groups], axis=-1)
        groups = []
        for group, part in zip(self.groups, parts, strict=True):
            places, family = group
            shape = tf.concat([tf.shape(part)[:-1], [len(places), family.per_element]], axis=0)
            each = tf.reshape(part, shape)

            def pick(place: int, each: Tensor = each, family: ElementwiseLikelihood = family) -> Distribution:
                return family.elementwise(each[..., place, :])

            is_words = isinstance(family, Categorical)
            groups.append(columns.Group(places, family.elementwise(each), pick, group.filler, is_words))
        return columns.Columns(groups, self._log_scales)

    def initial_params(self, data_mean: ArrayLike) -> np.ndarray:
        """Return params [params_size] at which each column has about its mean, see also `initial_marginals`.

        Args:
          data_mean: mean of the observed cells of each column, [C]. NaN, of a column without any, counts as 0.5.
        """
        mean = np.nan_to_num(np.ravel(data_mean).astype(np.float64), nan=0.5)
        return np.concatenate([family.initial_params(mean[places]) for places, family in self.groups])

    def initial_marginals(self, x: np.ndarray) -> np.ndarray:
        """Return params [params_size] at which each column has about the distribution of its observed cells.

        Training then starts from a model of independent columns. Words have their frequencies and numbers their mean.
        `normal:scale=per-element`, `log-normal` and `negative-binomial` have their spread too.

        Args:
          x: rows of the training data, [N, C]. A column without observed cells starts as `initial_params` says.
        """
        x = np.asarray(x, np.float64)
        parts = []
        for group in self.groups:
            cells = x[:, group.places]
            empty = np.isnan(cells).all(axis=0)
            params = group.family.initial(np.full(len(group.places), 0.5))
            if not empty.all():
                filled = np.where(empty, group.filler, cells)
                params = np.where(empty[:, np.newaxis], params, group.family.initial_marginal(filled))
            parts.append(params.astype(np.float32).ravel())
        return np.concatenate(parts)

    @property
    def features_size(self) -> int:
        """The number of `features` of a row."""
        size = sum(len(places) * family.features_per_element for places, family in self.groups)
        return size + self.takes_missing * len(self.names)

    @property
    def takes_missing(self) -> bool:
        """Whether the encoder also sees which cells are observed."""
        return self.missing or self.hide > 0

    def features(self, x: Array) -> Tensor:
        """Return the input of an encoder's network, [B, features_size], for rows x [B, C] with missing cells.

        Numbers are as they are, counts log(1 + x), and words a number for each word, 1 for the one in the cell.
        All numbers of a missing cell are 0. If `missing` or `hide` is set, C numbers follow, 1 for each observed cell.
        In a training step, cells that `hide` selects count as missing.
        """
        x = tf.convert_to_tensor(x)
        x = x if x.dtype.is_floating else tf.cast(x, self.dtype)
        seen = tf.logical_not(tf.math.is_nan(x))
        seed = DROPPING.get()
        if self.hide and seed is not None:
            seen &= tf.random.stateless_uniform(tf.shape(x), fold(seed, HIDING)) >= self.hide
        parts = []
        for group in self.groups:
            observed = tf.gather(seen, group.places, axis=-1)
            cells = tf.where(observed, tf.gather(x, group.places, axis=-1), tf.constant(group.filler, x.dtype))
            each = group.family.features(cells)
            each = tf.where(observed[..., tf.newaxis], each, tf.zeros([], x.dtype))
            size = len(group.places) * group.family.features_per_element
            parts.append(tf.reshape(each, tf.concat([tf.shape(x)[:-1], [size]], axis=0)))
        return tf.concat([*parts, tf.cast(seen, x.dtype)] if self.takes_missing else parts, axis=-1)
