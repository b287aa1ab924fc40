"""Charts cover all examples, and each place of the grid is where the chart says."""

from __future__ import annotations

import numpy as np
import pytest

from tfp_vae.reports.explorer.charts import LARGEST_SIDE, LEAST_SIDE, LINE_PLACES, chart


def places(columns: int, rows: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The places of a grid, as the page computes them: columns first, from the lowest corner."""
    first, second = (np.linspace(low[i], high[i], count) for i, count in enumerate((columns, rows)))
    return np.array([[x, y] for y in second for x in first])


def test_the_plane_of_two_dimensions_is_latent_space(rng: np.random.Generator) -> None:
    means = rng.normal(loc=(3, 0), size=(50, 2))
    found = chart(means, np.zeros(50), size=64)
    np.testing.assert_array_equal(found.points, means)
    np.testing.assert_allclose(found.z, places(found.columns, found.rows, found.low, found.high), atol=1e-5)
    assert ((found.low < means) & (means < found.high)).all()
    np.testing.assert_allclose(*np.subtract(found.high, found.low), rtol=1e-12)  # the same scale on both axes


def test_above_two_dimensions_places_lie_in_the_plane_of_the_points(rng: np.random.Generator) -> None:
    means = rng.normal(size=(200, 6)) * [5, 1, 3, 1, 1, 1]
    found = chart(means, np.zeros(200), size=64)
    middle = means.mean(axis=0)
    _, _, axes = np.linalg.svd(means - middle, full_matrices=False)
    in_plane = (found.z - middle) @ axes[:2].T
    np.testing.assert_allclose(found.z, middle + in_plane @ axes[:2], atol=1e-4)
    assert np.linalg.norm(in_plane[0] - in_plane[1]) == pytest.approx(
        (found.high[0] - found.low[0]) / (found.columns - 1), rel=1e-4
    )


def test_one_dimension_is_a_line_against_log_p(rng: np.random.Generator) -> None:
    means, log_px = rng.normal(size=(30, 1)), np.append(rng.normal(size=29), -np.inf)
    found = chart(means, log_px, size=64)
    assert (found.rows, found.columns, found.z.shape) == (1, LINE_PLACES, (LINE_PLACES, 1))
    np.testing.assert_array_equal(found.points[:, 0], means[:, 0])
    assert np.isfinite(found.points).all()


def test_large_images_get_a_coarser_grid() -> None:
    sides = [chart(np.eye(4), np.zeros(4), size).rows for size in (1, 28 * 28, 64 * 64 * 3, 10**7)]
    assert sides[0] == LARGEST_SIDE
    assert sides[-1] == LEAST_SIDE
    assert sides == sorted(sides, reverse=True)


def test_points_without_spread_have_a_chart() -> None:
    found = chart(np.ones((3, 2)), np.zeros(3), size=64)
    assert np.isfinite(found.z).all()
    assert (found.low < found.high).all()
