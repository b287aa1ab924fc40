"""`Dataset` and `Split`: examples in memory, divided into training, validation and test examples."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from tfp_vae.core.batch import Batch
from tfp_vae.core.display import plural
from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.supports import FINITE, Support, first_violation, usual_numbers
from tfp_vae.data.profile import EXTREME, SPLITS, Profile, measure
from tfp_vae.data.readers.sources import Reading
from tfp_vae.data.readers.tables import COMMAS, TextFormat
from tfp_vae.data.transforms.dequantization import DEQUANTIZATIONS, UniformNoise
from tfp_vae.data.transforms.scaling import SCALINGS, Scaling

if TYPE_CHECKING:
    from tfp_vae.data.condition import Condition
    from tfp_vae.data.transforms.base import Transform

__all__ = [
    "LARGEST_EVENT",
    "SPLITS",
    "Dataset",
    "Flaw",
    "Origin",
    "Split",
    "check_split",
    "first_flaw",
]

LARGEST_EVENT = 1 << 24
"""The most values that one example may have."""

MOST_EXTREME = 1e30
"""Numbers of this size are always refused."""

OUTSIZED = 1e6
"""Numbers this many times the median size of their element are outsized."""

PLAIN, UNSCALED, NO_NOISE = Reading(), SCALINGS.member("none"), DEQUANTIZATIONS.member("none")


@final
@check_keywords
@dataclass(frozen=True)
class Split:
    """Examples with their labels and their origin.

    x: the examples, [N, *event_shape]. They are float32 after scaling.
    y: their labels [N], if there are any.
    rows: their rows in the source. By default 0, 1, 2 and so on.
    names: their names in the source, such as the names of image files.
    ids: the columns of a table that identify its rows: texts [N] by the name of the column.
    context: the conditioning variables of a conditional model, float32 [N, C]. None without a condition.
    lines: their lines in the source, if it is a file of text. The first line is 1.
    part: the name of this split in its data set, or None if it does not belong to one.
    scaling: how x was scaled, or None if it was not.
    dequantization: how noise is added to the levels x, a member of `DEQUANTIZATIONS`, or None for no noise.
    form: the marks in their source, if it is a table of text.

    ```python
    data = tv.data.load("digits")
    data.test[:10]  # Split(10 examples of 8x8x1, with labels)
    data.test.source_name(0)  # "row ...", the place of the first example in the source
    ```
    """

    x: np.ndarray
    y: np.ndarray | None = None
    rows: np.ndarray | None = None
    names: np.ndarray | None = None
    part: str | None = None
    scaling: Member | None = None
    lines: np.ndarray | None = None
    dequantization: Member | None = None
    ids: Mapping[str, np.ndarray] = field(default_factory=dict)
    context: np.ndarray | None = None
    form: TextFormat = COMMAS

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        labels = "" if self.y is None else ", with labels"
        return f"Split({plural(len(self), 'example')} of {'x'.join(map(str, self.x.shape[1:]))}{labels})"

    def __getitem__(self, rows: slice | Sequence[int] | np.ndarray) -> Split:
        """Return some of the examples. Any NumPy index of the first axis selects them."""
        columns = {name: getattr(self, name) for name in ("y", "names", "lines", "context")}
        chosen: dict[str, Any] = {name: None if column is None else column[rows] for name, column in columns.items()}
        ids = {name: column[rows] for name, column in self.ids.items()}
        return replace(self, x=self.x[rows], rows=self.source_rows()[rows], ids=ids, **chosen)

    @property
    def batch(self) -> Batch:
        """The examples with their context, as models take them."""
        return Batch(self.x, context=self.context)

    @property
    def noise(self) -> UniformNoise | None:
        """The noise that x gets in evaluation, or None."""
        return UniformNoise.find(self.dequantization, self.scaling, self.x.shape[1:])

    @property
    def log_scale(self) -> float:
        """The log-density of the source's values is that of x minus this number of nats, see `Scaling.log_scale`.

        If levels get noise, it is the density in units of levels.
        """
        if self.noise is not None:
            return self.noise.log_scale
        if self.scaling is None:
            return 0.0
        scaling: Scaling = SCALINGS.build(self.scaling)
        return scaling.log_scale(self.x.shape[1:])

    def source_rows(self) -> np.ndarray:
        """Return the row of each example in its source, [N]."""
        return np.arange(len(self)) if self.rows is None else self.rows

    def source_name(self, row: int) -> str:
        """Return the name of an example in its source, or its line in a file of text, or its row from 0 in an array.

        The name of a table's row holds its ids and its line, such as `P1000 (line 3)`.
        """
        if self.names is not None:
            return str(self.names[row])
        if self.ids:
            place = "" if self.lines is None else f" (line {self.lines[row]})"
            return ", ".join(str(column[row]) for column in self.ids.values()) + place
        return f"row {self.source_rows()[row]}" if self.lines is None else f"line {self.lines[row]}"


class Origin(NamedTuple):
    """Where a data set can be loaded again, from any folder.

    dataset: a name from `DATASETS`, or an absolute path.
    data_dir: the absolute path of the folder of named data sets, or None for the default one.
    columns: whether the source decided which columns hold features, because you named none.
    """

    dataset: str
    data_dir: str | None = None
    columns: bool = False


class Flaw(NamedTuple):
    """The first example, in the order of the source, that has a value outside a support.

    split, row: the name of its split, and its row in that split.
    examples: the number of such examples in all splits.
    """

    split: str
    row: int
    examples: int


@final
@check_keywords
@dataclass(frozen=True)
class Dataset:
    """A data set with its splits.

    name: the name or path that the user wrote.
    split_rule: how the examples were split, in words.
    train, validation, test: the splits.
    reading: how the source was read, and how new data will be read.
    scaling: how the values were scaled, with the settings that the training data decided.
    origin: where to load it again, or None for data in memory.
    dequantization: how noise is added to its levels, with the settings that the data decided.
    held_out: the names of the splits that were made from training examples, because the source lacks them.
    condition: how the contexts of the examples are computed, or None if they have none.
    """

    name: str
    split_rule: str
    train: Split
    validation: Split
    test: Split
    reading: Reading = PLAIN
    scaling: Member = UNSCALED
    origin: Origin | None = None
    dequantization: Member = NO_NOISE
    held_out: tuple[str, ...] = ()
    condition: Condition | None = None

    profile = functools.cached_property(measure)
    """Facts about the values, measured when they are first needed."""

    def __post_init__(self) -> None:
        for name in SPLITS:
            known = {"part": name, "scaling": self.scaling, "dequantization": self.dequantization}
            object.__setattr__(self, name, replace(getattr(self, name), **known))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{count:,} {split}" for split, count in self.sizes().items())
        return f"Dataset({self.name!r}, {'x'.join(map(str, self.event_shape))}: {sizes})"

    @property
    def splits(self) -> Mapping[str, Split]:
        """The splits by name."""
        return {name: getattr(self, name) for name in SPLITS}

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return tuple(map(int, self.train.x.shape[1:]))

    @property
    def noise(self) -> UniformNoise | None:
        """The noise that its values get, or None."""
        return self.train.noise

    @property
    def parts(self) -> list[np.ndarray]:
        """The examples of each split, [N, *event_shape]."""
        return [split.x for split in self.splits.values()]

    @property
    def train_mean(self) -> np.ndarray:
        """The mean of the training examples, [*event_shape]. It is NaN for a column in which no cell was observed."""
        x = self.train.x
        if self.reading.table is None:
            return np.asarray(x.mean(axis=0))
        seen = ~np.isnan(x)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(seen, x, 0).sum(axis=0, dtype=np.float64) / seen.sum(axis=0))

    def sizes(self) -> dict[str, int]:
        """Return the number of examples in each split."""
        return {name: len(split) for name, split in self.splits.items()}

    def fingerprint(self) -> str:
        """Return a digest of all values. It tells whether two runs used the same data.

        It covers the shapes and bytes of x in all splits before binarization, and of their context, but not the labels.
        A run keeps it, and `recipe.reload` refuses data with another one. Sixteen hexadecimal digits of SHA-256.
        """
        return self._fingerprint

    @functools.cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        contexts = [split.context for split in self.splits.values() if split.context is not None]
        for x in (*self.parts, *contexts):
            digest.update(repr(x.shape).encode())
            digest.update(np.ascontiguousarray(x).data)
        return digest.hexdigest()[:16]

    @functools.cached_property
    def transform(self) -> Transform | None:
        """The binarization or the noise that `prepare` applied, or None."""
        return None

    def remember(
        self,
        *,
        profile: Profile,
        fingerprint: str | None = None,
        transform: Transform | None = None,
    ) -> Dataset:
        """Keep facts that were found while the data were made. `dataclasses.replace` drops them.

        Args:
          profile: facts about the values.
          fingerprint: digest of the values.
          transform: see `transform`.
        """
        known = {"profile": profile, "_fingerprint": fingerprint, "transform": transform}
        vars(self).update({name: fact for name, fact in known.items() if fact is not None})
        return self

    @property
    def numbers(self) -> Support:
        """The values that its examples may have before scaling, see `Reading`."""
        return self.reading.numbers

    def check_finite(self) -> None:
        """Raise DataError if a value is missing, infinite or extreme. The error names the first row with such a value.

        Cells of a mixed table may be missing.

        Extreme values usually mark missing ones, as 9.97e36 does in netCDF files. A value is extreme
        from 1e30 on. From 1e15 on, it is extreme if it is a million times the median size of its element in training.
        """
        if not any(np.isfinite(x).any() for x in self.parts):
            raise DataError(
                f"{self.name}: expected numbers, found only missing or infinite values. Check how the file was written."
            )
        usual = self._usual_numbers()
        flaw = first_flaw(self, usual)
        if flaw is not None:
            more = f" and {flaw.examples - 1:,} other rows with such values" if flaw.examples > 1 else ""
            where, row = f"{self.name}, {flaw.split} split", self.splits[flaw.split][[flaw.row]]
            marks = "" if first_violation(row.x, self.numbers) else "Such a value usually marks a missing one. "
            check_split(where, row, usual, f"{marks}Correct or remove that row{more}.", self.reading.columns)

    def _usual_numbers(self) -> Support:
        """Return the numbers that are not extreme. If there are extreme ones, the limit depends on the element."""
        ends = [abs(end) for facts in self.profile.splits.values() for end in (facts.low, facts.high)]
        if self.reading.table is not None or not any((end[np.isfinite(end)] >= EXTREME).any() for end in ends):
            return self.numbers
        sizes = np.abs(self.train.x.astype(np.float64))
        with np.errstate(over="ignore"):
            median = np.median(np.where(np.isfinite(sizes), sizes, 0.0), axis=0)
            return usual_numbers(np.clip(median * OUTSIZED, EXTREME, MOST_EXTREME))

    def check_support(self, support: Support, advice: str | Callable[[], str]) -> None:
        """Raise DataError if a value lies outside `support`. The error names the first such example.

        Args:
          support: of the likelihood, or the values that a binarization takes.
          advice: how to fix it, as a sentence or as a function that returns one.
        """
        for name, split in self.splits.items():
            check_split(f"{self.name}, {name} split", split, support, advice, self.reading.columns)


def first_flaw(dataset: Dataset, support: Support = FINITE) -> Flaw | None:
    """Return the first example with a value outside a support, or None.

    The order is that of the source. If the splits have sources of their own, train comes before validation and test.

    Args:
      dataset: before scaling.
      support: by default all numbers that are neither missing nor infinite.
    """
    found, count = [], 0
    for name, split in dataset.splits.items():
        rows = np.flatnonzero(~support.contains(split.x).reshape(len(split), -1).all(axis=1))
        count += len(rows)
        if len(rows):
            places = split.source_rows()[rows]
            place = 0 if split.rows is None else int(places.min())
            found.append((split.rows is None, place, name, int(rows[places.argmin()])))
    if not found:
        return None
    _, _, name, row = min(found, key=lambda each: each[:2])
    return Flaw(name, row, count)


def check_split(
    name: str,
    split: Split,
    support: Support,
    advice: str | Callable[[], str],
    columns: Sequence[str] | None = None,
) -> None:
    """Raise DataError if a value of one split lies outside `support`, and name its row or line, and its column.

    Args:
      name: the name of the split in the message.
      split: the examples.
      support: the values that are allowed.
      advice: how to fix it, as a sentence or as a function that returns one.
      columns: the names of the features, if the source is a table.
    """
    violation = first_violation(split.x, support)
    if violation is not None:
        remedy = advice if isinstance(advice, str) else advice()
        named = not support.columns and columns is not None and len(columns) == split.x[:1].size and split.x.ndim == 2
        column = f", column {columns[violation.element[0]]!r}" if columns is not None and named else ""
        expected = support.describe(violation)
        where = split.source_name(violation.row)
        where += " (counted from 0)" if split.names is None and split.lines is None else ""
        raise DataError(f"{name}: expected {expected}, found {violation.value:g} in {where}{column}. {remedy}")
