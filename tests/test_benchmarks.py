"""The benchmarks: what every peer is given, that a wrong loss is refused, and that ours computes the ELBO's loss."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import matplotlib.image
import numpy as np
import pytest

from benchmarks import document, peers
from benchmarks.__main__ import (
    ENVIRONMENTS,
    OURS,
    PEERS,
    WORKLOADS,
    Process,
    compared,
    measure,
    refuse_disagreement,
    shown,
)
from benchmarks.peers import ours
from benchmarks.problem import PIXELS, SCALE_FLOOR, Layers, Problem, Workload, as_dict, make, restore, save

SMALL = Workload("small", (8, 6), 3, 16, 4, 2)
CONVOLUTIONS = Workload("convolutions", (), 3, 16, 1, 2)
EVALUATION = Workload("evaluation", (8, 6), 3, 16, 50, 0)

LIBRARIES = {
    "jax_scan": ("jax", "optax"),
    "torch_eager": ("torch",),
    "torch_compiled": ("torch",),
    "keras_tutorial": ("tf_keras",),
    "keras3_fit": ("keras",),
    "keras3_jax": ("keras", "jax"),
    "numpyro_svi": ("numpyro", "jax"),
    "pythae_trainer": ("pythae", "torch"),
}
NO_EVALUATION = {"keras_tutorial", "keras3_fit", "keras3_jax"}
ONE_SAMPLE = {"pythae_trainer"}


def problem(workload: Workload) -> Problem:
    return make(workload, examples=64)


def binary(given: Problem) -> np.ndarray:
    grey = given.x[: given.workload.batch]
    return (np.random.default_rng(1).random(grey.shape) < grey).astype(np.float32)


def mlp(layers: Layers, h: np.ndarray) -> np.ndarray:
    for kernel, bias in layers[:-1]:
        h = np.maximum(h @ kernel + bias, 0)
    kernel, bias = layers[-1]
    return h @ kernel + bias


def negative_elbo(given: Problem, x: np.ndarray, noise: np.ndarray) -> float:
    """The loss of one draw of noise [S, B, D], in plain numpy."""
    loc, s = np.split(mlp(given.encoder, x), 2, axis=-1)
    scale = SCALE_FLOOR + np.logaddexp(0, s)
    logits = mlp(given.decoder, loc + scale * noise)
    log_px = np.sum(x * logits - np.logaddexp(0, logits), axis=-1)
    rate = np.sum((loc**2 + scale**2 - 1) / 2 - np.log(scale), axis=-1)
    return float(np.mean(rate - log_px.mean(axis=0)))


def said(losses: Any, estimates: Any = (), peer: str = "other") -> Process:
    """A peer, as the harness knows it, that said this."""
    check = {"losses": list(losses), "estimates": list(estimates)}
    return SimpleNamespace(peer=peer, check=check)  # type: ignore[return-value]


@pytest.mark.parametrize("workload", [SMALL, CONVOLUTIONS], ids=lambda w: w.name)
def test_a_problem_comes_back_as_it_was_saved(tmp_path: Path, workload: Workload) -> None:
    given = problem(workload)
    save(given, tmp_path / "problem.npz")
    found = restore(json.loads(json.dumps(as_dict(workload))), tmp_path / "problem.npz")
    assert found.workload == workload
    np.testing.assert_array_equal(found.x, given.x)
    for part in ("encoder", "decoder"):
        for mine, theirs in zip(getattr(given, part), getattr(found, part), strict=True):
            np.testing.assert_array_equal(mine[0], theirs[0])
            np.testing.assert_array_equal(mine[1], theirs[1])


def test_problems_are_equal_for_a_seed_and_differ_between_seeds() -> None:
    first, again, other = (make(SMALL, 8, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)
    assert not np.array_equal(first.encoder[0][0], other.encoder[0][0])


@pytest.mark.parametrize("workload", [SMALL, CONVOLUTIONS], ids=lambda w: w.name)
def test_images_are_grey_and_each_bias_fits_its_layer(workload: Workload) -> None:
    given = problem(workload)
    assert given.x.shape == (64, PIXELS)
    assert given.x.min() >= 0
    assert given.x.max() <= 1
    assert given.encoder[-1][1].shape == (2 * workload.latent_dim,)
    assert [bias.size for _, bias in given.decoder][-1] in {1, PIXELS}
    assert all(kernel.dtype == bias.dtype == np.float32 for kernel, bias in (*given.encoder, *given.decoder))


def test_operations_counted_by_hand() -> None:
    encoder, decoder = 784 * 8 + 8 * 6 + 6 * 6, 3 * 6 + 6 * 8 + 8 * 784
    assert SMALL.products() == (encoder, decoder)
    # forward; to weights; to inputs, without those of the first layer: S = 4 decoders, B = 16, two operations a product
    assert SMALL.flops() == 2 * 16 * (3 * (encoder + 4 * decoder) - 784 * 8)
    assert EVALUATION.flops() == 2 * 16 * (encoder + 50 * decoder)


def test_convolutions_are_not_counted() -> None:
    with pytest.raises(AssertionError, match="dense layers only"):
        CONVOLUTIONS.flops()


def test_our_loss_is_the_negative_elbo() -> None:
    given = problem(SMALL)
    x, peer, draw = binary(given), ours.Peer(given), np.random.default_rng(0)
    losses = [peer.loss(x) for _ in range(50)]
    oracle = [negative_elbo(given, x, draw.standard_normal((4, 16, 3))) for _ in range(200)]
    error = np.hypot(np.std(losses) / np.sqrt(50), np.std(oracle) / np.sqrt(200))
    assert abs(np.mean(losses) - np.mean(oracle)) < 5 * error
    assert 5 * error < 1  # a rate or a pixel left out would show


def test_our_training_and_evaluation_do_their_work() -> None:
    peer = ours.Peer(problem(SMALL))
    x = binary(problem(SMALL))
    before = np.mean([peer.loss(x) for _ in range(5)])
    peer.train(30)
    after = np.mean([peer.loss(x) for _ in range(5)])
    assert after < before
    estimate = np.asarray(ours.Peer(problem(EVALUATION)).evaluate(x, 50))
    assert estimate.shape == (16,)
    assert np.all(estimate < 0)


def test_a_wrong_loss_or_estimate_is_refused() -> None:
    losses = np.random.default_rng(0).normal(550, 0.1, 20)
    mine = said(losses, -losses, OURS)
    refuse_disagreement([mine, said(losses[::-1], -losses + 0.05)])
    with pytest.raises(click.ClickException, match=r"other computes other losses.* found 1\.0000"):
        refuse_disagreement([mine, said(losses + 1, -losses)])
    with pytest.raises(click.ClickException, match=r"other computes other estimates.* found 2\.0000"):
        refuse_disagreement([mine, said(losses, -losses - 2)])


def test_what_is_allowed_grows_with_the_standard_error() -> None:
    draws = np.array([-1.0, 1.0] * 8)  # standard deviation sqrt(16 / 15), so a standard error of 1 / sqrt(15)
    difference, allowed = compared(list(draws), list(draws + 3))
    assert difference == pytest.approx(3)
    assert allowed == pytest.approx(5 * np.sqrt(2 / 15))


def test_every_module_of_the_peers_is_in_their_table() -> None:
    modules = {module.name for module in pkgutil.iter_modules(peers.__path__)}
    assert modules == set(PEERS)
    assert PEERS[0] == OURS
    assert len(set(PEERS)) == len(PEERS)
    assert set(ENVIRONMENTS) <= modules
    assert set(LIBRARIES) == modules - {OURS}


def test_names_of_workloads_are_unique() -> None:
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


def rendered(found: dict[str, Any]) -> list[list[str]]:
    table = shown(found)
    return [list(cells) for cells in zip(*(column.cells for column in table.columns), strict=True)]  # type: ignore[arg-type]


def test_a_peer_that_cannot_do_a_workload_is_shown_as_a_dash() -> None:
    found = {
        "workload": as_dict(SMALL),
        "seconds": {OURS: [0.1, 0.2, 0.4], "twice": [0.2, 0.4, 0.8]},  # quartiles
        "ratios": {OURS: [1.0, 1.0, 1.0], "twice": [1.9, 2.0, 2.1]},
        "first": {OURS: 1.0, "twice": 2.0, "unable": None},
    }
    mine, twice, unable = rendered(found)
    assert mine[:2] == [OURS, "100.00"]  # 0.2 s of two steps
    assert (twice[0], twice[1], twice[3]) == ("twice", "200.00", "2.00")
    assert unable == ["unable", *"-----"]


def test_help_needs_no_peer() -> None:
    found = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], capture_output=True, text=True, check=True)
    assert "--peers" in found.stdout


def compared_with(peer: str, workload: Workload) -> dict[str, Any]:
    """Return what is measured beside a peer; one that computes something else ends it."""
    for library in LIBRARIES[peer]:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    return measure(workload, (OURS, peer), 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "workload", [SMALL, replace(SMALL, samples=1), CONVOLUTIONS], ids=lambda w: f"{w.name} S{w.samples}"
)
@pytest.mark.parametrize("peer", LIBRARIES)
def test_peers_train_on_the_same_loss(peer: str, workload: Workload) -> None:
    found = compared_with(peer, workload)
    assert (peer in found["ratios"]) == (workload.samples == 1 or peer not in ONE_SAMPLE)
    assert all(len(values) == 3 and min(values) > 0 for values in found["seconds"].values())


@pytest.mark.slow
@pytest.mark.parametrize("peer", LIBRARIES)
def test_peers_estimate_the_same_evidence(peer: str) -> None:
    found = compared_with(peer, replace(EVALUATION, latent_dim=1, samples=2_000))
    assert (peer in found["ratios"]) == (peer not in NO_EVALUATION)


def test_the_document_has_a_row_for_each_workload_and_the_picture_opens(tmp_path: Path) -> None:
    found = {
        "workload": as_dict(SMALL),
        "seconds": {OURS: [0.1, 0.2, 0.4], "twice": [0.2, 0.4, 0.8]},
        "ratios": {OURS: [1.0, 1.0, 1.0], "twice": [1.9, 2.0, 2.1]},
    }
    costs = [{"what": "--help", "seconds": 0.25, "bytes": 4e7}]
    described = {"processor": "one", "cores": 2, "python": "3", "packages": {"tensorflow": "2"}}
    measured = {"found": [found], "rate": 1e12, "commands": costs, "machine": described}
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    page.write_text(f"before\n{document.BEGIN}old\n{document.END}after\n")
    document.write(measured, page, picture)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert f"| {SMALL.name} | 100.00 | **2.00** (1.90 to 2.10) |" in text
    share = 100 * SMALL.flops() * SMALL.steps / 0.2 / 1e12
    assert f"| {share:.0f}% |" in text
    assert "| --help | 0.25 | 0.04 |" in text
    assert matplotlib.image.imread(picture).std() > 0.01
