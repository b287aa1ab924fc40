"""Random tables as files: odd cells, delimiters, encodings and damage."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

ODD = (
    *("", " ", "NA", "?", "nan", "inf", "-inf", "1e999", "-0", "0", "1", "-1", "1.5", "1,5", "1.234,5", "1,234.5"),
    *("1'000", "007", "1_0", "٣", "1e-300", "12345678901234567890", "-200", "999", "2004-03-10", "10/03/2004"),
    *("31/12/1999", "0001-01-01", "9999-12-31", "99/99/9999", "18.00.00", "24:00", "yes", "no", "True", "Ä", "\0"),
    *("\x7f", "💥", "\u2028", "\ufeff", "a\nb", 'q"q', "'", "a,b", "a;b", "\t", "|", "S", "M", "XL", "low", "high"),
    *("=1+1", "None", "-", "x" * 50, "2004-03-10T10:00:00Z", "10.3.2004 7:05", "%Y", "\\", "col\rumn", "-1e-5"),
)
"""Cells that programs misread."""

NAMES = ("a", "b", "id", "date", "x y", "", "2001", "7", "type", "=")

SUFFIXES = (".csv", ".CSV", ".tsv", ".txt", ".csv.gz")


def column(draw: random.Random, rows: int) -> list[str]:
    """Return the cells of a column: odd ones, words, numbers, codes, dates or placeholders."""
    digits, power = draw.randint(0, 5), 10.0 ** draw.randint(-5, 8)
    words = [draw.choice(ODD) for _ in range(draw.randint(1, 4))]
    makers = (
        lambda i: draw.choice(ODD),
        lambda i: draw.choice(words),
        lambda i: f"{draw.gauss(0, power):.{digits}f}",
        str,
        lambda i: str(draw.randint(0, 9)),
        lambda i: f"{draw.randint(1, 31):02d}/{draw.randint(1, 12):02d}/{draw.randint(1, 9999):04d}",
        lambda i: draw.choice(["-200", f"{draw.random():.3f}"]),
        lambda i: f"{draw.randint(0, 99)}.{draw.randint(0, 999):03d},{draw.randint(0, 99):02d}",
        lambda i: draw.choice(["", draw.choice(ODD)]),
    )
    make = draw.choice(makers)
    return [make(i) for i in range(rows)]


def write_fuzzed_table(folder: Path, seed: int) -> Path:
    """Write a random table, and return its path.

    Args:
      folder: its folder.
      seed: decides on everything.
    """
    draw = random.Random(seed)
    delimiter, width, count = draw.choice(",;\t|"), draw.randint(1, 6), draw.randint(0, 30)
    rows = [list(row) for row in zip(*(column(draw, count) for _ in range(width)), strict=True)]
    if draw.random() < 0.8:
        rows.insert(0, [draw.choice(NAMES) + (str(i) if draw.random() < 0.8 else "") for i in range(width)])
    for row in rows:
        row.extend(["extra"] * (draw.random() < 0.005))

    def written(cell: str) -> str:
        needed = any(mark in cell for mark in (delimiter, '"', "\n", "\r")) and draw.random() < 0.995
        return '"' + cell.replace('"', '""') + '"' if needed else cell

    end = draw.choice(["\n", "\r\n", "\n\n", "\r"])
    text = end.join(delimiter.join(map(written, row)) for row in rows) + draw.choice([end, ""])
    data = bytearray(text.encode(draw.choice(["utf-8"] * 8 + ["utf-16", "utf-8-sig"])))
    if data and draw.random() < 0.03:
        data[draw.randrange(len(data))] = draw.randrange(256)
    if draw.random() < 0.02:
        del data[draw.randrange(len(data) + 1) :]
    path = folder / f"t{draw.choice(SUFFIXES)}"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" and draw.random() < 0.8 else data)
    return path
