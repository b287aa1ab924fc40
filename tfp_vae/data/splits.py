"""Splits: divide examples into training, validation and test examples.

A source may have splits of its own. Otherwise a permutation from a fixed seed decides, so that all runs on a data set
are evaluated on the same examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfp_vae.core.errors import DataError
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.readers.sources import Examples, Source

__all__ = ["HELD_OUT_FRACTION", "SEEDED_TENTH", "as_split", "from_source", "hold_out", "split_at_random"]

HELD_OUT_FRACTION = 0.1
"""The share of examples that goes to validation, and again to test, if a source has no splits."""

SEEDED_TENTH = f"a seeded tenth (seed {FIXED_SEED})"


def from_source(name: str, source: Source) -> Dataset:
    """Return a source as a data set. A split that the source lacks is a seeded tenth of the others.

    Args:
      name: the data set's name in messages.
      source: examples and how they were read.
    """
    splits = {split: as_split(examples) for split, examples in source.parts.items()}
    if len(splits) == 1:
        dataset = split_at_random(name, *splits.values())
    elif "validation" in splits:
        dataset = Dataset(name, "as in the file", splits["train"], splits["validation"], splits["test"])
    else:
        train, validation = hold_out(name, splits["train"], 1)
        rule = f"as in the file; {SEEDED_TENTH} from train for validation"
        dataset = Dataset(name, rule, train, validation, splits["test"])
    return replace(dataset, reading=source.reading)


def as_split(examples: Examples) -> Split:
    """Return examples as a split. Images get an axis of channels.

    Args:
      examples: images [N, H, W] or [N, H, W, C], or vectors [N, M], as a reader returns them.
    """
    x = examples.x[..., np.newaxis] if examples.x.ndim == 3 else examples.x
    return Split(x, examples.y, names=examples.names)


def split_at_random(name: str, whole: Split) -> Dataset:
    """Return examples as a data set, a tenth of them for validation and a tenth for test.

    Args:
      name: the data set's name.
      whole: all examples.

    Raises:
      DataError: there are fewer than three examples.
    """
    train, validation, test = hold_out(name, whole, 2)
    return Dataset(name, f"{SEEDED_TENTH} each for validation and test", train, validation, test)


def hold_out(name: str, split: Split, parts: int) -> Sequence[Split]:
    """Return most of a split, and `parts` other splits with a tenth of its examples each.

    Each of them has at least one example. A fixed seed decides which.

    Args:
      name: the data set's name in messages.
      split: the examples to divide.
      parts: the number of tenths.

    Raises:
      DataError: there are not enough examples for all parts.
    """
    tenth = math.ceil(HELD_OUT_FRACTION * len(split))
    rest = len(split) - parts * tenth
    if rest < 1:
        raise DataError(
            f"{name}: expected at least {parts + 1} examples, one for each split, found {len(split)}. Add more."
        )
    order = generator(FIXED_SEED, Purpose.SPLIT).permutation(len(split))
    return [split[rows] for rows in np.split(order, [rest + i * tenth for i in range(parts)])]
