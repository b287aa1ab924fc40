"""The commands that look at a trained run, and at data: what is in each file that they write, and what they refuse."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli.commands import encode, interpolate, reconstruct, sample, score
from tfp_vae.cli.commands.data import command as data_command
from tfp_vae.cli.main import main
from tfp_vae.cli.output import WRITERS

from tests.helpers.commands import GRAPH, SMALL, call, one_sentence
from tests.helpers.files import encoded, write_table
from tests.helpers.files import write as write_images
from tfp_vae import plots
from tfp_vae.data.dataset import Dataset
from tfp_vae.data.inspection import pick_examples
from tfp_vae.data.loading import load, read
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.arrays import read_npz
from tfp_vae.data.readers.sources import READERS
from tfp_vae.evaluation.latent_space import PATHS
from tfp_vae.plots import canvas
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import held_out_view
from tfp_vae.runs.run import Run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pictures(here: Path, digits: Dataset) -> Path:
    """A folder with the first test digits of two classes as PNG files."""
    files = {}
    for i in np.flatnonzero(digits.test.y < 2)[:14]:
        files[f"{digits.test.y[i]}/{i:03}.png"] = encoded((digits.test.x[i, ..., 0] * 255).astype(np.uint8))
    return write_images(here / "pictures", files)


@pytest.fixture
def test_split(restored: LoadedRun, digits: Dataset) -> Any:
    return held_out_view(restored.config, digits, "test")


def rows_of(path: object) -> list[dict[str, str]]:
    with Path(str(path)).open(newline="") as stream:
        return list(csv.DictReader(stream))


def told(*arguments: object) -> Any:
    """Return what a command says with --json, after checking that it says nothing else on stdout."""
    return json.loads(call(*arguments, "--json").stdout)


def is_picture(path: object) -> bool:
    return bool(matplotlib.image.imread(str(path)).std() > 0.01)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that commands write as PNG files, in order."""
    figures: list[Any] = []

    def kept(figure: Any, about: str = "") -> bytes:
        figures.append(figure)
        return canvas.png(figure, about)

    monkeypatch.setattr(plots, "png", kept)
    return figures


def tiles_of(figure: Any, columns: int, side: int = 8) -> np.ndarray:
    """Return the tiles [N, H, W] of a figure of grey pictures, in reading order, those left blank among them."""
    picture = np.asarray(figure.axes[0].images[0].get_array())
    width = picture.shape[1] // columns
    rows = round(picture.shape[0] / width) if picture.shape[0] % width == 0 else picture.shape[0] // (width + 2)
    height = picture.shape[0] // rows
    parted = picture.reshape(rows, height, columns, width).swapaxes(1, 2)
    return parted.reshape(-1, height, width)[:, :side, :side]


class TestPicturesShowTheNumbers:
    """What stands in a picture is what the same command writes into a file of arrays."""

    @pytest.mark.parametrize("show", ["mean", "draw"])
    def test_sample(self, show: str, here: Path, trained: Path, drawn: list[Any]) -> None:
        for out in ("s.png", "s.npy"):
            call("sample", "--run", trained, "--n", 9, f"--{show}", "--seed", 3, "--out", out)
        np.testing.assert_allclose(tiles_of(drawn[0], 3), np.load("s.npy")[..., 0], rtol=1e-6)
        assert {"mean": "E[x|z]", "draw": "x from p(x|z)"}[show] in drawn[0].axes[0].get_title()
        assert drawn[0].axes[0].get_title().startswith("9 samples")

    def test_sample_says_its_region_and_temperature(self, here: Path, trained: Path, drawn: list[Any]) -> None:
        more = ("--region", -1, 0.5, 0, 1, "--temperature", 0.7)
        call("sample", "--run", trained, "--n", 4, *more, "--out", "s.png")
        assert "[-1, 0.5] x [0, 1] at temperature 0.7" in drawn[0].axes[0].get_title()

    @pytest.mark.parametrize("show", ["mean", "draw"])
    def test_reconstruct(self, show: str, here: Path, trained: Path, drawn: list[Any]) -> None:
        for out in ("r.png", "r.npz"):
            call("reconstruct", "--run", trained, "--max-examples", 5, f"--{show}", "--out", out)
        found, tiles = read_npz(Path("r.npz")), tiles_of(drawn[0], 5)
        np.testing.assert_allclose(tiles[:5], found["x"][..., 0])
        np.testing.assert_allclose(tiles[5:], found["reconstruction"][..., 0], rtol=1e-6)
        axes = drawn[0].axes[0]
        made = {"mean": "E[x|z]", "draw": "x ~ p(x|z)"}[show]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["data, binarized", made]
        assert axes.get_title().startswith("5 test examples")

    def test_interpolate(self, here: Path, trained: Path, drawn: list[Any]) -> None:
        for out in ("i.png", "i.npz"):
            call("interpolate", "--run", trained, "--pair", 3, 7, "--pair", 9, 2, "--steps", 5, "--out", out)
        found = read_npz(Path("i.npz"))["x"]
        np.testing.assert_allclose(tiles_of(drawn[0], 5), found.reshape(10, 8, 8), rtol=1e-6)
        axes = drawn[0].axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["3 to 7", "9 to 2"]
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0%", "25%", "50%", "75%", "100%"]

    def test_score(self, here: Path, copied: Run, test_split: Any, drawn: list[Any]) -> None:
        result = told("score", "--run", copied.folder, "--iw-samples", 3, "--show", 4, *GRAPH)
        worst = [each["example"] for each in result["most_anomalous"]]
        np.testing.assert_array_equal(tiles_of(drawn[0], 4), test_split.x[worst][..., 0])
        texts = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in drawn[0].axes[0].texts]
        found = [
            (f"{each['log_likelihood']:.0f}", test_split.source_name(each["example"]))
            for each in result["most_anomalous"]
        ]
        assert texts == [f"{value}\n{name}" for value, name in found]
        assert "180 test examples" in drawn[0].axes[0].get_title()

    def test_data_inspect(self, here: Path, drawn: list[Any]) -> None:
        call("data", "inspect", "digits", "--out", "d.png")
        shown = pick_examples(read("digits"), 100)
        np.testing.assert_allclose(tiles_of(drawn[0], 10)[: len(shown)], shown[..., 0], rtol=1e-6)

    @pytest.mark.parametrize(
        ("low", "high", "dtype", "full"),
        [(40, 90, np.uint8, 255), (3, 17, np.uint8, 255), (0, 2, np.uint8, 1), (0.2, 0.4, np.float32, 1)],
    )
    def test_data_inspect_stretches_no_pixels(
        self, low: float, high: float, dtype: type, full: int, here: Path, drawn: list[Any], rng: np.random.Generator
    ) -> None:
        x = rng.uniform(low, high, (60, 8, 8)).astype(dtype)
        np.savez("a.npz", x_train=x, x_test=x[:2], x_validation=x[:2])
        call("data", "inspect", "a.npz", "--out", "a.png")
        np.testing.assert_allclose(tiles_of(drawn[0], 10)[:60], x / np.float32(full), rtol=1e-6)
        scale = drawn[0].axes[1:]
        assert [axes.get_ylim() for axes in scale] == [(0, 255)] * (full == 255)

    def test_draws_of_a_normal_keep_the_tones_of_images_in_the_unit_interval(
        self, here: Path, drawn: list[Any]
    ) -> None:
        call("train", "--likelihood", "normal", *SMALL, "--run-dir", "r", "--no-plots")
        for line in (("sample", "--draw"), ("reconstruct", "--draw"), ("interpolate", "--n", 2)):
            call(*line, "--run", "r")
        assert [len(figure.axes) for figure in drawn] == [1, 1, 1]  # no scale beside them
        call("sample", "--run", "r", "--draw", "--out", "x.npy")
        assert np.load("x.npy").min() < 0

    @pytest.mark.parametrize("between", [("--n", 2), ("--prior",)])
    def test_interpolations_say_that_their_ends_were_binarized(
        self, between: tuple[Any, ...], here: Path, trained: Path, drawn: list[Any]
    ) -> None:
        call("interpolate", "--run", trained, *between, "--out", "i.png")
        assert drawn[0].axes[0].get_title().endswith("test examples, seen binarized") == ("--n" in between)

    def test_a_table_names_its_features(self, here: Path, drawn: list[Any]) -> None:
        write_table(here / "t.csv", rows=60)
        call("train", "--dataset", "t.csv", "--label-column", "kind", *SMALL, "--run-dir", "r", "--no-plots")
        for line in (("sample",), ("reconstruct",), ("score", "--iw-samples", 2, *GRAPH)):
            call(*line, "--run", "r")
        for figure in drawn:
            assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "b"]
        assert len(drawn) == 3


class TestEncode:
    """Means, scales, samples."""

    def test_npz(self, here: Path, trained: Path, restored: LoadedRun, test_split: Any) -> None:
        result = told("encode", "--run", trained, "--samples", "3", "--out", "e.npz")
        assert (result["split"], result["num_examples"], result["latent_dim"]) == ("test", 180, 2)
        found = read_npz(Path("e.npz"))
        q = restored.vae.encoder(test_split.x)
        np.testing.assert_allclose(found["mean"], q.mean(), atol=1e-5)
        np.testing.assert_allclose(found["scale"], q.stddev(), atol=1e-5)
        assert found["samples"].shape == (3, 180, 2)
        np.testing.assert_array_equal(found["label"], test_split.y)
        np.testing.assert_array_equal(found["row"], test_split.rows)

    def test_csv_holds_the_same_numbers(self, here: Path, trained: Path) -> None:
        for name in ("e.npz", "e.csv"):
            call("encode", "--run", trained, "--samples", "2", "--split", "validation", "--out", name)
        arrays, rows = read_npz(Path("e.npz")), rows_of("e.csv")
        assert len(rows) == 180
        for i in (0, 99):
            assert int(rows[i]["label"]) == arrays["label"][i]
            for column, value in (("mean_2", arrays["mean"][i, 1]), ("scale_1", arrays["scale"][i, 0]),
                                  ("sample_2_1", arrays["samples"][1, i, 0])):  # fmt: skip
                assert float(rows[i][column]) == value

    def test_new_images(self, copied: Run, pictures: Path) -> None:
        path = call("encode", "--run", copied.folder, "--data", pictures).stdout.strip()
        assert path == str(copied.folder / "embeddings-data-pictures.npz")
        found = read_npz(Path(path))
        assert found["name"][0].startswith("0/")
        assert found["label"].tolist() == [int(name[0]) for name in found["name"]]
        assert found["mean"].shape == (14, 2)


class TestReconstruct:
    """p(x|z) of given data."""

    def test_arrays(self, here: Path, trained: Path, restored: LoadedRun, test_split: Any) -> None:
        result = told("reconstruct", "--run", trained, "--out", "r.npz")
        found = read_npz(Path("r.npz"))
        np.testing.assert_array_equal(found["x"], test_split.x)
        np.testing.assert_allclose(found["reconstruction"], restored.vae.reconstruct(test_split.x), atol=1e-5)
        assert result["rmse"] == pytest.approx(np.sqrt(np.mean((found["x"] - found["reconstruction"]) ** 2)), rel=1e-5)

    def test_draws_follow_the_seed(self, here: Path, trained: Path) -> None:
        for name, seed in (("a.npy", 1), ("b.npy", 1), ("c.npy", 2)):
            call("reconstruct", "--run", trained, "--latent", "draw", "--draw", "--seed", seed, "--out", name)
        a, b, c = (np.load(name) for name in ("a.npy", "b.npy", "c.npy"))
        assert set(np.unique(a)) == {0, 1}
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()

    @pytest.mark.parametrize(
        ("options", "count"), [((), 12), (("--max-examples", 5), 5), (("--max-examples", 900), 100)]
    )
    def test_a_picture_shows_a_few_evenly_spread(self, options: Any, count: int, copied: Run) -> None:
        result = told("reconstruct", "--run", copied.folder, *options)
        assert result["num_examples"] == count
        assert is_picture(result["out"])
        assert Path(result["out"]).parent == copied.folder / "plots"

    def test_new_images(self, copied: Run, pictures: Path) -> None:
        assert told("reconstruct", "--run", copied.folder, "--data", pictures, "--out", "r.npy")["data"] == str(
            pictures
        )
        assert np.load("r.npy").shape == (14, 8, 8, 1)


class TestInterpolate:
    """Paths through latent space."""

    def test_a_path_begins_and_ends_at_its_examples(
        self, here: Path, trained: Path, restored: LoadedRun, test_split: Any
    ) -> None:
        pairs = ("--pair", 3, 7, "--pair", 0, 179)
        result = told("interpolate", "--run", trained, *pairs, "--steps", 5, "--out", "i.npz")
        assert result["pairs"] == [[3, 7], [0, 179]]
        found = read_npz(Path("i.npz"))
        assert found["x"].shape == (2, 5, 8, 8, 1)
        means = np.asarray(restored.vae.encoder.mean(test_split.x[[3, 7, 0, 179]]))
        np.testing.assert_allclose(found["z"][:, [0, -1]].reshape(4, 2), means, atol=1e-5)
        np.testing.assert_allclose(found["x"][1], restored.vae.decoder(found["z"][1]).mean(), atol=1e-5)

    @pytest.mark.parametrize("kind", interpolate.PATHS)
    def test_random_pairs_and_prior_draws_follow_the_seed(self, kind: str, here: Path, trained: Path) -> None:
        for source in ((), ("--prior",)):
            found = []
            for seed in (0, 0, 1):
                call(
                    "interpolate", "--run", trained, *source, "--path", kind, "--seed", seed, "--n", 3, "--out", "i.npz"
                )
                found.append(read_npz(Path("i.npz"))["z"])
            assert found[0].shape == (3, 11, 2)
            np.testing.assert_array_equal(found[0], found[1])
            assert (found[0] != found[2]).any()

    def test_the_paths_offered_are_those_there_are(self) -> None:
        assert tuple(PATHS) == interpolate.PATHS

    def test_pairs_are_apart_while_there_are_enough(self) -> None:
        pairs = interpolate._random_pairs(11, 5, 0)
        assert len(set(np.ravel(pairs).tolist())) == 10
        assert np.shape(interpolate._random_pairs(3, 8, 0)) == (8, 2)

    def test_pictures(self, copied: Run, pictures: Path) -> None:
        paths = [call("interpolate", "--run", copied.folder, *more).stdout.strip()
                 for more in ((), ("--prior",), ("--data", pictures))]  # fmt: skip
        assert len(set(paths)) == 3
        assert all(map(is_picture, paths))


class TestScore:
    """log p(x) of each example."""

    def test_the_mean_is_that_of_evaluate(self, here: Path, copied: Run) -> None:
        options = ("--run", copied.folder, "--iw-samples", 4, "--split", "validation", *GRAPH)
        result = told("score", *options, "--show", 5, "--out", "s.csv")
        evaluated = told("evaluate", *options)
        assert result["log_likelihood"] == pytest.approx(evaluated["log_likelihood"], rel=1e-6)
        assert result["log_likelihood_se"] == pytest.approx(evaluated["log_likelihood_se"], rel=1e-4)
        rows = rows_of("s.csv")
        scores = np.array([float(row["log_likelihood"]) for row in rows])
        assert scores.mean() == pytest.approx(result["log_likelihood"])
        worst = [each["example"] for each in result["most_anomalous"]]
        assert worst == np.argsort(scores)[:5].tolist()
        assert rows[worst[0]]["label"] == str(result["most_anomalous"][0]["label"])
        assert is_picture(result["picture"])

    def test_new_images_of_another_kind_are_less_likely(self, copied: Run, here: Path, digits: Dataset) -> None:
        upside_down = {
            f"{i:03}.png": encoded((255 - 255 * digits.test.x[i, ..., 0]).astype(np.uint8)) for i in range(40)
        }
        write_images(here / "negatives", upside_down)
        options = ("score", "--run", copied.folder, "--iw-samples", 5, "--no-plots", *GRAPH)
        negatives, own = told(*options, "--data", "negatives"), told(*options)
        assert "picture" not in negatives
        assert negatives["quantiles"]["1"] < own["quantiles"]["0.05"]
        rows = rows_of(copied.folder / "scores-data-negatives.csv")
        assert [row["name"] for row in rows] == sorted(upside_down)

    def test_what_is_printed(self, copied: Run) -> None:
        few = ("--iw-samples", 2, "--max-examples", 30, "--show", 4)
        shown = call("score", "--run", copied.folder, *few, *GRAPH).stdout
        assert "30 examples, K = 2" in shown
        listed = [line for line in shown.splitlines() if line.strip()[:1].isdigit()]
        assert len(listed) == 4
        assert is_picture(shown.splitlines()[-1])

    def test_all_are_printed_that_are_shown(self, copied: Run) -> None:
        few = ("--iw-samples", 2, "--max-examples", 30, "--no-plots")
        shown = call("score", "--run", copied.folder, *few, *GRAPH).stdout
        assert sum(line.strip()[:1].isdigit() for line in shown.splitlines()[1:]) == 16

    def test_a_new_file_is_no_split_and_its_draw_is_told_of(self, copied: Run, here: Path, digits: Dataset) -> None:
        np.save("test.npy", load("digits").test.x[:3])
        np.save("binary.npy", digits.test.x[:3])
        options = ("score", "--run", copied.folder, "--iw-samples", 2, "--no-plots", *GRAPH)
        asked = (("--data", "test.npy"), ("--data", "binary.npy"), ("--max-examples", 4))
        new, binary, own = (call(*options, *more) for more in asked)
        assert "log p(x) of grey values is that of one binarization" in new.stderr
        assert "binarization" not in own.stderr + binary.stderr  # 0 and 1 are left as they are
        assert [len(rows_of(copied.folder / f"scores-{name}.csv")) for name in ("data-test", "test")] == [3, 4]


WRITING = (encode, interpolate, reconstruct, sample, score)
"""The commands with a file in several forms."""


@pytest.mark.parametrize(
    ("module", "suffix"), [pytest.param(m, s, id=m.__name__[12:] + s) for m in WRITING for s in m.FORMS]
)
def test_every_form_of_every_command_is_written(module: Any, suffix: str, here: Path, trained: Path) -> None:
    few = {sample: ("--n", 4), score: ("--max-examples", 4, "--iw-samples", 2, "--no-plots", *GRAPH)}
    name = module.__name__.rpartition(".")[2]
    call(name, "--run", trained, *few.get(module, ("--max-examples", 4)), "--out", f"x{suffix}")
    filled = {".png": is_picture, ".npy": lambda path: np.load(path).size, ".npz": read_npz, ".csv": rows_of}
    assert filled.keys() == WRITERS.keys()
    assert filled[suffix](Path(f"x{suffix}"))
    assert suffix in CliRunner().invoke(main, [name, "--help"]).stdout


@pytest.mark.parametrize("command", ["encode", "reconstruct", "interpolate", "score", "sample"])
@pytest.mark.parametrize("weights", ["final", "best"])
def test_every_command_says_which_weights_it_uses(command: str, weights: str, copied: Run) -> None:
    steps = {"final": copied.checkpoint().step, "best": copied.checkpoint().best.step}
    more = GRAPH if command == "score" else ()
    done = call(command, "--run", copied.folder, "--weights", weights, *more, "--json")
    result = json.loads(done.stdout)
    assert (result["weights"], result["step"]) == (weights, steps[weights])
    assert f"weights: {weights}, of step {steps[weights]:,}" in done.stderr


def test_a_picture_is_called_by_its_temperature(here: Path, copied: Run) -> None:
    asked = ("sample", "--run", copied.folder, "--n", 4)
    paths = [Path(told(*asked, *more)["out"]).name for more in ((), ("--temperature", 0.5))]
    assert paths == ["samples-4-mean-seed0.png", "samples-4-mean-seed0-temperature0.5.png"]


def test_samples_of_a_table_are_a_table_in_its_own_units(here: Path) -> None:
    write_table(Path("t.csv"), rows=60)
    call("train", "--dataset", "t.csv", "--label-column", "kind", *SMALL, "--run-dir", "r", "--no-plots")
    asked = ("sample", "--run", "r", "--n", 200, "--draw")
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


def test_sample_within_a_region(here: Path, copied: Run, restored: LoadedRun) -> None:
    result = told("sample", "--run", copied.folder, "--n", 6, "--region", -0.1, 0.1, 1, 1.2, "--out", "s.npy")
    assert result["region"] == [[-0.1, 0.1], [1, 1.2]]
    corners = np.float32([[a, b] for a in (-0.1, 0.1) for b in (1, 1.2)])
    edges = np.asarray(restored.vae.decoder(corners).mean())
    x = np.load("s.npy")
    assert (x >= edges.min(axis=0) - 0.02).all()
    assert (x <= edges.max(axis=0) + 0.02).all()
    assert "region" in call("sample", "--run", copied.folder, "--n", 4, "--region", -1, 0, -1, 0).stdout


def test_standardized_values_are_said_to_be_and_can_be_undone(here: Path, rng: np.random.Generator) -> None:
    x = rng.normal([100, -5], [30, 0.1], (40, 2))
    np.save("t.npy", x)
    call("train", "--dataset", "t.npy", "--scaling", "standard", *SMALL, "--run-dir", "r", "--no-plots")
    for command, more in (("sample", ()), ("interpolate", ("--prior",)), ("reconstruct", ("--data", "t.npy"))):
        shown = call(command, "--run", "r", *more, "--out", "x.npz")
        assert "loc + scale * x" in shown.stderr
        found = read_npz(Path("x.npz"))
        assert found["loc"].shape == found["scale"].shape == (2,)
    np.testing.assert_allclose(found["loc"] + found["scale"] * found["x"], x, rtol=1e-5)


class TestOwnData:
    """From a person's own files to a trained run, and its scores."""

    def test_a_table(self, here: Path) -> None:
        write_table(here / "t.csv", rows=60)
        options = ("--dataset", "t.csv", "--label-column", "kind")
        inspected = told("data", "inspect", "t.csv", "--label-column", "kind")
        assert inspected["picked"]["likelihood"] == "normal"
        trained = call("train", *options, *SMALL, "--run-dir", "r", "--no-plots")
        assert "kind: vectors of 2, real values; picked for it: --likelihood normal" in trained.stderr
        config = json.loads(Path("r/config.json").read_text())
        assert config["data"]["reading"]["label_column"] == "kind"
        assert config["data"]["reading"]["columns"] == ["a", "b"]
        assert len(config["data"]["scaling"]["loc"]) == 2
        Path("new.csv").write_text("b,a\n1000,0.1\n99999,0.1\n")
        scored = told("score", "--run", "r", "--data", "new.csv", "--iw-samples", 5, *GRAPH)
        assert [each["example"] for each in scored["most_anomalous"]] == [1, 0]
        assert scored["scaling"] == "standard"

    def test_a_folder_of_images_is_resized_in_the_run_and_after_it(self, here: Path, rng: np.random.Generator) -> None:
        files = {f"{label}/{i}.png": encoded(rng.integers(0, 256, (20, 24, 3), np.uint8))
                 for label in ("cat", "dog") for i in range(12)}  # fmt: skip
        write_images(here / "photos", files)
        options = ("--dataset", "photos", "--resize", "8x6", "--hidden", "8")
        trained = call("train", *options, "--execution", "graph", "--epochs", "1", "--run-dir", "r")
        assert "picked for it: --likelihood discretized-logistic" in trained.stderr
        assert told("encode", "--run", "r", "--data", "photos/cat")["num_examples"] == 12
        assert read_npz(Path("r/embeddings-data-cat.npz"))["name"][0] == "0.png"
        assert told("reconstruct", "--run", "r", "--out", "r.npy")["num_examples"] == 3
        assert np.load("r.npy").shape == (3, 8, 6, 3)
        write_images(here / "grey", {"a.png": encoded(rng.integers(0, 256, (9, 9), np.uint8))})
        assert told("score", "--run", "r", "--data", "grey", "--iw-samples", 2, *GRAPH)["num_examples"] == 1

    def test_the_command_line_wins_over_the_kind(self, here: Path) -> None:
        write_table(here / "t.csv")
        options = ("--dataset", "t.csv", "--columns", "a,b", "--likelihood", "laplace", "--scaling", "none")
        trained = call(
            "train", *options, "--encoder", "mlp:hidden=4", *GRAPH, "--epochs", "1", "--run-dir", "r", "--no-plots"
        )
        assert "picked for it: --decoder mlp" in trained.stderr
        config = json.loads(Path("r/config.json").read_text())
        assert config["model"]["likelihood"]["name"] == "laplace"
        assert config["data"]["scaling"] == {"name": "none"}


class TestData:
    """What data sets there are, and what is in one."""

    def test_list(self) -> None:
        result = told("data", "list")
        assert [each["name"] for each in result["named"]] == list(DATASETS)
        assert len(result["own"]) == len(READERS) + 1
        shown = call("data", "list").stdout
        assert all(name in shown for name in DATASETS)
        assert "--label-column" in shown

    def test_inspect_writes_a_picture_where_it_is_told_and_nothing_else(self, here: Path) -> None:
        assert "picture" not in told("data", "inspect", "digits")
        assert not [*here.iterdir()]
        assert told("data", "inspect", "digits", "--out", "d.png")["picture"] == "d.png"
        assert is_picture("d.png")

    @pytest.mark.parametrize("place", ["none/d.png", "file/d.png", "folder.png"])
    def test_inspect_says_what_it_found_where_its_picture_cannot_be_written(self, place: str, here: Path) -> None:
        Path("file").touch()
        Path("folder.png").mkdir()
        found = told("data", "inspect", "digits")
        result = call("data", "inspect", "digits", "--out", place, "--json", code=6)
        assert f"could not write {place}" in one_sentence(result)
        assert json.loads(result.stdout) == found
        assert "usable for training" in call("data", "inspect", "digits", "--out", place, code=6).stdout

    def test_inspect_says_what_cannot_be_trained_on(self, here: Path) -> None:
        Path("t.csv").write_text("a,b\n" + "1,2\n" * 20 + "NA,3\n")
        result = call("data", "inspect", "t.csv", "--out", "t.png", code=3)
        assert "cannot be used for training: t.csv" in one_sentence(result)
        assert "1, in 1 of 21 examples, first in" in result.stdout
        assert is_picture("t.png")
        found = json.loads(call("data", "inspect", "t.csv", "--json", code=3).stdout)
        assert not found["trainable"]
        assert found["problem"] in one_sentence(result)

    def test_inspect_of_no_number_at_all(self, here: Path) -> None:
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

    def test_dark_pixels_are_said_to_be_over_255(self, here: Path) -> None:
        np.save("dark.npy", np.random.default_rng(0).integers(0, 17, (40, 4, 4)).astype(np.uint8))
        assert "but they are divided by 255" in call("data", "inspect", "dark.npy").stdout
        arguments = ("train", "--dataset", "dark.npy", *SMALL, "--no-plots")
        assert "warning: dark.npy: the largest of its 8-bit pixels is 16" in call(*arguments).stderr
        told = call(*arguments, "--scaling", "pixels", "--run-dir", "other")
        assert "but they are divided" not in told.stderr

    def test_examples_that_are_all_the_same_are_said_to_be(self, here: Path) -> None:
        np.save("same.npy", np.full((40, 3), 2.5))
        shown = call("data", "inspect", "same.npy").stdout
        assert "yes, but all examples are identical, so there is nothing to learn" in shown
        assert "without an upper bound" not in shown
        said = call("train", "--dataset", "same.npy", *SMALL, "--no-plots").stderr
        assert "warning: same.npy: all examples are identical" in said
        assert "upper bound" not in said

    @pytest.mark.parametrize(
        ("options", "said"),
        [("--likelihood normal --binarization static", "only 0 and 1, on which the density of normal"),
         ("--likelihood laplace", "only 17 different ones, on which the density of laplace"),
         ("--likelihood normal:scale=1", None), ("--likelihood continuous-bernoulli", None), ("", None)],
    )  # fmt: skip
    def test_a_density_on_few_values_is_warned_of_once(self, options: str, said: str | None, here: Path) -> None:
        arguments = ("train", *options.split(), *SMALL, "--no-plots", "--run-dir", "run")
        lines = [
            line for line in call(*arguments).stderr.splitlines() if line.startswith("warning: digits: its values")
        ]
        assert len(lines) == (said is not None)
        assert said is None or said in lines[0]
        assert "its values" not in call("train", "--resume", "--epochs", 3, "--run-dir", "run", "--no-plots").stderr

    def test_what_is_advised_on_few_values_is_not_warned_of(self, here: Path) -> None:
        found = told("data", "inspect", "digits")["few_values"]
        assert found["unbounded"] == ["normal", "laplace"]
        for name in found["likely"]:
            said = call("train", "--likelihood", name, *SMALL, "--no-plots", "--run-dir", name).stderr
            assert "upper bound" not in said

    def test_16_bits_are_said_to_be_counts_and_can_be_pixels(self, here: Path, rng: np.random.Generator) -> None:
        x = rng.integers(0, 65_536, (40, 4, 4)).astype(np.uint16)
        np.savez("a.npz", x_train=x, x_test=x[:4], x_validation=x[:4])
        np.save("new.npy", x[4:9].astype(np.float64))
        train = ("train", "--dataset", "a.npz", *SMALL, "--no-plots", "--run-dir")
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

    def test_new_examples_that_are_dark_are_said_to_be_over_255(self, here: Path) -> None:
        draw = np.random.default_rng(0)
        np.save("bright.npy", draw.integers(0, 256, (40, 4, 4)).astype(np.uint8))
        np.save("dark.npy", draw.integers(0, 17, (9, 4, 4)).astype(np.uint8))
        call("train", "--dataset", "bright.npy", *SMALL, "--no-plots")
        for name, said in (("dark.npy", True), ("bright.npy", False)):
            told = call("score", "--data", name, "--iw-samples", "2", "--no-plots", *GRAPH).stderr
            assert (f"warning: {name}: the largest of its 8-bit pixels is" in told) == said

    def test_inspect_in_words(self, here: Path) -> None:
        x = np.random.default_rng(0).integers(0, 2, (40, 60))
        np.savez("a.npz", x_train=x, x_validation=x[:3], x_test=1 - x)
        shown = call("data", "inspect", "a.npz").stdout
        assert "vectors of 60, binary values" in shown
        assert "3 identical, 3 identical or nearly so (3 compared with 40)" in shown
        assert "0 identical" in shown
        assert "bernoulli" in shown

    @pytest.mark.parametrize("name", ["list", "inspect"])
    def test_every_option_has_help(self, name: str) -> None:
        for parameter in data_command.commands[name].params:
            assert parameter.param_type_name == "argument" or parameter.help, parameter.name

    def test_without_a_command_it_shows_help(self) -> None:
        assert "inspect" in CliRunner().invoke(main, ["data", "--help"]).stdout


EACH = ("encode", "reconstruct", "interpolate", "score")


class TestWrongInput:
    """Each kind: the contract's exit code, and one sentence."""

    @pytest.mark.parametrize("command", EACH)
    def test_data_of_a_wrong_shape_or_kind(self, command: str, here: Path, trained: Path) -> None:
        np.save("shape.npy", np.zeros((5, 9, 8)))
        np.save("kind.npy", np.full((5, 8, 8), 3.0))
        expected = {"shape.npy": "of shape 8x8x1, as the run was trained on, found 9x8x1",
                    "kind.npy": "expected values in [0, 1], found 3 in row 0",
                    "none.npy": "expected a file, found none",
                    "nowhere": "found nothing of that name"}  # fmt: skip
        for name, message in expected.items():
            assert message in one_sentence(call(command, "--run", trained, "--data", name, code=3))

    @pytest.mark.parametrize("command", EACH)
    def test_usage(self, command: str, here: Path, trained: Path) -> None:
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
            (["interpolate", "--pair", "0", "180"], "--pair: expected places from 0 to 179, found 180"),
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
    def test_usage_of_one(self, arguments: list[str], expected: str, here: Path, trained: Path) -> None:
        assert expected in one_sentence(call(*arguments, "--run", trained, code=2))
        assert list(here.iterdir()) == []

    def test_a_region_needs_two_latent_dimensions(self, here: Path) -> None:
        call("train", *SMALL, "--latent-dim", "3", "--run-dir", "r", "--no-plots")
        result = call("sample", "--run", "r", "--region", 0, 1, 0, 1, code=2)
        assert "expected a run with 2 latent dimensions, found 3" in one_sentence(result)

    @pytest.mark.parametrize(
        ("arguments", "code", "expected"),
        [
            (["data", "inspect"], 2, "Missing argument"),
            (["data", "inspect", "imagenet"], 2, "unknown dataset 'imagenet'; choose from digits"),
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
    def test_data(self, arguments: list[str], code: int, expected: str, here: Path) -> None:
        assert expected in one_sentence(call(*arguments, code=code))
        assert list(here.iterdir()) == []
