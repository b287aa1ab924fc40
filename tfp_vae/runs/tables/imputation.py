"""Tables with their missing cells filled in by the model of a run, as text in the units and words of the table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from tfp_vae.core.batch import Batch
from tfp_vae.core.display import spare_name
from tfp_vae.core.errors import UsageError
from tfp_vae.core.execution import AUTO
from tfp_vae.core.files import user_path
from tfp_vae.core.registry import Member, check_keywords
from tfp_vae.core.seeds import Seed
from tfp_vae.data.condition import with_context
from tfp_vae.data.dataset import Split, check_split
from tfp_vae.data.readers.sources import read_labels
from tfp_vae.data.readers.tables import TextFormat, csv_blocks
from tfp_vae.data.schema import Schema, Table, read_table
from tfp_vae.data.schema.cells import TEXT, text_array
from tfp_vae.data.transforms.scaling import SCALINGS
from tfp_vae.evaluation.diagnostics import FEWEST_EFFECTIVE
from tfp_vae.evaluation.importance import Progress, slices
from tfp_vae.evaluation.imputation import Imputed, impute
from tfp_vae.evaluation.proposals import Refinement
from tfp_vae.model.vae import VAE
from tfp_vae.runs.config import DataConfig, RunConfig
from tfp_vae.runs.tables.holes import warn_about_holes

__all__ = ["FilledTable", "fill_table", "read_contexts", "read_holes", "table_blocks"]

BLOCK = 10_000
"""Rows that are imputed before their cells become text. Arrays of more rows would need much memory."""


@final
@check_keywords
@dataclass(frozen=True, eq=False)
class FilledTable:
    """A table whose missing cells are filled in.

    columns: the texts of all columns by name, [N] each. Observed cells keep every character.
    cells: one entry for each filled cell, row by row, [n] each by name: `line` in the file, the ids of the row, the
      `column`, the `value`, the bounds `low` and `high` of the interval, the `probability` of a word, and the effective
      sample size `ess` of the row. Such a name gets an underscore if an id has it. Cells of constant columns have no
      `ess`, but an empty text.
    draws: the texts of all columns of M multiple imputations, [M N] each by name, with `imputation` from 1 to M. Empty
      without draws.
    summary: numbers of rows and cells, and effective sample sizes.
    """

    columns: Mapping[str, np.ndarray]
    cells: Mapping[str, np.ndarray]
    draws: Mapping[str, np.ndarray]
    summary: Mapping[str, object]


@check_keywords
def read_holes(config: RunConfig, path: str) -> Table:
    """Return a table with missing cells, read like the table of a run.

    Args:
      config: the run's.
      path: a file of a kind that `data.schema.read_table` reads.

    Raises:
      UsageError: the run does not model the columns of a mixed table.
      DataError: the file is missing or malformed, or cells do not fit their columns or are too large for the model.
    """
    schema = config.data.reading.table
    if schema is None:
        raise UsageError(
            "Imputation needs a run that has a likelihood for each column of a table. This run has one likelihood for "
            "all values, because its data have no words and no missing cells. Train it again with `missing=NA` or "
            "with a `schema`."
        )
    table = read_table(user_path(path), schema=schema)
    x = np.asarray(SCALINGS.build(config.data.scaling)(table.values))
    scaled = Split(x, lines=table.lines_of_text, ids=table.ids)
    remedy = "Correct the cell, or empty it, and it is filled in."
    check_split(path, scaled, config.model.support(config.data.event_shape), remedy)
    warn_about_holes(config, path, x)
    return table


@check_keywords
def read_contexts(config: RunConfig, table: Table) -> np.ndarray | None:
    """Return the context of each row of a table, [N, C], or None for a run without a condition.

    Raises:
      DataError: a label or a column of the condition is absent, has a hole, or has a class that training rows lack.
    """
    if config.data.condition is None:
        return None
    label, cells = config.data.reading.label_column, table.cells
    y = read_labels(cells, label) if label in cells.names else None
    split = Split(np.zeros([len(table.values), 0]), y, lines=table.lines_of_text, ids=table.id_texts)
    return with_context(split, config.data.condition, cells.source).context


@check_keywords
def fill_table(
    vae: VAE,
    config: RunConfig,
    table: Table,
    *,
    context: np.ndarray | None = None,
    iw_samples: int = 1_000,
    draws: int = 0,
    interval: float | None = 0.9,
    seed: int | Seed = 0,
    refine: Refinement | Member | str = "none",
    execution: str = AUTO,
    progress: Progress = lambda samples: None,
) -> FilledTable:
    """Return a table with its missing cells filled in, in the words, the units and the decimals of its columns.

    Missing cells of a column that has one value in the data of the run get this value. Rows are imputed in blocks, so
    the arrays of a long table do not fill the memory.

    Args:
      vae: the model of the run.
      config: the config of the run.
      table: from `read_holes`.
      context: y of a conditional run, [C], or one for each row, [N, C]. By default from `read_contexts`.
      iw_samples, draws, interval, seed, refine, execution, progress: see `evaluation.impute`.

    Raises:
      UsageError: a setting is outside its limits.
    """
    scaling, schema, data = SCALINGS.build(config.data.scaling), table.schema, config.data
    settings: dict[str, Any] = {"iw_samples": iw_samples, "draws": draws, "interval": interval, "seed": seed}
    settings |= {"refine": refine, "execution": execution, "progress": progress}
    constant, count, ess = schema.constant_holes(table.cells), len(table.values), np.full(len(table.values), np.nan)
    context = read_contexts(config, table) if context is None else context
    whole, drawn = Collected(count), Collected(draws * count)
    cells = Collected(int(np.isnan(table.values).sum()) + sum(int(holes.sum()) for holes in constant.values()))
    for part in slices(count, BLOCK):
        places = np.arange(part.start, part.stop)
        y = context[part] if context is not None and context.ndim == 2 else context
        found = impute(vae, Batch(np.asarray(scaling(table.values[part])), context=y), places=places, **settings)
        cells.append(list_cells(data, table, part, found, {name: holes[part] for name, holes in constant.items()}))
        ess[part] = found.ess
        for i, values in enumerate((found.values, *found.draws)):
            units = np.where(found.missing, data.unscaled(values), np.nan)
            block = schema.fill(table.cells.rows(part), units)
            if i == 0:
                whole.append(block)
            else:
                drawn.write((i - 1) * count + part.start, block)
    numbers = np.repeat(np.arange(1, draws + 1), count)
    return FilledTable(
        columns=whole.columns,
        cells=cells.columns,
        draws={spare_name("imputation", table.cells.names): numbers, **drawn.columns} if draws else {},
        summary=summarize_rows(table, ess, constant),
    )


@final
class Collected:
    """A table that is written block by block. Blocks that are joined at the end would take twice the memory.

    Args:
      count: the number of its rows.
    """

    def __init__(self, count: int) -> None:
        self.columns: dict[str, np.ndarray] = {}
        self._count, self._end = count, 0

    def append(self, block: Mapping[str, np.ndarray]) -> None:
        """Write a block below the block that was written last."""
        self.write(self._end, block)

    def write(self, start: int, block: Mapping[str, np.ndarray]) -> None:
        """Write a block whose first row has the index `start`."""
        for name, column in block.items():
            if name not in self.columns:
                self.columns[name] = np.empty(self._count, column.dtype)
            self._end = start + len(column)
            self.columns[name][start : self._end] = column


def summarize_rows(table: Table, ess: np.ndarray, constant: Mapping[str, np.ndarray]) -> dict[str, object]:
    """Return numbers of rows and cells, and effective sample sizes of the rows with missing cells.

    Args:
      table: before it is filled.
      ess: effective sample sizes [N]. NaN for rows without missing cells in modelled columns.
      constant: whether the cells of each constant column are missing, [N] each.
    """
    missing = np.stack([np.isnan(table.values).any(axis=1), *constant.values()])
    known, filled = ess[~np.isnan(ess)], {name: int(holes.sum()) for name, holes in constant.items()}
    return {
        "num_rows": len(ess),
        "num_incomplete": int(missing.any(axis=0).sum()),
        "num_filled": int(np.isnan(table.values).sum()) + sum(filled.values()),
        "constant_filled": filled,
        "ess_median": float(np.median(known)) if len(known) else None,
        "num_unreliable": int(np.sum(known < FEWEST_EFFECTIVE)),
    }


def list_cells(
    data: DataConfig, table: Table, part: slice, found: Imputed, constant: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return an entry for each missing cell of some rows, row by row, see `FilledTable.cells`.

    Args:
      data: the config of the data of the run.
      table: all rows.
      part: the rows.
      found: their imputed cells.
      constant: whether the cells of each constant column are missing in these rows.
    """
    rows, places = np.nonzero(found.missing)
    texts = {"value": found.values, "low": found.low, "high": found.high}
    units = {name: spell(table.schema, data.unscaled(values), found.missing) for name, values in texts.items()}
    shares = found.probability[rows, places].tolist()
    words = ["" if np.isnan(share) else f"{share:.4g}".replace(".", table.form.decimal) for share in shares]
    own = {"column": text_array(table.schema.names)[places], **units, "probability": text_array(words)}
    own["ess"] = np.round(found.ess[rows], 1).astype(object)
    for name, missing in constant.items():
        more = {**dict.fromkeys(own, ""), "column": name, "value": table.schema[name].levels[0]}
        own = {key: np.append(texts, np.full(missing.sum(), more[key], texts.dtype)) for key, texts in own.items()}
        rows = np.concatenate([rows, np.flatnonzero(missing)])
    order = np.argsort(rows, kind="stable")
    rows, own = rows[order], {name: texts[order] for name, texts in own.items()}
    ids = {name: column[part][rows] for name, column in table.ids.items()}
    lines = {spare_name("line", ids): table.lines[part][rows]}
    return {**lines, **ids, **{spare_name(name, ids): column for name, column in own.items()}}


def spell(schema: Schema, values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the texts of the missing cells of values [N, C] in natural numbers, row by row. NaN becomes empty."""
    rows, places = np.nonzero(missing)
    texts = np.empty(len(rows), TEXT)
    for place, column in enumerate(schema.modelled):
        own = places == place
        texts[own] = column.decode(values[rows[own], place])
    return texts


def table_blocks(
    columns: Mapping[str, np.ndarray], like: Table, *, header: bool | None = None, form: TextFormat | None = None
) -> Iterator[bytes]:
    """Yield columns as a text file with the marks of another table, in blocks of rows.

    Args:
      columns: names, and arrays [N] of texts or numbers.
      like: the other table.
      header: whether the first line holds the names. By default as in the other table.
      form: the marks between cells and in numbers. By default those of the other table.
    """
    has_names = like.cells.header == "yes" if header is None else header
    return csv_blocks(columns, header=has_names, form=form or like.form)
