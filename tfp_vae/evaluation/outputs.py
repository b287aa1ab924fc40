"""The outputs of a decoder: the mean of p(x|z), or a draw from it. Needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tfp_vae.core.types import Distribution, Seed, Tensor

__all__ = ["OUTPUTS", "Output"]


class Output(NamedTuple):
    """Values that represent p(x|z).

    symbol: how titles and messages name the values.
    values: (p(x|z), seed) -> the values.
    """

    symbol: str
    values: Callable[[Distribution, Seed], Tensor]


OUTPUTS: dict[str, Output] = {
    "mean": Output("E[x|z]", lambda p, seed: p.mean()),
    "draw": Output("x ~ p(x|z)", lambda p, seed: p.sample(seed=seed)),
}
"""The outputs by name. Means have less noise and less variance than the data, and draws look like the data."""
