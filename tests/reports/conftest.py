"""Trained runs that the tests of reports share. Tests copy a run before they change it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import call
from tests.helpers.people import people, write_people
from tests.helpers.runs import train_run_data
from tfp_vae import reports
from tfp_vae.data.dataset import Dataset
from tfp_vae.runs.load import LoadedRun
from tfp_vae.runs.run import Run

EAGER = {"execution": "eager"}
"""Settings of trainings of a few steps, for which tracing a graph would take longer."""


@pytest.fixture(scope="session")
def flat(filmed: Path, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> reports.RunData:
    """A run on the digits in two dimensions, with all its pictures and an evaluation."""
    folder = tmp_path_factory.mktemp("reports") / "flat"
    shutil.copytree(filmed, folder)
    run_data = reports.RunData(LoadedRun(Run(folder)), digits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfp_vae.plots.canvas.DPI", 80)  # because large pictures take long to draw and to compare
        reports.draw_run(run_data)
    call("evaluate", "--run", folder, "--iw-samples", "20", "--execution", "graph")
    return run_data


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> reports.RunData:
    """A run on the digits in three dimensions."""
    return train_run_data(tmp_path_factory.mktemp("reports") / "deep", "digits", EAGER, latent_dim=3)


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> reports.RunData:
    """A run on vectors without classes."""
    folder = tmp_path_factory.mktemp("vectors")
    np.savez(folder / "vectors.npz", x=np.random.default_rng(0).normal(size=(60, 5)))
    return train_run_data(folder / "run", str(folder / "vectors.npz"), EAGER, likelihood="normal")


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> reports.RunData:
    """A run on a mixed table with missing cells."""
    folder = tmp_path_factory.mktemp("mixed")
    path = write_people(folder / "people.csv", people(120))
    return train_run_data(folder / "run", str(path), EAGER, likelihood="columns")


@pytest.fixture
def evaluated(flat: reports.RunData, tmp_path: Path) -> Run:
    """A copy of the run on the digits in two dimensions, with its pictures and its evaluation."""
    shutil.copytree(flat.run.folder, tmp_path / "evaluated")
    return Run(tmp_path / "evaluated")
