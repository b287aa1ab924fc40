"""Draw the pictures of runs on tables: columns and their associations, imputed cells, and unusual cells.

Each function with the name of a picture in `reports.pictures.PICTURES` draws that picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfp_vae.core.seeds import Purpose, generator
from tfp_vae.data.schema.columns import LEVEL_KINDS
from tfp_vae.evaluation.imputation import impute, score_columns
from tfp_vae.plots import distributions, tables
from tfp_vae.plots.canvas import Figure
from tfp_vae.plots.tables import ColumnLabel
from tfp_vae.runs.frames import spread_rows
from tfp_vae.runs.tables import fidelity

if TYPE_CHECKING:
    from tfp_vae.reports.run_data import RunData

__all__ = ["associations", "columns", "imputation", "labels_of", "unusual_cells"]

MOST_IMPUTED, HIDDEN, INTERVAL, IMPUTATION_SAMPLES = 200, 0.2, 0.9, 500
"""Largest number of rows with imputed cells, the share of cells that are hidden, the probability of the intervals, and
importance samples for each row."""

MOST_COMPARED, CELL_SAMPLES = 500, 100
"""Largest number of rows whose cells are scored, and importance samples for each row."""

MOST_CELLS, FEWEST_COMPARED = 10_000, 20
"""Largest number of scored cells, because each takes time, but at least this many rows."""

EXECUTION = "graph"
"""For so few rows, XLA would take longer to compile than to run."""


def labels_of(run_data: RunData) -> list[ColumnLabel]:
    """Return the name, the words and the meaning of each column of a run's data."""
    data = run_data.config.data
    if data.reading.table is None:
        names: Sequence[str] = data.features or [f"value {i}" for i in range(data.event_shape[0])]
        return [ColumnLabel(name) for name in names]
    return [
        ColumnLabel(column.name, column.levels if column.kind in LEVEL_KINDS else (), column.kind == "date")
        for column in data.reading.table.modelled
    ]


def columns(run_data: RunData) -> Figure:
    """Draw the marginal of each column, of test examples and of as many draws from p(x), but at least a thousand."""
    data, labels = run_data.config.data, labels_of(run_data)
    real, made = data.unscaled(run_data.test.x), data.unscaled(run_data.draws)
    title = f"Columns of {len(real):,} {run_data.split} examples and of {len(made):,} draws from p(x)"
    if data.reading.table is None:
        return distributions.column_marginals(real, made, [label.name for label in labels], title)
    return tables.column_panels(real, made, labels, title)


def associations(run_data: RunData) -> Figure:
    """Draw the associations of test examples, and of as many draws from p(x) with the same missing cells.

    Few rows make associations look stronger, so equal numbers of rows make both maps comparable.
    """
    real, labels = run_data.test.x, labels_of(run_data)
    made = np.where(np.isnan(real), np.nan, run_data.draws[: len(real)])
    words = np.array([bool(label.words) for label in labels])
    first, second = (fidelity.associations(x, words) for x in (real, made))
    title = f"Associations of columns, in {len(real):,} {run_data.split} examples and in as many draws from p(x)"
    return tables.association_maps(first, second, [label.name for label in labels], title)


def imputation(run_data: RunData) -> Figure:
    """Draw the cells of test examples that are hidden at random and imputed, against the truth."""
    rows = spread_rows(len(run_data.test), MOST_IMPUTED)
    truth = run_data.test.x[rows]
    x = np.where(generator(run_data.seed, Purpose.HELD_OUT).random(truth.shape) < HIDDEN, np.nan, truth)
    found = impute(
        run_data.vae,
        x,
        iw_samples=IMPUTATION_SAMPLES,
        interval=INTERVAL,
        seed=run_data.seed,
        places=run_data.places[rows],
        execution=EXECUTION,
    )
    unscaled = run_data.config.data.unscaled
    title = (
        f"Hidden cells of {len(x):,} {run_data.split} examples, imputed from the rest of their row, with "
        f"{INTERVAL:.0%} intervals, K = {IMPUTATION_SAMPLES}"
    )
    return tables.imputation_panels(
        unscaled(x),
        unscaled(found.values),
        (unscaled(found.low), unscaled(found.high)),
        found.probability,
        labels_of(run_data),
        title,
        unscaled(truth),
    )


def unusual_cells(run_data: RunData) -> Figure:
    """Draw the test examples with the most surprising cells, with the texts of their cells."""
    most = max(FEWEST_COMPARED, min(MOST_COMPARED, MOST_CELLS // run_data.test.x.shape[1]))
    rows = spread_rows(len(run_data.test), most)
    examples = run_data.test[rows]
    scores = score_columns(
        run_data.vae,
        examples.x,
        iw_samples=CELL_SAMPLES,
        seed=run_data.seed,
        places=run_data.places[rows],
        execution=EXECUTION,
    )
    texts, names = run_data.config.data.as_columns(examples.x), [label.name for label in labels_of(run_data)]
    cells = np.stack([texts[name] for name in names], axis=1).tolist()
    title = f"The least likely cells of {len(examples):,} {run_data.split} examples, K = {CELL_SAMPLES}"
    sources = [examples.source_name(row) for row in range(len(examples))]
    return tables.unusual_cells(scores.surprise(), cells, sources, names, title)
