"""The pictures of runs on tables: columns, associations, imputed cells and unusual cells."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import collisions
from tests.helpers.people import CITIES, MODELLED
from tfp_vae import reports
from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.imputation import score_columns
from tfp_vae.reports import tables
from tfp_vae.reports.drawing import applicable
from tfp_vae.runs.load import sample
from tfp_vae.runs.tables import fidelity


def test_labels_have_the_names_words_and_dates_of_the_schema(mixed: reports.RunData) -> None:
    labels = tables.labels_of(mixed)
    assert tuple(label.name for label in labels) == MODELLED
    assert {label.name: label.words for label in labels if label.words} == {
        "city": tuple(CITIES),
        "smoker": ("no", "yes"),
    }
    assert [label.name for label in labels if label.is_date] == ["joined"]


def test_labels_of_vectors_are_their_numbers(vectors: reports.RunData) -> None:
    assert [label.name for label in tables.labels_of(vectors)] == [f"value {i}" for i in range(5)]


def test_columns_of_a_mixed_table_have_a_panel_each_in_its_units(mixed: reports.RunData) -> None:
    figure = tables.columns(mixed)
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert tuple(panels) == MODELLED
    cities = mixed.test.x[:, MODELLED.index("city")]
    cities = cities[~np.isnan(cities)]
    bars = panels["city"].containers[0]
    assert [label.get_text() for label in panels["city"].get_yticklabels()] == CITIES
    np.testing.assert_allclose([bar.get_width() for bar in bars], [np.mean(cities == k / 2) for k in range(3)])
    low, high = panels["height"].get_xlim()
    assert 100 < low < 170 < high < 250
    assert collisions(figure) == []


def test_associations_compare_equal_numbers_of_rows_with_the_same_holes(mixed: reports.RunData) -> None:
    figure = tables.associations(mixed)
    words = np.array([name in ("city", "smoker") for name in MODELLED])
    x = mixed.test.x
    draws = sample(mixed.restored, 1_000, seed=mixed.seed, show="draw")[: len(x)]
    made = np.where(np.isnan(x), np.nan, draws)
    for axes, rows in zip(figure.axes, (x, made), strict=False):
        np.testing.assert_allclose(axes.images[0].get_array(), fidelity.associations(rows, words), atol=1e-6)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(MODELLED)


@pytest.mark.slow
def test_imputed_cells_stand_at_the_truth_that_was_hidden(mixed: reports.RunData) -> None:
    figure = tables.imputation(mixed)
    panels = {axes.get_title(): axes for axes in figure.axes}
    heights = mixed.config.data.unscaled(mixed.test.x)[:, MODELLED.index("height")]
    truth = panels["height"].collections[1].get_offsets()[:, 0]
    assert 0 < len(truth) < len(heights) / 2
    assert all(np.isclose(heights, value).any() for value in truth)
    assert all("cell" in axes.texts[0].get_text() for axes in panels.values())
    assert collisions(figure) == []


@pytest.mark.slow
def test_unusual_cells_are_those_of_the_scores_with_their_texts(mixed: reports.RunData) -> None:
    axes = tables.unusual_cells(mixed).axes[0]
    scores = score_columns(
        mixed.vae, mixed.test.x, iw_samples=100, seed=mixed.seed, places=mixed.places, execution="graph"
    )
    surprise = scores.surprise()
    row = int(np.nanargmax(np.nanmax(surprise, axis=1)))
    assert axes.get_yticklabels()[0].get_text() == mixed.test.source_name(row)
    np.testing.assert_allclose(np.ma.filled(axes.images[0].get_array()[0], np.nan), surprise[row], rtol=1e-4, atol=1e-4)
    texts = mixed.config.data.as_columns(mixed.test.x[[row]])
    assert [text.get_text() for text in axes.texts[: len(MODELLED)]] == [texts[name][0] for name in MODELLED]


def test_only_mixed_tables_have_pictures_of_cells(mixed: reports.RunData, vectors: reports.RunData) -> None:
    cells = {"imputation", "unusual-cells"}
    assert {*cells, "associations", "columns"} <= set(applicable(mixed))
    assert not {*cells, "associations"} & set(applicable(vectors))
    with pytest.raises(UsageError, match="imputation: this run has no mixed table"):
        applicable(vectors, ["imputation"])
