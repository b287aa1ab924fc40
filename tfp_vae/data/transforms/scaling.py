"""Scalings: maps of a data set's values before a model sees them. A run keeps its scaling for new data.

`choose_scaling` picks one from facts about the data, and `scale` applies it. The training data decide the settings that
you leave open. The scaling is then a plain value in a run's config, and validation, test and new data are scaled in the
same way.

For an elementwise map x = a y + b, the log-density of the source's values x is that of the scaled values y minus
`Scaling.log_scale`, sum_i log |a_i|. Results give the density of x. Probabilities of discrete data do not change.
"""

from __future__ import annotations

import abc
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Annotated, Literal, final

import numpy as np
import pydantic

from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import Member, Positive, Table, record, split_numbers
from tfp_vae.core.supports import LARGEST, REAL, UNIT, Support
from tfp_vae.data.profile import BLOCK_VALUES, ColumnFacts, Facts, Profile

if TYPE_CHECKING:
    from tfp_vae.data.dataset import Dataset, Split

__all__ = [
    "PIXEL",
    "SCALINGS",
    "Divided",
    "Pixels",
    "Scaling",
    "Standard",
    "Unscaled",
    "choose_scaling",
    "scale",
    "scale_columns",
    "scaling_doubt",
]

MOST_FEATURES = 1 << 16

PIXEL: Literal[255] = 255
"""The largest value of an 8-bit pixel."""

FULL_PIXELS = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
"""The values of a full pixel, by the bits of cameras and scanners."""

Locs = Annotated[
    tuple[pydantic.FiniteFloat, ...],
    pydantic.Field(max_length=MOST_FEATURES),
    pydantic.BeforeValidator(split_numbers),
]

Scales = Annotated[
    tuple[Annotated[pydantic.FiniteFloat, pydantic.Field(gt=0)], ...],
    pydantic.Field(max_length=MOST_FEATURES),
    pydantic.BeforeValidator(split_numbers),
]


class Scaling(abc.ABC):
    """A map of values that is the same for all examples of a data set and for all new ones."""

    @abc.abstractmethod
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x [N, *event_shape], float32, as a model sees it."""

    @abc.abstractmethod
    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return scaled values y [N, *event_shape] in the units of their source, float64.

        Args:
          y: scaled.
          full: the number that `pixels` divided by, which y does not show. Other scalings ignore it.
        """

    def full(self, x: np.ndarray) -> float | None:
        """Return the value of x that becomes 1 if the scaling divides, else None."""
        del x
        return None

    def log_scale(self, event_shape: tuple[int, ...]) -> float:
        """Return sum_i log |a_i| for x = a y + b, in nats: log p(x) = log p(y) - log_scale.

        Override it if `inverse` is no such map, or if zeros and ones are not in its range.

        Args:
          event_shape: the shape of one example.
        """
        low, high = self.inverse(np.stack([np.zeros(event_shape), np.ones(event_shape)]))
        return float(np.sum(np.log(np.abs(high - low))))

    @classmethod
    def settings_from(cls, settings: Mapping[str, object], x: np.ndarray) -> dict[str, object]:
        """Return the settings, completed from the training data.

        Args:
          settings: all settings. Those that were not given are empty.
          x: the training data before scaling, [N, *event_shape].
        """
        del x
        return dict(settings)

    def rescale(self, profile: Profile) -> Profile:
        """Return the facts about the scaled values, given those about the values before.

        Args:
          profile: facts about data before scaling.
        """
        return replace(profile, splits={name: self._facts(facts) for name, facts in profile.splits.items()})

    def _facts(self, facts: Facts) -> Facts:
        low, high = self(np.stack([facts.low, facts.high]))
        if (low != facts.low).any() or (high != facts.high).any():
            facts = replace(facts, log_totals=None)
        if facts.values is None:
            whole = facts.whole and self.full(facts.low) is None
            return replace(facts, low=low, high=high, whole=whole, ends=None)
        values = np.unique(self(facts.values[:, np.newaxis]))
        whole = bool((values == np.rint(values)).all())
        return replace(facts, low=low, high=high, whole=whole, values=values, ends=None)


def as_float32(x: np.ndarray) -> np.ndarray:
    """Return x as float32. Values that are too large become infinite, and are refused later with their row.

    Args:
      x: in the precision of its source, in which a large mean was subtracted already.
    """
    with np.errstate(over="ignore"):
        return x.astype(np.float32, copy=False)


@final
@record
class Unscaled(Scaling):
    """The values as they are."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x."""
        return as_float32(x)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return y."""
        del full
        return y.astype(np.float64)


@final
@record
class Pixels(Scaling):
    """8-bit pixels divided by 255, so that they lie in [0, 1], and other values as they are."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x / 255 if x is uint8, else x."""
        return as_float32(x) / np.float32(PIXEL) if x.dtype == np.uint8 else as_float32(x)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return full y."""
        return full * y.astype(np.float64)

    def full(self, x: np.ndarray) -> float | None:
        """Return 255 if x is uint8."""
        return float(PIXEL) if x.dtype == np.uint8 else None

    def log_scale(self, event_shape: tuple[int, ...]) -> float:
        """Return 0, because densities of pixels are those of intensities from 0 to 1 by convention."""
        del event_shape
        return 0.0


@final
@record
class Divided(Scaling):
    """All values divided by one number, such as pixels of 16 bits by 65535.

    Args:
      by: that number.
    """

    by: Positive = field(default=float(PIXEL), kw_only=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x / by."""
        return as_float32(x) / np.float32(self.by)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return by y."""
        del full
        return self.by * y.astype(np.float64)

    def full(self, x: np.ndarray) -> float:
        """Return `by`."""
        return self.by

    def log_scale(self, event_shape: tuple[int, ...]) -> float:
        """Return sum_i log(by) for vectors, and 0 for images, because their densities are those of intensities."""
        return 0.0 if len(event_shape) == 3 else super().log_scale(event_shape)


@final
@record
class Standard(Scaling):
    """Each element less its mean, divided by its standard deviation in the training data: (x - loc) / scale.

    An element that is constant in the training data has scale 1. The log-density of x is that of the scaled values
    minus sum_i log scale_i. Examples of more than 65,536 values share one mean and one standard deviation.

    ```python
    rows = np.random.default_rng(0).normal(5.0, 2.0, size=(100, 3))
    settings = tv.data.transforms.scaling.Standard.settings_from({"loc": (), "scale": ()}, rows)
    y = tv.data.transforms.scaling.Standard(**settings)(rows)  # [100, 3], float32, of mean 0 and standard deviation 1
    ```

    Args:
      loc: the means, in the order of the event's elements, or one for all. By default those of the training data.
      scale: the standard deviations, which are positive, likewise.

    Raises:
      DataError: when called on examples of another size than its loc and scale.
    """

    loc: Locs = field(default=(), kw_only=True)
    scale: Scales = field(default=(), kw_only=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return (x - loc) / scale.

        Raises:
          DataError: an example does not have as many values as there are locs and scales.
        """
        if not self.fits(x.shape[1:]):
            size = math.prod(x.shape[1:])
            raise DataError(
                f"expected a loc and a scale for each of {size} values of an example, found {len(self.loc)} and "
                f"{len(self.scale)}. Leave them out to take those of the training data."
            )
        loc, scale = self.spread(x.shape[1:])
        return as_float32((x - loc) / scale)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return loc + scale y."""
        del full
        loc, scale = self.spread(y.shape[1:])
        unscaled: np.ndarray = loc + scale * y.astype(np.float64)
        return unscaled

    def fits(self, event_shape: tuple[int, ...]) -> bool:
        """Return whether there are a loc and a scale for each element, or one for all."""
        return {len(self.loc), len(self.scale)} in ({math.prod(event_shape)}, {1})

    def spread(self, event_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the loc and the scale of each element, [*event_shape]."""
        loc, scale = (
            np.broadcast_to(values, event_shape) if len(values) == 1 else np.reshape(values, event_shape)
            for values in (self.loc, self.scale)
        )
        return loc, scale

    def log_scale(self, event_shape: tuple[int, ...]) -> float:
        """Return sum_i log scale_i."""
        return float(np.sum(np.log(self.spread(event_shape)[1])))

    @classmethod
    def settings_from(cls, settings: Mapping[str, object], x: np.ndarray) -> dict[str, object]:
        """Return the settings with the loc and the scale of x [N, *event_shape], unless they are given."""
        if settings["loc"] or settings["scale"]:
            return dict(settings)
        flat = x.reshape(len(x), -1)
        if flat.shape[1] > MOST_FEATURES:
            flat = x.reshape(-1, 1)
        loc, scale = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
        varies = (flat.max(axis=0) > flat.min(axis=0)) & (scale > 0)  # the square of a tiny difference may be 0
        return {"loc": loc.tolist(), "scale": np.where(varies, scale, 1.0).tolist()}

    def _facts(self, facts: Facts) -> Facts:
        """Return the range of the scaled values: any number as long as loc and scale are open."""
        any_number = np.full_like(facts.low, LARGEST / 2, np.float32)
        low, high = self(np.stack([facts.low, facts.high])) if self.loc else (-any_number, any_number)
        return replace(facts, low=low, high=high, whole=False, values=None, ends=None)


SCALINGS: Table[Scaling] = Table(
    "scaling", {"none": Unscaled, "pixels": Pixels, "divided": Divided, "standard": Standard}, base=Scaling
)


def scale_columns(columns: Sequence[ColumnFacts], ways: Sequence[str]) -> Member:
    """Return the scaling of a mixed table, whose columns are scaled in different ways.

    Args:
      columns: facts about the columns.
      ways: for each column `standard` for (x - mean) / deviation, `ratio` for x / geometric mean, or `none`.
    """

    def spread(column: ColumnFacts, way: str) -> tuple[float, float]:
        if way == "none":
            return 0.0, 1.0
        return (column.mean, column.deviation) if way == "standard" else (0.0, column.centre)

    loc, scale = zip(*(spread(column, way) for column, way in zip(columns, ways, strict=True)), strict=True)
    return SCALINGS.member({"name": "standard", "loc": loc, "scale": scale})


USUAL_WAYS = {"real": "standard", "date": "standard", "positive": "ratio"}
"""The ways to scale the kinds of columns. Counts and words stay as they are."""


def choose_scaling(profile: Profile, support: Support | None = None) -> str | Member:
    """Return the scaling that suits data.

    - Columns of a mixed table are scaled by their kinds, see `USUAL_WAYS`.
    - Real values are standardized if the likelihood takes real values or is open. So are vectors of counts if
      you chose such a likelihood. Other vectors stay as they are, because 8-bit numbers in a table are seldom pixels.
    - Images of 8 bits are divided by 255, unless they are binary or only the raw values fit the likelihood.
    - Images of counts stay as they are, and so do images in [0, 1], for which this is recorded as `pixels`.

    ```python
    from tfp_vae.data.transforms.scaling import choose_scaling

    choose_scaling(tv.data.load("digits").profile)  # "pixels"
    ```

    Args:
      profile: facts about data before scaling.
      support: of the likelihood that you chose. None if it is open.
    """
    if profile.columns:
        return scale_columns(profile.columns, [USUAL_WAYS.get(column.kind, "none") for column in profile.columns])
    is_vector, values = len(profile.event_shape) == 1, profile.kind.values
    if values == "real values" or (is_vector and values == "counts" and support is REAL):
        return "standard" if support in (None, REAL) else "none"
    if is_vector:
        return "none"
    pixels = profile.largest > 1 if profile.eight_bits else profile.fits(UNIT)
    if pixels and support is not None and profile.fits(support) and not Pixels().rescale(profile).fits(support):
        return "none"
    return "pixels" if pixels else "none"


def scaling_doubt(profile: Profile, scaling: str) -> str | None:
    """Return why the scaling of images may be wrong, with a remedy, or None.

    Values of 8 bits are treated as pixels up to 255 although the largest is less than half of that. Or values of
    another type are treated as counts or real values although they may be pixels.

    Args:
      profile: facts about data before scaling.
      scaling: the name of the scaling that was chosen for them.
    """
    if len(profile.event_shape) == 1 or not profile.finite:
        return None
    largest, floats = float(profile.largest), any(dtype.kind not in "iu" for dtype in profile.dtypes)
    kind = "values" if floats else f"{8 * max(dtype.itemsize for dtype in profile.dtypes)}-bit whole numbers"
    if profile.eight_bits and 0 < largest <= PIXEL // 2:
        if scaling == "none":
            return f"the largest of its 8-bit pixels is {largest:g}, so they are not divided by 255."
        if scaling == "pixels":
            return (
                f"the largest of its 8-bit pixels is {largest:g}, but they are divided by 255, so values end at "
                f"{largest / PIXEL:.2g}. If {largest:g} is the full range, multiply by {PIXEL / largest:g} first, or "
                f"train with `scaling=divided:by={largest:g}`."
            )
    full = next((full for full in (FULL_PIXELS[:1] if floats else FULL_PIXELS) if full >= largest), None)
    if profile.eight_bits or largest <= PIXEL // 2 or full is None or profile.smallest < 0:
        return None
    treated = {"none": "treated as counts", "standard": "standardized"}.get(scaling)
    other = "counts" if scaling == "none" else "other real numbers"
    return treated and (
        f"its {kind}, up to {largest:g}, are {treated}. If they are pixels, set `scaling=divided:by={full}`. If they "
        f"are {other}, set `scaling={scaling}`."
    )


def scale(dataset: Dataset, scaling: str | Member) -> Dataset:
    """Return a data set with scaled values and with a fingerprint. Its values are read once, block by block.

    `standard` reads the training data beforehand, for NumPy's mean and standard deviation.

    Args:
      dataset: before scaling.
      scaling: a name from `SCALINGS` with settings. The training data decide the settings that are open.

    Raises:
      DataError: a value is not finite, before or after scaling. The error names its row.
    """
    if not dataset.profile.finite:
        dataset.check_finite()
    name, settings = SCALINGS.member(scaling)
    member = SCALINGS.member(Member(name, SCALINGS[name].settings_from(settings, dataset.train.x)))
    apply: Scaling = SCALINGS.build(member)
    digest, finite = hashlib.sha256(), True
    scaled: list[Split] = []
    for split in dataset.splits.values():
        x = split.x
        unchanged = x.dtype == np.float32 and np.may_share_memory(apply(x[:1]), x)
        y = x if unchanged else np.empty(x.shape, np.float32)
        digest.update(repr(y.shape).encode())
        step = max(1, BLOCK_VALUES // max(1, x[:1].size))
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            if not unchanged:
                y[rows] = apply(np.asarray(x[rows]))
                finite = finite and bool(dataset.numbers.contains(y[rows]).all())
            digest.update(np.ascontiguousarray(y[rows]).data)
        scaled.append(replace(split, x=y))
    for context in (split.context for split in scaled if split.context is not None):
        digest.update(repr(context.shape).encode())
        digest.update(np.ascontiguousarray(context).data)
    train, validation, test = scaled
    result = replace(dataset, scaling=member, train=train, validation=validation, test=test)
    if not finite:
        result.check_finite()
    return result.remember(profile=apply.rescale(dataset.profile), fingerprint=digest.hexdigest()[:16])
