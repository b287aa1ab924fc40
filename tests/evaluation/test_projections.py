"""Projections to the plane: principal components against eigenvectors and scikit-learn, and views of points."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tfp_vae.core.errors import UsageError
from tfp_vae.evaluation.projections import PROJECTIONS, principal_view, projection, tsne_view


@pytest.fixture
def z(rng: np.random.Generator) -> np.ndarray:
    """Correlated points in five dimensions, away from the origin."""
    return rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + 7


def test_axes_are_the_leading_eigenvectors_of_the_covariance(z: np.ndarray) -> None:
    plane = projection(z)
    values, vectors = np.linalg.eigh(np.cov(z, rowvar=False))
    for axis, share, value, vector in zip(plane.axes.T, plane.shares, values[::-1], vectors.T[::-1], strict=False):
        assert abs(axis @ vector) == pytest.approx(1)
        assert share == pytest.approx(value / values.sum())


def test_shares_and_directions_agree_with_scikit_learn(z: np.ndarray) -> None:
    plane, pca = projection(z), PCA(2).fit(z)
    np.testing.assert_allclose(plane.shares, pca.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(plane.axes.T * pca.components_, axis=1)), 1, rtol=1e-10)
    np.testing.assert_allclose(np.abs(plane(z)), np.abs(pca.transform(z)), rtol=1e-8, atol=1e-10)


def test_axes_are_orthonormal_with_a_positive_largest_entry(z: np.ndarray) -> None:
    axes = projection(z).axes
    np.testing.assert_allclose(axes.T @ axes, np.eye(2), atol=1e-12)
    assert (axes[np.abs(axes).argmax(axis=0), [0, 1]] > 0).all()


def test_order_of_the_points_does_not_change_the_plane(z: np.ndarray, rng: np.random.Generator) -> None:
    plane, other = projection(z), projection(rng.permutation(z))
    np.testing.assert_allclose(plane.axes, other.axes, atol=1e-10)
    np.testing.assert_allclose(plane.centre, other.centre)


def test_projection_does_not_change_two_dimensions(rng: np.random.Generator) -> None:
    z = rng.normal(size=(10, 2))
    plane = projection(z)
    np.testing.assert_array_equal(plane(z), z)
    assert (plane.names, plane.how, plane.shares) == (("$z_1$", "$z_2$"), "", None)


def test_names_and_titles_show_the_shares_of_variance() -> None:
    z = np.zeros([3, 4])
    z[:, 1], z[:, 2] = [-3, 0, 3], [-1, 2, -1]
    plane = projection(z)
    assert plane.names == ("principal component 1 (75%)", "principal component 2 (25%)")
    assert plane.how == "first 2 principal components of 4 dimensions (100% of variance)"


@pytest.mark.parametrize("z", [np.ones([1, 3]), np.ones([5, 3])], ids=["one point", "equal points"])
def test_points_without_variance_lie_at_the_origin(z: np.ndarray) -> None:
    plane = projection(z)
    assert plane.shares == (0, 0)
    np.testing.assert_allclose(plane(z), 0)


def test_projection_maps_leading_axes(z: np.ndarray) -> None:
    plane = projection(z)
    np.testing.assert_allclose(plane(z.reshape(4, 50, 5)), plane(z).reshape(4, 50, 2))


def test_principal_view_shows_every_point(z: np.ndarray) -> None:
    view = principal_view(z, 0)
    np.testing.assert_array_equal(view.rows, np.arange(200))
    np.testing.assert_allclose(view.points, view.plane(z))


def test_tsne_keeps_clusters_together_and_depends_on_the_seed_alone(rng: np.random.Generator) -> None:
    labels = np.arange(40) % 2
    z = rng.normal(size=(40, 3)) + 50 * labels[:, np.newaxis]
    view, again = tsne_view(z, 1), tsne_view(z, 1)
    np.testing.assert_array_equal(view.points, again.points)
    distances = np.linalg.norm(view.points[:, np.newaxis] - view.points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(labels[distances.argmin(axis=1)], labels)
    assert view.plane is None
    assert view.how == "t-SNE of 3 dimensions (perplexity 13, seed 1)"


def test_tsne_refuses_fewer_than_five_points() -> None:
    with pytest.raises(UsageError, match=r"`projection=tsne` needs at least 5 test examples, found 4\. Choose pca"):
        tsne_view(np.zeros([4, 3]), 0)


def test_table_holds_every_view() -> None:
    assert {"pca": principal_view, "tsne": tsne_view} == PROJECTIONS
