"""Schemas: the kind of each column of a mixed table, and its way from text to numbers and back.

`read_table` reads a file or a DataFrame, and guesses a schema if you give none. To add a way to write dates, enter it
in `FORMATS` of `dates`. To add a kind of column, enter it in `KINDS` of `columns` and teach `Column.number` and
`Column.text` to read and write its cells.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.data.schema import (
        cells,
        columns,
        dates,
        files,
        frames,
        guess,
        layout,
        numerals,
        spikes,
        suspicious,
        tables,
    )
    from tfp_vae.data.schema.cells import Cells
    from tfp_vae.data.schema.columns import Column
    from tfp_vae.data.schema.guess import Overrides, guess_schema
    from tfp_vae.data.schema.layout import Schema
    from tfp_vae.data.schema.tables import Table, read_table

_PLACES = {
    "Cells": "cells",
    "Column": "columns",
    "Overrides": "guess",
    "Schema": "layout",
    "Table": "tables",
    "guess_schema": "guess",
    "read_table": "tables",
}

__all__ = [
    "Cells",
    "Column",
    "Overrides",
    "Schema",
    "Table",
    "cells",
    "columns",
    "dates",
    "files",
    "frames",
    "guess",
    "guess_schema",
    "layout",
    "numerals",
    "read_table",
    "spikes",
    "suspicious",
    "tables",
]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
