"""Imputed cells and their intervals, with and without the truth."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.colors
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.helpers.figures import collisions
from tfp_vae.plots.tables import ColumnLabel, imputation, imputation_panels

WORDS = ("no", "perhaps", "yes")


class Case(NamedTuple):
    """A complete table, its missing cells, and imputations with a known error."""

    truth: np.ndarray
    missing: np.ndarray
    values: np.ndarray
    ends: tuple[np.ndarray, np.ndarray]
    probability: np.ndarray
    labels: list[ColumnLabel]

    @classmethod
    def of(cls, rng: np.random.Generator, columns: int, rows: int = 60) -> Case:
        """Numbers, words and dates in turn, with long names. A third of the cells are missing."""
        kinds = ColumnLabel("W" * 30), ColumnLabel("a word", WORDS), ColumnLabel("\u732b$" * 20, is_date=True)
        labels = [kinds[i % 3]._replace(name=f"{kinds[i % 3].name} {i}") for i in range(columns)]
        scale = 10.0 ** rng.integers(-6, 9, columns)
        truth = np.stack(
            [rng.integers(0, 3, rows) / 2 if label.words else rng.normal(size=rows) for label in labels], 1
        )
        is_word = np.array([bool(label.words) for label in labels])
        truth = np.where(is_word, truth, truth * scale)
        missing = rng.random(truth.shape) < 1 / 3
        error = np.where(is_word, (rng.random(truth.shape) < 0.4) / 2, rng.normal(size=truth.shape) * scale / 4)
        values = np.where(missing, truth + error, truth)
        width = np.where(missing & ~is_word, scale / 4, np.nan)
        probability = np.where(missing & is_word, 0.6, np.nan)
        return cls(truth, missing, values, (values - width, values + width), probability, labels)

    def draw(self, *, truth: bool) -> Figure:
        x = np.where(self.missing, np.nan, self.truth)
        known = self.truth if truth else None
        return imputation_panels(x, self.values, self.ends, self.probability, self.labels, "Imputed cells", known)


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("columns", [1, 5, pytest.param(500, marks=pytest.mark.slow)])
def test_labels_never_meet(columns: int, truth: bool, rng: np.random.Generator) -> None:
    figure = Case.of(rng, columns).draw(truth=truth)
    assert collisions(figure) == []
    assert len(figure.axes) == min(columns, imputation.MOST_PANELS)


def test_intervals_stand_at_the_truth_in_the_colour_of_their_success(rng: np.random.Generator) -> None:
    case = Case.of(rng, 1)
    axes = case.draw(truth=True).axes[0]
    bars, dots = axes.collections
    cells = case.missing[:, 0]
    order = np.argsort(case.values[cells, 0])
    truth, low, high = (x[cells, 0][order] for x in (case.truth, *case.ends))
    np.testing.assert_allclose(dots.get_offsets()[:, 0], truth)
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], np.stack([low, high], 1))
    is_inside = (low <= truth) & (truth <= high)
    colors = [matplotlib.colors.to_hex(color) for color in dots.get_facecolors()]
    assert colors == [(imputation.RIGHT if inside else imputation.WRONG).lower() for inside in is_inside]
    assert 0 < is_inside.sum() < len(is_inside)
    assert axes.texts[0].get_text() == f"{cells.sum()} cells, {is_inside.mean():.0%} in their interval"
    assert axes.get_xlim() == axes.get_ylim()


def test_cells_without_truth_are_sorted_over_the_middle_of_the_observed_cells(rng: np.random.Generator) -> None:
    case = Case.of(rng, 1)
    axes = case.draw(truth=False).axes[0]
    offsets = axes.collections[1].get_offsets()
    np.testing.assert_array_equal(offsets[:, 0], np.arange(case.missing.sum()))
    np.testing.assert_allclose(offsets[:, 1], np.sort(case.values[case.missing]))
    shade = axes.patches[0]
    middle = np.quantile(case.truth[~case.missing], [0.05, 0.95])
    np.testing.assert_allclose([shade.get_y(), shade.get_y() + shade.get_height()], middle)
    assert axes.texts[0].get_text() == f"{case.missing.sum()} cells"


def test_words_have_a_histogram_of_their_probabilities(rng: np.random.Generator) -> None:
    case = Case.of(rng, 2)
    axes = case.draw(truth=True).axes[1]
    cells = case.missing[:, 1]
    is_right = np.isclose(case.values[cells, 1], case.truth[cells, 1])
    right, wrong = ([bar.get_height() for bar in bars] for bars in axes.containers)
    assert (sum(right), sum(wrong)) == (is_right.sum(), (~is_right).sum())
    assert axes.texts[0].get_text() == f"{cells.sum()} cells, {is_right.mean():.0%} right, 60% expected"
    assert axes.get_xlabel() == "probability of the imputed word"


def test_panel_has_at_most_its_number_of_cells(rng: np.random.Generator) -> None:
    case = Case.of(rng, 1, rows=2_000)
    offsets = case.draw(truth=False).axes[0].collections[1].get_offsets()
    values = np.sort(case.values[case.missing])
    assert len(offsets) == imputation.MOST_CELLS
    assert (offsets[0, 1], offsets[-1, 1]) == (values[0], values[-1])


def test_columns_with_the_most_missing_cells_are_shown(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imputation, "MOST_PANELS", 2)
    x = rng.normal(size=(20, 4))
    values = x.copy()
    for column, count in enumerate((3, 0, 5, 8)):
        x[:count, column] = np.nan
    nothing = np.full(x.shape, np.nan)
    labels = [ColumnLabel(name) for name in "abcd"]
    figure = imputation_panels(x, values, (nothing, nothing), nothing, labels, "Imputed cells")
    assert [axes.get_title() for axes in figure.axes] == ["c", "d"]
    assert figure.get_suptitle().replace("\n", " ") == "Imputed cells, the 2 of 3 columns with the most missing cells"


def test_truth_that_is_partly_unknown_is_left_out(rng: np.random.Generator) -> None:
    case = Case.of(rng, 1)
    truth = case.truth.copy()
    truth[np.flatnonzero(case.missing[:, 0])[:4]] = np.nan
    x = np.where(case.missing, np.nan, case.truth)
    axes = imputation_panels(x, case.values, case.ends, case.probability, case.labels, "Cells", truth).axes[0]
    assert len(axes.collections[1].get_offsets()) == case.missing.sum() - 4
    assert axes.texts[0].get_text().startswith(f"{case.missing.sum() - 4} cells, ")
