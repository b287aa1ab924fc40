"""Shared fixtures: oracle models with closed forms, small data and small runs."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.documents import ROOT, write_files
from tests.helpers.oracles import LinearGaussian
from tests.helpers.runs import start_run
from tests.helpers.worker import Worker
from tfp_vae import plots
from tfp_vae.data.dataset import Dataset
from tfp_vae.plots import canvas
from tfp_vae.plots.canvas import Figure
from tfp_vae.runs.frames import Film
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.recipe import reload
from tfp_vae.runs.results import AnnealingPlan, Assessment, Plan, assess
from tfp_vae.runs.run import Run
from tfp_vae.runs.train import train

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let each process of `pytest -n` run neighbouring tests, because they share fixtures that train models."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


def pytest_collection_finish() -> None:
    """Exempt TensorFlow and the collected tests from garbage collection, because they live until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with MNIST and static binarized MNIST."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the data sets under {SHARED_DATA} are not here")
    return SHARED_DATA


@pytest.fixture(scope="session")
def linear() -> LinearGaussian:
    """A linear-Gaussian model in float64."""
    return LinearGaussian("float64")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small finished run with one checkpoint, on slow machines too. Do not write to it."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfp_vae.runs.train.SAVE_SECONDS", 3_600.0)
        assert train(*start_run(folder))
    return folder


@pytest.fixture(scope="session")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same run with animation frames. Copy it before you change it."""
    folder = tmp_path_factory.mktemp("runs") / "filmed"
    run, dataset = start_run(folder)
    assert train(run, dataset, callbacks=[Film(run, dataset)])
    return folder


@pytest.fixture(scope="session")
def restored(trained: Path) -> LoadedRun:
    """The small finished run, restored."""
    return LoadedRun(Run.open(trained))


@pytest.fixture(scope="session")
def digits(trained: Path) -> Dataset:
    """The digits as the small run sees them."""
    return reload(Run.open(trained).config())


@pytest.fixture(scope="session")
def assessment(restored: LoadedRun, digits: Dataset) -> Assessment:
    """The evaluation of the small run on 60 of its test examples, with annealing."""
    annealing = AnnealingPlan(steps=4, chains=3, examples=20)
    return assess(restored, digits, Plan((1, 7, 200), max_examples=60, execution="graph", annealing=annealing))


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """A process that forks processes in which TensorFlow is already imported."""
    with Worker() as process:
        yield process


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder with the files of the page on extensions. Their modules are forgotten afterwards."""
    write_files(ROOT / "docs" / "extending.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment without this program's variables."""
    for name in ("TFP_VAE_RUN", "TFP_VAE_RUNS_DIR", "TFP_VAE_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that commands write as PNG files, in order."""
    written: list[Figure] = []

    def png(figure: Figure, about: str = "") -> bytes:
        written.append(figure)
        return canvas.png(figure, about)

    monkeypatch.setattr(plots, "png", png)
    return written


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Run:
    """A copy of the small finished run that a test may change."""
    shutil.copytree(trained, tmp_path / "copy")
    return Run(tmp_path / "copy")
