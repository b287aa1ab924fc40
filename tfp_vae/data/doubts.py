"""Doubts: properties of data that are probably mistakes, such as a row index among the features.

`Doubt.find` needs facts that the profile of a data set has already. It reads single columns to check them, and changes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfp_vae.core.display import list_names
from tfp_vae.data.profile import Ends, Facts
from tfp_vae.data.readers.roles import LABEL_WORDS
from tfp_vae.data.readers.words import join_names, name_setting
from tfp_vae.data.schema.suspicious import LEAST_REPEATS, LEAST_REST, NINES, ROUND
from tfp_vae.data.transforms.scaling import PIXEL

if TYPE_CHECKING:
    from tfp_vae.data.dataset import Dataset

__all__ = ["Doubt", "find_channels_first", "find_labels", "find_placeholders", "find_row_index"]

LABELS = LABEL_WORDS | {"digit", "species"}
"""Names of columns of labels, in small letters."""

MOST_CLASSES = 100
"""The most classes of a column that looks like labels."""

LEAST_SIDE = 8
"""The smallest side of images that the columns of a table may hold."""


class Doubt(NamedTuple):
    """A property of data that is probably a mistake.

    setting: the setting that may remove it, or `dataset` if you have to change the data.
    text: the finding and the remedy, as sentences.
    """

    setting: str
    text: str

    @classmethod
    def find(cls, raw: Dataset) -> list[Doubt]:
        """Return the doubts about a data set.

        ```python
        from tfp_vae.data.doubts import Doubt

        x = np.random.default_rng(0).random((60, 3, 32, 32))
        Doubt.find(tv.data.load(x))[0].text  # "examples of 3x32x32 look like images in PyTorch's order, ..."
        ```

        Args:
          raw: before scaling.
        """
        shape = raw.event_shape
        if raw.reading.table is not None:
            return []  # because the schema has doubts of its own
        if len(shape) == 3:
            return [*find_channels_first(shape), *find_placeholders(raw)]
        return [*find_row_index(raw), *find_labels(raw), *find_placeholders(raw)]


def find_channels_first(event_shape: tuple[int, ...]) -> Iterator[Doubt]:
    """Yield a doubt if images have their channels first: 1 or 3 before two equal sides."""
    first, height, width = event_shape
    if first in (1, 3) and height == width > 3:
        text = "x".join(map(str, event_shape))
        yield Doubt(
            "dataset",
            f"examples of {text} look like images in PyTorch's order, with the channels first. If they are, transpose "
            "them with np.transpose(x, (0, 2, 3, 1)).",
        )


def find_row_index(raw: Dataset) -> Iterator[Doubt]:
    """Yield a doubt for each feature that counts the rows, such as the index that pandas writes.

    Args:
      raw: vectors before scaling.
    """
    rows, facts = raw.train.source_rows(), raw.profile.train
    spans = facts.high.astype(np.float64) - facts.low
    for place in np.flatnonzero(spans == rows.max() - rows.min()) if len(rows) > LEAST_REPEATS else ():
        column = raw.train.x[:, place].astype(np.float64)
        if raw.train.x.shape[1] > 1 and (column - rows == column[0] - rows[0]).all():
            name = feature_name(raw.reading.columns, place)
            setting = name_setting("drop_columns", join_names([name]))
            remedy = f"Leave it out with {setting}" if raw.reading.columns else "Remove it"
            yield Doubt(
                "drop_columns",
                f"feature {name!r} counts the rows, so it is probably an index and not a feature. {remedy}.",
            )


def find_labels(raw: Dataset) -> Iterator[Doubt]:
    """Yield a doubt if a feature looks like labels, and one if the other features look like the pixels of images.

    Args:
      raw: vectors before scaling.
    """
    columns, facts = raw.reading.columns, raw.profile.train
    size = len(facts.low)
    names = [name.lower() for name in columns or ()]
    by_name = [place for place, name in enumerate(names) if name in LABELS]
    ends = [] if is_square(size) else [place for place in (0, size - 1) if is_square(size - 1)]
    places = [place for place in by_name or ends if has_classes(raw, place)] if raw.train.y is None else []
    pixels = np.delete(np.arange(size), places[:1])
    is_pixels = facts.whole and facts.low[pixels].min(initial=0) >= 0 and PIXEL // 2 < facts.high[pixels].max() <= PIXEL
    is_images = is_square(len(pixels)) and is_pixels
    if places and (by_name or is_images):
        name = feature_name(columns, places[0])
        remedy = f"set {name_setting('label_column', name)}" if columns else "pass it as labels"
        yield Doubt("label_column", f"feature {name!r} looks like labels. If it holds labels, {remedy}.")
    if is_images:
        side = math.isqrt(len(pixels))
        yield Doubt(
            "image_shape",
            f"{len(pixels)} features up to {facts.high[pixels].max():g} look like the pixels of images. If they are, "
            f"set `image_shape={side}x{side}`.",
        )


def is_square(size: int) -> bool:
    """Return whether `size` values may be a square image."""
    return math.isqrt(size) ** 2 == size >= LEAST_SIDE**2


def has_classes(raw: Dataset, place: int) -> bool:
    """Return whether a feature has between 2 and 100 different values, all of them small whole numbers."""
    facts = raw.profile.train
    low, high = facts.low[place], facts.high[place]
    if not 0 <= low < high < MOST_CLASSES or len(raw.train) < high:
        return False
    column = raw.train.x[:, place]
    return bool((column == np.rint(column)).all())


def find_placeholders(raw: Dataset) -> Iterator[Doubt]:
    """Yield a doubt for each number that may mark missing values, such as -200 in columns of positive numbers.

    Such a number is the least or the greatest of a column and occurs at least three times. It is further from the other
    numbers than they are from each other. A negative whole number may also be the least of several columns of positive
    numbers.

    Args:
      raw: before scaling.
    """
    facts = raw.profile.train
    if facts.ends is None:
        return
    for ends, sign in zip(facts.ends, (1.0, -1.0), strict=True):
        marked = placeholders_of(facts, ends, facts.ends[1 if sign > 0 else 0], sign)
        for value in np.unique(ends.value[marked]):
            places = np.flatnonzero((marked & (ends.value == value)).ravel())
            most = int(ends.count.ravel()[places].max())
            listed = list_names([repr(feature_name(raw.reading.columns, place)) for place in places])
            text = f"{sign * value:g} occurs up to {most:,} times in {len(places):,} of the"
            setting, kind, remedy = "dataset", "elements", "remove those rows or fill them in"
            if raw.reading.columns and raw.reading.image_shape is None:
                setting, kind, remedy = "missing", "columns", f"set `missing={sign * value:g}`"
            rest = f"{kind} ({listed}), far from their other values. If it marks missing values, {remedy}."
            yield Doubt(setting, f"{text} {rest}")


def placeholders_of(facts: Facts, ends: Ends, others: Ends, sign: float) -> np.ndarray:
    """Return for each element whether its least value may be a placeholder, [*event_shape].

    Args:
      facts: about the training examples.
      ends: the least values, or the greatest with their signs changed.
      others: the ends of the other side.
      sign: 1 for the least values, -1 for the greatest.
    """
    value, rest = ends.value * sign, facts.size - ends.count
    with np.errstate(invalid="ignore"):
        gap, span = ends.following - ends.value, -others.value - ends.following
        is_code = (value == np.rint(value)) & ((value < 0) | np.isin(value, list(NINES)))
        often = (ends.count >= LEAST_REPEATS) & (rest >= max(LEAST_REPEATS, LEAST_REST * facts.size))
        apart = (gap > span) & (span > 0)
        below = is_code & often & (value <= ROUND) & (ends.following * sign >= 0)
    found, counts = np.unique(value[below], return_counts=True)
    return np.asarray((is_code & often & apart) | (below & np.isin(value, found[counts > 1])))


def feature_name(columns: Sequence[str] | None, place: np.intp | int) -> str:
    """Return the name of a column, or the index of a feature without a name."""
    return str(place) if columns is None else columns[int(place)]
