"""Whatever a table holds, it becomes numbers that return as its texts, or raises one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import memory
from tests.helpers.fuzzed_tables import write_fuzzed_table
from tfp_vae.core.errors import DataError
from tfp_vae.data.schema import Schema, Table, read_table


def check_round_trips(table: Table, seed: int) -> None:
    """Assert that cells, schema files and draws survive the way through text."""
    schema, values = table.schema, table.values
    assert Schema.from_toml(schema.to_toml()) == schema
    decoded = schema.decode(values)
    draws = schema.decode(np.random.default_rng(seed).normal(size=(5, len(schema.names))) * 1e3)
    for column, numbers in zip(schema.modelled, values.T, strict=True):
        np.testing.assert_allclose(column.encode(decoded[column.name]), numbers, rtol=1e-12, atol=1e-11)
        assert np.isfinite(column.encode(draws[column.name])).all()
    filled, holes = schema.fill(table.cells, values), schema.constant_holes(table.cells)
    assert all(schema[name].kind == "constant" for name in holes)
    for name, texts in zip(table.cells.names, table.cells.columns, strict=True):
        missing = holes.get(name, np.zeros(len(texts), bool))
        assert filled[name][~missing].tolist() == texts[~missing].tolist()
        assert set(filled[name][missing]) <= set(schema[name].levels)


def check_tables(folder: Path, seeds: range) -> int:
    """Read a table for each seed, and return how many could be read."""
    good = 0
    for seed in seeds:
        path = write_fuzzed_table(folder, seed)
        try:
            table = read_table(path)
        except DataError as error:
            assert str(error).startswith(str(path)), (seed, error)
            assert str(error).isprintable() or "\n" in str(error), (seed, error)
            continue
        check_round_trips(table, seed)
        np.testing.assert_array_equal(read_table(path, schema=table.schema).values, table.values)
        good += 1
    return good


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_fuzzed_tables_give_numbers_or_a_clear_error(start: int, tmp_path: Path) -> None:
    assert check_tables(tmp_path, range(start, start + 20)) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1_000, 11_000, 1_000))
def test_thousands_of_fuzzed_tables_raise_no_traceback(start: int, tmp_path: Path) -> None:
    assert check_tables(tmp_path, range(start, start + 1_000)) >= 400


@pytest.mark.slow
def test_a_table_needs_at_most_a_hundred_bytes_a_cell(tmp_path: Path) -> None:
    """So a million rows of 20 columns fit into 2 GB."""
    rows, draw = 20_000, np.random.default_rng(0)
    columns = [np.char.mod("%.6f", draw.normal(size=rows)) for _ in range(12)]
    columns += [draw.integers(0, 90, rows).astype(str) for _ in range(4)]
    columns += [np.array(["Private", "State", "Self-employed", ""])[draw.integers(0, 4, rows)] for _ in range(4)]
    lines = [",".join(f"c{i}" for i in range(20)), *(",".join(row) for row in zip(*columns, strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with memory.at_most(100 * rows * 20):
        table = read_table(tmp_path / "t.csv")
    assert table.values.shape == (rows, 20)
