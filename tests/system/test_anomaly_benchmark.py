"""The comparison of detectors: its divisions, its detectors, its tables and its picture."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmarks.anomalies import __main__ as command
from benchmarks.anomalies import document
from benchmarks.anomalies.__main__ import main
from benchmarks.anomalies.detectors import DETECTORS, NEEDS, OURS, Found, Result, available, measure, promise
from benchmarks.anomalies.document import Row
from benchmarks.anomalies.tables import DETECTORS_PUBLISHED, Case, divide, published_aurocs
from tfp_vae.interop.sklearn.outliers import held_out_threshold

ROOT = Path(__file__).parents[2]

LIGHT = [name for name in DETECTORS if name != OURS and name not in NEEDS]
"""The detectors that always work and that take less than a second."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two tables of 120 rows, of which the last 20 are far from the others."""
    rng = np.random.default_rng(0)
    for name in ("wine", "WBC"):
        x = rng.normal(size=(120, 3)) * [1, 10, 0.1] + [5, 0, 0]
        x[100:] += [8, 80, 0.8]
        np.savez(tmp_path / f"{name}.npz", X=x, y=np.arange(120) >= 100)
    return tmp_path


def test_half_of_the_normal_rows_train_and_all_others_are_the_test(folder: Path) -> None:
    case = divide(folder, "wine", 3)
    assert case.train.shape == (50, 3)
    assert case.test.shape == (70, 3)
    assert case.is_anomaly.sum() == 20
    np.testing.assert_allclose(case.train.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(case.train.std(axis=0), 1)
    assert (case.test[case.is_anomaly] > case.train.max(axis=0)).all()


def test_divisions_depend_on_the_seed_only(folder: Path) -> None:
    first, again, other = (divide(folder, "wine", seed).train for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_published_figures_are_read_by_table_and_detector(tmp_path: Path) -> None:
    assert published_aurocs(tmp_path) == {}
    names = ["dataset", "rows", *DETECTORS_PUBLISHED]
    (tmp_path / "published.csv").write_text(",".join(names) + "\nwine,129," + ",".join("9" * len(DETECTORS_PUBLISHED)))
    assert published_aurocs(tmp_path)["wine"]["KNN"] == 9


@pytest.mark.parametrize("name", LIGHT)
def test_detectors_find_anomalies_that_are_far_away(name: str, folder: Path) -> None:
    found = measure(divide(folder, "wine", 0), DETECTORS[name], seed=0)
    assert found.auroc > 99
    assert found.false_alarms is None
    assert found.cpu_seconds >= 0


def test_only_labels_decide_the_auroc_and_false_alarms() -> None:
    case = Case(np.zeros((1, 1)), np.arange(4.0)[:, np.newaxis], np.array([False, True, False, True]))
    found = measure(case, lambda train, test, seed: Found(test[:, 0], test[:, 0] > 1, 19), seed=0)
    assert found.auroc == pytest.approx(100 * roc_auc_score([0, 1, 0, 1], [0, 1, 2, 3]))
    assert found.false_alarms == 0.5
    assert found.promised == promise(19, 2)


@pytest.mark.parametrize(("held_out", "normal", "k"), [(6, 60, 1), (19, 50, 1), (100, 30, 5)])
def test_promised_false_alarms_are_beta_binomial(held_out: int, normal: int, k: int) -> None:
    count = stats.betabinom(normal, k, held_out + 1 - k)
    assert promise(held_out, normal) == pytest.approx((count.mean() / normal, count.std() / normal))


def test_promise_holds_for_exchangeable_rows() -> None:
    scores = np.random.default_rng(0).normal(size=(4000, 6 + 40))
    shares = [np.mean(row[6:] < held_out_threshold(row[:6])) for row in scores]
    mean, deviation = promise(6, 40)
    assert abs(np.mean(shares) - mean) < 4 * deviation / math.sqrt(4000)
    assert np.std(shares) == pytest.approx(deviation, rel=0.1)


@pytest.mark.slow
def test_vae_finds_anomalies_that_are_far_away(folder: Path) -> None:
    found = measure(divide(folder, "wine", 0), DETECTORS[OURS], seed=0)
    assert found.auroc > 99
    assert found.false_alarms is not None


def rows() -> list[Row]:
    """Return results of two seeds of two tables."""
    values = {"wine": {OURS: (80.0, 90.0), "PCA": (91.0, 92.0)}, "yeast": {OURS: (60.0, 62.0), "PCA": (50.0, 50.0)}}
    return [
        Row(table, detector, seed, Result(auroc, *((0.08, 2.0, (0.05, 0.02)) if detector == OURS else (None, 2.0))))
        for table, found in values.items()
        for detector, results in found.items()
        for seed, auroc in enumerate(results)
    ]


def test_tables_show_means_errors_and_losses() -> None:
    lines = document.markdown(rows(), {}).splitlines()
    assert "| wine | 85.0 ± 5.0 | **91.5 ± 0.5** |  |  |  |  |" in lines
    assert "| yeast | **61.0 ± 1.0** | 50.0 ± 0.0 |  |  |  |  |" in lines
    assert "| **mean** | 73.00 ± 2.55 | 70.75 ± 0.25 |  |  |  |  |" in lines
    assert "| wine | PCA | 6.5 ± 4.5 |" in lines
    assert "| wine | 5.0 ± 1.4 | 8.0 | 2.1 |" in lines


def test_a_detector_without_some_tables_has_no_mean() -> None:
    some = [row for row in rows() if (row.table, row.detector) != ("wine", "PCA")]
    lines = document.markdown(some, {}).splitlines()
    assert "| wine | **85.0 ± 5.0** |  |  |  |  |  |" in lines
    assert "| **mean** | 73.00 ± 2.55 |  |  |  |  |  |" in lines
    assert document.tables_of(some) == ["wine", "yeast"]
    assert document.tables_of([]) == []


def test_published_means_are_over_the_same_tables() -> None:
    figures = {name: dict.fromkeys(DETECTORS_PUBLISHED, value) for name, value in (("wine", 90.0), ("yeast", 50.0))}
    (mean,) = (line for line in document.markdown(rows(), figures).splitlines() if line.startswith("| **mean**"))
    assert mean.endswith("| 70.0 | 70.0 | 70.0 | 70.0 |")


def test_page_has_the_marks_once_and_a_picture(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text()
    assert text.count(document.BEGIN) == text.count(document.END) == 1
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}old\n{document.END}after\n")
    document.write(rows(), {}, page, tmp_path)
    assert page.read_text() == f"before\n{document.BEGIN}{document.markdown(rows(), {})}{document.END}after\n"
    assert (tmp_path / document.PICTURE).stat().st_size > 1000


def test_detectors_without_their_packages_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert available() == [name for name in DETECTORS if name not in NEEDS]
    assert command.why_left_out(("PCA",)) is None
    result = CliRunner().invoke(main, ["--data-dir", ".", "--detector", "PyOD's VAE"])
    assert result.exit_code == 2
    assert "PyOD's VAE needs pyod and torch." in result.stderr


def test_a_run_measures_only_what_its_file_lacks(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, seconds = tmp_path / "found.json", itertools.count(1)
    monkeypatch.setattr(command, "measure", lambda case, detector, seed: Result(50.0, None, next(seconds)))
    chosen = ["--data-dir", str(folder), "--table", "wine", "--detector", "PCA", "--out", str(out)]
    for seeds, count in (("1", 1), ("1", 1), ("3", 3)):
        result = CliRunner().invoke(main, [*chosen, "--seeds", seeds])
        assert result.exit_code == 0, result.output
        assert [row[3][2] for row in json.loads(out.read_text())] == list(range(1, count + 1))
    assert command.read(out)[-1] == Row("wine", "PCA", 2, Result(50.0, None, 3))
    assert not math.isnan(document.average(command.read(out), "PCA", ["wine"]).mean)
