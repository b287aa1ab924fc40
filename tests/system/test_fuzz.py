"""Whatever the input, a loader returns a valid result or raises one clear error, and its memory is bounded.

`LOADERS` defines each loader: how to call it on a file, a good file to damage, and the errors that it may raise.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfp_vae.cli.main import main

from tests.helpers import memory
from tests.helpers.files import GOOD, encoded, idx, npy, npz
from tests.helpers.tables import TABLE
from tfp_vae.core import files as storage
from tfp_vae.core.errors import DataError, RunError, TfpVaeError, UsageError
from tfp_vae.core.registry import Table
from tfp_vae.data.readers import arrays as files
from tfp_vae.data.readers.images import read_folder
from tfp_vae.data.readers.tables import read_csv
from tfp_vae.runs import run as runs
from tfp_vae.runs.config import TABLES
from tfp_vae.runs.folder import checkpoint as checkpoints
from tfp_vae.runs.folder import epochs
from tfp_vae.runs.folder.checkpoint import Checkpoint
from tfp_vae.runs.run import Run

FAST, SLOW = 20, 1_200
"""Inputs for each loader in the fast and in the slow tests."""

MOST_MEMORY = 50_000_000
"""The maximum memory of a loader in bytes. Every input file has fewer than a thousand."""


class Loader(NamedTuple):
    """How to load a file, the content of a good one, and the errors for bad ones."""

    load: Callable[[Path], object]
    good: bytes
    refusals: type[TfpVaeError]
    name: str = "file"


LINE = {
    "epoch": 1, "step": 12, "elbo": -27.5, "distortion": 27.0, "rate": 0.5, "validation_elbo": -27.25,
    "validation_distortion": 26.75, "validation_rate": 0.5, "validation_bound": -27.25,
    "learning_rate": 1e-3, "seconds": 0.25,
}  # fmt: skip
STATUS = {"state": "failed", "reason": "the loss was not finite", "step": 12, "epochs": 1}
CONFIG = {
    "version": 1,
    "data": {
        "dataset": "digits", "data_dir": None, "event_shape": [8, 8, 1], "split_rule": "seeded",
        "splits": {"train": 1437, "validation": 180, "test": 180}, "fingerprint": "0123456789abcdef",
        "binarization": {"name": "dynamic"},
    },
    "model": {"latent_dim": 2, "encoder": {"name": "mlp", "hidden": [8]}},
    "training": {"epochs": 2, "objective": {"name": "elbo", "mc_samples": 1}},
}  # fmt: skip


def of_run(read: Callable[[Run], object]) -> Callable[[Path], object]:
    return lambda path: read(Run(path.parent))


def text(value: dict[str, object]) -> bytes:
    return storage.json_text(storage.seal(value), indent=2).encode()


def checkpoint(folder: Path) -> bytes:
    variables = {"encoder/000/kernel": np.ones((2, 3), np.float32), "optimizer/000": np.array(7)}
    storage.write_arrays(folder / "x", Checkpoint(12, np.zeros(3), variables, 0.5, [LINE]).to_arrays())
    return (folder / "x").read_bytes()


def toml(path: Path) -> object:
    """Read the options of a training from a file. Its data set does not exist, so nothing is trained."""
    result = CliRunner().invoke(main, ["train", "--dataset", "none", "--config", str(path)])
    if result.exit_code == 2 and "Traceback" not in result.output:
        raise UsageError(result.stderr.strip().splitlines()[-1])
    raise AssertionError(result.output) from result.exception


def image(name: str) -> Callable[[Path], object]:
    """Read a folder that contains the file as its only image."""

    def read(path: Path) -> object:
        (path.parent / "folder").mkdir(exist_ok=True)
        shutil.copy(path, path.parent / "folder" / name)
        return {split: found.x for split, found in read_folder(path.parent / "folder").items()}

    return read


LOADERS: dict[str, Loader] = {
    "idx": Loader(files.read_idx, idx(GOOD), DataError),
    "amat": Loader(files.read_amat, b"0 1 1\n1 0 0\n", DataError),
    "npy": Loader(files.read_npy, npy(GOOD), DataError),
    "npz": Loader(files.read_npz, npz(x=GOOD, y=GOOD[:, 0, 0]), DataError),
    "csv": Loader(read_csv, b"a,b,c\n1,2,3\n4,,NA\n", DataError),
    "png": Loader(image("a.png"), encoded(GOOD[0]), DataError),
    "jpeg": Loader(image("a.jpg"), encoded(GOOD[0], "jpeg"), DataError),
    "webp": Loader(image("a.webp"), encoded(GOOD[0], "webp", lossless=True), DataError),
    "tiff": Loader(image("a.tif"), encoded(GOOD[0], "tiff"), DataError),
    "csv.gz": Loader(read_csv, gzip.compress(b"a,b,c\n1,2,3\n4,,NA\n"), DataError),
    "checkpoint": Loader(checkpoints.read, b"", DataError),
    "config": Loader(of_run(Run.config), text(CONFIG), RunError, runs.CONFIG),
    "metrics": Loader(of_run(Run.metrics), epochs.text([LINE]).encode(), RunError, runs.METRICS),
    "state": Loader(of_run(Run.status), text(STATUS), RunError, runs.STATE),
    "toml": Loader(toml, b'latent-dim = 3\nhidden = [8, 8]\nlr_schedule = "cosine"\n', UsageError),
}


def spoiled(content: bytes) -> st.SearchStrategy[bytes]:
    """Yield random bytes, and copies of `content` that are cut, have changed bytes or contain a piece twice."""
    changes = st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=6)
    cuts = st.tuples(st.integers(0, len(content)), st.integers(0, len(content)))

    def changed(spots: list[tuple[int, int]]) -> bytes:
        spoilt = bytearray(content)
        for place, byte in spots:
            spoilt[place] = byte
        return bytes(spoilt)

    return (
        st.binary(max_size=300)
        | st.integers(0, len(content)).map(lambda n: content[:n])
        | changes.map(changed)
        | cuts.map(lambda cut: content[: cut[0]] + content[cut[1] :])
    )


def resealed(value: dict[str, object]) -> st.SearchStrategy[bytes]:
    """Yield JSON objects that differ from `value` in one entry, with a valid checksum."""
    odd = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=9)
    )
    entries = [(keys, key) for keys, key in walk(value)]

    def replaced(place: tuple[tuple[str, ...], str], new: object) -> bytes:
        changed = json.loads(json.dumps(value))
        inner = changed
        for key in place[0]:
            inner = inner[key]
        inner[place[1]] = new
        return text(changed)

    return st.builds(replaced, st.sampled_from(entries), odd | st.lists(odd, max_size=3))


def walk(value: dict[str, object], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    below = [found for key, item in value.items() if isinstance(item, dict) for found in walk(item, (*above, key))]
    return [*((above, key) for key in value), *below]


INPUTS: dict[str, Callable[[bytes], st.SearchStrategy[bytes]]] = {
    "config": lambda good: spoiled(good) | resealed(CONFIG),
    "state": lambda good: spoiled(good) | resealed(STATUS),
}
"""Loaders that receive more than damaged copies of a good file."""


def feed(name: str, inputs: int, folder: Path) -> None:
    """Check that a loader returns or raises one clear error for many inputs, and uses little memory."""
    loader = LOADERS[name]
    good = loader.good or checkpoint(folder)
    path = folder / loader.name

    @settings(
        max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
    )
    @given(content=INPUTS.get(name, spoiled)(good))
    def run(content: bytes) -> None:
        path.write_bytes(content)
        try:
            with memory.at_most(MOST_MEMORY):
                found = loader.load(path)
        except loader.refusals as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 800
        else:
            arrays = found.values() if isinstance(found, dict) else [found]
            assert all(array.dtype.kind != "O" for array in arrays if isinstance(array, np.ndarray))

    run()


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_loaders_return_a_result_or_a_clear_error(name: str, tmp_path: Path) -> None:
    feed(name, FAST, tmp_path)


def test_a_png_that_claims_two_gigabytes_gets_no_memory(tmp_path: Path) -> None:
    good = LOADERS["png"].good
    length = good.index(b"IDAT") - 4
    (tmp_path / "a").write_bytes(good[:length] + bytes([0x7F, 0xFF, 0xFF, 0xFF]) + good[length + 4 :])
    with memory.at_most(2_000_000), contextlib.suppress(DataError):
        assert LOADERS["png"].load(tmp_path / "a")


@pytest.mark.slow
@pytest.mark.parametrize("name", LOADERS)
def test_loaders_survive_thousands_of_inputs(name: str, tmp_path: Path) -> None:
    assert SLOW * len(LOADERS) >= 10_000
    feed(name, SLOW, tmp_path)


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_reads_a_good_file(name: str, tmp_path: Path) -> None:
    loader = LOADERS[name]
    (tmp_path / loader.name).write_bytes(loader.good or checkpoint(tmp_path))
    if name == "toml":
        with pytest.raises(UsageError, match="unknown dataset 'none'"):
            loader.load(tmp_path / loader.name)
    else:
        assert loader.load(tmp_path / loader.name) is not None


NAMES = sorted({name for table in TABLES.values() for name in table})
MEMBERS = (
    st.text(max_size=40)
    | st.from_regex(r"wide:(hidden|rate|kind)=[0-9a-b,.=-]{0,12}", fullmatch=True)
    | st.builds(
        "{}:{}={}".format, st.sampled_from(NAMES), st.sampled_from(["hidden", "beta_1", "x"]), st.text(max_size=9)
    )
)


@pytest.mark.parametrize("table", [TABLE, *TABLES.values()], ids=lambda table: table.kind)
@settings(max_examples=FAST, deadline=None)
@given(written=MEMBERS)
def test_member_syntax_gives_a_member_or_a_clear_error(table: Table, written: str) -> None:
    assert_comes_back(table, written)


def assert_comes_back(table: Table, written: str) -> None:
    """Assert that a text raises a clear error, or gives a member that survives writing and reading."""
    try:
        member = table.member(written)
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert table.member(str(member)) == member


@pytest.mark.slow
@settings(max_examples=2 * SLOW, deadline=None)
@given(written=MEMBERS, table=st.sampled_from([TABLE, *TABLES.values()]))
def test_member_syntax_survives_thousands_of_inputs(written: str, table: Table) -> None:
    assert_comes_back(table, written)
