"""`Profile`: the facts about a data set from which its settings are chosen.

`measure` reads the data once. The rest follows from the facts: `Scaling.rescale` turns them into the facts about the
scaled values, and `runs.recipe.choose` picks a likelihood and networks from those.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.registry import check_keywords
from tfp_vae.core.supports import BINARY, COUNTS, FINITE, UNIT, Support, looks_like_ink
from tfp_vae.data.separation import separation

if TYPE_CHECKING:
    from tfp_vae.data.dataset import Dataset
    from tfp_vae.data.schema import Column, Schema

__all__ = [
    "ColumnFacts",
    "Ends",
    "Facts",
    "Kind",
    "Profile",
    "array_facts",
    "distinct_values",
    "measure",
    "profile_arrays",
    "profile_table",
]

SPLITS = ("train", "validation", "test")

BLOCK_VALUES = 1 << 17
"""Read about this many values at a time, so that all facts about them are found while the cache holds them."""

MOST_VALUES = 65_536
"""Distinct values are listed up to this many, the levels of 16 bits."""

FORMS = {1: "grey images", 3: "colour images"}
"""Forms of images by their number of channels."""

VALUES = {"binary values": BINARY, "values in [0, 1]": UNIT, "counts": COUNTS, "real values": FINITE}
"""Kinds of values, the narrowest first."""

NOT_FINITE = "some of them missing or infinite"

EXTREME = np.float32(1e15)
"""Numbers from this size on may mark missing values, such as 9.97e36. `Dataset.check_finite` decides."""

SQUARED = 1e150
"""The squares of larger numbers may overflow in double precision, and those of smaller ones than its inverse vanish."""

ENOUGH = 10
"""Warn below this many training examples."""

FEW = 32
"""At most this many distinct values are few."""

MOST_LOOKED_AT = 1_000
"""The most images that tell whether they look like ink."""

REPEATS = 10
"""Few values are those that occur this many times on average, or more."""

RARE = 0.1
"""At most this share of the examples has a rare value. It lies three or more standard deviations from another value."""

SMALL_IMAGE = 1_024
"""The most values of a small image, such as a digit. A 32x32 grey image has as many. Larger ones get convolutions."""

BACKGROUND = 1 / 3
"""The share of black and white pixels from which small grey images look like digits. Photos have far fewer."""

LARGE_BACKGROUND = 3 / 4
"""The same for larger images, because many large photos have a black background."""

LEAST_GROUPED, MOST_GROUPED = 1_000, 64
"""Groups are looked for among at least this many vectors, of at most this many values."""

MOST_ENDS = 65_536
"""Ends are found for examples of at most this many values."""


class Kind(NamedTuple):
    """The kind of a data set: its form and its values.

    form: `vectors`, `tables`, `grey images`, `colour images` or `images of many channels`.
    values: a key of `VALUES`, or `NOT_FINITE`. Of a mixed table, the number of columns of each kind.
    event_shape: the shape of one example.
    """

    form: str
    values: str
    event_shape: tuple[int, ...]

    def __str__(self) -> str:
        if self.form == "tables":
            return f"tables of {plural(self.event_shape[0], 'column')} ({self.values})"
        return f"{self.form} of {'x'.join(map(str, self.event_shape))}, {self.values}"


class ColumnFacts(NamedTuple):
    """Facts about a modelled column of a mixed table, from the training rows in which it was observed.

    name: its name.
    kind: its kind in the schema, such as `count` or `category`.
    levels: the number of its words, or 0 if it holds numbers.
    mean, deviation: the mean and the standard deviation. The deviation of a constant column is 1.
    centre: the geometric mean of positive numbers, else 1.
    missing: the share of missing cells among all rows.
    spikes: counts that are far more frequent than their neighbours.
    """

    name: str
    kind: str
    levels: int
    mean: float
    deviation: float
    centre: float
    missing: float
    spikes: tuple[int, ...] = ()


@final
@dataclass(frozen=True)
class Ends:
    """The least value of each element, or the greatest with its sign changed. Missing values do not count.

    value: that value, float64 [*event_shape].
    count: how often it occurs.
    following: the second least value. Infinity if there is none.
    """

    value: np.ndarray
    count: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Ends:
        """Return the ends of rows [n, *event_shape], float64."""
        value = np.fmin.reduce(rows, axis=0)
        least = rows == value
        return cls(value, least.sum(axis=0), np.fmin.reduce(np.where(least, np.inf, rows), axis=0))

    def merge(self, other: Ends) -> Ends:
        """Return the ends of two blocks of rows."""
        value = np.fmin(self.value, other.value)
        pairs = [(each, each.value == value) for each in (self, other)]
        count = sum(np.where(same, each.count, 0) for each, same in pairs)
        first, second = (np.where(same, each.following, each.value) for each, same in pairs)
        return Ends(value, np.asarray(count), np.fmin(first, second))


@final
@dataclass(frozen=True)
class Facts:
    """Facts about the values of one split.

    size: the number of examples.
    low, high: the least and the greatest value of each element, [*event_shape], in the type of the data. NaN if one of
      the values is missing.
    whole: whether all values are whole numbers.
    values: the distinct values in ascending order, in the type of the data. None if there are more than 65,536.
    at_ends: the number of values that equal the least or the greatest value of all.
    ends: the least and the greatest value of each element with their neighbours. None after scaling, for unsigned
      numbers, and for very large examples.
    ink, light_ink: whether the examples look like dark or light strokes, see `supports.looks_like_ink`. Dark ones have
      high values.
    log_totals: the mean and the standard deviation of the logarithm of the total of an example, if the values are
      counts. A total of 0 counts as one half. None for other values.
    rare: the number of elements with two distinct values, one of them rare, see `RARE`. 0 if `ends` are not found.
    apart: how far groups of the examples lie apart, see `separation.separation`. 0 if they are not vectors of real
      values, or fewer than 1,000, or of more than 64 values.
    """

    size: int
    low: np.ndarray
    high: np.ndarray
    whole: bool
    values: np.ndarray | None
    at_ends: int = 0
    ends: tuple[Ends, Ends] | None = None
    ink: bool = False
    light_ink: bool = False
    log_totals: tuple[float, float] | None = None
    rare: int = 0
    apart: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether no value is missing or infinite, or so large that it may mark a missing one."""
        return bool((np.abs(self.low) < EXTREME).all() and (np.abs(self.high) < EXTREME).all())

    @property
    def identical(self) -> bool:
        """Whether all examples are the same."""
        return bool((self.low == self.high).all())

    def fits(self, support: Support) -> bool:
        """Return whether all values lie in a support. False if these facts cannot tell.

        Args:
          support: of a likelihood.
        """
        if self.values is not None:
            return bool(support.contains(self.values).all())
        ends = np.stack([self.low.min(), self.high.max()])
        return bool(support.contains(ends).all()) and (not support.discrete or (support is COUNTS and self.whole))


@final
@check_keywords
@dataclass(frozen=True)
class Profile:
    """Facts about the examples of a data set.

    ```python
    facts = tv.data.load("digits").profile
    str(facts.kind)  # "grey images of 8x8x1, values in [0, 1]"
    facts.largest, len(facts.splits["train"].values)  # 1.0 and 17 levels
    ```

    event_shape: the shape of one example.
    splits: the facts about each split that has examples.
    dtypes: the types of the values as they were read.
    columns: facts about the columns of a mixed table, whose cells may be missing. Other data have none.
    """

    event_shape: tuple[int, ...]
    splits: Mapping[str, Facts] = field(repr=False)
    dtypes: frozenset[np.dtype]
    columns: tuple[ColumnFacts, ...] = ()

    @property
    def train(self) -> Facts:
        """The facts about the training examples."""
        return self.splits["train"]

    @property
    def largest(self) -> float:
        """The greatest value."""
        return max(float(facts.high.max()) for facts in self.splits.values())

    @property
    def smallest(self) -> float:
        """The least value."""
        return min(float(facts.low.min()) for facts in self.splits.values())

    @property
    def finite(self) -> bool:
        """Whether no value is missing or infinite, or so large that it may mark a missing one."""
        return all(facts.finite for facts in self.splits.values())

    @property
    def eight_bits(self) -> bool:
        """Whether the values are stored as unsigned numbers of 8 bits, like most pixels."""
        return self.dtypes == {np.dtype(np.uint8)}

    @property
    def grey(self) -> bool:
        """Whether some training values are neither 0 nor 1."""
        return not self.train.fits(BINARY)

    @property
    def looks_like_digits(self) -> bool:
        """Whether grey images are strokes or shapes on an empty background. Photos have many greys instead."""
        train = self.train
        share = train.at_ends / (train.size * max(1, train.low.size))
        is_empty = share >= (BACKGROUND if train.low.size <= SMALL_IMAGE else LARGE_BACKGROUND)
        return is_empty and (train.ink or train.light_ink)

    @property
    def constant(self) -> int:
        """The number of elements that are the same in all training examples."""
        return int((self.train.low == self.train.high).sum())

    @functools.cached_property
    def kind(self) -> Kind:
        """The form of the data, and the narrowest kind of values that holds them all."""
        if self.columns:
            counts = Counter(column.kind for column in self.columns)
            return Kind("tables", ", ".join(f"{count} {kind}" for kind, count in counts.items()), self.event_shape)
        is_image = len(self.event_shape) > 1
        form = FORMS.get(self.event_shape[-1], "images of many channels") if is_image else "vectors"
        fitting = (name for name, support in VALUES.items() if self.fits(support))
        return Kind(form, next(fitting, NOT_FINITE), self.event_shape)

    @functools.cached_property
    def few_values(self) -> np.ndarray | None:
        """The distinct values if they are at most 32 and each occurs ten times on average, else None.

        The 256 levels of 8-bit pixels are not few, because densities of them are usual.
        """
        values = np.array([])
        for facts in self.splits.values():
            if facts.values is None or len(facts.values) > FEW:
                return None
            values = np.union1d(values, facts.values)
        count = math.prod(self.event_shape) * sum(facts.size for facts in self.splits.values())
        return values if len(values) <= FEW and len(values) * REPEATS <= count else None

    @functools.cached_property
    def lack(self) -> str | None:
        """Why a model can learn next to nothing from these data, or None."""
        train, others = self.train, self.splits.values()
        if all(facts.identical and (facts.low == train.low).all() for facts in others):
            return "all examples are identical, so there is nothing to learn"
        if train.size == 1:
            return "there is only one training example"
        if train.identical:
            return f"all {train.size} training examples are identical, so there is nothing to learn from them"
        if train.size < ENOUGH:
            return f"{train.size} training examples are too few to learn from"
        return None

    def fits(self, support: Support) -> bool:
        """Return whether all values lie in a support. False if these facts cannot tell.

        Args:
          support: of a likelihood.
        """
        return not self.columns and all(facts.fits(support) for facts in self.splits.values())


def measure(dataset: Dataset) -> Profile:
    """Return the facts about a data set. Its values are read once.

    Args:
      dataset: scaled or not.
    """
    parts, schema = {name: split.x for name, split in dataset.splits.items()}, dataset.reading.table
    return profile_arrays(parts) if schema is None else profile_table(parts, schema)


def profile_arrays(parts: Mapping[str, np.ndarray]) -> Profile:
    """Return the facts about arrays of examples [N, *event_shape], and read each once.

    Args:
      parts: the arrays by split. `train` is needed, and an empty array is left out.
    """
    splits = {name: array_facts(x) for name, x in parts.items() if len(x)}
    event_shape = tuple(map(int, parts["train"].shape[1:]))
    return Profile(event_shape, splits, frozenset(parts[name].dtype for name in splits))


def profile_table(parts: Mapping[str, np.ndarray], schema: Schema) -> Profile:
    """Return the facts about the rows of a mixed table, in which NaN marks a missing cell.

    Args:
      parts: the values by split [N, C], before scaling. `train` is needed.
      schema: the columns.
    """
    splits = {name: observed_facts(x) for name, x in parts.items() if len(x)}
    missing = np.sum([np.isnan(x).sum(axis=0) for x in parts.values()], axis=0)
    shares = missing / sum(map(len, parts.values()))
    described = zip(schema.modelled, parts["train"].T, shares.tolist(), strict=True)
    columns = tuple(column_facts(*each) for each in described)
    return Profile((len(columns),), splits, frozenset(x.dtype for x in parts.values()), columns)


def observed_facts(x: np.ndarray) -> Facts:
    """Return the facts about the observed cells of rows x [N, C]. A column without any counts as zero."""
    ends = np.fmin.reduce(x, axis=0), np.fmax.reduce(x, axis=0)  # which ignore missing cells
    low, high = (np.nan_to_num(end, nan=0.0, posinf=np.inf, neginf=-np.inf) for end in ends)
    return Facts(len(x), low, high, whole=False, values=None)


def column_facts(column: Column, values: np.ndarray, missing: float) -> ColumnFacts:
    """Return the facts about a column of a mixed table.

    Args:
      column: its entry in the schema.
      values: the training values [N], with NaN for a missing cell.
      missing: the share of missing cells in all splits.
    """
    seen = values[np.isfinite(values)].astype(np.float64)
    largest = float(np.abs(seen).max(initial=0.0))
    unit = 1.0 if 1 / SQUARED < largest < SQUARED else largest or 1.0
    mean = unit * float((seen / unit).mean()) if len(seen) else 0.0
    deviation = unit * float((seen / unit).std()) if len(seen) and seen.min() < seen.max() else 1.0
    is_positive = len(seen) and seen.min() > 0
    centre = float(np.exp(np.log(seen).mean())) if is_positive else 1.0
    levels, spikes = len(column.levels), column.spikes
    return ColumnFacts(column.name, column.kind, levels, mean, deviation or 1.0, centre, missing, spikes)


def array_facts(x: np.ndarray) -> Facts:
    """Return the facts about an array of at least one example, [N, *event_shape], in one pass.

    Args:
      x: numbers of any type, which may include missing ones.
    """
    low, high, whole = x[0], x[0], True
    counts: dict[float, int] = {}
    ends: tuple[Ends, Ends] | None = None
    values: np.ndarray | None = np.array([], x.dtype)
    step = max(1, BLOCK_VALUES // max(1, low.size))
    places = np.linspace(0, len(x) - 1, min(len(x), MOST_LOOKED_AT)).astype(int)
    looked_at: list[np.ndarray] = []
    totals: list[np.ndarray] = []
    for start in range(0, len(x), step):
        rows = np.asarray(x[start : start + step])
        looked_at.append(rows[places[(places >= start) & (places < start + step)] - start])
        least, greatest = rows.min(axis=0), rows.max(axis=0)
        low, high = np.minimum(low, least), np.maximum(high, greatest)
        for end in {least.min().item(), greatest.max().item()}:
            counts[end] = counts.get(end, 0) + int(np.count_nonzero(rows == end))
        if x.dtype.kind in "fi" and low.size <= MOST_ENDS:
            numbers = rows.astype(np.float64)
            found = Ends.of(numbers), Ends.of(-numbers)
            ends = found if ends is None else (ends[0].merge(found[0]), ends[1].merge(found[1]))
        if x.dtype.kind == "f" and whole:
            whole = bool((rows == np.rint(rows)).all())
        if x.ndim == 2 and whole and (least >= 0).all() and (greatest < EXTREME).all():
            totals.append(rows.sum(axis=1, dtype=np.float64))
        if values is not None:
            values = np.union1d(values, distinct_values(rows))
            values = None if len(values) > MOST_VALUES else values
    at_ends = sum(counts.get(end, 0) for end in {low.min().item(), high.max().item()})
    some = np.concatenate(looked_at)
    looked_at.clear()
    apart = measure_groups(some, len(x))
    dark = looks_like_ink(some)
    with np.errstate(invalid="ignore", over="ignore"):
        inverse = np.logical_not(some, out=some) if x.dtype == bool else np.subtract(some.max(), some, out=some)
    log_totals = moments_of_logs(np.concatenate(totals)) if sum(map(len, totals)) == len(x) else None
    light, rare = looks_like_ink(inverse), 0 if ends is None else count_rare(*ends, len(x))
    return Facts(len(x), low, high, whole, values, at_ends, ends, dark, light, log_totals, rare, apart)


def measure_groups(some: np.ndarray, size: int) -> float:
    """Return how far groups lie apart among some examples [n, *event_shape] of `size`, see `Facts.apart`."""
    is_grouped = some.ndim == 2 and some.dtype.kind == "f" and size >= LEAST_GROUPED and some.shape[1] <= MOST_GROUPED
    return separation(some.astype(np.float64)) if is_grouped and (np.abs(some) < EXTREME).all() else 0.0


def count_rare(least: Ends, greatest: Ends, size: int) -> int:
    """Return the number of elements with two distinct values, one of them rare among `size` examples."""
    is_pair = least.following == -greatest.value
    return int(np.sum(is_pair & (np.minimum(least.count, greatest.count) <= RARE * size)))


def moments_of_logs(totals: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation of the logarithms of totals [N]. A total of 0 counts as one half."""
    logs = np.log(np.maximum(totals, 0.5))
    return float(logs.mean()), float(logs.std())


def distinct_values(x: np.ndarray) -> np.ndarray:
    """Return the distinct values of an array in ascending order. Small whole numbers and 8-bit pixels need no sorting.

    Args:
      x: numbers of any shape and type, which may include missing ones.
    """
    for full in (1, 255) if x.dtype.kind == "f" else (1,):  # whole numbers, and pixels that were divided by 255
        with np.errstate(over="ignore", invalid="ignore"):
            levels = x if x.dtype.kind != "f" else np.rint(x * x.dtype.type(full))
        if not 0 <= float(levels.min()) <= float(levels.max()) < MOST_VALUES:
            continue
        if x.dtype.kind != "f" or (levels / x.dtype.type(full) == x).all():
            seen = np.zeros(MOST_VALUES, bool)
            seen[levels.astype(np.uint16)] = True
            found = np.flatnonzero(seen).astype(x.dtype)
            return found if full == 1 else np.asarray(found / x.dtype.type(full))
    return np.unique(x)
