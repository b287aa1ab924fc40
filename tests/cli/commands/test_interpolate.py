"""`tfp-vae interpolate`: paths start and end at the right points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tfp_vae.cli.commands import interpolate

from tests.helpers.commands import (
    answer,
    call,
    read_tiles,
    shows_something,
)
from tfp_vae.data.dataset import Split
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.evaluation.paths import PATHS
from tfp_vae.plots.canvas import Figure
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run


def test_picture_shows_the_arrays(here: Path, trained: Path, figures: list[Figure]) -> None:
    for out in ("i.png", "i.npz"):
        call("interpolate", "--run", trained, "--pair", 3, 7, "--pair", 9, 2, "--steps", 5, "--out", out)
    found = read_npz(Path("i.npz"))["x"]
    np.testing.assert_allclose(read_tiles(figures[0], 5), found.reshape(10, 8, 8), rtol=1e-6)
    axes = figures[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["3 to 7", "9 to 2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0%", "25%", "50%", "75%", "100%"]


@pytest.mark.parametrize("between", [("--n", 2), ("--prior",)])
def test_title_mentions_binarization_of_the_ends(
    between: tuple[object, ...], here: Path, trained: Path, figures: list[Figure]
) -> None:
    call("interpolate", "--run", trained, *between, "--out", "i.png")
    assert figures[0].axes[0].get_title().endswith("test examples, seen binarized") == ("--n" in between)


def test_a_path_begins_and_ends_at_its_examples(
    here: Path, trained: Path, restored: LoadedRun, test_split: Split
) -> None:
    pairs = ("--pair", 3, 7, "--pair", 0, 179)
    result = answer("interpolate", "--run", trained, *pairs, "--steps", 5, "--out", "i.npz")
    assert result["pairs"] == [[3, 7], [0, 179]]
    found = read_npz(Path("i.npz"))
    assert found["x"].shape == (2, 5, 8, 8, 1)
    means = np.asarray(restored.vae.encoder.mean(test_split.x[[3, 7, 0, 179]]))
    np.testing.assert_allclose(found["z"][:, [0, -1]].reshape(4, 2), means, atol=1e-5)
    np.testing.assert_allclose(found["x"][1], restored.vae.decoder(found["z"][1]).mean(), atol=1e-5)


@pytest.mark.parametrize(("kind", "source"), list(zip(PATHS, [(), ("--prior",)], strict=True)))
def test_seed_decides_random_pairs_and_prior_draws(
    kind: str, source: tuple[str, ...], here: Path, trained: Path
) -> None:
    found = []
    for seed in (0, 0, 1):
        call("interpolate", "--run", trained, *source, "--path", kind, "--seed", seed, "--n", 3, "--out", "i.npz")
        found.append(read_npz(Path("i.npz"))["z"])
    assert found[0].shape == (3, 11, 2)
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_random_pairs_share_no_example_while_there_are_enough() -> None:
    pairs = interpolate.random_pairs(11, 5, 0)
    assert len(set(np.ravel(pairs).tolist())) == 10
    assert np.shape(interpolate.random_pairs(3, 8, 0)) == (8, 2)


@pytest.mark.slow
def test_pictures_of_different_sources_get_different_names(copied: Run, pictures: Path) -> None:
    paths = [call("interpolate", "--run", copied.folder, *more).stdout.strip()
             for more in ((), ("--prior",), ("--data", pictures))]  # fmt: skip
    assert len(set(paths)) == 3
    assert all(map(shows_something, paths))
