"""Latent space in the plane: principal components and t-SNE."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.projections import MOST_NEIGHBOURED, PROJECTIONS, projection


class TestProjection:
    """Principal components."""

    def test_two_dimensions_are_shown_without_change(self, rng: np.random.Generator) -> None:
        z = rng.normal(size=(9, 2))
        plane = projection(z)
        np.testing.assert_array_equal(plane(z), z)
        assert plane.how == ""

    def test_components_are_those_of_scikit_learn(self, rng: np.random.Generator) -> None:
        z = rng.normal(size=(200, 6)) * [1, 5, 2, 1, 3, 1]
        plane, oracle = projection(z), PCA(2).fit(z)
        np.testing.assert_allclose(np.abs(plane(z)), np.abs(oracle.transform(z)), atol=1e-8)
        np.testing.assert_allclose(plane.shares, oracle.explained_variance_ratio_)
        assert "6 dimensions" in plane.how
        assert f"{sum(plane.shares):.0%}" in plane.how
        np.testing.assert_allclose(projection(z[::-1])(z), plane(z), atol=1e-8)

    def test_equal_points_map_to_the_origin(self) -> None:
        plane = projection(np.ones((5, 4)))
        np.testing.assert_array_equal(plane(np.ones((5, 4))), np.zeros((5, 2)))
        assert plane.shares == (0, 0)
        assert projection(np.ones((1, 4)) * np.arange(4)).shares == (0, 0)


class TestProjections:
    """Every projection of latent space to the plane."""

    @pytest.mark.parametrize("name", list(PROJECTIONS))
    @pytest.mark.parametrize("dims", [2, 7])
    def test_equal_points_and_seeds_give_equal_pictures(self, name: str, dims: int) -> None:
        z = np.random.default_rng(1).normal(size=(60, dims)).astype(np.float32)
        first, second = (PROJECTIONS[name](z, 3) for _ in range(2))
        np.testing.assert_array_equal(first.points, second.points)
        np.testing.assert_array_equal(first.rows, np.arange(60))
        assert first.points.shape == (60, 2)
        assert np.isfinite(first.points).all()
        assert len(first.names) == 2

    @pytest.mark.parametrize(("name", "said"), [("pca", "principal components"), ("tsne", "t-SNE of 5 dimensions")])
    def test_title_names_the_projection(self, name: str, said: str) -> None:
        assert said in PROJECTIONS[name](np.random.default_rng(1).normal(size=(40, 5)), 0).how

    def test_tsne_keeps_neighbours_together(self) -> None:
        labels = np.arange(150) % 3
        z = 20.0 * np.eye(9)[labels] + np.random.default_rng(0).normal(size=(150, 9))
        points = PROJECTIONS["tsne"](z, 0).points
        distances = np.square(points[:, np.newaxis] - points).sum(axis=2)
        np.fill_diagonal(distances, np.inf)
        assert (labels[distances.argmin(axis=1)] == labels).all()

    def test_tsne_uses_at_most_2000_points_and_reports_the_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tfp_vae.evaluation.projections.MOST_NEIGHBOURED", 20)
        view = PROJECTIONS["tsne"](np.random.default_rng(0).normal(size=(59, 3)), 7)
        assert MOST_NEIGHBOURED == 2_000
        assert (view.rows[0], view.rows[-1], len(view.rows), len(view.points)) == (0, 58, 20, 20)
        assert "perplexity 6, seed 7, 20 of 59 examples" in view.how

    def test_tsne_takes_equal_points_but_not_fewer_than_five(self) -> None:
        assert np.isfinite(PROJECTIONS["tsne"](np.ones((9, 4)), 0).points).all()
        with pytest.raises(UsageError, match="`projection=tsne` needs at least 5 test examples, found 4"):
            PROJECTIONS["tsne"](np.ones((4, 4)), 0)
