"""The comparison of imputers: its hidden cells, its methods, its tables, and the VAE against MIWAE's own figure."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.document import Estimate
from benchmarks.imputation import __main__ as command
from benchmarks.imputation import document
from benchmarks.imputation.__main__ import main
from benchmarks.imputation.cases import MECHANISMS, PROTOCOL, PUBLISHED, TABLES, Case, Key, keys
from benchmarks.imputation.document import Row, advantage, errors_of
from benchmarks.imputation.methods import METHODS, ONLY_FOR, OURS, WITHOUT_DROPOUT, Filled, Result, measure

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("key", [key for key in keys(1) if key.table != "digits"], ids=str)
def test_hidden_cells_are_the_same_each_time_and_others_stay(key: Key) -> None:
    case = key.case()
    np.testing.assert_array_equal(case.holes[~case.hidden], case.full[~case.hidden])
    np.testing.assert_allclose(case.full.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(case.full.std(axis=0), 1)
    np.testing.assert_array_equal(case.hidden, key.case().hidden)


@pytest.mark.parametrize("table", PUBLISHED)
def test_published_masks_hide_half_of_the_cells(table: str) -> None:
    assert Key(table, PROTOCOL, 0).case().hidden.mean() == pytest.approx(0.5, abs=0.02)


def test_masks_at_random_hide_their_share_and_differ() -> None:
    """The share of 13,280 cells has a standard error of at most 0.0043."""
    shares = {"10% at random": 0.1, "30% at random": 0.3, "50% at random": 0.5}
    for mechanism, share in shares.items():
        hidden = [Key("breast_cancer", mechanism, mask).case().hidden for mask in range(2)]
        for each in hidden:
            assert each.mean() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / each.size))
        assert np.mean(hidden[0] & hidden[1]) == pytest.approx(share**2, abs=0.02)
    assert set(shares) | {"self-masking"} == set(MECHANISMS)


def test_self_masking_hides_the_high_values_of_half_of_the_columns() -> None:
    case = Key("wine", "self-masking", 1).case()
    masked = case.hidden.any(axis=0)
    assert masked.sum() == case.full.shape[1] // 2
    np.testing.assert_array_equal(case.hidden[:, masked], case.full[:, masked] > case.full.mean(axis=0)[masked])
    assert (masked != Key("wine", "self-masking", 2).case().hidden.any(axis=0)).any()


def test_digits_have_no_constant_column() -> None:
    full = TABLES["digits"]()
    assert full.shape == (1797, 61)
    np.testing.assert_allclose(full.std(axis=0), 1)


def test_first_masks_of_all_cells_come_before_second_masks() -> None:
    found = list(keys(2))
    assert len(found) == len(set(found)) == len(PUBLISHED) + 2 * len(TABLES) * len(MECHANISMS)
    assert [key.mask for key in found] == sorted(key.mask for key in found)
    assert [key.mechanism for key in found[: len(PUBLISHED)]] == [PROTOCOL] * len(PUBLISHED)


def test_mean_explains_nothing_and_neighbours_explain_some() -> None:
    case = Key("breast_cancer", PROTOCOL, 0).case()
    mean, near = (measure(case, METHODS[name]) for name in ("mean", "nearest neighbours"))
    assert mean.mse == pytest.approx(1, abs=0.05)
    assert near.mse < 0.6
    assert near.coverage is None


def test_errors_and_coverage_count_hidden_cells_only() -> None:
    full = np.array([[0.0, 1.0], [2.0, 3.0]])
    case = Case(full, np.array([[0.0, np.nan], [np.nan, 3.0]]))
    low, high = full - 1, full + np.array([[-5, 1], [-0.5, -5]])  # contains one of the two hidden cells
    found = measure(case, lambda holes: Filled(full + np.array([[9, 1], [2, 9]]), low, high))
    assert found[:2] == ((1 + 4) / 2, 0.5)
    assert found.cpu_seconds >= 0


@pytest.mark.slow
def test_vae_reaches_the_published_figures() -> None:
    """The authors of MIWAE use no dropout either. Intervals are too short with so few rows and no dropout."""
    method = METHODS[WITHOUT_DROPOUT]
    cancer, wine = (measure(Key(table, PROTOCOL, 0).case(), method) for table in ("breast_cancer", "wine"))
    assert cancer.mse <= document.FROM_AUTHORS["breast_cancer"]
    assert math.sqrt(wine.mse) <= 0.867
    assert cancer.coverage is not None
    assert wine.coverage is not None
    assert 0.8 < cancer.coverage < 0.95
    assert 0.7 < wine.coverage < 0.95


def rows() -> list[Row]:
    """Return results of two masks of wine with two methods, and of the published cells of breast cancer."""
    grid = [
        Row(Key("wine", "self-masking", mask), method, Result(error**2, coverage, 2.0))
        for mask, method, error, coverage in (
            (0, "mean", 1.0, None),
            (1, "mean", 1.2, None),
            (0, OURS, 0.5, 0.9),
            (1, OURS, 0.9, 0.8),
        )
    ]
    return [*grid, Row(Key("breast_cancer", PROTOCOL, 0), OURS, Result(0.25, 0.875, 3.0))]


def test_estimates_have_the_standard_error_over_masks() -> None:
    assert Estimate.of([1.0, 2.0, 3.0]) == pytest.approx((2.0, 1 / math.sqrt(3)))
    assert Estimate.of([0.4]).text() == "0.400"
    assert Estimate.of([]).text() == ""
    assert Estimate(-0.5, 0.25).text(2) == "\u22120.50 ± 0.25"


def test_advantage_is_paired_over_masks() -> None:
    found = advantage(errors_of(rows(), "wine", "self-masking"))
    assert found == pytest.approx((0.4, 0.1))
    assert math.isnan(advantage({OURS: {0: 1.0}}).mean)


def test_tables_show_what_was_measured() -> None:
    lines = document.markdown(rows()).splitlines()
    assert "| breast_cancer | MIWAE, as its authors report | 0.2867 | 0.5354 |  |" in lines
    assert "| breast_cancer | tfp_vae | 0.2500 | 0.5000 | 87.5% |" in lines
    (errors,) = (line for line in lines if line.startswith("| wine | self-masking | 2 | "))
    assert errors.startswith("| wine | self-masking | 2 | 1.100 ± 0.100 | **")
    assert errors.endswith("| **0.700 ± 0.200** | 0.400 ± 0.100 |")
    assert "| wine |  |  |  | 85.0 ± 5.0 |" in lines
    assert "| CPU seconds | mean | tfp_vae |" in lines  # the methods with results
    assert "| wine | 2 | 2 |" in lines


def test_cells_name_their_masks_if_another_method_has_more() -> None:
    (errors,) = (line for line in document.error_table(rows()[:3]).splitlines() if line.startswith("| wine"))
    assert errors == "| wine | self-masking | 2 | 1.100 ± 0.100 | **0.500** (1 mask) | 0.500 |"


def test_smallest_error_is_that_over_the_masks_of_all_methods() -> None:
    """Ours lies below the average of the other method, but above its error for the only mask of both."""
    found = [
        Row(Key("wine", "self-masking", mask), "mean", Result(mse, None, 1.0)) for mask, mse in ((0, 0.01), (1, 9.0))
    ]
    found.append(Row(Key("wine", "self-masking", 0), OURS, Result(0.25, None, 1.0)))
    (errors,) = (line for line in document.error_table(found).splitlines() if line.startswith("| wine"))
    assert "| **1.550 ± 1.450** | 0.500 (1 mask) |" in errors


def test_page_has_the_marks_once_and_only_the_text_between_them_is_replaced(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert text.count(document.BEGIN) == text.count(document.END) == 1
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}old\n{document.END}after\n")
    document.write(rows(), page)
    assert page.read_text() == f"before\n{document.BEGIN}{document.markdown(rows())}{document.END}after\n"


def test_methods_for_one_mechanism_are_measured_for_no_other() -> None:
    left = list(command.left([], (), (), 1))
    for method, mechanism in ONLY_FOR.items():
        assert {key.mechanism for key, each in left if each == method} == {mechanism}
    assert {key for key, each in left if each == OURS} == set(keys(1))


def test_a_run_measures_only_what_its_file_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, seconds = tmp_path / "found.jsonl", itertools.count(1)
    monkeypatch.setattr(command, "measure", lambda case, method: Result(0.25, None, next(seconds)))
    chosen = ["--table", "wine", "--method", "mean", "--out", str(out)]
    for masks, lines in (("0", 1), ("1", 5), ("1", 5), ("2", 9)):
        result = CliRunner().invoke(main, [*chosen, "--masks", masks])
        assert result.exit_code == 0, result.output
        assert [json.loads(line)[2][2] for line in out.read_text().splitlines()] == list(range(1, lines + 1))
    assert command.read(out)[-1] == Row(Key("wine", "self-masking", 1), "mean", Result(0.25, None, 9))
