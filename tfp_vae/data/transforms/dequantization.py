"""Dequantizations: noise on integer levels, which makes a density of them a bound on their log-probability.

A density of levels themselves has no upper bound, because it can put a spike on each level. With u ~ U[0, 1) added to
levels k, in units of levels,

    E_u[log p(k + u)] <= log of the integral of p over [k, k + 1) = log P(k).

So the mean log-density is a lower bound of the log-probability of the levels, and bits per dimension are defined. The
noise is fresh in every training step. Held-out data get one draw, from a fixed seed that all runs share.

References:
  Uria, Murray and Larochelle (2013), RNADE: the real-valued neural autoregressive density-estimator.
  Theis, van den Oord and Bethge (2016), A note on the evaluation of generative models.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from tfp_vae.core.errors import UsageError
from tfp_vae.core.lazy import tf
from tfp_vae.core.noise import uniform
from tfp_vae.core.registry import Member, Positive, Table, record
from tfp_vae.core.seeds import Seed
from tfp_vae.core.supports import REAL, Support, level_count, multiples, preimage
from tfp_vae.core.types import Tensor
from tfp_vae.data.profile import Profile
from tfp_vae.data.transforms.base import Transform
from tfp_vae.data.transforms.scaling import PIXEL, SCALINGS, Scaling, choose_scaling

if TYPE_CHECKING:
    from tfp_vae.data.dataset import Dataset

__all__ = [
    "DEQUANTIZATIONS",
    "NO_LEVELS",
    "Dequantization",
    "NoNoise",
    "Uniform",
    "UniformNoise",
    "add_noise",
]

MIDPOINTS = 256
"""The number of values of the noise, midpoints of equal parts of [0, 1). Float32 keeps them apart up to level 4,096."""

NO_LEVELS = (
    "`dequantization` needs levels, such as pixels from 0 to 255. Leave it out, or give their distance, as in "
    "`dequantization=uniform:step=0.1`."
)


class Dequantization(abc.ABC):
    """A way to turn the levels of a data set into real values."""

    @classmethod
    def settings_from(cls, settings: Mapping[str, object], profile: Profile, scaling: str) -> dict[str, object]:
        """Return the settings, completed from the data.

        Args:
          settings: all settings. Those that were not given are None.
          profile: facts about the data before scaling.
          scaling: the name of their scaling.
        """
        del profile, scaling
        return dict(settings)

    def usual_scaling(self, profile: Profile, support: Support | None = None) -> str | Member:
        """Return the scaling that suits data by default.

        Args:
          profile: facts about the data before scaling.
          support: of the likelihood that you chose. None if it is open.
        """
        return choose_scaling(profile, support)

    @abc.abstractmethod
    def noise(self, scaling: Scaling, event_shape: tuple[int, ...]) -> UniformNoise | None:
        """Return the noise for scaled data, or None for none.

        Args:
          scaling: how the data were scaled.
          event_shape: the shape of one example.
        """


@final
@record
class NoNoise(Dequantization):
    """Leave levels as they are."""

    def noise(self, scaling: Scaling, event_shape: tuple[int, ...]) -> None:
        """Return None."""


@final
@record
class Uniform(Dequantization):
    """Add noise from U[0, 1) to integer levels, so that a density bounds their log-probability from below.

    ```python
    data = tv.data.load("digits", dequantization="uniform")
    data.scaling, data.dequantization  # divided by 17/16, so values lie in [0, 1); step 1/16
    ```

    Args:
      step: the distance of two levels, in units of the data. Under the scaling `pixels` it is that of the divided data,
        such as 1/255. By default 1 for whole numbers, and 1/(L - 1) for L levels from 0 to 1.
    """

    step: Positive | None = field(default=None, kw_only=True)

    @classmethod
    def settings_from(cls, settings: Mapping[str, object], profile: Profile, scaling: str) -> dict[str, object]:
        """Return the settings with the distance of levels. Without any levels it is 1."""
        if settings["step"] is not None:
            return dict(settings)
        divided = scaling == "pixels" and profile.eight_bits
        return {"step": distance_of_levels(profile) / (PIXEL if divided else 1)}

    def usual_scaling(self, profile: Profile, support: Support | None = None) -> str | Member:
        """Return a divisor that maps levels with noise to [0, 1), such as 256. Vectors are standardized."""
        if profile.smallest < 0 or (len(profile.event_shape) == 1 and support in (None, REAL)):
            return "standard"
        full = float(PIXEL) if profile.eight_bits and profile.largest > 1 else profile.largest
        return SCALINGS.member({"name": "divided", "by": full + (self.step or distance_of_levels(profile))})

    def noise(self, scaling: Scaling, event_shape: tuple[int, ...]) -> UniformNoise:
        """Return uniform noise as wide as one level."""
        return UniformNoise(self.step or 1.0, scaling, event_shape)


def distance_of_levels(profile: Profile) -> float:
    """Return 1 for whole numbers, 1/(L - 1) for L levels from 0 to 1, and 1 for other values."""
    facts = profile.splits.values()
    lists = [each.values for each in facts if each.values is not None]
    if all(each.whole for each in facts) or len(lists) < len(facts):
        return 1.0
    count = level_count(np.unique(np.concatenate(lists))[:, np.newaxis])
    return 1.0 if count is None else 1 / (count - 1)


DEQUANTIZATIONS: Table[Dequantization] = Table(
    "dequantization", {"none": NoNoise, "uniform": Uniform}, base=Dequantization
)


@final
@dataclass(frozen=True)
class UniformNoise(Transform):
    """Uniform noise as wide as one level, on scaled data: x + u step / a for levels that were divided by a.

    step: the distance of two levels, in the units that `Scaling.inverse` returns.
    scaling: how the data were scaled.
    event_shape: the shape of one example.
    """

    draws: ClassVar[bool] = True
    step: float
    scaling: Scaling
    event_shape: tuple[int, ...]

    @staticmethod
    def find(
        dequantization: Member | None, scaling: Member | None, event_shape: tuple[int, ...]
    ) -> UniformNoise | None:
        """Return the noise of scaled data, or None for none.

        Args:
          dequantization: a member of `DEQUANTIZATIONS`.
          scaling: a member of `SCALINGS`.
          event_shape: the shape of one example.
        """
        if dequantization is None or dequantization.name == "none":
            return None
        member: Dequantization = DEQUANTIZATIONS.build(dequantization)
        return member.noise(SCALINGS.build(scaling or SCALINGS.member("none")), event_shape)

    @functools.cached_property
    def _map(self) -> tuple[np.ndarray, np.ndarray]:
        """The map from scaled values y to levels, offset + size y. Each is [*event_shape]."""
        low, high = self.scaling.inverse(np.stack([np.zeros(self.event_shape), np.ones(self.event_shape)]))
        return low / self.step, (high - low) / self.step

    @property
    def log_scale(self) -> float:
        """The log-density in units of levels is that of the scaled values minus this, in nats."""
        return float(np.sum(np.log(self._map[1])))

    def levels(self, x: np.ndarray) -> np.ndarray:
        """Return the levels of scaled values x [N, *event_shape], with noise or without: whole numbers, float64."""
        offset, size = self._map
        return np.asarray(np.floor(offset + size * x.astype(np.float64) + 0.25 / MIDPOINTS))

    def floor(self, x: np.ndarray) -> np.ndarray:
        """Return values x [N, *event_shape] rounded down to scaled levels, such as draws from a model."""
        return self._add(self.levels(x), 0.0, x.dtype)

    def _add(self, levels: np.ndarray, noise: np.ndarray | float, dtype: np.dtype) -> np.ndarray:
        offset, size = self._map
        return np.asarray((levels + noise - offset) / size, dtype)

    def takes(self, support: Support) -> Support:
        """Return the values for which all noisy ones lie in the support of a density.

        Raises:
          UsageError: the likelihood has probabilities, which noise does not help.
        """
        if support.discrete:
            raise UsageError(
                f"`dequantization` needs a density, but the likelihood has probabilities of {support.text}. Choose "
                "`likelihood=normal` or another density, or leave `dequantization` out."
            )
        if support is REAL:
            return support
        least, greatest = 0.5 / MIDPOINTS, 1 - 0.5 / MIDPOINTS
        ends = [lambda x, end=end: self._add(self.levels(x), end, x.dtype) for end in (least, greatest)]
        return preimage(support, ends, f"{support.text} less one level")

    def training(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return x, because every step draws fresh noise."""
        return x

    def held_out(self, x: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Return the levels of x [N, *event_shape] with noise, in the type of x."""
        noise = (draw.integers(MIDPOINTS, size=x.shape, dtype=np.uint16) + 0.5) / MIDPOINTS
        return self._add(self.levels(x), noise, x.dtype)

    def batch(self, x: Tensor, seed: Seed) -> Tensor:
        """Return a batch of levels with noise."""
        noise = (tf.floor(MIDPOINTS * uniform(tf.shape(x), seed, x.dtype)) + 0.5) / MIDPOINTS
        return x + noise / tf.constant(self._map[1], x.dtype)


def add_noise(raw: Dataset, data: Dataset, dequantization: str | Member) -> Dataset:
    """Return a scaled data set whose levels get noise in training and evaluation. Its values do not change yet.

    Args:
      raw: the data set before scaling.
      data: the data set after scaling.
      dequantization: a name from `DEQUANTIZATIONS` with settings. The data decide the settings that are open.

    Raises:
      DataError: a value is no level. The error names its row.
    """
    name, settings = DEQUANTIZATIONS.member(dequantization)
    complete = DEQUANTIZATIONS[name].settings_from(settings, raw.profile, data.scaling.name)
    result = replace(data, dequantization=DEQUANTIZATIONS.member(Member(name, complete)))
    result.remember(profile=data.profile, fingerprint=data.fingerprint())
    if result.noise is not None:
        (data if data.scaling.name == "pixels" else raw).check_support(multiples(result.noise.step), NO_LEVELS)
    return result
