"""`tfp-vae reconstruct`: files and pictures hold examples and their reconstructions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_sample_image
from tfp_vae.cli.commands import reconstruct
from tfp_vae.cli.examples import Examples

from tests.helpers.commands import (
    answer,
    call,
    read_tiles,
    shows_something,
)
from tests.helpers.figures import as_seen
from tfp_vae.data.dataset import Split
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.evaluation.outputs import OUTPUTS
from tfp_vae.plots.canvas import Figure
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run


@pytest.mark.parametrize("show", ["mean", "draw"])
def test_picture_shows_the_arrays(show: str, here: Path, trained: Path, figures: list[Figure]) -> None:
    for out in ("r.png", "r.npz"):
        call("reconstruct", "--run", trained, "--max-examples", 5, f"--{show}", "--out", out)
    found, tiles = read_npz(Path("r.npz")), read_tiles(figures[0], 5)
    np.testing.assert_allclose(tiles[:5], found["x"][..., 0])
    np.testing.assert_allclose(tiles[5:], found["reconstruction"][..., 0], rtol=1e-6)
    axes = figures[0].axes[0]
    made = OUTPUTS[show].symbol
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data, binarized", made]
    assert axes.get_title().startswith("5 test examples")


def test_arrays_hold_examples_and_reconstructions(
    here: Path, trained: Path, restored: LoadedRun, test_split: Split
) -> None:
    said = call("reconstruct", "--run", trained, "--json", "--out", "r.npz")
    assert "r.npz holds reconstructions, E[x|z] at E[z|x]" in said.stderr
    result = json.loads(said.stdout)
    found = read_npz(Path("r.npz"))
    np.testing.assert_array_equal(found["x"], test_split.x)
    np.testing.assert_allclose(found["reconstruction"], restored.vae.reconstruct(test_split.x), atol=1e-5)
    assert result["rmse"] == pytest.approx(np.sqrt(np.mean((found["x"] - found["reconstruction"]) ** 2)), rel=1e-5)


def test_seed_decides_the_draws(here: Path, trained: Path) -> None:
    for name, seed in (("a.npy", 1), ("b.npy", 1), ("c.npy", 2)):
        call("reconstruct", "--run", trained, "--latent", "draw", "--draw", "--seed", seed, "--out", name)
    a, b, c = (np.load(name) for name in ("a.npy", "b.npy", "c.npy"))
    assert set(np.unique(a)) == {0, 1}
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.parametrize(("options", "count"), [((), 12), (("--max-examples", 5), 5), (("--max-examples", 900), 100)])
def test_picture_shows_a_few_examples_evenly_spread(options: tuple[object, ...], count: int, copied: Run) -> None:
    result = answer("reconstruct", "--run", copied.folder, *options)
    assert result["num_examples"] == count
    assert shows_something(result["out"])
    assert Path(result["out"]).parent == copied.folder / "plots"


def test_reconstructs_new_images(copied: Run, pictures: Path) -> None:
    assert answer("reconstruct", "--run", copied.folder, "--data", pictures, "--out", "r.npy")["data"] == str(pictures)
    assert np.load("r.npy").shape == (14, 8, 8, 1)


def test_pictures_of_photos_look_like_photos(trained: Path) -> None:
    """The picture and the photo correlate above 0.9, so the picture is not a negative."""
    photo = load_sample_image("china.jpg").mean(axis=2)[::8, ::8, np.newaxis].astype(np.float32) / 255
    x = np.stack([photo[:24, :24], photo[:24, 24:48]])
    config = Run(trained).config()
    config = config.model_copy(update={"data": config.data.model_copy(update={"ink": False})})
    examples = Examples(Split(x), np.arange(2), {"split": "test"})
    seen = as_seen(reconstruct.figure(examples, x, config, "mean"))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        tile = seen[row * 25 : row * 25 + 24, column * 25 : column * 25 + 24]
        assert np.corrcoef(tile.ravel(), x[column].ravel())[0, 1] > 0.9
