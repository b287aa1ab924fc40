"""Decoded examples in a report equal those of the model at the same place."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.pages import picture_in
from tfp_vae.evaluation.latent_space import decode
from tfp_vae.reports import RunData, explore
from tfp_vae.reports.explorer import exploring
from tfp_vae.reports.explorer.records import Explorer
from tfp_vae.reports.page import extremes_of


@pytest.fixture(scope="module")
def explorer(flat: RunData) -> Explorer:
    return explore(flat)


def tile(explorer: Explorer, column: int, row: int) -> np.ndarray:
    """The pixels of the decoded example at a place of the grid."""
    assert explorer.map is not None
    sheet = explorer.map.sheet
    top, left = row * sheet.height, column * sheet.width
    return np.asarray(picture_in(sheet.sprite))[top : top + sheet.height, left : left + sheet.width]


@pytest.mark.parametrize(("column", "row"), [(0, 0), (3, 0), (0, 5), (30, 30), (17, 8)])
def test_tiles_are_what_the_model_decodes_at_their_place(
    column: int, row: int, explorer: Explorer, flat: RunData
) -> None:
    assert explorer.map is not None
    (x0, y0), (x1, y1) = explorer.map.low, explorer.map.high
    count = explorer.map.columns - 1
    z = np.array([[x0 + column * (x1 - x0) / count, y0 + row * (y1 - y0) / count]])
    mean = decode(flat.vae, z, seed=(0, 0))[0, ..., 0]
    np.testing.assert_allclose(tile(explorer, column, row), 255 * (1 - mean), atol=0.51)


def test_points_are_the_scored_test_examples(explorer: Explorer, flat: RunData) -> None:
    examples, log_px = flat.scores
    points = explorer.points
    np.testing.assert_array_equal(points.log_px, log_px)
    assert points.names[7] == examples.source_name(7)
    assert points.labels is not None
    assert [explorer.classes[i].name for i in points.labels] == list(map(str, examples.y))
    np.testing.assert_allclose(np.stack([points.x, points.y], 1), flat.embeddings.mean, rtol=1e-4, atol=1e-6)
    assert explorer.about == flat.description
    assert explorer.walks is None  # because the map shows both dimensions


def test_walks_change_one_dimension(deep: RunData) -> None:
    explorer = explore(deep)
    walks = explorer.walks
    assert walks is not None
    assert len(walks.names) == len(walks.z) == len(deep.active)
    assert all(z == sorted(z) for z in walks.z)
    assert walks.levels[0] == "2%"
    picture = picture_in(walks.sheet.sprite)
    assert picture.size == (8 * len(walks.levels), 8 * len(walks.names))
    assert explorer.map is not None
    assert "principal components of 3 dimensions" in explorer.map.heading


def test_rows_of_a_table_are_decoded_to_its_words(mixed: RunData) -> None:
    explorer = explore(mixed)
    assert explorer.map is not None
    decoded = explorer.map.sheet.cells or []
    assert len(decoded) == explorer.map.rows * explorer.map.columns
    assert {len(row) for row in decoded} == {len(explorer.features)}
    city = explorer.features.index("city")
    words = set(mixed.config.data.as_columns(mixed.dataset.train.x)["city"])
    assert {row[city] for row in decoded} <= words


def test_vectors_are_decoded_to_series(vectors: RunData) -> None:
    explorer = explore(vectors)
    assert explorer.map is not None
    assert explorer.classes == []
    assert explorer.points.labels is None
    assert {len(row) for row in explorer.map.sheet.series or []} == {5}


def test_a_posterior_without_a_density_has_no_log_p(flat: RunData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exploring, "DENSITY", exploring.DENSITY._replace(is_met=lambda run_data: False))
    explorer = explore(flat)
    assert set(explorer.points.log_px) == {None}
    assert explorer.split == "180 test examples, without log p(x)"
    assert explorer.map is not None
    assert extremes_of(explorer) == []
