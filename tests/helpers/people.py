"""A mixed table to test with: ids, counts, positive and real numbers, words, dates, and missing cells."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np

HEADER = ["patient", "age", "income", "height", "city", "smoker", "joined"]

MODELLED = tuple(HEADER[1:])

CITIES = ["Bern", "Genf, Stadt", "Zug"]


def people(count: int = 60, seed: int = 0, *, first: int = 1000, missing: float = 0.1) -> list[list[str]]:
    """Return rows of texts. The first column is never missing."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        day = dt.date(2015, 1, 1) + dt.timedelta(days=int(draw.integers(0, 2000)))
        cells = [
            str(draw.integers(18, 90)),
            f"{np.exp(draw.normal(10, 0.4)):.2f}",
            f"{draw.normal(170, 9):.1f}",
            CITIES[draw.integers(0, 3)],
            "yes" if draw.random() < 0.3 else "no",
            day.isoformat(),
        ]
        holes = draw.random(len(cells)) < missing
        rows.append([f"P{first + i}", *("" if hole else cell for hole, cell in zip(holes, cells, strict=True))])
    return rows


def write_people(path: Path, rows: list[list[str]] | None = None) -> Path:
    """Write rows as a CSV file, and return its path."""
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *(people() if rows is None else rows)])
    return path
