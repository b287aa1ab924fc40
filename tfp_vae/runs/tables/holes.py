"""Rows with missing cells for a run that was trained on complete rows."""

from __future__ import annotations

import logging

import numpy as np

from tfp_vae.core.display import plural
from tfp_vae.core.registry import check_keywords
from tfp_vae.runs.config import RunConfig

__all__ = ["HIDE", "warn_about_holes"]

logger = logging.getLogger("tfp_vae")

HIDE = 0.2
"""The share of cells to hide from the encoder that the warning suggests."""


@check_keywords
def warn_about_holes(config: RunConfig, path: str, x: np.ndarray) -> None:
    """Log a warning if rows have missing cells and the encoder of a run has never seen any.

    ```python
    from tfp_vae.runs.tables.holes import warn_about_holes

    config = tv.runs.run.find(None, "runs").config()
    warn_about_holes(config, "new.csv", np.ones([3, 5]))  # no warning, because the rows are complete
    ```

    Args:
      config: the run's.
      path: the name of the rows in the warning.
      x: the rows, [N, C], with NaN in missing cells.
    """
    likelihood = config.model.likelihood
    if likelihood.name != "columns" or likelihood.settings["missing"] or likelihood.settings["hide"]:
        return
    rows = int(np.isnan(x).any(axis=1).sum())
    if rows:
        logger.warning(
            "%s: %s missing cells, but the run was trained on complete rows, so its encoder does not know that "
            "cells can be missing. Estimates of log p(x) and of cells may need more samples or `refine=mixture`. An "
            "encoder that is trained with `likelihood=columns:hide=%g` handles missing cells.",
            path,
            f"{plural(rows, 'row')} {'has' if rows == 1 else 'have'}",
            HIDE,
        )
