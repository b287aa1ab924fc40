"""`tfp-vae data`: available data sets, and the facts about one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli.commands.data import command as data_command
from tfp_vae.cli.main import main

from tests.helpers.commands import (
    GRAPH,
    QUICK,
    SMALL,
    answer,
    call,
    one_sentence,
    read_tiles,
    shows_something,
)
from tfp_vae.data.inspection import pick_examples
from tfp_vae.data.loading import read
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.data.readers.sources import READERS
from tfp_vae.plots.canvas import Figure


def test_picture_shows_the_examples(here: Path, figures: list[Figure]) -> None:
    call("data", "inspect", "digits", "--out", "d.png")
    shown = pick_examples(read("digits"), 100)
    np.testing.assert_allclose(read_tiles(figures[0], 10)[: len(shown)], shown[..., 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "full"),
    [(40, 90, np.uint8, 255), (3, 17, np.uint8, 255), (0, 2, np.uint8, 1), (0.2, 0.4, np.float32, 1)],
)
def test_picture_does_not_stretch_pixels(
    low: float, high: float, dtype: type, full: int, here: Path, figures: list[Figure], rng: np.random.Generator
) -> None:
    x = rng.uniform(low, high, (60, 8, 8)).astype(dtype)
    np.savez("a.npz", x_train=x, x_test=x[:2], x_validation=x[:2])
    call("data", "inspect", "a.npz", "--out", "a.png")
    np.testing.assert_allclose(read_tiles(figures[0], 10)[:60], x / np.float32(full), rtol=1e-6)
    scale = figures[0].axes[1:]
    assert [axes.get_ylim() for axes in scale] == [(0, 255)] * (full == 255)


@pytest.mark.slow
def test_picture_of_series_shows_their_values(here: Path, figures: list[Figure], rng: np.random.Generator) -> None:
    x = rng.normal(50.0, 9.0, (40, 30))
    np.save("a.npy", x)
    call("data", "inspect", "a.npy", "--out", "a.png")
    lines = [line.get_ydata() for axes in figures[0].axes for line in axes.lines]
    np.testing.assert_allclose(lines, pick_examples(read("a.npy"), 100), rtol=1e-6)


def test_list_names_data_sets_and_file_formats() -> None:
    result = answer("data", "list")
    assert [each["name"] for each in result["named"]] == list(DATASETS)
    assert len(result["own"]) == len(READERS) + 1
    shown = call("data", "list").stdout
    assert all(name in shown for name in DATASETS)
    assert "--label-column" in shown


def test_inspect_writes_only_the_picture_that_out_names(here: Path) -> None:
    assert "picture" not in answer("data", "inspect", "digits")
    assert not [*here.iterdir()]
    assert answer("data", "inspect", "digits", "--out", "d.png")["picture"] == "d.png"
    assert shows_something("d.png")


@pytest.mark.parametrize("place", ["none/d.png", "file/d.png", "folder.png"])
def test_inspect_prints_its_findings_without_a_writable_picture(place: str, here: Path) -> None:
    Path("file").touch()
    Path("folder.png").mkdir()
    found = answer("data", "inspect", "digits")
    result = call("data", "inspect", "digits", "--out", place, "--json", code=6)
    assert f"could not write {place}" in one_sentence(result)
    assert json.loads(result.stdout) == found
    assert "usable for training" in call("data", "inspect", "digits", "--out", place, code=6).stdout


def test_inspect_explains_why_data_cannot_be_trained_on(here: Path) -> None:
    Path("t.csv").write_text("a,b\n" + "1,2\n" * 20 + "inf,3\n")
    result = call("data", "inspect", "t.csv", "--out", "t.png", code=3)
    assert "cannot be used for training: t.csv" in one_sentence(result)
    assert "1, in 1 of 21 examples, first in" in result.stdout
    assert shows_something("t.png")
    found = json.loads(call("data", "inspect", "t.csv", "--json", code=3).stdout)
    assert not found["trainable"]
    assert found["problem"] in one_sentence(result)


def test_refuses_data_without_any_finite_number(here: Path) -> None:
    np.save("nan.npy", np.full((20, 8, 8), np.nan))
    result = call("data", "inspect", "nan.npy", "--out", "nan.png", code=3)
    assert "found only missing or infinite values" in one_sentence(result)
    assert "none: all are missing or infinite" in result.stdout
    assert "from nan" not in result.stdout
    assert not Path("nan.png").exists()
    told = json.loads(call("data", "inspect", "nan.npy", "--json", code=3).stdout)
    assert told["range"]["max"] is None
    assert "not a finite number" in told["range"]["max_reason"]
    assert "found only missing or infinite values" in one_sentence(
        call("train", "--dataset", "nan.npy", *SMALL, code=3)
    )


def test_dark_pixels_get_a_warning_that_they_are_divided_by_255(here: Path) -> None:
    np.save("dark.npy", np.random.default_rng(0).integers(0, 17, (40, 4, 4)).astype(np.uint8))
    assert "but they are divided by 255" in call("data", "inspect", "dark.npy").stdout
    arguments = ("train", "--dataset", "dark.npy", *QUICK)
    assert "warning: dark.npy: the largest of its 8-bit pixels is 16" in call(*arguments).stderr
    told = call(*arguments, "--scaling", "pixels", "--run-dir", "other")
    assert "but they are divided" not in told.stderr


def test_identical_examples_get_a_warning(here: Path) -> None:
    np.save("same.npy", np.full((40, 3), 2.5))
    shown = call("data", "inspect", "same.npy").stdout
    assert "yes, but all examples are identical, so there is nothing to learn" in shown
    assert "without an upper bound" not in shown
    said = call("train", "--dataset", "same.npy", *QUICK).stderr
    assert "warning: same.npy: all examples are identical" in said
    assert "upper bound" not in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [("--likelihood normal --binarization static", "only 0 and 1, on which the density of normal"),
     ("--likelihood laplace", "only 17 different ones, on which the density of laplace"),
     ("--likelihood normal:scale=1", None), ("--likelihood continuous-bernoulli", None), ("", None)],
)  # fmt: skip
def test_density_on_few_values_gets_one_warning(options: str, said: str | None, here: Path) -> None:
    arguments = ("train", *options.split(), *QUICK, "--run-dir", "run")
    lines = [line for line in call(*arguments).stderr.splitlines() if line.startswith("warning: digits: its values")]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]
    assert "its values" not in call("train", "--resume", "--epochs", 2, "--run-dir", "run", "--no-plots").stderr


@pytest.mark.slow
def test_likelihoods_that_suit_few_values_get_no_warning(here: Path) -> None:
    found = answer("data", "inspect", "digits")["few_values"]
    assert found["unbounded"] == ["normal", "laplace", "student-t"]
    for name in found["likely"]:
        said = call("train", "--likelihood", name, *QUICK, "--run-dir", name).stderr
        assert "upper bound" not in said


@pytest.mark.slow
def test_16_bit_values_are_counts_unless_a_scaling_makes_them_pixels(here: Path, rng: np.random.Generator) -> None:
    x = rng.integers(0, 65_536, (40, 4, 4)).astype(np.uint16)
    np.savez("a.npz", x_train=x, x_test=x[:4], x_validation=x[:4])
    np.save("new.npy", x[4:9].astype(np.float64))
    train = ("train", "--dataset", "a.npz", *QUICK, "--run-dir")
    advised = "--scaling divided:by=65535"
    assert advised in call("data", "inspect", "a.npz").stdout
    assert advised in call(*train, "counts").stderr
    for i, said in enumerate(
        (f"{advised} --likelihood continuous-bernoulli", "--scaling none", "--likelihood poisson")
    ):
        assert advised not in call(*train, i, *said.split()).stderr
    call("reconstruct", "--run", "0", "--out", "split.npz")
    np.testing.assert_array_equal(read_npz(Path("split.npz"))["x"], x[:4, ..., None] / np.float32(65_535))
    call("reconstruct", "--run", "0", "--data", "new.npy", "--out", "new.npz")  # of another type, the same values
    np.testing.assert_array_equal(read_npz(Path("new.npz"))["x"], x[4:9, ..., None] / np.float32(65_535))


@pytest.mark.slow
def test_new_dark_examples_get_a_warning_that_they_are_divided_by_255(here: Path) -> None:
    draw = np.random.default_rng(0)
    np.save("bright.npy", draw.integers(0, 256, (40, 4, 4)).astype(np.uint8))
    np.save("dark.npy", draw.integers(0, 17, (9, 4, 4)).astype(np.uint8))
    call("train", "--dataset", "bright.npy", *QUICK)
    for name, said in (("dark.npy", True), ("bright.npy", False)):
        told = call("score", "--data", name, "--iw-samples", "2", "--no-plots", *GRAPH).stderr
        assert (f"warning: {name}: the largest of its 8-bit pixels is" in told) == said


def test_inspect_describes_shape_values_and_repeats(here: Path) -> None:
    x = np.random.default_rng(0).integers(0, 2, (40, 60))
    np.savez("a.npz", x_train=x, x_validation=x[:3], x_test=1 - x)
    shown = call("data", "inspect", "a.npz").stdout
    assert "vectors of 60, binary values" in shown
    assert "3 identical, 3 identical or nearly so (3 compared with 40)" in shown
    assert "0 identical" in shown
    assert "bernoulli" in shown


@pytest.mark.parametrize("name", ["list", "inspect"])
def test_every_option_has_help(name: str) -> None:
    for parameter in data_command.commands[name].params:
        assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def test_without_a_subcommand_the_help_page_appears() -> None:
    assert "inspect" in CliRunner().invoke(main, ["data", "--help"]).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["data", "inspect"], 2, "Missing argument"),
        (["data", "inspect", "imagenet"], 2, "unknown dataset 'imagenet'. Choose from digits"),
        (["data", "inspect", "photos/"], 3, "found nothing of that name"),
        (["data", "inspect", "./none.csv"], 3, "expected a file, found none"),
        (
            ["data", "inspect", "digits", "--resize", "9"],
            2,
            "--resize has no effect on the named data set digits",
        ),
        (["data", "inspect", "digits", "--resize", "big"], 2, "'--resize': "),
        (["data", "inspect", "digits", "--out", "x.jpg"], 2, "expected a file ending in .png"),
        (["data", "inspect", "digits", "--scaling", "log"], 2, "unknown scaling 'log'"),
        (["data", "fly"], 2, "No such command"),
        (["train", "--label-column", "y"], 2, "--label-column has no effect on the named data set digits"),
        (["train", "--channels", "two"], 2, "is not one of"),
    ],
)
def test_refuses_wrong_arguments(arguments: list[str], code: int, expected: str, here: Path) -> None:
    assert expected in one_sentence(call(*arguments, code=code))
    assert list(here.iterdir()) == []
