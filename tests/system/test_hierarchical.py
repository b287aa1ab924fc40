"""Runs with a z in layers: choices, refusals, resuming, evaluation and the other commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import GRAPH, answer, call, one_sentence
from tfp_vae.runs.config import implied_choices, read_settings
from tfp_vae.runs.run import Run

SMALL = ("--hidden", "16", *GRAPH, "--no-plots", "--steps-per-epoch", "3")
CHOSEN = ("--posterior", "top-down:layers=3,2,hidden=8")


def test_a_posterior_with_layers_chooses_prior_objective_and_size() -> None:
    _, model, training = read_settings({"posterior": "bottom-up:layers=5,2", "mc_samples": 2})
    assert (model.prior.name, model.latent_dim, training.objective.name) == ("hierarchical", 7, "monte-carlo-elbo")
    assert implied_choices({"posterior": "bottom-up", "objective": "iwae", "latent_dim": 6}) == {
        "prior": "hierarchical"
    }
    assert implied_choices({"posterior": "bottom-up"})["latent_dim"] == 24


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--posterior bottom-up --objective elbo", "Choose --objective monte-carlo-elbo"),
        ("--posterior bottom-up --objective gumbel-softmax", "needs a posterior over codes"),
        ("--posterior bottom-up --prior standard-normal", "Choose --prior hierarchical."),
        ("--posterior top-down --prior hierarchical:hidden=8", "in the posterior instead"),
        ("--prior hierarchical", "Choose --posterior bottom-up"),
        ("--posterior bottom-up:layers=3,4 --latent-dim 6", "the sum of the layers, 3 + 4 = 7, found 6"),
        ("--posterior bottom-up:layers=7", "at least two layers, found 7"),
    ],
)
def test_refuses_members_that_do_not_fit(options: str, message: str, tmp_path: Path) -> None:
    found = call("train", *options.split(), "--run-dir", tmp_path / "run", code=2)
    assert message in one_sentence(found)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with layers of 3 and 2 dimensions."""
    folder = tmp_path_factory.mktemp("layers") / "run"
    found = call("train", *CHOSEN, *SMALL, "--epochs", "2", "--run-dir", folder)
    assert "--prior is hierarchical, because z has layers." in found.stderr
    return folder


@pytest.mark.slow
def test_resuming_gives_the_same_weights_bit_for_bit(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    call("train", *CHOSEN, *SMALL, "--epochs", "1", "--run-dir", other)
    call("train", "--resume", "--run-dir", other, "--epochs", "2", "--no-plots")
    first, second = (Run(each).checkpoint().variables for each in (run, other))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.slow
def test_commands_evaluate_sample_encode_and_reconstruct(run: Path, tmp_path: Path) -> None:
    found = answer("evaluate", "--run", run, "--iw-samples", "50", "--max-examples", "40", *GRAPH)
    assert found["elbo"] <= found["log_likelihood"] + 0.1
    assert [layer["size"] for layer in found["layers"]] == [3, 2]
    assert abs(sum(layer["rate"] for layer in found["layers"]) - found["rate"]) < 0.3
    assert sum(layer["active_units"] for layer in found["layers"]) == found["active_units"]
    assert any("Rate and active units of the layers" in remark for remark in found["remarks"])
    call("sample", "--run", run, "--n", "4", "--out", tmp_path / "x.npy")
    assert np.load(tmp_path / "x.npy").shape == (4, 8, 8, 1)
    assert answer("encode", "--run", run, "--max-examples", "5", "--out", tmp_path / "z.npz")["latent_dim"] == 5
    assert np.load(tmp_path / "z.npz")["mean"].shape == (5, 5)
    call("reconstruct", "--run", run, "--max-examples", "3", "--out", tmp_path / "x.png")
    call("interpolate", "--run", run)
    call("plot", "traversals", "posterior-prior", "--run", run)
    assert "sees only the first" in one_sentence(call("plot", "manifold", "--run", run, code=2))
