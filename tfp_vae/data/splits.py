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
from tfp_vae.data.dataset import SPLITS, Dataset, Split
from tfp_vae.data.readers.sources import WHOLE, Examples, Source

__all__ = ["HELD_OUT_FRACTION", "SEEDED_TENTH", "as_split", "from_source", "hold_out", "split_at_random"]

HELD_OUT_FRACTION = 0.1
"""The share of examples that goes to validation, and again to test, if a source has no splits."""

SEEDED_TENTH = f"a seeded tenth (seed {FIXED_SEED})"


def from_source(name: str, source: Source) -> Dataset:
    """Return a source as a data set. A split that the source lacks is a seeded tenth of the others.

    Args:
      name: the data set's name in messages.
      source: examples and how they were read.

    Raises:
      DataError: there are no training examples, or too few to hold some out.
    """
    splits = {split: as_split(examples) for split, examples in source.parts.items()}
    whole = splits.get(WHOLE, splits.get("train"))
    if whole is None:
        raise DataError(
            f"{name}: expected training examples, found only those of the split {' and '.join(splits)}. Add a "
            "folder or an array of training examples."
        )
    if len(splits) == 1:
        dataset = split_at_random(name, whole)
    else:
        missing = [split for split in SPLITS if split not in splits]
        parts = hold_out(name, whole, len(missing)) if missing else [whole]
        splits |= zip(["train", *missing], parts, strict=True)
        rule = f"as in the file, and {SEEDED_TENTH} from train for {missing[0]}" if missing else "as in the file"
        dataset = Dataset(name, rule, splits["train"], splits["validation"], splits["test"])
    return replace(dataset, reading=source.reading)


def as_split(examples: Examples) -> Split:
    """Return examples as a split. Images get an axis of channels.

    Args:
      examples: images [N, H, W] or [N, H, W, C], or vectors [N, M], as a reader returns them.
    """
    x = examples.x[..., np.newaxis] if examples.x.ndim == 3 else examples.x
    return Split(x, examples.y, names=examples.names, lines=examples.lines)


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
