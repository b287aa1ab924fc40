"""Splits: divide examples into training, validation and test examples.

A source may have splits of its own. Otherwise a permutation from a fixed seed decides, so that all runs on a data set
with the same shares are evaluated on the same examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tfp_vae.core.errors import DataError, UsageError
from tfp_vae.core.seeds import FIXED_SEED, Purpose, generator
from tfp_vae.data.dataset import SPLITS, Dataset, Split
from tfp_vae.data.readers.sources import WHOLE, Examples, Source

__all__ = ["DEFAULT_FRACTIONS", "SEEDED_TENTH", "as_split", "from_source", "hold_out", "split_at_random"]

DEFAULT_FRACTIONS = (0.8, 0.1, 0.1)
"""The shares of training, validation and test examples if a source has no splits."""

ROUNDING = 1e-9
"""A share that exceeds a whole number of examples by less than this is a rounding error."""

SEEDED_TENTH = f"a seeded tenth (seed {FIXED_SEED})"


def from_source(name: str, source: Source) -> Dataset:
    """Return a source as a data set. A split that the source lacks is a random share of the others.

    By default it is a tenth. `source.reading.split_fractions` sets other shares.

    Args:
      name: the data set's name in messages.
      source: examples and how they were read.

    Raises:
      DataError: there are no training examples, or too few to hold some out.
      UsageError: shares are set, but the source has all splits.
    """
    splits = {split: as_split(examples) for split, examples in source.parts.items()}
    whole = splits.get(WHOLE, splits.get("train"))
    if whole is None:
        raise DataError(
            f"{name}: expected training examples, found only those of the split {' and '.join(splits)}. Add a "
            "folder or an array of training examples."
        )
    shares, missing = source.reading.split_fractions, tuple(split for split in SPLITS[1:] if split not in splits)
    if len(splits) == 1:
        dataset = split_at_random(name, whole, shares)
    else:
        if shares is not None and not missing:
            raise UsageError(f"{name}: `split_fractions` has no effect on data with splits of their own. Leave it out.")
        taken = [(shares or DEFAULT_FRACTIONS)[SPLITS.index(split)] for split in missing]
        splits |= zip(["train", *missing], hold_out(name, whole, taken) if missing else [whole], strict=True)
        share = SEEDED_TENTH if shares is None else f"a share of {taken[0]:g} at random (seed {FIXED_SEED})"
        rule = f"as in the file, and {share} from train for {missing[0]}" if missing else "as in the file"
        dataset = Dataset(name, rule, splits["train"], splits["validation"], splits["test"])
    return replace(dataset, reading=source.reading, held_out=missing)


def as_split(examples: Examples) -> Split:
    """Return examples as a split. Images get an axis of channels.

    Args:
      examples: images [N, H, W] or [N, H, W, C], or vectors [N, M], as a reader returns them.
    """
    x = examples.x[..., np.newaxis] if examples.x.ndim == 3 else examples.x
    return Split(x, examples.y, names=examples.names, lines=examples.lines, ids=examples.ids, form=examples.form)


def split_at_random(name: str, whole: Split, shares: Sequence[float] | None = None) -> Dataset:
    """Return examples as a data set, by default a tenth of them for validation and a tenth for test.

    Args:
      name: the data set's name.
      whole: all examples.
      shares: those of the training, validation and test examples.

    Raises:
      DataError: there are too few examples.
    """
    train, validation, test = hold_out(name, whole, (shares or DEFAULT_FRACTIONS)[1:])
    rule = f"{SEEDED_TENTH} each for validation and test"
    if shares is not None:
        first, second, third = (f"{share:g}" for share in shares)
        rule = f"shares of {first}, {second} and {third} at random (seed {FIXED_SEED})"
    return Dataset(name, rule, train, validation, test)


def hold_out(name: str, split: Split, shares: Sequence[float]) -> Sequence[Split]:
    """Return the rest of a split, and another split for each share of its examples.

    Each share is rounded up, so it has at least one example unless it is 0. A fixed seed decides which.

    Args:
      name: the data set's name in messages.
      split: the examples to divide.
      shares: numbers from 0 to 1.

    Raises:
      DataError: no example is left for training.
    """
    sizes = [math.ceil(share * len(split) - ROUNDING) for share in shares]
    rest = len(split) - sum(sizes)
    if rest < 1:
        parts = 1 + sum(share > 0 for share in shares)
        if len(split) >= parts:
            raise DataError(
                f"{name}: `split_fractions` leaves none of {len(split)} examples for training. Raise the first share."
            )
        raise DataError(
            f"{name}: expected at least {parts} examples, one for each split, found {len(split)}. Add more."
        )
    order = generator(FIXED_SEED, Purpose.SPLIT).permutation(len(split))
    return [split[rows] for rows in np.split(order, np.cumsum([rest, *sizes])[:-1])]
