"""Pictures: what is drawn, where."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from scipy.stats import norm

from tfp_vae import gallery, plots
from tfp_vae.datasets import Dataset
from tfp_vae.experiments import Restored
from tfp_vae.runs import Run


def opened(figure: object) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(plots.png(figure)), format="png")


def shown(figure: object) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array())


@pytest.mark.parametrize("side", [8, 28])
@pytest.mark.parametrize("channels", [1, 3])
def test_grid_holds_each_picture_in_reading_order(side: int, channels: int, rng: np.random.Generator) -> None:
    x = rng.random((6, side, side, channels)).astype(np.float32)
    figure = plots.image_grid(x, columns=3)
    picture, pitch = shown(figure), side + max(1, side // 14)
    for i in range(6):
        row, column = divmod(i, 3)
        tile = picture[row * pitch : row * pitch + side, column * pitch : column * pitch + side]
        np.testing.assert_array_equal(tile, x[i, ..., 0] if channels == 1 else x[i])
    assert opened(figure).ndim == 3


def test_grid_leaves_empty_places_blank() -> None:
    picture = shown(plots.image_grid(np.ones((3, 4, 4, 1)), columns=2))
    assert picture[5:9, 5:9].max() == 0


def test_channels_without_colours_stand_side_by_side(rng: np.random.Generator) -> None:
    x = rng.random((1, 4, 4, 2)).astype(np.float32)
    picture = shown(plots.image_grid(x))
    np.testing.assert_array_equal(picture[:4, :8], np.concatenate([x[0, ..., 0], x[0, ..., 1]], axis=1))


@pytest.mark.parametrize("labels", [np.array([0, np.nan] * 15), np.linspace(0, 1, 30), np.array(["a", "b", "c"] * 10)])
def test_scatter_takes_any_labels(labels: np.ndarray, rng: np.random.Generator) -> None:
    figure = plots.latent_scatter(rng.normal(size=(30, 2)), labels)
    assert [text.get_text() for text in figure.axes[0].texts] == (["a", "b", "c"] if labels.dtype.kind == "U" else [])


def test_vectors_are_the_rows_of_a_map(rng: np.random.Generator) -> None:
    x = rng.random((7, 5))
    np.testing.assert_array_equal(shown(plots.image_grid(x)), x)
    assert shown(plots.reconstructions(x, x)).shape == (14, 5)


def test_reconstructions_stand_below_their_originals(rng: np.random.Generator) -> None:
    x, means = rng.random((4, 8, 8, 1)), rng.random((4, 8, 8, 1))
    picture = shown(plots.reconstructions(x, means))
    np.testing.assert_allclose(picture[:8, :8], x[0, ..., 0], rtol=1e-6)
    np.testing.assert_allclose(picture[9:17, 27:35], means[3, ..., 0], rtol=1e-6)


def test_learning_curves_show_three_terms_of_two_splits() -> None:
    keys = [f"{prefix}{term}" for prefix in ("", "validation_") for term in ("elbo", "distortion", "rate")]
    metrics = [{"epoch": i + 1, **{key: float(i + 10 * j) for j, key in enumerate(keys)}} for i in range(5)]
    figure = plots.learning_curves(metrics)
    for axes, term in zip(figure.axes, ("elbo", "distortion", "rate"), strict=True):
        train, validation = (line.get_ydata() for line in axes.lines)
        np.testing.assert_array_equal(train, [line[term] for line in metrics])
        np.testing.assert_array_equal(validation, [line[f"validation_{term}"] for line in metrics])
        assert axes.get_ylabel() == "nats per example"


def test_scatter_names_each_class_where_it_is_densest(rng: np.random.Generator) -> None:
    centres, labels = np.array([[0, 0], [5, 0], [0, 5]]), np.arange(300) % 3
    means = centres[labels] + np.where(np.arange(300) % 5, 0.1, 2.0)[:, np.newaxis] * rng.normal(size=(300, 2))
    figure = plots.latent_scatter(means, labels)
    texts = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    for label in range(3):
        assert np.linalg.norm(texts[str(label)] - centres[label]) < 0.3
    assert len(plots.latent_scatter(means[:2], np.array([0, 1])).axes[0].texts) == 2
    assert len(plots.latent_scatter(means, None).axes[0].texts) == 0


def test_prior_grid_is_the_inverse_cdf_from_top_left() -> None:
    z = plots.prior_grid(4).reshape(4, 4, 2)
    quantiles = np.array([0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(norm.cdf(z[0, :, 0]), quantiles, rtol=1e-5)
    np.testing.assert_allclose(norm.cdf(z[:, 0, 1]), quantiles[::-1], rtol=1e-5)


def test_palette_tells_ten_classes_apart() -> None:
    assert len(set(plots.PALETTE)) == 10


def test_a_run_has_every_picture(restored: Restored, digits: Dataset, trained: Path, tmp_path: Path) -> None:
    elsewhere = Run(tmp_path)
    copy = object.__new__(Restored)
    copy.__dict__.update({**restored.__dict__, "run": elsewhere})
    elsewhere.write_metrics(Run(trained).metrics())
    paths = gallery.picture(copy, digits)
    assert [path.stem for path in paths] == list(gallery.PICTURES)
    for path in paths:
        picture = matplotlib.image.imread(path)
        assert picture.shape[0] > 100
        assert picture.std() > 0.01
