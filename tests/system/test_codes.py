"""Runs with a discrete z: choices, refusals, resuming, evaluation and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import GRAPH, answer, call, one_sentence, read_rows, shows_something
from tfp_vae.runs.config import implied_choices, read_settings
from tfp_vae.runs.run import Run

SMALL = ("--hidden", "16", "--latent-dim", "3", *GRAPH, "--no-plots", "--steps-per-epoch", "3")


def test_a_discrete_posterior_chooses_prior_and_objective() -> None:
    _, model, training = read_settings({"posterior": "categorical:codes=5", "mc_samples": 2})
    assert (model.prior.name, training.objective.name) == ("uniform", "gumbel-softmax")
    assert training.objective.settings["mc_samples"] == 2
    assert implied_choices({"posterior": "bernoulli", "prior": "learned"}) == {"objective": "gumbel-softmax"}
    assert implied_choices({"posterior": "real-nvp"}) == implied_choices({}) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--posterior bernoulli --objective elbo", "Choose --objective gumbel-softmax"),
        ("--posterior categorical --objective dreg", "needs samples with a gradient"),
        ("--posterior categorical --objective disarm", "--objective disarm needs a posterior over bits"),
        ("--posterior real-nvp --objective total-correlation", "needs a posterior whose dimensions are independent"),
        ("--posterior normal-mixture --objective dreg", "dreg cannot train --posterior normal-mixture"),
        ("--objective gumbel-softmax", "--objective gumbel-softmax needs a posterior over codes"),
        ("--posterior bernoulli --prior vamp", "--prior vamp is over real vectors"),
        ("--prior uniform", "--prior uniform is over codes"),
        ("--posterior categorical --prior autoregressive --free-bits 0.1", "Free bits need"),
    ],
)
def test_refuses_members_that_do_not_fit(options: str, message: str, tmp_path: Path) -> None:
    found = call("train", *options.split(), "--run-dir", tmp_path / "run", code=2)
    assert message in one_sentence(found)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with 3x4 codes and an autoregressive prior."""
    folder = tmp_path_factory.mktemp("codes") / "run"
    chosen = ("--posterior", "categorical:codes=4", "--prior", "autoregressive:hidden=8")
    found = call("train", *chosen, *SMALL, "--epochs", "2", "--run-dir", folder)
    assert "--objective is gumbel-softmax, because z is discrete." in found.stderr
    return folder


@pytest.mark.slow
def test_resuming_gives_the_same_weights_bit_for_bit(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    chosen = ("--posterior", "categorical:codes=4", "--prior", "autoregressive:hidden=8")
    call("train", *chosen, *SMALL, "--epochs", "1", "--run-dir", other)
    call("train", "--resume", "--run-dir", other, "--epochs", "2", "--no-plots")
    first, second = (Run(each).checkpoint().variables for each in (run, other))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


@pytest.mark.slow
def test_evaluation_reports_the_codes(run: Path) -> None:
    found = answer("evaluate", "--run", run, "--iw-samples", "50", "--max-examples", "40", *GRAPH)
    assert 0 < found["code_usage"] <= 1
    assert 1 <= found["code_perplexity"] <= 4
    assert not [remark for remark in found["remarks"] if "idle" in remark]  # codes that vary little count together
    assert found["active_units"] is None
    assert "discrete" in found["active_units_reason"]
    assert found["elbo"] <= found["log_likelihood"] + 0.1
    anomalies = answer("evaluate", "--run", run, "--anomalies", "label=1", "--iw-samples", "2", *GRAPH)
    assert anomalies["active_units"] is None
    assert anomalies["active_units_reason"] == found["active_units_reason"]
    error = one_sentence(call("evaluate", "--run", run, "--ais-steps", "5", "--max-examples", "4", *GRAPH, code=2))
    assert "needs a continuous z" in error


@pytest.mark.slow
def test_commands_sample_encode_reconstruct_and_refuse_paths(run: Path, tmp_path: Path) -> None:
    call("sample", "--run", run, "--n", "4", "--out", tmp_path / "x.npy")
    assert set(np.unique(np.load(tmp_path / "x.npy"))) <= {0.0, 1.0}
    assert answer("encode", "--run", run, "--max-examples", "5", "--out", tmp_path / "z.npz")["latent_dim"] == 3
    z = np.load(tmp_path / "z.npz")
    np.testing.assert_allclose(z["mean"].reshape(5, 3, 4).sum(axis=-1), 1, rtol=1e-5)
    assert (z["samples"].reshape(-1, 3, 4).sum(axis=-1) == 1).all()
    assert (z["codes"] == z["mean"].reshape(5, 3, 4).argmax(axis=-1)).all()
    call("encode", "--run", run, "--max-examples", "5", "--out", tmp_path / "z.csv")
    rows = read_rows(tmp_path / "z.csv")
    assert [[int(row[f"code_{d}"]) for d in (1, 2, 3)] for row in rows] == z["codes"].tolist()
    drawn = z["samples"].reshape(5, 3, 4).argmax(axis=-1).tolist()
    assert [[int(row[f"sample_1_{d}"]) for d in (1, 2, 3)] for row in rows] == drawn
    assert "mean_1" not in rows[0]
    call("reconstruct", "--run", run, "--max-examples", "3", "--out", tmp_path / "x.png")
    assert "no path between" in one_sentence(call("interpolate", "--run", run, code=2))


@pytest.mark.slow
def test_pictures_show_codes_and_leave_out_paths(run: Path) -> None:
    call("plot", "code-usage", "--run", run)
    assert shows_something(run / "plots" / "code-usage.png")
    for name in ("traversals", "gaps"):
        assert "z of this run is discrete" in one_sentence(call("plot", name, "--run", run, code=2))
