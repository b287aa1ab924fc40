"""Imputation by this library, with the likelihoods that it chooses for the columns of the table."""

from __future__ import annotations

import math

import numpy as np

import tfp_vae as tv
from benchmarks.mixed.tables import NUMBERS, Hidden
from tfp_vae.data.schema import Schema, read_table
from tfp_vae.data.schema.columns import LEVEL_KINDS, Column
from tfp_vae.data.transforms.scaling import SCALINGS

__all__ = ["DRAWS", "HIDDEN", "IW_SAMPLES", "PATIENCE", "STEPS", "impute", "in_units"]

HIDDEN = (128, 128)
"""The widths of the layers, narrower than by default, so that training takes a minute of one core."""

STEPS, PATIENCE = 12_000, 20
"""The most steps of training. It ends when the validation bound has not risen for `PATIENCE` epochs."""

IW_SAMPLES, DRAWS = 200, 50
"""Samples of z for each row with hidden cells, and multiple imputations."""

SPLITS = "0.9,0.1,0"
"""The rows for training and for validation. No row is held out for tests, because hidden cells are."""


def impute(case: Hidden) -> np.ndarray:
    """Return the imputed values of all cells, [N, C], after training on the observed ones.

    The kinds of columns are guessed, except for the ordinals. Numbers of few values may be guessed as ordinals, whose
    imputed value is the median. The error of numbers takes their mean, which is that of the multiple imputations.
    """
    frame = case.table.frame(case.holes)
    ordinal = {name: "ordinal" for name, type_ in case.table.types.items() if type_ == "ordinal"}
    data = tv.data.load(frame, column=ordinal or None, split_fractions=SPLITS)
    vae = tv.build(data, hidden=HIDDEN)
    epochs = STEPS // math.ceil(len(data.train) / 128)
    tv.fit(vae, data, epochs=epochs, execution="graph", callbacks=[tv.training.EarlyStopping(patience=PATIENCE)])
    table, scaling = read_table(frame, schema=data.reading.table), SCALINGS.build(data.scaling)
    found = tv.evaluation.impute(
        vae, scaling(table.values), iw_samples=IW_SAMPLES, draws=DRAWS, interval=None, execution="graph"
    )
    values = in_units(table.schema, scaling.inverse(found.values))
    for place, (column, type_) in enumerate(zip(table.schema.modelled, case.table.types.values(), strict=True)):
        if column.kind == "ordinal" and type_ in NUMBERS:
            values[:, place] = np.mean([in_units(table.schema, draw)[:, place] for draw in found.draws], axis=0)
    return values


def in_units(schema: Schema, values: np.ndarray) -> np.ndarray:
    """Return values [N, C] of a schema as numbers within the range of their column, and levels as their numbers."""

    def column(values: np.ndarray, own: Column) -> np.ndarray:
        if own.kind in LEVEL_KINDS:
            numbers = np.array([float(level.split()[-1]) for level in own.levels])
            return np.asarray(numbers[np.rint(values * (len(numbers) - 1)).astype(int)])
        return np.asarray(np.clip(values, own.low, own.high))

    return np.stack([column(*pair) for pair in zip(values.T, schema.modelled, strict=True)], axis=1)
