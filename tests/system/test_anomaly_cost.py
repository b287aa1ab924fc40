"""The comparison of how long detectors take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.anomalies.cost import BEGIN, END, Cost, left, main, markdown
from benchmarks.anomalies.worker import COLUMNS, DETECTORS, draw

ROOT = Path(__file__).parents[2]


def found(seconds: float) -> dict[str, float]:
    return {"fit_seconds": 9.0, "fit_cpu": seconds, "score_seconds": 9.0, "score_cpu": seconds / 10, "bytes": 2e9}


def test_rows_repeat_and_differ_between_seeds() -> None:
    assert draw(7, 0).shape == (7, COLUMNS)
    np.testing.assert_array_equal(draw(7, 1), draw(7, 1))
    assert (draw(7, 0) != draw(7, 1)).all()


def test_detectors_take_turns_and_measurements_of_the_file_are_not_repeated() -> None:
    every = list(left([], ("a", "b"), (100,), 2))
    assert [(cost.detector, cost.repeat) for cost in every] == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]
    assert list(left(every[:2], ("a", "b"), (100,), 2)) == every[2:]


def test_table_has_medians_and_ratios_within_a_repeat() -> None:
    ours, _, other = DETECTORS
    costs = [Cost(ours, 1_000, i, found(value)) for i, value in enumerate((1.0, 2.0, 4.0))]
    costs += [Cost(other, 1_000, i, found(value)) for i, value in enumerate((3.0, 6.0))]
    lines = markdown(costs).strip().splitlines()
    assert lines[2] == f"| 1,000 | {ours} | 3 | 2 | 1 | 0.2 | 1 | 2.00 |"
    assert lines[3] == f"| 1,000 | {other} | 2 | 4.5 | 3 | 0.45 | 3 | 2.00 |"


@pytest.mark.slow
def test_command_measures_a_detector_and_goes_on_from_its_file(tmp_path: Path) -> None:
    arguments = ["--detector", "GaussianMixture", "--rows", "200", "--repeats", "1", "--out", str(tmp_path / "c.json")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert "GaussianMixture: fit" in result.stderr
    [[detector, rows, repeat, cost]] = json.loads((tmp_path / "c.json").read_text())
    assert (detector, rows, repeat) == ("GaussianMixture", 200, 0)
    assert cost["fit_cpu"] > 0
    again = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert again.stderr == ""
    assert "| 200 | GaussianMixture | 1 |" in again.stdout


def test_page_has_the_marks_of_the_table_once() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
