"""Scaling: what becomes of a data set's values before a model sees them; kept with a run, and done to new data too.

A scaling is decided by the training data once (`settings_from`), is then a plain value in a run's config, and is done
to held-out and to new data alike. Log-densities are those of the scaled values: for an elementwise map x = a y + b they
differ from those of x by sum_i log |a_i|. Probabilities of discrete data do not change.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, final

import numpy as np
import pydantic

from tfp_vae.core.errors import DataError
from tfp_vae.core.registry import Positive, Table, record

__all__ = ["SCALINGS", "Divided", "Pixels", "Scaling", "Standard", "Unscaled"]

MOST_FEATURES = 1 << 16


def _split_numbers(value: Any) -> Any:
    return tuple(part for part in value.split(",") if part) if isinstance(value, str) else value


Numbers = Annotated[
    tuple[pydantic.FiniteFloat, ...],
    pydantic.Field(max_length=MOST_FEATURES),
    pydantic.BeforeValidator(_split_numbers),
]


class Scaling(abc.ABC):
    """A map of values, the same for all examples of a data set and for all that come later."""

    @abc.abstractmethod
    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x [N, *event_shape], float32, as a model sees it."""

    @abc.abstractmethod
    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return values [N, *event_shape] as their source has them, float64, given those that a model sees.

        Args:
          y: scaled.
          full: what `pixels` divided by, which y does not tell; others do not look at it.
        """

    def full(self, x: np.ndarray) -> float | None:
        """Return which value of x becomes 1, of maps that divide; None of others, and where all stays as it is."""
        del x
        return None

    @classmethod
    def settings_from(cls, settings: Mapping[str, Any], x: np.ndarray) -> dict[str, Any]:
        """Return the settings with what the training data x decide where the user does not.

        Args:
          settings: all settings, those that were not given empty.
          x: the training data as they were read, [N, *event_shape].
        """
        del x
        return dict(settings)


def _as_float32(x: np.ndarray) -> np.ndarray:
    """Return x as float32: last of all, so that a large mean is taken off in the source's own precision."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused with its row
        return x.astype(np.float32, copy=False)


@final
@record
class Unscaled(Scaling):
    """The values as they are."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x."""
        return _as_float32(x)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return y."""
        del full
        return y.astype(np.float64)


@final
@record
class Pixels(Scaling):
    """8-bit pixels over 255, so that they lie in [0, 1]; other values as they are."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x / 255 if x is uint8, else x."""
        return _as_float32(x) / np.float32(self.full(x) or 1)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return full y."""
        return full * y.astype(np.float64)

    def full(self, x: np.ndarray) -> float | None:
        """Return 255 if x is uint8."""
        return 255.0 if x.dtype == np.uint8 else None


@final
@record
class Divided(Scaling):
    """All values over one number, such as pixels of 16 bits over 65535, whatever the type in which they are stored.

    Args:
      by: that number.
    """

    by: Positive = field(default=255.0, kw_only=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return x / by."""
        return _as_float32(x) / np.float32(self.by)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return by y."""
        del full
        return self.by * y.astype(np.float64)

    def full(self, x: np.ndarray) -> float:
        """Return `by`."""
        return self.by


@final
@record
class Standard(Scaling):
    """Each element less its mean, over its standard deviation in the training data: (x - loc) / scale.

    An element that never changes there has scale 1. Log-densities are those of the scaled values; that of x itself is
    less by sum_i log scale_i.

    ```python
    rows = np.random.default_rng(0).normal(5.0, 2.0, size=(100, 3))
    settings = tv.data.transforms.scaling.Standard.settings_from({"loc": (), "scale": ()}, rows)
    y = tv.data.transforms.scaling.Standard(**settings)(rows)  # [100, 3], float32, of mean 0 and standard deviation 1
    ```

    Args:
      loc: the means, in the order of the event's elements; those of the training data, if not given.
      scale: the standard deviations, likewise.

    Raises:
      DataError: when called on examples of another size than its loc and scale.
    """

    loc: Numbers = field(default=(), kw_only=True)
    scale: Numbers = field(default=(), kw_only=True)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return (x - loc) / scale.

        Raises:
          DataError: another number of locs or scales than an example has values.
        """
        size = int(np.prod(x.shape[1:]))
        if {len(self.loc), len(self.scale)} != {size}:
            raise DataError(
                f"expected a loc and a scale for each of {size} values of an example, found {len(self.loc)} and "
                f"{len(self.scale)}; leave them out to take those of the training data."
            )
        loc, scale = (np.reshape(values, x.shape[1:]) for values in (self.loc, self.scale))
        return _as_float32((x - loc) / scale)

    def inverse(self, y: np.ndarray, full: float = 1.0) -> np.ndarray:
        """Return loc + scale y."""
        del full
        loc, scale = (np.reshape(values, y.shape[1:]) for values in (self.loc, self.scale))
        unscaled: np.ndarray = loc + scale * y.astype(np.float64)
        return unscaled

    @classmethod
    def settings_from(cls, settings: Mapping[str, Any], x: np.ndarray) -> dict[str, Any]:
        """Return the settings, loc and scale taken from x [N, *event_shape] unless they are given."""
        if settings["loc"] or settings["scale"]:
            return dict(settings)
        flat = x.reshape(len(x), -1)
        loc, scale = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
        return {"loc": loc.tolist(), "scale": np.where(flat.max(axis=0) > flat.min(axis=0), scale, 1.0).tolist()}


SCALINGS: Table[Scaling] = Table(
    "scaling", {"none": Unscaled, "pixels": Pixels, "divided": Divided, "standard": Standard}, base=Scaling
)
