"""Maps of the associations between columns."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.figures import collisions
from tfp_vae.plots.tables import association_maps

TITLE = "How columns depend on each other, in 60 test rows and in 60 draws from p(x)"


def correlations(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.atleast_2d(np.corrcoef(rng.normal(size=(50, count)), rowvar=False))


@pytest.mark.parametrize("count", [1, 5, 30, pytest.param(500, marks=pytest.mark.slow)])
def test_labels_never_meet(count: int, rng: np.random.Generator) -> None:
    names = [f"{'W' * 40} {i}" if i % 2 else f"\u732b $ {i}" for i in range(count)]
    real, made = correlations(rng, count), correlations(rng, count)
    for figure in (
        association_maps(real, made, names, TITLE),
        association_maps(abs(real), abs(made), names, "x" * 300),
    ):
        assert collisions(figure) == []


def test_maps_show_data_samples_and_their_difference(rng: np.random.Generator) -> None:
    real, made = abs(correlations(rng, 4)), abs(correlations(rng, 4))
    figure = association_maps(real, made, list("abcd"), "Maps", ("real", "made"), what="dependence")
    for axes, values in zip(figure.axes, (real, made, made - real), strict=False):
        np.testing.assert_allclose(axes.images[0].get_array(), values)
    mean = abs(made - real)[np.triu_indices(4, 1)].mean()
    assert [axes.get_title() for axes in figure.axes[:3]] == ["real", "made", f"difference, {mean:.2f} on average"]
    assert [axes.get_ylabel() for axes in figure.axes[3:]] == ["dependence", "difference in dependence"]
    assert [label.get_text() for label in figure.axes[2].get_xticklabels()] == list("abcd")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list("abcd")


@pytest.mark.parametrize(("sign", "low"), [(1, 0), (-1, -1)])
def test_scale_has_a_sign_only_if_associations_have_one(sign: int, low: float) -> None:
    real = np.array([[1.0, sign * 0.5], [sign * 0.5, 1.0]])
    figure = association_maps(real, real, ["a", "b"], "Maps")
    assert figure.axes[0].images[0].get_clim() == (low, 1)
    assert figure.axes[2].images[0].get_clim() == (-0.1, 0.1)


def test_undefined_associations_are_grey() -> None:
    real = np.array([[1.0, np.nan], [np.nan, np.nan]])
    figure = association_maps(real, np.eye(2), ["a", "constant"], "Maps")
    image = figure.axes[0].images[0]
    np.testing.assert_allclose(image.to_rgba(image.get_array())[0, 1, :3], 0.85, atol=0.01)
    assert figure.axes[2].get_title() == "difference"


def test_many_columns_name_some_of_them_at_equal_distances(rng: np.random.Generator) -> None:
    values = correlations(rng, 120)
    figure = association_maps(values, values, [str(i) for i in range(120)], "Maps")
    ticks = figure.axes[0].get_xticks()
    assert 20 <= len(ticks) <= 40
    assert len(set(np.diff(ticks))) == 1
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [str(i) for i in ticks]
