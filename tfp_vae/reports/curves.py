"""Learning curves as a page draws them: the values of each curve by epoch, with its colour and its dashes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfp_vae.plots.canvas import PALETTE
from tfp_vae.runs.frames import spread_rows

__all__ = ["STYLES", "Curve", "Look", "curve_data", "thin"]

MOST_EPOCHS = 2_000
"""The most epochs of a curve."""


class Look(NamedTuple):
    """The look of a curve: its colour, and the lengths of its dashes and gaps."""

    color: str
    dash: tuple[int, ...]


STYLES = tuple(
    Look(PALETTE[color], dash)
    for color, dash in ((0, ()), (5, (6, 4)), (2, ()), (1, (6, 4)), (3, ()), (7, (6, 4)), (4, ()), (6, (2, 3)), (8, ()))
)
"""The looks of the first, second, ... curve of a chart. Neighbours differ in colour and in dashes."""


class Curve(NamedTuple):
    """A curve.

    name: its name.
    epochs: the records of the epochs of its run.
    key: the key of its values.
    """

    name: str
    epochs: Sequence[Mapping[str, Any]]
    key: str


def curve_data(charts: Mapping[str, Sequence[Curve]]) -> dict[str, object] | None:
    """Return the charts by name with the values of their curves, or None before the first epoch.

    All charts have the same epochs: those of the longest run, evenly thinned. Values that are not finite are None.
    """
    longest = max((curve.epochs for curves in charts.values() for curve in curves), key=len, default=())
    if not longest:
        return None
    epochs = [line["epoch"] for line in thin(longest, MOST_EPOCHS)]
    return {
        "epoch": epochs,
        "charts": {
            chart: [
                {"name": curve.name, **look._asdict(), "values": values_at(curve, epochs)}
                for curve, look in zip(curves, STYLES, strict=False)
            ]
            for chart, curves in charts.items()
        },
    }


def values_at(curve: Curve, epochs: Sequence[int]) -> list[float | None]:
    """Return the values of a curve at epochs. Those that are missing or not finite are None."""
    values = {line["epoch"]: line[curve.key] for line in curve.epochs}
    return [value if value is not None and math.isfinite(value) else None for value in map(values.get, epochs)]


def thin(epochs: Sequence[Mapping[str, Any]], most: int) -> Sequence[Mapping[str, Any]]:
    """Return at most `most` records of epochs, evenly spread, with the first and the last."""
    return [epochs[i] for i in spread_rows(len(epochs), most)] if epochs else []
