"""All commands: output formats, weights, your own data, and wrong input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli.commands import encode, interpolate, reconstruct, sample, score
from tfp_vae.cli.main import main
from tfp_vae.cli.output import CONTENTS, TABLES

from tests.helpers.commands import (
    BRIEF,
    GRAPH,
    QUICK,
    SMALL,
    answer,
    call,
    one_sentence,
    read_rows,
    shows_something,
)
from tests.helpers.files import encoded, write_table
from tests.helpers.files import write as write_images
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.plots.canvas import Figure
from tfp_vae.runs.run import Run

WRITING = (encode, interpolate, reconstruct, sample, score)
"""The commands that write a file in several formats."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "suffix"), [pytest.param(m, s, id=m.__name__[12:] + s) for m in WRITING for s in m.FORMS]
)
def test_every_command_writes_every_format(module: ModuleType, suffix: str, here: Path, trained: Path) -> None:
    few = {sample: ("--n", 4), score: ("--max-examples", 4, "--iw-samples", 2, "--no-plots", *GRAPH)}
    name = module.__name__.rpartition(".")[2]
    call(name, "--run", trained, *few.get(module, ("--max-examples", 4)), "--out", f"x{suffix}")
    filled = {".png": shows_something, ".npy": lambda path: np.load(path).size, ".npz": read_npz}
    assert filled.keys() == CONTENTS.keys()
    filled |= dict.fromkeys(TABLES, read_rows)
    assert filled[suffix](Path(f"x{suffix}"))
    assert suffix in CliRunner().invoke(main, [name, "--help"]).stdout


@pytest.mark.parametrize("command", ["encode", "reconstruct", "interpolate", "score", "sample"])
@pytest.mark.parametrize("weights", [pytest.param("final", marks=pytest.mark.slow), "best"])
def test_every_command_names_its_weights(command: str, weights: str, copied: Run) -> None:
    steps = {"final": copied.checkpoint().step, "best": copied.checkpoint().best.step}
    more = ("--iw-samples", 2, "--execution", "eager") if command == "score" else ()
    few = () if command == "sample" else ("--max-examples", 12)
    done = call(command, "--run", copied.folder, "--weights", weights, *few, *more, "--json")
    result = json.loads(done.stdout)
    assert (result["weights"], result["step"]) == (weights, steps[weights])
    assert f"weights: {weights}, of step {steps[weights]:,}" in done.stderr


@pytest.mark.slow
def test_files_explain_how_to_undo_the_scaling(here: Path, rng: np.random.Generator) -> None:
    x = rng.normal([100, -5], [30, 0.1], (40, 2))
    np.save("t.npy", x)
    call("train", "--dataset", "t.npy", "--scaling", "standard", *QUICK, "--run-dir", "r")
    for command, more in (("sample", ()), ("interpolate", ("--prior",)), ("reconstruct", ("--data", "t.npy"))):
        shown = call(command, "--run", "r", *more, "--out", "x.npz")
        assert "loc + scale * x" in shown.stderr
        found = read_npz(Path("x.npz"))
        assert found["loc"].shape == found["scale"].shape == (2,)
    np.testing.assert_allclose(found["loc"] + found["scale"] * found["x"], x, rtol=1e-5)


@pytest.mark.slow
def test_pictures_of_normal_draws_keep_the_tones_of_the_unit_interval(here: Path, figures: list[Figure]) -> None:
    call("train", "--likelihood", "normal", *SMALL, "--run-dir", "r", "--no-plots")
    for line in (("sample", "--draw"), ("reconstruct", "--draw"), ("interpolate", "--n", 2)):
        call(*line, "--run", "r")
    assert [len(figure.axes) for figure in figures] == [1, 1, 1]  # no scale next to the tiles
    call("sample", "--run", "r", "--draw", "--out", "x.npy")
    assert np.load("x.npy").min() < 0


@pytest.mark.slow
def test_pictures_of_a_table_name_its_features(here: Path, figures: list[Figure]) -> None:
    write_table(here / "t.csv", rows=60)
    call("train", "--dataset", "t.csv", "--label-column", "kind", *QUICK, "--run-dir", "r")
    for line in (("sample",), ("reconstruct",), ("score", "--iw-samples", 2, *GRAPH)):
        call(*line, "--run", "r")
    for figure in figures:
        assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "b"]
    assert len(figures) == 3


@pytest.mark.slow
def test_table_with_labels_trains_and_scores(here: Path) -> None:
    write_table(here / "t.csv", rows=60)
    options = ("--dataset", "t.csv", "--label-column", "kind")
    inspected = answer("data", "inspect", "t.csv", "--label-column", "kind")
    assert inspected["picked"]["likelihood"] == "student-t:floor=0.1"
    trained = call("train", *options, *QUICK, "--run-dir", "r")
    assert "kind: vectors of 2, real values. Chosen for it: --scaling standard, " in trained.stderr
    assert "--likelihood student-t:floor=0.1" in trained.stderr
    config = json.loads(Path("r/config.json").read_text())
    assert config["data"]["reading"]["label_column"] == "kind"
    assert config["data"]["reading"]["columns"] == ["a", "b"]
    assert len(config["data"]["scaling"]["loc"]) == 2
    Path("new.csv").write_text("b,a\n1000,0.1\n99999,0.1\n")
    scored = answer("score", "--run", "r", "--data", "new.csv", "--iw-samples", 5, *GRAPH)
    assert [each["example"] for each in scored["most_anomalous"]] == [1, 0]
    assert scored["scaling"] == "standard"


@pytest.mark.slow
def test_folder_of_images_is_resized_in_training_and_afterwards(here: Path, rng: np.random.Generator) -> None:
    files = {f"{label}/{i}.png": encoded(rng.integers(0, 256, (20, 24, 3), np.uint8))
             for label in ("cat", "dog") for i in range(12)}  # fmt: skip
    write_images(here / "photos", files)
    options = ("--dataset", "photos", "--resize", "8x6", *QUICK)
    trained = call("train", *options, "--run-dir", "r")
    assert "--likelihood discretized-logistic" in trained.stderr
    assert answer("encode", "--run", "r", "--data", "photos/cat")["num_examples"] == 12
    assert read_npz(Path("r/embeddings-data-cat.npz"))["name"][0] == "0.png"
    assert answer("reconstruct", "--run", "r", "--out", "r.npy")["num_examples"] == 3
    assert np.load("r.npy").shape == (3, 8, 6, 3)
    write_images(here / "grey", {"a.png": encoded(rng.integers(0, 256, (9, 9), np.uint8))})
    assert answer("score", "--run", "r", "--data", "grey", "--iw-samples", 2, *GRAPH)["num_examples"] == 1


def test_options_override_choices_by_the_data(here: Path) -> None:
    write_table(here / "t.csv")
    options = ("--dataset", "t.csv", "--columns", "a,b", "--likelihood", "laplace", "--scaling", "none")
    trained = call("train", *options, "--encoder", "mlp:hidden=4", *BRIEF, "--run-dir", "r")
    assert re.search("Chosen for it: .*--decoder mlp", trained.stderr)
    config = json.loads(Path("r/config.json").read_text())
    assert config["model"]["likelihood"]["name"] == "laplace"
    assert config["data"]["scaling"] == {"name": "none"}


EACH = ("encode", "reconstruct", "interpolate", "score")


@pytest.mark.parametrize("command", EACH)
def test_refuses_examples_of_wrong_shape_or_kind(command: str, here: Path, trained: Path) -> None:
    np.save("shape.npy", np.zeros((5, 9, 8)))
    np.save("kind.npy", np.full((5, 8, 8), 3.0))
    expected = {"shape.npy": "of shape 8x8x1, as the run was trained on, found 9x8x1",
                "kind.npy": "expected values in [0, 1], found 3 in row 0",
                "none.npy": "expected a file, found none",
                "nowhere": "found nothing of that name"}  # fmt: skip
    for name, message in expected.items():
        said = one_sentence(call(command, "--run", trained, "--data", name, code=3))
        assert message in said
        assert "--data-dir" not in said  # because it is the folder of the run's own data


@pytest.mark.parametrize("command", EACH)
def test_refuses_options_that_exclude_each_other(command: str, here: Path, trained: Path) -> None:
    both = call(command, "--run", trained, "--data", "x.npy", "--split", "test", code=2)
    assert "--data and --split were both given" in one_sentence(both)
    assert "expected a file ending in" in one_sentence(call(command, "--run", trained, "--out", "x.jpg", code=2))
    suffix = "csv" if command == "score" else "npz"
    missing = call(command, "--run", trained, "--out", f"none/x.{suffix}", code=6)
    assert "its folder does not exist" in one_sentence(missing)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["interpolate", "--pair", "0", "180"], "--pair: expected indices from 0 to 179, found 180"),
        (["interpolate", "--pair", "-1", "3"], "expected a whole number of at least 0, found '-1'"),
        (["interpolate", "--prior", "--pair", "1", "2"], "--pair and --prior were both given"),
        (["interpolate", "--prior", "--split", "test"], "--split and --prior were both given"),
        (["interpolate", "--pair", "1", "2", "--n", "3"], "--n and --pair were both given"),
        (["interpolate", "--pair", "1", "2", "--max-examples", "3"], "--max-examples and --pair were both given"),
        (["interpolate", "--steps", "1"], "of at least 2, found '1'"),
        (["interpolate", "--path", "crooked"], "is not one of"),
        (["encode", "--samples", "-1"], "of at least 0, found '-1'"),
        (["score", "--iw-samples", "0"], "of at least 1, found '0'"),
        (["reconstruct", "--latent", "median"], "is not one of"),
        (["sample", "--region", "1", "0", "0", "1"], "a lower and a higher bound"),
        (["sample", "--region", "0", "inf", "0", "1"], "expected a finite number, found 'inf'"),
        (["sample", "--region", "0", "1", "0", "up"], "expected a finite number, found 'up'"),
    ],
)
def test_refuses_wrong_values(arguments: list[str], expected: str, here: Path, trained: Path) -> None:
    assert expected in one_sentence(call(*arguments, "--run", trained, code=2))
    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_dequantized_run_through_every_command(here: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (40, 4, 4), np.uint8)
    np.save("pixels.npy", pixels)
    options = ("--dataset", "pixels.npy", "--dequantization", "uniform", "--likelihood", "normal", *QUICK)
    trained = call("train", *options, "--split-fractions", "0.5,0.2,0.3", "--run-dir", "r")
    assert "--scaling divided:by=256.0, --binarization none" in trained.stderr
    assert "20 train, 8 validation, 12 test (shares of 0.5, 0.2 and 0.3 at random (seed 0))" in trained.stderr
    names = "(likelihood normal, scaling divided, binarization none, dequantization uniform)"
    assert f"p(x) is a density of dequantized levels, a lower bound of their log-probability on average {names}" in (
        trained.stdout.replace("\n", " ")
    )
    evaluated = answer("evaluate", "--run", "r", "--iw-samples", 5, "--no-plots", *GRAPH)
    assert (evaluated["dequantization"], evaluated["bits_per_dim_of"]) == ("uniform", "dequantized levels")
    assert evaluated["bits_per_dim"] == pytest.approx(-evaluated["log_likelihood"] / (16 * np.log(2)))
    assert evaluated["log_scale"] == pytest.approx(16 * np.log(256))
    scored = answer("score", "--run", "r", "--iw-samples", 5, "--no-plots", *GRAPH)
    noise = np.hypot(scored["log_likelihood_mc_error"], evaluated["log_likelihood_mc_error"])
    assert abs(scored["log_likelihood"] - evaluated["log_likelihood"]) < 5 * noise
    assert {row["dequantization"] for row in read_rows(scored["out"])} == {"uniform"}
    new = call("score", "--run", "r", "--data", "pixels.npy", "--iw-samples", 2, "--no-plots", *GRAPH)
    assert "Scores depend a little on chance" in new.stderr
    call("sample", "--run", "r", "--n", 5, "--out", "s.csv")
    draws = np.array([list(map(float, row.values())) for row in read_rows("s.csv")])
    np.testing.assert_array_equal(draws, np.rint(draws))
    call("reconstruct", "--run", "r", "--draw", "--out", "r.npz")
    np.testing.assert_array_equal(256 * read_npz(Path("r.npz"))["reconstruction"] % 1, 0)
    call("train", "--resume", "--run-dir", "r", "--epochs", 2, "--no-plots")
    call("report", "--run", "r", "--out", "r.html")
    text = Path("r.html").read_text()
    assert "Dequantization" in text
    assert "dequantization uniform" in text or "uniform: step=1.0" in text
    np.save("reals.npy", pixels + 0.5)
    refused = call("train", "--dataset", "reals.npy", "--dequantization", "uniform", *QUICK, code=3)
    assert "expected values in whole numbers, found" in one_sentence(refused)
    assert "--dequantization uniform:step=0.1" in one_sentence(refused)
    mixed = call("train", *options, "--binarization", "dynamic", code=2)
    assert "--dequantization and --binarization cannot be combined" in one_sentence(mixed)
