"""The page that compares runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers.pages import Page
from tfp_vae import reports
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.metrics import rounded_pair
from tfp_vae.reports.comparison import comparison_page, unique_names
from tfp_vae.runs.run import Run


def test_results_stand_side_by_side(evaluated: Run, copied: Run) -> None:
    html = comparison_page([evaluated, copied])
    assert Page(html).open == []
    text = " ".join(Page(html).text.split())
    evaluation = evaluated.read("evaluation.json")
    value, error = rounded_pair(evaluation["log_likelihood"], evaluation["log_likelihood_se"])
    assert f"{value} ± {error}" in text
    assert "copy: not evaluated." in text
    assert f"--run {evaluated.folder} --run {copied.folder}" in text
    assert "Settings that differ None." in text
    assert Page(html).all("img")  # the pictures of the first run


def test_other_data_are_named(evaluated: Run, vectors: reports.RunData) -> None:
    text = Page(comparison_page([evaluated, vectors.run])).text
    assert "The runs saw different data" in text
    assert "tfp-vae evaluate" not in text  # because it refuses such runs


def test_other_examples_are_named(evaluated: Run, tmp_path: Path) -> None:
    other = Run(shutil.copytree(evaluated.folder, tmp_path / "other"))
    other.write("evaluation.json", other.read("evaluation.json") | {"num_examples": 7})
    assert "evaluated on different examples" in Page(comparison_page([evaluated, other])).text


def test_equal_names_get_numbers(tmp_path: Path) -> None:
    assert unique_names([Run(tmp_path / "a"), Run(tmp_path / "b")]) == ["a", "b"]
    assert unique_names([Run(tmp_path / "x" / "a"), Run(tmp_path / "a")]) == ["1: a", "2: a"]


@pytest.mark.parametrize("count", [0, 1, 20])
def test_a_comparison_needs_several_runs(count: int, copied: Run) -> None:
    with pytest.raises(UsageError, match="expected 2 to 9 runs"):
        comparison_page([copied] * count)
