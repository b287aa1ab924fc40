"""Runs with a semi-implicit posterior: refusals, resuming, evaluation and the other commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import GRAPH, answer, call, one_sentence, shows_something
from tfp_vae.runs.run import Run

CHOSEN = ("--posterior", "semi-implicit:hidden=8,context=4,components=5", "--objective", "monte-carlo-elbo")
SMALL = ("--hidden", "16", *GRAPH, "--no-plots", "--steps-per-epoch", "3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--posterior semi-implicit", "Choose --objective monte-carlo-elbo"),
        ("--posterior semi-implicit --objective iwae --prior vamp", "a vamp prior needs the density"),
        ("--posterior semi-implicit --objective total-correlation", "dimensions are independent Normals"),
    ],
)
def test_refuses_members_that_do_not_fit(options: str, message: str, tmp_path: Path) -> None:
    found = call("train", *options.split(), "--run-dir", tmp_path / "run", code=2)
    assert message in one_sentence(found)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_commands_resume_evaluate_sample_encode_and_plot(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    call("train", *CHOSEN, *SMALL, "--epochs", "2", "--run-dir", run)
    call("train", *CHOSEN, *SMALL, "--epochs", "1", "--run-dir", other)
    call("train", "--resume", "--run-dir", other, "--epochs", "2", "--no-plots")
    first, second = (Run(each).checkpoint().variables for each in (run, other))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    found = answer("evaluate", "--run", run, "--iw-samples", "50", "--max-examples", "40", *GRAPH)
    assert found["elbo"] <= found["log_likelihood"] + 0.1
    assert found["mutual_information"] is None
    assert "its own samples only" in found["mutual_information_reason"]
    call("sample", "--run", run, "--n", "4", "--out", tmp_path / "x.npy")
    call("encode", "--run", run, "--max-examples", "5", "--out", tmp_path / "z.npz")
    assert np.load(tmp_path / "z.npz")["mean"].shape == (5, 2)
    call("reconstruct", "--run", run, "--max-examples", "3", "--out", tmp_path / "x.png")
    call("plot", "posterior-prior", "--run", run)
    assert shows_something(run / "plots" / "posterior-prior.png")
