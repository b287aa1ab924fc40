"""`tfp-vae data`: the tables and JSON objects that describe data sets."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tfp_vae.cli.commands.data import MOST_CLASSES, fact_lines, plot_examples, training_lines
from tfp_vae.cli.main import main

from tests.helpers import memory
from tests.helpers.commands import call, one_sentence
from tests.helpers.files import PIXELS, dataset, write
from tfp_vae.data.dataset import Dataset, Split
from tfp_vae.data.named import DATASETS
from tfp_vae.data.readers.sources import FOLDER, READERS
from tfp_vae.runs.recipe import inspect


@pytest.fixture(scope="module")
def pixels() -> dict[str, Any]:
    return inspect(dataset(PIXELS[..., None]))


def test_list_names_every_data_set_and_every_kind_of_file() -> None:
    text = call("data", "list").stdout
    found = json.loads(call("data", "list", "--json").stdout)
    assert [each["name"] for each in found["named"]] == list(DATASETS)
    kinds = [reader.text for reader in (*READERS.values(), FOLDER)]
    assert [each["kind"] for each in found["own"]] == kinds
    assert all(kind in text for kind in kinds)
    assert "--label-column" in text
    taken = ["column", "columns", "drop_columns", "header", "id_column", "image_shape", "label_column", "missing"]
    taken = sorted([*taken, "schema_file"])
    assert {"kind": "a .csv, .tsv or .txt file", "options": taken} in found["own"]


@pytest.mark.parametrize("name", ["a\0b.npy", f"{'n' * 256}.npy", "~nobody-at-all/a.npy", "caf\udce9.npy"])
@pytest.mark.parametrize(
    "command", [("data", "inspect"), ("train", "--dataset"), ("data", "inspect", "mnist", "--data-dir")]
)
def test_odd_names_of_data_exit_with_code_3(command: tuple[str, ...], name: str) -> None:
    result = CliRunner().invoke(main, [*command, name])
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_image_bombs_exit_with_code_3(tmp_path: Path) -> None:
    text = zlib.compress(bytes(20_000_000))
    chunks = (b"IHDR\0\0\0\4\0\0\0\4\x08\0\0\0\0", b"zTXta\0\0" + text, b"IDAT" + zlib.compress(bytes(20)), b"IEND")
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    write(tmp_path / "text", {"a.png": b"\x89PNG\r\n\x1a\n" + b"".join(parts)})
    write(tmp_path / "size", {"a.png": b"GIF89a\xff\xff\xff\xff\xf0\0\0" + bytes(800)})
    for folder in ("text", "size"):
        with memory.at_most(10_000_000):
            result = CliRunner().invoke(main, ["data", "inspect", str(tmp_path / folder)])
        assert result.exit_code == 3
        assert "a.png: not a readable PNG" in result.stderr


def test_facts_of_pixels(pixels: dict[str, Any]) -> None:
    lines = fact_lines(pixels)
    assert lines["shape of an example"] == "4x5x1, uint8"
    assert lines["values"].startswith(f"from {PIXELS.min()} to {PIXELS.max()}, mean {PIXELS.mean():g}, standard")
    assert lines["missing values"] == lines["labels"] == "none"
    assert lines["infinite values"] == ""


def test_settings_that_train_would_choose_are_options(pixels: dict[str, Any]) -> None:
    lines = training_lines(pixels)
    assert lines["train would choose"] == (
        "--scaling pixels, --binarization none, --encoder mlp:hidden=16,16, --decoder mlp:hidden=16,16, "
        "--likelihood discretized-logistic:levels=256, --latent-dim 2"
    )
    assert lines["usable for training"] == "yes"
    assert lines["fit if binarized"] == "bernoulli"
    assert "continuous-bernoulli" in lines["likelihoods that fit"]


def test_duplicates_are_counted_with_an_example(pixels: dict[str, Any]) -> None:
    line = training_lines(pixels)["test examples in train"]
    assert (
        line == "20 identical, 20 identical or nearly so (20 compared with 20), such as row 0 and row 0 of the source"
    )


def test_lists_densities_without_upper_bound() -> None:
    lines = training_lines(inspect(dataset((np.arange(400) % 9).reshape(100, 4))))
    assert lines["without an upper bound"] == "normal, laplace, student-t: densities of data with only 9 values"
    lines = training_lines(inspect(dataset(np.full((100, 4), 2.5))))
    assert lines["without an upper bound"] == ""
    assert lines["usable for training"] == "yes, but all examples are identical, so there is nothing to learn"


@pytest.mark.parametrize("classes", [2, MOST_CLASSES, MOST_CLASSES + 1])
def test_labels_list_the_largest_classes(classes: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(200, 3)), np.arange(200) % classes
    found = inspect(Dataset("some", "", Split(x, y), Split(x[:5], y[:5]), Split(x[5:9], y[5:9])))
    line = fact_lines(found)["labels"]
    assert line.startswith(f"{classes} classes: 0 (")
    assert line.endswith(", ...") == (classes > MOST_CLASSES)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "missing values"), (-np.inf, "infinite values")])
def test_bad_values_are_counted_with_the_first_row(value: float, kind: str) -> None:
    x = np.zeros((1_200, 2))
    x[[7, 9], 1] = value
    found = inspect(Dataset("some", "", Split(x), Split(x[:3]), Split(x[:3])))
    assert fact_lines(found)[kind] == "2, in 2 of 1,206 examples, first in train: row 7"
    assert not found["trainable"]


def test_unusable_data_are_described_before_the_error(tmp_path: Path) -> None:
    np.save(tmp_path / "nan.npy", np.full((20, 3), np.nan))
    result = call("data", "inspect", tmp_path / "nan.npy", code=3)
    assert "none: all are missing or infinite" in result.stdout
    assert re.search(r"usable for training +no", result.stdout)
    assert "These data cannot be used for training" in one_sentence(result)


def test_a_table_with_words_can_be_used_for_training(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("color,size\n" + "".join(f"{'red' if i % 2 else 'blue'},{i}.5\n" for i in range(20)))
    result = call("data", "inspect", path)
    assert "tables of 2 columns (1 binary, 1 real)" in result.stdout
    assert "\nvalues" not in result.stdout, "columns of different units have no common mean"
    found = json.loads(call("data", "inspect", path, "--json").stdout)
    assert found["trainable"]
    assert "column" not in found["picked"]


@pytest.mark.parametrize("shape", [(20, 6), (20, 4, 5, 1), (20, 4, 5, 3)])
@pytest.mark.parametrize("scaling", [None, pytest.param("none", marks=pytest.mark.slow)])
def test_examples_are_plotted_as_png(shape: tuple[int, ...], scaling: str | None, rng: np.random.Generator) -> None:
    raw = dataset(rng.integers(0, 256, shape).astype(np.uint8))
    assert plot_examples(raw, scaling).startswith(b"\x89PNG")
