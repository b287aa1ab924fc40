"""Plots of mixed tables: columns of numbers, words and dates, with missing cells.

`columns` compares the distribution of each column, `associations` the dependence between columns, `imputation` shows
imputed cells with their intervals, and `cells` the cells that make rows unusual. `panels` arranges one panel for each
column, and `labels` fits texts into the room that they have, so that no label meets another. To add a plot, write a
function in the module of its subject and enter its name below.
"""

from __future__ import annotations

from tfp_vae.core.exports import lazy_exports

TYPE_CHECKING = False

if TYPE_CHECKING:
    from tfp_vae.plots.tables.associations import association_maps
    from tfp_vae.plots.tables.cells import unusual_cells
    from tfp_vae.plots.tables.columns import column_panels
    from tfp_vae.plots.tables.imputation import imputation_panels
    from tfp_vae.plots.tables.labels import ColumnLabel

_PLACES = {
    "ColumnLabel": "labels",
    "association_maps": "associations",
    "column_panels": "columns",
    "imputation_panels": "imputation",
    "unusual_cells": "cells",
}

__all__ = ["ColumnLabel", "association_maps", "column_panels", "imputation_panels", "unusual_cells"]

if not TYPE_CHECKING:  # so that type checkers refuse unknown names
    __getattr__, __dir__ = lazy_exports(__name__, __all__, _PLACES)
