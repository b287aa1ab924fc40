"""The benchmark of synthetic rows: its halves, classifiers, errors, copies and tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pandas import DataFrame
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from benchmarks.harness import ROOT
from benchmarks.mixed import synthetic, utility
from benchmarks.mixed.synthetic import BEGIN, END, Halves, Made, encode, markdown, summarize
from benchmarks.mixed.utility import Target, Usefulness, compare, placements

TARGETS = {"large": Target("1-count", lambda column: column > 5)}

ERRORS = 4
"""Tolerance in standard errors."""


def rows(seed: int, size: int, *, related: bool = True) -> DataFrame:
    """Rows of a count, a word that follows the count, a nearly unique number, and a word with missing cells."""
    random = np.random.default_rng(seed)
    count = random.integers(0, 11, size)
    word = np.where((count if related else random.permutation(count)) > 5, "word 1", "word 2").astype(object)
    other = np.where(random.random(size) < 0.1, None, "word 1")
    return DataFrame({"1-count": count, "2-cat": word, "3-pos": random.permutation(size) + 1, "4-cat": other})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The table as HI-VAE's files hold it, with 400 rows."""
    (tmp_path / "adult").mkdir()
    table = rows(0, 400)
    lines = table.assign(**{name: table[name].str[-1] for name in ("2-cat", "4-cat")})
    lines.to_csv(tmp_path / "adult" / "data.csv", header=False, index=False)
    (tmp_path / "adult" / "data_types.csv").write_text("type,dim,nclass\ncount,1,\ncat,2,2\npos,1,\ncat,1,1\n")
    return tmp_path


def test_halves_share_no_row_and_whole_numbers_stay_whole(folder: Path) -> None:
    train, test = Halves.of(folder)
    assert len(train) == len(test) == 200
    assert sorted([*train["3-pos"], *test["3-pos"]]) == list(range(1, 401))
    assert train.dtypes["1-count"] == np.int64
    assert set(train["2-cat"]) == {"word 1", "word 2"}


def test_placements_have_the_auroc_as_their_means() -> None:
    random = np.random.default_rng(0)
    truth, scores = random.random(300) < 0.3, random.integers(0, 20, 300)  # with ties
    found = placements(truth, scores + 5 * truth)
    expected = roc_auc_score(truth, scores + 5 * truth)
    assert [part.mean() for part in found] == pytest.approx([expected] * 2)


def test_the_error_of_a_difference_is_the_spread_over_other_test_rows() -> None:
    random, differences, errors = np.random.default_rng(0), [], []
    for _ in range(400):
        truth = np.repeat([True, False], [60, 140])
        first = random.normal(size=200) + truth
        second = first + random.normal(size=200)  # correlated with the first
        parts = list(zip(placements(truth, first), placements(truth, second), strict=True))
        differences.append(parts[0][0].mean() - parts[0][1].mean())
        errors.append(np.sqrt(sum(np.var(a - b, ddof=1) / len(a) for a, b in parts)))
    truth_of_both = norm.cdf(1 / np.sqrt(2)) - norm.cdf(1 / np.sqrt(4))  # N(1, 1) against N(0, 1), then both + N(0, 1)
    assert abs(np.mean(differences) - truth_of_both) < ERRORS * np.std(differences) / 20
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=ERRORS / np.sqrt(2 * 400))


@pytest.mark.parametrize("name", utility.CLASSIFIERS)
def test_rows_without_the_dependence_are_useless_and_real_rows_lose_nothing(name: str) -> None:
    real, test = rows(0, 300), rows(1, 300)
    same = compare(real, real, test, TARGETS["large"], name, seed=0)
    assert same.loss == same.error == 0
    assert same.real > 0.95
    broken = compare(real, rows(2, 300, related=False), test, TARGETS["large"], name, seed=0)
    assert broken.synthetic < 0.75 < same.real


def test_words_that_no_training_row_has_are_no_error() -> None:
    complete = rows(0, 100).assign(**{"4-cat": "word 9"})
    for name in utility.CLASSIFIERS:
        assert compare(complete, complete, rows(1, 100), TARGETS["large"], name, seed=0).real > 0.9


def test_codes_are_equal_for_equal_cells_only() -> None:
    table = rows(0, 50)
    codes = encode(table, table)
    assert np.isnan(codes[:, 3]).tolist() == table["4-cat"].isna().tolist()
    assert len(np.unique(codes[:, 1])) == 2
    np.testing.assert_array_equal(codes[:, 0], table["1-count"])


def test_the_error_of_a_mean_combines_test_rows_and_seeds() -> None:
    found = {
        str(seed): {"targets": {"t": {"c": Usefulness(0.8 + shift, 0.7, 0.03)._asdict()}}}
        for seed, shift in enumerate([0.0, 0.02])
    }
    mean, spread = summarize(found, "t", "c")
    assert (mean.real, mean.synthetic, mean.loss) == pytest.approx((0.81, 0.7, 0.11))
    assert spread == pytest.approx(np.std([0, 0.02], ddof=1))
    assert mean.error == pytest.approx(np.sqrt(0.03**2 + spread**2 / 2))
    assert summarize({"0": found["0"]}, "t", "c")[1] == 0


def test_command_resumes_and_counts_copies(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[int] = []

    def copy(real: DataFrame, options: list[str], seed: int) -> Made:
        made.append(seed)
        return Made(real.assign(**{"3-pos": real["3-pos"] + 1_000}), 12.0, 3.0)

    monkeypatch.setattr(synthetic, "synthesize", copy)
    monkeypatch.setattr(utility, "TARGETS", TARGETS)
    out = tmp_path / "synthetic.json"
    arguments = ["--data-dir", str(folder), "--recipe", "defaults", "--out", str(out), "--seeds"]
    for seeds in ("1", "2"):
        result = CliRunner().invoke(synthetic.main, [*arguments, seeds], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    assert made == [0, 1]
    copies = json.loads(out.read_text())["defaults"]["1"]["copies"]
    assert copies["all columns"] == [0.0, 0.0]
    assert copies["without column 3-pos"][0] == 1.0
    lines = result.stdout.splitlines()
    assert sum(line.startswith(("| large | boosted trees", "|  | logistic regression")) for line in lines) == 2
    assert any(line.startswith("| defaults | 2 | 0.00% | 0.00% | 100.00% |") for line in lines)


def test_each_recipe_has_its_command_and_the_page_has_one_place_for_the_tables() -> None:
    seed = {
        "targets": {"t": {"c": Usefulness(0.8, 0.82, 0.01)._asdict()}},
        "copies": {"all columns": [0.0, 0.001]},
        "auroc": 0.7,
        "cpu_seconds": {"train": 100, "sample": 10},
    }
    text = markdown({name: {"0": seed} for name in synthetic.RECIPES})
    for name, options in synthetic.RECIPES.items():
        assert f"**{name}**: `{f'tfp-vae train {options}'.strip()}`" in text
    assert "| t | c | 80.0 | 82.0 | \u22122.0 ± 1.0 |  |" in text
    assert "0.00% | 0.10% | 0.70 | 100 | 10 |" in text
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
