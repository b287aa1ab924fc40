"""Compute what the report of a run can explore."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tfp_vae.core.registry import check_keywords
from tfp_vae.data.dataset import Split
from tfp_vae.plots.canvas import MOST_LETTERS, classes_of, color, shorten
from tfp_vae.reports.explorer.charts import Chart, chart
from tfp_vae.reports.explorer.records import Atlas, Class, Explorer, Points, Walked
from tfp_vae.reports.explorer.sheets import Shower
from tfp_vae.reports.pictures import DENSITY
from tfp_vae.reports.run_data import MOST_SCORED
from tfp_vae.reports.walks import walks
from tfp_vae.runs.frames import spread_rows

if TYPE_CHECKING:
    from tfp_vae.reports.run_data import RunData

__all__ = ["explore"]

MOST_WALKS = 16
"""The most dimensions that have a walk."""

ONE_CONTEXT = "All decodings have one condition: the first class and the mean of numbers."
"""The note on decodings of a conditional model."""


@check_keywords
def explore(run_data: RunData) -> Explorer:
    """Return what the report of a run can explore.

    It scores up to 1,000 test examples, and decodes up to 961 places around them. Images larger than a megapixel
    together are shrunk.

    ```python
    run = tv.runs.find(None, "runs")
    found = tv.reports.explore(tv.reports.RunData(tv.runs.LoadedRun(run), tv.runs.reload(run.config())))
    found.map.rows, found.map.columns  # the size of the grid
    ```
    """
    examples, log_px = examples_with_scores(run_data)
    has_density = DENSITY.is_met(run_data)
    size, means = math.prod(run_data.config.data.event_shape), shown_means(run_data, len(examples))
    found = None if run_data.space.discrete else chart(means, log_px, size)
    decoded = examples.x if found is None else run_data.decode(found.z)
    shower = Shower(run_data.config.data, examples.x, decoded)
    classes = classes_of(examples.y)
    named = [] if classes is None else classes.tolist()
    points = Points(
        names=[examples.source_name(row) for row in range(len(examples))],
        labels=None if classes is None or examples.y is None else np.searchsorted(classes, examples.y).tolist(),
        log_px=[float(value) if math.isfinite(value) else None for value in log_px],
        sheet=shower.sheet(examples.x, math.ceil(math.sqrt(len(examples)))),
        x=[] if found is None else to_five_digits(found.points[:, 0]),
        y=[] if found is None else to_five_digits(found.points[:, 1]),
    )
    return Explorer(
        about=run_data.description,
        split=run_data.scoring if has_density else f"{len(examples):,} {run_data.split} examples, without log p(x)",
        note=ONE_CONTEXT if run_data.vae.context_size else "",
        features=shower.features,
        classes=[Class(name=shorten(str(each), MOST_LETTERS), color=color(i)) for i, each in enumerate(named)],
        points=points,
        map=None if found is None else atlas(found, shower, decoded),
        walks=decode_walks(run_data, shower),
    )


def examples_with_scores(run_data: RunData) -> tuple[Split, np.ndarray]:
    """Return up to 1,000 test examples and log p(x) of each. It is NaN if the posterior has no density."""
    if DENSITY.is_met(run_data):
        return run_data.scores
    examples = run_data.test[spread_rows(len(run_data.test), MOST_SCORED)]
    return examples, np.full(len(examples), np.nan)


def shown_means(run_data: RunData, count: int) -> np.ndarray:
    """Return the posterior means of `count` evenly spread test examples, [N, D]."""
    means = run_data.embeddings.mean
    shown: np.ndarray = means[spread_rows(len(means), count)]
    return shown


def atlas(found: Chart, shower: Shower, decoded: np.ndarray) -> Atlas:
    """Return the decoded places of a chart."""
    return Atlas(
        heading=found.heading,
        axes=list(found.axes),
        low=found.low.tolist(),
        high=found.high.tolist(),
        rows=found.rows,
        columns=found.columns,
        sheet=shower.sheet(decoded, found.columns),
    )


def decode_walks(run_data: RunData, shower: Shower) -> Walked | None:
    """Return decoded walks along the active dimensions, or None if z has fewer than three dimensions or is discrete."""
    if run_data.space.discrete or run_data.latent_dim < 3 or not len(run_data.active):
        return None
    found = walks(run_data, MOST_WALKS)
    decoded = run_data.decode(found.z.reshape(-1, run_data.latent_dim))
    return Walked(
        names=[f"z_{d + 1}{run_data.layer_of(d)}" for d in found.dims],
        levels=[f"{level:.0%}" for level in found.levels],
        z=[to_five_digits(z[:, d]) for z, d in zip(found.z, found.dims, strict=True)],
        sheet=shower.sheet(decoded, len(found.levels)),
    )


def to_five_digits(values: np.ndarray) -> list[float]:
    """Return values with five digits, which keep the file small."""
    return [float(f"{value:.5g}") for value in values]
