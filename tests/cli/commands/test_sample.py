"""`tfp-vae sample`: files hold the model's samples, and the picture shows the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from tests.helpers.commands import (
    QUICK,
    answer,
    call,
    one_sentence,
    read_tiles,
)
from tests.helpers.files import write_table
from tfp_vae.data.readers.arrays import read_npy, read_npz
from tfp_vae.evaluation.outputs import OUTPUTS
from tfp_vae.plots.canvas import Figure
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run


def test_json_names_the_shape_and_the_picture(copied: Run) -> None:
    result = json.loads(call("sample", "--run", copied.folder, "--n", "3", "--json").stdout)
    assert result["shape"] == [3, 8, 8, 1]
    picture = matplotlib.image.imread(result["out"])
    assert picture.ndim == 3
    assert picture.std() > 0.01


@pytest.mark.parametrize("show", ["mean", "draw"])
def test_picture_shows_the_arrays(show: str, here: Path, trained: Path, figures: list[Figure]) -> None:
    for out in ("s.png", "s.npy"):
        call("sample", "--run", trained, "--n", 9, f"--{show}", "--seed", 3, "--out", out)
    np.testing.assert_allclose(read_tiles(figures[0], 3), np.load("s.npy")[..., 0], rtol=1e-6)
    assert OUTPUTS[show].symbol in figures[0].axes[0].get_title()
    assert figures[0].axes[0].get_title().startswith("9 samples")


def test_title_names_region_and_temperature(here: Path, trained: Path, figures: list[Figure]) -> None:
    more = ("--region", -1, 0.5, 0, 1, "--temperature", 0.7)
    call("sample", "--run", trained, "--n", 4, *more, "--out", "s.png")
    assert "[-1, 0.5] x [0, 1] at temperature 0.7" in figures[0].axes[0].get_title()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_arrays_of_means_hold_probabilities(name: str, here: Path, trained: Path) -> None:
    call("sample", "--run", trained, "--n", "1001", "--mean", "--out", name)
    x = read_npy(Path(name)) if name.endswith("npy") else read_npz(Path(name))["x"]
    assert x.shape == (1001, 8, 8, 1)
    assert ((x > 0) & (x < 1)).all()


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv"])
def test_files_hold_draws_by_default(name: str, here: Path, trained: Path) -> None:
    said = call("sample", "--run", trained, "--n", 50, "--seed", 3, "--out", name)
    assert f"{name} holds draws x ~ p(x|z) (use --mean for E[x|z])" in said.stderr
    found = {
        ".npy": lambda: np.load(name),
        ".npz": lambda: np.load(name)["x"],
        ".csv": lambda: np.loadtxt(name, delimiter=",", skiprows=1),
    }[Path(name).suffix]()
    assert set(np.unique(found)) == {0, 1}
    call("sample", "--run", trained, "--n", 50, "--seed", 3, "--draw", "--out", "drawn.npy")
    np.testing.assert_array_equal(found.ravel(), np.load("drawn.npy").ravel())


def test_pictures_show_means_by_default(here: Path, copied: Run) -> None:
    said = call("sample", "--run", copied.folder, "--n", 4, "--json")
    assert json.loads(said.stdout)["show"] == "mean"
    assert "shows E[x|z], the mean of p(x|z) for each z (use --draw" in said.stderr


def test_draws_are_binary_and_depend_on_the_seed_alone(here: Path, trained: Path) -> None:
    for name, seed in (("a.npy", 1), ("b.npy", 1), ("c.npy", 2)):
        call("sample", "--run", trained, "--n", "20", "--seed", seed, "--out", name)
    a, b, c = (np.load(name) for name in ("a.npy", "b.npy", "c.npy"))
    assert set(np.unique(a)) == {0, 1}
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_low_temperature_narrows_the_samples(here: Path, trained: Path) -> None:
    for name, temperature in (("cold.npy", 0.01), ("warm.npy", 1)):
        call("sample", "--run", trained, "--n", "200", "--mean", "--temperature", temperature, "--out", name)
    assert np.load("cold.npy").std(axis=0).mean() < 0.1 * np.load("warm.npy").std(axis=0).mean()


def test_file_name_of_a_picture_holds_the_temperature(here: Path, copied: Run) -> None:
    asked = ("sample", "--run", copied.folder, "--n", 4)
    region = ("--region", -1, 0, 1, 2.5, "--weights", "final")
    paths = [Path(answer(*asked, *more)["out"]).name for more in ((), ("--temperature", 0.5), region)]
    endings = ["", "-temperature0.5", "-region-1_0_1_2.5-weights-final"]
    assert paths == [f"samples-4-mean-seed0{ending}.png" for ending in endings]


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_mean_and_draw_exclude_each_other(command: str, copied: Run) -> None:
    for order in (("--mean", "--draw"), ("--draw", "--mean")):
        said = one_sentence(call(command, "--run", copied.folder, *order, code=2))
        assert "--mean and --draw were both given. Keep one." in said


@pytest.mark.slow
def test_csv_samples_of_a_table_are_in_the_units_of_the_table(here: Path) -> None:
    write_table(Path("t.csv"), rows=60)
    call("train", "--dataset", "t.csv", "--label-column", "kind", *QUICK, "--run-dir", "r")
    asked = ("sample", "--run", "r", "--n", 200)
    said = call(*asked, "--out", "s.csv")
    call(*asked, "--out", "s.npz")
    assert "loc + scale" not in said.stderr
    header, *rows = csv.reader(Path("s.csv").read_text().splitlines())
    assert header == ["a", "b"]
    with np.load("s.npz") as file:
        expected = file["loc"] + file["scale"] * file["x"].astype(float)
    np.testing.assert_allclose(np.array(rows, float), expected)
    assert 900 < expected[:, 1].mean() < 1_100
    call("data", "inspect", "s.csv")  # and can be read again


def test_samples_stay_within_the_region(here: Path, copied: Run, restored: LoadedRun) -> None:
    result = answer(
        "sample", "--run", copied.folder, "--n", 6, "--region", -0.1, 0.1, 1, 1.2, "--mean", "--out", "s.npy"
    )
    assert result["region"] == [[-0.1, 0.1], [1, 1.2]]
    corners = np.float32([[a, b] for a in (-0.1, 0.1) for b in (1, 1.2)])
    edges = np.asarray(restored.vae.decoder(corners).mean())
    x = np.load("s.npy")
    assert (x >= edges.min(axis=0) - 0.02).all()
    assert (x <= edges.max(axis=0) + 0.02).all()
    assert "region" in call("sample", "--run", copied.folder, "--n", 4, "--region", -1, 0, -1, 0).stdout


def test_a_region_needs_two_latent_dimensions(here: Path) -> None:
    call("train", *QUICK, "--latent-dim", "3", "--run-dir", "r")
    result = call("sample", "--run", "r", "--region", 0, 1, 0, 1, code=2)
    assert "expected a run with 2 latent dimensions, found 3" in one_sentence(result)
