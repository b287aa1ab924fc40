"""Cells that are missing because of their own value."""

from __future__ import annotations

import functools
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast, final

import numpy as np
import pydantic

from tfp_vae.core.display import list_names
from tfp_vae.core.errors import UsageError, suggest
from tfp_vae.core.lazy import tf
from tfp_vae.core.registry import Positive, record, split_numbers
from tfp_vae.core.types import Array, Distribution, Tensor, Variable
from tfp_vae.model.likelihoods import Categorical, Columns
from tfp_vae.model.likelihoods.columns import ColumnGroup
from tfp_vae.model.missingness.base import Missingness

if TYPE_CHECKING:
    from tfp_vae.model.distributions.columns import Columns as ColumnsDistribution
    from tfp_vae.model.distributions.masks import LogisticMask, MaskedColumns

__all__ = ["SelfMasking"]

GAIN = 10.0
"""The variables are slopes and intercepts divided by this number, because they have to move further than weights."""

POINTS = 50
"""About how many points represent a missing cell."""


@final
@record
class SelfMasking(Missingness):
    """Self-masking: whether a cell is missing depends on its own value, by a logistic regression for each column.

    p(observed_j|x_j) = sigmoid(w_j u_j + c_j),  u_j = (f(x_j) - loc_j) / scale_j.

    Slopes w and intercepts c are learned with the model. f(x_j) is the cell as an encoder sees it: a number on the
    scale of the model, the logarithm of a positive number, log(1 + count), or an indicator of each word, which then has
    a slope of its own. For example, incomes that are hidden more often if they are high have a negative slope.

    log p(x) is then log p(x_observed, mask), the joint log-density of the observed cells and of the mask. Given z, each
    missing cell is integrated over points of its distribution. So with K samples, `IWAE` is at least as tight as the
    bound of not-MIWAE, which draws the missing cells too.

    Data alone can never show that this assumption is right. A wrong one makes imputed cells worse, not better. The more
    the other columns say about a column, the less the result depends on the assumption.

    ```python
    columns = {"age": "normal:scale=per-element", "income": "log-normal"}
    table = tv.likelihoods.Columns(columns, missing=True)
    mask = tv.missingness.SelfMasking(table, columns=("income",), hides="high")
    decoder = tv.Decoder(tv.networks.mlp((2,), table.params_size), table, mask)
    ```

    Args:
      likelihood: the likelihood `Columns` of the table. A column that masks itself needs the likelihood `normal`,
        `log-normal`, `laplace`, `student-t`, one for counts, or one for words and levels.
      columns: the names of the columns that mask themselves. The others are missing at random. None means all.
      hides: `high` if high values are missing more often in each of these columns, `low` if low ones are, and `unknown`
        to learn it. It does not apply to words.
      loc, scale: standardize f of each column, so that slopes are learned equally fast, C numbers each. None is 0 and
        1. They do not apply to words.

    Raises:
      UsageError: another likelihood, an unknown column, or a column whose likelihood does not allow it.

    References:
      Ipsen, Mattei and Frellsen (2021), not-MIWAE: deep generative modelling with missing not at random data.
    """

    ignorable: ClassVar[bool] = False
    assumption: ClassVar[str] = "depending on their own value (self-masking)"

    likelihood: pydantic.SkipValidation[object] = field(repr=False)
    columns: Annotated[
        Annotated[tuple[str, ...], pydantic.Field(min_length=1)] | None, pydantic.BeforeValidator(split_numbers)
    ] = field(default=None, kw_only=True)
    hides: Literal["unknown", "high", "low"] = field(default="unknown", kw_only=True)
    loc: Annotated[tuple[pydantic.FiniteFloat, ...] | None, pydantic.BeforeValidator(split_numbers)] = field(
        default=None, kw_only=True
    )
    scale: Annotated[tuple[Positive, ...] | None, pydantic.BeforeValidator(split_numbers)] = field(
        default=None, kw_only=True
    )

    def __post_init__(self) -> None:
        table = self.table
        for name in self.columns or ():
            if name not in table.names:
                raise UsageError(f"`missingness`: there is no column {name!r}.{suggest(name, table.names)}")
        for key, numbers in (("loc", self.loc), ("scale", self.scale)):
            if numbers is not None and len(numbers) != len(table.names):
                raise UsageError(f"`missingness`: expected {len(table.names)} numbers `{key}`, found {len(numbers)}.")
        refused = [
            table.names[place]
            for places, family in table.groups
            for place in places
            if self._is_active(place) and not family.has_points
        ]
        if refused:
            raise UsageError(
                f"`missingness=self-masking` does not support the likelihood of {list_names(refused)}. Name the "
                "columns that mask themselves with `columns`, or choose another likelihood for these, such as `normal`."
            )

    @property
    def table(self) -> Columns:
        """The likelihood."""
        if not isinstance(self.likelihood, Columns):
            raise UsageError(
                f"`missingness=self-masking` needs a table of columns, but the likelihood is "
                f"{type(self.likelihood).__name__}. Leave `missingness` out, or use `likelihood=columns`."
            )
        return self.likelihood

    def _is_active(self, place: int) -> bool:
        return self.columns is None or self.table.names[place] in self.columns

    @functools.cached_property
    def learned(self) -> tuple[Variable, ...]:
        """Slopes [n, F] and intercepts [n] of each group of columns in which at least one masks itself."""
        variables = []
        for group in self._masked:
            size = group.family.features_per_element if isinstance(group.family, Categorical) else 1
            for name, shape in (("slope", [len(group.places), size]), ("intercept", [len(group.places)])):
                variables.append(tf.Variable(np.zeros(shape), dtype=self.table.dtype, name=f"mask_{name}"))
        return tuple(variables)

    @property
    def density_size(self) -> int:
        """The points of all missing cells."""
        return POINTS * sum(len(group.places) for group in self._masked)

    @property
    def _masked(self) -> list[ColumnGroup]:
        return [group for group in self.table.groups if self._is_masked(group)]

    def _is_masked(self, group: ColumnGroup) -> bool:
        return any(map(self._is_active, group.places))

    def __call__(self, p: Distribution) -> Distribution:
        """Return p(x_observed, mask|z), a `model.distributions.masks.MaskedColumns`."""
        from tfp_vae.model.distributions import masks

        return masks.MaskedColumns(cast("ColumnsDistribution", p), self._masks())

    def mask_log_prob(self, p: Distribution, values: Array) -> Tensor:
        """Return the log-probability that each cell is observed or missing as it is, which is 0 for other columns."""
        return cast("MaskedColumns", p).mask_log_prob(values)

    def given_missing(self, p: Distribution) -> Distribution:
        """Return p_j(x_j|z, missing), in proportion to p_j(x_j|z) p(missing|x_j)."""
        return cast("MaskedColumns", p).given_missing()

    def _masks(self) -> list[LogisticMask | None]:
        """Return a model of the mask for each group of columns, or None if no column of it masks itself."""
        variables = iter(self.learned)
        return [
            self._mask(group, next(variables), next(variables)) if self._is_masked(group) else None
            for group in self.table.groups
        ]

    def _mask(self, group: ColumnGroup, slope: Variable, intercept: Variable) -> LogisticMask:
        from tfp_vae.model.distributions import masks

        active = tf.constant([self._is_active(place) for place in group.places], slope.dtype)
        w, c = GAIN * slope, GAIN * intercept
        if not isinstance(group.family, Categorical):
            loc, scale = self._standard(group.places)
            w = (w if self.hides == "unknown" else self._signed(w)) / scale[:, np.newaxis]
            c -= w[:, 0] * loc
        return masks.LogisticMask(w, c, active, group.family.features, group.family.points)

    def _standard(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return `loc` and `scale` of some columns."""
        size, dtype = len(self.table.names), self.table.dtype
        loc = np.zeros(size) if self.loc is None else np.array(self.loc)
        scale = np.ones(size) if self.scale is None else np.array(self.scale)
        return loc[places].astype(dtype), scale[places].astype(dtype)

    def _signed(self, slope: Tensor) -> Tensor:
        """Return slopes with the sign that `hides` states."""
        return (-1 if self.hides == "high" else 1) * tf.nn.softplus(slope)

    def coefficients(self) -> dict[str, tuple[float, float]]:
        """Return the slope along f(x), and the intercept, of each column of numbers that masks itself, by name."""
        found = dict[str, tuple[float, float]]()
        for group, mask in zip(self.table.groups, self._masks(), strict=True):
            if mask is not None and not isinstance(group.family, Categorical):
                for i, place in enumerate(group.places):
                    if self._is_active(place):
                        found[self.table.names[place]] = float(mask.slope[i, 0]), float(mask.intercept[i])
        return found
