"""Sheets: examples as tiles of one picture, as numbers of a series, or as the texts of a table's cells."""

from __future__ import annotations

import base64
from typing import final

import numpy as np

from tfp_vae.plots.canvas import Range, is_ink, range_of
from tfp_vae.plots.sprites import pixels, shrink, sprite
from tfp_vae.reports.explorer.records import Sheet
from tfp_vae.runs.config import DataConfig

__all__ = ["Shower", "cell_text", "choose_cells"]

MOST_VALUES = 1 << 20
"""The most values of images in one sheet. Larger images are shrunk."""

MOST_CELLS = 24
"""The most columns of a table that are shown."""


@final
class Shower:
    """Turn examples of a run into sheets: all with the same tones, or with the same columns of a table.

    limits: the values at the two ends of the tones of images.
    ink: whether grey images are drawn dark on white.
    features: the names of the columns of a table. Empty for images and series.

    Args:
      data: the data of the run.
      test: test examples, [N, *event_shape].
      decoded: decoded examples, [M, *event_shape]. The columns that vary most among them are shown.
    """

    def __init__(self, data: DataConfig, test: np.ndarray, decoded: np.ndarray) -> None:
        self.data, self.has_images = data, len(data.event_shape) == 3
        self.limits, self.ink, self.features = Range(0.0, 1.0), False, list[str]()
        if self.has_images:
            shown = data.shown(test)
            self.limits = range_of(np.concatenate([shown, data.shown(decoded)]), unit=data.unit)
            self.ink = is_ink(shown) if data.ink is None else data.ink
        elif data.features:
            self.features = choose_cells(list(data.as_columns(decoded[:1])), decoded)

    def sheet(self, x: np.ndarray, columns: int) -> Sheet:
        """Return examples x [N, *event_shape] of the model as a sheet. Images are in rows of `columns` tiles."""
        if self.has_images:
            images = self.images(x)
            uri = "data:image/png;base64," + base64.b64encode(sprite(images, columns)).decode()
            return Sheet(sprite=uri, height=images.shape[1], width=images.shape[2], columns=columns)
        if not self.features:
            shown = self.data.shown(x).reshape(len(x), -1)
            return Sheet(series=[[float(f"{value:.4g}") for value in row] for row in shown])
        cells = self.data.as_columns(x)
        columns_of_text = [[cell_text(value) for value in cells[name]] for name in self.features]
        return Sheet(cells=[list(row) for row in zip(*columns_of_text, strict=True)])

    def images(self, x: np.ndarray) -> np.ndarray:
        """Return images x [N, H, W, C] as the pixels of their tiles."""
        return pixels(shrink(self.data.shown(x), MOST_VALUES), self.limits, ink=self.ink)


def choose_cells(names: list[str], decoded: np.ndarray) -> list[str]:
    """Return the names of the columns of decoded rows [N, M] that vary most, in their own order.

    If a column has several values, the first ones are returned.
    """
    if len(names) != decoded.shape[1]:
        return names[:MOST_CELLS]
    spread = np.nan_to_num(decoded.std(axis=0))
    return [names[i] for i in np.sort(np.argsort(-spread, kind="stable")[:MOST_CELLS])]


def cell_text(value: object) -> str:
    """Return a cell as text, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
