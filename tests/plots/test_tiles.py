"""Images as tiles and vectors as heat maps: pixels, borders, colour bars and names."""

from __future__ import annotations

import matplotlib.colors
import numpy as np
import pytest

from tests.helpers.figures import first_image, pixels
from tfp_vae import plots
from tfp_vae.plots import canvas, tiles


def test_grey_tones_outside_the_unit_range_have_a_colour_bar(rng: np.random.Generator) -> None:
    x = rng.random((4, 8, 8, 1))
    assert len(plots.image_grid(x).axes) == 1
    assert len(plots.image_grid(9 * x).axes) == 2
    assert len(plots.image_grid(9 * np.repeat(x, 3, axis=3)).axes) == 1


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_each_tile_has_a_border_around_its_pixels(channels: int, rng: np.random.Generator) -> None:
    axes = plots.image_grid(rng.random((5, 8, 6, channels)), columns=3).axes[0]
    (frames,) = axes.collections
    corners = [path.get_extents().bounds for path in frames.get_paths()]
    width = 12 if channels == 2 else 6
    assert corners == [(x * (width + 1) - 0.5, y * 9 - 0.5, width, 8) for y in (0, 1) for x in (0, 1, 2)][:5]
    assert min(matplotlib.colors.to_rgb(frames.get_edgecolor()[0])) > 0.7


def test_manifolds_and_tiny_tiles_have_no_borders(rng: np.random.Generator) -> None:
    assert not plots.manifold(rng.random((16, 8, 8, 1)), 4).axes[0].collections
    assert not plots.image_grid(rng.random((3_600, 4, 4, 1))).axes[0].collections


@pytest.mark.parametrize(
    ("parts", "features", "named"), [(1, 40, True), (2, 3, True), (1, 41, False), (3, 3, True), (3, 40, True)]
)
def test_up_to_forty_features_are_named(parts: int, features: int, named: bool, rng: np.random.Generator) -> None:
    names = [f"feature {i}" for i in range(features)]
    figure = tiles.heat_maps([rng.random((4, features))] * parts, list("abc")[:parts], "title", features=names)
    labels = figure.axes[parts - 1].get_xticklabels()
    assert ([label.get_text() for label in labels if label.get_visible()] == names) is named
    assert pixels(figure).shape[1] > pixels(figure).shape[0] or not named


def test_approximations_of_the_unit_range_are_clipped_to_it(rng: np.random.Generator) -> None:
    """White is 0 in samples of a Normal as in the data, unless the values are of another scale altogether."""
    x = rng.normal(0.5, 0.3, (4, 8, 8, 1))
    figure = plots.image_grid(x, unit=True)
    assert len(figure.axes) == 1  # and no scale
    np.testing.assert_allclose(first_image(figure)[:8, :8], np.clip(x[0, ..., 0], 0, 1), rtol=1e-6)
    assert canvas.range_of(x) != canvas.UNIT_RANGE
    for far in (x * 255, x - 3):
        assert canvas.range_of(far, unit=True) == canvas.range_of(far) != canvas.UNIT_RANGE


@pytest.mark.parametrize("channels", [1, 3])
def test_tones_span_values_outside_the_unit_range(channels: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(4, 8, 8, channels)).astype(np.float32) * 30 - 50
    limits = canvas.range_of(x)
    np.testing.assert_allclose(limits, np.quantile(x, [0.001, 0.999]), rtol=1e-6)
    picture = tiles.tile(x, 2, 2, limits)[:8, :8]
    assert picture.min() < 0.3
    assert picture.max() > 0.7
    expected = np.clip((x[0] - limits.low) / (limits.high - limits.low), 0, 1)
    np.testing.assert_allclose(picture, expected[..., 0] if channels == 1 else expected, atol=1e-6)
