"""The benchmarks: their problems, their checks of peers, and the loss of this library."""

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
from click.testing import CliRunner

from benchmarks import document, growth, peers, profile, start
from benchmarks.__main__ import main, ratio_table
from benchmarks.commands import Usage, run_command
from benchmarks.harness import (
    ENVIRONMENTS,
    OURS,
    PEERS,
    ROUNDING,
    STRONG,
    Process,
    compare_means,
    measure,
    refuse_disagreement,
)
from benchmarks.harness import start as start_peer
from benchmarks.peers import ours
from benchmarks.problem import (
    CONTEXT,
    FLOW_WIDTH,
    PIXELS,
    SCALE_FLOOR,
    Layers,
    Problem,
    Workload,
    as_dict,
    make,
    masks,
    restore,
    save,
    tiles,
)
from benchmarks.workloads import AXES, QUICK, WORKLOADS, Axis

SMALL = Workload("small", (8, 6), 3, 16, 4, 2)
CONVOLUTIONS = Workload("convolutions", (), 3, 16, 1, 2)
FLOW = replace(SMALL, name="flow", flow=2)
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
NO_FLOW = {*NO_EVALUATION, *ONE_SAMPLE, "numpyro_svi"}


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
    """Return the loss for one draw of noise [S, B, D], in plain NumPy."""
    loc, s = np.split(mlp(given.encoder, x), 2, axis=-1)
    scale = SCALE_FLOOR + np.logaddexp(0, s)
    logits = mlp(given.decoder, loc + scale * noise)
    log_px = np.sum(x * logits - np.logaddexp(0, logits), axis=-1)
    rate = np.sum((loc**2 + scale**2 - 1) / 2 - np.log(scale), axis=-1)
    return float(np.mean(rate - log_px.mean(axis=0)))


def process(losses: Any, estimates: Any = (), peer: str = "other", trained: Any = (), given: float = -550) -> Process:
    """Return a peer with these answers, as the harness expects it."""
    check = {"losses": list(losses), "estimates": list(estimates), "trained": list(trained), "given": [given]}
    return SimpleNamespace(peer=peer, check=check)  # type: ignore[return-value]


@pytest.mark.parametrize("workload", [SMALL, CONVOLUTIONS, FLOW], ids=lambda w: w.name)
def test_a_problem_survives_saving_and_restoring(tmp_path: Path, workload: Workload) -> None:
    given = problem(workload)
    save(given, tmp_path / "problem.npz")
    found = restore(json.loads(json.dumps(as_dict(workload))), tmp_path / "problem.npz")
    assert found.workload == workload
    np.testing.assert_array_equal(found.x, given.x)
    for part in ("encoder", "decoder"):
        for mine, theirs in zip(getattr(given, part), getattr(found, part), strict=True):
            np.testing.assert_array_equal(mine[0], theirs[0])
            np.testing.assert_array_equal(mine[1], theirs[1])
    flat, read = ([array for network in one.flow for layer in network for array in layer] for one in (given, found))
    assert len(flat) == 9 * workload.flow
    for mine, theirs in zip(flat, read, strict=True):
        np.testing.assert_array_equal(mine, theirs)


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


def test_operations_agree_with_a_count_by_hand() -> None:
    encoder, decoder = 784 * 8 + 8 * 6 + 6 * 6, 3 * 6 + 6 * 8 + 8 * 784
    assert SMALL.products() == (encoder, decoder)
    # forward, weights, and inputs except for the first layer: S = 4 decoders, B = 16, two operations per product
    assert SMALL.flops() == 2 * 16 * (3 * (encoder + 4 * decoder) - 784 * 8)
    assert EVALUATION.flops() == 2 * 16 * (encoder + 50 * decoder)


def test_operations_of_a_flow_agree_with_a_count_by_hand() -> None:
    columns = FLOW_WIDTH + FLOW_WIDTH + 6
    encoder, decoder = SMALL.products()
    example = encoder + 6 * CONTEXT + 2 * CONTEXT * columns  # the context, and its use by two networks
    sample = decoder + 2 * (3 * FLOW_WIDTH + FLOW_WIDTH * FLOW_WIDTH + FLOW_WIDTH * 6)
    assert FLOW.products() == (example, sample)


def test_masked_outputs_see_only_earlier_dimensions() -> None:
    first, second, last = (mask.astype(int) for mask in masks(5))
    paths = (first @ second @ last).reshape(5, 5, 2)
    for kind in range(2):
        np.testing.assert_array_equal(paths[..., kind] > 0, np.triu(np.ones([5, 5]), 1) > 0)


def test_convolutions_have_no_operation_count() -> None:
    with pytest.raises(AssertionError, match="dense layers only"):
        CONVOLUTIONS.flops()


@pytest.mark.slow
def test_our_loss_is_the_negative_elbo() -> None:
    given = problem(SMALL)
    x, peer, draw = binary(given), ours.Peer(given), np.random.default_rng(0)
    losses = [peer.loss(x) for _ in range(50)]
    oracle = [negative_elbo(given, x, draw.standard_normal((4, 16, 3))) for _ in range(200)]
    error = np.hypot(np.std(losses) / np.sqrt(50), np.std(oracle) / np.sqrt(200))
    assert abs(np.mean(losses) - np.mean(oracle)) < 5 * error
    assert 5 * error < 1  # a missing rate or pixel would change it


def masked_network(network: Any, z: np.ndarray, context: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shift and log-scale of one layer of a flow, in plain NumPy."""
    for i, ((kernel, bias, wide), mask) in enumerate(zip(network, masks(z.shape[-1]), strict=True)):
        z = z @ (kernel * mask) + bias + context @ wide
        z = np.where(z > 0, z, np.expm1(np.minimum(z, 0))) if i < 2 else z
    return z[..., 0::2], 2 * np.tanh(z[..., 1::2] / 2)


@pytest.mark.slow
def test_our_loss_under_a_flow_is_the_negative_elbo() -> None:
    given = problem(FLOW)
    x, peer = binary(given), ours.Peer(given)
    loc, s, context = np.split(mlp(given.encoder, x), [3, 6], axis=-1)
    noise = np.random.default_rng(0).standard_normal((2_000, 16, 3))
    scale = SCALE_FLOOR + np.logaddexp(0, s)
    z, log_ratio = loc + scale * noise, -np.log(scale).sum(axis=-1) - (noise**2).sum(axis=-1) / 2
    for t, network in enumerate(given.flow):
        z = z[..., ::-1] if t else z
        shift, a = masked_network(network, z, context)
        z, log_ratio = (z - shift) * np.exp(-a), log_ratio + a.sum(axis=-1)
    logits = mlp(given.decoder, z)
    log_px = np.sum(x * logits - np.logaddexp(0, logits), axis=-1)
    oracle = log_ratio + (z**2).sum(axis=-1) / 2 - log_px
    losses = [peer.loss(x) for _ in range(50)]
    error = np.hypot(np.std(losses) / np.sqrt(50), oracle.mean(axis=1).std() / np.sqrt(2_000))
    assert abs(np.mean(losses) - oracle.mean()) < 5 * error
    assert 5 * error < 1  # a missing layer would change it


@pytest.mark.slow
def test_our_training_and_evaluation_run() -> None:
    peer = ours.Peer(problem(SMALL))
    x = binary(problem(SMALL))
    before = np.mean([peer.loss(x) for _ in range(5)])
    peer.train(30)
    after = np.mean([peer.loss(x) for _ in range(5)])
    assert after < before
    estimate = np.asarray(ours.Peer(problem(EVALUATION)).evaluate(x, 50))
    assert estimate.shape == (16,)
    assert np.all(estimate < 0)


def test_our_estimate_from_given_noise_agrees_with_numpy() -> None:
    given = problem(EVALUATION)
    x, noise = binary(given), np.random.default_rng(3).standard_normal((50, 16, 3), np.float32)
    loc, s = np.split(mlp(given.encoder, x).astype(np.float64), 2, axis=-1)
    scale = SCALE_FLOOR + np.logaddexp(0, s)
    z, log_q = loc + scale * noise, -(noise**2 / 2 + np.log(scale)).sum(axis=-1)
    logits = mlp(given.decoder, z)
    log_w = np.sum(x * logits - np.logaddexp(0, logits), axis=-1) - (z**2).sum(axis=-1) / 2 - log_q
    oracle = np.log(np.mean(np.exp(log_w - log_w.max(axis=0)), axis=0)) + log_w.max(axis=0)
    np.testing.assert_allclose(ours.Peer(given).evaluate_on(x, noise), oracle, atol=ROUNDING / 2)


def test_refuses_a_wrong_loss_or_estimate() -> None:
    losses = np.random.default_rng(0).normal(550, 0.1, 20)
    mine = process(losses, -losses, OURS)
    refuse_disagreement([mine, process(losses[::-1], -losses + 0.05)])
    with pytest.raises(click.ClickException, match=r"other computes other losses.* found 1\.0000"):
        refuse_disagreement([mine, process(losses + 1, -losses)])
    with pytest.raises(click.ClickException, match=r"other computes other estimates.* found 2\.0000"):
        refuse_disagreement([mine, process(losses, -losses - 2)])
    refuse_disagreement([mine, process(losses, -losses, given=-550.0009)])
    for others in ([-550.0011], [np.nan], [], [-550.0, -550.0]):
        other = process(losses, -losses)
        other.check["given"] = others
        with pytest.raises(click.ClickException, match=r"computes other estimates from given noise.* at most 0\.0010"):
            refuse_disagreement([mine, other])


@pytest.mark.parametrize("wrong", [np.full(20, np.nan), (), np.full(10, 550.0)], ids=["nan", "none", "fewer"])
def test_refuses_missing_or_non_finite_draws(wrong: Any) -> None:
    losses = np.random.default_rng(0).normal(550, 0.1, 20)
    mine = process(losses, -losses, OURS)
    for other in (process(wrong, -losses), process(losses, wrong)):
        with pytest.raises(click.ClickException, match="computes other"):
            refuse_disagreement([mine, other])


def test_refuses_a_peer_that_makes_less_progress() -> None:
    draws = np.random.default_rng(0).normal(0, 0.1, 20)
    mine = process(550 + draws, peer=OURS, trained=300 + draws)
    refuse_disagreement([mine, process(550 - draws, trained=320 - draws)])
    with pytest.raises(click.ClickException, match=r"other computes other trained"):
        refuse_disagreement([mine, process(550 - draws, trained=330 - draws)])


def test_refuses_samples_that_fill_no_tile() -> None:
    assert [tiles(samples) for samples in (1, 100, 5_000)] == [1, 1, 50]
    with pytest.raises(ValueError, match="multiple of 100"):
        tiles(150)


def test_tolerance_grows_with_the_standard_error() -> None:
    draws = np.array([-1.0, 1.0] * 8)  # standard deviation sqrt(16 / 15), so a standard error of 1 / sqrt(15)
    difference, allowed = compare_means(list(draws), list(draws + 3))
    assert difference == pytest.approx(3)
    assert allowed == pytest.approx(5 * np.sqrt(2 / 15))


def test_every_module_of_the_peers_is_in_their_table() -> None:
    modules = {module.name for module in pkgutil.iter_modules(peers.__path__)}
    assert modules == set(PEERS)
    assert PEERS[0] == OURS
    assert len(set(PEERS)) == len(PEERS)
    assert set(ENVIRONMENTS) <= modules
    assert set(LIBRARIES) == modules - {OURS}


def test_workloads_have_names_and_sizes() -> None:
    names = {workload.name for workload in WORKLOADS}
    assert len(names) == len(WORKLOADS)
    assert set(QUICK) <= names
    assert set(STRONG) <= set(PEERS)
    for axis in AXES:
        values = [axis.value(workload) for workload in axis.workloads]
        assert values == sorted(set(values))


def test_line_and_its_largest_deviation() -> None:
    exact = growth.line([1, 2, 50], [0.5, 0.7, 10.3])
    assert exact["slope"] == pytest.approx(0.2)
    assert exact["intercept"] == pytest.approx(0.3)
    assert exact["off"] == pytest.approx(0, abs=1e-9)
    assert growth.line([1, 2, 3], [1.0, 2.0, 4.0])["off"] > 0.05


def trace(*events: tuple[str, float]) -> Any:
    """Return a trace of TensorFlow's profiler with these events, in milliseconds."""
    names = {i: SimpleNamespace(name=name) for i, (name, _) in enumerate(events)}
    seen = [SimpleNamespace(metadata_id=i, duration_ps=int(1e9 * ms)) for i, (_, ms) in enumerate(events)]
    line = SimpleNamespace(events=seen)
    return SimpleNamespace(planes=[SimpleNamespace(event_metadata=names, lines=[line])])


def test_kernels_of_a_trace_are_summed_without_the_operations_that_contain_them() -> None:
    graph = "while/body/_1/up_0/conv2d_transpose:_MklNativeConv2DBackpropInput"
    around = ["while.7", "call.3", "EagerExecute", "__inference_known_2:__inference_known_2", "ThunkExecutor::Execute"]
    space = trace(("a_fusion.2", 1), ("MatMul.9", 6), ("a_fusion.2", 3), (graph, 5), *((name, 99) for name in around))
    found = profile.kernels(space, 2)
    assert [(kernel.name, kernel.calls) for kernel in found] == [("MatMul.9", 0.5), (graph, 0.5), ("a_fusion.2", 1)]
    assert [kernel.seconds for kernel in found] == pytest.approx([0.003, 0.0025, 0.002])
    assert document.split([kernel._asdict() for kernel in found]) == pytest.approx((0.0055, 0.002))


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("MatMul.90", True),
        ("MatMul_1.35", True),
        ("dot.3", True),
        ("convolution.3", True),
        ("while/body/_1/up_0/conv2d_transpose:_MklNativeConv2DBackpropInput", True),
        ("while/body/_1/output/BiasAdd:_MklNativeFusedConv2D", True),
        ("while/body/_1/dense/MatMul:_MklMatMul", True),
        ("gradient/dense/MatMul:MatMul", True),
        ("while/body/conv2d_transpose/Relu:Relu", False),
        ("while/body/conv2d_transpose/ShapeN:Const", False),
        ("while/body/MatMul/Transpose:Transpose", False),
        ("multiply_dotted_fusion", False),
        ("log_subtract_fusion", False),
    ],
)
def test_recognizes_a_product_by_its_operation(name: str, product: bool) -> None:
    assert document.is_product({"name": name}) is product


@pytest.mark.slow
@pytest.mark.parametrize("workload", [SMALL, CONVOLUTIONS, EVALUATION], ids=lambda w: w.name)
def test_a_profile_finds_the_products(workload: Workload) -> None:
    found = profile.profile_workload(workload)
    products, others = document.split(found["kernels"])
    assert products > 0
    assert others > 0
    assert profile.kernel_table(found, 5).row_count == 7


def test_growth_is_the_medians_along_an_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes take 2 + 3 S seconds, except for one that takes ten times as long."""

    def started(peer: str, workload: Workload) -> Any:
        taken = iter([10.0, 1.0, 1.0])
        return SimpleNamespace(time=lambda: next(taken) * (2 + 3 * workload.samples), close=lambda: None)

    monkeypatch.setattr(growth, "start", started)
    axis = Axis("S", [replace(SMALL, samples=samples) for samples in (1, 2, 9)], lambda workload: workload.samples)
    found = growth.measure_growth(axis, 3)
    assert found["x"] == [1, 2, 9]
    assert found["seconds"] == pytest.approx([5 / SMALL.steps, 8 / SMALL.steps, 29 / SMALL.steps])
    assert found["intercept"] == pytest.approx(2 / SMALL.steps)
    assert found["slope"] == pytest.approx(3 / SMALL.steps)
    assert found["off"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "jax_scan,ours"], "expected ours and then any of"),
        (["--peers", "ours,theirs"], "found ours,theirs"),
        (["--document", "--quick"], "expects all workloads"),
        (["--workload", "nothing"], "expected a part of train 200-200, S 1;"),
    ],
)
def test_refuses_contradictory_options(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def rendered(found: dict[str, Any]) -> list[list[str]]:
    table = ratio_table(found)
    return [list(cells) for cells in zip(*(column.cells for column in table.columns), strict=True)]  # type: ignore[arg-type]


def test_starts_of_two_programs_are_timed_in_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def run_command(command: list[str]) -> Usage:
        called.append((command[0], command[1]))
        seconds = float(len(called))
        return Usage(seconds, 2 * seconds, 0)

    monkeypatch.setattr(start, "run_command", run_command)
    found = start.measure_starts(["old", "new"], tmp_path, repeats=2)
    names = ["train", "score", "sample", "evaluate"]
    turn = [("python", "-c")] * 2 + [(program, name) for name in names for program in ("old", "new")]
    assert called == 2 * turn
    assert found["imports alone"] == [[(1, 2, 0), (11, 22, 0)], [(2, 4, 0), (12, 24, 0)]]
    found = {"train, 400 x 4": [[Usage(1, 2, 0), Usage(9, 18, 0)], [Usage(2, 4, 0), Usage(10, 20, 0)]]}
    row = [next(iter(column.cells)) for column in start.start_table(found).columns]
    assert row == ["train, 400 x 4", "10.0", "12.0", "1.20", "5.0", "6.0", "1.20"]


def test_start_writes_a_table_and_new_rows(tmp_path: Path) -> None:
    start.write_tables(tmp_path)
    table, new = (np.genfromtxt(tmp_path / name, delimiter=",", names=True) for name in ("table.csv", "new.csv"))
    assert (table.shape, new.shape) == ((400,), (40,))
    assert np.corrcoef(table["a"], table["b"])[0, 1] < -0.8
    assert not set(table["a"].tolist()) >= set(new["a"].tolist())


@pytest.mark.slow
def test_start_measures_an_installed_program(tmp_path: Path) -> None:
    usage = run_command([str(Path(sys.executable).with_name("tfp-vae")), "--version"])
    assert 0 < usage.cpu_seconds < 30
    assert usage.bytes > 1 << 20


def test_table_shows_a_dash_for_unsupported_workloads() -> None:
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


INSTALLED = [peer for peer, needed in LIBRARIES.items() if all(map(importlib.util.find_spec, needed))]


def assert_peers_agree(workload: Workload, unable: set[str]) -> None:
    """Check that `unable` peers refuse a workload, and that all others compute the same as this library."""
    if not INSTALLED:
        pytest.skip("no peer is installed")
    for peer in filter(unable.__contains__, INSTALLED):
        process = start_peer(peer, workload)
        assert not process.check["takes"], peer
        process.close()
    if able := [peer for peer in INSTALLED if peer not in unable]:
        found = measure(workload, (OURS, *able), 3)  # a peer that computes something else raises an error
        assert list(found["ratios"]) == [OURS, *able]
        assert all(len(values) == 3 and min(values) > 0 for values in found["seconds"].values())


@pytest.mark.slow
@pytest.mark.parametrize("workload", [SMALL, replace(FLOW, samples=1)], ids=lambda w: w.name)
def test_peers_train_on_the_same_loss(workload: Workload) -> None:
    """The benchmark itself refuses a peer that computes another loss, for each of its workloads."""
    assert_peers_agree(workload, NO_FLOW if workload.flow else ONE_SAMPLE)


@pytest.mark.slow
def test_peers_estimate_the_same_evidence() -> None:
    assert_peers_agree(replace(EVALUATION, latent_dim=1, samples=2_000), NO_EVALUATION)


def test_the_document_has_a_row_for_each_workload_and_the_picture_opens(tmp_path: Path) -> None:
    found = {
        "workload": as_dict(SMALL),
        "seconds": {OURS: [0.1, 0.2, 0.4], "twice": [0.2, 0.4, 0.8]},
        "ratios": {OURS: [1.0, 1.0, 1.0], "twice": [1.9, 2.0, 2.1]},
        "rate": 1e12,
    }
    costs = [{"what": "--help", "seconds": 0.25, "bytes": 4e7}]
    described = {"processor": "one", "cores": 2, "python": "3", "packages": {"tensorflow": "2"}}
    grown = {"name": "S", "x": [1, 50], "seconds": [0.003, 0.101], "slope": 0.002, "intercept": 0.001, "off": 0.04}
    traced = [profile.Kernel("MatMul.1", 1, 0.003), profile.Kernel("a_fusion", 2, 0.001)]
    profiles = [{"workload": "small", "seconds": 0.005, "kernels": [kernel._asdict() for kernel in traced]}]
    measured = {"found": [found], "commands": costs, "machine": described, "growth": [grown] * 4, "profiles": profiles}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{document.BEGIN}old\n{document.END}after\n")
    document.write(measured, page, tmp_path)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert f"| {SMALL.name} | 100.00 | **2.00** (1.90 to 2.10) |" in text
    share = 100 * SMALL.flops() * SMALL.steps / 0.2 / 1e12
    assert f"| {share:.0f}% |" in text
    assert "| --help | 0.25 | 0.04 |" in text
    assert "| S | 1 to 50 | 1.00 | 2 | 4% |" in text
    assert "| small | 5.00 | 3.00 | 1.00 | `a_fusion` 1.00 |" in text
    for picture in ("performance.png", "growth.png"):
        assert matplotlib.image.imread(tmp_path / picture).std() > 0.01
