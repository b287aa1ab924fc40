"""Bounds and estimates against closed forms in a linear-Gaussian model, whose log p(x) is known."""

from __future__ import annotations

import functools
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import builders
from tests.helpers.oracles import LinearGaussian
from tfp_vae import VAE
from tfp_vae.core.errors import RunError, UsageError
from tfp_vae.core.seeds import fold
from tfp_vae.evaluation import importance
from tfp_vae.evaluation.importance import (
    FEW,
    LARGE_BATCH,
    MANY,
    Estimates,
    Estimator,
    active_units,
    estimate,
    rows_at_once,
)

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


def log_likelihood(vae: VAE, x: Any, **settings: Any) -> np.ndarray:
    return estimate(vae, x, **settings).log_likelihood


@pytest.mark.parametrize("samples", [1, 5, 250])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
class TestExactPosterior:
    """With the exact posterior every importance weight is p(x), so no randomness remains."""

    def test_importance_weighted_bound_is_the_evidence_and_every_weight_counts(self, dtype: str, samples: int) -> None:
        model = LinearGaussian(dtype)
        x = model.data(20)
        found = estimate(model.vae(), x, iw_samples=samples, seed=(1, samples), execution="eager")
        np.testing.assert_allclose(found.log_likelihood, model.log_evidence(x), rtol=0, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(found.ess, samples, rtol=1e-3)


def test_one_importance_sample_is_the_sampled_elbo_of_that_sample(linear: LinearGaussian) -> None:
    vae, x, seed = linear.vae(shift=0.3, widen=1.5), linear.data(5), (6, 6)
    found = log_likelihood(vae, x, iw_samples=1, seed=seed, execution="eager")
    for i in range(len(x)):
        q = vae.encoder(x[i : i + 1])
        z = q.sample(100, seed=fold(seed, i, 0))[0]
        by_hand = vae.decoder(z).log_prob(x[i]) + vae.prior().log_prob(z) - q.log_prob(z)
        np.testing.assert_allclose(found[i], by_hand[0], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_bound_rises_with_the_samples_to_the_evidence(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4, widen=1.4), linear.data(400)
    truth = linear.log_evidence(x)
    gaps = []
    for samples in (1, 2, 5, 20, 100, 1_000):
        gap = log_likelihood(vae, x, iw_samples=samples, seed=(7, samples), execution="graph") - truth
        gaps.append(gap.mean())
        assert gap.mean() < 4 * gap.std(ddof=1) / np.sqrt(len(gap))
    assert np.all(np.diff(gaps) > 0)
    assert gaps[0] < -0.2
    assert gaps[-1] > -0.01


CUTS = [(1, 1_000), (33, 7), (33, 100), (66, 1), (66, 1_000)]
"""Pairs (batch size, chunk size) for 67 examples and 130 samples, a few because each needs another compilation."""


@pytest.mark.parametrize(
    ("batch_size", "chunk_size", "execution"),
    [
        *((*cut, "graph") for cut in CUTS),
        *(pytest.param(*cut, "xla", marks=pytest.mark.slow) for cut in CUTS[:2]),
    ],
)
def test_estimate_does_not_depend_on_batch_and_chunk_sizes(batch_size: int, chunk_size: int, execution: str) -> None:
    vae, x = shifted()
    settings = {"iw_samples": 130, "seed": (8, 8), "execution": execution}
    found = estimate(vae, x, batch_size=batch_size, chunk_size=chunk_size, **settings)
    assert_same(found, whole(execution))


@functools.cache
def whole(execution: str) -> Estimates:
    vae, x = shifted()
    return estimate(vae, x, iw_samples=130, seed=(8, 8), execution=execution)


def shifted() -> tuple[VAE, np.ndarray]:
    model = LinearGaussian("float32")
    return model.vae(shift=0.4, widen=1.4), model.data(67)


def assert_same(found: Estimates, expected: Estimates) -> None:
    for name in Estimates._fields:
        tolerance = 2e-2 if name == "pareto_k" else 1e-4  # a fit of the largest weights magnifies rounding
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", builders.EXPLICIT_POSTERIORS)
def test_estimate_of_any_posterior_does_not_depend_on_batch_and_chunk_sizes(posterior: str) -> None:
    vae, x = builders.model(posterior), builders.data("bernoulli", 7)
    settings = {"iw_samples": 110, "execution": "graph"}
    expected = estimate(vae, x, seed=(8, 9), **settings)
    in_parts = Estimator(vae, batch_size=3, chunk_size=7, **settings)
    assert_same(in_parts(x, seed=(8, 9)), expected)
    rows = np.array([1, 4, 6])
    part = in_parts(x[rows], seed=(8, 9), places=rows)
    assert_same(part, Estimates(*(column[rows] for column in expected)))


ON_SOME_CORES = """
import os, sys
os.sched_setaffinity(0, map(int, sys.argv[2].split()))
import numpy as np
import tfp_vae as tv

x = np.random.default_rng(0).integers(0, 2, (40, 784)).astype(np.float32)
vae = tv.build(tv.data.load(x), latent_dim=20, hidden=(500, 500), likelihood="bernoulli", seed=0)
settings = [(2, 32, "xla"), (1, 1, "graph"), (120, 32, "xla")]
refined = [(20, 32, "xla", "local:steps=10"), (20, 32, "xla", "laplace")]
found = [
    tv.evaluation.estimate(vae, x, iw_samples=k, batch_size=size, seed=(0, 1), execution=execution, refine=refine)
    for k, size, execution, refine in [*((*each, "none") for each in settings), *refined]
]
np.save(sys.argv[1], [[each.log_likelihood, each.elbo, each.rate] for each in found])
"""
"""Estimates by a model whose products of 32 rows are large enough for several threads, in a process of its own."""


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_estimate_does_not_depend_on_the_number_of_cores(tmp_path: Path) -> None:
    one, two = (list(map(str, sorted(os.sched_getaffinity(0))))[:count] for count in (1, 2))
    for name, cores in {"one": one, "two": two}.items():
        arguments = [str(tmp_path / f"{name}.npy"), " ".join(cores)]
        subprocess.run([sys.executable, "-c", ON_SOME_CORES, *arguments], check=True, timeout=600, capture_output=True)
    found, expected = np.load(tmp_path / "two.npy"), np.load(tmp_path / "one.npy")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", builders.EXPLICIT_POSTERIORS)
def test_a_collapsed_posterior_has_no_active_units(posterior: str) -> None:
    """The mean of a flow is estimated from samples. Their spread must not count as a spread of means over x."""
    vae = builders.model(posterior, latent_dim=6)
    for variable in vae.encoder.network.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    found = estimate(vae, builders.data("bernoulli", 300), iw_samples=1, seed=(0, 0), execution="graph")
    assert active_units(found) == 0


@pytest.mark.slow
def test_chunks_are_halved_until_they_fit() -> None:
    model = LinearGaussian("float32")
    vae, x = model.vae(shift=0.4), model.data(2)
    expected = log_likelihood(vae, x, iw_samples=50, seed=(8, 8), execution="graph")
    network, decoded = vae.decoder.network, []

    def short_of_memory(z: Any) -> Any:
        decoded.append(z.shape[0])
        if z.shape[0] > 12:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory left")
        return network(z)

    vae.decoder.network = short_of_memory
    found = log_likelihood(vae, x, iw_samples=50, seed=(8, 8), execution="graph")
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert max(decoded) == 100
    assert min(decoded) == 12


def test_running_out_of_memory_for_one_sample_raises_an_error() -> None:
    model = LinearGaussian("float32")
    vae = model.vae()

    def without_memory(z: Any) -> Any:
        raise tf.errors.ResourceExhaustedError(None, None, "no memory left")

    vae.decoder.network = without_memory
    with pytest.raises(RunError, match="ran out of memory with one sample at a time"):
        log_likelihood(vae, model.data(2), iw_samples=5, seed=(0, 0), execution="eager")


@pytest.mark.slow
def test_host_memory_does_not_grow_with_the_samples(linear: LinearGaussian) -> None:
    """Storing all log-weights would take 5 MB more at the larger K, so the test would fail."""
    vae, x, peaks = linear.vae(shift=0.2), linear.data(32), []
    for samples in (4_000, 24_000):
        tracemalloc.start()
        log_likelihood(vae, x, iw_samples=samples, seed=(0, 0), execution="graph")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0]


def test_progress_counts_each_example_once(linear: LinearGaussian) -> None:
    done: list[int] = []
    estimate(linear.vae(), linear.data(40), iw_samples=130, seed=(0, 0), execution="eager", progress=done.append)
    assert sum(done) == 40 * 130


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"iw_samples": 0}, "`iw_samples` must be at least 1, found 0"),
        ({"chunk_size": 0}, "`chunk_size` must be at least 1, found 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, found 0"),
        ({"sweep": (1, 6)}, "`sweep` must lie between 1 and 5, found 1, 6"),
    ],
)
def test_refuses_sizes_below_one_and_sweeps_beyond_the_samples(
    linear: LinearGaussian, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        estimate(linear.vae(), linear.data(2), seed=(0, 0), **{"iw_samples": 5, **wrong})


def test_estimates_without_diagnostics_are_the_same(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4), linear.data(5)
    settings = {"iw_samples": 30, "seed": (8, 8), "execution": "eager"}
    full, lean = (estimate(vae, x, diagnose=diagnose, **settings) for diagnose in (True, False))
    left_out = ("pareto_k", "spread", "shortfall", "low", "high", "refined_gap_error")
    for name in Estimates._fields:
        expected = np.full(5, math.nan) if name in left_out else getattr(full, name)
        np.testing.assert_array_equal(getattr(lean, name), expected)


def test_many_examples_fill_larger_batches_that_memory_holds(
    linear: LinearGaussian, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae = linear.vae()
    assert rows_at_once(vae, MANY - 1) == FEW
    assert rows_at_once(vae, MANY) == rows_at_once(vae, 10**9) == LARGE_BATCH
    assert rows_at_once(vae, MANY, "local") == FEW
    monkeypatch.setattr(importance, "LARGE_BATCH_VALUES", 150 * importance.TILE * vae.decoder.density_size)
    assert rows_at_once(vae, MANY) == 2 * FEW


def test_examples_may_be_a_tensor(linear: LinearGaussian) -> None:
    vae, x = linear.vae(), linear.data(3)
    given = [log_likelihood(vae, each, iw_samples=4, seed=(0, 0), execution="eager") for each in (x, tf.constant(x))]
    np.testing.assert_array_equal(*given)


@pytest.mark.slow
def test_estimate_of_an_example_does_not_depend_on_those_after_it(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.4), linear.data(40)
    whole = log_likelihood(vae, x, iw_samples=30, seed=(9, 9), execution="graph")
    first = log_likelihood(vae, x[:7], iw_samples=30, seed=(9, 9), execution="graph")
    np.testing.assert_allclose(first, whole[:7], rtol=0, atol=1e-9)


def test_estimate_agrees_with_brute_force(linear: LinearGaussian) -> None:
    vae, x, seed = linear.vae(shift=0.4, widen=1.4), linear.data(3), (10, 10)
    found = estimate(vae, x, iw_samples=250, seed=seed, execution="graph")
    for i in range(len(x)):
        q = vae.encoder(x[i : i + 1])
        z = np.concatenate([q.sample(100, seed=fold(seed, i, tile)) for tile in range(3)])[:250]
        log_px = vae.decoder(z).log_prob(x[i]).numpy()[:, 0]
        log_w = log_px + (vae.prior().log_prob(z) - q.log_prob(z)).numpy()[:, 0]
        weights = np.exp(log_w)
        np.testing.assert_allclose(found.log_likelihood[i], np.log(weights.mean()), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.distortion[i], -log_px.mean(), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.ess[i], weights.sum() ** 2 / np.sum(weights**2), rtol=1e-9)
        np.testing.assert_allclose(found.rate[i], q.kl_divergence(vae.prior())[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.posterior_mean[i], q.mean()[0], rtol=0, atol=1e-9)


def test_sums_of_many_large_weights_stay_exact() -> None:
    """With the exact posterior far from the origin, every log w is below -10,000 and the estimate equals it."""
    model = LinearGaussian("float32")
    vae, x = model.vae(), model.data(2)
    far = x + 300
    found = estimate(vae, far, iw_samples=20_000, seed=(0, 0), execution="graph")
    truth = model.log_evidence(far)
    assert (truth < -10_000).all()
    np.testing.assert_allclose(found.log_likelihood, truth, rtol=4e-7)
    assert (found.ess <= 20_000).all()


@pytest.mark.slow
def test_xla_and_graph_estimate_the_same_quantity(linear: LinearGaussian) -> None:
    vae, x = linear.vae(shift=0.2), linear.data(200)
    by_path = [log_likelihood(vae, x, iw_samples=100, seed=(11, 11), execution=e) for e in ("xla", "graph")]
    difference = by_path[0] - by_path[1]
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / np.sqrt(len(difference)) + 1e-9
