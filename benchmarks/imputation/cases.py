"""Tables with hidden cells, whose true values are known."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, final

import numpy as np
from sklearn import datasets

__all__ = ["MECHANISMS", "PROTOCOL", "PUBLISHED", "TABLES", "Case", "Key", "keys"]

Mechanism: TypeAlias = "Callable[[np.ndarray, np.random.Generator], np.ndarray]"
"""Returns which cells of a table [N, C] to hide, bool [N, C]."""

PROTOCOL = "published"
"""The name of the cells that other authors hid, see `PUBLISHED`."""


@final
class Case(NamedTuple):
    """A table with hidden cells.

    full: the standardized rows, [N, C].
    holes: the same rows with NaN in the hidden cells, [N, C].
    """

    full: np.ndarray
    holes: np.ndarray

    @property
    def hidden(self) -> np.ndarray:
        """Whether a cell is hidden, bool [N, C]."""
        return np.asarray(np.isnan(self.holes))


def table(load: Callable[[], datasets.Bunch]) -> np.ndarray:
    """Return a data set of scikit-learn, standardized, without its constant columns."""
    x = load().data
    x = x[:, x.std(axis=0) > 0]
    return np.asarray((x - x.mean(axis=0)) / x.std(axis=0))


TABLES: dict[str, Callable[[], np.ndarray]] = {
    "wine": lambda: table(datasets.load_wine),
    "diabetes": lambda: table(datasets.load_diabetes),
    "breast_cancer": lambda: table(datasets.load_breast_cancer),
    "digits": lambda: table(datasets.load_digits),
}
"""The tables by name, smallest first."""


def at_random(share: float, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide each cell with the same probability."""
    return np.asarray(rng.random(x.shape) < share)


def self_masking(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Hide all values above the mean in half of the columns, which are chosen at random.

    References:
      Ipsen, Mattei and Frellsen (2021), not-MIWAE: deep generative modelling with missing not at random data.
    """
    masked = np.zeros(x.shape[1], bool)
    masked[rng.permutation(x.shape[1])[: x.shape[1] // 2]] = True
    return np.asarray(masked & (x > x.mean(axis=0)))


MECHANISMS: dict[str, Mechanism] = {
    "50% at random": functools.partial(at_random, 0.5),
    "30% at random": functools.partial(at_random, 0.3),
    "10% at random": functools.partial(at_random, 0.1),
    "self-masking": self_masking,
}
"""The ways to hide cells by name."""


def mask_of_notebook(x: np.ndarray) -> np.ndarray:
    """Hide the half of the cells that the notebook of MIWAE's authors hides."""
    np.random.seed(1234)
    hidden = np.zeros(x.size, bool)
    hidden[np.random.choice(x.size, x.size // 2, replace=False)] = True
    return hidden.reshape(x.shape)


def mask_of_wine(x: np.ndarray) -> np.ndarray:
    """Hide about half of the cells with NumPy's first generator, so that they are the same everywhere."""
    np.random.seed(42)
    return np.asarray(np.random.rand(*x.shape) < 0.5)


PUBLISHED: dict[str, Callable[[np.ndarray], np.ndarray]] = {"breast_cancer": mask_of_notebook, "wine": mask_of_wine}
"""The cells that others hid in a table, by its name."""


@final
class Key(NamedTuple):
    """Names the hidden cells of a table.

    table: a name from `TABLES`.
    mechanism: a name from `MECHANISMS`, or `published`.
    mask: the number of the mask, counted from 0.
    """

    table: str
    mechanism: str
    mask: int

    def case(self) -> Case:
        """Return the table with its hidden cells."""
        full = TABLES[self.table]()
        if self.mechanism == PROTOCOL:
            hidden = PUBLISHED[self.table](full)
        else:
            rng = np.random.default_rng([self.mask, zlib.crc32(f"{self.table}, {self.mechanism}".encode())])
            hidden = MECHANISMS[self.mechanism](full, rng)
        return Case(full, np.where(hidden, np.nan, full))


def keys(masks: int) -> Iterator[Key]:
    """Yield the published cells, then the first mask of every table and mechanism, then the second, and so on."""
    for name in PUBLISHED:
        yield Key(name, PROTOCOL, 0)
    for mask in range(masks):
        for name in TABLES:
            for mechanism in MECHANISMS:
                yield Key(name, mechanism, mask)
