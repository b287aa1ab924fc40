"""The benchmark of posteriors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import posteriors


@pytest.mark.slow
def test_compares_posteriors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posteriors, "CASES", posteriors.CASES[:2])
    out = tmp_path / "posteriors.json"
    options = "--dataset digits --epochs 1 --examples 6 --ais-steps 2 --hidden 8 --execution graph"
    arguments = [*options.split(), "--out", str(out)]
    found = CliRunner().invoke(posteriors.main, arguments, catch_exceptions=False)
    assert found.exit_code == 0
    assert [len(row["log_likelihood"]) for row in json.loads(out.read_text()).values()] == [6, 6]
    assert found.output.count("\n") == 2
    assert "±" in found.output.splitlines()[1].split("|")[-2]
    assert CliRunner().invoke(posteriors.main, arguments).output == found.output  # from the file
