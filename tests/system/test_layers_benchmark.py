"""The benchmark of layers of z."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import layers


@pytest.mark.slow
def test_compares_one_and_two_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "CASES", [layers.CASES[0], layers.CASES[1]])
    monkeypatch.setattr(layers, "SAMPLES", 10)
    out = tmp_path / "layers.json"
    options = [
        "--dataset",
        "digits",
        "--seconds",
        "0.01",
        "--examples",
        "20",
        "--hidden",
        "8",
        "--execution",
        "graph",
        "--out",
        str(out),
    ]
    found = CliRunner().invoke(layers.main, options, catch_exceptions=False)
    assert found.exit_code == 0
    results = json.loads(out.read_text())
    assert [len(row["rates"]) for row in results.values()] == [1, 2]
    assert found.output.count("\n") == 2
    assert CliRunner().invoke(layers.main, options).output == found.output  # from the file
